#!/usr/bin/env bash
# A guest that was killed in the middle of its writes: QEMU ends with SIGKILL while the guest makes files and syncs. The
# volume that it leaves, as PV guests' are (no boot code), converts with its journal replayed.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap debugfs dumpe2fs e2fsck

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
image=$work/guest.raw

# The guest's own tree, and an init that writes until somebody stops it
cp --sparse=always "$guest" "$work/writer.raw"
cat >"$work/writer" <<'EOF'
#!/bin/sh
mount -t proc proc /proc
mount -o remount,rw /
mkdir /srv/written
i=0
while :; do
	i=$((i + 1))
	echo "file $i" >/srv/written/$i
	if [ $((i % 20)) = 0 ]; then
		sync
		echo "P2H SYNCED $i" >/dev/console
	fi
done
EOF
printf 'write %s /sbin/writer\nsif /sbin/writer mode 0100755\n' "$work/writer" | debugfs -w -f - "$work/writer.raw" >/dev/null 2>&1
check "converts, flat, to run the writer" "$PV2HVM" convert "$work/writer.raw" --donor "$donor" --layout flat --target kvm \
	--cmdline-add init=/sbin/writer -o "$image"
rm "$work/writer.raw"

# Not by boot-image, which never writes to an image
case $("$PV2HVM_SOURCE_DIR/scripts/boot-image" --accel) in
kvm) accel=(-accel kvm -cpu host) ;;
*) accel=(-accel tcg -cpu 'qemu64,-cx16') ;;
esac
qemu-system-x86_64 "${accel[@]}" -m 512 -nodefaults -display none -no-reboot -drive "file=$image,format=raw,if=virtio" \
	-serial "file:$work/console.log" >/dev/null 2>&1 </dev/null &
qemu=$!
defer sh -c "kill -9 $qemu 2>/dev/null"
for ((i = 0; i < 600; i++)); do
	grep -aq 'P2H SYNCED 60' "$work/console.log" 2>/dev/null && break
	kill -0 "$qemu" 2>/dev/null || break
	sleep 0.5
done
kill -9 "$qemu" 2>/dev/null || :
wait "$qemu" 2>/dev/null || :
synced=$(grep -a 'P2H SYNCED' "$work/console.log" | tail -n 1 | tr -dc 0-9 | sed 's/^2//')
check "the guest wrote and synced ${synced:-no} files" test "${synced:-0}" -ge 60
check "its file system waits for its journal" sh -c "dumpe2fs -h '$image' 2>/dev/null | grep -q needs_recovery"
dd if=/dev/zero of="$image" bs=440 count=1 conv=notrunc status=none # a PV volume has no boot code
before=$(sum "$image")

check "a dry run replays the journal in memory" "$PV2HVM" convert "$image" --donor "$donor" --dry-run --cmdline-remove init
check "converts to a new file" "$PV2HVM" convert "$image" --donor "$donor" --target xen-hvm,nitro,kvm --cmdline-remove init -o "$work/hvm.raw"
equal "source unchanged" "$before" "$(sum "$image")"
check "e2fsck finds nothing in the result" e2fsck -fn "$work/hvm.raw?offset=$((2048 * 512))"
lost=0
for ((i = 1; i <= ${synced:-0}; i++)); do
	[ "$(debugfs -R "cat /srv/written/$i" "$work/hvm.raw?offset=$((2048 * 512))" 2>/dev/null)" = "file $i" ] || lost=$((lost + 1))
done
equal "files lost of those that the guest had synced" 0 "$lost"
check "the result boots" boot "$work/hvm.raw" --bus nvme --timeout 300 --expect '^P2H modprobe=ok'
check "converts in place" "$PV2HVM" convert "$image" --donor "$donor" --in-place --cmdline-remove init
check "undo" "$PV2HVM" undo "$image"
equal "undo gave back the dirty volume, byte for byte" "$before" "$(sum "$image")"
finish
