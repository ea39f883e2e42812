#include "disk/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "disk/backends.h"

#define KERNEL_PIECE (64u << 20) /* between two reports of progress */
#define CLONE_ALIGN 65536u       /* no file system has larger blocks */
#define ZERO_GRAIN 4096u

bool is_zero(const void *data, size_t len)
{
	const char *p = data;

	return !len || (!*p && !memcmp(p, p + 1, len - 1));
}

int sync_directory(const char *path, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	char copy[PATH_MAX];

	/* No memory is taken: what is to be flushed stands already. */
	if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
		return error_sys(err, ENAMETOOLONG, "%s: cannot flush its directory", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS)) /* some file systems cannot, and need not */
		return error_sys(err, errno, "%s: cannot flush its directory", path);
	return 0;
}

int commit_report(const struct commit_options *options, uint64_t done, uint64_t total, struct p2h_error *err)
{
	if (options && options->progress && options->progress(options->progress_arg, done, total))
		return error_set(err, P2H_REFUSED, "interrupted");
	return 0;
}

int copy_init(struct copy *c, struct transaction *from, struct disk *to, bool fresh,
	      const struct commit_options *options, struct p2h_error *err)
{
	*c = (struct copy){.from = from, .to = to, .fresh = fresh, .options = options};
	c->buf = malloc(COPY_BUFFER);
	c->other = malloc(COPY_BUFFER);
	if (!c->buf || !c->other)
		return error_nomem(err);
	return transaction_changes(from, &c->changes, err);
}

void copy_done(struct copy *c)
{
	ranges_done(&c->changes);
	free(c->buf);
	free(c->other);
	*c = (struct copy){0};
}

/* Writes a buffer; on a fresh disk without its blocks of zeros, so that they stay holes. */
static int write_sparse(struct copy *c, uint64_t off, size_t len, struct p2h_error *err)
{
	size_t at = 0;

	while (at < len) {
		size_t end = at, n;
		bool zero;

		n = len - at < ZERO_GRAIN ? len - at : ZERO_GRAIN;
		zero = c->fresh && is_zero(c->buf + at, n);
		do {
			end += n;
			n = len - end < ZERO_GRAIN ? len - end : ZERO_GRAIN;
		} while (n && (c->fresh && is_zero(c->buf + end, n)) == zero);
		if (!zero) {
			int code = disk_write(c->to, c->buf + at, off + at, end - at, err);

			if (code)
				return code;
		}
		at = end;
	}
	return 0;
}

static int copy_through_buffer(struct copy *c, uint64_t off, uint64_t len, uint64_t *ret_done, struct p2h_error *err)
{
	size_t n = len < COPY_BUFFER ? (size_t)len : COPY_BUFFER;
	int code = disk_read(transaction_disk(c->from), c->buf, off, n, err);

	if (!code)
		code = write_sparse(c, off, n, err);
	*ret_done = n;
	return code;
}

/* Shares the blocks of both files, if the file system can: no data is moved. */
static uint64_t clone_piece(struct copy *c, int fd, uint64_t fd_off, uint64_t off, uint64_t len)
{
	struct file_clone_range range = {
		.src_fd = fd,
		.src_offset = fd_off,
		.src_length = len - len % CLONE_ALIGN,
		.dest_offset = c->to->fd_offset + off,
	};

	if (c->no_clone || (fd_off | range.dest_offset) % CLONE_ALIGN || !range.src_length)
		return 0;
	if (!ioctl(c->to->fd, FICLONERANGE, &range))
		return range.src_length;
	c->no_clone = true;
	return 0;
}

/* 0 when the kernel cannot do it for these files; then they are read and written. */
static uint64_t copy_piece(struct copy *c, int fd, uint64_t fd_off, uint64_t off, uint64_t len)
{
	off_t from = (off_t)fd_off, to = (off_t)(c->to->fd_offset + off);
	ssize_t n;

	if (c->no_copy_range)
		return 0;
	n = copy_file_range(fd, &from, c->to->fd, &to, len, 0);
	if (n > 0)
		return (uint64_t)n;
	c->no_copy_range = true;
	return 0;
}

/* Data that is as it was in the source. */
static int copy_unchanged(struct copy *c, uint64_t off, uint64_t len, uint64_t *ret_done, struct p2h_error *err)
{
	uint64_t fd_off, room;
	int fd;

	*ret_done = 0;
	if (c->fresh && c->to->fd >= 0 && disk_source_fd(transaction_under(c->from), off, &fd, &fd_off, &room)) {
		if (len > room)
			len = room;
		if (len > KERNEL_PIECE)
			len = KERNEL_PIECE;
		*ret_done = clone_piece(c, fd, fd_off, off, len);
		if (!*ret_done)
			*ret_done = copy_piece(c, fd, fd_off, off, len);
	}
	return *ret_done ? 0 : copy_through_buffer(c, off, len, ret_done, err);
}

/* Zeros go only where there is something else. */
static int copy_zeros(struct copy *c, uint64_t off, uint64_t len, uint64_t *ret_done, struct p2h_error *err)
{
	struct disk_extent e;
	size_t n;
	int code;

	*ret_done = len;
	if (c->fresh)
		return 0;
	code = disk_extent(c->to, off, &e, err);
	if (code || e.zero) {
		*ret_done = e.len < len ? e.len : len;
		return code;
	}
	n = len < COPY_BUFFER ? (size_t)len : COPY_BUFFER;
	*ret_done = n;
	code = disk_read(c->to, c->other, off, n, err);
	if (code || is_zero(c->other, n))
		return code;
	return disk_zero(c->to, off, n, err);
}

static uint64_t lower(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* One step forward from off; what is done is at most to `end`. */
static int copy_step(struct copy *c, uint64_t off, uint64_t end, uint64_t *ret_done, struct p2h_error *err)
{
	uint64_t next, next_end = 0;
	struct disk_extent e;
	int code;

	if (c->options && c->options->free) {
		next = ranges_next(c->options->free, off, &next_end);
		if (next <= off) {
			*ret_done = lower(next_end, end) - off;
			return 0;
		}
		end = lower(end, next);
	}
	next = ranges_next(&c->changes, off, &next_end);
	if (next > off)
		end = lower(end, next);
	else
		end = lower(end, next_end);
	code = disk_extent(transaction_disk(c->from), off, &e, err);
	if (code)
		return code;
	end = lower(end, off + e.len);
	if (e.zero)
		return copy_zeros(c, off, end - off, ret_done, err);
	if (next <= off)
		return copy_through_buffer(c, off, end - off, ret_done, err);
	return copy_unchanged(c, off, end - off, ret_done, err);
}

int copy_range(struct copy *c, uint64_t off, uint64_t end, struct p2h_error *err)
{
	while (off < end) {
		uint64_t done = 0;
		int code = copy_step(c, off, end, &done, err);

		if (!code)
			code = commit_report(c->options, off + done, transaction_disk(c->from)->size, err);
		if (code)
			return code;
		off += done;
	}
	return 0;
}
