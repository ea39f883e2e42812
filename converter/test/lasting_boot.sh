#!/usr/bin/env bash
# What the guest's own tools do after the conversion leaves a system that boots: in a running guest update-grub, its kernel
# package and its boot loader package once more; then it is switched off and starts again, on another bus. Guests: one
# with grub-pc, and one with GRUB legacy's menu.lst.
#
# lasting_boot.sh [grub-pc | grub-legacy]...
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-system-x86_64 qemu-img mmdebstrap dpkg-repack debugfs

donor=$(sample donor-bookworm)
offset=$((2048 * 512))

# into IMAGE PATH [MODE]: standard input becomes a file of the guest
into() {
	cat >"$work/into"
	printf 'rm %s\nwrite %s %s\nset_inode_field %s mode 0100%s\n' "$2" "$work/into" "$2" "$2" "${3:-644}" |
		debugfs -w -f - "$1" >/dev/null 2>&1
}

# prepare GUEST: a copy that upgrades itself once at its next boot, and then switches itself off
prepare() {
	cp --sparse=always "$1" "$work/guest.raw"
	into "$work/guest.raw" /usr/local/sbin/p2h-upgrade 755 <<-'END'
	#!/bin/sh
	# Once: what an upgrade of kernel and boot loader does
	rm /etc/systemd/system/multi-user.target.wants/p2h-upgrade.service
	export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
	update-grub </dev/null >/var/log/p2h-upgrade 2>&1
	menu=$?
	dpkg -i /var/lib/p2h-packages/*.deb </dev/null >>/var/log/p2h-upgrade 2>&1
	packages=$?
	dmesg -n 1
	sed 's/^/upgrade: /' /var/log/p2h-upgrade >/dev/console
	printf '\nP2H upgrade: update-grub=%s packages=%s\nP2H UPGRADED\n' "$menu" "$packages" >/dev/console
	systemctl poweroff
	END
	into "$work/guest.raw" /etc/systemd/system/p2h-upgrade.service <<-'END'
	[Unit]
	After=network.target
	[Service]
	ExecStart=/usr/local/sbin/p2h-upgrade
	END
	printf 'symlink /etc/systemd/system/multi-user.target.wants/p2h-upgrade.service ../p2h-upgrade.service\n' |
		debugfs -w -f - "$work/guest.raw" >/dev/null 2>&1
}

file_of() { debugfs -R "cat $1" "$work/hvm.raw?offset=$offset" 2>/dev/null; }

# upgrade WHAT: converts work/guest.raw, boots it with its disk writable
upgrade() {
	check "$1: converts" "$PV2HVM" convert "$work/guest.raw" --donor "$donor" --target xen-hvm,nitro,kvm --layout partition \
		-o "$work/hvm.raw" --force
	check "$1: upgrades its kernel and boot loader itself" boot "$work/hvm.raw" --write --bus virtio --marker 'P2H UPGRADED' \
		--timeout 900 --log "$work/upgrade.log" --expect '^P2H upgrade: update-grub=0 packages=0$'
	check "$1: e2fsck finds nothing" e2fsck -fn "$work/hvm.raw?offset=$offset"
	check "$1: it would boot" "$PV2HVM" verify "$work/hvm.raw" --target xen-hvm,nitro,kvm
	check "$1: starts again, on another bus" boot "$work/hvm.raw" --bus nvme --timeout 600 --expect '^P2H kernel=6\.1\.' \
		--expect '^P2H root=/dev/nvme0n1p1 cmdline-root=UUID=' --expect '^P2H net=10\.0\.2\.15$' --expect '^P2H modprobe=ok' \
		--expect 'login: *$'
}

grub_pc() {
	prepare "$(sample bullseye-grub-pc)"
	printf 'mkdir /var/cache/debconf\n' | debugfs -w -f - "$work/guest.raw" >/dev/null 2>&1
	into "$work/guest.raw" /var/cache/debconf/config.dat 600 <<-'END'
	Name: grub-pc/install_devices
	Template: grub-pc/install_devices
	Value: /dev/xvda
	Owners: grub-pc
	Flags: seen

	Name: grub-pc/install_devices_empty
	Template: grub-pc/install_devices_empty
	Value: false
	Owners: grub-pc
	Flags: seen

	END
	upgrade grub-pc
	file_of /boot/grub/grub.cfg >"$work/grub.cfg"
	check "grub-pc: the menu is the guest's own now" grep -q 'BEGIN /etc/grub.d/10_linux' "$work/grub.cfg"
	check "grub-pc: with our parameters" grep -q 'linux.*/boot/vmlinuz-6.1.* root=UUID=.*console=ttyS0,115200n8.*net.ifnames=0' "$work/grub.cfg"
	equal "grub-pc: without those for PV only" 0 "$(grep -c hvc0 "$work/grub.cfg")"
	equal "grub-pc: it was not installed anywhere" '' "$(file_of /boot/grub/i386-pc/core.img | head -c 1)"
}

grub_legacy() {
	prepare "$(sample bullseye-grub-legacy)"
	upgrade grub-legacy
	file_of /boot/grub/menu.lst >"$work/menu.lst"
	check "grub-legacy: update-grub made entries with our parameters" grep -q '^kernel.*vmlinuz-5.10.* root=UUID=.*console=ttyS0,115200n8' "$work/menu.lst"
	# The submenu's first entry by default: it is GRUB that reads menu.lst
	file_of /boot/grub/grub.cfg | sed "s/^set default=.*/set default='pv2hvm-menu.lst>0'/" >"$work/grub.cfg"
	into "$work/hvm.raw?offset=$offset" /boot/grub/grub.cfg <"$work/grub.cfg"
	check "grub-legacy: an entry of menu.lst starts" boot "$work/hvm.raw" --bus virtio --timeout 600 --expect '^P2H kernel=' \
		--expect '^P2H root=/dev/vda1 cmdline-root=UUID=' --expect '^P2H net=10\.0\.2\.15$'
}

[ $# -gt 0 ] || set -- grub-pc grub-legacy
for guest; do
	case $guest in
	grub-pc) grub_pc ;;
	grub-legacy) grub_legacy ;;
	*) echo "which guest is '$guest'?" >&2; exit 2 ;;
	esac
done
finish
