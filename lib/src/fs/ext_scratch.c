#include "fs/ext_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"

#define CHUNK (1024 * 1024u)

/* A file without a name: nothing is left, however we end. */
static int open_unnamed(struct p2h_error *err)
{
	const char *dir = secure_getenv("TMPDIR");
	CLEANUP_FREE char *path = NULL;
	int fd;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return error_sys(err, errno, "%s: cannot make a temporary file", dir);
	if (asprintf(&path, "%s/pv2hvm-XXXXXX", dir) < 0) {
		path = NULL;
		return error_nomem(err);
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "%s: cannot make a temporary file", dir);
	unlink(path);
	return fd;
}

int ext_scratch_open(struct disk *volume, uint32_t block_size, struct ext_scratch *ret, struct p2h_error *err)
{
	int rc;

	*ret = (struct ext_scratch){.volume = volume, .block_size = block_size, .fd = -1};
	rc = blockset_init(&ret->set, volume->size / block_size, err);
	if (rc)
		return rc;
	ret->fd = open_unnamed(err);
	if (ret->fd < 0)
		rc = ret->fd;
	else if (ftruncate(ret->fd, (off_t)(volume->size / block_size * block_size)))
		rc = error_sys(err, errno, "the temporary file for e2fsck");
	if (rc)
		ext_scratch_done(ret);
	return rc;
}

void ext_scratch_done(struct ext_scratch *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	blockset_done(&s->set);
}

static bool all_zero(const char *data, size_t len)
{
	return !len || (!data[0] && !memcmp(data, data + 1, len - 1));
}

static int file_read(struct ext_scratch *s, char *to, uint64_t off, size_t len, struct p2h_error *err)
{
	while (len) {
		ssize_t n = pread(s->fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "the temporary file for e2fsck");
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_write(struct ext_scratch *s, const char *from, uint64_t off, size_t len, struct p2h_error *err)
{
	while (len) {
		ssize_t n = pwrite(s->fd, from, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "the temporary file for e2fsck");
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Zeros stay a hole. */
static int fill_piece(struct ext_scratch *s, char *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int rc = disk_read(s->volume, buf, off, len, err);

	for (size_t at = 0; !rc && at < len; at += s->block_size)
		if (!all_zero(buf + at, s->block_size))
			rc = file_write(s, buf + at, off + at, s->block_size, err);
	return rc;
}

static int fill_run(struct ext_scratch *s, char *buf, uint64_t off, uint64_t len, struct p2h_error *err)
{
	while (len) {
		struct disk_extent e;
		uint64_t n;
		int rc = disk_extent(s->volume, off, &e, err);

		if (rc)
			return rc;
		n = e.len / s->block_size * s->block_size; /* a zero extent's last block may be part data */
		if (!e.zero || !n)
			n = CHUNK;
		if (n > len)
			n = len;
		if (!e.zero || e.len < s->block_size)
			rc = fill_piece(s, buf, off, n > CHUNK ? CHUNK : (size_t)n, err);
		if (rc)
			return rc;
		off += n;
		len -= n;
	}
	return 0;
}

int ext_scratch_fill(struct ext_scratch *s, struct p2h_error *err)
{
	CLEANUP_FREE char *buf = malloc(CHUNK);
	uint64_t block = 0, count;
	int rc = buf ? 0 : error_nomem(err);

	for (; !rc && blockset_next(&s->set, block, &block, &count); block += count)
		rc = fill_run(s, buf, block * s->block_size, count * s->block_size, err);
	return rc;
}

int ext_open_bare(struct disk *volume, int flags, struct ext *ret, struct p2h_error *err)
{
	errcode_t rc;

	ext_error_init();
	ret->disk = volume;
	rc = ext_io_open(ret, flags | EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP);
	if (rc) {
		ret->e2 = NULL;
		return ext_error(ret, rc, "opening the file system", err);
	}
	ret->e2->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
	return ext_mmp_check(ret, err);
}

void ext_close_bare(struct ext *e)
{
	if (e->e2)
		ext2fs_free(e->e2);
}

int ext_scratch_make(struct disk *volume, int (*blocks)(struct ext *, struct blockset *, struct p2h_error *), int flags, struct ext_scratch *ret,
		     struct p2h_error *err)
{
	CLEANUP(ext_close_bare) struct ext e = {0};
	int rc = ext_open_bare(volume, flags, &e, err);

	if (!rc)
		rc = ext_scratch_open(volume, e.e2->blocksize, ret, err);
	if (rc)
		return rc;
	rc = blocks(&e, &ret->set, err);
	if (!rc)
		rc = ext_scratch_fill(ret, err);
	if (rc)
		ext_scratch_done(ret);
	return rc;
}

int ext_scratch_super(struct ext_scratch *s, struct ext2_super_block *ret, struct p2h_error *err)
{
	return file_read(s, (char *)ret, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, err);
}

/* Blocks of the set: what differs. Others: what is not a hole any more. */
static int take_piece(struct ext_scratch *s, char *buf, char *old, uint64_t off, size_t len, struct p2h_error *err)
{
	int rc = file_read(s, buf, off, len, err);

	if (!rc)
		rc = disk_read(s->volume, old, off, len, err);
	for (size_t at = 0; !rc && at < len; at += s->block_size) {
		if (!memcmp(buf + at, old + at, s->block_size))
			continue;
		if (blockset_has(&s->set, (off + at) / s->block_size) || !all_zero(buf + at, s->block_size))
			rc = disk_write(s->volume, buf + at, off + at, s->block_size, err);
	}
	return rc;
}

static int take_range(struct ext_scratch *s, char *buf, char *old, uint64_t off, uint64_t len, struct p2h_error *err)
{
	int rc = 0;

	while (!rc && len) {
		size_t n = len > CHUNK ? CHUNK : (size_t)len;

		rc = take_piece(s, buf, old, off, n, err);
		off += n;
		len -= n;
	}
	return rc;
}

/* Blocks that e2fsck took into use, and that were not copied because they were free. */
static int take_new(struct ext_scratch *s, char *buf, char *old, struct p2h_error *err)
{
	off_t size = (off_t)(s->set.blocks * s->block_size), at = 0, end;
	int rc = 0;

	while (!rc && at < size) {
		at = lseek(s->fd, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : error_sys(err, errno, "the temporary file for e2fsck");
		end = lseek(s->fd, at, SEEK_HOLE);
		if (end < 0)
			return error_sys(err, errno, "the temporary file for e2fsck");
		at -= at % s->block_size;
		end += (s->block_size - end % s->block_size) % s->block_size;
		if (end > size)
			end = size;
		rc = take_range(s, buf, old, (uint64_t)at, (uint64_t)(end - at), err);
		at = end;
	}
	return rc;
}

int ext_scratch_take(struct ext_scratch *s, struct p2h_error *err)
{
	CLEANUP_FREE char *buf = malloc(CHUNK), *old = malloc(CHUNK);
	uint64_t block = 0, count;
	int rc = buf && old ? take_new(s, buf, old, err) : error_nomem(err);

	/* What was data and became zeros may be a hole on some host file systems. */
	for (; !rc && blockset_next(&s->set, block, &block, &count); block += count)
		rc = take_range(s, buf, old, block * s->block_size, count * s->block_size, err);
	return rc;
}

void ext_scratch_name(const struct ext_scratch *s, char *ret, size_t size)
{
	snprintf(ret, size, "/proc/%ld/fd/%d", (long)getpid(), s->fd);
}
