/*
 * fs.h - a file system as an object, whatever engine reads it
 *
 * Paths are absolute paths inside the guest ("/etc/fstab"). Symbolic links are resolved here, inside the guest's root:
 * no link leads out of it ("/.." is "/"). At most 40 links and 4096 bytes a path; beyond that P2H_CORRUPT. Functions whose name
 * starts with fs_l, and fs_readlink, fs_symlink, fs_link, fs_rename, fs_unlink, do not follow a link in the last
 * component; all others do. What is not there is P2H_NOTFOUND. Names and link targets are bytes; NUL never occurs.
 */
#ifndef P2H_FS_FS_H
#define P2H_FS_FS_H

#include <sys/stat.h>

#include "base/buf.h"
#include "disk/disk.h"

struct fs;
struct fs_file;

/* What an inode says. Times: seconds since 1970 with nanoseconds. */
struct fs_stat {
	uint32_t mode; /* S_IFMT and permission bits, Linux values */
	uint32_t uid, gid;
	uint64_t size;
	uint64_t ino; /* two names with one (dev, ino) are hard links */
	uint32_t dev; /* distinguishes mounted file systems */
	uint32_t nlink;
	uint32_t rdev_major, rdev_minor;
	int64_t atime, mtime, ctime;
	uint32_t atime_nsec, mtime_nsec, ctime_nsec;
};

struct fs_xattr {
	char *name; /* with its prefix: "security.selinux" */
	void *value;
	size_t len;
};
struct fs_xattrs {
	struct fs_xattr *item;
	size_t len;
};
void fs_xattrs_done(struct fs_xattrs *x);

struct fs_space {
	uint32_t block_size;
	uint64_t blocks, blocks_free; /* blocks_free: all free ones, root's reserve included */
	uint64_t inodes, inodes_free; /* 0: made as they are needed */
};

/* Identity and state, filled at opening. Strings live as long as the fs. */
struct fs_info {
	const char *engine; /* "ext", "dir", "mount" */
	char type[16];      /* "ext2", "ext3", "ext4"; "dir" */
	char uuid[37];      /* lower case, "" if none */
	char label[17];
	uint32_t block_size;
	uint32_t inode_size; /* 0: engines without inodes of their own */
	bool needs_recovery; /* the journal holds transactions that were not replayed */
	bool has_errors;     /* marked as having errors */
	bool not_clean;      /* ext2 without journal, not unmounted cleanly */
	struct strlist features; /* e2fsprogs' names: "extent", "metadata_csum", ... */
	int64_t last_write;  /* superblock's last write time, seconds since 1970 */
};

/* ---- opening; the caller owns *ret and closes it ---- */

#define FS_WRITE 1u

/*
 * ext2/3/4 on a disk that is exactly the file system's volume (borrowed). With FS_WRITE the clock of the file system stands at
 * `now` (seconds since 1970): same input, same bytes. Errors: P2H_NOTFOUND when there is no ext superblock, P2H_UNSUPPORTED with the
 * feature's name when libext2fs cannot handle it, P2H_CORRUPT. With FS_WRITE also P2H_REFUSED when needs_recovery or has_errors.
 */
int fs_ext_open(struct disk *d, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err);

/* A host directory, read-only; never leaves it. */
int fs_dir_open(const char *host_path, struct fs **ret, struct p2h_error *err);

/*
 * Several file systems as one tree: root at "/", others attached by fs_mount_add at a path of the root. Takes over the file systems given
 * (also closes them), except when it fails. fs_space, fs_info, fs_free_ranges and fs_boot_* are those of the root; fs_space_at asks for the one that holds a path.
 */
int fs_mount_open(struct fs *root, struct fs **ret, struct p2h_error *err);
int fs_mount_add(struct fs *mount, const char *path, struct fs *child, struct p2h_error *err);

/* Writes everything out (FS_WRITE) and frees. fs is gone also when it fails. NULL is allowed. */
int fs_close(struct fs *fs, struct p2h_error *err);
void cleanup_fs(struct fs **fs); /* drops an error: for read-only use and error paths */
#define CLEANUP_FS __attribute__((cleanup(cleanup_fs)))

const struct fs_info *fs_info(const struct fs *fs);

/* ---- reading ---- */

int fs_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err);
int fs_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err);
bool fs_exists(struct fs *fs, const char *path);      /* following links */
bool fs_is_dir(struct fs *fs, const char *path);      /* following links */
/* The path with every link resolved; *ret is owned by the caller. The last component must exist. */
int fs_realpath(struct fs *fs, const char *path, char **ret, struct p2h_error *err);
/* Names in a directory without "." and "..", sorted by strcmp, appended to *ret. At most 1,000,000 (then P2H_CORRUPT). */
int fs_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err);
int fs_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err);
/* A whole regular file appended to *ret; larger than max bytes: P2H_UNSUPPORTED. */
int fs_read(struct fs *fs, const char *path, size_t max, struct buf *ret, struct p2h_error *err);
int fs_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err); /* not following */

/* A regular file read or written in pieces. Read past its end gives *ret_got < len. */
int fs_open(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err);
int fs_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err);
int fs_file_close(struct fs_file *f, struct p2h_error *err); /* NULL is allowed */

/* ---- writing (FS_WRITE; else P2H_USAGE). A parent directory must exist. ---- */

/* Owner, permission bits, times of something new. */
struct fs_meta {
	uint32_t mode; /* permission bits only */
	uint32_t uid, gid;
	int64_t atime, mtime;
	uint32_t atime_nsec, mtime_nsec;
};
void fs_meta_from_stat(struct fs_meta *ret, const struct fs_stat *st);

/* New regular file (P2H_EXISTS if the name is taken) of exactly `size` bytes, written by fs_pwrite in ascending order. */
int fs_create(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret,
	      struct p2h_error *err);
int fs_pwrite(struct fs_file *f, const void *buf, uint64_t off, size_t len, struct p2h_error *err);

/*
 * Content of a file: a new one gets meta; an existing one keeps its inode, owner, mode, xattrs and other names, and gets a
 * new mtime (the clock of the file system, or meta's when given).
 */
int fs_write(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
	     struct p2h_error *err);
int fs_mkdir(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err);
int fs_symlink(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta, struct p2h_error *err);
/* Device node, FIFO or socket; type is S_IFCHR, S_IFBLK, S_IFIFO or S_IFSOCK. */
int fs_mknod(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor, const struct fs_meta *meta,
	     struct p2h_error *err);
int fs_link(struct fs *fs, const char *existing, const char *path, struct p2h_error *err);
int fs_rename(struct fs *fs, const char *from, const char *to, struct p2h_error *err); /* P2H_EXISTS if `to` is taken */
int fs_unlink(struct fs *fs, const char *path, struct p2h_error *err); /* a file, link or empty directory */
int fs_set_meta(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err); /* not following */
/* Not following. Replaces a value; name is at most 255 bytes, value at most 64 KiB (the file system may hold less: P2H_NOSPACE). */
int fs_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len, struct p2h_error *err);
int fs_sync(struct fs *fs, struct p2h_error *err);

/* ---- what lies below the files ---- */

int fs_space(struct fs *fs, struct fs_space *ret, struct p2h_error *err);
int fs_space_at(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err);
/* Byte ranges of the volume that the file system marks as free, appended to *ret plus `base`. Engines that cannot tell add nothing. */
int fs_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err);
/*
 * ext only: puts data into blocks owned by inode 5 (the boot loader inode, EXT2_BOOT_LOADER_INO), replacing what it held, and tells where:
 * byte ranges of the volume, in file order. The inode's own metadata is kept so that e2fsck stays silent. Other engines: P2H_UNSUPPORTED.
 */
int fs_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err);
/* Bytes of inode 5 and their place; empty when unused. */
int fs_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err);

#endif
