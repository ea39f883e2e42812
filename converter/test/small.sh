# A guest and a donor that take no time to make: real file systems, files that are right in structure, nothing that could
# run. Sourced by tests and by scripts/kill-sweep. Needs cc, cpio and mke2fs.
# shellcheck shell=bash

small_release=6.1.0-99-test

poke() { printf '%b' "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }

# small_kernel FILE RELEASE: Documentation/arch/x86/boot.rst: five sectors of setup, then 4 KiB
small_kernel() {
	truncate -s $((6 * 512 + 4096)) "$1"
	poke "$1" $((0x1f1)) '\005'
	poke "$1" $((0x1f4)) '\000\001'
	poke "$1" $((0x1fe)) '\125\252'
	poke "$1" $((0x202)) 'HdrS\017\002'
	poke "$1" $((0x20e)) '\000\004\000\001'
	poke "$1" $((0x236)) '\001'
	poke "$1" $((0x600)) "$2 (builder) #1"
}

# small_initramfs TREE FILE: packs a directory as initramfs-tools does, without dates or owners of this host
small_initramfs() {
	(cd "$1" && find . -exec touch -h -d @1600000000 {} + && find . | LC_ALL=C sort |
		cpio -o -H newc --quiet --reproducible -R 0:0) | gzip -n >"$2"
}

# small_donor TREE: kernel, modules, configuration and an initramfs for every target; the unpacked initramfs stays in
# TREE.initramfs for whoever wants to pack another one
small_donor() {
	local tree=$1 modules=$1/lib/modules/$small_release module
	mkdir -p "$tree/boot" "$modules/kernel" "$tree/etc" "$tree.initramfs/lib/modules/$small_release"
	small_kernel "$tree/boot/vmlinuz-$small_release" "$small_release"
	for module in xen-blkfront xen-netfront nvme nvme-core ena virtio_blk virtio_pci virtio_net ext4 jbd2; do
		seq 100000 114285 >"$modules/kernel/$module.ko"
		case $module in
		nvme) printf 'kernel/nvme.ko: kernel/nvme-core.ko\n' ;;
		ext4) printf 'kernel/ext4.ko: kernel/jbd2.ko\n' ;;
		*) printf 'kernel/%s.ko:\n' "$module" ;;
		esac >>"$modules/modules.dep"
	done
	printf '\260\007\364\127\000\002\000\001' >"$modules/modules.dep.bin"
	printf 'kernel/drivers/tty/serial/8250/8250.ko\n' >"$modules/modules.builtin"
	printf 'CONFIG_%s\n' X86_64=y MODULES=y IA32_EMULATION=y XEN_PVHVM=y RD_GZIP=y EXT4_FS=m X86_VSYSCALL_EMULATION=y \
		>"$tree/boot/config-$small_release"
	cp -r "$modules/kernel" "$tree.initramfs/lib/modules/$small_release"
	printf '#!/bin/sh\n' >"$tree.initramfs/init"
	chmod 755 "$tree.initramfs/init"
	small_initramfs "$tree.initramfs" "$tree/boot/initrd.img-$small_release"
}

# small_guest TREE: a PV guest with sysvinit, its root on /dev/xvda1 and its console on hvc0
small_guest() {
	local tree=$1
	mkdir -p "$tree"/{boot/grub,etc/network,sbin,bin,lib/modules,dev,proc,sys,tmp,var}
	printf 'void _start(void) { for (;;) ; }\n' | cc -static -nostdlib -ffreestanding -x c - -o "$tree/sbin/init"
	printf 'ID=tiny\nPRETTY_NAME="Tiny guest"\n' >"$tree/etc/os-release"
	printf '# by hand\n/dev/xvda1 / ext4 defaults 1 1\n' >"$tree/etc/fstab"
	printf '1:2345:respawn:/sbin/getty 38400 hvc0\n' >"$tree/etc/inittab"
	printf 'tty1\nhvc0\n' >"$tree/etc/securetty"
	printf 'auto eth0\niface eth0 inet dhcp\n' >"$tree/etc/network/interfaces"
	printf 'default 0\ntitle old\nroot (hd0)\nkernel /boot/gone root=/dev/xvda1 ro console=hvc0\n' >"$tree/boot/grub/menu.lst"
}

# small_image TREE FILE [OPTION...]: a volume without a partition table, always with the same UUID
small_image() {
	local tree=$1 image=$2
	shift 2
	truncate -s 48M "$image"
	mke2fs -q -F -t ext4 -O ^metadata_csum,^64bit -J size=4 -U 5eed0000-0000-4000-8000-000000000001 \
		-E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 "$@" -d "$tree" "$image"
}
