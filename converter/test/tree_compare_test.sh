#!/usr/bin/env bash
# tree-compare, which the matrix relies on, sees each kind of change in a file system, and takes only what was named.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need mke2fs debugfs dumpe2fs
compare=$(dirname "$PV2HVM")/tree-compare

mkdir -p "$work/tree/dir/sub" "$work/tree/real"
printf 'content\n' >"$work/tree/dir/file"
printf 'other\n' >"$work/tree/dir/other"
ln "$work/tree/dir/file" "$work/tree/dir/hard"
ln -s target "$work/tree/dir/link"
ln -s real "$work/tree/alias"
mke2fs -q -F -t ext4 -d "$work/tree" "$work/before.img" 4M >/dev/null
ea() { debugfs -w -R "ea_set /dir/file user.name one" "$1" >/dev/null 2>&1; }
ea "$work/before.img"

# differences COMMAND NAMED: what is said after one debugfs command, with the paths that may differ
differences() {
	cp "$work/before.img" "$work/after.img"
	printf '%b\n' "$1" | E2FSPROGS_FAKE_TIME=1800000000 debugfs -w -f - "$work/after.img" >"$work/debugfs.out" 2>&1
	printf '%b\n' "$2" >"$work/named"
	"$compare" "$work/before.img" "$work/after.img" "$work/named" 2>&1 | paste -sd';' || :
}
echo new >"$work/new"

equal "nothing" '' "$(differences '' '')"
while IFS='|' read -r command named expected; do
	equal "$command, named ${named:-nothing}" "$expected" "$(differences "$command" "$named")"
done <<END
sif /dir/other mode 0100600||UNNAMED changed /dir/other: mode
sif /dir/other uid 7||UNNAMED changed /dir/other: owner
sif /dir/other mtime @1||UNNAMED changed /dir/other: mtime
sif /dir/other mtime_extra 4||UNNAMED changed /dir/other: mtime
sif /dir/other flags 0x80010||UNNAMED changed /dir/other: flags
sif /dir/other generation 9||UNNAMED changed /dir/other: generation
sif /dir/other mode 0100600|/dir/other|UNNAMED changed /dir/other: mode
sif /dir/other mode 0100600|/dir/other/|named changed /dir/other: mode
ea_rm /dir/file user.name|/dir/|named changed /dir/file: attributes;named changed /dir/hard: attributes
sif /dir/other mtime @1|/dir/other|named changed /dir/other: mtime
sif /dir/sub mtime @1|/dir/sub/new|UNNAMED changed /dir/sub: mtime
ea_set /dir/file user.name two||UNNAMED changed /dir/file: attributes;UNNAMED changed /dir/hard: attributes
ea_rm /dir/file user.name|/dir/file|UNNAMED changed /dir/file: attributes;UNNAMED changed /dir/hard: attributes
rm /dir/other||UNNAMED removed /dir/other
rm /dir/other|/dir/other|named removed /dir/other
write $work/new /dir/sub/new||UNNAMED added /dir/sub/new
write $work/new /dir/sub/new|/dir/sub/new|named added /dir/sub/new
write $work/new /dir/sub/new|/dir/|named added /dir/sub/new
write $work/new /real/new|/alias/new|named added /real/new
write $work/new /dir/sub/new|/dir/sub/new2|UNNAMED added /dir/sub/new
END
# One byte of a file's content; a link's target; a hard link that becomes a file of its own
cp "$work/before.img" "$work/after.img"
block=$(debugfs -R 'blocks /dir/other' "$work/after.img" 2>/dev/null)
printf 'O' | dd of="$work/after.img" bs=1 seek=$((${block%% *} * $(dumpe2fs -h "$work/after.img" 2>/dev/null | awk '/^Block size:/ { print $3 }'))) \
	conv=notrunc status=none
equal "one byte of a file" 'UNNAMED changed /dir/other: content' "$("$compare" "$work/before.img" "$work/after.img" || :)"
differences 'rm /dir/link\nsymlink /dir/link gone' '' >"$work/said"
check "another link target" grep -q 'UNNAMED changed /dir/link: .*content' "$work/said"
differences "rm /dir/hard\nwrite $work/new /dir/hard" '' >"$work/said"
check "a hard link that became a file of its own" grep -q 'UNNAMED changed /dir/hard: inode.*content' "$work/said"
# A file that becomes too long for its inode
mke2fs -q -F -t ext4 -O inline_data -d "$work/tree" "$work/before.img" 4M >/dev/null
printf '%3000s' x >"$work/long"
edit="rm /dir/other\nwrite $work/long /dir/other"
differences "$edit" /dir/other >"$work/said"
check "an edit that moves a content out of its inode" grep -q 'named changed /dir/other: .*content.*form\|named changed /dir/other: .*form.*content' "$work/said"
check "only as an edit" grep -q 'UNNAMED changed /dir/other: .*form' <(differences "$edit" '')
equal "a file system that cannot be read" 2 "$("$compare" "$work/new" "$work/before.img" >/dev/null 2>&1 && echo 0 || echo $?)"
finish
