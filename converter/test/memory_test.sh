#!/usr/bin/env bash
# 128 MiB are enough for a kernel tree of 2 GiB: peak resident memory of a conversion to a new file and of one in place.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need debugfs mke2fs resize2fs openssl python3 zstd
[ "$(df --output=avail -B1M "$work" | tail -n 1)" -ge 12288 ] || skip "less than 12 GiB are free in $work"

limit=131072 # KiB
guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)

# A donor directory: boot and lib/modules of the sample, and 2 GiB of modules that no compression makes small
mkdir -p "$work/donor/lib" "$work/donor/etc"
printf 'rdump /boot %s\nrdump /usr/lib/modules %s\n' "$work/donor" "$work/donor/lib" | debugfs -f - "$donor?offset=1048576" >/dev/null 2>&1
[ -d "$work/donor/boot" ] || printf 'rdump /boot %s\nrdump /usr/lib/modules %s\n' "$work/donor" "$work/donor/lib" | debugfs -f - "$donor" >/dev/null 2>&1
tree=$(find "$work/donor/lib/modules" -mindepth 1 -maxdepth 1 -type d | head -n 1)
check "the donor has a kernel tree" [ -d "$tree/kernel" ]
for n in 1 2; do
	openssl enc -aes-128-ctr -pass "pass:$n" -nosalt -pbkdf2 </dev/zero 2>/dev/null | head -c 1073741824 >"$tree/kernel/large$n.ko" || :
done
equal "the tree has 2 GiB" "1073741824 1073741824" "$(stat -c %s "$tree"/kernel/large[12].ko | xargs)"

# convert_within WHAT SOURCE OPTION...: succeeds, with its peak below the limit (qemu-nbd and others are not counted)
convert_within() {
	local what=$1 peak status
	shift
	status=0
	peak=$(python3 -c '
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ,
                     file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))' "$PV2HVM" convert "$@" 2>"$work/stderr") || status=$?
	equal "$what: exit status $(head -n 1 "$work/stderr")" 0 "$status"
	check "$what: peak of $peak KiB is below $limit" [ "$peak" -lt "$limit" ]
}

cp --sparse=always "$guest" "$work/guest.raw"
truncate -s 4G "$work/guest.raw"
check "a guest of 4 GiB" resize2fs "$work/guest.raw"
convert_within "to a new file" "$work/guest.raw" --donor "$work/donor" -o "$work/out.raw"
check "the result verifies" "$PV2HVM" verify "$work/out.raw"
rm -f "$work/out.raw"
convert_within "in place" "$work/guest.raw" --donor "$work/donor" --in-place --layout flat
check "the result in place verifies" "$PV2HVM" verify "$work/guest.raw"

# The same, with modules that have to be unpacked
zstd -q --rm -1 "$tree"/kernel/large[12].ko
(cd "$tree" && printf 'kernel/large%s.ko.zst:\n' 1 2 >>modules.dep)
cp --sparse=always "$guest" "$work/guest.raw"
truncate -s 4G "$work/guest.raw"
check "a guest of 4 GiB again" resize2fs "$work/guest.raw"
convert_within "modules unpacked" "$work/guest.raw" --donor "$work/donor" -o "$work/out.raw"
check "they are unpacked" debugfs -R "stat ${tree#"$work/donor"}/kernel/large1.ko" "$work/out.raw?offset=1048576"
check "that result verifies" "$PV2HVM" verify "$work/out.raw"
finish
