/* guestfs.h - inside fs/: a file system in libguestfs' appliance */
#ifndef P2H_FS_GUESTFS_H
#define P2H_FS_GUESTFS_H

#include "fs/appliance_pack.h"

struct guestfs {
	struct fs base;
	struct appliance_mount *mount;
	struct strlist touched; /* directories in which something came or went: their times are set when all is done */
};

static inline struct guestfs *guestfs_of(struct fs *fs)
{
	return (struct guestfs *)fs;
}

/* The path as the appliance knows it (APPLIANCE_PATH_MAX bytes), with all that was written before in its place. */
int guestfs_reach(struct guestfs *g, const char *path, char *ret, struct p2h_error *err);

/* A call of the module for one of the file systems that are open: GUESTFS_CALL(g, mkdir, there). */
#define GUESTFS_CALL(g, call, ...) APPLIANCE_CALL((g)->mount->drive->appliance, call, __VA_ARGS__)

/* guestfs_write.c */
extern const struct fs_write_ops guestfs_write_ops;
int guestfs_settle(struct guestfs *g, struct p2h_error *err); /* the times of directories */

#endif
