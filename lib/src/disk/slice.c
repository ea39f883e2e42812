#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/le.h"
#include "disk/disk.h"

struct slice {
	struct disk d;
	struct disk *under;
	uint64_t off;
};

static int slice_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct slice *s = (struct slice *)d;

	return disk_read(s->under, buf, s->off + off, len, err);
}

static int slice_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct slice *s = (struct slice *)d;

	return disk_write(s->under, buf, s->off + off, len, err);
}

static int slice_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	struct slice *s = (struct slice *)d;

	return disk_zero(s->under, s->off + off, len, err);
}

static int slice_flush(struct disk *d, struct p2h_error *err)
{
	return disk_flush(((struct slice *)d)->under, err);
}

static int slice_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct slice *s = (struct slice *)d;

	return disk_extent(s->under, s->off + off, ret, err);
}

static void slice_close(struct disk *d)
{
	free(d);
}

static const struct disk_ops slice_ops = {
	.read = slice_read,
	.write = slice_write,
	.zero = slice_zero,
	.flush = slice_flush,
	.extent = slice_extent,
	.close = slice_close,
};

int disk_slice_open(struct disk *under, uint64_t off, uint64_t len, struct disk **ret, struct p2h_error *err)
{
	char name[sizeof(under->name) + 48];
	struct slice *s;

	if (!len || !range_ok(off, len, under->size))
		return error_set(err, P2H_CORRUPT,
				 "%s: a partition of %" PRIu64 " bytes at %" PRIu64 " does not lie on the disk (%" PRIu64
				 " bytes)",
				 under->name, len, off, under->size);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(err);
	snprintf(name, sizeof(name), "%s at %" PRIu64, under->name, off);
	disk_init(&s->d, &slice_ops, len, under->writable, name);
	s->under = under;
	s->off = off;
	s->d.format = under->format;
	s->d.fd = under->fd;
	s->d.fd_offset = under->fd_offset + off;
	*ret = &s->d;
	return 0;
}
