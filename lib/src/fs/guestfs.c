/* guestfs.c - a file system in libguestfs' appliance: opening and reading */
#include "fs/guestfs.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* An open file: what was read last. */
struct guestfs_file {
	struct fs_file base;
	struct guestfs *fs;
	char *path;
	char *window; /* APPLIANCE_PIECE bytes, or all of a smaller file */
	uint64_t window_off;
	size_t window_len;
};

static int guestfs_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	return dircache_lstat(guestfs_of(fs)->mount->cache, path, ret, err);
}

static int guestfs_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err)
{
	return dircache_list(guestfs_of(fs)->mount->cache, path, ret, err);
}

static int guestfs_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	return dircache_readlink(guestfs_of(fs)->mount->cache, path, ret, err);
}

int guestfs_reach(struct guestfs *g, const char *path, char *ret, struct p2h_error *err)
{
	appliance_path(g->mount, path, ret);
	return pack_flush(g->mount, err);
}

/* ---- extended attributes ---- */

struct xattr_list {
	struct fs_xattrs found;
	bool failed;
};

static void add_xattr(void *arg, const char *name, const void *value, size_t len)
{
	struct xattr_list *l = arg;
	struct fs_xattr *bigger = reallocarray(l->found.item, l->found.len + 1, sizeof(*bigger));
	struct fs_xattr x = {.name = strdup(name), .value = malloc(len + 1), .len = len};

	if (bigger)
		l->found.item = bigger;
	if (!bigger || !x.name || !x.value) {
		free(x.name);
		free(x.value);
		l->failed = true;
		return;
	}
	if (len)
		memcpy(x.value, value, len);
	l->found.item[l->found.len++] = x;
}

static int compare_xattrs(const void *a, const void *b)
{
	return strcmp(((const struct fs_xattr *)a)->name, ((const struct fs_xattr *)b)->name);
}

static int guestfs_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	struct xattr_list l = {0};
	char there[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, path, there, err);

	if (!rc)
		rc = appliance_result(g->mount, GUESTFS_CALL(g, xattrs, there, add_xattr, &l), path, err);
	if (!rc && l.failed)
		rc = error_nomem(err);
	if (rc) {
		fs_xattrs_done(&l.found);
		return rc;
	}
	if (l.found.len)
		qsort(l.found.item, l.found.len, sizeof(*l.found.item), compare_xattrs);
	*ret = l.found;
	return 0;
}

/* ---- files ---- */

static int read_window(struct guestfs_file *x, uint64_t off, struct p2h_error *err)
{
	char there[APPLIANCE_PATH_MAX];
	size_t want = x->base.size - off < APPLIANCE_PIECE ? (size_t)(x->base.size - off) : APPLIANCE_PIECE;
	int rc;

	if (!x->window)
		x->window = malloc(x->base.size < APPLIANCE_PIECE ? (size_t)x->base.size : APPLIANCE_PIECE);
	if (!x->window)
		return error_nomem(err);
	x->window_len = 0;
	rc = guestfs_reach(x->fs, x->path, there, err);
	if (!rc)
		rc = appliance_result(x->fs->mount, GUESTFS_CALL(x->fs, pread, there, x->window, off, want, &x->window_len), x->path, err);
	x->window_off = off;
	return rc;
}

static int guestfs_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct guestfs_file *x = (struct guestfs_file *)f;

	while (*ret_got < len) {
		uint64_t at = off + *ret_got;
		size_t in, n;
		int rc = 0;

		if (at < x->window_off || at >= x->window_off + x->window_len)
			rc = read_window(x, at - at % APPLIANCE_PIECE, err);
		if (rc)
			return rc;
		in = (size_t)(at - x->window_off);
		if (in >= x->window_len)
			return 0; /* shorter than its size says */
		n = x->window_len - in < len - *ret_got ? x->window_len - in : len - *ret_got;
		memcpy((char *)buf + *ret_got, x->window + in, n);
		*ret_got += n;
	}
	return 0;
}

static int guestfs_file_close(struct fs_file *f, struct p2h_error *err)
{
	struct guestfs_file *x = (struct guestfs_file *)f;

	(void)err;
	free(x->path);
	free(x->window);
	free(x);
	return 0;
}

static const struct fs_file_ops guestfs_file_ops = {
	.pread = guestfs_pread,
	.close = guestfs_file_close,
};

static int guestfs_open_file(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err)
{
	CLEANUP_FREE struct guestfs_file *x = calloc(1, sizeof(*x));
	struct fs_stat st;
	int rc = guestfs_lstat(fs, path, &st, err);

	if (rc)
		return rc;
	if (!S_ISREG(st.mode))
		return error_set(err, P2H_UNSUPPORTED, "%s: not a regular file", path);
	if (!x || !(x->path = strdup(path)))
		return error_nomem(err);
	x->base.ops = &guestfs_file_ops;
	x->base.size = st.size;
	x->fs = guestfs_of(fs);
	*ret = &TAKE(x)->base;
	return 0;
}

/* ---- the file system ---- */

static int guestfs_space(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	char there[APPLIANCE_PATH_MAX];
	int rc = guestfs_reach(g, path, there, err);

	return rc ? rc : appliance_result(g->mount, GUESTFS_CALL(g, space, there, ret), path, err);
}

static int guestfs_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err)
{
	(void)fs, (void)base, (void)ret, (void)err;
	return 0; /* the appliance does not tell */
}

static int guestfs_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err)
{
	(void)ret, (void)ret_where;
	return error_set(err, P2H_UNSUPPORTED, "%s has no boot loader inode", fs->info.type);
}

static int guestfs_close(struct fs *fs, struct p2h_error *err)
{
	struct guestfs *g = guestfs_of(fs);
	int rc = fs->writing ? guestfs_settle(g, err) : 0;
	int rc_put = appliance_mount_put(g->mount, fs->writing != NULL, rc ? NULL : err);

	strlist_done(&g->touched);
	fs_base_done(fs);
	free(g);
	return rc ? rc : rc_put;
}

static const struct fs_ops guestfs_ops = {
	.close = guestfs_close,
	.lstat = guestfs_lstat,
	.list = guestfs_list,
	.readlink = guestfs_readlink,
	.xattrs = guestfs_xattrs,
	.open = guestfs_open_file,
	.space = guestfs_space,
	.free_ranges = guestfs_free_ranges,
	.boot_read = guestfs_boot_read,
};

/*
 * Not every superblock tells when it was written last; the newest change in / and /var does well: /tmp, /run or /var/log change at each boot.
 * The appliance mounts for reading first, so that it is not its own doing.
 */
static int64_t newest_change(struct fs *fs)
{
	static const char *const dir[] = {"/", "/var"};
	int64_t newest = 0;

	for (size_t i = 0; i < 2; i++) {
		CLEANUP(strlist_done) struct strlist names = {0};

		if (fs_list(fs, dir[i], &names, NULL))
			continue;
		for (size_t n = 0; n < names.len; n++) {
			char path[FS_PATH_MAX + 1];
			struct fs_stat st;

			snprintf(path, sizeof(path), "%s/%s", i ? dir[i] : "", names.item[n]);
			if (!fs_lstat(fs, path, &st, NULL) && st.ctime > newest)
				newest = st.ctime;
		}
	}
	return newest;
}

static int fill_info(struct guestfs *g, struct p2h_error *err)
{
	const struct appliance_content *c = &g->mount->content;
	struct fs_info *info = &g->base.info;
	struct fs_space space;
	int rc = guestfs_space(&g->base, "/", &space, err);

	if (rc)
		return rc;
	info->engine = "guestfs";
	snprintf(info->type, sizeof(info->type), "%.*s", (int)sizeof(info->type) - 1, c->type);
	snprintf(info->uuid, sizeof(info->uuid), "%.*s", (int)sizeof(info->uuid) - 1, c->uuid);
	snprintf(info->label, sizeof(info->label), "%.*s", (int)sizeof(info->label) - 1, c->label);
	info->block_size = space.block_size;
	info->last_write = newest_change(&g->base);
	return 0;
}

int fs_guestfs_open(struct appliance_drive *drive, const struct appliance_place *place, unsigned flags, int64_t now, struct fs **ret,
		    struct p2h_error *err)
{
	struct guestfs *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return error_nomem(err);
	g->base.ops = &guestfs_ops;
	g->base.writing = flags & FS_WRITE ? &guestfs_write_ops : NULL;
	g->base.now = now;
	rc = appliance_mount_get(drive, place, flags & FS_WRITE, &g->mount, err);
	if (rc) {
		free(g);
		return rc;
	}
	rc = fill_info(g, err);
	if (rc) {
		guestfs_close(&g->base, NULL);
		return rc;
	}
	*ret = &g->base;
	return 0;
}
