#!/usr/bin/env bash
# scripts/boot-image and scripts/xen-lab say the truth of a boot: their options and exit statuses, with a stand-in for QEMU
# whose guests are short scripts.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img mmdebstrap cpio depmod make gcc python3

export PV2HVM_ACCEL=tcg PV2HVM_CACHE=$work/cache QEMU=$work/qemu
truncate -s 1M "$work/image.raw"

# The stand-in runs $work/guest with its output in the console's file, and leaves its arguments in $work/arguments
cat >"$work/qemu" <<'EOF'
#!/bin/sh
here=$(dirname "$0")
printf '%s\n' "$@" >"$here/arguments"
console=$(sed -n 's/^file,id=guest,path=//p' "$here/arguments")
[ -n "$console" ] || console=$(sed -n 's/^file:\(.*console.*\)/\1/p' "$here/arguments")
exec sh "$here/guest" >"$console" 2>&1
EOF
chmod +x "$work/qemu"

# exits WHAT STATUS TEXT COMMAND...: the command ends with that status and says TEXT
exits() {
	local what=$1 expected=$2 text=$3 status=0
	shift 3
	"$@" >"$work/out" 2>&1 || status=$?
	equal "$what: exit status" "$expected" "$status"
	check "$what: says '$text'" grep -qF -- "$text" "$work/out"
}

# Both scripts with the options that they share
common() {
	local name=$1
	shift
	exits "$name: no image" 2 "which image?" "$@"
	exits "$name: two images" 2 "one image at a time" "$@" "$work/image.raw" "$work/image.raw"
	exits "$name: no such image" 2 "cannot be read" "$@" "$work/none"
	exits "$name: an option without its value" 2 "--marker needs a value" "$@" "$work/image.raw" --marker
	exits "$name: an unknown option" 2 "unknown option --nothing" "$@" "$work/image.raw" --nothing
	exits "$name: a time limit that is no number" 2 "whole numbers" "$@" "$work/image.raw" --timeout soon

	printf 'echo "P2H net=10.0.2.15"; echo "P2H READY"; exec sleep 100\n' >"$work/guest"
	exits "$name: marker seen" 0 "P2H net=10.0.2.15" "$@" "$work/image.raw" --log "$work/console.log" --expect '^P2H net=10'
	check "$name: the log is where it was asked for" grep -qx 'P2H READY' "$work/console.log"
	check "$name: the image is not written" grep -q 'snapshot=on' "$work/arguments"
	exits "$name: another marker" 0 "'net=10' after" "$@" "$work/image.raw" --marker 'net=10'
	exits "$name: no marker in time" 1 "no 'other' within 1 s" "$@" "$work/image.raw" --marker other --timeout 1

	printf 'echo "Kernel panic"; exec sleep 100\n' >"$work/guest"
	exits "$name: a line that ends the boot" 1 "the console says" "$@" "$work/image.raw" --stop '^Kernel p' --timeout 60
	exits "$name: a console that is silent" 1 "nothing on the console for 1 s" "$@" "$work/image.raw" --silent 1 --timeout 60

	printf 'echo "P2H net=none"; echo "P2H READY"\n' >"$work/guest"
	exits "$name: written, and switched off by itself" 0 "'P2H READY' after" "$@" "$work/image.raw" --write
	check "$name: the image is written" grep -q 'snapshot=off' "$work/arguments"

	printf 'echo "P2H READY"; exec sleep 100\n' >"$work/guest"
	exits "$name: written, and not switched off" 1 "did not switch itself off" "$@" "$work/image.raw" --write --timeout 8

	printf 'echo "BIOS"\n' >"$work/guest"
	exits "$name: the guest ends before the marker" 1 "the guest ended by itself" "$@" "$work/image.raw"

	# A crash before init is tried once more, one after it is not
	printf 'if [ -e "%s" ]; then echo "P2H READY"; else : >"%s"; echo "Oops: 0000"; fi\n' "$work/again" "$work/again" >"$work/guest"
	exits "$name: an early crash" 0 "once more" "$@" "$work/image.raw"
	rm "$work/again"
	sed -i 's/echo "Oops/echo "INIT: version 2"; &/' "$work/guest"
	exits "$name: a late crash" 1 "the guest ended by itself" "$@" "$work/image.raw"
	rm "$work/again"
}

common boot-image "$PV2HVM_SOURCE_DIR/scripts/boot-image"
check "boot-image: a machine with graphics" grep -qx 'pc' "$work/arguments"
printf 'echo "P2H READY"; exec sleep 100\n' >"$work/guest"
exits "boot-image: the BIOS's screen" 0 "'P2H READY' after" "$PV2HVM_SOURCE_DIR/scripts/boot-image" "$work/image.raw" --screen
check "boot-image: a machine without graphics" grep -qx 'pc,graphics=off' "$work/arguments"
exits "boot-image: an unknown bus" 2 "--bus is" "$PV2HVM_SOURCE_DIR/scripts/boot-image" "$work/image.raw" --bus scsi

lab=$PV2HVM_SOURCE_DIR/scripts/xen-lab
exits "xen-lab: nothing asked" 2 "build or boot?" "$lab"
exits "xen-lab: no mode" 2 "--mode is pv or hvm" "$lab" boot "$work/image.raw"
exits "xen-lab: an unknown boot loader" 2 "--boot is" "$lab" boot "$work/image.raw" --mode pv --boot lilo

# No package can be had: said, and no half of a lab stays
mkdir "$work/bin"
printf '#!/bin/sh\necho "no such mirror" >&2\nexit 25\n' >"$work/bin/mmdebstrap"
chmod +x "$work/bin/mmdebstrap"
export PV2HVM_MIRROR=http://mirror.invalid/debian
PATH=$work/bin:$PATH exits "xen-lab: without a mirror" 1 "no such mirror" "$lab" build
PATH=$work/bin:$PATH exits "xen-lab: without a mirror, once more" 1 "the packages cannot be had" "$lab" build
part=$(echo "$work"/cache/xen-lab-*.part)
equal "xen-lab: no lab after that" "$part" "$(echo "$work"/cache/xen-lab-*)"

mkdir "${part%.part}"
touch "${part%.part}"/{xen,vmlinuz,dom0.cpio}
equal "xen-lab: a lab that is there is not made again" "${part%.part}" "$("$lab" build)"
common "xen-lab pv" "$lab" boot --mode pv
common "xen-lab hvm" "$lab" boot --mode hvm
finish
