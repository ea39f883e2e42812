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
	cp -r "$modules/kernel" "$modules/modules.dep" "$tree.initramfs/lib/modules/$small_release"
	printf '#!/bin/sh\n' >"$tree.initramfs/init"
	chmod 755 "$tree.initramfs/init"
	small_initramfs "$tree.initramfs" "$tree/boot/initrd.img-$small_release"
}

# small_as_debian TREE: the donor's kernel says and has what Debian 12's does, as far as rules ask for it
small_as_debian() {
	local modules=$1/lib/modules/$small_release module
	printf 'CONFIG_%s\n' SECURITY_SELINUX=y SECURITY_APPARMOR=y LSM='"landlock,lockdown,yama,apparmor,selinux,bpf"' LEGACY_VSYSCALL_NONE=y \
		CGROUPS=y MEMCG=y CPUSETS=y DEVTMPFS=y FHANDLE=y AUTOFS_FS=m >>"$1/boot/config-$small_release"
	printf '# CONFIG_SYSFS_DEPRECATED is not set\n' >>"$1/boot/config-$small_release"
	for module in ip_tables iptable_filter ipt_REJECT x_tables xt_conntrack xt_state xt_tcpudp loop autofs4; do
		: >"$modules/kernel/$module.ko"
		printf 'kernel/%s.ko:\n' "$module" >>"$modules/modules.dep"
	done
}

# small_built_in TREE: the donor without an initramfs, and its kernel with all drivers of the targets and ext4 built in
small_built_in() {
	local modules=$1/lib/modules/$small_release
	rm -r "$1"/boot/initrd.img-* "$modules/kernel"
	sed 's/:.*//' "$modules/modules.dep" >>"$modules/modules.builtin"
	: >"$modules/modules.dep"
	sed -i 's/^CONFIG_EXT4_FS=m$/CONFIG_EXT4_FS=y/' "$1/boot/config-$small_release"
	printf 'CONFIG_%s=y\n' XEN_BLKDEV_FRONTEND XEN_NETDEV_FRONTEND BLK_DEV_NVME ENA_ETHERNET VIRTIO_PCI VIRTIO_BLK VIRTIO_NET \
		MSDOS_PARTITION EFI_PARTITION DEVTMPFS DEVTMPFS_MOUNT >>"$1/boot/config-$small_release"
}

# small_program FILE [TEXT...]: a static program that does nothing and has these texts in it; small_bits=32: for i386
small_program() {
	local file=$1 number=0 text
	shift
	mkdir -p "$(dirname "$file")"
	{
		printf 'void _start(void) { for (;;) ; }\n'
		for text in "$@"; do printf 'const char text%d[] = "%s";\n' $((number++)) "$text"; done
	} | cc ${small_bits:+"-m$small_bits"} -static -nostdlib -ffreestanding -x c - -o "$file"
}

# small_libc FILE VERSION: a C library that calls itself this glibc
small_libc() {
	mkdir -p "$(dirname "$1")"
	printf 'const char banner[] = "GNU C Library stable release version %s, by Roland McGrath et al.";\n' "$2" |
		cc ${small_bits:+"-m$small_bits"} -shared -nostdlib -x c - -o "$1"
}

# small_files TREE PATH...: empty files, for what is only looked for
small_files() {
	local tree=$1 path
	shift
	for path; do
		mkdir -p "$(dirname "$tree/$path")"
		: >"$tree/$path"
	done
}

# small_module FILE KEY=VALUE...: an object file that says this of itself, as modinfo(8) prints it
small_module() {
	local file=$1 number=0 text
	shift
	for text in "$@"; do
		printf 'static const char info%d[] __attribute__((section(".modinfo"), used)) = "%s";\n' $((number++)) "$text"
	done | cc -x c -c - -o "$file"
	touch -d @1600000000 "$file"
}

# small_init TREE sysvinit|upstart|systemd|busybox: what tells one init from another
small_init() {
	case $2 in
	sysvinit) small_program "$1/sbin/init" 'INIT: version %s booting' ;;
	upstart) small_program "$1/sbin/init" upstart ;;
	busybox) small_program "$1/bin/busybox" 'BusyBox v1.35.0' && ln -sfn ../bin/busybox "$1/sbin/init" ;;
	systemd)
		small_program "$1/lib/systemd/systemd"
		small_program "$1/lib/systemd/system-generators/systemd-fstab-generator" x-systemd.device-timeout
		ln -sfn ../lib/systemd/systemd "$1/sbin/init" ;;
	*) return 1 ;;
	esac
}

# small_systemd TREE VERSION: an init that is this systemd
small_systemd() {
	small_program "$1/lib/systemd/systemd" "systemd $2 running in %ssystem mode. (+PAM)"
	ln -sfn /lib/systemd/systemd "$1/sbin/init"
}

# small_dracut TREE [VERSION]: what tells an unpacked initramfs of dracut with that systemd, without one if there is none
small_dracut() {
	mkdir -p "$1/usr/lib/dracut"
	printf 'dracut-059\n' >"$1/usr/lib/dracut/dracut-059"
	[ -n "${2-}" ] || return 0
	mkdir -p "$1/usr/lib/systemd"
	printf 'systemd\n' >"$1/usr/lib/systemd/systemd"
	printf 'shared\n' >"$1/usr/lib/systemd/libsystemd-shared-$2.so"
}

# small_other_release TREE RELEASE: gives the donor's kernel another release; its unpacked initramfs is in TREE.initramfs
small_other_release() {
	local tree=$1 release=$2 file
	for file in "$tree/boot/"*-"$small_release"; do mv "$file" "${file%"$small_release"}$release"; done
	mv "$tree/lib/modules/$small_release" "$tree/lib/modules/$release"
	mv "$tree.initramfs/lib/modules/$small_release" "$tree.initramfs/lib/modules/$release"
	small_kernel "$tree/boot/vmlinuz-$release" "$release"
	small_initramfs "$tree.initramfs" "$tree/boot/initrd.img-$release"
}

# small_guest_kernel TREE RELEASE pvops|classic [INITRD]: a kernel of the guest's own; classic: a XenLinux one, which
# boots paravirtual only
small_guest_kernel() {
	local tree=$1 release=$2 boot=$1/boot
	small_kernel "$boot/vmlinuz-$release" "$release"
	case $3 in
	pvops) printf 'CONFIG_%s\n' PARAVIRT=y XEN=y X86_64=y ;;
	classic) printf 'CONFIG_%s\n' X86_64=y X86_64_XEN=y XEN_UNPRIVILEGED_GUEST=y ;;
	esac >"$boot/config-$release"
	[ -z "${4-}" ] || printf 'not looked into\n' >"$boot/$4"
	mkdir -p "$tree/lib/modules/$release"
	: >"$tree/lib/modules/$release/modules.dep"
}

# small_pack TREE xz|zst|gz: the modules of a donor's tree as distributions pack them
small_pack() {
	local modules=$1/lib/modules/$small_release module
	while IFS= read -r module; do
		touch -d @1600000000 "$module"
		case $2 in
		xz) xz -q --check=crc32 "$module" ;;
		zst) zstd -q --rm "$module" ;;
		gz) gzip -n "$module" ;;
		esac
	done < <(find "$modules/kernel" -name '*.ko')
	sed -i "s/\\.ko\\b/.ko.$2/g" "$modules/modules.dep"
}

# small_tree TREE: what any guest has, and nothing that says which one it is
small_tree() {
	mkdir -p "$1"/{boot/grub,etc,sbin,bin,lib/modules,dev,proc,sys,tmp,var}
}

# small_guest TREE: a PV guest with sysvinit, its root on /dev/xvda1 and its console on hvc0
small_guest() {
	local tree=$1
	small_tree "$tree"
	mkdir "$tree/etc/network"
	small_init "$tree" sysvinit
	printf 'ID=tiny\nPRETTY_NAME="Tiny guest"\n' >"$tree/etc/os-release"
	printf '# by hand\n/dev/xvda1 / ext4 defaults 1 1\n' >"$tree/etc/fstab"
	printf '1:2345:respawn:/sbin/getty 38400 hvc0\n' >"$tree/etc/inittab"
	printf 'tty1\nhvc0\n' >"$tree/etc/securetty"
	printf 'auto eth0\niface eth0 inet dhcp\n' >"$tree/etc/network/interfaces"
	printf 'default 0\ntitle old\nroot (hd0)\nkernel /boot/gone root=/dev/xvda1 ro console=hvc0\n' >"$tree/boot/grub/menu.lst"
}

# small_image TREE FILE [OPTION...]: a volume without a partition table, always with the same UUID; small_type=ext3: another type
small_image() {
	local tree=$1 image=$2 type=${small_type:-ext4}
	local -a with_journal=(-J size=4)
	shift 2
	[ "$type" != ext2 ] || with_journal=()
	truncate -s 48M "$image"
	mke2fs -q -F -t "$type" -O ^metadata_csum,^64bit ${with_journal[@]+"${with_journal[@]}"} -U 5eed0000-0000-4000-8000-000000000001 \
		-E lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0 "$@" -d "$tree" "$image"
}

# small_disk FILE dos|gpt [swap|empty|bios|IMAGE...]: puts the file system in FILE into the first partition of a disk, and
# the others behind it, each of 4 MiB or as large as the image; always with the same identifiers. The first partition
# begins at $small_start (in sectors).
small_disk() {
	local file=$1 table=$2 root=$1.root at=${small_start:-2048} number=1 size part type
	local script=$1.sfdisk linux=83 swap=82
	local -a from=()
	shift 2
	[ "$table" = dos ] || linux=0FC63DAF-8483-4772-8E79-3D69D8477DE4 swap=0657FD6D-A4AB-43C4-84E5-0933C84B4F4F
	mv "$file" "$root"
	printf 'label: %s\nlabel-id: %s\n' "$table" "$([ "$table" = dos ] && echo 0x5eed0001 ||
		echo 5EED0001-0000-4000-8000-000000000000)" >"$script"
	for part in "$root" "$@"; do
		size=8192 type=$linux
		case $part in
		swap) type=$swap ;;
		empty) ;;
		bios) type=21686148-6449-6E6F-744E-656564454649 ;;
		*) size=$(($(stat -c %s "$part") / 512)) && from+=("$part $at") ;;
		esac
		[ "$part" != swap ] || from+=("swap $at")
		printf 'start=%d, size=%d, type=%s%s\n' "$at" "$size" "$type" \
			"$([ "$table" = dos ] || printf ', uuid=5EED0001-0000-4000-8000-0000000000%02X' "$number")" >>"$script"
		at=$(((at + size + 2047) / 2048 * 2048)) number=$((number + 1))
	done
	truncate -s $((at * 512 + 1048576)) "$file"
	sfdisk -q --no-reread --no-tell-kernel "$file" <"$script"
	for part in "${from[@]}"; do
		if [ "${part% *}" = swap ]; then
			truncate -s 4M "$file.swap"
			mkswap -q -U 5eed0000-0000-4000-8000-0000000000ff "$file.swap"
			part="$file.swap ${part#* }"
		fi
		dd if="${part% *}" of="$file" bs=512 seek="${part##* }" conv=notrunc,sparse status=none
	done
}
