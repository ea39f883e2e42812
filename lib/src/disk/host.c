#include "disk/host.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "disk/backends.h"

#define DEVICES_MAX 1024 /* of one disk: partitions, holders, holders of those */

/* Every device whose use is a use of the image, and how it comes to be one. */
struct device {
	dev_t dev;
	char what[128];
};
struct devices {
	struct device item[DEVICES_MAX];
	size_t len;
};

static void add_device(struct devices *all, dev_t dev, const char *what)
{
	for (size_t i = 0; i < all->len; i++)
		if (all->item[i].dev == dev)
			return;
	if (all->len == DEVICES_MAX)
		return;
	all->item[all->len].dev = dev;
	snprintf(all->item[all->len++].what, sizeof(all->item[0].what), "%s", what);
}

static const struct device *find_device(const struct devices *all, dev_t dev)
{
	for (size_t i = 0; i < all->len; i++)
		if (all->item[i].dev == dev)
			return &all->item[i];
	return NULL;
}

/* "8:1\n" from a file in sysfs. */
static bool read_dev(const char *path, dev_t *ret)
{
	unsigned major_no, minor_no;
	FILE *f = fopen(path, "re");
	bool ok = f && fscanf(f, "%u:%u", &major_no, &minor_no) == 2;

	if (f)
		fclose(f);
	if (ok)
		*ret = makedev(major_no, minor_no);
	return ok;
}

/* Entries of a sysfs folder of a device that are block devices: partitions lie in "", holders in "/holders". */
static void add_below(struct devices *all, dev_t dev, const char *folder, const char *kind)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s", major(dev), minor(dev), folder);
	dir = opendir(path);
	while (dir && (e = readdir(dir))) {
		char entry[512], what[128];
		dev_t below;

		if (*e->d_name == '.')
			continue;
		snprintf(entry, sizeof(entry), "%s/%s/partition", path, e->d_name);
		if (!*folder && access(entry, F_OK))
			continue;
		snprintf(entry, sizeof(entry), "%s/%s/dev", path, e->d_name);
		snprintf(what, sizeof(what), "%s /dev/%.100s", kind, e->d_name);
		if (read_dev(entry, &below))
			add_device(all, below, what);
	}
	if (dir)
		closedir(dir);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISBLK(b->st_mode))
		return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What a loop device shows: false when it is not in use. */
static bool loop_backing(const char *name, struct stat *ret)
{
	char path[320], backing[PATH_MAX];
	FILE *f;
	bool ok;

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	f = fopen(path, "re");
	ok = f && fgets(backing, sizeof(backing), f);
	if (f)
		fclose(f);
	if (!ok)
		return false;
	backing[strcspn(backing, "\n")] = '\0';
	return !stat(backing, ret);
}

static void add_loops(struct devices *all, const struct stat *image)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[320], what[128];
		struct stat backing;
		dev_t dev;

		if (strncmp(e->d_name, "loop", 4) || !loop_backing(e->d_name, &backing) || !same_file(&backing, image))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/dev", e->d_name);
		snprintf(what, sizeof(what), "loop device /dev/%.100s", e->d_name);
		if (read_dev(path, &dev))
			add_device(all, dev, what);
	}
	if (dir)
		closedir(dir);
}

static void collect(struct devices *all, const struct stat *image)
{
	if (S_ISBLK(image->st_mode))
		add_device(all, image->st_rdev, "");
	add_loops(all, image);
	for (size_t i = 0; i < all->len; i++) {
		add_below(all, all->item[i].dev, "", "partition");
		add_below(all, all->item[i].dev, "/holders", "holder");
	}
}

static int busy(const char *path, const struct device *d, const char *how, const char *where, struct p2h_error *err)
{
	if (d && *d->what)
		return error_set(err, P2H_BUSY, "%s: in use: its %s %s%s", path, d->what, how, where);
	return error_set(err, P2H_BUSY, "%s: in use: it %s%s", path, how, where);
}

/* Undoes the octal escapes of /proc/self/mountinfo and /proc/swaps, in place. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; at++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' && at[3] >= '0' &&
		    at[3] <= '7') {
			*to++ = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 3;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
}

struct mount {
	dev_t dev;
	char *where, *source;
	bool writable;
};

/* `36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`, see proc(5). */
static bool parse_mount(char *line, struct mount *ret)
{
	char *tail = strstr(line, " - "), *rest = NULL, *word[5] = {NULL}, *options;
	unsigned major_no, minor_no;

	if (!tail)
		return false;
	*tail = '\0';
	for (int i = 0; i < 5; i++) {
		word[i] = strtok_r(i ? NULL : line, " ", &rest);
		if (!word[i])
			return false;
	}
	if (sscanf(word[2], "%u:%u", &major_no, &minor_no) != 2 || !strtok_r(tail + 3, " ", &rest))
		return false;
	ret->dev = makedev(major_no, minor_no);
	ret->where = word[4];
	ret->source = strtok_r(NULL, " ", &rest);
	options = strtok_r(NULL, " \n", &rest);
	ret->writable = !options || strncmp(options, "ro", 2) || (options[2] && options[2] != ',');
	unescape(ret->where);
	if (ret->source)
		unescape(ret->source);
	return true;
}

static int check_mounts(const char *path, const struct devices *all, bool for_write, struct p2h_error *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;
	int code = 0;

	while (f && !code && getline(&line, &room, f) > 0) {
		const struct device *d;
		struct mount m;
		struct stat st;

		if (!parse_mount(line, &m))
			continue;
		d = find_device(all, m.dev);
		/* btrfs shows a device number of its own */
		if (!d && m.source && *m.source == '/' && !stat(m.source, &st) && S_ISBLK(st.st_mode))
			d = find_device(all, st.st_rdev);
		if (d && (for_write || m.writable))
			code = busy(path, d, "is mounted on ", m.where, err);
	}
	if (f)
		fclose(f);
	return code;
}

static int check_swaps(const char *path, const struct stat *image, const struct devices *all, struct p2h_error *err)
{
	FILE *f = fopen("/proc/swaps", "re");
	CLEANUP_FREE char *line = NULL;
	size_t room = 0;
	int code = 0;

	while (f && !code && getline(&line, &room, f) > 0) {
		const struct device *d = NULL;
		struct stat st;

		line[strcspn(line, " \t\n")] = '\0';
		unescape(line);
		if (*line != '/' || stat(line, &st))
			continue;
		if (S_ISBLK(st.st_mode))
			d = find_device(all, st.st_rdev);
		if (d || same_file(&st, image))
			code = busy(path, d, "is active swap space", "", err);
	}
	if (f)
		fclose(f);
	return code;
}

/* Whatever holds a device keeps data of it in memory: a writer must not work behind its back, mounted or not. */
static int check_holders(const char *path, const struct devices *all, struct p2h_error *err)
{
	for (size_t i = 0; i < all->len; i++) {
		const char *what = all->item[i].what;

		if (!strncmp(what, "holder", 6) || !strncmp(what, "loop", 4))
			return busy(path, &all->item[i], "is active", "", err);
	}
	return 0;
}

int host_check_unused(const char *path, bool for_write, struct p2h_error *err)
{
	CLEANUP_FREE struct devices *all = calloc(1, sizeof(*all));
	CLEANUP_FD int fd = -1;
	struct image_file image;
	struct stat st;
	int code;

	if (!all)
		return error_nomem(err);
	if (stat(path, &st))
		return error_sys(err, errno, "%s", path);
	collect(all, &st);
	code = check_mounts(path, all, for_write, err);
	if (!code)
		code = check_swaps(path, &st, all, err);
	if (!code && for_write)
		code = check_holders(path, all, err);
	if (code)
		return code;
	code = image_file_open(path, &image, err);
	if (code)
		return code;
	fd = image.fd;
	return image_lock_check(fd, path, for_write, err);
}

/* The disk that a partition lies on; other devices are themselves. */
static dev_t whole_disk(dev_t dev)
{
	char path[64];
	dev_t disk;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	if (access(path, F_OK))
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	return read_dev(path, &disk) ? disk : dev;
}

/* A loop device is the file behind it. */
static void look_through_loop(struct stat *st)
{
	char path[64], target[PATH_MAX];
	struct stat backing;
	const char *name;

	if (!S_ISBLK(st->st_mode))
		return;
	st->st_rdev = whole_disk(st->st_rdev);
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(st->st_rdev), minor(st->st_rdev));
	if (!realpath(path, target))
		return;
	name = strrchr(target, '/');
	if (!strncmp(name + 1, "loop", 4) && loop_backing(name + 1, &backing))
		*st = backing;
}

bool host_same_disk(const char *a, const char *b)
{
	struct stat sa, sb;

	if (stat(a, &sa) || stat(b, &sb))
		return false;
	for (int i = 0; i < 8; i++) { /* a loop device on a file on ... is followed this far */
		look_through_loop(&sa);
		look_through_loop(&sb);
	}
	return same_file(&sa, &sb);
}
