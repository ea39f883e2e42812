#!/usr/bin/env bash
# Two cells of the matrix with the guest that boots in seconds: each target of QEMU and each layout of a new table once.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap e2fsck dumpe2fs jq flock

matrix() { "$PV2HVM_SOURCE_DIR/scripts/matrix" --guests tiny-busybox --donors donor-bookworm "$@"; }

check "nitro, partition" matrix --again --targets nitro --layouts partition
check "kvm, flat" matrix --again --targets kvm --layouts flat
matrix --targets kvm --layouts flat >"$work/again"
check "what is done is not done again" grep 'done before, pass' "$work/again"

# --- a program that was built again: the boots of the same bytes stand, those of others do not
result=${PV2HVM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pv2hvm}/matrix/tiny-busybox-donor-bookworm-kvm-flat.json
jq '.program = "another"' "$result" >"$work/result" && cp "$work/result" "$result"
matrix --targets kvm --layouts flat >"$work/other"
check "the same bytes were not booted again" grep 'booted before: the same bytes' "$work/other"
equal "the result is this program's now" pass "$(matrix --targets kvm --layouts flat | sed -n 's/.*done before, //p')"

# --- the page: this run's results, and what stood there of cells that were not run here
export PV2HVM_MATRIX_DOCS=$work/docs
mkdir -p "$work/docs/matrix"
{
	printf 'Of what it is.\n\n<!-- rows -->\n\n'
	printf '| tiny-busybox | donor-elsewhere | nitro | %s |\n' 'flat | PASS | 7 | [2026-01-02](matrix/tiny-busybox.md#donor-elsewhere-nitro-flat)' \
		'partition | not run | | '
} >"$work/docs/matrix.md"
printf '# tiny-busybox, converted and booted\n\n## donor-elsewhere-nitro-flat\n\npass, 7 s, 2026-01-02\n' >"$work/docs/matrix/tiny-busybox.md"
for _ in once twice; do matrix --targets kvm --layouts flat --no-run >/dev/null || :; done
page=$work/docs/matrix.md
equal "a row of another machine stays" \
	'| tiny-busybox | donor-elsewhere | nitro | flat | PASS, earlier run | 7 | [2026-01-02](matrix/tiny-busybox.md#donor-elsewhere-nitro-flat) |' \
	"$(grep donor-elsewhere "$page" | grep flat)"
equal "what was not run is not" '| tiny-busybox | donor-elsewhere | nitro | partition | not run | | |' "$(grep donor-elsewhere "$page" | grep partition)"
equal "and its record" 'pass, 7 s, 2026-01-02' "$(grep -A2 '^## donor-elsewhere-nitro-flat$' "$work/docs/matrix/tiny-busybox.md" | tail -n 1)"
check "a row of this run" grep -F '| tiny-busybox | donor-bookworm | kvm | flat | PASS, not compared with PV | ' "$page"
check "and its record" grep -x '## donor-bookworm-kvm-flat' "$work/docs/matrix/tiny-busybox.md"
equal "no cell stands there twice" '' "$(awk -F '|' '$3 ~ /donor/ { print $2 $3 $4 $5 }' "$page" | sort | uniq -d)"
check "the text stays" grep -x 'Of what it is.' "$page"
finish
