#include "disk/journal.h"

#include <endian.h>
#include <errno.h>
#include <ext2fs/ext2fs.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "disk/copy.h"
#include "disk/imagerefs.h"

#define MAGIC "PV2HVMUJ"
#define VERSION 1u
#define RECORD_MAGIC 0x43525650u /* "PVRC" */
#define BODY_OFF 4096u
#define MAP_MAX (UINT64_C(1) << 26)

static uint32_t crc(uint32_t seed, const void *data, size_t len)
{
	return ext2fs_crc32c_le(seed, data, len);
}

uint32_t journal_sum(const void *data, size_t len)
{
	return crc(~0u, data, len);
}

static size_t sums_size(uint32_t len)
{
	return ((size_t)len + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * sizeof(uint32_t);
}

uint64_t journal_image_size(const struct journal *j)
{
	return le64toh(j->header.image_size_le);
}

uint64_t journal_shift(const struct journal *j)
{
	return le64toh(j->header.shift_le);
}

enum journal_state journal_state(const struct journal *j)
{
	return (enum journal_state)le32toh(j->header.state_le);
}

void journal_entry_done(struct journal_entry *e)
{
	buf_done(&e->buf);
}

static int write_at(struct journal *j, const void *data, size_t len, uint64_t off, struct p2h_error *err)
{
	const char *from = data;

	while (len) {
		ssize_t n = pwrite(j->fd, from, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "undo journal %s: write", j->path);
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int append(struct journal *j, const void *data, size_t len, struct p2h_error *err)
{
	int code = write_at(j, data, len, j->end, err);

	if (!code)
		j->end += len;
	return code;
}

static int sync_journal(struct journal *j, struct p2h_error *err)
{
	return fsync(j->fd) ? error_sys(err, errno, "undo journal %s: flush to disk", j->path) : 0;
}

int journal_set_state(struct journal *j, enum journal_state state, struct p2h_error *err)
{
	int code = sync_journal(j, err);

	if (code)
		return code;
	j->header.state_le = htole32(state);
	j->header.crc_le = htole32(journal_sum(&j->header, offsetof(struct journal_header, crc_le)));
	code = write_at(j, &j->header, sizeof(j->header), 0, err);
	return code ? code : sync_journal(j, err);
}

static int check_header(const struct journal *j, struct p2h_error *err);

static bool is_begun(int fd)
{
	struct journal j = {.path = (char *)""};
	struct stat st;
	size_t len;

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_nlink || st.st_size > (off_t)sizeof(j.header))
		return false;
	len = (size_t)st.st_size;
	if (pread_up_to(fd, &j.header, sizeof(j.header), 0) != (ssize_t)len ||
	    memcmp(j.header.magic, MAGIC, len < sizeof(j.header.magic) ? len : sizeof(j.header.magic)))
		return false;
	return len < sizeof(j.header) || check_header(&j, NULL);
}

bool journal_is_begun(const char *path)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

	return fd >= 0 && is_begun(fd);
}

/* For as long as the descriptor lives, so that nobody takes over what another process is still making. */
static int hold(struct journal *j, bool needed, struct p2h_error *err)
{
	if (!flock(j->fd, LOCK_EX | LOCK_NB) || (errno != EWOULDBLOCK && !needed))
		return 0;
	return errno == EWOULDBLOCK ? error_set(err, P2H_BUSY, "undo journal %s: another process is writing it", j->path)
				    : error_sys(err, errno, "undo journal %s: lock", j->path);
}

static int take_over(struct journal *j, struct p2h_error *err)
{
	int code;

	j->fd = open(j->path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (j->fd < 0)
		return error_sys(err, errno, "undo journal %s", j->path);
	code = hold(j, true, err);
	if (!code && !is_begun(j->fd)) /* looked at again, now that it is ours */
		code = error_set(err, P2H_EXISTS, "undo journal %s: is there already", j->path);
	if (!code && (ftruncate(j->fd, 0) || fchmod(j->fd, 0600)))
		code = error_sys(err, errno, "undo journal %s", j->path);
	return code;
}

static int open_new(struct journal *j, struct p2h_error *err)
{
	int code, saved;

	j->fd = open(j->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); /* it holds pieces of the disk: nobody else's */
	saved = errno;
	if (j->fd >= 0)
		code = hold(j, false, err);
	else if (saved == EEXIST && journal_is_begun(j->path))
		code = take_over(j, err);
	else
		code = error_sys(err, saved, "undo journal %s", j->path);
	if (code && j->fd >= 0)
		close(TAKE_FD(j->fd)); /* another's */
	return code;
}

int journal_create(struct journal *j, const char *path, uint64_t image_size, uint64_t shift, const char *format,
		   struct p2h_error *err)
{
	int code;

	*j = (struct journal){.fd = -1, .end = BODY_OFF};
	j->path = strdup(path);
	if (!j->path)
		return error_nomem(err);
	code = open_new(j, err);
	if (code)
		return code;
	memcpy(j->header.magic, MAGIC, sizeof(j->header.magic));
	j->header.version_le = htole32(VERSION);
	j->header.image_size_le = htole64(image_size);
	j->header.shift_le = htole64(shift);
	j->header.records_off_le = htole64(BODY_OFF);
	strncpy(j->header.format, format, sizeof(j->header.format) - 1);
	code = journal_set_state(j, JOURNAL_WRITING, err);
	return code ? code : sync_directory(path, err);
}

int journal_add(struct journal *j, uint32_t flags, uint64_t off, uint32_t len, const char *after, const char *before,
		struct p2h_error *err)
{
	struct journal_record r = {.magic_le = htole32(RECORD_MAGIC),
				   .flags_le = htole32(flags),
				   .off_le = htole64(off),
				   .len_le = htole32(len),
				   .data_len_le = htole32(before ? len : 0)};
	CLEANUP(buf_done) struct buf b = {0};
	size_t sums = sums_size(len), whole = sizeof(r) + sums + (before ? len : 0);
	char *to;
	int code;

	to = buf_reserve(&b, whole);
	if (!to)
		return error_nomem(err);
	for (size_t at = 0; at < len; at += JOURNAL_SECTOR) {
		size_t n = len - at < JOURNAL_SECTOR ? len - at : JOURNAL_SECTOR;

		le32_put(to + sizeof(r) + at / JOURNAL_SECTOR * 4, journal_sum(after + at, n));
	}
	if (before)
		memcpy(to + sizeof(r) + sums, before, len);
	memcpy(to, &r, sizeof(r));
	r.crc_le = htole32(journal_sum(to, whole));
	memcpy(to, &r, sizeof(r));
	code = append(j, to, whole, err);
	if (code)
		return code;
	j->header.record_count_le = htole64(le64toh(j->header.record_count_le) + 1);
	j->header.records_len_le = htole64(j->end - BODY_OFF);
	return 0;
}

int journal_set_map(struct journal *j, const struct ranges *map, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf b = {0};
	int code;

	for (size_t i = 0; i < map->len; i++) {
		unsigned char pair[16];

		le64_put(pair, map->item[i].off);
		le64_put(pair + 8, map->item[i].len);
		buf_append(&b, pair, sizeof(pair));
	}
	if (b.failed)
		return error_nomem(err);
	j->header.map_off_le = htole64(j->end);
	j->header.map_count_le = htole64(map->len);
	j->header.map_crc_le = htole32(journal_sum(b.data ? b.data : "", b.len));
	code = b.len ? append(j, b.data, b.len, err) : 0;
	return code;
}

static int damaged(const struct journal *j, const char *what, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "undo journal %s: %s", j->path, what);
}

static int read_at(const struct journal *j, void *to, size_t len, uint64_t off, struct p2h_error *err)
{
	ssize_t n = pread_up_to(j->fd, to, len, off);

	if (n < 0)
		return error_sys(err, (int)-n, "undo journal %s: read", j->path);
	return (size_t)n == len ? 0 : damaged(j, "is cut off", err);
}

int journal_get_map(const struct journal *j, struct ranges *ret, struct p2h_error *err)
{
	uint64_t count = le64toh(j->header.map_count_le), last = 0;
	CLEANUP_FREE unsigned char *pairs = NULL;
	int code;

	if (count > MAP_MAX || !range_ok(le64toh(j->header.map_off_le), count * 16, j->end))
		return damaged(j, "its map is damaged", err);
	pairs = malloc(count ? (size_t)count * 16 : 1);
	if (!pairs)
		return error_nomem(err);
	code = read_at(j, pairs, (size_t)count * 16, le64toh(j->header.map_off_le), err);
	if (code)
		return code;
	if (journal_sum(pairs, (size_t)count * 16) != le32toh(j->header.map_crc_le))
		return damaged(j, "its map is damaged", err);
	for (size_t i = 0; i < count; i++) {
		uint64_t off = le64_get(pairs + 16 * i), len = le64_get(pairs + 16 * i + 8);

		if (off < last || !range_ok(off, len, journal_image_size(j)))
			return damaged(j, "its map is damaged", err);
		ranges_add(ret, off, len);
		last = off + len;
	}
	return ret->failed ? error_nomem(err) : 0;
}

int journal_next(const struct journal *j, uint64_t *pos, struct journal_entry *e, struct p2h_error *err)
{
	uint64_t records = le64toh(j->header.records_len_le), disk = journal_image_size(j) + journal_shift(j);
	struct journal_record r;
	size_t sums, whole;
	uint32_t data_len, sum;
	char *to;
	int code;

	if (*pos >= records)
		return 0;
	code = read_at(j, &r, sizeof(r), BODY_OFF + *pos, err);
	if (code)
		return code;
	e->off = le64toh(r.off_le);
	e->len = le32toh(r.len_le);
	e->flags = le32toh(r.flags_le);
	data_len = le32toh(r.data_len_le);
	if (r.magic_le != htole32(RECORD_MAGIC) || !e->len || e->len > JOURNAL_RECORD_MAX ||
	    !range_ok(e->off, e->len, disk) || data_len != (e->flags & JOURNAL_DATA ? e->len : 0))
		return damaged(j, "a record is damaged", err);
	sums = sums_size(e->len);
	whole = sizeof(r) + sums + data_len;
	buf_clear(&e->buf);
	to = buf_reserve(&e->buf, whole);
	if (!to)
		return error_nomem(err);
	code = read_at(j, to, whole, BODY_OFF + *pos, err);
	if (code)
		return code;
	sum = le32toh(r.crc_le);
	r.crc_le = 0;
	memcpy(to, &r, sizeof(r));
	if (journal_sum(to, whole) != sum)
		return damaged(j, "a record is damaged", err);
	e->sums = (unsigned char *)to + sizeof(r);
	e->data = data_len ? to + sizeof(r) + sums : NULL;
	*pos += whole;
	return 1;
}

static int check_header(const struct journal *j, struct p2h_error *err)
{
	const struct journal_header *h = &j->header;
	uint64_t size = journal_image_size(j), shift = journal_shift(j);

	if (memcmp(h->magic, MAGIC, sizeof(h->magic)))
		return damaged(j, "is not an undo journal", err);
	if (le32toh(h->crc_le) != journal_sum(h, offsetof(struct journal_header, crc_le)))
		return damaged(j, "its header is damaged", err);
	if (le32toh(h->version_le) != VERSION)
		return error_set(err, P2H_UNSUPPORTED, "undo journal %s: is of the unknown version %u", j->path,
				 le32toh(h->version_le));
	if (journal_state(j) < JOURNAL_WRITING || journal_state(j) > JOURNAL_UNSHIFTING || size > INT64_MAX ||
	    shift > INT64_MAX - size || le64toh(h->records_off_le) != BODY_OFF ||
	    memchr(h->format, '\0', sizeof(h->format)) == NULL)
		return damaged(j, "its header is damaged", err);
	return 0;
}

static int check_records(const struct journal *j, struct p2h_error *err)
{
	CLEANUP(journal_entry_done) struct journal_entry e = {0};
	CLEANUP(ranges_done) struct ranges map = {0};
	uint64_t pos = 0, count = 0;
	int found;

	while ((found = journal_next(j, &pos, &e, err)) > 0)
		count++;
	if (found < 0)
		return found;
	if (count != le64toh(j->header.record_count_le))
		return damaged(j, "records are missing", err);
	return journal_shift(j) ? journal_get_map(j, &map, err) : 0;
}

int journal_open(struct journal *j, const char *path, struct p2h_error *err)
{
	struct stat st;
	int code;

	*j = (struct journal){.fd = -1};
	j->path = strdup(path);
	if (!j->path)
		return error_nomem(err);
	j->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (j->fd < 0 || fstat(j->fd, &st))
		return error_sys(err, errno, "undo journal %s", path);
	if (!S_ISREG(st.st_mode))
		return damaged(j, "is not a regular file", err);
	j->end = (uint64_t)st.st_size;
	code = read_at(j, &j->header, sizeof(j->header), 0, err);
	if (!code)
		code = check_header(j, err);
	if (!code && journal_state(j) != JOURNAL_WRITING)
		code = check_records(j, err);
	return code;
}

int journal_remove(struct journal *j, struct p2h_error *err)
{
	if (unlink(j->path))
		return error_sys(err, errno, "undo journal %s: cannot remove it", j->path);
	return sync_directory(j->path, err);
}

void journal_close(struct journal *j)
{
	if (j->path && j->fd >= 0)
		close(j->fd);
	free(j->path);
	*j = (struct journal){.fd = -1};
}
