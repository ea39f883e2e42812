#!/usr/bin/env bash
# Modules that the guest's modprobe cannot read are stored decompressed: their content is what the donor's build made, and
# modules.dep and its index are byte for byte what depmod writes for the new tree. Nothing of that is done a second time.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=small.sh
. "$(dirname "${BASH_SOURCE[0]}")/small.sh"
# shellcheck source=donors.sh
. "$(dirname "${BASH_SOURCE[0]}")/donors.sh"
need debugfs e2fsck resize2fs depmod xz zstd cc jq

guest=$(sample tiny-busybox)
donor=$work/donor
check "the donor's tree" unpack_donor "$(sample donor-bookworm)" "$donor"
release=$(ls "$donor/lib/modules")
(cd "$donor/lib/modules/$release" && find . -name '*.ko' -exec sha256sum {} + | LC_ALL=C sort) >"$work/plain.sums"
# No gz: depmod of Debian does not know it, and so would leave them out.
pack_donor "$donor" xz zst plain
for kind in ko.xz ko.zst ko; do
	check "the donor has .$kind" [ -n "$(find "$donor" -name "*.$kind" -print -quit)" ]
done

# with_modprobe WORDS: a guest whose modprobe is of that kind
with_modprobe() {
	small_program "$work/modprobe" "$1"
	cp --sparse=always "$guest" "$work/guest.raw"
	printf 'rm /sbin/modprobe\nwrite %s/modprobe /sbin/modprobe\nsif /sbin/modprobe mode 0100755\n' "$work" |
		debugfs -w -f - "$work/guest.raw" >/dev/null 2>&1
}

convert() { "$PV2HVM" convert "$work/guest.raw" --donor "$donor" -o "$work/out.raw" --force --report "$work/out.json" "$@"; }

# The modules of the result, with what depmod makes of them beside
take_out() {
	rm -rf "$work/result" "$work/staging"
	mkdir -p "$work/result" "$work/staging/lib/modules"
	printf 'rdump /lib/modules/%s %s\n' "$release" "$work/result" | debugfs -f - "$work/out.raw?offset=1048576" >/dev/null 2>&1
	cp -a "$work/result/$release" "$work/staging/lib/modules/"
	depmod -b "$work/staging" "$release"
}

sums() { (cd "$work/result/$release" && find . -name '*.ko' -exec sha256sum {} + | LC_ALL=C sort); }

# Neither packed modules nor relative paths: module-init-tools of RHEL 5
with_modprobe 'module-init-tools version 3.3-pre2'
check "old module-init-tools: converts" convert
take_out
check "every module is what it was before it was packed" diff "$work/plain.sums" <(sums)
equal "no packed module is left" '' "$(find "$work/result" -name '*.ko.*')"
for file in modules.dep.bin modules.alias modules.alias.bin modules.symbols.bin modules.softdep; do
	check "$file is depmod's" cmp "$work/staging/lib/modules/$release/$file" "$work/result/$release/$file"
done
sed "s,[^: ][^: ]*,/lib/modules/$release/&,g" "$work/staging/lib/modules/$release/modules.dep" >"$work/whole"
check "modules.dep is depmod's, with whole paths" cmp "$work/whole" "$work/result/$release/modules.dep"
check "the file system is sound" e2fsck -fn "$work/out.raw?offset=1048576"
check "the report says why" jq -e '.findings[] | select(.rule == "ko-compression")' "$work/out.json"
check "a second conversion" "$PV2HVM" convert "$work/out.raw" --donor "$donor" -o "$work/again.raw"
equal "finds nothing to do" no "$([ -e "$work/again.raw" ] && echo yes || echo no)"
cp "$work/out.raw" "$work/first.raw"
check "the same again" convert
check "gives the same bytes" cmp "$work/first.raw" "$work/out.raw"
rm -f "$work/first.raw"

# Only zstd: a busybox that unpacks gzip and xz keeps those packed
with_modprobe 'BusyBox v1.30.1 no gzip/bzip2/xz magic'
check "busybox: converts" convert
take_out
equal "only what it cannot read is unpacked" "$(cd "$donor/lib/modules/$release" && find . -name '*.ko*' | sed 's/\.zst$//' | LC_ALL=C sort)" \
	"$(cd "$work/result/$release" && find . -name '*.ko*' | LC_ALL=C sort)"
check "modules.dep is depmod's" cmp "$work/staging/lib/modules/$release/modules.dep" "$work/result/$release/modules.dep"

# Without the rule they stay as they are, and verify says so
check "--skip ko-compression: converts" convert --skip ko-compression
take_out
check "the tree is the donor's" diff -r "$donor/lib/modules/$release" "$work/result/$release"
"$PV2HVM" verify "$work/out.raw" >"$work/verify.out" || :
check "verify warns of it" grep -E '\[warn\] *modules.*\.ko\.zst' "$work/verify.out"

# Room for the packed tree and not for the other: the real sizes count
with_modprobe 'module-init-tools version 3.16 modules.dep.bin'
e2fsck -fp "$work/guest.raw" >/dev/null 2>&1 || :
resize2fs "$work/guest.raw" 128M >/dev/null 2>&1
truncate -s 128M "$work/guest.raw"
check "a small guest: has room for the packed tree" convert -n --skip ko-compression
status=0
convert -n >"$work/space.out" 2>&1 || status=$?
equal "and not for the unpacked one" 3 "$status"
check "which is said" grep -q 'space: .*not enough free space' "$work/space.out"
# /lib is a link on one side and a directory on the other: the tree goes where the guest's /lib leads, and that stays
for merged in guest donor; do
	dir=$work/merged-$merged
	small_guest "$dir/guest"
	small_donor "$dir/donor"
	mkdir -p "$dir/$merged/usr"
	mv "$dir/$merged/lib" "$dir/$merged/usr/lib"
	ln -s usr/lib "$dir/$merged/lib"
	small_image "$dir/guest" "$dir/guest.raw"
	check "merged /usr in the $merged: converts" "$PV2HVM" convert "$dir/guest.raw" --donor "$dir/donor" -o "$dir/out.raw"
	lib=lib type=directory
	[ "$merged" = donor ] || lib=usr/lib type=symlink
	tree=$(debugfs -R "ls -p /$lib/modules/$small_release/kernel" "$dir/out.raw?offset=1048576" 2>/dev/null)
	check "merged /usr in the $merged: modules are below /$lib" grep -q '/ena\.ko/' <<<"$tree"
	check "merged /usr in the $merged: /lib is still a $type" grep -qi "Type: $type" \
		<<<"$(debugfs -R 'stat /lib' "$dir/out.raw?offset=1048576" 2>/dev/null)"
done
finish
