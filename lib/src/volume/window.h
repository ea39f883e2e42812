/* window.h - a sparse memory file that holds the parts of a disk that libblkid and libfdisk look at */
#ifndef P2H_VOLUME_WINDOW_H
#define P2H_VOLUME_WINDOW_H

#include "disk/disk.h"

#define WINDOW_EDGE (1024 * 1024u) /* what is copied of each end */

/* A memfd of the disk's size with the first and last MiB of [off, off + len) in place at 0. The caller closes *ret_fd. */
int window_open(struct disk *d, uint64_t off, uint64_t len, int *ret_fd, struct p2h_error *err);

/* Copies one sector more (relative to the window's start). */
int window_add(int fd, struct disk *d, uint64_t base, uint64_t off, struct p2h_error *err);

#endif
