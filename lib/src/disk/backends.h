/* backends.h - inside disk/ only: the parts disk_open() is made of, and ways around the stack that copying needs */
#ifndef P2H_DISK_BACKENDS_H
#define P2H_DISK_BACKENDS_H

#include "disk/disk.h"

/* What every opener needs to know of a path before it opens it. */
struct image_file {
	int fd; /* O_RDONLY, owned by the caller */
	bool is_device;
	uint64_t size;
};
/* Errors: P2H_NOTFOUND, P2H_UNSUPPORTED (neither file nor block device), P2H_CORRUPT (empty), P2H_IO. */
int image_file_open(const char *path, struct image_file *ret, struct p2h_error *err);

/*
 * The format as QEMU names it (a static string), from the content; see disk_open() for what is refused. `image` is path,
 * open.
 */
int detect_format(const char *path, const struct image_file *image, const char **ret, struct p2h_error *err);


int file_open(const char *path, unsigned flags, struct disk **ret, struct p2h_error *err);
int nbd_open(const char *path, const char *format, bool is_device, unsigned flags, struct disk **ret,
	     struct p2h_error *err);

/*
 * QEMU's image locks (block/file-posix.c): whoever uses a permission holds a read lock on byte 100 + its number, whoever
 * does not share it with others one on byte 200 + its number.
 */
int image_lock_check(int fd, const char *name, bool for_write, struct p2h_error *err); /* looks only */
int image_lock_take(int fd, const char *name, struct p2h_error *err);                  /* for writing, until close */

/*
 * The raw file or device in which the byte at off lies as it is: its descriptor, where in it, and for how many bytes at
 * most that holds. False when there is none.
 */
bool disk_source_fd(struct disk *d, uint64_t off, int *ret_fd, uint64_t *ret_fd_off, uint64_t *ret_len);

#endif
