#!/usr/bin/env bash
# Guests with several disks: --disk, its outputs, in place and back, and what is left when one disk's writing fails.
set -euo pipefail
# shellcheck source=support.sh
. "$(dirname "${BASH_SOURCE[0]}")/support.sh"
need cc mke2fs debugfs sfdisk e2fsck jq mmdebstrap

donor=$(sample donor-bookworm)
tiny=$(sample tiny-busybox)
cd "$work"
pv2hvm() { "$PV2HVM" "$@"; }
convert() { pv2hvm convert guest.raw "$@" --donor "$donor"; }
sums() { for file; do sum "$file"; done; }

# edit IMAGE COMMAND...: debugfs' commands
edit() {
	local image=$1
	shift
	printf '%s\n' "$@" | debugfs -w -f - "$image" >/dev/null 2>&1
	e2fsck -fy "$image" >/dev/null 2>&1 || [ $? = 1 ]
}

# --- data disks, which fstab names as the old bus did
cp --sparse=always "$tiny" guest.raw
debugfs -R 'cat /etc/fstab' guest.raw 2>/dev/null >fstab
printf '%s\n' '/dev/sdf /data ext4 defaults 0 2' '/dev/xvdg1 /more ext3 defaults 0 2' '/dev/xvdh /none ext3 defaults 0 2' >>fstab
edit guest.raw 'rm /etc/fstab' 'write fstab /etc/fstab' 'mkdir /data' 'mkdir /more' 'mkdir /none'
truncate -s 16M data.raw more.raw
mke2fs -q -t ext4 -U 11111111-2222-3333-4444-555555555555 data.raw
sfdisk -q more.raw <<<'2048,,83'
mke2fs -q -t ext3 -E offset=1048576 -U 99999999-2222-3333-4444-555555555555 more.raw 15M 2>/dev/null
disks=(--disk /dev/xvdf=data.raw --disk /dev/xvdg=more.raw)
before=$(sums guest.raw data.raw more.raw)

refused "a disk that is not there" 1 'nothere: No such file' convert --disk nothere -n
refused "the source again" 2 'given twice' convert --disk guest.raw -n
refused "two disks of one name" 2 'both be the guest.s /dev/xvdf.*--disk DEVICE=FILE' convert --disk /dev/xvdf=data.raw --disk /dev/xvdf=more.raw -n
refused "the first disk's name" 2 "whole disk's name" convert --disk /dev/xvda=data.raw -n
refused "a partition's name" 2 "whole disk's name" convert --disk /dev/xvdf1=data.raw -n
refused "an output too many" 2 'given more often' convert "${disks[@]}" -o a -o b -o c -o d
refused "an output twice" 2 'same output' convert "${disks[@]}" -o a -o a
refused "an output that is a disk" 2 'more.raw: the output is a disk' convert "${disks[@]}" -o a -o more.raw
refused "the donor as a disk" 2 'source and donor are the same' pv2hvm convert guest.raw --disk "$donor" --donor "$donor" -n
touch more-hvm.raw
refused "one output is there already" 1 'more-hvm.raw: exists already' convert "${disks[@]}"
rm more-hvm.raw
equal "nothing was made" "$before" "$(sums guest.raw data.raw more.raw)"
equal "nothing lies there" 'data.raw fstab guest.raw more.raw' "$(find . -maxdepth 1 -name '[a-z]*' ! -name '*.out' ! -name '*.log' ! -name stderr -printf '%f\n' | sort | paste -sd' ')"

check "dry run" convert "${disks[@]}" -n --report plan.json
equal "its disks" '/dev/xvdf data.raw raw 16777216 0;/dev/xvdg more.raw raw 16777216 0' \
	"$(jq -r '.disks[] | "\(.device) \(.name) \(.format) \(.size) \(.changed_bytes)"' plan.json | paste -sd';')"
equal "their volumes" '/dev/xvdf ext4 2000;/dev/xvdg1 ext3 3001' \
	"$(jq -r '.source.volumes[] | select(.device != "") | "\(.device) \(.content) \(.number)"' plan.json | paste -sd';')"
check "conversion" convert "${disks[@]}"
check "the data disks are copied as they are" cmp data.raw data-hvm.raw
check "the other one, too" cmp more.raw more-hvm.raw
check "the result verifies" pv2hvm verify guest-hvm.raw --disk /dev/xvdf=data-hvm.raw --disk /dev/xvdg=more-hvm.raw
debugfs -R 'cat /etc/fstab' 'guest-hvm.raw?offset=1048576' 2>/dev/null >fstab.new
check "a disk's name became its UUID" grep -q '^UUID=11111111-2222-3333-4444-555555555555 /data ext4 defaults 0 2$' fstab.new
check "a partition's, too" grep -q '^UUID=99999999-2222-3333-4444-555555555555 /more ext3 defaults 0 2$' fstab.new
check "one that was not given is made optional" grep -q '^/dev/xvdh /none ext3 .*no' fstab.new
check "three outputs by name, one of them another format" convert "${disks[@]}" -o a.qcow2 -o b.raw -o c.qcow2
check "a qcow2" qemu-img compare -q more.raw c.qcow2
check "in place" convert "${disks[@]}" --in-place
equal "only the disk that changed has a journal" guest.raw.pv2hvm-undo "$(find . -name '*.pv2hvm-undo' -printf '%f\n')"
check "undo" pv2hvm undo guest.raw "${disks[@]}"
equal "as before" "$before" "$(sums guest.raw data.raw more.raw)"
rm -f ./*-hvm.raw a.qcow2 b.raw c.qcow2

# --- /boot on the first disk, far behind, and the root on the second
cp --sparse=always "$tiny" root.raw
mkdir boot
rm guest.raw
debugfs -R "rdump /boot ." root.raw >/dev/null 2>&1
truncate -s 600M guest.raw
sfdisk -q guest.raw <<<'819200,,83'
mke2fs -q -t ext3 -d boot -U 22222222-2222-3333-4444-555555555555 -E offset=$((819200 * 512)) guest.raw 190M 2>/dev/null
printf '%s\n' '/dev/xvdb / ext4 noatime 0 1' '/dev/xvda1 /boot ext3 defaults 0 2' >fstab
edit root.raw 'rm /etc/fstab' 'write fstab /etc/fstab'
before=$(sums guest.raw root.raw)
check "root on the second disk: conversion" convert --disk root.raw
equal "root on the second disk: sources unchanged" "$before" "$(sums guest.raw root.raw)"
check "root on the second disk: the result verifies" pv2hvm verify guest-hvm.raw --disk root-hvm.raw
refused "its first disk alone" 1 'no Linux root' convert -n
check "in place" convert --disk root.raw --in-place
check "in place: the result verifies" pv2hvm verify guest.raw --disk root.raw
check "undo" pv2hvm undo guest.raw --disk root.raw
equal "as before" "$before" "$(sums guest.raw root.raw)"

# A write to guest.raw fails, or is the program's end; what is written below broken/ does not last
cat >shim.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_at(int fd, const char *part)
{
	char link[64], path[4096] = "";

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return getenv("FAULT") && readlink(link, path, sizeof path - 1) > 0 && strstr(path, part);
}

static int fail(void)
{
	if (!strcmp(getenv("FAULT"), "kill"))
		kill(getpid(), SIGKILL);
	errno = EIO;
	return -1;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
	return is_at(fd, "/guest.raw") && !is_at(fd, "-undo") ? fail() : syscall(SYS_pwrite64, fd, data, len, off);
}

int fsync(int fd)
{
	return is_at(fd, "/broken/") ? fail() : (int)syscall(SYS_fsync, fd);
}
C
cc -shared -fPIC -o shim.so shim.c
in_place() { LD_PRELOAD=$PWD/shim.so FAULT=$1 convert --disk root.raw --in-place; }

# The first disk is written last. Where that fails half-way, the second is put back; where the program dies there, undo does both.
status=0
in_place fail >/dev/null 2>stderr || status=$?
equal "writing fails" 1 "$status"
check "it says how to go on" grep -q 'guest.raw is half written; .pv2hvm undo. restores it' stderr
equal "the second disk is as before" "$(sum root.raw)" "$(sed -n 2p <<<"$before")"
check "undo" pv2hvm undo guest.raw
equal "both are as before" "$before" "$(sums guest.raw root.raw)"
in_place kill >/dev/null 2>&1 || :
equal "both have journals" 2 "$(find . -name '*.pv2hvm-undo' | wc -l)"
refused "again before undo" 1 'half written: put it back' convert --disk root.raw --in-place
check "undo" pv2hvm undo guest.raw --disk root.raw
equal "both are as before" "$before" "$(sums guest.raw root.raw)"
equal "no journal is left" '' "$(find . -name '*.pv2hvm-undo')"

# New files: all or none
mkdir broken
LD_PRELOAD=$PWD/shim.so FAULT=fail refused "an output that cannot be written" 1 'broken/root.raw: .*Input/output error' \
	convert --disk root.raw -o out.raw -o broken/root.raw
equal "then there is none" '' "$(find . -name out.raw -o -path './broken/*' -o -name '.pv2hvm-*')"
finish
