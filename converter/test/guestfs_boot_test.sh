#!/usr/bin/env bash
# What goes through libguestfs: a donor and a guest on XFS. The samples' own trees are put on XFS by guestfish. The guest is converted and booted. Each
# appliance takes its time to start; that XFS cannot be flat is for plan_test.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 guestfish mkfs.xfs xfs_repair jq blkid mmdebstrap

use_libguestfs
ext_guest=$(sample tiny-busybox)
ext_donor=$(sample donor-bookworm)
guest=$work/guest.raw donor=$work/donor.raw
uuid=6d0c7c1e-9a54-4f1d-8a0e-0a1b2c3d4e5f

# on_xfs FROM DEVICE TO DEVICE [EXCEPT]: a tree from ext to an empty XFS, each a device of a raw image (/dev/sda.. is FROM's, /dev/sdb.. TO's); more
# commands for guestfish, with the tree in /to, come from standard input. EXCEPT: what of the tree nobody will look at
on_xfs() {
	guestfish <<-END || return
		add-drive $1 readonly:true format:raw
		add-drive $3 format:raw
		run
		mkmountpoint /from
		mkmountpoint /to
		mount-ro $2 /from
		mount $4 /to
		tar-out /from $work/tree.tar numericowner:true xattrs:true "excludes:${5:-./lost+found}"
		tar-in $work/tree.tar /to xattrs:true
		$(cat)
	END
	rm -f "$work/tree.tar"
}

truncate -s 400M "$guest"
mkfs.xfs -q -m uuid=$uuid "$guest"
check "guestfish puts the guest on XFS" on_xfs "$ext_guest" /dev/sda "$guest" /dev/sdb <<-END
	download /to/etc/fstab $work/fstab
	! sed -i 's/ ext4 / xfs /' $work/fstab
	upload $work/fstab /to/etc/fstab
END
truncate -s 2047M "$work/volume"
mkfs.xfs -q "$work/volume"
truncate -s 2G "$donor"
dd if="$work/volume" of="$donor" bs=1M seek=1 conv=sparse,notrunc status=none
rm "$work/volume"
echo '2048,,83,*' | sfdisk -q "$donor"
check "guestfish puts the donor on XFS" on_xfs "$ext_donor" /dev/sda1 "$donor" /dev/sdb1 \
	'./usr/share ./usr/bin ./usr/sbin ./usr/lib/x86_64-linux-gnu ./var' </dev/null
sum_guest=$(sum "$guest") sum_donor=$(sum "$donor")

# --- a donor on XFS gives what the same donor on ext4 gives
check "converts with a donor on ext4" "$PV2HVM" convert "$ext_guest" --donor "$ext_donor" -o "$work/ext.raw"
check "converts with a donor on XFS" "$PV2HVM" convert "$ext_guest" --donor "$donor" -o "$work/xfs.raw"
check "both results are the same" cmp "$work/ext.raw" "$work/xfs.raw"
equal "the donor is unchanged" "$sum_donor" "$(sum "$donor")"
check "libext2fs reads an ext4" "$PV2HVM" inspect "$ext_guest" --report "$work/by-ext.json"
check "libguestfs reads it too" "$PV2HVM" inspect "$ext_guest" --engine guestfs --report "$work/by-guestfs.json"
equal "and finds the same kernels, menus and services" "$(jq -S '.guest | del(.file_system.features)' "$work/by-ext.json")" \
	"$(jq -S '.guest | del(.file_system.features)' "$work/by-guestfs.json")"
rm -f "$work/ext.raw" "$work/xfs.raw"

# --- a guest on XFS, with that donor: one appliance for both
check "converts a guest on XFS" "$PV2HVM" convert "$guest" --donor "$donor" -o "$work/hvm.raw" --target nitro,kvm --report "$work/report.json"
equal "the guest is unchanged" "$sum_guest" "$(sum "$guest")"
equal "its root" "xfs $uuid" "$(jq -r '.source | .volumes[.root] | "\(.content) \(.uuid)"' "$work/report.json")"
equal "it is in a partition" 'partition 1 2048' \
	"$(jq -r '"\(.plan.layout) \(.layout_after.partitions[0] | "\(.number) \(.start_sector)")"' "$work/report.json")"
check "verify: it would boot" "$PV2HVM" verify "$work/hvm.raw" --target nitro,kvm
dd if="$work/hvm.raw" of="$work/volume.raw" bs=1M skip=1 conv=sparse status=none
check "xfs_repair finds nothing" xfs_repair -n "$work/volume.raw"
rm -f "$work/volume.raw"
check "it boots" boot "$work/hvm.raw" --bus nvme --timeout 600 --expect "^P2H root=/dev/nvme0n1p1 cmdline-root=UUID=$uuid\$" \
	--expect '^P2H mount: /dev/nvme0n1p1 / xfs rw' --expect '^P2H net=10\.0\.2\.15$' --expect '^P2H modprobe=ok'

# --- in place, and back
cp --sparse=always "$guest" "$work/place.raw"
check "converts in place" "$PV2HVM" convert "$work/place.raw" --donor "$ext_donor" --target nitro,kvm --in-place
check "that was a conversion" test "$sum_guest" != "$(sum "$work/place.raw")"
check "undo" "$PV2HVM" undo "$work/place.raw"
equal "every byte is back" "$sum_guest" "$(sum "$work/place.raw")"
rm "$work/place.raw"

# --- what is refused
status=0
"$PV2HVM" convert "$guest" --donor "$ext_donor" -o "$work/refused.raw" --engine ext >"$work/out" 2>"$work/err" || status=$?
equal "--engine ext: exit status" 1 "$status"
check "--engine ext: says what to do" grep -q 'xfs.*--engine' "$work/err"
check "nothing was written" test ! -e "$work/refused.raw"

finish
