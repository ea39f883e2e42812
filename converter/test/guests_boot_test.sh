#!/usr/bin/env bash
# Two more guests, each in the layout that the small one does not have: a sysvinit system with a 32-bit userland on ext3
# with 1 KiB blocks, flat, by way of in place and undo; and a partitioned one, whose table is kept.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap sfdisk blkid e2fsck

donor=$(sample donor-bookworm)
targets=xen-hvm,nitro,kvm

# boots WHAT IMAGE BUS UUID EXPECT...
boots() {
	local what=$1 image=$2 bus=$3 uuid=$4 expect=()
	shift 4
	for line; do expect+=(--expect "$line"); done
	check "$what: boots on $bus" boot "$image" --bus "$bus" --timeout 600 ${expect[@]+"${expect[@]}"} \
		--expect "^P2H root=/dev/.* cmdline-root=UUID=$uuid\$" --expect '^P2H net=10\.0\.2\.15$' --expect '^P2H modprobe=ok'
}

# --- sysvinit, i386, in place
guest=$(sample bullseye-sysvinit-i386)
image=$work/sysvinit.raw
cp --sparse=always "$guest" "$image"
before=$(sum "$image")
uuid=$(blkid -p -o value -s UUID "$image")
check "sysvinit: converts in place, flat" "$PV2HVM" convert "$image" --donor "$donor" --in-place --layout flat --target "$targets"
equal "sysvinit: as large as before" "$(stat -c %s "$guest")" "$(stat -c %s "$image")"
check "sysvinit: e2fsck finds nothing" e2fsck -fn "$image"
boots "sysvinit" "$image" virtio "$uuid" 'login: *$'
check "sysvinit: undo" "$PV2HVM" undo "$image"
equal "sysvinit: undo gave every byte back" "$before" "$(sum "$image")"
equal "sysvinit: the journal is gone" '' "$(find "$work" -name '*undo*')"
check "sysvinit: converts in place where a range can be inserted" "$PV2HVM" convert "$image" --donor "$donor" --in-place --target "$targets"
check "sysvinit: and it would boot" "$PV2HVM" verify "$image" --target "$targets"
check "sysvinit: undo again" "$PV2HVM" undo "$image"
equal "sysvinit: every byte is back again" "$before" "$(sum "$image")"
rm -f "$image"

# --- a partition table that is kept
guest=$(sample bookworm-mbr)
image=$work/mbr.qcow2
before=$(sum "$guest")
check "keep: converts to qcow2" "$PV2HVM" convert "$guest" --donor "$donor" -o "$image" --target "$targets"
equal "keep: source unchanged" "$before" "$(sum "$guest")"
qemu-img convert -O raw "$image" "$work/mbr.raw"
equal "keep: the partition table is the guest's" "$(sfdisk --dump "$guest" 2>/dev/null | sed "s,$guest,disk,; s,^device.*,," )" \
	"$(sfdisk --dump "$work/mbr.raw" 2>/dev/null | sed "s,$work/mbr.raw,disk,; s,^device.*,,")"
check "keep: e2fsck finds nothing" e2fsck -fn "$work/mbr.raw?offset=$((2048 * 512))"
boots "keep" "$image" nvme "$(blkid -p -O $((2048 * 512)) -o value -s UUID "$work/mbr.raw")" '^P2H failed-units=0:$'
rm -f "$image" "$work/mbr.raw"

# --- other ways in and out
guest=$(sample tiny-busybox)
check "by image" "$PV2HVM" convert "$guest" --donor "$donor" -o "$work/by-image.raw"
mkdir -p "$work/tree/usr/lib"
ln -s usr/lib "$work/tree/lib"
printf 'rdump /boot %s\nrdump /etc %s\nrdump /usr/lib/modules %s\n' "$work/tree" "$work/tree" "$work/tree/usr/lib" |
	debugfs -f - "$donor?offset=$((2048 * 512))" >/dev/null 2>&1 || :
if [ -d "$work/tree/lib/modules" ]; then
	check "by directory" "$PV2HVM" convert "$guest" --donor "$work/tree" -o "$work/by-directory.raw"
	check "a donor directory gives the same bytes as its image" cmp "$work/by-image.raw" "$work/by-directory.raw"
else
	failed "the donor's tree could not be unpacked: $(ls "$work/tree")"
fi
if [ "$(id -u)" = 0 ] && truncate -s 300M "$work/device.img" && loop=$(losetup -f --show "$work/device.img" 2>/dev/null); then
	defer losetup -d "$loop"
	check "writes to a block device" "$PV2HVM" convert "$guest" --donor "$donor" -o "$loop"
	check "the device holds what the file holds" cmp -n "$(stat -c %s "$work/by-image.raw")" "$work/by-image.raw" "$loop"
	status=0
	"$PV2HVM" convert "$guest" --donor "$donor" -o "$loop" 2>"$work/stderr" || status=$?
	equal "a device that holds something is refused" 1 "$status"
	check "the refusal names what it holds, and --force" grep -q 'dos.*--force' "$work/stderr"
	check "and is written with --force" "$PV2HVM" convert "$guest" --donor "$donor" -o "$loop" --force
else
	echo "skipped: no loop device can be had here"
fi
finish
