#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "disk/backends.h"
#include "disk/copy.h"
#include "disk/host.h"

static void cleanup_probe(blkid_probe *p)
{
	blkid_free_probe(*p);
}

/* What a device holds, in libblkid's words: a file system, a partition table, a RAID member, ... */
static int check_signatures(const char *path, int fd, struct p2h_error *err)
{
	CLEANUP(cleanup_probe) blkid_probe probe = blkid_new_probe();
	const char *what = "something";
	int found;

	if (!probe)
		return error_nomem(err);
	if (blkid_probe_set_device(probe, fd, 0, 0))
		return error_set(err, P2H_IO, "%s: cannot be probed for signatures", path);
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE);
	blkid_probe_enable_partitions(probe, 1);
	found = blkid_do_safeprobe(probe);
	if (found == 1)
		return 0;
	if (found == -1)
		return error_set(err, P2H_IO, "%s: cannot be probed for signatures", path);
	if (!found && blkid_probe_lookup_value(probe, "TYPE", &what, NULL))
		blkid_probe_lookup_value(probe, "PTTYPE", &what, NULL);
	return error_set(err, P2H_EXISTS, "%s: holds data already (%s): --force overwrites it", path, what);
}

int commit_check_device(const char *path, uint64_t size, bool force, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	struct image_file image;
	int code = image_file_open(path, &image, err);

	if (code)
		return code;
	fd = image.fd;
	if (!image.is_device)
		return error_set(err, P2H_UNSUPPORTED, "%s: is not a block device", path);
	if (image.size < size)
		return error_set(err, P2H_NOSPACE, "%s: has %" PRIu64 " bytes, %" PRIu64 " are needed", path, image.size,
				 size);
	code = host_check_unused(path, true, err);
	if (!code && !force)
		code = check_signatures(path, fd, err);
	return code;
}

/* A copy that breaks off must not look like a disk that boots: so the boot sector comes last. */
static int write_all(struct copy *c, uint64_t size, struct p2h_error *err)
{
	static const char zeros[TRANSACTION_BLOCK];
	char block[TRANSACTION_BLOCK];
	size_t first = size < TRANSACTION_BLOCK ? (size_t)size : TRANSACTION_BLOCK;
	int code = disk_write(c->to, zeros, 0, first, err);

	if (!code)
		code = copy_range(c, first, size, err);
	if (!code)
		code = disk_flush(c->to, err);
	if (!code)
		code = disk_read(transaction_disk(c->from), block, 0, first, err);
	if (!code)
		code = disk_write(c->to, block, 0, first, err);
	return code ? code : disk_flush(c->to, err);
}

int commit_device(struct transaction *t, const char *path, const struct commit_options *options, struct p2h_error *err)
{
	CLEANUP_DISK struct disk *to = NULL;
	CLEANUP(copy_done) struct copy c = {0};
	uint64_t size = transaction_disk(t)->size;
	int code = commit_check_device(path, size, options->force, err);

	if (!code)
		code = disk_open(path, "raw", DISK_WRITE, &to, err);
	if (!code)
		code = copy_init(&c, t, to, false, options, err);
	if (!code)
		code = commit_report(options, 0, size, err); /* the last moment at which nothing is written */
	if (!code)
		code = write_all(&c, size, err);
	if (!code)
		ioctl(to->fd, BLKRRPART); /* may fail: a device without partitions, or one of them in use */
	return code;
}
