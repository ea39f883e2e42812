#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/backends.h"

struct shifted {
	struct disk d;
	struct disk *under;
	uint64_t shift;
};

static int shifted_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct shifted *s = (struct shifted *)d;
	char *to = buf;

	if (off < s->shift) {
		size_t gap = len < s->shift - off ? len : (size_t)(s->shift - off);

		memset(to, 0, gap);
		to += gap;
		off += gap;
		len -= gap;
	}
	return len ? disk_read(s->under, to, off - s->shift, len, err) : 0;
}

static int refuse_gap(struct disk *d, uint64_t off, struct p2h_error *err)
{
	return error_set(err, P2H_USAGE, "%s: write at %" PRIu64 ": nothing is stored in front of the shifted disk",
			 d->name, off);
}

static int shifted_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct shifted *s = (struct shifted *)d;

	if (off < s->shift)
		return refuse_gap(d, off, err);
	return disk_write(s->under, buf, off - s->shift, len, err);
}

static int shifted_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	struct shifted *s = (struct shifted *)d;

	if (off < s->shift)
		return refuse_gap(d, off, err);
	return disk_zero(s->under, off - s->shift, len, err);
}

static int shifted_flush(struct disk *d, struct p2h_error *err)
{
	return disk_flush(((struct shifted *)d)->under, err);
}

static int shifted_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct shifted *s = (struct shifted *)d;

	if (off >= s->shift)
		return disk_extent(s->under, off - s->shift, ret, err);
	*ret = (struct disk_extent){.len = s->shift - off, .zero = true};
	return 0;
}

static void shifted_close(struct disk *d)
{
	free(d);
}

static const struct disk_ops shifted_ops = {
	.read = shifted_read,
	.write = shifted_write,
	.zero = shifted_zero,
	.flush = shifted_flush,
	.extent = shifted_extent,
	.close = shifted_close,
};

int disk_shifted_open(struct disk *under, uint64_t shift, struct disk **ret, struct p2h_error *err)
{
	char name[sizeof(under->name) + 16];
	struct shifted *s;

	if (under->size > INT64_MAX || shift > INT64_MAX - under->size)
		return error_set(err, P2H_USAGE, "%s: too large to be shifted by %" PRIu64, under->name, shift);
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(err);
	snprintf(name, sizeof(name), "%s (shifted)", under->name);
	disk_init(&s->d, &shifted_ops, under->size + shift, under->writable, name);
	s->under = under;
	s->shift = shift;
	s->d.format = under->format;
	*ret = &s->d;
	return 0;
}

bool disk_source_fd(struct disk *d, uint64_t off, int *ret_fd, uint64_t *ret_fd_off, uint64_t *ret_len)
{
	if (d->ops == &shifted_ops) {
		struct shifted *s = (struct shifted *)d;

		if (off < s->shift)
			return false;
		d = s->under;
		off -= s->shift;
	}
	if (d->fd < 0 || off >= d->size)
		return false;
	*ret_fd = d->fd;
	*ret_fd_off = d->fd_offset + off;
	*ret_len = d->size - off;
	return true;
}
