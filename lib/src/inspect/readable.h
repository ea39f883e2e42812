/* readable.h - how each entry of the donor's modules directory is stored in the guest: counted by inspect, written by apply */
#ifndef P2H_INSPECT_READABLE_H
#define P2H_INSPECT_READABLE_H

#include "fs/fs.h"
#include "inspect/facts_kernel.h"

enum stored_how { STORED_COPY, STORED_UNPACKED, STORED_TEXT };

struct stored {
	enum stored_how how;
	size_t path_len;  /* how much of the donor's name it keeps */
	uint64_t size;    /* of a regular file */
	const char *text; /* STORED_TEXT: its content; STORED_UNPACKED: how it is packed */
};

/* readable: NULL when the tree is taken as it is. path: relative to the modules directory. */
void stored_as(const struct facts_readable *readable, const char *path, const struct fs_stat *st, struct stored *ret);

/* A file as the source of unpack_module. */
struct stored_input {
	struct fs_file *file;
	uint64_t off;
};
int stored_read(void *ctx, void *buf, size_t len, size_t *ret_got, struct p2h_error *err);

/* How much of a symbolic link's target stays. */
size_t stored_target_len(const struct facts_readable *readable, const char *target);

#endif
