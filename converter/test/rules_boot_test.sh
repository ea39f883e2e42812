#!/usr/bin/env bash
# Rules whose need shows only in a boot: the same guest converted with --skip RULE fails in the way that the rule is there
# for, and converted with the rule does not.
#
# rules_boot_test.sh [--all | RULE...]: without arguments only the rules in `quick`, which together take one to two minutes.
# A rule is a function boot_RULE (with '_' for '-') below.
# rules_boot_test.sh --xen [RULE...]: those in `on_xen`, as HVM guests of scripts/xen-lab; each boot takes some minutes.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=donors.sh
. "$(dirname "${BASH_SOURCE[0]}")/donors.sh"
need qemu-system-x86_64 qemu-img mmdebstrap debugfs

quick=(initramfs-drivers vsyscall)
on_xen=(getty-inittab getty-systemd initramfs-drivers)
# The targets and the disk of the rules in on_xen
xen=no nvme=nitro virtio=(kvm --bus virtio) disk=/dev/vda
if [ "${1:-}" = --xen ]; then
	shift
	[ $# -gt 0 ] || set -- "${on_xen[@]}"
	xen=yes nvme=xen-hvm virtio=(xen-hvm) disk=/dev/xvda
	boot() { "$PV2HVM_SOURCE_DIR/scripts/xen-lab" boot --mode hvm "$@" --timeout 1800; }
fi

# put IMAGE FILE PATH MODE: a file into a guest's file system, in place of one that is there
put() {
	printf 'rm %s\nwrite %s %s\nset_inode_field %s mode 0%o\nset_inode_field %s uid 0\nset_inode_field %s gid 0\n' \
		"$3" "$2" "$3" "$3" $((0100000 | 0$4)) "$3" "$3" | debugfs -w -f - "$1" >/dev/null 2>&1
}

# take IMAGE PATH FILE
take() { debugfs -R "dump $2 $3" "$1" >/dev/null 2>&1; }

# release_in DONOR [ENDING]: the version of the kernel in a sample donor; where it has several, of the one whose version ends so
release_in() { debugfs -R 'ls -p /boot' "$1?offset=1048576" 2>/dev/null | sed -n "s|.*/vmlinuz-\\([^/]*${2:-}\\)/.*|\\1|p"; }

# copy SAMPLE FILE: a sample guest of one's own, to be changed
copy() {
	local from
	from=$(sample "$1")
	cp --sparse=always "$from" "$2"
}

# with_and_without RULE GUEST DONOR FAILS WORKS [BOOT-OPTION...]: boots the guest converted with --skip RULE, which has to say FAILS on
# its console, and converted with the rule, which has to say WORKS; both are extended regular expressions for a line
with_and_without() {
	local rule=$1 guest=$2 donor=$3 fails=$4 works=$5
	shift 5
	check "$rule: converts without the rule" "$PV2HVM" convert "$guest" --donor "$donor" -o "$work/$rule-without.qcow2" \
		--target xen-hvm,nitro,kvm --skip "$rule"
	check "$rule: fails without the rule" boot "$work/$rule-without.qcow2" --timeout 600 --expect "$fails" "$@"
	check "$rule: converts with the rule" "$PV2HVM" convert "$guest" --donor "$donor" -o "$work/$rule-with.qcow2" \
		--target xen-hvm,nitro,kvm
	check "$rule: works with the rule" boot "$work/$rule-with.qcow2" --timeout 600 --expect "$works" "$@"
	rm -f "$work/$rule-with.qcow2" "$work/$rule-without.qcow2"
}

# nothing_without RULE IMAGE COMMAND...: with --skip RULE verification keeps the command from writing IMAGE
nothing_without() {
	local rule=$1 image=$2 status=0
	shift 2
	"$@" --skip "$rule" >/dev/null 2>&1 || status=$?
	equal "$rule: without the rule nothing is written" "4 no" "$status $([ -e "$image" ] && echo yes || echo no)"
}

# edit_menu FILE-SYSTEM SCRIPT: grub.cfg, by sed
edit_menu() {
	take "$1" /boot/grub/grub.cfg "$work/grub.cfg"
	sed -i "$2" "$work/grub.cfg"
	put "$1" "$work/grub.cfg" /boot/grub/grub.cfg 644
}

# A static program, as old as the guest, that reads the clock on the vsyscall page; Debian's kernels are built without it.
# ticking_guest FILE: it runs that program
ticking_guest() {
	copy tiny-busybox "$1"
	cat >"$work/ticker.c" <<-'EOF'
	#include <stdio.h>
	int main(void)
	{
		long (*now)(long *) = (long (*)(long *))0xffffffffff600400;
		long seconds = now(0);

		printf("\nP2H ticker=%s\n", seconds > 1600000000 ? "ticks" : "stands");
		return 0;
	}
	EOF
	cc -O2 -static -o "$work/ticker" "$work/ticker.c"
	printf '#!/bin/sh\n/usr/local/sbin/ticker >/dev/console\nprintf "\\nP2H ticker-status=%%s\\n" $? >/dev/console\n' >"$work/ticker.sh"
	take "$1" /etc/inittab "$work/inittab"
	printf '::wait:/usr/local/sbin/ticker.sh\n' >>"$work/inittab"
	put "$1" "$work/ticker" /usr/local/sbin/ticker 755
	put "$1" "$work/ticker.sh" /usr/local/sbin/ticker.sh 755
	put "$1" "$work/inittab" /etc/inittab 644
}

boot_vsyscall() {
	need cc
	ticking_guest "$work/vsyscall.raw"
	# 139: ended by SIGSEGV
	with_and_without vsyscall "$work/vsyscall.raw" "$(sample donor-bookworm)" '^P2H ticker-status=139$' '^P2H ticker=ticks$'
}

# refuses RULE GUEST KERNEL WHY MARKER: donor-small-kernel's kernel whose version ends in KERNEL is refused for the guest, as WHY says; with
# --allow RULE the guest is converted, and MARKER on its console shows that it should not have been
refuses() {
	local rule=$1 image=$work/refused.raw donor command status=0
	donor=$(sample donor-small-kernel)
	command=("$PV2HVM" convert "$2" --donor "$donor" --kernel "$(release_in "$donor" "$3")" --target kvm -o "$image")
	"${command[@]}" --report "$work/refusal.txt" >/dev/null 2>&1 || status=$?
	equal "$rule: $3: refused" 3 "$status"
	check "$rule: $3: says why" grep -F "CONFIG_$4 is not set" "$work/refusal.txt"
	check "$rule: $3: converts when allowed" "${command[@]}" --allow "$rule"
	check "$rule: $3: and does not work" boot "$image" --bus virtio --timeout 600 --marker "$5"
	rm -f "$image"
}

# A kernel that cannot offer the page at all. With one that can, boot_vsyscall shows that it works.
boot_vsyscall_refused() {
	need cc
	ticking_guest "$work/vsyscall.raw"
	refuses vsyscall "$work/vsyscall.raw" small X86_VSYSCALL_EMULATION 'P2H ticker-status=139'
	rm -f "$work/vsyscall.raw"
}

# A kernel that runs 32-bit programs only when told to. Debian 13's knows the parameter and has the other default: the donor's configuration says
# that it is off here, and the boot that fails has the parameter that makes it so. Without the rule verification refuses to write anything.
boot_ia32() {
	local donor=$work/donor-ia32 image=$work/ia32.raw
	local command=("$PV2HVM" convert "$(sample bullseye-sysvinit-i386)" --donor "$donor" -o "$image" --target kvm --layout flat)
	unpack_donor "$(sample donor-trixie)" "$donor"
	sed -i 's/^# CONFIG_IA32_EMULATION_DEFAULT_DISABLED is not set/CONFIG_IA32_EMULATION_DEFAULT_DISABLED=y/' "$donor"/boot/config-*
	check "ia32: the donor's configuration says that it is off" grep -q 'IA32_EMULATION_DEFAULT_DISABLED=y' "$donor"/boot/config-*
	nothing_without ia32 "$image" "${command[@]}"
	check "ia32: converts with the rule" "${command[@]}"
	check "ia32: works with the rule" boot "$image" --bus virtio --timeout 600 --expect '^P2H net=10\.0\.2\.15$'
	edit_menu "$image" 's/ia32_emulation=on/ia32_emulation=0/'
	check "ia32: no program starts where it is off" boot "$image" --bus virtio --timeout 600 --marker 'Attempted to kill init'
	rm -rf "$donor" "$image"
}

# guests_boot_test boots the guest with Debian's kernel, which has what these lack.
boot_systemd_min() {
	local guest
	guest=$(sample bullseye-systemd)
	refuses systemd-min "$guest" small CGROUPS 'Freezing execution'
	refuses systemd-min "$guest" small-no-devtmpfs DEVTMPFS 'Failed to mount'
}

# --kernel guest, without a donor: Debian 11's cloud kernel ran as PV and has the drivers of the other targets, too.
boot_kernel_guest() {
	local image=$work/own.qcow2
	check "kernel-guest: converts" "$PV2HVM" convert "$(sample bullseye-systemd)" --kernel guest --target xen-hvm,nitro,kvm -o "$image"
	check "kernel-guest: boots" boot "$image" --timeout 600 --expect '^P2H kernel=5\.10\.' --expect '^P2H net=10\.0\.2\.15$' \
		--expect '^P2H modprobe=ok' --expect '^P2H failed-units=0:$'
	rm -f "$image"
}

# Packed as by Ubuntu 24.04: busybox's modprobe unpacks gzip and xz, not zstd
boot_ko_compression() {
	need depmod xz zstd
	unpack_donor "$(sample donor-bookworm)" "$work/donor-zstd"
	pack_donor "$work/donor-zstd" zst
	with_and_without ko-compression "$(sample tiny-busybox)" "$work/donor-zstd" '^P2H modprobe=fail ' '^P2H modprobe=ok '
}

# not_said TEXT LOG
not_said() { [ -s "$2" ] && ! grep -qF "$1" "$2"; }

# change_initramfs DONOR FUNCTION: a donor's initramfs unpacked, changed by a function that gets its tree and the kernel's version, and packed again
change_initramfs() {
	local release initrd tree=$work/initramfs
	release=$(ls "$1/lib/modules")
	initrd=$1/boot/initrd.img-$release
	mkdir "$tree"
	zcat "$initrd" | (cd "$tree" && cpio -id --quiet)
	"$2" "$tree" "$release"
	(cd "$tree" && find . | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0) | gzip -n1 >"$initrd"
	rm -rf "$tree"
}

# As MODULES=dep makes it on a machine with other disks
without_drivers() {
	find "$1" -name 'virtio_blk.ko*' -delete -o -name 'xen-blkfront.ko*' -delete
	depmod -b "$1" "$2"
}

with_foreign_swap() { printf 'RESUME=UUID=11111111-2222-4333-8444-555555555555\n' >"$1/conf/conf.d/resume"; }

# Without the rule verification refuses to write anything, so the boot that fails is one with the donor's initramfs put back.
boot_initramfs_drivers() {
	need cpio depmod
	local donor=$work/donor-dep image=$work/initramfs.raw initrd command
	unpack_donor "$(sample donor-bookworm)" "$donor"
	change_initramfs "$donor" without_drivers
	initrd=$(basename "$donor"/boot/initrd.img-*)
	command=("$PV2HVM" convert "$(sample tiny-busybox)" --donor "$donor" -o "$image" --target "${virtio[0]}" --layout flat)
	nothing_without initramfs-drivers "$image" "${command[@]}"
	check "initramfs-drivers: converts with the rule" "${command[@]}"
	check "initramfs-drivers: finds its root with the rule" boot "$image" "${virtio[@]:1}" --timeout 600 \
		--expect "^P2H root=$disk "
	put "$image" "$donor/boot/$initrd" "/boot/$initrd" 644
	check "initramfs-drivers: does not find its root with the donor's initramfs" boot "$image" "${virtio[@]:1}" --timeout 600 \
		--marker 'does not exist.  Dropping to a shell!'
	rm -rf "$donor" "$image"
}

# The kernel looks for the root by itself, on whichever bus. Without the rule verification refuses to write anything, so the boot that fails is
# one with the command line that it would have.
boot_root_wait() {
	local donor command image=$work/rootwait.raw
	donor=$(sample donor-small-kernel)
	command=("$PV2HVM" convert "$(sample tiny-busybox)" --donor "$donor" --kernel "$(release_in "$donor" -small)" -o "$image"
		--target "xen-hvm,nitro,kvm" --layout partition)
	nothing_without root-wait "$image" "${command[@]}"
	check "root-wait: converts with the rule" "${command[@]}"
	check "root-wait: finds its root on virtio" boot "$image" --bus virtio --expect '^P2H root=/dev/.* cmdline-root=PARTUUID='
	check "root-wait: finds its root on NVMe" boot "$image" --bus nvme --expect '^P2H root=/dev/.* cmdline-root=PARTUUID='
	edit_menu "$image?offset=1048576" "s/root=PARTUUID=[^ ]*/root=UUID=$(blkid -p -O 1048576 -o value -s UUID "$image")/; s/ rootwait//"
	check "root-wait: does not find it by UUID" boot "$image" --bus virtio --marker 'Unable to mount root fs'
	rm -f "$image"
}

# no_report IMAGE LOG: the guest gets as far as its gettys, and nothing of what it writes to its console is seen half a minute later
no_report() {
	! boot "$1" --bus virtio --marker "can't open /dev/tty1" --expect '^P2H READY' --log "$2" && grep -qF "can't open /dev/tty1" "$2"
}

# A kernel that leaves /dev to the guest, whose disk has nothing there
boot_root_wait_nodes() {
	local donor image=$work/nodes.raw
	donor=$(sample donor-small-kernel)
	check "root-wait: converts, with nodes in /dev" "$PV2HVM" convert "$(sample tiny-busybox)" --donor "$donor" -o "$image" --target kvm \
		--layout flat --kernel "$(release_in "$donor" small-no-devtmpfs)"
	check "root-wait: the guest has its console" boot "$image" --bus virtio --expect '^P2H kernel=.*-small-no-devtmpfs'
	debugfs -w -R 'rm /dev/console' "$image" >/dev/null 2>&1
	check "root-wait: without the node it has none" no_report "$image" "$work/nodes.log"
	rm -f "$image"
}

# The same with dracut, whose initramfs is made in another way and has none of virtio's drivers. This one waits for the root without end; a minute
# shows it as well.
boot_initramfs_drivers_dracut() {
	local donor initrd image=$work/dracut.raw
	donor=$(sample donor-dracut)
	initrd=/boot/initrd.img-$(release_in "$donor")
	check "dracut: converts" "$PV2HVM" convert "$(sample tiny-busybox)" --donor "$donor" -o "$image" --target kvm --layout flat
	check "dracut: finds its root on virtio" boot "$image" --bus virtio --timeout 600 --expect '^P2H root=/dev/vda '
	take "$donor?offset=1048576" "$initrd" "$work/initrd"
	put "$image" "$work/initrd" "$initrd" 644
	check "dracut: does not find its root with the donor's initramfs" boot "$image" --bus virtio --timeout 600 \
		--marker '(1min ' --expect 'Job dev-disk-by.*uuid.*\(1min .* no limit\)'
	rm -f "$image"
}

# udev of the guest kills every other process: the network never comes up. Without the rule nothing is written, so what it appends is made to fail.
boot_sd_booted() {
	local donor initrd image=$work/booted.raw
	donor=$(sample donor-dracut)
	initrd=/boot/initrd.img-$(release_in "$donor")
	local command=("$PV2HVM" convert "$(sample bullseye-sysvinit-i386)" --donor "$donor" -o "$image" --target kvm --layout flat)
	nothing_without sd-booted "$image" "${command[@]}"
	check "sd-booted: converts" "${command[@]}"
	check "sd-booted: comes up with the rule" boot "$image" --bus virtio --timeout 600 --expect '^P2H net=10\.0\.2\.15$' \
		--expect '^P2H mount: /dev/vda / ext3 rw$'
	take "$image" "$initrd" "$work/initrd"
	sed -i 's, tmpfs /sysroot/run , tmpfs /sysroot/nur ,' "$work/initrd"
	put "$image" "$work/initrd" "$initrd" 644
	check "sd-booted: has no network with the initramfs' own /run" boot "$image" --bus virtio --timeout 600 --marker 'P2H net=none'
	rm -f "$image"
}

# systemd does not get out of the initramfs.
boot_run_directory() {
	local guest=$work/no-run.raw image=$work/run-directory.raw
	copy tiny-busybox "$guest"
	debugfs -w -R 'rmdir /run' "$guest" >/dev/null 2>&1
	local command=("$PV2HVM" convert "$guest" --donor "$(sample donor-dracut)" -o "$image" --target kvm --layout flat)
	nothing_without run-directory "$image" "${command[@]}"
	check "run-directory: converts" "${command[@]}"
	check "run-directory: comes up with the rule" boot "$image" --bus virtio --timeout 600
	debugfs -w -R 'rmdir /run' "$image" >/dev/null 2>&1
	check "run-directory: starts the initramfs again without it" boot "$image" --bus virtio --timeout 600 \
		--marker 'Stopped initrd-switch-root.service'
	rm -f "$guest" "$image"
}

# Half a minute is lost without the rule.
boot_initramfs_resume() {
	need cpio
	local said='Gave up waiting for suspend/resume device'
	unpack_donor "$(sample donor-bookworm)" "$work/donor-resume"
	change_initramfs "$work/donor-resume" with_foreign_swap
	with_and_without initramfs-resume "$(sample tiny-busybox)" "$work/donor-resume" "$said" '^P2H READY' --log "$work/resume.log"
	check "initramfs-resume: with the rule nothing is waited for" not_said "$said" "$work/resume.log"
}

# without_its_fstab SAMPLE FSTAB SAYS WORKS: boots the guest with that fstab, converted, which has to say WORKS (a regular expression), and the
# same with the guest's lines for disks that are not there put back, which has to say SAYS (a marker). Without the rule verification refuses
# to write anything. The root's line stays as it was converted, so that the missing disks alone are what fails.
without_its_fstab() {
	local guest=$work/guest.raw image=$work/fstab.raw command
	copy "$1" "$guest"
	put "$guest" "$2" /etc/fstab 644
	command=("$PV2HVM" convert "$guest" --donor "$(sample donor-bookworm)" -o "$image" --target kvm --layout flat)
	nothing_without fstab-missing "$image" "${command[@]}"
	check "fstab-missing: $1: converts with the rule" "${command[@]}"
	check "fstab-missing: $1: works with the rule" boot "$image" --bus virtio --timeout 600 --expect "$4"
	take "$image" /etc/fstab "$work/converted"
	{ grep -vE '^/dev/(xvd|sd)a[23]' "$work/converted"; grep -E '^/dev/(xvd|sd)a[23]' "$2"; } >"$work/put-back"
	put "$image" "$work/put-back" /etc/fstab 644
	check "fstab-missing: $1: e2fsck finds nothing after that" e2fsck -fn "$image"
	check "fstab-missing: $1: does not come up with the guest's own lines" boot "$image" --bus virtio --timeout 600 --marker "$3"
	rm -f "$guest" "$image"
}

boot_fstab_missing() {
	need e2fsck
	# 10 s are enough to see that systemd gives up; by itself it waits 90 s
	printf '%s\n' $'/dev/xvda1\t/\text4\tdefaults\t1\t1' \
		$'/dev/xvda2\t/mnt\tauto\tdefaults,comment=cloudconfig,x-systemd.device-timeout=10s\t0\t2' \
		$'/dev/xvda3\tnone\tswap\tsw\t0\t0' >"$work/fstab"
	without_its_fstab bullseye-systemd "$work/fstab" 'You are in emergency mode' '^P2H failed-units=0:$'
	printf '%s\n' 'proc /proc proc nodev,noexec,nosuid 0 0' 'LABEL=uec-rootfs / ext3 defaults 0 1' \
		'/dev/sda2 /mnt ext3 defaults,comment=cloudconfig 0 2' '/dev/sda3 none swap sw,comment=cloudconfig 0 0' >"$work/fstab"
	without_its_fstab bullseye-sysvinit-i386 "$work/fstab" 'Give root password for maintenance' '^P2H net=10\.0\.2\.15$'
}

# no_prompt IMAGE LOG: the guest comes up, and nobody can log in on its serial console half a minute later
no_prompt() { ! boot "$1" --timeout 600 --expect 'login: *$' --log "$2" && grep -qF 'P2H READY' "$2"; }

# without_its_getty RULE GUEST: boots a guest whose only getty is on hvc0 converted without the rule and with it. The first one's console
# is left in RULE.log.
without_its_getty() {
	local rule=$1 guest=$2 image=$work/getty.qcow2 donor
	donor=$(sample donor-bookworm)
	check "$rule: converts without the rule" "$PV2HVM" convert "$guest" --donor "$donor" -o "$image" --target "$nvme" --skip "$rule"
	check "$rule: no login prompt without the rule" no_prompt "$image" "$work/$rule.log"
	rm -f "$image"
	check "$rule: converts with the rule" "$PV2HVM" convert "$guest" --donor "$donor" -o "$image" --target "$nvme"
	check "$rule: a login prompt with the rule" boot "$image" --timeout 600 --expect 'login: *$'
	rm -f "$image"
}

boot_getty_inittab() { without_its_getty getty-inittab "$(sample bullseye-sysvinit-i386)"; }

# systemd gives the kernel's console a getty by itself, unless that generator is masked, as by an administrator who chooses the
# terminals. It also waits for hvc0: 90 s by itself, which 10 s show as well.
boot_getty_systemd() {
	local guest=$work/getty.raw
	copy bullseye-systemd "$guest"
	printf '[Unit]\nJobRunningTimeoutSec=10s\n' >"$work/timeout.conf"
	printf '%s\n' 'mkdir /etc/systemd/system-generators' 'symlink /etc/systemd/system-generators/systemd-getty-generator /dev/null' \
		'mkdir /etc/systemd/system/dev-hvc0.device.d' | debugfs -w -f - "$guest" >/dev/null 2>&1
	put "$guest" "$work/timeout.conf" /etc/systemd/system/dev-hvc0.device.d/timeout.conf 644
	without_its_getty getty-systemd "$guest"
	# Xen has an hvc0 for HVM guests too, which is not the serial port.
	[ "$xen" = yes ] || check "getty-systemd: hvc0 is waited for without the rule" grep -q 'Timed out waiting for device .*hvc0' "$work/getty-systemd.log"
	rm -f "$guest"
}

# Until 220 udev had a generator that gave a card which no rule knows the next free name. Debian 11's has it no longer: a short one with the
# same effect stands in for it.
boot_persistent_net() {
	local guest=$work/net.raw
	copy bullseye-systemd "$guest"
	cat >"$work/generator.rules" <<-'EOF'
	SUBSYSTEM=="net", ACTION=="add", KERNEL=="eth*", NAME!="?*", IMPORT{program}="/usr/local/sbin/next-name", NAME="$env{INTERFACE_NEW}"
	EOF
	cat >"$work/next-name" <<-'EOF'
	#!/bin/sh
	n=0
	while grep -q "^[^#].*NAME=\"eth$n\"" /etc/udev/rules.d/70-persistent-net.rules; do
		n=$((n + 1))
	done
	echo "INTERFACE_NEW=eth$n"
	EOF
	put "$guest" "$work/generator.rules" /etc/udev/rules.d/75-persistent-net-generator.rules 644
	put "$guest" "$work/next-name" /usr/local/sbin/next-name 755
	with_and_without persistent-net "$guest" "$(sample donor-bookworm)" '^P2H net=none$' '^P2H net=10\.0\.2\.15$'
	rm -f "$guest"
}

boot_ifnames() {
	with_and_without ifnames "$(sample bullseye-systemd)" "$(sample donor-bookworm)" '^P2H net=none$' '^P2H net=10\.0\.2\.15$'
}

# The initramfs has the network's driver too, and does not read the guest's modprobe.d: a parameter stops both. Without the rule
# verification refuses to write anything, so the boot that fails is one with the parameter put back.
boot_modules_blocked() {
	local guest=$work/blocked.raw image=$work/open.raw command
	copy bullseye-systemd "$guest"
	take "$guest" /boot/grub/menu.lst "$work/menu"
	sed -i 's/^kernel.*/& modprobe.blacklist=virtio_net/' "$work/menu"
	put "$guest" "$work/menu" /boot/grub/menu.lst 644
	command=("$PV2HVM" convert "$guest" --donor "$(sample donor-bookworm)" -o "$image" --target kvm --layout flat)
	nothing_without modules-blocked "$image" "${command[@]}"
	check "modules-blocked: converts with the rule" "${command[@]}"
	check "modules-blocked: works with the rule" boot "$image" --bus virtio --timeout 600 --expect '^P2H net=10\.0\.2\.15$'
	edit_menu "$image" 's/^\tlinux .*/& modprobe.blacklist=virtio_net/'
	check "modules-blocked: no network with the parameter" boot "$image" --bus virtio --timeout 600 --expect '^P2H net=none$'
	rm -f "$guest" "$image"
}

# menu_of_guest RULE PATH ENTRY: a guest whose own menu PATH names /dev/xvda1; converted, that menu's first entry has to start the guest, which
# the menu that pv2hvm writes starts by default here: ENTRY is its submenu. With the guest's own lines put back it finds no root.
menu_of_guest() {
	local rule=$1 path=$2 entry=$3 image=$work/menu.raw
	check "$rule: $path: converts" "$PV2HVM" convert "$work/menu-guest.raw" --donor "$(sample donor-bookworm)" -o "$image" --target kvm --layout flat
	edit_menu "$image" "s/^set default=.*/set default='$entry>0'/"
	check "$rule: $path: its first entry starts the guest" boot "$image" --bus virtio --timeout 600 --expect '^P2H root=/dev/vda cmdline-root=UUID='
	put "$image" "$work/menu" "$path" 644
	check "$rule: $path: with the guest's own lines there is no root" boot "$image" --bus virtio --timeout 600 \
		--marker "$no_old_root"
	rm -f "$image"
}

# The last console= is what PV-GRUB's guests had; the first one lets the initramfs speak where that is not there.
old_parameters='root=/dev/xvda1 ro console=ttyS0 console=hvc0'
no_old_root='ALERT!  /dev/xvda1 does not exist.'

boot_own_menu() {
	need blkid
	local release guest=$work/menu-guest.raw
	release=$(release_in "$(sample donor-bookworm)")
	copy tiny-busybox "$guest"
	cat >"$work/menu" <<-EOF
	set default=0
	set timeout=0
	menuentry 'Tiny ($release)' --class tiny --unrestricted {
		search --no-floppy --fs-uuid --set=root $(blkid -o value -s UUID "$guest")
		linux16 /boot/vmlinuz-$release $old_parameters
		initrd16 /boot/initrd.img-$release
	}
	EOF
	printf 'mkdir /boot/grub2\n' | debugfs -w -f - "$guest" >/dev/null 2>&1
	put "$guest" "$work/menu" /boot/grub2/grub.cfg 644
	menu_of_guest own-menu /boot/grub2/grub.cfg pv2hvm-grub2
	rm -f "$guest"
}

boot_own_menu_extlinux() {
	local release guest=$work/menu-guest.raw
	release=$(release_in "$(sample donor-bookworm)")
	copy tiny-busybox "$guest"
	printf '%s\n' 'DEFAULT linux' 'PROMPT 0' 'TIMEOUT 1' 'LABEL linux' '  MENU LABEL Tiny' "  LINUX /boot/vmlinuz-$release" \
		"  INITRD /boot/initrd.img-$release" "  APPEND $old_parameters" >"$work/menu"
	put "$guest" "$work/menu" /boot/extlinux.conf 644
	menu_of_guest own-menu /boot/extlinux.conf pv2hvm-extlinux-boot
	rm -f "$guest"
}

# GRUB 2 as Debian has it knows no blscfg: a menu is made here from the entry, as blscfg would make it.
boot_bls() {
	need blkid
	local release entry guest=$work/bls-guest.raw image=$work/bls.raw half
	release=$(release_in "$(sample donor-bookworm)")
	entry=/boot/loader/entries/5ae7c1b0d3f84e0c9a6d1f2b3c4d5e6f-$release.conf
	copy tiny-busybox "$guest"
	printf '%s\n' 'title Tiny' "version $release" "linux /boot/vmlinuz-$release" "initrd /boot/initrd.img-$release" "options $old_parameters" \
		>"$work/entry"
	printf 'mkdir /boot/loader\nmkdir /boot/loader/entries\n' | debugfs -w -f - "$guest" >/dev/null 2>&1
	put "$guest" "$work/entry" "$entry" 644
	for half in without with; do
		local skip=(--skip bls) says=(--marker "$no_old_root")
		[ "$half" = without ] || skip=() says=(--expect '^P2H root=/dev/vda cmdline-root=UUID=')
		check "bls: converts $half the rule" "$PV2HVM" convert "$guest" --donor "$(sample donor-bookworm)" -o "$image" --force --target kvm \
			--layout flat ${skip[@]+"${skip[@]}"}
		take "$image" "$entry" "$work/entry"
		cat >"$work/menu" <<-EOF
		set timeout=0
		menuentry 'by the entry' {
			search --no-floppy --fs-uuid --set=root $(blkid -o value -s UUID "$guest")
			linux $(sed -n 's/^linux //p; s/^options //p' "$work/entry" | paste -sd' ')
			initrd $(sed -n 's/^initrd //p' "$work/entry")
		}
		EOF
		put "$image" "$work/menu" /boot/grub/grub.cfg 644
		check "bls: $half the rule, what the entry starts" boot "$image" --bus virtio --timeout 600 "${says[@]}"
	done
	rm -f "$guest" "$image"
}

# The labels of what is new, as the enforcing guest itself sees them
boot_selinux() {
	local guest
	guest=$(sample bookworm-selinux)
	with_and_without selinux "$guest" "$(sample donor-trixie)" '^P2H label=[^ ]*:unlabeled_t:s0 /lib/modules/' \
		'^P2H label=system_u:object_r:modules_dep_t:s0 /lib/modules/.*/modules.dep$' --log "$work/selinux.log"
	check "selinux: the guest enforces" grep -q '^P2H selinux=Enforcing' "$work/selinux.log"
	equal "selinux: nothing without a label was asked for" 1 "$(grep -c '^P2H denied-unlabeled=0' "$work/selinux.log")"
	check "selinux: with the rule all units start" grep -q '^P2H failed-units=0:' "$work/selinux.log"
}

case ${1:-} in
'') rules=("${quick[@]}") ;;
--all) mapfile -t rules < <(declare -F | sed -n 's/^declare -f boot_//p' | tr _ -) ;;
*) rules=("$@") ;;
esac
for rule in "${rules[@]}"; do
	declare -F "boot_${rule//-/_}" >/dev/null || { echo "no boot for rule '$rule' here" >&2; exit 2; }
	"boot_${rule//-/_}"
done
finish
