# Donors made from the sample images; sourced by tests. Needs debugfs, depmod, xz and zstd.
# shellcheck shell=bash

# unpack_donor IMAGE DIRECTORY: /boot and the modules of a sample donor as a directory, which pv2hvm takes as well
unpack_donor() {
	local image=$1
	case $1 in *.qcow2) # which debugfs does not read
		image=$2.raw
		qemu-img convert -O raw "$1" "$image" ;;
	esac
	mkdir -p "$2/lib" "$2/etc"
	printf 'rdump /boot %s\nrdump /usr/lib/modules %s\n' "$2" "$2/lib" | debugfs -f - "$image?offset=1048576" >/dev/null 2>&1
	[ "$image" = "$1" ] || rm -f "$image"
	[ -d "$2/boot" ] && [ -d "$2/lib/modules" ]
}

# pack_donor DIRECTORY KIND...: packs its modules by turns as the KINDs say (xz, zst, plain), and runs depmod
pack_donor() {
	local top=$1 release turn=0 module kinds
	shift
	kinds=("$@")
	release=$(ls "$top/lib/modules")
	while IFS= read -r module; do
		printf '%s %s\n' "${kinds[turn]}" "$module"
		turn=$(((turn + 1) % ${#kinds[@]}))
	done < <(find "$top/lib/modules/$release" -name '*.ko' | LC_ALL=C sort) >"$top/etc/packing"
	sed -n 's/^xz //p' "$top/etc/packing" | xargs -r -P "$(nproc)" -n 64 xz -q -0 --check=crc32
	sed -n 's/^zst //p' "$top/etc/packing" | xargs -r -P "$(nproc)" -n 64 zstd -q --rm -1
	depmod -b "$top" "$release"
}
