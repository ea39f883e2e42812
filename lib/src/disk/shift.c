#include "disk/shift.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/commit.h"

#define GRAIN 4096u

int shift_map(int fd, const char *name, uint64_t skip, uint64_t size, struct ranges *ret, struct p2h_error *err)
{
	uint64_t at = skip, end = skip + size;

	while (at < end) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA), hole;

		if (data < 0 && errno == ENXIO)
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (data < 0 || hole <= data)
			return error_sys(err, errno, "%s: cannot tell where it holds data", name);
		if ((uint64_t)data >= end)
			break;
		at = (uint64_t)hole < end ? (uint64_t)hole : end;
		ranges_add(ret, (uint64_t)data - skip, at - (uint64_t)data);
	}
	return ret->failed ? error_nomem(err) : 0;
}

int shift_insert(int fd, const char *name, uint64_t shift, struct p2h_error *err)
{
	int n;

	do
		n = fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, (off_t)shift);
	while (n && errno == EINTR);
	if (!n)
		return 0;
	if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS)
		return error_set(err, P2H_UNSUPPORTED,
				 "%s: its file system cannot put %" PRIu64 " bytes in front of a file", name, shift);
	return error_sys(err, errno, "%s: cannot put %" PRIu64 " bytes in front", name, shift);
}

/* The first byte that holds data in `map` and not in `now`, or UINT64_MAX. */
static uint64_t first_missing(const struct ranges *map, const struct ranges *now)
{
	for (size_t i = 0; i < map->len; i++) {
		uint64_t at = map->item[i].off, end = at + map->item[i].len, run_end = 0;

		while (at < end) {
			if (ranges_next(now, at, &run_end) != at)
				return at;
			at = run_end;
		}
	}
	return UINT64_MAX;
}

/* What the map of the file looks like when everything from `from` on is shifted. */
static int shifted_from(const struct ranges *map, uint64_t from, uint64_t shift, struct ranges *ret)
{
	for (size_t i = 0; i < map->len; i++) {
		uint64_t off = map->item[i].off, end = off + map->item[i].len;

		if (off < from)
			ranges_add(ret, off, (end < from ? end : from) - off);
		if (end > from)
			ranges_add(ret, (off > from ? off : from) + shift, end - (off > from ? off : from));
	}
	return ret->failed ? -1 : 0;
}

/* Ends are compared by blocks: a file that does not end with a block shows all of it once it has become longer. */
static bool same_ranges(const struct ranges *a, const struct ranges *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (a->item[i].off != b->item[i].off || (a->item[i].off + a->item[i].len + GRAIN - 1) / GRAIN !=
							       (b->item[i].off + b->item[i].len + GRAIN - 1) / GRAIN)
			return false;
	return true;
}

static int take_out(int fd, uint64_t at, uint64_t shift, uint64_t size)
{
	int n;

	if (at >= size) /* nothing is shifted any more (or yet), only the size is to be put right */
		return ftruncate(fd, (off_t)size) ? errno : 0;
	do
		n = fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (off_t)at, (off_t)shift);
	while (n && errno == EINTR);
	return n ? errno : 0;
}

int shift_remove(int fd, const char *name, uint64_t shift, uint64_t size, const struct ranges *map,
		 struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges now = {0}, expected = {0};
	uint64_t at;
	int errnum, code;

	if (fsync(fd))
		return error_sys(err, errno, "%s: flush to disk", name);
	code = shift_map(fd, name, 0, size + shift, &now, err);
	if (code)
		return code;
	at = first_missing(map, &now);
	if (shifted_from(map, at, shift, &expected))
		return error_nomem(err);
	if (!same_ranges(&expected, &now))
		return error_set(err, P2H_STALE, "%s: was changed since the conversion was interrupted", name);
	errnum = take_out(fd, at, shift, size);
	if (errnum)
		return error_sys(err, errnum, "%s: cannot take %" PRIu64 " bytes out at its front", name, shift);
	return fsync(fd) ? error_sys(err, errno, "%s: flush to disk", name) : 0;
}

bool commit_can_shift(const char *source_path)
{
	static const char block[65536] = {1};
	CLEANUP_FREE char *copy = strdup(source_path), *name = NULL;
	CLEANUP_FD int fd = -1;
	struct stat st;
	const char *dir;

	if (!copy)
		error_note_nomem();
	if (!copy || stat(source_path, &st) || !S_ISREG(st.st_mode))
		return false;
	dir = dirname(copy);
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) {
		if (asprintf(&name, "%s/.pv2hvm-XXXXXX", dir) < 0) {
			name = NULL;
			error_note_nomem();
			return false;
		}
		fd = mkostemp(name, O_CLOEXEC);
		if (fd < 0)
			return false;
		unlink(name);
	}
	return pwrite(fd, block, sizeof(block), 0) == sizeof(block) &&
	       !shift_insert(fd, source_path, UINT64_C(1) << 20, NULL);
}
