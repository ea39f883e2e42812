#include "base/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
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

bool hostfile_line(const char *path, char *ret, size_t size)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	while (fd >= 0 && len + 1 < size && !memchr(ret, '\n', len)) {
		n = read(fd, ret + len, size - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	ret[len] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	return len && n >= 0;
}

DIR *hostfile_dir(const char *path)
{
	DIR *dir = opendir(path);

	if (!dir && errno == ENOMEM)
		error_note_nomem();
	return dir;
}
