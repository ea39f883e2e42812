#!/usr/bin/env bash
# A small guest, converted in both layouts: the result is sound, is the same each time, boots on every bus that a target
# stands for, and the source is as it was.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap sfdisk blkid e2fsck jq

source=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
before=$(sum "$source")
targets=xen-hvm,nitro,kvm

# convert OUTPUT LAYOUT OPTION...
convert() {
	local output=$1 layout=$2
	shift 2
	"$PV2HVM" convert "$source" --donor "$donor" --target "$targets" --layout "$layout" -o "$output" "$@"
}

nothing_to_do() {
	"$PV2HVM" convert "$1" --donor "$donor" --target "$targets" -o "$work/again.raw" >"$work/again.out" || return
	cat "$work/again.out"
	grep -qi 'nothing to do' "$work/again.out" && [ ! -e "$work/again.raw" ]
}

# What the file system at a byte offset says of itself: blkid's type and UUID
file_system() { blkid -p -O "$2" -o value -s TYPE -s UUID "$1" | sort | paste -sd' '; }

for layout in partition flat; do
	image=$work/$layout.raw
	offset=0
	[ "$layout" = flat ] || offset=$((2048 * 512))
	check "$layout: converts" convert "$image" "$layout" --report "$work/$layout.json" --report "$work/$layout.txt"
	[ -s "$image" ] || finish
	equal "$layout: source unchanged" "$before" "$(sum "$source")"
	check "$layout: converts once more" convert "$work/$layout.2.raw" "$layout"
	check "$layout: the second conversion gave the same bytes" cmp "$image" "$work/$layout.2.raw"
	rm -f "$work/$layout.2.raw"
	check "$layout: e2fsck finds nothing" e2fsck -fn "$image?offset=$offset"
	equal "$layout: the root file system is the guest's" "$(file_system "$source" 0)" "$(file_system "$image" "$offset")"

	check "$layout: the JSON report is JSON with a schema version" jq -e '.schema_version' "$work/$layout.json"
	if [ "$layout" = partition ]; then
		sfdisk --json "$image" >"$work/sfdisk.json" 2>/dev/null || :
		equal "partition: one active Linux partition at sector 2048, to the end of the disk" \
			"dos 1 2048 83 true $(($(stat -c %s "$image") / 512 - 2048))" \
			"$(jq -r '.partitiontable | "\(.label) \(.partitions | length) \(.partitions[0] |
				"\(.start) \(.type) \(.bootable) \(.size)")"' "$work/sfdisk.json")"
		equal "partition: blkid sees a partition table" dos "$(blkid -p -o value -s PTTYPE "$image")"
		equal "partition: the report's table is sfdisk's" \
			"$(jq -c '.partitiontable | [.id, (.partitions[] | [.start, .size, .type, .bootable])]' "$work/sfdisk.json")" \
			"$(jq -c '.layout_after | [.table_id, (.partitions[] | [.start_sector, .sectors, .type, .active])]' "$work/$layout.json")"
		equal "partition: nothing is left of the old superblock" '' \
			"$(dd if="$image" bs=1 skip=$((1024 + 56)) count=2 status=none | tr -d '\0')"
	else
		equal "flat: as large as the source" "$(stat -c %s "$source")" "$(stat -c %s "$image")"
	fi
	equal "$layout: the report's root file system is blkid's" "$(file_system "$image" "$offset")" \
		"$(jq -r '(.layout_after.partitions[0] // .source.volumes[0]) | .uuid, .content' "$work/$layout.json" | sort | paste -sd' ')"
	equal "$layout: boot signature in sector 0" 55aa "$(dd if="$image" bs=1 skip=510 count=2 status=none | od -An -tx1 | tr -d ' ')"

	check "$layout: pv2hvm verify agrees" "$PV2HVM" verify "$image" --target "$targets"
	check "$layout: converting the result again: nothing to do" nothing_to_do "$image"
	done_sum=$(sum "$image")
	uuid=$(blkid -p -O "$offset" -o value -s UUID "$image")
	# The matrix' own test boots the others, and that twice.
	if [ "$layout" = flat ]; then buses=(nvme); else buses=(virtio ide); fi
	for bus in "${buses[@]}"; do
		check "$layout: boots on $bus with its root by UUID, network and modules" \
			boot "$image" --bus "$bus" --timeout 300 --log "$work/console.log" \
			--expect "^P2H root=/dev/.* cmdline-root=UUID=$uuid\$" --expect '^P2H net=10\.0\.2\.15$' --expect '^P2H modprobe=ok'
	done
	equal "$layout: booting it wrote nothing" "$done_sum" "$(sum "$image")"
done

check "qcow2: converts to qcow2" convert "$work/out.qcow2" partition --output-format qcow2
equal "qcow2: it is one" qcow2 "$(qemu-img info --output=json "$work/out.qcow2" | jq -r .format)"
check "qcow2: sound" qemu-img check -q "$work/out.qcow2"
check "qcow2: the same disk as the raw one, which boots" qemu-img compare "$work/out.qcow2" "$work/partition.raw"
equal "source unchanged at the end" "$before" "$(sum "$source")"
finish
