#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"
#include "parse/initramfs.h"

void new_meta(struct fs_meta *ret, uint32_t mode, int64_t now)
{
	*ret = (struct fs_meta){.mode = mode, .atime = now, .mtime = now};
}

int make_directories(struct fs *fs, const char *path, int64_t now, struct p2h_error *err)
{
	CLEANUP_FREE char *part = strdup(path);
	struct fs_meta meta;
	int rc = 0;

	if (!part)
		return error_nomem(err);
	new_meta(&meta, 0755, now);
	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (!fs_is_dir(fs, part))
			rc = fs_mkdir(fs, part, &meta, err);
		if (rc || !slash)
			return rc;
		*slash = '/';
	}
}

int make_parent(struct fs *fs, const char *path, int64_t now, struct p2h_error *err)
{
	CLEANUP_FREE char *parent = strdup(path);
	char *slash = parent ? strrchr(parent, '/') : NULL;

	if (!parent)
		return error_nomem(err);
	if (!slash || slash == parent)
		return 0;
	*slash = '\0';
	return make_directories(fs, parent, now, err);
}

int apply_file(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err)
{
	struct fs_meta meta;
	int rc = make_parent(fs, a->path, now, err);

	if (rc)
		return rc;
	new_meta(&meta, a->mode, now);
	return fs_write(fs, a->path, a->after, a->after_len, fs_exists(fs, a->path) ? NULL : &meta, err);
}

int apply_link(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err)
{
	struct fs_meta meta;
	struct fs_stat st;
	int rc = make_parent(fs, a->path, now, err);

	if (!rc && !fs_lstat(fs, a->path, &st, NULL))
		rc = fs_unlink(fs, a->path, err);
	new_meta(&meta, 0777, now);
	return rc ? rc : fs_symlink(fs, a->after, a->path, &meta, err);
}

int apply_node(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err)
{
	struct fs_meta meta;
	int rc = make_parent(fs, a->path, now, err);

	new_meta(&meta, a->mode, now);
	return rc ? rc : fs_mknod(fs, a->path, a->block ? S_IFBLK : S_IFCHR, a->major, a->minor, &meta, err);
}

int apply_remove(struct fs *fs, const struct action *a, struct p2h_error *err)
{
	return fs_unlink(fs, a->path, err);
}

/*
 * An archive has to start at a multiple of 4, and four NUL bytes in front of it end an lz4 stream, which has no end of its own (kernel
 * Documentation/driver-api/early-userspace/buffer-format.rst, lib/decompress_unlz4.c). The file keeps its date: it is still the donor's, and known by it.
 */
int apply_initramfs(struct fs *fs, const struct action *a, struct p2h_error *err)
{
	static const char zeros[8];
	CLEANUP(buf_done) struct buf data = {0};
	struct fs_meta meta;
	struct fs_stat st;
	int rc = fs_stat(fs, a->path, &st, err);

	if (!rc)
		rc = fs_read(fs, a->path, INITRAMFS_FILE_MAX, &data, err);
	if (rc)
		return rc;
	buf_append(&data, zeros, 4 + (-data.len & 3));
	buf_append(&data, a->after, a->after_len);
	if (data.failed)
		return error_nomem(err);
	fs_meta_from_stat(&meta, &st);
	return fs_write(fs, a->path, data.data, data.len, &meta, err);
}
