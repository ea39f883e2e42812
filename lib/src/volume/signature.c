/* signature.c - libblkid over a window of the disk */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/probe.h"
#include "volume/window.h"

static void cleanup_probe(blkid_probe *pr)
{
	if (*pr)
		blkid_free_probe(*pr);
}

static void copy_value(blkid_probe pr, const char *name, char *to, size_t size)
{
	const char *value = NULL;

	to[0] = '\0';
	if (!blkid_probe_lookup_value(pr, name, &value, NULL) && value)
		snprintf(to, size, "%s", value);
}

/* len 0: all of the file or device. */
static int probe_fd(int fd, uint64_t len, const char *name, struct volume *v, struct p2h_error *err)
{
	CLEANUP(cleanup_probe) blkid_probe pr = blkid_new_probe();
	int rc;

	if (!pr)
		return error_nomem(err);
	if (blkid_probe_set_device(pr, fd, 0, (blkid_loff_t)len))
		return error_set(err, P2H_IO, "libblkid cannot look at %s", name);
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL);
	blkid_probe_enable_partitions(pr, 0);
	rc = blkid_do_safeprobe(pr);
	if (rc == 1)
		return 0;
	if (rc == -2) {
		snprintf(v->content, sizeof(v->content), "ambiguous");
		return 0;
	}
	if (rc < 0)
		return error_set(err, P2H_IO, "libblkid cannot probe %s", name);
	copy_value(pr, "TYPE", v->content, sizeof(v->content));
	copy_value(pr, "UUID", v->uuid, sizeof(v->uuid));
	copy_value(pr, "LABEL", v->label, sizeof(v->label));
	return 0;
}

int probe_signature(struct disk *d, struct volume *v, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	int rc;

	if (v->len < 1024)
		return 0;
	rc = window_open(d, v->off, v->len, &fd, err);
	return rc ? rc : probe_fd(fd, v->len, d->name, v, err);
}

int volume_probe_path(const char *path, struct volume *ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	*ret = (struct volume){0};
	return fd < 0 ? error_sys(err, errno, "%s", path) : probe_fd(fd, 0, path, ret, err);
}
