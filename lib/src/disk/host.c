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
#include "base/hostfile.h"
#include "disk/backends.h"
#include "disk/sysblock.h"

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

/* Entries of a sysfs folder of a device that are block devices: partitions lie in "", holders in "/holders". */
static void add_below(struct devices *all, dev_t dev, const char *folder, const char *kind)
{
	char path[64];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u%s", major(dev), minor(dev), folder);
	dir = hostfile_dir(path);
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
		if (sysblock_read_dev(entry, &below))
			add_device(all, below, what);
	}
	if (dir)
		closedir(dir);
}

static void add_loops(struct devices *all, const struct stat *image)
{
	DIR *dir = hostfile_dir("/sys/block");
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		char path[320], what[128];
		struct stat backing;
		dev_t dev;

		if (strncmp(e->d_name, "loop", 4) || !sysblock_loop_backing(e->d_name, &backing) || !sysblock_same(&backing, image))
			continue;
		snprintf(path, sizeof(path), "/sys/block/%s/dev", e->d_name);
		snprintf(what, sizeof(what), "loop device /dev/%.100s", e->d_name);
		if (sysblock_read_dev(path, &dev))
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

static int check_mounts(const char *path, const struct devices *all, bool for_write, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	int code = sysblock_read_list("/proc/self/mountinfo", &text, err);
	char *line, *rest = text.data;

	while (!code && (line = strsep(&rest, "\n"))) {
		const struct device *d;
		struct sysblock_mount m;
		struct stat st;

		if (!sysblock_parse_mount(line, &m))
			continue;
		d = find_device(all, m.dev);
		/* btrfs shows a device number of its own */
		if (!d && m.source && *m.source == '/' && !stat(m.source, &st) && S_ISBLK(st.st_mode))
			d = find_device(all, st.st_rdev);
		if (d && (for_write || m.writable))
			code = busy(path, d, "is mounted on ", m.where, err);
	}
	return code;
}

static int check_swaps(const char *path, const struct stat *image, const struct devices *all, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	int code = sysblock_read_list("/proc/swaps", &text, err);
	char *line, *rest = text.data;

	while (!code && (line = strsep(&rest, "\n"))) {
		const struct device *d = NULL;
		struct stat st;

		line[strcspn(line, " \t")] = '\0';
		sysblock_unescape(line);
		if (*line != '/' || stat(line, &st))
			continue;
		if (S_ISBLK(st.st_mode))
			d = find_device(all, st.st_rdev);
		if (d || sysblock_same(&st, image))
			code = busy(path, d, "is active swap space", "", err);
	}
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

bool host_same_disk(const char *a, const char *b)
{
	struct stat sa, sb;

	if (stat(a, &sa) || stat(b, &sb))
		return false;
	for (int i = 0; i < 8; i++) { /* a loop device on a file on ... is followed this far */
		sysblock_behind_loop(&sa);
		sysblock_behind_loop(&sb);
	}
	return sysblock_same(&sa, &sb);
}
