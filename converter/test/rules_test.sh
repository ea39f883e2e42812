#!/usr/bin/env bash
# Each rule on guests that it has to see, and on guests that look alike and that it has to leave alone: what it says and
# changes in a dry run of the real program is compared with what the case expects. rules/README.md has the form of a case.
# Whole plans for guests that look like old distributions stand in distributions/.
#
# rules_test.sh [--accept] [CASE...]: only these directories; --accept writes the plans as they are now into them, to be
# read with `git diff`.
set -euo pipefail
# shellcheck source=converter/test/support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
# shellcheck source=converter/test/small.sh
. "$(dirname "${BASH_SOURCE[0]}")/small.sh"
# shellcheck source=converter/test/plans.sh
. "$(dirname "${BASH_SOURCE[0]}")/plans.sh"
need cc cpio mke2fs jq sfdisk mkswap debugfs xz zstd guestfish

here=$PV2HVM_SOURCE_DIR/converter/test
accept=no cases=()
while [ $# -gt 0 ]; do
	case $1 in
	--accept) accept=yes ;;
	*) cases+=("$(realpath "$1")") ;;
	esac
	shift
done
whole=no
if [ ${#cases[@]} = 0 ]; then
	whole=yes
	mapfile -t cases < <(find "$here"/rules/*/ "$here/distributions" -mindepth 1 -maxdepth 1 -type d | LC_ALL=C sort)
fi

# A distribution's tree begins with nothing and gets a kernel like Debian's, a rule's case begins with a small guest
small_tree "$work/guest"
small_guest "$work/guest.small"
small_donor "$work/donor"

# plan CASE RULE DIRECTORY: makes guest and donor in the directory, and the plan as text in DIRECTORY/plan. A distribution
# is converted, too: a second conversion has to find nothing to do. DIRECTORY/ended says that it has ended, well or not.
plan() (
	case=$1 rule=$2 directory=$3
	trap ': >"$directory/ended"' EXIT
	cd "$directory"
	cp -a "$work/guest${rule:+.small}" guest
	cp -a "$work/donor" "$work/donor.initramfs" .
	[ -n "$rule" ] || small_as_debian donor
	# What a case's setup may use and change
	guest=$PWD/guest donor=$PWD/donor initramfs=$PWD/donor.initramfs
	options=(--target "xen-hvm,nitro,kvm") image_options=() converted=no table=none partitions=()
	image_made() { :; }
	disk_made() { :; }
	after_conversion() { :; }
	pack_initramfs() { small_initramfs "$initramfs" "$donor/boot/initrd.img-$small_release"; }
	for tree in guest donor; do
		[ ! -d "$case/$tree" ] || cp -a "$case/$tree/." "$tree"
	done
	# shellcheck disable=SC1091
	[ ! -f "$case/setup" ] || . "$case/setup"
	small_image "$guest" guest.raw ${image_options[@]+"${image_options[@]}"}
	image_made guest.raw
	[ "$table" = none ] || small_disk guest.raw "$table" ${partitions[@]+"${partitions[@]}"}
	disk_made guest.raw
	if [ "$converted" = yes ]; then
		"$PV2HVM" convert guest.raw --donor donor --in-place "${options[@]}" >converted.out
		after_conversion
	fi
	status=0
	"$PV2HVM" convert -n guest.raw --donor donor --report plan.json "${options[@]}" >plan.txt 2>plan.err || status=$?
	[ "$status" = 0 ] || [ "$status" = 3 ] || { cat plan.err; exit 1; }
	plan_text plan.json "$rule" >text
	if [ -z "$rule" ] && [ "$status" = 0 ]; then
		"$PV2HVM" convert guest.raw --donor donor --in-place "${options[@]}" >converted.out
		"$PV2HVM" convert -n guest.raw --donor donor --report again.json "${options[@]}" >again.txt
		jq -r '(.plan.actions // [])[] | "a second conversion does it again: \(.kind) \(.path) (\(.rule))"' again.json >>text
	fi
	mv text plan
)

# judge CASE DIRECTORY
judge() {
	local case=$1 dir=$2 name=${1#"$here"/}
	if [ ! -e "$dir/plan" ]; then
		failed "$name: no plan"
		tail -n 20 "$dir.log" | sed 's/^/    /'
	elif [[ $(basename "$case") == quiet* ]]; then
		equal "$name: the rule leaves it alone" '' "$(cat "$dir/plan")"
	else
		expected "$name" "$case/expect" "$dir/plan"
		[ -s "$case/expect" ] || failed "$name: nothing is expected: is it a quiet one?"
	fi
	rm -rf "$dir" "$dir.log"
}

# Judges what has ended, in the order of the cases
judged=0
judge_ended() {
	while [ "$judged" -lt ${#cases[@]} ] && [ -e "$work/$judged/ended" ]; do
		judge "${cases[$judged]}" "$work/$judged"
		judged=$((judged + 1))
	done
}

# A case a job, as many at once as there are processors
for number in "${!cases[@]}"; do
	case=${cases[$number]%/}
	rule=$(basename "$(dirname "$case")")
	[ "$rule" != distributions ] || rule=''
	mkdir "$work/$number"
	while [ "$(jobs -r | wc -l)" -ge "$(nproc)" ]; do wait -n || :; done
	plan "$case" "$rule" "$work/$number" >"$work/$number.log" 2>&1 &
	judge_ended
done
while [ -n "$(jobs -r)" ]; do
	wait -n || :
	judge_ended
done
judge_ended

if [ "$whole" = yes ]; then
	for rule in $("$PV2HVM" rules | awk '{ print $1 }'); do
		for kind in fires quiet; do
			if compgen -G "$here/rules/$rule/$kind*" >/dev/null; then
				passed "$rule has a case '$kind'"
			else
				failed "$rule has no case rules/$rule/$kind-*"
			fi
		done
	done
fi
finish
