#!/usr/bin/env bash
# A guest's volume that was copied while it was mounted converts in every mode: what only the journal holds is in the
# result, and the source stays as it is. So does a donor. A volume that is damaged, marked so or not, is refused with e2fsck's words,
# or repaired.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img mmdebstrap e2fsck debugfs dumpe2fs sfdisk jq
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

# --- damaged, and not marked so
state() { dumpe2fs -h "$1" 2>/dev/null | sed -n 's/^Filesystem state: *//p'; }
# unmarked NAME COMMANDS REGEX: debugfs' commands spoil the file system; every way to read it says so
unmarked() {
	local name=$1 image=$work/unmarked.raw status sum
	cp --sparse=always "$guest" "$image"
	printf '%s\n' "$2" | debugfs -w -f - "$image" >/dev/null 2>&1
	equal "$name: not marked" "$(state "$guest")" "$(state "$image")"
	sum=$(sum "$image")
	for kind in "-o $work/out.raw" --in-place -n; do
		status=0
		# shellcheck disable=SC2086
		convert "$image" $kind -q >/dev/null 2>"$work/bad.err" || status=$?
		equal "$name: convert ${kind%% *} refuses" 3 "$status"
		equal "$name: convert ${kind%% *}: one line" 1 "$(wc -l <"$work/bad.err")"
		check "$name: convert ${kind%% *}: e2fsck's words, and what to do" grep -qE "e2fsck -fn says: .*$3.*--repair" "$work/bad.err"
	done
	check "$name: inspect" "$PV2HVM" inspect "$image" --report "$work/inspect.txt"
	check "$name: inspect says so" grep -qE "e2fsck +.*$3" "$work/inspect.txt"
	equal "$name: inspect as JSON says so" true "$("$PV2HVM" inspect "$image" --json | jq '[.. | .damaged? // empty] | any')"
	equal "$name: unchanged" "$sum" "$(sum "$image")"
	check "$name: nothing left" test ! -e "$work/out.raw" -a ! -e "$image.pv2hvm-undo"
}
rm -f "$work/out.raw"
unmarked "wrong count" 'sif /etc/fstab blocks 4711' 'i_blocks is 4711'
check "wrong count: --no-check converts" convert "$work/unmarked.raw" --no-check --layout flat -o "$work/out.raw"
rm -f "$work/out.raw"
qemu-img convert -q -O qcow2 "$work/unmarked.raw" "$work/unmarked.qcow2"
status=0
convert "$work/unmarked.qcow2" -n -q >/dev/null 2>"$work/bad.err" || status=$?
equal "wrong count, qcow2: refused" 3 "$status"
check "wrong count, qcow2: the same words" grep -q 'i_blocks is 4711' "$work/bad.err"
before=$(sum "$work/unmarked.raw")
check "wrong count: --repair in place" convert "$work/unmarked.raw" --repair --layout flat --in-place
check "wrong count: sound after that" e2fsck -fn "$work/unmarked.raw"
check "wrong count: undo" "$PV2HVM" undo "$work/unmarked.raw"
equal "wrong count: byte for byte as before" "$before" "$(sum "$work/unmarked.raw")"
unmarked "name without a file" 'clri /etc/hostname' 'hostname'
for image in "$guest" "$work/dirty.qcow2"; do
	equal "$(basename "$image"): checked, and nothing found" 'true false' \
		"$("$PV2HVM" inspect "$image" --json | jq -r '[.. | objects | select(has("checked")) | "\(.checked) \(.damaged)"] | first')"
done

# --- a donor that was copied while it was mounted: its modules' index is only in the journal
offset=$(sfdisk --json "$donor" 2>/dev/null | jq '.partitiontable.partitions[0].start * 512') || offset=0
cp --sparse=always "$donor" "$work/donor.raw"
fs="$work/donor.raw?offset=${offset:-0}"
kernel=$(debugfs -R 'ls -p /boot' "$fs" 2>/dev/null | sed -n 's|.*/vmlinuz-\([^/]*\)/.*|\1|p' | sort -V | tail -n 1)
block=$(debugfs -R "bmap /usr/lib/modules/$kernel/modules.dep 0" "$fs" 2>/dev/null)
size=$(dumpe2fs -h "$fs" 2>/dev/null | sed -n 's/^Block size: *//p')
if [ -n "$block" ] && [ -n "$size" ]; then
	dd if="$work/donor.raw" of="$work/block" bs="$size" skip=$((block + ${offset:-0} / size)) count=1 status=none
	printf 'jo\njw -b %s %s\njc\n' "$block" "$work/block" | debugfs -w -f - "$fs" >/dev/null 2>&1
	dd if=/dev/zero of="$work/donor.raw" bs="$size" seek=$((block + ${offset:-0} / size)) count=1 conv=notrunc status=none
	check "donor: needs recovery" grep -q needs_recovery <(dumpe2fs -h "$fs" 2>/dev/null)
	before=$(sum "$work/donor.raw")
	check "donor: converts" "$PV2HVM" convert "$guest" --donor "$work/donor.raw" --layout flat -o "$work/from-dirty.raw"
	check "donor: converts with the clean one" convert "$guest" --layout flat -o "$work/from-clean.raw"
	check "donor: the same bytes as from the clean one" cmp "$work/from-dirty.raw" "$work/from-clean.raw"
	equal "donor: unchanged" "$before" "$(sum "$work/donor.raw")"
	rm -f "$work"/from-*.raw
else
	failed "donor: its modules.dep was not found (kernel '$kernel', block '$block')"
fi
finish
