/* fs.c - the front of every file system: argument checks and what engines need not know */
#include "fs/fs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/engine.h"

void fs_base_done(struct fs *fs)
{
	fs_forget_paths(fs);
	strlist_done(&fs->info.features);
}

int fs_close(struct fs *fs, struct p2h_error *err)
{
	return fs ? fs->ops->close(fs, err) : 0;
}

void cleanup_fs(struct fs **fs)
{
	fs_close(*fs, NULL);
}

const struct fs_info *fs_info(const struct fs *fs)
{
	return &fs->info;
}

void fs_xattrs_done(struct fs_xattrs *x)
{
	for (size_t i = 0; i < x->len; i++) {
		free(x->item[i].name);
		free(x->item[i].value);
	}
	free(x->item);
	*x = (struct fs_xattrs){0};
}

void fs_meta_from_stat(struct fs_meta *ret, const struct fs_stat *st)
{
	*ret = (struct fs_meta){
		.mode = st->mode & 07777,
		.uid = st->uid,
		.gid = st->gid,
		.atime = st->atime,
		.mtime = st->mtime,
		.atime_nsec = st->atime_nsec,
		.mtime_nsec = st->mtime_nsec,
	};
}

static int not_found(const char *path, struct p2h_error *err)
{
	return error_set(err, P2H_NOTFOUND, "%s: no such file or directory", path);
}

/* Resolves a path whose end must exist, links followed. */
static int resolve_existing(struct fs *fs, const char *path, struct fs_resolved *r, struct p2h_error *err)
{
	int rc = fs_resolve(fs, path, FS_FOLLOW, r, err);

	if (rc)
		return rc;
	if (!r->checked) { /* ends in "." or "..", or is the root */
		rc = fs->ops->lstat(fs, r->path, &r->st, err);
		if (rc)
			return rc;
		r->checked = r->exists = true;
	}
	return r->exists ? 0 : not_found(path, err);
}

int fs_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = fs_resolve(fs, path, FS_NOFOLLOW, &r, err);

	return rc ? rc : fs->ops->lstat(fs, r.path, ret, err);
}

int fs_stat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_existing(fs, path, &r, err);

	if (!rc)
		*ret = r.st;
	return rc;
}

bool fs_exists(struct fs *fs, const char *path)
{
	struct fs_resolved r;

	return resolve_existing(fs, path, &r, NULL) == 0;
}

bool fs_is_dir(struct fs *fs, const char *path)
{
	struct fs_resolved r;

	return resolve_existing(fs, path, &r, NULL) == 0 && S_ISDIR(r.st.mode);
}

int fs_realpath(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_existing(fs, path, &r, err);

	if (rc)
		return rc;
	*ret = strdup(r.path);
	return *ret ? 0 : error_nomem(err);
}

int fs_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	struct fs_resolved r;
	int rc = resolve_existing(fs, path, &r, err);

	if (rc)
		return rc;
	if (!S_ISDIR(r.st.mode))
		return error_set(err, P2H_NOTFOUND, "%s: not a directory", path);
	rc = fs->ops->list(fs, r.path, &names, err);
	if (rc)
		return rc;
	if (names.failed)
		return error_nomem(err);
	strlist_sort(&names);
	if (!ret->len && !ret->item) {
		*ret = names;
		names = (struct strlist){0};
		return 0;
	}
	for (size_t i = 0; i < names.len; i++)
		strlist_add(ret, names.item[i]);
	return ret->failed ? error_nomem(err) : 0;
}

int fs_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = fs_resolve(fs, path, FS_NOFOLLOW, &r, err);

	return rc ? rc : fs->ops->readlink(fs, r.path, ret, err);
}

int fs_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc;

	*ret = (struct fs_xattrs){0};
	rc = fs_resolve(fs, path, FS_NOFOLLOW, &r, err);
	return rc ? rc : fs->ops->xattrs(fs, r.path, ret, err);
}

int fs_open(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_existing(fs, path, &r, err);

	if (rc)
		return rc;
	if (!S_ISREG(r.st.mode))
		return error_set(err, P2H_UNSUPPORTED, "%s: not a regular file", path);
	return fs->ops->open(fs, r.path, ret, err);
}

int fs_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err)
{
	*ret_got = 0;
	if (f->writing)
		return error_set(err, P2H_USAGE, "a file being created cannot be read");
	if (off >= f->size || !len)
		return 0;
	if (len > f->size - off)
		len = (size_t)(f->size - off);
	return f->ops->pread(f, buf, off, len, ret_got, err);
}

int fs_file_close(struct fs_file *f, struct p2h_error *err)
{
	return f ? f->ops->close(f, err) : 0;
}

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

int fs_read(struct fs *fs, const char *path, size_t max, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(cleanup_file) struct fs_file *f = NULL;
	size_t got;
	char *to;
	int rc = fs_open(fs, path, &f, err);

	if (rc)
		return rc;
	if (f->size > max)
		return error_set(err, P2H_UNSUPPORTED, "%s: %" PRIu64 " bytes: no more than %zu are read of such a file", path, f->size, max);
	to = buf_reserve(ret, (size_t)f->size);
	if (!to)
		return error_nomem(err);
	rc = fs_pread(f, to, 0, (size_t)f->size, &got, err);
	if (rc)
		return rc;
	ret->len += got;
	ret->data[ret->len] = '\0';
	return 0;
}

int fs_space(struct fs *fs, struct fs_space *ret, struct p2h_error *err)
{
	return fs->ops->space(fs, "/", ret, err);
}

int fs_space_at(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err)
{
	struct fs_resolved r;
	int rc = resolve_existing(fs, path, &r, err);

	return rc ? rc : fs->ops->space(fs, r.path, ret, err);
}

int fs_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err)
{
	int rc = fs->ops->free_ranges(fs, base, ret, err);

	return rc ? rc : ret->failed ? error_nomem(err) : 0;
}

int fs_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err)
{
	int rc = fs->ops->boot_read(fs, ret, ret_where, err);

	return rc ? rc : ret->failed || ret_where->failed ? error_nomem(err) : 0;
}
