#!/usr/bin/env bash
# The library never prints, prompts or exits, and dependencies between its folders point one way.
set -euo pipefail

src=${1:?the library\'s src folder}
status=0
complain() { printf 'FAILED: %s\n' "$*"; status=1; }

if grep -nE '\b(printf|vprintf|puts|putchar|perror|fprintf|vfprintf|fputs|exit|abort)\(' -r "$src" --include='*.c' | grep -vE '_exit\(|[a-z]_(printf|puts|exit)\('; then
	complain "the library prints or exits (lines above)"
fi

order=(base disk volume fs parse inspect plan apply verify report job)
# parse stands beside fs; report reads what verify found
for folder in "${order[@]}"; do
	allowed=' '
	for above in "${order[@]}"; do
		allowed+="$above "
		[ "$above" != "$folder" ] || break
	done
	while IFS=: read -r file include; do
		case $allowed in
		*" $include "*) ;;
		*) complain "$file includes $include/, which stands below $folder/" ;;
		esac
	done < <(grep -oE '^#include "[a-z]+/' -r "$src/$folder" --include='*.[ch]' | sed 's/#include "//; s,/$,,')
done

[ "$status" != 0 ] || echo "ok: ${#order[@]} folders, no output, no exit, includes point one way"
exit "$status"
