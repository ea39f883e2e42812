/* sysblock.h - inside disk/ only: what sysfs and mountinfo say about block devices */
#ifndef P2H_DISK_SYSBLOCK_H
#define P2H_DISK_SYSBLOCK_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* "8:1\n" from a file in sysfs. */
bool sysblock_read_dev(const char *path, dev_t *ret);

/* Are both the same device, or the same file? */
bool sysblock_same(const struct stat *a, const struct stat *b);

/* What a loop device ("loop0") shows: false when it is not in use. */
bool sysblock_loop_backing(const char *name, struct stat *ret);

/* The disk that a partition lies on; other devices are themselves. */
dev_t sysblock_whole_disk(dev_t dev);

/* The name of a device in sysfs: "sda1". */
#define SYSBLOCK_NAME 256
bool sysblock_name(dev_t dev, char ret[SYSBLOCK_NAME]);

/* A partition becomes its disk, a loop device the file behind it. */
void sysblock_behind_loop(struct stat *st);

/* Undoes the octal escapes of /proc/self/mountinfo and /proc/swaps, in place. */
void sysblock_unescape(char *text);

/* The whole of such a file; empty when it is not there or not for us to read. */
int sysblock_read_list(const char *path, struct buf *ret, struct p2h_error *err);

/* A line of /proc/self/mountinfo; it is cut up, and the strings point into it. */
struct sysblock_mount {
	dev_t dev;
	char *where, *source; /* source may be NULL */
	bool writable;
};
bool sysblock_parse_mount(char *line, struct sysblock_mount *ret);

#endif
