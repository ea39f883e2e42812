/* guestfs.h - inside fs/: a file system in libguestfs' appliance */
#ifndef P2H_FS_GUESTFS_H
#define P2H_FS_GUESTFS_H

#include "fs/appliance_mount.h"

struct guestfs {
	struct fs base;
	struct appliance_mount *mount;
	struct strlist touched; /* directories in which something came or went: their times are set when all is done */
};

#define GUESTFS_PATH_MAX (FS_PATH_MAX + 32)

static inline struct guestfs *guestfs_of(struct fs *fs)
{
	return (struct guestfs *)fs;
}

/* The path as the appliance knows it; ret has GUESTFS_PATH_MAX bytes. */
void guestfs_there(const struct guestfs *g, const char *path, char *ret);
/* 0, or the error for what a call of the module returned. */
int guestfs_result(const struct guestfs *g, int errnum, const char *path, struct p2h_error *err);

/* A call of the module: GUESTFS_CALL(g, mkdir, there). */
#define GUESTFS_CALL(g, call, ...)                                                                 \
	({                                                                                         \
		void *handle_;                                                                     \
		const struct appliance_module *calls_ = appliance_calls((g)->mount, &handle_);     \
		calls_->call(handle_, __VA_ARGS__);                                                \
	})

/* guestfs_write.c */
extern const struct fs_write_ops guestfs_write_ops;
int guestfs_settle(struct guestfs *g, struct p2h_error *err); /* the times of directories */

#endif
