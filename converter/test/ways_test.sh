#!/usr/bin/env bash
# The ways in and out that a user has: every format that is read, names of outputs, which root, and what a device needs.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img qemu-nbd mmdebstrap sfdisk tune2fs jq

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
convert() { "$PV2HVM" convert "$@" --donor "$donor"; }
format() { qemu-img info --output=json "$1" | jq -r .format; }

# --- formats: the same result whatever the source lies in
check "raw: converts" convert "$guest" -o "$work/from-raw.raw"
for kind in qcow2 vmdk vhdx vdi; do
	qemu-img convert -q -O "$kind" "$guest" "$work/guest.$kind"
	check "$kind: converts" convert "$work/guest.$kind" -o "$work/from-$kind.raw"
	check "$kind: the same bytes as from raw" cmp "$work/from-raw.raw" "$work/from-$kind.raw"
	rm -f "$work/from-$kind.raw"
done
check "vmdk: an output without a name" convert "$work/guest.vmdk"
equal "vmdk: its name and format" qcow2 "$(format "$work/guest-hvm.qcow2")"
rm -f "$work"/guest-hvm.* "$work/guest.vdi" "$work/guest.vhdx" "$work/guest.vmdk"

# --- a disk whose first bytes are an image of another format, as its guest may have made them
mkdir "$work/disks" "$work/elsewhere"
cp --sparse=always "$guest" "$work/elsewhere/base.raw"
qemu-img create -q -f qcow2 -b "$work/elsewhere/base.raw" -F raw "$work/disks/claims.raw"
refused "a backing file elsewhere" 3 'claims to be qcow2 .*--input-format' convert "$work/disks/claims.raw" -n
refused "read as raw" 1 'no Linux root' convert "$work/disks/claims.raw" -n --input-format raw
check "read as qcow2" convert "$work/disks/claims.raw" --input-format qcow2 --output-format raw -o "$work/from-claims.raw"
check "read as qcow2: the same bytes" cmp "$work/from-raw.raw" "$work/from-claims.raw"
refused "a format that is not there" 1 'nonsense' convert "$guest" -n --input-format nonsense
rm -rf "$work/elsewhere" "$work/disks" "$work"/from-*.raw

# --- two roots on a disk
truncate -s 514M "$work/two.raw"
printf 'label: dos\nlabel-id: 0x12345678\nstart=2048, size=524288, type=83\nstart=526336, size=524288, type=83\n' | sfdisk -q "$work/two.raw"
for at in 1 257; do
	dd if="$guest" of="$work/two.raw" bs=1M seek="$at" conv=notrunc,sparse status=none
done
tune2fs -f -U 01234567-89ab-cdef-0123-456789abcdef "$work/two.raw?offset=$((526336 * 512))" >/dev/null 2>&1 </dev/null
before=$(sum "$work/two.raw")
refused "two roots" 3 '2 file systems look like a root, choose one with --root N' convert "$work/two.raw" -o "$work/out.raw"
refused "two roots, another one chosen" 1 '--root 3' convert "$work/two.raw" -o "$work/out.raw" --root 3
check "two roots: no output" test ! -e "$work/out.raw"
check "two roots: the second" convert "$work/two.raw" -o "$work/out.raw" --root 2
check "two roots: it would boot" "$PV2HVM" verify -q "$work/out.raw" --root 2
check "two roots: the first is as it was" cmp -i $((2048 * 512)) -n $((524288 * 512)) "$work/two.raw" "$work/out.raw"
equal "two roots: source unchanged" "$before" "$(sum "$work/two.raw")"
rm -f "$work/two.raw" "$work/out.raw"

# --- a device in place
cp --sparse=always "$guest" "$work/device.raw"
if [ "$(id -u)" = 0 ] && device=$(losetup -f --show "$work/device.raw" 2>/dev/null); then
	defer sh -c "losetup -d $device 2>/dev/null"
	refused "device without an undo journal" 2 '--undo-file' convert "$device" --in-place
	status=0
	convert "$device" --in-place --undo-file "$work/device.undo" >"$work/stdout" || status=$?
	equal "device: converts" 0 "$status"
	check "device: says how to put it back" grep -q "pv2hvm undo $device --undo-file $work/device.undo" "$work/stdout"
	check "device: it would boot" "$PV2HVM" verify -q "$device"
	check "device: undo" "$PV2HVM" undo "$device" --undo-file "$work/device.undo"
	losetup -d "$device"
	equal "device: byte for byte as before" "$(sum "$guest")" "$(sum "$work/device.raw")"
else
	echo "skipped: no loop device can be had here"
fi
finish
