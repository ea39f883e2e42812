#!/usr/bin/env bash
# A Debian 11 guest with all that EC2 gave it (no partition table, menu.lst, hvc0, devices that will not be there, a
# network card that is no more) comes up whole: its services, its network, its modules and no failed unit.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap blkid e2fsck debugfs

source=$(sample bullseye-systemd)
donor=$(sample donor-bookworm)
before=$(sum "$source")
image=$work/hvm.raw
offset=$((2048 * 512))

# facts of the tree that a conversion has nothing to do with, each file's bytes, owner, mode and attributes
payload() {
	local file
	for file in /srv/payload/app.conf /srv/payload/deep/er/data.txt /srv/payload/ping /srv/payload/with-acl \
		/srv/payload/deep/symbolic-link.conf /srv/payload/deep/hard-link.conf /etc/passwd /etc/shadow; do
		printf '%s\n' "$file"
		debugfs -R "stat $file" "$1" 2>/dev/null | grep -E 'Inode|User|Links|mtime|dest'
		debugfs -R "ea_list $file" "$1" 2>/dev/null
		debugfs -R "cat $file" "$1" 2>/dev/null | sha256sum
	done
}

equal "a PV guest does not boot through a BIOS as it is" 1 \
	"$(boot "$source" --bus nvme --timeout 20 >/dev/null 2>&1 && echo 0 || echo $?)"
check "converts" "$PV2HVM" convert "$source" --donor "$donor" --target xen-hvm,nitro,kvm --layout partition -o "$image"
[ -s "$image" ] || finish
equal "source unchanged" "$before" "$(sum "$source")"
check "e2fsck finds nothing" e2fsck -fn "$image?offset=$offset"
payload "$source" >"$work/payload.before"
payload "$image?offset=$offset" >"$work/payload.after"
check "the payload is as it was: bytes, links, owners, ACL, capability" diff -u "$work/payload.before" "$work/payload.after"
uuid=$(blkid -p -O "$offset" -o value -s UUID "$image")
version=$(debugfs -R 'ls -p /lib/modules' "$donor?offset=$offset" 2>/dev/null | cut -d/ -f6 | grep '^[0-9]')
check "boots on nvme: donor's kernel, root by UUID, network, modules, no failed unit, a login prompt on ttyS0" \
	boot "$image" --bus nvme --timeout 600 \
	--expect "^P2H root=/dev/nvme0n1p1 cmdline-root=UUID=$uuid\$" \
	--expect "^P2H kernel=${version//./\\.}\$" \
	--expect '^P2H net=10\.0\.2\.15$' \
	--expect '^P2H modprobe=ok' \
	--expect '^P2H failed-units=0:$' \
	--expect 'login: *$'
finish
