/* copy.h - inside disk/: everything of a transaction's disk to another disk */
#ifndef P2H_DISK_COPY_H
#define P2H_DISK_COPY_H

#include "disk/commit.h"

#define COPY_BUFFER (1u << 20)

struct copy {
	struct transaction *from;
	struct disk *to; /* at least as large */
	bool fresh;      /* `to` reads as zeros everywhere */
	const struct commit_options *options;
	struct ranges changes;
	char *buf, *other;
	bool no_clone, no_copy_range;
};

/* Finds the changes and allocates. copy_done() also after an error. */
int copy_init(struct copy *c, struct transaction *from, struct disk *to, bool fresh,
	      const struct commit_options *options, struct p2h_error *err);
void copy_done(struct copy *c);
/* [off, end) of the disk, without what is free. A cancelled copy is P2H_REFUSED. */
int copy_range(struct copy *c, uint64_t off, uint64_t end, struct p2h_error *err);

/* Calls the progress function; P2H_REFUSED when it cancels. */
int commit_report(const struct commit_options *options, uint64_t done, uint64_t total, struct p2h_error *err);

bool is_zero(const void *data, size_t len);
/* fsync of the directory that holds path, so that a new or removed name lasts. */
int sync_directory(const char *path, struct p2h_error *err);

#endif
