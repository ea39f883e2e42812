/* mount.c - several file systems as one tree: an engine that passes each call to the engine that holds the path */
#include <string.h>

#include "base/cleanup.h"
#include "fs/engine.h"

struct place {
	char *path; /* resolved; "" is the root */
	size_t len;
	struct fs *fs;
};

/* The number that a device of a child has in the tree: its index in the list. */
struct device {
	const struct fs *fs;
	uint32_t dev;
};

struct mount {
	struct fs base;
	struct place *place; /* the root is the first */
	size_t n;
	struct device *device;
	size_t n_devices;
};

static struct mount *mount_of(struct fs *fs)
{
	return (struct mount *)fs;
}

/* Is path the directory of the first len bytes of `dir`, or below it? */
static bool is_below(const char *path, const char *dir, size_t len)
{
	return !strncmp(path, dir, len) && (!path[len] || path[len] == '/');
}

/* The file system that holds a path, and its name there. */
static struct fs *find(struct fs *fs, const char *path, const char **ret_inner)
{
	const struct mount *m = mount_of(fs);
	const struct place *best = &m->place[0];

	for (size_t i = 1; i < m->n; i++)
		if (m->place[i].len > best->len && is_below(path, m->place[i].path, m->place[i].len))
			best = &m->place[i];
	*ret_inner = path[best->len] ? path + best->len : "/";
	return best->fs;
}

/* The same, for a change. */
static int find_writable(struct fs *fs, const char *path, struct fs **ret, const char **ret_inner, struct p2h_error *err)
{
	*ret = find(fs, path, ret_inner);
	if ((*ret)->writing)
		return 0;
	return error_set(err, P2H_USAGE, "%s: its file system was not opened for writing", path);
}

static int number_device(struct mount *m, const struct fs *child, uint32_t dev, uint32_t *ret, struct p2h_error *err)
{
	struct device *bigger;

	for (size_t i = 0; i < m->n_devices; i++) {
		if (m->device[i].fs == child && m->device[i].dev == dev) {
			*ret = (uint32_t)i;
			return 0;
		}
	}
	bigger = reallocarray(m->device, m->n_devices + 1, sizeof(*bigger));
	if (!bigger)
		return error_nomem(err);
	m->device = bigger;
	m->device[m->n_devices] = (struct device){child, dev};
	*ret = (uint32_t)m->n_devices++;
	return 0;
}

static int mount_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);
	int rc = child->ops->lstat(child, inner, ret, err);

	return rc ? rc : number_device(mount_of(fs), child, ret->dev, &ret->dev, err);
}

/* Mount points exist in the file system they cover, so that its own listing has them. */
static int mount_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);

	return child->ops->list(child, inner, ret, err);
}

static int mount_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);

	return child->ops->readlink(child, inner, ret, err);
}

static int mount_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);

	return child->ops->xattrs(child, inner, ret, err);
}

static int mount_open_file(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);

	return child->ops->open(child, inner, ret, err);
}

static int mount_space(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *child = find(fs, path, &inner);

	return child->ops->space(child, inner, ret, err);
}

static int mount_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err)
{
	struct fs *root = mount_of(fs)->place[0].fs;

	return root->ops->free_ranges(root, base, ret, err);
}

static int mount_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err)
{
	struct fs *root = mount_of(fs)->place[0].fs;

	return root->ops->boot_read(root, ret, ret_where, err);
}

static int mount_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err)
{
	const char *inner;
	struct fs *root;
	int rc = find_writable(fs, "/", &root, &inner, err);

	return rc ? rc : root->writing->boot_write(root, data, len, ret, err);
}

static void mount_free(struct mount *m)
{
	for (size_t i = 0; i < m->n; i++)
		free(m->place[i].path);
	free(m->place);
	free(m->device);
	m->base.info.features = (struct strlist){0}; /* the root's */
	fs_base_done(&m->base);
	free(m);
}

static int mount_close(struct fs *fs, struct p2h_error *err)
{
	struct mount *m = mount_of(fs);
	int rc = 0;

	while (m->n) {
		int one = fs_close(m->place[m->n - 1].fs, rc ? NULL : err);

		free(m->place[--m->n].path);
		if (!rc)
			rc = one;
	}
	mount_free(m);
	return rc;
}

static int mount_create(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret,
			struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->create(child, inner, meta, size, ret, err);
}

static int mount_rewrite(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
			 struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->rewrite(child, inner, data, len, meta, err);
}

static int mount_mkdir(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->mkdir(child, inner, meta, err);
}

static int mount_symlink(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta,
			 struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->symlink(child, target, inner, meta, err);
}

static int mount_mknod(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor,
		       const struct fs_meta *meta, struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->mknod(child, inner, type, major, minor, meta, err);
}

/* Both names of a rename or link must lie in one file system. */
static int find_pair(struct fs *fs, const char *from, const char *to, struct fs **ret, const char **ret_from,
		     const char **ret_to, struct p2h_error *err)
{
	struct fs *child;
	int rc = find_writable(fs, from, &child, ret_from, err);

	if (rc)
		return rc;
	*ret = find(fs, to, ret_to);
	if (*ret == child)
		return 0;
	return error_set(err, P2H_UNSUPPORTED, "%s and %s lie in different file systems", from, to);
}

static int mount_link(struct fs *fs, const char *existing, const char *path, struct p2h_error *err)
{
	const char *from, *to;
	struct fs *child;
	int rc = find_pair(fs, existing, path, &child, &from, &to, err);

	return rc ? rc : child->writing->link(child, from, to, err);
}

/* A directory that is a mount point or holds one keeps its name. */
static int check_not_mounted(struct fs *fs, const char *path, struct p2h_error *err)
{
	const struct mount *m = mount_of(fs);

	for (size_t i = 1; i < m->n; i++)
		if (is_below(m->place[i].path, path, strlen(path)))
			return error_set(err, P2H_BUSY, "%s: a file system is mounted at %s", path, m->place[i].path);
	return 0;
}

static int mount_rename(struct fs *fs, const char *from, const char *to, struct p2h_error *err)
{
	const char *inner_from, *inner_to;
	struct fs *child;
	int rc = check_not_mounted(fs, from, err);

	if (!rc)
		rc = find_pair(fs, from, to, &child, &inner_from, &inner_to, err);
	if (rc)
		return rc;
	fs_forget_paths(child);
	return child->writing->rename(child, inner_from, inner_to, err);
}

static int mount_unlink(struct fs *fs, const char *path, struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = check_not_mounted(fs, path, err);

	if (!rc)
		rc = find_writable(fs, path, &child, &inner, err);
	if (rc)
		return rc;
	fs_forget_paths(child);
	return child->writing->unlink(child, inner, err);
}

static int mount_set_meta(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->set_meta(child, inner, meta, err);
}

static int mount_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len,
			   struct p2h_error *err)
{
	const char *inner;
	struct fs *child;
	int rc = find_writable(fs, path, &child, &inner, err);

	return rc ? rc : child->writing->set_xattr(child, inner, name, value, len, err);
}

static int mount_sync(struct fs *fs, struct p2h_error *err)
{
	const struct mount *m = mount_of(fs);
	int rc = 0;

	for (size_t i = 0; i < m->n && !rc; i++)
		if (m->place[i].fs->writing)
			rc = m->place[i].fs->writing->sync(m->place[i].fs, err);
	return rc;
}

static const struct fs_ops mount_ops = {
	.close = mount_close,
	.lstat = mount_lstat,
	.list = mount_list,
	.readlink = mount_readlink,
	.xattrs = mount_xattrs,
	.open = mount_open_file,
	.space = mount_space,
	.free_ranges = mount_free_ranges,
	.boot_read = mount_boot_read,
};

static const struct fs_write_ops mount_write_ops = {
	.create = mount_create,
	.rewrite = mount_rewrite,
	.mkdir = mount_mkdir,
	.symlink = mount_symlink,
	.mknod = mount_mknod,
	.link = mount_link,
	.rename = mount_rename,
	.unlink = mount_unlink,
	.set_meta = mount_set_meta,
	.set_xattr = mount_set_xattr,
	.sync = mount_sync,
	.boot_write = mount_boot_write,
};

/* Adds a file system at a resolved path; on failure it stays the caller's. */
static int add_place(struct mount *m, const char *path, struct fs *child, struct p2h_error *err)
{
	struct place *bigger = reallocarray(m->place, m->n + 1, sizeof(*bigger));
	char *copy = strdup(path);

	if (bigger)
		m->place = bigger;
	if (!bigger || !copy) {
		free(copy);
		return error_nomem(err);
	}
	m->place[m->n++] = (struct place){.path = copy, .len = strlen(copy), .fs = child};
	if (child->writing && !m->base.writing) {
		m->base.writing = &mount_write_ops;
		m->base.now = child->now;
	}
	return 0;
}

int fs_mount_open(struct fs *root, struct fs **ret, struct p2h_error *err)
{
	struct mount *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return error_nomem(err);
	rc = add_place(m, "", root, err);
	if (rc) {
		mount_free(m);
		return rc;
	}
	m->base.ops = &mount_ops;
	m->base.info = root->info;
	m->base.info.engine = "mount";
	*ret = &m->base;
	return 0;
}

int fs_mount_add(struct fs *mount, const char *path, struct fs *child, struct p2h_error *err)
{
	struct mount *m = mount_of(mount);
	CLEANUP_FREE char *where = NULL;
	int rc = fs_realpath(mount, path, &where, err);

	if (rc)
		return rc;
	if (!where[1])
		return error_set(err, P2H_EXISTS, "the root is mounted already");
	if (!fs_is_dir(mount, where))
		return error_set(err, P2H_NOTFOUND, "%s: not a directory", path);
	for (size_t i = 1; i < m->n; i++)
		if (!strcmp(m->place[i].path, where))
			return error_set(err, P2H_EXISTS, "%s: something is mounted there already", path);
	fs_forget_paths(mount);
	return add_place(m, where, child, err);
}
