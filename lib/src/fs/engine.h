/*
 * engine.h - what an engine gives to the front (fs.c)
 *
 * The front has resolved every path: absolute, no "//", "." or "..", no symbolic link in front of the last component, "/"
 * is the root, at most 4096 bytes, names of 1 to 255 bytes. The last component may be a link, which no engine follows.
 * Writing callbacks are only called on an engine opened for writing, with arguments that were checked.
 */
#ifndef P2H_FS_ENGINE_H
#define P2H_FS_ENGINE_H

#include "fs/fs.h"

#define FS_PATH_MAX 4096u
#define FS_NAME_MAX 255u
#define FS_LINKS_MAX 40
#define FS_LIST_MAX 1000000u

struct fs_file_ops {
	/* off and len were checked: off + len does not overflow. */
	int (*pread)(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err);
	/* [off, off + len) lies inside size and not below `written`. NULL when the engine cannot write. */
	int (*pwrite)(struct fs_file *f, const void *buf, uint64_t off, size_t len, struct p2h_error *err);
	int (*close)(struct fs_file *f, struct p2h_error *err); /* frees f, also when it fails */
};

/* The start of every engine's open file. */
struct fs_file {
	const struct fs_file_ops *ops;
	uint64_t size;
	uint64_t written; /* kept by the front: the end of the last fs_pwrite */
	bool writing;     /* from fs_create */
};

/* All callbacks are required. */
struct fs_ops {
	int (*close)(struct fs *fs, struct p2h_error *err); /* writes out and frees fs, also when it fails */
	int (*lstat)(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err);
	int (*list)(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err); /* need not be sorted */
	int (*readlink)(struct fs *fs, const char *path, char **ret, struct p2h_error *err);
	int (*xattrs)(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err);
	int (*open)(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err);
	int (*space)(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err);
	int (*free_ranges)(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err);
	int (*boot_read)(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err);
};

/* All callbacks are required. */
struct fs_write_ops {
	int (*create)(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret,
		      struct p2h_error *err);
	/* An existing regular file; meta may be NULL. */
	int (*rewrite)(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
		       struct p2h_error *err);
	int (*mkdir)(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err);
	int (*symlink)(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta,
		       struct p2h_error *err);
	int (*mknod)(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor,
		     const struct fs_meta *meta, struct p2h_error *err);
	int (*link)(struct fs *fs, const char *existing, const char *path, struct p2h_error *err);
	int (*rename)(struct fs *fs, const char *from, const char *to, struct p2h_error *err);
	int (*unlink)(struct fs *fs, const char *path, struct p2h_error *err);
	int (*set_meta)(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err);
	int (*set_xattr)(struct fs *fs, const char *path, const char *name, const void *value, size_t len,
			 struct p2h_error *err);
	int (*sync)(struct fs *fs, struct p2h_error *err);
	int (*boot_write)(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err);
};

/* The start of every engine's file system. */
struct fs {
	const struct fs_ops *ops;
	const struct fs_write_ops *writing; /* NULL: read-only */
	struct fs_info info;
	int64_t now; /* the clock: times of what is written without a meta */

	/* The front's memory of the last parent directory it resolved; NULL when there is none. */
	char *walk_from, *walk_to;
};

/* For engines: frees what the front keeps in fs, not fs itself. */
void fs_base_done(struct fs *fs);

/* path.c: a guest path made fit for an engine. */
enum fs_follow { FS_NOFOLLOW, FS_FOLLOW };
struct fs_resolved {
	char path[FS_PATH_MAX + 1];
	bool checked;      /* the last component was looked up: then exists and st tell */
	bool exists;
	struct fs_stat st;
};
/*
 * Resolves every link in front of the last component, and with FS_FOLLOW that one too. The last component need not
 * exist; a parent that does not exist is P2H_NOTFOUND.
 */
int fs_resolve(struct fs *fs, const char *path, enum fs_follow follow, struct fs_resolved *ret, struct p2h_error *err);
/* Forgets what was resolved: after a name went away. */
void fs_forget_paths(struct fs *fs);

/* Splits a resolved path: the length of the parent ("/" is 1 long) and the name after it. The root has the name "". */
size_t fs_parent_len(const char *path);
const char *fs_base_name(const char *path);

#endif
