#include "disk/sysblock.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/hostfile.h"

#define LIST_MAX (64u << 20) /* of mounts: a host with containers has many */

bool sysblock_read_dev(const char *path, dev_t *ret)
{
	unsigned major_no, minor_no;
	char line[32];
	bool ok = hostfile_line(path, line, sizeof(line)) && sscanf(line, "%u:%u", &major_no, &minor_no) == 2;

	if (ok)
		*ret = makedev(major_no, minor_no);
	return ok;
}

bool sysblock_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) || S_ISBLK(b->st_mode))
		return S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode) && a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool sysblock_loop_backing(const char *name, struct stat *ret)
{
	char path[320], backing[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/block/%s/loop/backing_file", name);
	return hostfile_line(path, backing, sizeof(backing)) && !stat(backing, ret);
}

void sysblock_unescape(char *text)
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

int sysblock_read_list(const char *path, struct buf *ret, struct p2h_error *err)
{
	int code = hostfile_read(path, LIST_MAX, ret, err);

	return code == P2H_NOMEM || code == P2H_UNSUPPORTED ? code : 0;
}

/* `36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue`, see proc(5). */
bool sysblock_parse_mount(char *line, struct sysblock_mount *ret)
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
	sysblock_unescape(ret->where);
	if (ret->source)
		sysblock_unescape(ret->source);
	return true;
}

dev_t sysblock_whole_disk(dev_t dev)
{
	char path[64];
	dev_t disk;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/partition", major(dev), minor(dev));
	if (access(path, F_OK))
		return dev;
	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/../dev", major(dev), minor(dev));
	return sysblock_read_dev(path, &disk) ? disk : dev;
}

bool sysblock_name(dev_t dev, char ret[SYSBLOCK_NAME])
{
	char path[64], target[PATH_MAX];
	const char *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = '\0';
	slash = strrchr(target, '/');
	return slash && (size_t)snprintf(ret, SYSBLOCK_NAME, "%s", slash + 1) < SYSBLOCK_NAME;
}

void sysblock_behind_loop(struct stat *st)
{
	char name[SYSBLOCK_NAME];
	struct stat backing;

	if (!S_ISBLK(st->st_mode))
		return;
	st->st_rdev = sysblock_whole_disk(st->st_rdev);
	if (sysblock_name(st->st_rdev, name) && !strncmp(name, "loop", 4) && sysblock_loop_backing(name, &backing))
		*st = backing;
}
