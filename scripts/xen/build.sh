# Makes the Xen lab's three files (hypervisor, dom0's kernel, dom0's initramfs) from Debian 12 packages; sourced by
# scripts/xen-lab, which has $parts (this directory), `mirror` and `die`. The packages are unpacked,
# not installed, so this needs no root. dom0 lives in its initramfs, which holds only what one guest needs.
# shellcheck shell=bash disable=SC2154

xen=usr/lib/xen-4.17
packages=(xen-hypervisor-4.17-amd64 xen-utils-4.17 xenstore-utils qemu-system-xen linux-image-amd64 grub-xen-bin busybox-static)
programs=(bin/busybox "$xen"/bin/{xl,xenstored,xenconsoled,xen-init-dom0,pygrub} "$xen/boot/hvmloader" usr/bin/xenstore-{read,write}
	usr/bin/python3.11 usr/libexec/xen-qemu-system-i386 usr/share/qemu/keymaps/en-us)
applets=(sh cat cut dd grep insmod ip ln mkdir mount poweroff sed sleep stat tail)
# dom0's own disk, network and line to the host; what Xen's tools need; what serves a guest's disk and network card
modules=(virtio_pci virtio_blk virtio_net virtio_console xenfs xen-privcmd xen-evtchn xen-gntdev xen-gntalloc xen-blkback
	xen-netback bridge)

# logged WHAT COMMAND...: its output is shown when it fails
logged() {
	local what=$1
	shift
	"$@" >"$scratch/log" 2>&1 </dev/null || { cat "$scratch/log" >&2; die "$what"; }
}

fetch_packages() {
	local from
	from="[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) bookworm main"
	# The hook's variables are those of the shell that mmdebstrap starts
	# shellcheck disable=SC2016
	logged "the packages cannot be had" mmdebstrap --variant=extract --architectures=amd64 --skip=output/dev \
		--include="$(IFS=,; printf '%s' "${packages[*]}")" --aptopt='Acquire::Languages "none"' \
		--aptopt='APT::Install-Recommends "false"' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--extract-hook='mkdir "$1/source" && cd "$1/source" &&
			APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q -o APT::Sandbox::User=root source --download-only seabios' \
		bookworm "$scratch/packages.tar" "deb $from" "deb-src $from"
	mkdir "$tree"
	tar -C "$tree" -xf "$scratch/packages.tar" --no-same-owner
	rm "$scratch/packages.tar"
	release=$(basename "$tree"/lib/modules/*)
}

# inside FILE ARGUMENT...: runs a program of the packages on this host, with the packages' own libraries
inside() {
	PYTHONHOME=$tree/usr PYTHONDONTWRITEBYTECODE=1 "$tree/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --library-path \
		"$tree/lib/x86_64-linux-gnu:$tree/usr/lib/x86_64-linux-gnu:$tree/$xen/lib/x86_64-linux-gnu" "$@"
}

# add: the files named on standard input go into dom0, at the same place; links as what they point to
add() { sed "s|^$tree/||" | LC_ALL=C sort -u | (cd "$tree" && cpio -pdLmu --quiet "$root"); }

add_programs() {
	local applet
	mkdir -p "$root"/{bin,dev,proc,sys,run,tmp,lab,var/log,var/lock,var/lib/xen,etc/xen/scripts}
	printf '%s\n' "${programs[@]}" | add
	for applet in "${applets[@]}"; do
		ln -s busybox "$root/bin/$applet"
	done
	ln -s ../run "$root/var/run"
	install -m 755 "$parts/init" "$root/init"
	install -m 755 "$parts/hotplug" "$root/etc/xen/scripts/block"
	ln -s block "$root/etc/xen/scripts/vif-bridge"
	printf 'autoballoon = "off"\n' >"$root/etc/xen/xl.conf"
}

# pygrub's part of Python, compiled
add_python() {
	cat >"$scratch/imports.py" <<-'END'
	import modulefinder
	import sys

	xen = sys.argv[1]
	finder = modulefinder.ModuleFinder(sys.path + [xen + "/lib/python"])
	finder.run_script(xen + "/bin/pygrub")
	for module in finder.modules.values():
	    if module.__file__:
	        print(module.__file__)
	END
	{
		inside "$tree/usr/bin/python3.11" -S "$scratch/imports.py" "$tree/$xen" | grep -v '/bin/pygrub$'
		find "$tree/usr/lib/python3.11/encodings" -name '*.py'
		find "$tree/$xen/lib" -name 'fsimage.so' -o -name 'libxenfsimage.so.4.17'
	} | add
	inside "$tree/usr/bin/python3.11" -S -m compileall -q -b --invalidation-mode unchecked-hash -s "$root" "$root/usr"
	find "$root" -name '*.py' -delete
	ln -s python3.11 "$root/usr/bin/python3"
}

# What the programs load
add_libraries() {
	local file
	find "$root" -type f \( -path '*/bin/*' -o -path '*/libexec/*' -o -name '*.so*' \) | while IFS= read -r file; do
		inside --list "$file" 2>/dev/null || :
	done | sed -n "s|.*=> \($tree/[^ ]*\) (.*|\1|p" | add
	mkdir -p "$root/lib64"
	cp "$tree/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" "$root/lib64/"
}

# The modules in the order in which they can be loaded
add_modules() {
	local file number=100
	mkdir "$root/lab/modules"
	depmod -b "$tree" "$release"
	for file in "${modules[@]}"; do
		modprobe -d "$tree" -S "$release" --show-depends "$file"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while IFS= read -r file; do
		cp "$file" "$root/lab/modules/$((number++))-$(basename "$file")"
	done
}

# The BIOS that Xen gives its guests: Debian's source, made so that it reads disks by DMA (a loop over every word takes minutes under
# emulation), does not wait for a key, and says on the serial port what it finds to boot.
add_bios() {
	mkdir "$scratch/bios"
	tar -C "$scratch/bios" --strip-components=1 -xf "$tree"/source/seabios_*.orig.tar.*
	cp "$parts/seabios.config" "$scratch/bios/.config"
	logged "SeaBIOS cannot be configured" make -C "$scratch/bios" olddefconfig PYTHON=python3
	logged "SeaBIOS cannot be built" make -C "$scratch/bios" PYTHON=python3 EXTRAVERSION=-xen-lab
	cp "$scratch/bios/out/bios.bin" "$root/lab/bios.bin"
}

# The boot loader that reads menu.lst inside a PV guest, as EC2's did: GRUB 2 for Xen with a configuration built in
add_pvgrub() {
	local arch
	tar -C "$parts" --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=644 -cf "$scratch/menu.tar" menu.cfg
	printf 'normal (memdisk)/menu.cfg\n' >"$scratch/early.cfg"
	for arch in x86_64 i386; do
		inside "$tree/usr/bin/grub-mkimage" -O $arch-xen -d "$tree/usr/lib/grub/$arch-xen" -c "$scratch/early.cfg" -m "$scratch/menu.tar" -p / \
			-o "$root/lab/pvgrub-$arch" memdisk tar normal legacycfg configfile search search_fs_file regexp loopback ext2 part_msdos \
			part_gpt linux gzio xzio gcry_crc lzopio echo test true sleep halt reboot
		grep -aobF 0x0000000000000000 "$root/lab/pvgrub-$arch" | cut -d: -f1 >"$root/lab/pvgrub-$arch.sectors"
	done
}

# build_lab SCRATCH: the three files in SCRATCH/lab
build_lab() {
	scratch=$1
	tree=$scratch/tree root=$scratch/root
	mkdir "$root"
	fetch_packages
	add_programs
	add_python
	add_libraries
	add_modules
	add_bios
	add_pvgrub
	zcat "$tree/boot/xen-4.17-amd64.gz" >"$scratch/lab/xen"
	cp "$tree/boot/vmlinuz-$release" "$scratch/lab/vmlinuz"
	find "$root" -exec touch -h -d @0 {} +
	(cd "$root" && find . | LC_ALL=C sort | cpio -o -H newc --quiet --reproducible -R 0:0) >"$scratch/lab/dom0.cpio"
}
