#!/usr/bin/env bash
# A guest's volume that was copied while it was mounted converts in every mode: what only the journal holds is in the
# result, and the source stays as it is. A volume that is marked as damaged is refused with e2fsck's words, or repaired.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img mmdebstrap e2fsck debugfs dumpe2fs jq
[ "$(id -u)" = 0 ] || skip "mounting needs root"

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
dirty=$work/dirty.raw
mkdir "$work/mnt"

# A running system: files written, one deleted and still open; the last one synced, so that it is in the journal, but no
# block of the file system's own is written back yet.
cp --sparse=always "$guest" "$work/running.raw"
mount -o loop,commit=300 "$work/running.raw" "$work/mnt" 2>/dev/null || skip "a loop mount is not possible here"
defer sh -c "umount $work/mnt 2>/dev/null"
mkdir "$work/mnt/srv/late"
for i in $(seq 50); do
	echo "file $i" >"$work/mnt/srv/late/$i"
done
head -c 2000000 /dev/zero | tr '\0' x >"$work/mnt/srv/open"
sync "$work/mnt/srv/open"
exec 9<"$work/mnt/srv/open"
rm "$work/mnt/srv/open"
echo "only in the journal" >"$work/mnt/srv/late/last"
sync "$work/mnt/srv/late/last"
cp --sparse=always "$work/running.raw" "$dirty"
exec 9<&-
umount "$work/mnt"
rm "$work/running.raw"
before=$(sum "$dirty")

late() { debugfs -R 'cat /srv/late/last' "$1" 2>/dev/null; }
# sound IMAGE OFFSET WHAT
sound() {
	check "$3: e2fsck finds nothing" e2fsck -fn "$1?offset=$2"
	equal "$3: the file that only the journal had" "only in the journal" "$(late "$1?offset=$2")"
}
convert() { "$PV2HVM" convert "$@" --donor "$donor"; }

check "the copy needs recovery" grep -q needs_recovery <(dumpe2fs -h "$dirty" 2>/dev/null)
equal "the file is not in it before" '' "$(late "$dirty")"

check "inspect" "$PV2HVM" inspect "$dirty" --report "$work/inspect.txt"
check "inspect says so" grep -q 'the journal has to be replayed' "$work/inspect.txt"
"$PV2HVM" inspect "$dirty" --json >"$work/inspect.json"
equal "inspect as JSON says so" true "$(jq '[.. | .needs_recovery? // empty] | any' "$work/inspect.json")"
check "dry run" convert "$dirty" -n --report "$work/dry.txt"
check "dry run says what it does about it" grep -q 'the journal is replayed in the result' "$work/dry.txt"
equal "source unchanged by inspect and dry run" "$before" "$(sum "$dirty")"

for layout in partition flat; do
	offset=0
	[ "$layout" = flat ] || offset=1048576
	check "$layout: converts" convert "$dirty" --layout "$layout" -o "$work/out.raw"
	sound "$work/out.raw" "$offset" "$layout"
	check "$layout: verify agrees" "$PV2HVM" verify "$work/out.raw"
	check "$layout: converts once more" convert "$dirty" --layout "$layout" -o "$work/again.raw"
	check "$layout: the same bytes" cmp "$work/out.raw" "$work/again.raw"
	rm -f "$work/again.raw"
	[ "$layout" = partition ] || mv "$work/out.raw" "$work/flat.raw"
	rm -f "$work/out.raw"
done
equal "source unchanged" "$before" "$(sum "$dirty")"

qemu-img convert -q -O qcow2 "$dirty" "$work/dirty.qcow2"
check "qcow2: converts" convert "$work/dirty.qcow2" --layout flat -o "$work/from-qcow2.raw"
check "qcow2: the same bytes as from raw" qemu-img compare -q "$work/flat.raw" "$work/from-qcow2.raw"
rm -f "$work/from-qcow2.raw"

for layout in partition flat; do
	offset=0
	[ "$layout" = flat ] || offset=1048576
	cp --sparse=always "$dirty" "$work/place.raw"
	if convert "$work/place.raw" --layout "$layout" --in-place >"$work/place.log" 2>&1; then
		passed "in place, $layout: converts"
		sound "$work/place.raw" "$offset" "in place, $layout"
		check "in place, $layout: undo" "$PV2HVM" undo "$work/place.raw"
	elif grep -q 'nothing can be inserted' "$work/place.log"; then
		echo "skipped: in place, $layout: $(cat "$work/place.log")"
	else
		failed "in place, $layout: $(cat "$work/place.log")"
	fi
	equal "in place, $layout: byte for byte as before" "$before" "$(sum "$work/place.raw")"
	rm -f "$work/place.raw"
done

cp --sparse=always "$dirty" "$work/place.raw"
if device=$(losetup -f --show "$work/place.raw" 2>/dev/null); then
	defer sh -c "losetup -d $device 2>/dev/null"
	check "device: converts in place" convert "$device" --in-place --undo-file "$work/device.undo"
	sound "$device" 0 "device"
	check "device: undo" "$PV2HVM" undo "$device" --undo-file "$work/device.undo"
	losetup -d "$device"
	equal "device: byte for byte as before" "$before" "$(sum "$work/place.raw")"
fi

# --- marked as damaged
cp --sparse=always "$guest" "$work/bad.raw"
printf 'sif /etc/fstab blocks 4711\nssv state 3\n' | debugfs -w -f - "$work/bad.raw" >/dev/null 2>&1
bad=$(sum "$work/bad.raw") status=0
convert "$work/bad.raw" -o "$work/out.raw" >/dev/null 2>"$work/bad.err" || status=$?
equal "damaged: refused" 3 "$status"
check "damaged: with e2fsck's words" grep -q 'e2fsck: .*i_blocks is 4711' "$work/bad.err"
check "damaged: no output" test ! -e "$work/out.raw"
check "damaged: --repair converts" convert "$work/bad.raw" --repair --layout flat -o "$work/out.raw"
check "damaged: sound after that" e2fsck -fn "$work/out.raw"
equal "damaged: source unchanged" "$bad" "$(sum "$work/bad.raw")"
finish
