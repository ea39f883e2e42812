#!/usr/bin/env bash
# What cannot be converted is told so in one line with the exit status that belongs to it; the source is as it was and
# nothing of an output is left behind. Exit status: 1 failed, 2 usage, 3 refused, 0 nothing to do.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need qemu-img qemu-nbd mmdebstrap mke2fs tune2fs debugfs sfdisk blkid

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
out=$work/out
mkdir "$out"

# convert_fails WHAT STATUS REGEX SOURCE [OPTION...]: without options, --donor and -o stand for the usual ones
convert_fails() {
	local what=$1 status=$2 regex=$3 source=$4 before='' got=0
	shift 4
	[ $# -gt 0 ] || set -- --donor "$donor" -o "$out/result.raw"
	[ ! -f "$source" ] || before=$(sum "$source")
	timeout 120 "$PV2HVM" convert "$source" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || got=$?
	equal "$what: exit status" "$status" "$got"
	equal "$what: one line on stderr" 1 "$(wc -l <"$work/stderr")"
	if grep -q '^pv2hvm: ' "$work/stderr" && grep -qiE -- "$regex" "$work/stderr"; then
		passed "$what: $(cat "$work/stderr")"
	else
		failed "$what: stderr should be 'pv2hvm: ...' and match /$regex/: $(head -n 3 "$work/stderr")"
	fi
	[ -z "$before" ] || equal "$what: source unchanged" "$before" "$(sum "$source")"
	equal "$what: nothing left behind" '' "$(find "$out" -mindepth 1 -print)"
	find "$out" -mindepth 1 -delete
}

copy() { cp --sparse=always "$guest" "$work/$1"; }

# --- not an image at all
convert_fails "missing file" 1 'missing.raw.*no such file' "$work/missing.raw"
mkdir "$work/directory"
convert_fails "directory" 1 'directory' "$work/directory"
: >"$work/empty.raw"
convert_fails "empty file" 1 'empty' "$work/empty.raw"
# Not /dev/urandom: one time in many it would look like something
openssl enc -aes-128-ctr -pass pass:pv2hvm -nosalt -pbkdf2 </dev/zero 2>/dev/null | head -c 4194304 >"$work/random.raw" || :
convert_fails "random bytes" 1 'file system|partition' "$work/random.raw"

# --- half an image
head -c 100000000 "$guest" >"$work/cut.raw"
convert_fails "truncated raw image" 1 'truncated|only 100000000 bytes' "$work/cut.raw"
rm "$work/cut.raw"
qemu-img convert -q -O qcow2 "$guest" "$work/whole.qcow2"
head -c $(($(stat -c %s "$work/whole.qcow2") / 3)) "$work/whole.qcow2" >"$work/cut.qcow2"
convert_fails "truncated qcow2 image" 1 'cut.qcow2' "$work/cut.qcow2"
cp "$work/whole.qcow2" "$work/base.qcow2"
qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 "$work/child.qcow2"
rm "$work/base.qcow2"
convert_fails "qcow2 whose backing file is missing" 1 'base.qcow2' "$work/child.qcow2"

# --- an image, but of what?
truncate -s 64M "$work/noroot.raw"
mke2fs -q -F -t ext4 "$work/noroot.raw"
convert_fails "no Linux root inside" 1 'root' "$work/noroot.raw"
if command -v mkfs.xfs >/dev/null; then
	truncate -s 400M "$work/xfs.raw"
	mkfs.xfs -q -f "$work/xfs.raw"
	convert_fails "unsupported file system (xfs)" 1 'xfs' "$work/xfs.raw"
fi
if command -v mkfs.btrfs >/dev/null; then
	truncate -s 400M "$work/btrfs.raw"
	mkfs.btrfs -q -f "$work/btrfs.raw" >/dev/null
	convert_fails "unsupported file system (btrfs)" 1 'btrfs' "$work/btrfs.raw"
fi

# --- the donor
convert_fails "donor = source" 2 'donor' "$guest" --donor "$guest" -o "$out/result.raw"
copy other.raw
convert_fails "donor without a kernel" 3 'donor.*kernel|kernel.*donor' "$guest" --donor "$work/other.raw" -o "$out/result.raw" -q
rm "$work/other.raw"
convert_fails "donor that is not there" 1 'nowhere.*no such file' "$guest" --donor "$work/nowhere" -o "$out/result.raw"

# --- no room
copy full.raw
head -c 150000000 /dev/zero | tr '\0' x >"$work/ballast"
printf 'write %s /srv/ballast\n' "$work/ballast" | debugfs -w -f - "$work/full.raw" >/dev/null 2>&1
convert_fails "not enough free space" 3 '[0-9.]+ ?(bytes|KiB|MiB|GiB|MB)' "$work/full.raw"
rm "$work/full.raw" "$work/ballast"
# A tree with barely an inode to spare
mkdir "$work/tree"
printf 'rdump / %s\n' "$work/tree" | debugfs -f - "$guest" >/dev/null 2>&1
rm -rf "$work/tree/lost+found"
truncate -s 512M "$work/inodes.raw"
mke2fs -q -F -t ext4 -N $(($(find "$work/tree" | wc -l) + 100)) -d "$work/tree" "$work/inodes.raw"
convert_fails "not enough free inodes" 3 'inode' "$work/inodes.raw"
rm -rf "$work/inodes.raw" "$work/tree"

# --- the output
mkdir "$work/locked"
if [ "$(id -u)" != 0 ]; then
	chmod 555 "$work/locked"
	locked=yes
elif chattr +i "$work/locked" 2>/dev/null; then
	defer chattr -i "$work/locked"
	locked=yes
else
	locked=no
	echo "skipped: a directory that root may not write to cannot be made here"
fi
if [ "$locked" = yes ]; then
	convert_fails "read-only output directory" 1 'not permitted|denied|read-only' "$guest" --donor "$donor" -o "$work/locked/result.raw"
	equal "read-only output directory: still empty" '' "$(find "$work/locked" -mindepth 1)"
fi
printf 'mine\n' >"$work/mine.raw"
convert_fails "output exists" 1 'exists' "$guest" --donor "$donor" -o "$work/mine.raw"
equal "output exists: it is as it was" mine "$(cat "$work/mine.raw")"
convert_fails "output in a directory that is not there" 1 'no such file' "$guest" --donor "$donor" -o "$work/none/result.raw"

# --- somebody else has it
copy busy.raw
qemu-nbd --fork --persistent --pid-file="$work/nbd.pid" --socket="$work/nbd.socket" -f raw "$work/busy.raw"
defer sh -c "kill $(cat "$work/nbd.pid") 2>/dev/null"
convert_fails "image in use by another process" 1 'in use|lock' "$work/busy.raw"
convert_fails "image in use by another process, in place" 1 'in use|lock' "$work/busy.raw" --donor "$donor" --in-place
kill "$(cat "$work/nbd.pid")"
copy mounted.raw
mkdir "$work/mnt"
if mount -o loop "$work/mounted.raw" "$work/mnt" 2>/dev/null; then
	defer sh -c "umount $work/mnt 2>/dev/null"
	sync
	convert_fails "source mounted on this host" 1 'mounted|in use' "$work/mounted.raw"
	convert_fails "source mounted on this host, in place" 1 'mounted|in use' "$work/mounted.raw" --donor "$donor" --in-place
	umount "$work/mnt"
else
	echo "skipped: a loop mount is not possible here"
fi

# --- usage
convert_fails "no donor" 2 'donor' "$guest" -o "$out/result.raw"
convert_fails "unknown option" 2 'frobnicate' "$guest" --donor "$donor" --frobnicate
convert_fails "unknown target" 2 'target' "$guest" --donor "$donor" -o "$out/result.raw" --target mainframe
convert_fails "unknown layout" 2 'layout' "$guest" --donor "$donor" -o "$out/result.raw" --layout sideways
for option in --skip --allow; do
	convert_fails "$option of a rule that is not there" 2 'grub-defaults: no such rule' "$guest" --donor "$donor" -o "$out/result.raw" "$option" grub-defaults
done
convert_fails "in place and an output" 2 'in-place|output' "$guest" --donor "$donor" -o "$out/result.raw" --in-place

# --- a conversion in place that ended while it made its undo journal
for kind in empty cut whole; do
	copy begun.raw
	case $kind in
	empty) : >"$work/begun.raw.pv2hvm-undo" ;;
	cut) printf PV2HVMUJ >"$work/begun.raw.pv2hvm-undo" ;;
	whole) head -c 512 <(printf PV2HVMUJ && cat /dev/zero) >"$work/begun.raw.pv2hvm-undo" ;;
	esac
	before=$(sum "$work/begun.raw") status=0
	"$PV2HVM" undo "$work/begun.raw" >"$work/stdout" 2>"$work/stderr" || status=$?
	equal "journal without a header, $kind: undo fails" 1 "$status"
	check "journal without a header, $kind: undo says why" grep -q 'nothing to undo' "$work/stderr"
	check "journal without a header, $kind: undo leaves it" test -e "$work/begun.raw.pv2hvm-undo"
	equal "journal without a header, $kind: image unchanged" "$before" "$(sum "$work/begun.raw")"
	check "journal without a header, $kind: convert goes on" "$PV2HVM" convert "$work/begun.raw" --donor "$donor" --in-place --layout flat
	check "journal without a header, $kind: undo" "$PV2HVM" undo "$work/begun.raw"
	equal "journal without a header, $kind: as before" "$before" "$(sum "$work/begun.raw")"
done
printf 'my notes\n' >"$work/begun.raw.pv2hvm-undo"
convert_fails "a file of the user's where the journal goes" 1 'undo journal' "$work/begun.raw" --donor "$donor" --in-place
equal "a file of the user's where the journal goes: as it was" 'my notes' "$(cat "$work/begun.raw.pv2hvm-undo")"
rm "$work/begun.raw" "$work/begun.raw.pv2hvm-undo"

# --- two of the same name: a warning on stderr, one line each
copy twin.raw
uuid=$(blkid -p -o value -s UUID -O "$(sfdisk --json "$donor" 2>/dev/null | sed -n 's/.*"start": *\([0-9]*\).*/\1/p' | head -n 1 | awk '{ print $1 * 512 }')" "$donor")
tune2fs -f -U "$uuid" "$work/twin.raw" >/dev/null 2>&1 </dev/null || :
for kind in "-n" "-o $out/result.raw"; do
	# shellcheck disable=SC2016,SC2086
	check "same UUID: converts ${kind%% *}" sh -c '"$@" 2>"$0"' "$work/stderr" "$PV2HVM" convert "$work/twin.raw" --donor "$donor" $kind
	equal "same UUID: ${kind%% *} warns in one line" 1 "$(grep -c "^pv2hvm: warning: .*same file-system UUID ($uuid)" "$work/stderr")"
done
# shellcheck disable=SC2016
check "same UUID: --quiet says nothing" sh -c '"$@" 2>"$0" && test ! -s "$0"' "$work/stderr" "$PV2HVM" convert "$work/twin.raw" --donor "$donor" -n -q
rm -f "$work/twin.raw" "$out/result.raw"

# --- reports that cannot be written: told before the work where that can be seen, else that the conversion is done all the same
convert_fails "report in a directory that is not there" 1 'report .*/none/plan.json: no such file' "$guest" --donor "$donor" -o "$out/result.raw" \
	--report "$work/none/plan.json"
ln -s /dev/full "$work/full.json"
for kind in file stdout; do
	got=0 where=/dev/full
	[ "$kind" = stdout ] || where=$work/stdout
	if [ "$kind" = file ]; then set -- --report "$work/full.json" --report "$work/plan.txt"; else set -- --json --report "$work/plan.txt"; fi
	rm -f "$work/plan.txt"
	"$PV2HVM" convert "$guest" --donor "$donor" -o "$out/result.raw" "$@" >"$where" 2>"$work/stderr" || got=$?
	equal "report on a full $kind: exit status" 1 "$got"
	equal "report on a full $kind: one line on stderr" 1 "$(wc -l <"$work/stderr")"
	check "report on a full $kind: says that the conversion is done" grep -q 'No space left.*the conversion itself is done' "$work/stderr"
	check "report on a full $kind: the result is whole" "$PV2HVM" verify -q "$out/result.raw"
	check "report on a full $kind: the other report is there" test -s "$work/plan.txt"
	rm -f "$out/result.raw"
done
status=0
"$PV2HVM" rules >/dev/full 2>"$work/stderr" || status=$?
equal "rules on a full stdout: exit status" 1 "$status"
check "rules on a full stdout: says why" grep -q 'standard output: No space left' "$work/stderr"

# --- boots as HVM already
before=$(sum "$guest")
check "converts, to have one that boots" "$PV2HVM" convert "$guest" --donor "$donor" -o "$work/hvm.raw"
equal "source unchanged" "$before" "$(sum "$guest")"
if [ -s "$work/hvm.raw" ]; then
	before=$(sum "$work/hvm.raw") status=0
	"$PV2HVM" convert "$work/hvm.raw" --donor "$donor" -o "$out/result.raw" >"$work/stdout" 2>"$work/stderr" || status=$?
	equal "already HVM: exit status" 0 "$status"
	check "already HVM: says that there is nothing to do" grep -qi 'nothing to do' "$work/stdout"
	equal "already HVM: unchanged" "$before" "$(sum "$work/hvm.raw")"
	equal "already HVM: no output" '' "$(find "$out" -mindepth 1)"
fi
finish
