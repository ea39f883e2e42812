/*
 * shift.h - inside disk/: bytes put in front of a regular file, and taken away again
 *
 * INSERT_RANGE and COLLAPSE_RANGE move extents in several transactions of the file system: a crash in the middle leaves
 * a file whose first part is where it was and whose rest is `shift` bytes further, with a hole between. Where it
 * stopped is found by comparing where the file holds data with where it held data before.
 */
#ifndef P2H_DISK_SHIFT_H
#define P2H_DISK_SHIFT_H

#include "disk/disk.h"

/* Where the file holds data (SEEK_DATA), from `skip` bytes on, as offsets from there. The file has been fsynced. */
int shift_map(int fd, const char *name, uint64_t skip, uint64_t size, struct ranges *ret, struct p2h_error *err);
/* P2H_UNSUPPORTED: the file system does not know it, nothing happened. */
int shift_insert(int fd, const char *name, uint64_t shift, struct p2h_error *err);
/*
 * The file has the size of a shifted one, but how far it is shifted is not known: takes `shift` bytes out where they
 * are, whole and partial shifts alike. map: of the unshifted file, which had `size` bytes.
 * Errors: P2H_STALE when the file is neither.
 */
int shift_remove(int fd, const char *name, uint64_t shift, uint64_t size, const struct ranges *map,
		 struct p2h_error *err);

#endif
