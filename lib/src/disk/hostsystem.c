/* hostsystem.c - the disks that the running system itself lives on */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hostfile.h"
#include "disk/host.h"
#include "disk/sysblock.h"

#define PARTS_MAX 256 /* devices and files that one mount rests on */

/* A mount's device and all that lies below it: disks of partitions, slaves of device-mapper and md, files of loop devices. */
struct base {
	struct stat item[PARTS_MAX];
	size_t len;
};

static void base_add(struct base *b, const struct stat *st)
{
	for (size_t i = 0; i < b->len; i++)
		if (sysblock_same(&b->item[i], st))
			return;
	if (b->len < PARTS_MAX)
		b->item[b->len++] = *st;
}

static void base_add_device(struct base *b, dev_t dev)
{
	struct stat st = {.st_mode = S_IFBLK, .st_rdev = dev};

	if (major(dev)) /* 0: no device, but a file system's own number */
		base_add(b, &st);
}

/* The devices named in a folder, each of which has or leads to a folder with a file "dev". */
static void base_add_folder(struct base *b, const char *path)
{
	DIR *dir = hostfile_dir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char entry[600];
		dev_t dev;

		snprintf(entry, sizeof(entry), "%.300s/%s/dev", path, e->d_name);
		if (*e->d_name != '.' && sysblock_read_dev(entry, &dev))
			base_add_device(b, dev);
	}
	if (dir)
		closedir(dir);
}

/* btrfs may span devices, of which mountinfo names one. */
static void base_add_btrfs(struct base *b, dev_t dev)
{
	DIR *dir = hostfile_dir("/sys/fs/btrfs");
	char name[SYSBLOCK_NAME], path[600];
	struct dirent *e;

	while (dir && sysblock_name(dev, name) && (e = readdir(dir))) {
		if (*e->d_name == '.')
			continue;
		snprintf(path, sizeof(path), "/sys/fs/btrfs/%.100s/devices/%.255s", e->d_name, name);
		if (access(path, F_OK))
			continue;
		*strrchr(path, '/') = '\0';
		base_add_folder(b, path);
	}
	if (dir)
		closedir(dir);
}

/* through_files: the disk that holds a loop device's file counts as well. */
static void base_expand(struct base *b, bool through_files)
{
	for (size_t i = 0; i < b->len; i++) {
		dev_t dev = b->item[i].st_rdev;
		struct stat behind = b->item[i];
		char path[64];

		if (!S_ISBLK(b->item[i].st_mode)) {
			if (through_files)
				base_add_device(b, b->item[i].st_dev);
			continue;
		}
		base_add_device(b, sysblock_whole_disk(dev));
		sysblock_behind_loop(&behind);
		base_add(b, &behind);
		snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/slaves", major(dev), minor(dev));
		base_add_folder(b, path);
		base_add_btrfs(b, dev);
	}
}

static bool base_holds(const struct base *b, const struct stat *target)
{
	struct stat behind = *target;

	sysblock_behind_loop(&behind); /* also: a partition of such a disk */
	for (size_t i = 0; i < b->len; i++)
		if (sysblock_same(&b->item[i], target) || sysblock_same(&b->item[i], &behind))
			return true;
	return false;
}

static bool is_system(const char *where)
{
	return !strcmp(where, "/") || !strcmp(where, "/boot") || !strcmp(where, "/boot/efi") || !strcmp(where, "/usr");
}

/* What b names, and all below that, hold `where`. */
static int refuse_base(struct base *b, const struct stat *target, const char *path, const char *where, struct p2h_error *err)
{
	base_expand(b, true);
	if (!base_holds(b, target))
		return 0;
	return error_set(err, P2H_REFUSED, "%s: belongs to the disk that this system runs from (it holds %s): never a target, not with --force either",
			 path, where);
}

int host_check_target_in(const char *path, const char *mountinfo, struct p2h_error *err)
{
	CLEANUP_FREE struct base *b = malloc(sizeof(*b));
	CLEANUP(buf_done) struct buf text = {0};
	struct stat target, source;
	char *line, *rest;
	int code;

	if (!b)
		return error_nomem(err);
	if (stat(path, &target))
		return 0; /* something new */
	code = sysblock_read_list(mountinfo, &text, err);
	rest = text.data;
	while (!code && (line = strsep(&rest, "\n"))) {
		struct sysblock_mount m;

		if (!sysblock_parse_mount(line, &m) || !is_system(m.where))
			continue;
		b->len = 0;
		base_add_device(b, m.dev);
		if (m.source && *m.source == '/' && !stat(m.source, &source) && S_ISBLK(source.st_mode))
			base_add_device(b, source.st_rdev);
		code = refuse_base(b, &target, path, m.where, err);
	}
	return code;
}

int host_check_target(const char *path, struct p2h_error *err)
{
	CLEANUP_FREE struct base *b = calloc(1, sizeof(*b));
	struct stat target, root;

	if (!b)
		return error_nomem(err);
	/* Below a chroot, the list of mounts does not show what / lies on. */
	if (!stat(path, &target) && !stat("/", &root)) {
		base_add_device(b, root.st_dev);
		int code = refuse_base(b, &target, path, "/", err);

		if (code)
			return code;
	}
	return host_check_target_in(path, "/proc/self/mountinfo", err);
}

bool host_same_storage(const char *a, const char *b)
{
	const char *const name[2] = {a, b};
	CLEANUP_FREE struct base *below = malloc(sizeof(*below));
	struct stat st[2];

	if (host_same_disk(a, b))
		return true;
	if (!below)
		error_note_nomem();
	for (int i = 0; below && i < 2; i++) {
		if (stat(name[i], &st[0]) || stat(name[!i], &st[1]) || !S_ISBLK(st[0].st_mode))
			continue;
		below->len = 0;
		base_add_device(below, st[0].st_rdev);
		base_expand(below, false);
		if (base_holds(below, &st[1]))
			return true;
	}
	return false;
}
