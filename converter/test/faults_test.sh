#!/usr/bin/env bash
# No room, no memory, bad sectors and signals, through the real program: the source is as it was or undo makes it so, nothing is left
# beside the output, and the message says what to do. A library put in front of the C library does what a bad disk does.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need cc cpio debugfs mke2fs mmdebstrap qemu-nbd

guest=$(sample tiny-busybox)
donor=$(sample donor-bookworm)
sum=$(sum "$guest")
image=$work/in/image.raw journal=$work/in/image.raw.pv2hvm-undo out=$work/out
mkdir "$work/in" "$out"

cat >"$work/shim.c" <<'C'
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Does the file lie below the directory, or is it the file, that the variable names? */
static int is_below(int fd, const char *variable)
{
	const char *dir = getenv(variable);
	char link[64], path[4096];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = dir ? readlink(link, path, sizeof path - 1) : -1;
	if (n < 0)
		return 0;
	path[n] = 0;
	return !strncmp(path, dir, strlen(dir));
}

/* FAULT_SIGNAL arrives at the call number FAULT_AT that writes below FAULT_DIR; FAULT_LOG gets a line for each. */
static void count(int fd)
{
	static long calls;
	const char *at = getenv("FAULT_AT"), *log = getenv("FAULT_LOG");

	if (!is_below(fd, "FAULT_DIR"))
		return;
	calls++;
	if (log) {
		FILE *f = fopen(log, "a");

		if (!f || fprintf(f, "%ld\n", calls) < 0 || fclose(f))
			abort();
	}
	if (at && calls == atol(at))
		kill(getpid(), atoi(getenv("FAULT_SIGNAL")));
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
	count(fd);
	return syscall(SYS_pwrite64, fd, data, len, off);
}

ssize_t copy_file_range(int in, off64_t *in_off, int to, off64_t *to_off, size_t len, unsigned flags)
{
	count(to);
	return syscall(SYS_copy_file_range, in, in_off, to, to_off, len, flags);
}

/* [BAD_OFF, BAD_OFF + BAD_LEN) of the file BAD_FILE cannot be read. */
ssize_t pread64(int fd, void *data, size_t len, off64_t off)
{
	if (is_below(fd, "BAD_FILE")) {
		long long bad = atoll(getenv("BAD_OFF")), end = bad + atoll(getenv("BAD_LEN"));

		if (off < end && off + (long long)len > bad) {
			errno = EIO;
			return -1;
		}
	}
	return syscall(SYS_pread64, fd, data, len, off);
}
C
cc -D_GNU_SOURCE -shared -fPIC -O1 -o "$work/shim.so" "$work/shim.c"

renew() {
	rm -f "$journal"
	cp --sparse=always "$guest" "$image"
}

# status [VARIABLE=VALUE...] COMMAND...: runs it with the shim; its exit status
status() {
	local got=0
	{ env LD_PRELOAD="$work/shim.so" "$@" >"$work/stdout" 2>"$work/stderr" </dev/null || got=$?; } 2>/dev/null
	echo "$got"
}

# says WHAT REGEX
says() {
	if grep -qE -- "$2" "$work/stderr"; then
		passed "$1: $(tail -n 1 "$work/stderr")"
	else
		failed "$1: stderr should match /$2/: $(tail -n 3 "$work/stderr")"
	fi
}

empty() { equal "$1: nothing is left behind" '' "$(find "$2" -mindepth 1)"; }
in_place=("$PV2HVM" convert "$image" --donor "$donor" --in-place --layout flat -q)
to_file=("$PV2HVM" convert "$guest" --donor "$donor" -o "$out/result.raw" -q)

# --- no room
small=$work/small tiny=$work/tiny
mkdir "$small" "$tiny"
if mount -t tmpfs -o size=4m none "$small" 2>/dev/null && mount -t tmpfs -o size=64k none "$tiny" 2>/dev/null; then
	defer sh -c "umount $small $tiny 2>/dev/null"
	equal "output without room: exit status" 1 "$(status "$PV2HVM" convert "$guest" --donor "$donor" -o "$small/result.raw")"
	says "output without room" 'result.raw.*[Nn]o space left'
	empty "output without room" "$small"
	equal "output without room: source unchanged" "$sum" "$(sum "$guest")"

	renew
	equal "journal without room: exit status" 1 "$(status "${in_place[@]}" --undo-file "$tiny/undo")"
	says "journal without room" 'undo.*[Nn]o space left'
	empty "journal without room" "$tiny"
	equal "journal without room: image unchanged" "$sum" "$(sum "$image")"

	equal "spill file without room: exit status" 1 "$(status TMPDIR="$small" "${in_place[@]}")"
	says "spill file without room" "$small.*[Nn]o space left"
	empty "spill file without room" "$small"
	equal "spill file without room: image unchanged" "$sum" "$(sum "$image")"
	equal "spill file without room: no journal" no "$([ -e "$journal" ] && echo yes || echo no)"
	umount "$small" "$tiny"
else
	echo "skipped: a small file system cannot be mounted here"
fi

# --- signals
equal "writes to a new file are counted: exit status" 0 "$(status FAULT_DIR="$out" FAULT_LOG="$work/log" "${to_file[@]}")"
calls=$(wc -l <"$work/log")
rm "$out/result.raw" "$work/log"
for signal in 2 15; do
	for part in 1 2 3; do
		what="signal $signal after $part/4 of the writes to a new file"
		equal "$what: ends by it" $((128 + signal)) \
			"$(status FAULT_DIR="$out" FAULT_AT=$((calls * part / 4)) FAULT_SIGNAL=$signal "${to_file[@]}")"
		empty "$what" "$out"
	done
done
equal "signals: source unchanged" "$sum" "$(sum "$guest")"

renew
equal "writes in place are counted: exit status" 0 "$(status FAULT_DIR="$work/in" FAULT_LOG="$work/log" "${in_place[@]}")"
calls=$(wc -l <"$work/log")
# part 1 of 8: the journal is being written; part 7: the image is, and then it goes on to the end
for signal in 2 15; do
	for part in 1 7; do
		what="signal $signal after $part/8 of the writes in place"
		renew
		got=$(status FAULT_DIR="$work/in" FAULT_AT=$((calls * part / 8)) FAULT_SIGNAL=$signal "${in_place[@]}")
		if [ $part = 1 ]; then
			equal "$what: ends by it" $((128 + signal)) "$got"
			equal "$what: no journal is left" no "$([ -e "$journal" ] && echo yes || echo no)"
		else
			equal "$what: comes to its end" 0 "$got"
			check "$what: the result boots as far as one can see" "$PV2HVM" verify -q "$image"
			check "$what: undo" "$PV2HVM" undo -q "$image"
		fi
		equal "$what: the image is what it was" "$sum" "$(sum "$image")"
		equal "$what: nothing else is left" "$image" "$(find "$work/in" -mindepth 1)"
	done
done

# --- no memory: the short form of scripts/kill-sweep --allocations
check "one of 40 allocations fails" env TMPDIR="$work" "$PV2HVM_SOURCE_DIR/scripts/kill-sweep" --allocations --quick --layout flat
tail -n 1 "$work/check.out"

# --- a conversion that broke off
renew
equal "killed while it writes in place" 137 "$(status FAULT_DIR="$work/in" FAULT_AT=$((calls * 7 / 8)) FAULT_SIGNAL=9 "${in_place[@]}")"
before=$(sum "$image")
equal "convert in place after that: exit status" 1 "$(status "${in_place[@]}")"
says "convert in place after that" 'pv2hvm undo .*image.raw'
equal "convert to a new file after that: exit status" 1 "$(status "$PV2HVM" convert "$image" --donor "$donor" -o "$out/result.raw")"
says "convert to a new file after that" 'pv2hvm undo .*image.raw'
empty "convert to a new file after that" "$out"
equal "the image is as the kill left it" "$before" "$(sum "$image")"
check "undo" "$PV2HVM" undo -q "$image"
equal "the image is what it was" "$sum" "$(sum "$image")"

# --- bad sectors
# block IMAGE FILE: the first block of a file's content
block() { debugfs -R "blocks $2" "$1" 2>/dev/null | awk 'NF && !n++ { print $1 }'; }
release=$(debugfs -R 'ls -p /lib/modules' "$donor?offset=1048576" 2>/dev/null | awk -F / '$6 ~ /^[0-9]/ { print $6 }')
module=/lib/modules/$release/kernel/drivers/net/ethernet/amazon/ena/ena.ko
# bad_sector WHOSE IMAGE OFFSET FILE: reading the first block of a file fails
bad_sector() {
	local bad where=$2
	[ "$3" = 0 ] || where="$2?offset=$3"
	bad=$(block "$where" "$4")
	equal "bad sector in the $1's $4: exit status" 1 \
		"$(status BAD_FILE="$2" BAD_OFF=$(($3 + bad * 4096)) BAD_LEN=512 "${to_file[@]}")"
	says "bad sector in the $1's $4" "$4.*[Ii]nput/output error"
	empty "bad sector in the $1's $4" "$out"
}
for file in "$module" "/boot/vmlinuz-$release" "/boot/initrd.img-$release"; do
	bad_sector donor "$donor" 1048576 "$file"
done
for file in /etc/fstab /etc/inittab; do
	bad_sector guest "$guest" 0 "$file"
done
finish
