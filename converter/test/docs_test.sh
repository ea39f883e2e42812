#!/usr/bin/env bash
# The manual page says of every command, option and rule what the program has, and of none that it has not.
set -euo pipefail
# shellcheck source=converter/test/support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"

page=$PV2HVM_SOURCE_DIR/docs/pv2hvm.1
plain() { sed 's/\\-/-/g; s/\\f[A-Z]//g' "$page"; }
commands=$("$PV2HVM" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')

for command in $commands; do
	check "the manual has a paragraph on '$command'" grep -qx "^\.B $command" <(plain)
done

equal "every option is documented, and no other one" \
	"$(for command in $commands; do "$PV2HVM" "$command" --help; done | sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p' | sort -u)" \
	"$(plain | sed -n '/^\.SH OPTIONS/,/^\.SH RULES/p' | grep -A1 '^\.TP' | grep -o -- '--[a-z][a-z-]*' | grep -vx -- '--help' | sort -u)"

check "the manual page and docs/rules.md say of the rules what the program says" "$PV2HVM_SOURCE_DIR/scripts/rules-docs" --check

if command -v man >/dev/null; then
	equal "man finds nothing to complain of in the page" '' "$(man --warnings -l "$page" 2>&1 >/dev/null)"
fi

finish
