/*
 * A disk that remembers the first read that failed. Many questions of verify are "is there a file that ...?": an answer of "no" that
 * comes from a bad sector must not turn into a pass.
 */
#include "verify/context.h"

#include <stdlib.h>

struct watch_disk {
	struct disk d;
	struct disk *under;
	struct p2h_error *first;
};

static int watch_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct watch_disk *w = (struct watch_disk *)d;
	struct p2h_error e = {0};
	int rc = disk_read(w->under, buf, off, len, &e);

	if (!rc)
		return 0;
	if (!w->first->code)
		*w->first = e;
	if (err)
		*err = e;
	return rc;
}

static int watch_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	(void)buf;
	(void)off;
	(void)len;
	return error_set(err, P2H_USAGE, "%s: is only being verified", d->name);
}

static int watch_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	return watch_write(d, NULL, off, (size_t)len, err);
}

static int watch_flush(struct disk *d, struct p2h_error *err)
{
	return disk_flush(((struct watch_disk *)d)->under, err);
}

static int watch_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	return disk_extent(((struct watch_disk *)d)->under, off, ret, err);
}

static void watch_close(struct disk *d)
{
	disk_close(d->next);
	free(d);
}

static const struct disk_ops watch_ops = {
	.read = watch_read,
	.write = watch_write,
	.zero = watch_zero,
	.flush = watch_flush,
	.extent = watch_extent,
	.close = watch_close,
};

int watch_open(struct disk *under, struct p2h_error *first, struct disk **ret, struct p2h_error *err)
{
	struct watch_disk *w = calloc(1, sizeof *w);
	int rc;

	if (!w)
		return error_nomem(err);
	disk_init(&w->d, &watch_ops, under->size, false, under->name);
	w->under = under;
	w->first = first;
	w->d.format = under->format;
	w->d.drive = under->drive;
	w->d.drive_off = under->drive_off;
	w->d.device = under->device;
	rc = under->next ? watch_open(under->next, first, &w->d.next, err) : 0;
	if (rc) {
		free(w);
		return rc;
	}
	*ret = &w->d;
	return 0;
}
