/* ext_file.c - the bytes of files */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

struct ext_file {
	struct fs_file base;
	struct ext *e;
	char *path;
	struct ext2_inode_large inode;
	struct ext_map map; /* reading */
	char *inline_data;  /* reading: all of it when the inode holds the data itself */

	/* writing: the runs of blocks, and where in them the next byte goes */
	struct ranges runs;
	size_t run;
	uint64_t run_start; /* file offset at which that run starts */
	uint64_t pos;
};

static struct ext_file *file_of(struct fs_file *f)
{
	return (struct ext_file *)f;
}

static int file_close(struct fs_file *f, struct p2h_error *err);

/* Copies [off, off + len) of the content that a map describes. */
static int read_mapped(struct ext_map *m, char *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	uint32_t size = m->e->e2->blocksize;
	struct ext_run run;

	while (len) {
		uint64_t skip = off % size, n;
		int rc = ext_map_find(m, off / size, &run, err);

		if (rc)
			return rc;
		n = run.len > len / size + 1 ? len : run.len * size - skip;
		if (n > len)
			n = len;
		if (run.start) {
			rc = disk_read(m->e->disk, buf, run.start * size + skip, (size_t)n, err);
			if (rc)
				return error_prefix(err, rc, "%s", m->path);
		} else {
			memset(buf, 0, (size_t)n);
		}
		buf += n;
		off += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The whole of inline data; size comes from the inode. */
static int read_inline(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, char *buf, size_t len,
		       struct p2h_error *err)
{
	CLEANUP_FREE char *all = NULL;
	size_t have = 0;
	errcode_t rc = ext2fs_inline_data_size(e->e2, ino, &have);

	if (rc)
		return ext_error(e, rc, path, err);
	if (len > have)
		return error_set(err, P2H_CORRUPT, "%s: larger than the data in its inode", path);
	all = malloc(have);
	if (!all)
		return error_nomem(err);
	rc = ext2fs_inline_data_get(e->e2, ino, ext_inode_small(inode), all, &have);
	if (rc)
		return ext_error(e, rc, path, err);
	memcpy(buf, all, len);
	return 0;
}

int ext_read_all(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, char *buf, size_t len,
		 struct p2h_error *err)
{
	CLEANUP(ext_map_done) struct ext_map map = {0};
	int rc;

	if (inode->i_flags & EXT4_INLINE_DATA_FL)
		return read_inline(e, ino, inode, path, buf, len, err);
	rc = ext_map_open(e, ino, inode, path, &map, err);
	return rc ? rc : read_mapped(&map, buf, 0, len, err);
}

static int file_pread(struct fs_file *f, void *buf, uint64_t off, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct ext_file *x = file_of(f);
	int rc = 0;

	if (x->inline_data)
		memcpy(buf, x->inline_data + off, len);
	else
		rc = read_mapped(&x->map, buf, off, len, err);
	*ret_got = rc ? 0 : len;
	return rc;
}

/* The bytes that follow pos in one piece: *ret_off on the disk, at most *len. */
static void next_piece(struct ext_file *x, uint64_t *ret_off, uint64_t *len)
{
	uint64_t size = x->e->e2->blocksize, bytes = x->runs.item[x->run].len * size;

	if (x->pos - x->run_start == bytes) {
		x->run_start = x->pos;
		bytes = x->runs.item[++x->run].len * size;
	}
	*ret_off = x->runs.item[x->run].off * size + (x->pos - x->run_start);
	if (*len > bytes - (x->pos - x->run_start))
		*len = bytes - (x->pos - x->run_start);
}

/* Writes len bytes at pos; data NULL: zeros. The caller keeps inside the runs. */
static int put(struct ext_file *x, const char *data, uint64_t len, struct p2h_error *err)
{
	while (len) {
		uint64_t n = len, off;
		int rc;

		next_piece(x, &off, &n);
		if (data)
			rc = disk_write(x->e->disk, data, off, (size_t)n, err);
		else
			rc = disk_zero(x->e->disk, off, n, err);
		if (rc)
			return error_prefix(err, rc, "%s", x->path);
		if (data)
			data += n;
		x->pos += n;
		len -= n;
	}
	return 0;
}

static int file_pwrite(struct fs_file *f, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct ext_file *x = file_of(f);
	int rc = put(x, NULL, off - x->pos, err); /* a gap reads as zeros */

	return rc ? rc : put(x, buf, len, err);
}

/* What was not written, up to the end of the last block, must not show what the blocks held before. */
static int fill_up(struct ext_file *x, struct p2h_error *err)
{
	uint64_t size = x->e->e2->blocksize, end = (x->base.size + size - 1) / size * size;

	return put(x, NULL, end - x->pos, err);
}

static int file_close(struct fs_file *f, struct p2h_error *err)
{
	struct ext_file *x = file_of(f);
	int rc = f->writing ? fill_up(x, err) : 0;

	ext_map_done(&x->map);
	free(x->inline_data);
	ranges_done(&x->runs);
	free(x->path);
	free(x);
	return rc;
}

static const struct fs_file_ops file_ops = {
	.pread = file_pread,
	.pwrite = file_pwrite,
	.close = file_close,
};

static void cleanup_ext_file(struct ext_file **x)
{
	if (!*x)
		return;
	(*x)->base.writing = false; /* nothing more is written on the way out */
	file_close(&(*x)->base, NULL);
}

static struct ext_file *file_alloc(struct ext *e, const char *path)
{
	struct ext_file *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->base.ops = &file_ops;
	x->e = e;
	x->path = strdup(path);
	if (!x->path) {
		free(x);
		return NULL;
	}
	return x;
}

int ext_open(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(cleanup_ext_file) struct ext_file *x = file_alloc(e, path);
	ext2_ino_t ino;
	int rc;

	if (!x)
		return error_nomem(err);
	rc = ext_lookup(e, path, &ino, err);
	if (!rc)
		rc = ext_inode_read(e, ino, &x->inode, path, err);
	if (rc)
		return rc;
	if (x->inode.i_flags & (EXT4_ENCRYPT_FL | EXT2_COMPRBLK_FL))
		return error_set(err, P2H_UNSUPPORTED, "%s: encrypted or compressed", path);
	x->base.size = EXT2_I_SIZE(&x->inode);
	if (x->base.size > INT64_MAX)
		return error_set(err, P2H_CORRUPT, "%s: its size cannot be", path);
	if (x->inode.i_flags & EXT4_INLINE_DATA_FL) {
		if (x->base.size > e->e2->blocksize)
			return error_set(err, P2H_CORRUPT, "%s: larger than the data in its inode", path);
		x->inline_data = malloc((size_t)x->base.size + 1);
		if (!x->inline_data)
			return error_nomem(err);
		rc = read_inline(e, ino, &x->inode, path, x->inline_data, (size_t)x->base.size, err);
	} else {
		rc = ext_map_open(e, ino, &x->inode, x->path, &x->map, err);
	}
	if (rc)
		return rc;
	*ret = &TAKE(x)->base;
	return 0;
}

int ext_file_new(struct ext *e, const char *path, uint64_t size, struct ranges *runs, struct fs_file **ret,
		 struct p2h_error *err)
{
	struct ext_file *x = file_alloc(e, path);

	if (!x)
		return error_nomem(err);
	x->base.size = size;
	x->base.writing = true;
	x->runs = *runs;
	*runs = (struct ranges){0};
	*ret = &x->base;
	return 0;
}

int ext_write_all(struct ext *e, const struct ranges *runs, const void *data, size_t len, const char *path,
		  struct p2h_error *err)
{
	struct ext_file *x = file_alloc(e, path);
	int rc;

	if (!x)
		return error_nomem(err);
	x->base.size = len;
	x->runs = *runs;
	rc = put(x, data, len, err);
	if (!rc)
		rc = fill_up(x, err);
	x->runs = (struct ranges){0}; /* the caller's */
	file_close(&x->base, NULL);
	return rc;
}
