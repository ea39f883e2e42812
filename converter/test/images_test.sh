#!/usr/bin/env bash
# The sample guests of test-images/ as their directories expect them: expect/facts is what `inspect` says of the guest,
# expect/plan how it is converted with the donor donor-bookworm, expect/verify what `verify` says of the result.
#
# images_test.sh [--accept] [--all | GUEST...]: without names, the two that need little to make; --all: those with such
# files. --accept writes the files as they are now, to be read with `git diff`.
set -euo pipefail
# shellcheck source=converter/test/support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=converter/test/plans.sh
. "$(dirname "${BASH_SOURCE[0]}")/plans.sh"
need mmdebstrap qemu-img jq sfdisk e2fsck debugfs

images=$PV2HVM_SOURCE_DIR/test-images
accept=no guests=()
while [ $# -gt 0 ]; do
	case $1 in
	--accept) accept=yes ;;
	--all)
		for name in "$images"/*/expect; do
			name=${name%/expect}
			guests+=("${name##*/}")
		done ;;
	*) guests+=("$1") ;;
	esac
	shift
done
[ ${#guests[@]} -gt 0 ] || guests=(tiny-busybox bullseye-systemd)
targets=xen-hvm,nitro,kvm

# What is true of the guest, whatever versions its packages have
# shellcheck disable=SC2016
jq_facts='
.source as $s | .guest as $g | $g.file_system as $f |
"disk: \($s.format), \($s.size) bytes, table \($s.table) \($s.table_id)",
($s.volumes[] | "volume \(.number): sectors \(.start_sector)+\(.sectors), type \(.type), \(.content) \(.uuid) \(.label), part \(.part_uuid)\(if .active then ", active" else "" end)"),
"root: volume \($s.root), boot: volume \($s.boot)",
"file system: \($f.type), blocks of \($f.block_size), \($f.features | join(" "))",
"state: \([$f | to_entries[] | select(.value == true) | .key] | join(" "))",
"system: \($g.os.id) \($g.os.version | split(".")[0]), \($g.init), \($g.bits)-bit",
($g.kernels[] | "kernel: \(.release), \(.bits)-bit, \(if .hvm then "can boot as HVM" else .why_not end), modules \(.modules)"),
"boot sector: \($g.boot_loader.boot_sector), gap \($g.boot_loader.gap_sectors), BIOS boot partition \($g.boot_loader.bios_boot_sectors)",
((.verify.before.steps // [])[] | select(.result == "fail") | "would not boot: \(.id): \(.evidence)")'

# Kernels by series and flavour; figures that come with the packages as N
stable() {
	sed -E -e 's/\b([0-9]+\.[0-9]+)\.[0-9]+([-+][0-9a-z.~+]+)*-cloud-amd64/\1-cloud-amd64/g' \
		-e 's/\b[0-9]+ bytes in (boot|[0-9]+ pieces)/N bytes in \1/; s/\b[0-9]+ (archives|modules|files|lines)\b/N \1/g' \
		-e 's/(core image at sector|pieces from sector) [0-9]+/\1 N/'
}

donor=$(sample donor-bookworm)
for name in "${guests[@]}"; do
	expect=$images/$name/expect
	[ "$accept" = no ] || mkdir -p "$expect"
	guest=$(sample "$name")
	before=$(stat -c '%s %y' "$guest")
	check "$name: inspect" "$PV2HVM" inspect "$guest" --target "$targets" --report "$work/inspect.json"
	jq -r "$jq_facts" "$work/inspect.json" | stable >"$work/facts"
	expected "$name: facts" "$expect/facts" "$work/facts"
	check "$name: converts" "$PV2HVM" convert "$guest" --donor "$donor" --target "$targets" -o "$work/out.raw" --output-format raw \
		--report "$work/plan.json"
	plan_text "$work/plan.json" | stable >"$work/plan"
	expected "$name: plan" "$expect/plan" "$work/plan"
	check "$name: verify" sh -c '"$@" >'"$work/verify.json" verify "$PV2HVM" verify "$work/out.raw" --target "$targets" --json
	jq -r '.verify.before.steps[] | "\(.result) \(.id): \(.evidence)"' "$work/verify.json" | stable >"$work/verify"
	expected "$name: verify's report" "$expect/verify" "$work/verify"
	while read -r offset; do
		check "$name: e2fsck finds nothing at byte $offset" e2fsck -fn "$work/out.raw?offset=$offset"
	done < <(jq '.layout_after.partitions[] | select(.content | startswith("ext")) | .start_sector * 512' "$work/plan.json")
	equal "$name: nothing wrote to the guest's image" "$before" "$(stat -c '%s %y' "$guest")"
	rm -f "$work/out.raw"
done
finish
