#include "base/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"

int hostfile_read(const char *path, size_t max, struct buf *ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	for (;;) {
		char *to = buf_reserve(ret, 65536);
		ssize_t n;

		if (!to)
			return error_nomem(err);
		n = read(fd, to, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "%s", path);
		if (!n)
			return 0;
		ret->len += (size_t)n;
		ret->data[ret->len] = '\0';
		if (ret->len > max)
			return error_set(err, P2H_UNSUPPORTED, "%s: larger than %zu bytes", path, max);
	}
}
