/* write.c - the writing half of the front */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/engine.h"

static int check_writable(const struct fs *fs, const char *path, struct p2h_error *err)
{
	return fs->writing ? 0 : error_set(err, P2H_USAGE, "%s: the file system was not opened for writing", path);
}

/* Resolves where something new is to be. */
static int resolve_new(struct fs *fs, const char *path, struct fs_resolved *r, struct p2h_error *err)
{
	struct fs_stat st;
	int rc = check_writable(fs, path, err);

	if (!rc)
		rc = fs_resolve(fs, path, FS_NOFOLLOW, r, err);
	if (rc)
		return rc;
	rc = fs->ops->lstat(fs, r->path, &st, err);
	if (rc == P2H_NOTFOUND)
		return 0;
	return rc ? rc : error_set(err, P2H_EXISTS, "%s: exists", path);
}

/* Resolves the place of something that is to change; a link in the last component is not followed. */
static int resolve_old(struct fs *fs, const char *path, struct fs_resolved *r, struct p2h_error *err)
{
	int rc = check_writable(fs, path, err);

	if (!rc)
		rc = fs_resolve(fs, path, FS_NOFOLLOW, r, err);
	return rc ? rc : fs->ops->lstat(fs, r->path, &r->st, err);
}

int fs_create(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret,
	      struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_new(fs, path, &r, err);

	return rc ? rc : fs->writing->create(fs, r.path, meta, size, ret, err);
}

int fs_pwrite(struct fs_file *f, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int rc;

	if (!f->writing || off < f->written || off > f->size || len > f->size - off)
		return error_set(err, P2H_USAGE, "write at %llu of %zu bytes is out of order or past the end of a file of %llu",
				 (unsigned long long)off, len, (unsigned long long)f->size);
	if (!len)
		return 0;
	rc = f->ops->pwrite(f, buf, off, len, err);
	if (!rc)
		f->written = off + len;
	return rc;
}

/* A new file with its content; what was begun is taken away when it fails. */
static int write_new(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
		     struct p2h_error *err)
{
	struct fs_meta plain = {.mode = 0644, .atime = fs->now, .mtime = fs->now};
	struct fs_file *f = NULL;
	int rc, rc_close;

	rc = fs->writing->create(fs, path, meta ? meta : &plain, len, &f, err);
	if (rc)
		return rc;
	rc = fs_pwrite(f, data, 0, len, err);
	rc_close = fs_file_close(f, rc ? NULL : err);
	if (!rc)
		rc = rc_close;
	if (rc)
		fs->writing->unlink(fs, path, NULL);
	return rc;
}

int fs_write(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
	     struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = check_writable(fs, path, err);

	if (!rc)
		rc = fs_resolve(fs, path, FS_FOLLOW, &r, err);
	if (rc)
		return rc;
	if (r.checked && !r.exists)
		return write_new(fs, r.path, data, len, meta, err);
	if (!r.checked || !S_ISREG(r.st.mode))
		return error_set(err, P2H_EXISTS, "%s: not a regular file", path);
	return fs->writing->rewrite(fs, r.path, data, len, meta, err);
}

int fs_mkdir(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_new(fs, path, &r, err);

	return rc ? rc : fs->writing->mkdir(fs, r.path, meta, err);
}

int fs_symlink(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_new(fs, path, &r, err);

	if (rc)
		return rc;
	if (!*target || strlen(target) >= FS_PATH_MAX)
		return error_set(err, P2H_USAGE, "%s: a symbolic link holds 1 to %u bytes", path, FS_PATH_MAX - 1);
	return fs->writing->symlink(fs, target, r.path, meta, err);
}

int fs_mknod(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor, const struct fs_meta *meta,
	     struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_new(fs, path, &r, err);

	if (rc)
		return rc;
	if (type != S_IFCHR && type != S_IFBLK && type != S_IFIFO && type != S_IFSOCK)
		return error_set(err, P2H_USAGE, "%s: not a type of special file: %o", path, type);
	if (major > 0xfff || minor > 0xfffff)
		return error_set(err, P2H_USAGE, "%s: no device number: %u:%u", path, major, minor);
	return fs->writing->mknod(fs, r.path, type, major, minor, meta, err);
}

int fs_link(struct fs *fs, const char *existing, const char *path, struct p2h_error *err)
{
	struct fs_resolved from, to;
	int rc = resolve_old(fs, existing, &from, err);

	if (!rc)
		rc = resolve_new(fs, path, &to, err);
	if (rc)
		return rc;
	if (S_ISDIR(from.st.mode))
		return error_set(err, P2H_USAGE, "%s: a directory cannot have a second name", existing);
	return fs->writing->link(fs, from.path, to.path, err);
}

int fs_rename(struct fs *fs, const char *from, const char *to, struct p2h_error *err)
{
	struct fs_resolved a, b;
	size_t len;
	int rc = resolve_old(fs, from, &a, err);

	if (!rc)
		rc = resolve_new(fs, to, &b, err);
	if (rc)
		return rc;
	len = strlen(a.path);
	if (!a.path[1] || (!strncmp(a.path, b.path, len) && b.path[len] == '/'))
		return error_set(err, P2H_USAGE, "%s: cannot be moved into itself", from);
	fs_forget_paths(fs);
	return fs->writing->rename(fs, a.path, b.path, err);
}

int fs_unlink(struct fs *fs, const char *path, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_old(fs, path, &r, err);

	if (rc)
		return rc;
	if (!r.path[1])
		return error_set(err, P2H_USAGE, "the root directory cannot be removed");
	fs_forget_paths(fs);
	return fs->writing->unlink(fs, r.path, err);
}

int fs_set_meta(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_old(fs, path, &r, err);

	return rc ? rc : fs->writing->set_meta(fs, r.path, meta, err);
}

int fs_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_old(fs, path, &r, err);

	if (rc)
		return rc;
	if (!strchr(name, '.') || strlen(name) > FS_NAME_MAX || len > 65536)
		return error_set(err, P2H_USAGE, "%s: not an extended attribute: %.64s (%zu bytes)", path, name, len);
	return fs->writing->set_xattr(fs, r.path, name, value, len, err);
}

int fs_sync(struct fs *fs, struct p2h_error *err)
{
	int rc = check_writable(fs, "/", err);

	return rc ? rc : fs->writing->sync(fs, err);
}

int fs_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err)
{
	int rc = check_writable(fs, "/", err);

	if (!rc)
		rc = fs->writing->boot_write(fs, data, len, ret, err);
	return rc ? rc : ret->failed ? error_nomem(err) : 0;
}
