/* guestfs_write.c - a file system in libguestfs' appliance: changes */
#include "fs/guestfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

/* A file being created: here until it is closed, then it goes to the appliance as a whole. */
struct guestfs_new_file {
	struct fs_file base;
	struct guestfs *fs;
	char *path;
	struct fs_meta meta;
	int fd;
};

/* The directory that holds the path gets its times at the end, from the file system's clock instead of the appliance's. */
static void touch_parent(struct guestfs *g, const char *path)
{
	char parent[FS_PATH_MAX + 1];
	size_t len = fs_parent_len(path);

	memcpy(parent, path, len);
	parent[len] = '\0';
	if (!g->touched.len || strcmp(g->touched.item[g->touched.len - 1], parent))
		strlist_add(&g->touched, parent);
}

static void changed(struct guestfs *g, const char *path)
{
	dircache_changed(g->mount->cache, path);
	touch_parent(g, path);
}

/* An inode with other names: they change too. */
static void changed_inode(struct guestfs *g, const char *path, const struct fs_stat *st)
{
	if (st->nlink > 1 && !S_ISDIR(st->mode))
		dircache_clear(g->mount->cache);
	else
		dircache_changed(g->mount->cache, path);
}

static int set_meta(struct guestfs *g, const char *path, const struct fs_meta *meta, bool is_link, struct p2h_error *err)
{
	char there[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, path, there, err);

	return rc ? rc : appliance_result(g->mount, GUESTFS_CALL(g, set_meta, there, meta, is_link), path, err);
}

/* Something new goes there with others. */
static int pack_new(struct guestfs *g, const char *path, uint32_t type, const struct fs_meta *meta, uint64_t size, const char *target, int fd,
		    struct p2h_error *err)
{
	struct fs_stat st = {.mode = type | (S_ISLNK(type) ? 0777 : meta->mode & 07777), .uid = meta->uid, .gid = meta->gid, .size = size,
		.nlink = S_ISDIR(type) ? 2 : 1, .atime = meta->atime, .mtime = meta->mtime, .ctime = g->base.now, .atime_nsec = meta->atime_nsec,
		.mtime_nsec = meta->mtime_nsec};

	touch_parent(g, path);
	return pack_add(g->mount, path, &st, target, fd, err);
}

int guestfs_settle(struct guestfs *g, struct p2h_error *err)
{
	int rc = g->touched.failed ? error_nomem(err) : pack_flush(g->mount, err);

	strlist_sort(&g->touched);
	for (size_t i = 0; !rc && i < g->touched.len; i++) {
		const char *path = g->touched.item[i];
		struct fs_stat st;
		struct fs_meta meta;

		if (i && !strcmp(path, g->touched.item[i - 1]))
			continue;
		rc = g->base.ops->lstat(&g->base, path, &st, err);
		if (rc == P2H_NOTFOUND) { /* went away itself */
			rc = 0;
			continue;
		}
		fs_meta_from_stat(&meta, &st);
		meta.mtime = g->base.now;
		meta.mtime_nsec = 0;
		if (!rc)
			rc = set_meta(g, path, &meta, false, err);
		dircache_changed(g->mount->cache, path);
	}
	strlist_done(&g->touched);
	return rc;
}

/* ---- files ---- */

static int write_fd(int fd, const void *data, size_t len, uint64_t off, const char *path, struct p2h_error *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, (const char *)data + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "%s", path);
		done += (size_t)n;
	}
	return 0;
}

/* `len` bytes of fd become the file's content. */
static int write_content(struct guestfs *g, int fd, uint64_t len, const char *path, struct p2h_error *err)
{
	CLEANUP_FREE char *piece = malloc(len < APPLIANCE_PIECE ? (size_t)len + 1 : APPLIANCE_PIECE);
	char there[APPLIANCE_PATH_MAX];
	uint64_t off = 0;
	int rc = piece ? guestfs_reach(g, path, there, err) : error_nomem(err);

	if (rc)
		return rc;
	do {
		ssize_t n = pread(fd, piece, len - off < APPLIANCE_PIECE ? (size_t)(len - off) : APPLIANCE_PIECE, (off_t)off);

		if (n < 0)
			return error_sys(err, errno, "%s", path);
		rc = appliance_result(g->mount, GUESTFS_CALL(g, write, there, piece, off, (size_t)n), path, err);
		off += (size_t)n;
	} while (!rc && off < len);
	return rc;
}

static int new_file_pwrite(struct fs_file *f, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct guestfs_new_file *x = (struct guestfs_new_file *)f;

	return write_fd(x->fd, buf, len, off, x->path, err);
}

static int new_file_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err)
{
	(void)f, (void)buf, (void)off, (void)len, (void)ret_got;
	return error_set(err, P2H_USAGE, "a file being created cannot be read");
}

static int write_large(struct guestfs_new_file *x, struct p2h_error *err)
{
	int rc = write_content(x->fs, x->fd, x->base.size, x->path, err);

	changed(x->fs, x->path);
	return rc ? rc : set_meta(x->fs, x->path, &x->meta, false, err);
}

static int new_file_close(struct fs_file *f, struct p2h_error *err)
{
	struct guestfs_new_file *x = (struct guestfs_new_file *)f;
	uint64_t size = x->base.size;
	int rc = ftruncate(x->fd, (off_t)size) ? error_sys(err, errno, "%s", x->path) : 0;

	if (!rc)
		rc = size > PACK_FILE_MAX ? write_large(x, err) : pack_new(x->fs, x->path, S_IFREG, &x->meta, size, NULL, x->fd, err);
	close(x->fd);
	free(x->path);
	free(x);
	return rc;
}

static const struct fs_file_ops new_file_ops = {
	.pread = new_file_pread,
	.pwrite = new_file_pwrite,
	.close = new_file_close,
};

static int guestfs_create(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret, struct p2h_error *err)
{
	CLEANUP_FREE struct guestfs_new_file *x = calloc(1, sizeof(*x));

	if (!x)
		return error_nomem(err);
	x->fd = memfd_create("pv2hvm", MFD_CLOEXEC);
	if (x->fd < 0)
		return error_sys(err, errno, "%s", path);
	x->path = strdup(path);
	if (!x->path) {
		close(x->fd);
		return error_nomem(err);
	}
	x->base = (struct fs_file){.ops = &new_file_ops, .size = size, .writing = true};
	x->fs = guestfs_of(fs);
	x->meta = *meta;
	*ret = &TAKE(x)->base;
	return 0;
}

/* The kernel takes a file's capabilities away when somebody writes to it; they are put back. */
static int keep_capability(struct fs *fs, const char *path, const struct fs_xattrs *had, struct p2h_error *err)
{
	for (size_t i = 0; i < had->len; i++)
		if (!strcmp(had->item[i].name, "security.capability"))
			return fs->writing->set_xattr(fs, path, had->item[i].name, had->item[i].value, had->item[i].len, err);
	return 0;
}

static int guestfs_rewrite(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	CLEANUP(fs_xattrs_done) struct fs_xattrs had = {0};
	CLEANUP_FD int fd = memfd_create("pv2hvm", MFD_CLOEXEC);
	struct fs_stat st;
	struct fs_meta now;
	int rc = fd < 0 ? error_sys(err, errno, "%s", path) : fs->ops->lstat(fs, path, &st, err);

	if (!rc)
		rc = fs->ops->xattrs(fs, path, &had, err);
	if (!rc)
		rc = write_fd(fd, data, len, 0, path, err);
	if (rc)
		return rc;
	fs_meta_from_stat(&now, &st);
	now.mtime = meta ? meta->mtime : fs->now;
	now.mtime_nsec = meta ? meta->mtime_nsec : 0;
	rc = write_content(g, fd, len, path, err);
	if (!rc)
		rc = set_meta(g, path, &now, false, err);
	if (!rc)
		rc = keep_capability(fs, path, &had, err);
	changed_inode(g, path, &st);
	return rc;
}

/* ---- names ---- */

static int guestfs_mkdir(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	return pack_new(guestfs_of(fs), path, S_IFDIR, meta, 0, NULL, -1, err);
}

static int guestfs_symlink(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	return pack_new(guestfs_of(fs), path, S_IFLNK, meta, strlen(target), target, -1, err);
}

static int guestfs_mknod(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor, const struct fs_meta *meta,
			 struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char there[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, path, there, err);

	if (!rc)
		rc = appliance_result(g->mount, GUESTFS_CALL(g, mknod, there, type | (meta->mode & 07777), major, minor), path, err);
	changed(g, path);
	return rc ? rc : set_meta(g, path, meta, false, err);
}

static int guestfs_link(struct fs *fs, const char *existing, const char *path, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char from[APPLIANCE_PATH_MAX], to[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, existing, from, err);

	appliance_path(g->mount, path, to);
	if (!rc)
		rc = appliance_result(g->mount, GUESTFS_CALL(g, link, from, to), path, err);
	dircache_clear(g->mount->cache); /* other names of the same may be anywhere */
	touch_parent(g, path);
	return rc;
}

static int guestfs_rename(struct fs *fs, const char *from, const char *to, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char there[APPLIANCE_PATH_MAX], new[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, from, there, err);

	appliance_path(g->mount, to, new);
	if (!rc)
		rc = appliance_result(g->mount, GUESTFS_CALL(g, rename, there, new), from, err);
	dircache_removed(g->mount->cache, from);
	changed(g, to);
	touch_parent(g, from);
	return rc;
}

static int guestfs_unlink(struct fs *fs, const char *path, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char there[APPLIANCE_PATH_MAX];
	struct fs_stat st;
	int rc = fs->ops->lstat(fs, path, &st, err);

	if (!rc)
		rc = guestfs_reach(g, path, there, err);
	if (!rc)
		rc = appliance_result(g->mount, GUESTFS_CALL(g, unlink, there, S_ISDIR(st.mode)), path, err);
	if (rc)
		return rc;
	changed_inode(g, path, &st);
	dircache_removed(g->mount->cache, path);
	touch_parent(g, path);
	return 0;
}

static int guestfs_set_meta(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	struct fs_stat st;
	int rc = fs->ops->lstat(fs, path, &st, err);

	if (!rc)
		rc = set_meta(g, path, meta, S_ISLNK(st.mode), err);
	if (!rc)
		changed_inode(g, path, &st);
	return rc;
}

static int guestfs_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char there[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, path, there, err), errnum;

	if (rc)
		return rc;
	errnum = GUESTFS_CALL(g, set_xattr, there, name, len ? value : "", len);
	if (errnum == ENOTSUP)
		return error_set(err, P2H_UNSUPPORTED, "%s: libguestfs cannot set the extended attribute %.64s", path, name);
	return appliance_result(g->mount, errnum, path, err);
}

static int guestfs_sync(struct fs *fs, struct p2h_error *err)
{
	return guestfs_settle(guestfs_of(fs), err); /* the disk has it once it is closed, when the appliance unmounts */
}

static int guestfs_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err)
{
	(void)data, (void)len, (void)ret;
	return error_set(err, P2H_UNSUPPORTED, "%s has no boot loader inode", fs->info.type);
}

const struct fs_write_ops guestfs_write_ops = {
	.create = guestfs_create,
	.rewrite = guestfs_rewrite,
	.mkdir = guestfs_mkdir,
	.symlink = guestfs_symlink,
	.mknod = guestfs_mknod,
	.link = guestfs_link,
	.rename = guestfs_rename,
	.unlink = guestfs_unlink,
	.set_meta = guestfs_set_meta,
	.set_xattr = guestfs_set_xattr,
	.sync = guestfs_sync,
	.boot_write = guestfs_boot_write,
};
