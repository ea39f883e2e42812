#include "volume/window.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"

static int window_copy(int fd, struct disk *d, uint64_t base, uint64_t off, size_t len, struct p2h_error *err)
{
	CLEANUP_FREE char *data = malloc(len ? len : 1);
	int rc;

	if (!data)
		return error_nomem(err);
	rc = disk_read(d, data, base + off, len, err);
	if (rc)
		return rc;
	for (size_t done = 0; done < len;) {
		ssize_t n = pwrite(fd, data + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, errno, "cannot fill the probing window");
		done += (size_t)n;
	}
	return 0;
}

int window_open(struct disk *d, uint64_t off, uint64_t len, int *ret_fd, struct p2h_error *err)
{
	CLEANUP_FD int fd = memfd_create("pv2hvm-window", MFD_CLOEXEC);
	size_t edge = len < WINDOW_EDGE ? (size_t)len : WINDOW_EDGE;
	int rc;

	if (fd < 0)
		return error_sys(err, errno, "cannot make a memory file");
	if (ftruncate(fd, (off_t)len))
		return error_sys(err, errno, "cannot size a memory file");
	rc = window_copy(fd, d, off, 0, edge, err);
	if (!rc && len > edge)
		rc = window_copy(fd, d, off, len - edge, edge, err);
	if (rc)
		return rc;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int window_add(int fd, struct disk *d, uint64_t base, uint64_t off, struct p2h_error *err)
{
	return window_copy(fd, d, base, off, 512, err);
}
