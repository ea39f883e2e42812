/* ext_io.c - struct disk as libext2fs' io_manager. libext2fs has no cache of its own above it, and none is needed. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

/* libext2fs hands an io_manager nothing but a name; the disk reaches our open() by this. */
static _Thread_local struct ext *opening;

static struct struct_io_manager manager;

static struct ext *ext_of_channel(io_channel channel)
{
	return channel->private_data;
}

/* Keeps the disk's words: libext2fs only passes a number on. The first failure counts. */
static errcode_t keep_error(struct ext *e, const struct p2h_error *err)
{
	if (!e->io_error.code)
		e->io_error = *err;
	return err->sys_errno ? err->sys_errno : EIO;
}

static errcode_t byte_range(io_channel channel, unsigned long long block, int count, uint64_t *ret_off, size_t *ret_len)
{
	struct ext *e = ext_of_channel(channel);
	size_t size = (size_t)channel->block_size;
	struct p2h_error err;
	uint64_t off;

	*ret_len = count < 0 ? (size_t) - (int64_t)count : (size_t)count * size;
	if (!__builtin_mul_overflow((uint64_t)block, (uint64_t)size, &off) && off <= e->disk->size &&
	    *ret_len <= e->disk->size - off) {
		*ret_off = off;
		return 0;
	}
	error_set(&err, P2H_CORRUPT, "block %llu lies past the end of the volume", block);
	return keep_error(e, &err);
}

static errcode_t io_read64(io_channel channel, unsigned long long block, int count, void *data)
{
	struct ext *e = ext_of_channel(channel);
	struct p2h_error err;
	uint64_t off;
	size_t len;
	errcode_t rc = byte_range(channel, block, count, &off, &len);

	if (rc || !len)
		return rc;
	if (!disk_read(e->disk, data, off, len, &err))
		return 0;
	error_prefix(&err, err.code, "reading block %llu", block);
	return keep_error(e, &err);
}

/*
 * libext2fs writes every bitmap and group descriptor back when one has changed: 70 MB on a volume of 1 TiB. Only blocks that
 * differ are passed on.
 */
static int write_changed(struct ext *e, uint64_t off, const char *data, size_t count, size_t size, struct p2h_error *err)
{
	CLEANUP_FREE char *old = malloc(count * size);
	size_t run = 0;
	int rc;

	if (!old)
		return error_nomem(err);
	rc = disk_read(e->disk, old, off, count * size, err);
	for (size_t i = 0; i <= count && !rc; i++) {
		if (i < count && memcmp(old + i * size, data + i * size, size)) {
			run++;
			continue;
		}
		if (run)
			rc = disk_write(e->disk, data + (i - run) * size, off + (i - run) * size, run * size, err);
		run = 0;
	}
	return rc;
}

static errcode_t io_write64(io_channel channel, unsigned long long block, int count, const void *data)
{
	struct ext *e = ext_of_channel(channel);
	struct p2h_error err;
	uint64_t off;
	size_t len;
	errcode_t rc = byte_range(channel, block, count, &off, &len);

	if (rc || !len)
		return rc;
	if (e->flushing && count > 0) {
		if (!write_changed(e, off, data, (size_t)count, (size_t)channel->block_size, &err))
			return 0;
	} else if (!disk_write(e->disk, data, off, len, &err)) {
		return 0;
	}
	error_prefix(&err, err.code, "writing block %llu", block);
	return keep_error(e, &err);
}

static errcode_t io_read(io_channel channel, unsigned long block, int count, void *data)
{
	return io_read64(channel, block, count, data);
}

static errcode_t io_write(io_channel channel, unsigned long block, int count, const void *data)
{
	return io_write64(channel, block, count, data);
}

static errcode_t io_zeroout(io_channel channel, unsigned long long block, unsigned long long count)
{
	struct ext *e = ext_of_channel(channel);
	uint64_t size = (uint64_t)channel->block_size, off, len;
	struct p2h_error err;

	if (__builtin_mul_overflow((uint64_t)block, size, &off) || __builtin_mul_overflow((uint64_t)count, size, &len) ||
	    off > e->disk->size || len > e->disk->size - off) {
		error_set(&err, P2H_CORRUPT, "block %llu lies past the end of the volume", block);
		return keep_error(e, &err);
	}
	if (!len || !disk_zero(e->disk, off, len, &err))
		return 0;
	error_prefix(&err, err.code, "writing block %llu", block);
	return keep_error(e, &err);
}

static errcode_t io_set_block_size(io_channel channel, int size)
{
	channel->block_size = size;
	return 0;
}

/* The disk is flushed by who owns it: here data only moves into a transaction. */
static errcode_t io_flush(io_channel channel)
{
	(void)channel;
	return 0;
}

static errcode_t io_close(io_channel channel)
{
	if (--channel->refcount > 0)
		return 0;
	free(channel->name);
	free(channel);
	return 0;
}

static errcode_t io_open(const char *name, int flags, io_channel *ret)
{
	io_channel channel = calloc(1, sizeof(*channel));

	(void)flags;
	if (!channel)
		return EXT2_ET_NO_MEMORY;
	channel->name = strdup(name);
	if (!channel->name) {
		free(channel);
		return EXT2_ET_NO_MEMORY;
	}
	channel->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	channel->manager = &manager;
	channel->block_size = 1024;
	channel->refcount = 1;
	channel->private_data = opening;
	*ret = channel;
	return 0;
}

/* No get_stats: s_kbytes_written stays as it was. No discard: free blocks are told by fs_free_ranges. */
static struct struct_io_manager manager = {
	.magic = EXT2_ET_MAGIC_IO_MANAGER,
	.name = "pv2hvm disk",
	.open = io_open,
	.close = io_close,
	.set_blksize = io_set_block_size,
	.read_blk = io_read,
	.write_blk = io_write,
	.read_blk64 = io_read64,
	.write_blk64 = io_write64,
	.flush = io_flush,
	.zeroout = io_zeroout,
};

errcode_t ext_io_open(struct ext *e, int flags)
{
	errcode_t rc;

	opening = e;
	rc = ext2fs_open2("disk", NULL, flags, 0, 0, &manager, &e->e2);
	opening = NULL;
	return rc;
}
