#include <errno.h>
#include <stdlib.h>

#include "disk/disk.h"

struct fault_disk {
	struct disk d;
	struct disk *under;
	struct disk_fault_plan *plan;
};

static int count(struct disk *d, enum disk_fault_kind kind, struct p2h_error *err)
{
	static const char *const verb[DISK_FAULT_KINDS] = {"read", "write", "flush"};
	struct disk_fault_plan *plan = ((struct fault_disk *)d)->plan;

	plan->calls[kind]++;
	if (plan->fail_at[kind] && plan->calls[kind] >= plan->fail_at[kind])
		return error_sys(err, EIO, "%s: %s (injected fault)", d->name, verb[kind]);
	return 0;
}

static int fault_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int code = count(d, DISK_FAULT_READ, err);

	return code ? code : disk_read(((struct fault_disk *)d)->under, buf, off, len, err);
}

static int fault_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int code = count(d, DISK_FAULT_WRITE, err);

	return code ? code : disk_write(((struct fault_disk *)d)->under, buf, off, len, err);
}

static int fault_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	int code = count(d, DISK_FAULT_WRITE, err);

	return code ? code : disk_zero(((struct fault_disk *)d)->under, off, len, err);
}

static int fault_flush(struct disk *d, struct p2h_error *err)
{
	int code = count(d, DISK_FAULT_FLUSH, err);

	return code ? code : disk_flush(((struct fault_disk *)d)->under, err);
}

static int fault_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	return disk_extent(((struct fault_disk *)d)->under, off, ret, err);
}

static void fault_close(struct disk *d)
{
	free(d);
}

static const struct disk_ops fault_ops = {
	.read = fault_read,
	.write = fault_write,
	.zero = fault_zero,
	.flush = fault_flush,
	.extent = fault_extent,
	.close = fault_close,
};

int disk_fault_open(struct disk *under, struct disk_fault_plan *plan, struct disk **ret, struct p2h_error *err)
{
	struct fault_disk *f = calloc(1, sizeof(*f));

	if (!f)
		return error_nomem(err);
	disk_init(&f->d, &fault_ops, under->size, under->writable, under->name);
	f->under = under;
	f->plan = plan;
	f->d.format = under->format;
	*ret = &f->d;
	return 0;
}
