#include "disk/disk.h"

#include <inttypes.h>
#include <string.h>

#include "base/le.h"

/* A long path keeps its end: that is the part which tells images apart. */
static void set_name(struct disk *d, const char *name)
{
	size_t len = strlen(name), room = sizeof(d->name) - 1;

	if (len <= room) {
		memcpy(d->name, name, len + 1);
	} else {
		memcpy(d->name, "...", 3);
		memcpy(d->name + 3, name + len - (room - 3), room - 3 + 1);
	}
	for (char *c = d->name; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
}

void disk_init(struct disk *d, const struct disk_ops *ops, uint64_t size, bool writable, const char *name)
{
	*d = (struct disk){.ops = ops, .size = size, .writable = writable, .fd = -1, .format = "raw"};
	set_name(d, name);
}

static int check_range(const struct disk *d, uint64_t off, uint64_t len, const char *verb, struct p2h_error *err)
{
	if (range_ok(off, len, d->size))
		return 0;
	return error_set(err, P2H_CORRUPT,
			 "%s: %s of %" PRIu64 " bytes at %" PRIu64 " goes past the end of the disk (%" PRIu64 " bytes)",
			 d->name, verb, len, off, d->size);
}

static int check_write(const struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	if (!d->writable)
		return error_set(err, P2H_USAGE, "%s: opened read-only", d->name);
	return check_range(d, off, len, "write", err);
}

int disk_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int code = check_range(d, off, len, "read", err);

	if (code || !len)
		return code;
	return d->ops->read(d, buf, off, len, err);
}

int disk_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int code = check_write(d, off, len, err);

	if (code || !len)
		return code;
	return d->ops->write(d, buf, off, len, err);
}

int disk_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	int code = check_write(d, off, len, err);

	if (code || !len)
		return code;
	return d->ops->zero(d, off, len, err);
}

int disk_flush(struct disk *d, struct p2h_error *err)
{
	return d->writable ? d->ops->flush(d, err) : 0;
}

int disk_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct disk_extent e = {0};
	int code = check_range(d, off, 1, "query", err);

	if (code)
		return code;
	code = d->ops->extent(d, off, &e, err);
	if (code)
		return code;
	if (!e.len || e.len > d->size - off) /* a back-end may round up */
		e.len = e.len ? d->size - off : 1;
	*ret = e;
	return 0;
}

void disk_close(struct disk *d)
{
	if (d)
		d->ops->close(d);
}

void cleanup_disk(struct disk **d)
{
	disk_close(*d);
}
