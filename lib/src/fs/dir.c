/*
 * dir.c - a host directory as a file system, read-only
 *
 * Every component is opened on its own without following links: what somebody changes meanwhile on the host cannot
 * lead out of the directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "fs/engine.h"

struct dir {
	struct fs base;
	int root;
};

struct dir_file {
	struct fs_file base;
	int fd;
	char *path;
};

static struct dir *dir_of(struct fs *fs)
{
	return (struct dir *)fs;
}

/* A component that became a link or a file since the front looked is as good as gone. */
static int open_error(const char *path, struct p2h_error *err)
{
	if (errno == ELOOP || errno == ENOTDIR || errno == ENOENT)
		return error_set(err, P2H_NOTFOUND, "%s: no such file or directory", path);
	return error_sys(err, errno, "%s", path);
}

/* The directory that holds the last component. */
static int open_parent(struct fs *fs, const char *path, int *ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = fcntl(dir_of(fs)->root, F_DUPFD_CLOEXEC, 3);
	const char *at = path + 1, *slash;
	char name[FS_NAME_MAX + 1];

	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	for (; (slash = strchr(at, '/')); at = slash + 1) {
		size_t len = (size_t)(slash - at);
		int next;

		if (len > FS_NAME_MAX)
			return error_set(err, P2H_NOTFOUND, "%s: no such file or directory", path);
		memcpy(name, at, len);
		name[len] = '\0';
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return open_error(path, err);
		close(fd);
		fd = next;
	}
	*ret = TAKE_FD(fd);
	return 0;
}

/* The last component itself; the root is its own. */
static int open_last(struct fs *fs, const char *path, int flags, int *ret, struct p2h_error *err)
{
	CLEANUP_FD int parent = -1;
	int rc = open_parent(fs, path, &parent, err);

	if (rc)
		return rc;
	*ret = openat(parent, path[1] ? fs_base_name(path) : ".", flags | O_NOFOLLOW | O_CLOEXEC);
	return *ret < 0 ? open_error(path, err) : 0;
}

static int dir_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	CLEANUP_FD int parent = -1;
	struct stat st;
	int rc = open_parent(fs, path, &parent, err);

	if (rc)
		return rc;
	if (fstatat(parent, path[1] ? fs_base_name(path) : ".", &st, AT_SYMLINK_NOFOLLOW))
		return open_error(path, err);
	*ret = (struct fs_stat){
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.size = (uint64_t)st.st_size,
		.ino = st.st_ino,
		.dev = major(st.st_dev) << 20 | minor(st.st_dev),
		.nlink = (uint32_t)st.st_nlink,
		.rdev_major = major(st.st_rdev),
		.rdev_minor = minor(st.st_rdev),
		.atime = st.st_atim.tv_sec,
		.mtime = st.st_mtim.tv_sec,
		.ctime = st.st_ctim.tv_sec,
		.atime_nsec = (uint32_t)st.st_atim.tv_nsec,
		.mtime_nsec = (uint32_t)st.st_mtim.tv_nsec,
		.ctime_nsec = (uint32_t)st.st_ctim.tv_nsec,
	};
	return 0;
}

static void cleanup_dirstream(DIR **d)
{
	if (*d)
		closedir(*d);
}

static int dir_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err)
{
	CLEANUP(cleanup_dirstream) DIR *d = NULL;
	CLEANUP_FD int fd = -1;
	const struct dirent *entry;
	int rc = open_last(fs, path, O_RDONLY | O_DIRECTORY, &fd, err);

	if (rc)
		return rc;
	d = fdopendir(fd);
	if (!d)
		return error_sys(err, errno, "%s", path);
	fd = -1;
	for (errno = 0; (entry = readdir(d)); errno = 0) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (ret->len >= FS_LIST_MAX)
			return error_set(err, P2H_CORRUPT, "%s: more than %u names", path, FS_LIST_MAX);
		strlist_add(ret, entry->d_name);
	}
	return errno ? error_sys(err, errno, "%s", path) : 0;
}

static int dir_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	CLEANUP_FD int parent = -1;
	char target[FS_PATH_MAX];
	ssize_t n;
	int rc = open_parent(fs, path, &parent, err);

	if (rc)
		return rc;
	n = readlinkat(parent, fs_base_name(path), target, sizeof(target));
	if (n < 0 && errno == EINVAL)
		return error_set(err, P2H_USAGE, "%s: not a symbolic link", path);
	if (n < 0)
		return open_error(path, err);
	if (n == (ssize_t)sizeof(target))
		return error_set(err, P2H_CORRUPT, "%s: a symbolic link of more than %u bytes", path, FS_PATH_MAX - 1);
	*ret = strndup(target, (size_t)n);
	return *ret ? 0 : error_nomem(err);
}

/* The names of all attributes, NUL after each. A list that grows meanwhile is asked for again. */
static int list_xattrs(const char *where, const char *path, struct buf *ret, struct p2h_error *err)
{
	for (;;) {
		ssize_t size = llistxattr(where, NULL, 0), n;
		char *to;

		if (size < 0 && errno == ENOTSUP)
			return 0;
		if (size < 0)
			return error_sys(err, errno, "%s", path);
		to = buf_reserve(ret, (size_t)size + 1);
		if (!to)
			return error_nomem(err);
		n = size ? llistxattr(where, to, (size_t)size) : 0;
		if (n < 0 && errno == ERANGE)
			continue;
		if (n < 0)
			return error_sys(err, errno, "%s", path);
		ret->len = (size_t)n;
		return 0;
	}
}

/* *ret_gone: the attribute went away since it was listed. */
static int get_xattr(const char *where, const char *name, const char *path, struct fs_xattr *ret, bool *ret_gone,
		     struct p2h_error *err)
{
	CLEANUP_FREE char *value = malloc(XATTR_SIZE_MAX);
	ssize_t n;

	*ret_gone = false;
	if (!value)
		return error_nomem(err);
	n = lgetxattr(where, name, value, XATTR_SIZE_MAX);
	if (n < 0 && errno == ENODATA) {
		*ret_gone = true;
		return 0;
	}
	if (n < 0)
		return error_sys(err, errno, "%s: extended attribute %s", path, name);
	ret->name = strdup(name);
	ret->value = malloc((size_t)n + 1);
	ret->len = (size_t)n;
	if (!ret->name || !ret->value) {
		free(ret->name);
		free(ret->value);
		return error_nomem(err);
	}
	memcpy(ret->value, value, (size_t)n);
	return 0;
}

static int dir_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err)
{
	CLEANUP(fs_xattrs_done) struct fs_xattrs found = {0};
	CLEANUP(buf_done) struct buf names = {0};
	CLEANUP(strlist_done) struct strlist sorted = {0};
	CLEANUP_FD int parent = -1;
	char where[64 + FS_NAME_MAX];
	bool gone;
	int rc = open_parent(fs, path, &parent, err);

	if (rc)
		return rc;
	/* The one way to a link's own attributes that names no path on the host. */
	snprintf(where, sizeof(where), "/proc/self/fd/%d/%.*s", parent, (int)FS_NAME_MAX, path[1] ? fs_base_name(path) : ".");
	rc = list_xattrs(where, path, &names, err);
	if (rc)
		return rc;
	for (size_t at = 0; at < names.len; at += strlen(names.data + at) + 1)
		strlist_add(&sorted, names.data + at);
	strlist_sort(&sorted);
	found.item = calloc(sorted.len + 1, sizeof(*found.item));
	if (sorted.failed || !found.item)
		return error_nomem(err);
	for (size_t i = 0; i < sorted.len; i++) {
		rc = get_xattr(where, sorted.item[i], path, &found.item[found.len], &gone, err);
		if (rc)
			return rc;
		found.len += !gone;
	}
	*ret = found;
	found = (struct fs_xattrs){0};
	return 0;
}

static int dir_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct dir_file *x = (struct dir_file *)f;

	while (*ret_got < len) {
		ssize_t n = pread(x->fd, (char *)buf + *ret_got, len - *ret_got, (off_t)(off + *ret_got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "%s", x->path);
		if (!n)
			return 0; /* it became shorter since it was opened */
		*ret_got += (size_t)n;
	}
	return 0;
}

static int dir_file_close(struct fs_file *f, struct p2h_error *err)
{
	struct dir_file *x = (struct dir_file *)f;

	(void)err;
	close(x->fd);
	free(x->path);
	free(x);
	return 0;
}

static const struct fs_file_ops dir_file_ops = {
	.pread = dir_pread,
	.close = dir_file_close,
};

static int dir_open_file(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	CLEANUP_FREE struct dir_file *x = NULL;
	struct stat st;
	/* O_NONBLOCK: a FIFO in its place must not stop us */
	int rc = open_last(fs, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, &fd, err);

	if (rc)
		return rc;
	if (fstat(fd, &st))
		return error_sys(err, errno, "%s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, P2H_UNSUPPORTED, "%s: not a regular file", path);
	x = calloc(1, sizeof(*x));
	if (!x)
		return error_nomem(err);
	x->path = strdup(path);
	if (!x->path)
		return error_nomem(err);
	x->base.ops = &dir_file_ops;
	x->base.size = (uint64_t)st.st_size;
	x->fd = TAKE_FD(fd);
	*ret = &TAKE(x)->base;
	return 0;
}

static int dir_space(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	struct statvfs st;
	int rc = open_last(fs, path, O_PATH, &fd, err);

	if (rc)
		return rc;
	if (fstatvfs(fd, &st))
		return error_sys(err, errno, "%s", path);
	*ret = (struct fs_space){
		.block_size = (uint32_t)(st.f_frsize ? st.f_frsize : st.f_bsize),
		.blocks = st.f_blocks,
		.blocks_free = st.f_bfree,
		.inodes = st.f_files,
		.inodes_free = st.f_ffree,
	};
	return 0;
}

static int dir_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err)
{
	(void)fs;
	(void)base;
	(void)ret;
	(void)err;
	return 0; /* no volume below it */
}

static int dir_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err)
{
	(void)fs;
	(void)ret;
	(void)ret_where;
	return error_set(err, P2H_UNSUPPORTED, "a directory has no boot loader inode");
}

static int dir_close(struct fs *fs, struct p2h_error *err)
{
	struct dir *d = dir_of(fs);

	(void)err;
	close(d->root);
	fs_base_done(fs);
	free(d);
	return 0;
}

static const struct fs_ops dir_ops = {
	.close = dir_close,
	.lstat = dir_lstat,
	.list = dir_list,
	.readlink = dir_readlink,
	.xattrs = dir_xattrs,
	.open = dir_open_file,
	.space = dir_space,
	.free_ranges = dir_free_ranges,
	.boot_read = dir_boot_read,
};

int fs_dir_open(const char *host_path, struct fs **ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = open(host_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct statvfs st;
	struct dir *d;

	if (fd < 0 && errno == ENOTDIR)
		return error_set(err, P2H_NOTFOUND, "%s: not a directory", host_path);
	if (fd < 0 || fstatvfs(fd, &st))
		return error_sys(err, errno, "%s", host_path);
	d = calloc(1, sizeof(*d));
	if (!d)
		return error_nomem(err);
	d->base.ops = &dir_ops;
	d->base.info.engine = "dir";
	strcpy(d->base.info.type, "dir");
	d->base.info.block_size = (uint32_t)st.f_bsize;
	d->root = TAKE_FD(fd);
	*ret = &d->base;
	return 0;
}
