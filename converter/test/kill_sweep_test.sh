#!/usr/bin/env bash
# A conversion in place that is killed at any of its writes leaves an image that is as it was, or that undo makes so. The
# short form of scripts/kill-sweep, which tries them all.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need cc mke2fs cpio qemu-img qemu-nbd grub-mkimage

# sweep LAYOUT FORMAT
sweep() {
	check "$1, $2: killed at about 40 points" "$PV2HVM_SOURCE_DIR/scripts/kill-sweep" --quick --layout "$1" --format "$2"
	tail -n 1 "$work/check.out"
}

export TMPDIR=$work
if truncate -s 8192 "$work/probe" && fallocate -i -o 0 -l 4096 "$work/probe" 2>/dev/null; then
	sweep partition raw
else
	echo "skipped: the file system of $work cannot insert a range"
fi
sweep flat raw
sweep flat qcow2
finish
