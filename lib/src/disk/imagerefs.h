/* imagerefs.h - inside disk/: which format a file's content claims, and which other files it names */
#ifndef P2H_DISK_IMAGEREFS_H
#define P2H_DISK_IMAGEREFS_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/* QEMU's name (a static string), "raw" when nothing is claimed. Only the first bytes are looked at. */
const char *image_magic(const unsigned char *head, size_t len);

/*
 * Names of files that QEMU would open along with an image of this format, exactly as they stand in it (backing files,
 * external data files, extents). probe takes those whose own content QEMU would look at, fixed the others.
 * Errors: P2H_CORRUPT, P2H_IO, P2H_NOMEM. `name` is for messages.
 */
int image_references(int fd, const char *name, const char *format, struct strlist *probe, struct strlist *fixed,
		     struct p2h_error *err);

/* Does a qcow2 file hold all the clusters that it refers to? QEMU reads those behind its end as zeros. P2H_CORRUPT: no. */
int qcow2_check_whole(int fd, const char *name, uint64_t file_size, struct p2h_error *err);

/* Reads up to len bytes; a short result is the end of the file. Negative: errno. */
ssize_t pread_up_to(int fd, void *buf, size_t len, uint64_t off);

#endif
