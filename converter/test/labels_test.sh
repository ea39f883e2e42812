#!/usr/bin/env bash
# What belongs to a file beside its bytes: SELinux labels by the guest's own policy for what is new, and the labels,
# capabilities and access control lists of what was there.
set -euo pipefail
# shellcheck source=converter/test/support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=converter/test/small.sh
. "$(dirname "${BASH_SOURCE[0]}")/small.sh"
need cc cpio mke2fs debugfs e2fsck jq

offset=0
# attribute IMAGE PATH NAME: its value without the NUL at the end, as hexadecimal digits where it is no text
attribute() {
	debugfs -R "ea_get -f $work/value $2 $3" "$1?offset=$offset" >/dev/null 2>&1 || :
	if [ -s "$work/value" ]; then tr -d '\0' <"$work/value"; else echo none; fi
	rm -f "$work/value"
}
hex() { attribute "$@" >"$work/hex"; od -An -tx1 <"$work/hex" | tr -d ' \n'; }

small_guest "$work/guest"
small_donor "$work/donor"
contexts=$work/guest/etc/selinux/targeted/contexts/files/file_contexts
mkdir -p "$(dirname "$contexts")"
printf 'SELINUX=enforcing\nSELINUXTYPE=targeted\n' >"$work/guest/etc/selinux/config"
{
	printf '/.*\tsystem_u:object_r:default_t:s0\n'
	printf '/boot(/.*)?\tsystem_u:object_r:boot_t:s0\n'
	printf '/boot/grub/.*\\.lst\t--\t<<none>>\n'
	printf '/boot/.*\t-d\tsystem_u:object_r:boot_dir_t:s0\n'
	printf '/usr/lib/modules(/.*)?\tsystem_u:object_r:modules_object_t:s0\n'
	printf '/usr/lib/modules/[^/]+/modules\\..+\t--\tsystem_u:object_r:modules_dep_t:s0\n'
} >"$contexts"
printf '/boot/grub/grub.cfg\tsystem_u:object_r:local_t:s0:c1,c2\n' >"$contexts.local"
printf '/lib /usr/lib\n' >"$contexts.subs_dist"
printf 'x' >"$work/guest/bin/ping"
small_image "$work/guest" "$work/guest.raw" -I 128

# VFS_CAP_REVISION_2, cap_net_raw permitted and effective; an access control list with user 1000 in it
printf '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00' >"$work/cap"
printf '\x01\x00\x00\x00\x01\x00\x06\x00\x02\x00\x04\x00\xe8\x03\x00\x00\x04\x00\x04\x00\x10\x00\x04\x00\x20\x00\x04\x00' >"$work/acl"
printf 'system_u:object_r:etc_t:s0\0' >"$work/label"
debugfs -w -f - "$work/guest.raw" >/dev/null 2>&1 <<END
ea_set -f $work/cap /bin/ping security.capability
ea_set -f $work/acl /etc/fstab system.posix_acl_access
ea_set -f $work/label /etc/fstab security.selinux
END
cap=$(hex "$work/guest.raw" /bin/ping security.capability)
acl=$(hex "$work/guest.raw" /etc/fstab system.posix_acl_access)
equal "the guest has a file with a capability" "$(tr -d '\0' <"$work/cap" | od -An -tx1 | tr -d ' \n')" "$cap"

for layout in flat partition; do
	image=$work/$layout.raw
	offset=0
	check "$layout: converts" "$PV2HVM" convert "$work/guest.raw" --donor "$work/donor" -o "$image" --layout "$layout"
	[ "$layout" = flat ] || offset=$((2048 * 512))
	label() { equal "$layout: $1" "system_u:object_r:$2:s0${3:-}" "$(attribute "$image" "$1" security.selinux)"; }
	label "/boot/vmlinuz-$small_release" boot_t
	label "/boot/initrd.img-$small_release" boot_t
	label /boot/grub/i386-pc boot_dir_t
	label /boot/grub/i386-pc/normal.mod boot_t
	label /boot/grub/grub.cfg local_t :c1,c2
	label "/lib/modules/$small_release" modules_object_t
	label "/lib/modules/$small_release/kernel/ena.ko" modules_object_t
	label "/lib/modules/$small_release/modules.dep" modules_dep_t
	label /etc/fstab etc_t
	equal "$layout: <<none>> is no label" none "$(attribute "$image" /boot/grub/i386-pc/moddep.lst security.selinux)"
	equal "$layout: what was there keeps having none" none "$(attribute "$image" /bin/ping security.selinux)"
	equal "$layout: capabilities are kept" "$cap" "$(hex "$image" /bin/ping security.capability)"
	equal "$layout: access control lists are kept, in a file that was changed" "$acl" "$(hex "$image" /etc/fstab system.posix_acl_access)"
	check "$layout: fstab was changed" grep -q UUID= <(debugfs -R 'cat /etc/fstab' "$image?offset=$offset" 2>/dev/null)
	check "$layout: e2fsck finds nothing" e2fsck -fn "$image?offset=$offset"
done
check "a second conversion makes the same bytes" "$PV2HVM" convert "$work/guest.raw" --donor "$work/donor" -o "$work/again.raw" --layout flat
check "the same bytes" cmp "$work/flat.raw" "$work/again.raw"

# A policy whose look-up takes for ever: the guest labels itself
for i in $(seq 200); do printf '/usr/lib/(([a-z0-9./-]+)+)+[A-Z]+%s\tsystem_u:object_r:x_t:s0\n' "$i"; done >>"$contexts"
small_image "$work/guest" "$work/evil.raw"
check "an evil policy does not stop the conversion" "$PV2HVM" convert "$work/evil.raw" --donor "$work/donor" -o "$work/evil-out.raw" \
	--layout flat --report "$work/evil.json"
equal "it is told" selinux "$(jq -r '.findings[] | select(.text | contains("cannot be looked up")) | .rule' "$work/evil.json")"
check "and the guest will label itself" grep -q 'Type: regular' <(debugfs -R 'stat /.autorelabel' "$work/evil-out.raw" 2>/dev/null)
finish
