#include "fs/ext_scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/run.h"

#define CHUNK (1024 * 1024u)
#define LINES_KEPT 3

/* A file without a name: nothing is left, however we end. */
static int open_unnamed(struct p2h_error *err)
{
	const char *dir = secure_getenv("TMPDIR");
	CLEANUP_FREE char *path = NULL;
	int fd;

	if (!dir || !*dir)
		dir = "/var/tmp";
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return error_sys(err, errno, "%s: cannot make a temporary file", dir);
	if (asprintf(&path, "%s/pv2hvm-XXXXXX", dir) < 0) {
		path = NULL;
		return error_nomem(err);
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return error_sys(err, errno, "%s: cannot make a temporary file", dir);
	unlink(path);
	return fd;
}

int ext_scratch_open(struct disk *volume, uint32_t block_size, struct ext_scratch *ret, struct p2h_error *err)
{
	int rc;

	*ret = (struct ext_scratch){.volume = volume, .block_size = block_size, .fd = -1};
	rc = blockset_init(&ret->set, volume->size / block_size, err);
	if (rc)
		return rc;
	ret->fd = open_unnamed(err);
	if (ret->fd < 0)
		rc = ret->fd;
	else if (ftruncate(ret->fd, (off_t)(volume->size / block_size * block_size)))
		rc = error_sys(err, errno, "the temporary file for e2fsck");
	if (rc)
		ext_scratch_done(ret);
	return rc;
}

void ext_scratch_done(struct ext_scratch *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	blockset_done(&s->set);
}

static bool all_zero(const char *data, size_t len)
{
	return !len || (!data[0] && !memcmp(data, data + 1, len - 1));
}

static int file_read(struct ext_scratch *s, char *to, uint64_t off, size_t len, struct p2h_error *err)
{
	while (len) {
		ssize_t n = pread(s->fd, to, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "the temporary file for e2fsck");
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_write(struct ext_scratch *s, const char *from, uint64_t off, size_t len, struct p2h_error *err)
{
	while (len) {
		ssize_t n = pwrite(s->fd, from, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "the temporary file for e2fsck");
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Zeros stay a hole. */
static int fill_piece(struct ext_scratch *s, char *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	int rc = disk_read(s->volume, buf, off, len, err);

	for (size_t at = 0; !rc && at < len; at += s->block_size)
		if (!all_zero(buf + at, s->block_size))
			rc = file_write(s, buf + at, off + at, s->block_size, err);
	return rc;
}

static int fill_run(struct ext_scratch *s, char *buf, uint64_t off, uint64_t len, struct p2h_error *err)
{
	while (len) {
		struct disk_extent e;
		uint64_t n;
		int rc = disk_extent(s->volume, off, &e, err);

		if (rc)
			return rc;
		n = e.len / s->block_size * s->block_size; /* a zero extent's last block may be part data */
		if (!e.zero || !n)
			n = CHUNK;
		if (n > len)
			n = len;
		if (!e.zero || e.len < s->block_size)
			rc = fill_piece(s, buf, off, n > CHUNK ? CHUNK : (size_t)n, err);
		if (rc)
			return rc;
		off += n;
		len -= n;
	}
	return 0;
}

int ext_scratch_fill(struct ext_scratch *s, struct p2h_error *err)
{
	CLEANUP_FREE char *buf = malloc(CHUNK);
	uint64_t block = 0, count;
	int rc = buf ? 0 : error_nomem(err);

	for (; !rc && blockset_next(&s->set, block, &block, &count); block += count)
		rc = fill_run(s, buf, block * s->block_size, count * s->block_size, err);
	return rc;
}

/* The first lines as one: the file's name left out, anything but printable ASCII as a question mark. */
static void keep_words(const struct buf *out, const char *name, char *words, size_t size)
{
	const char *at = out->data ? out->data : "", *end = at + out->len;
	size_t len = 0, name_len = strlen(name);

	words[0] = '\0';
	for (int lines = 0; at < end && lines < LINES_KEPT; lines++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t start = len;

		if (!stop)
			stop = end;
		if ((size_t)(stop - at) > 5 && !memcmp(at, "Pass ", 5)) {
			at = stop < end ? stop + 1 : end;
			lines--;
			continue;
		}
		if (len && len + 3 < size)
			len += (size_t)snprintf(words + len, size - len, "; ");
		while (at < stop && len + 1 < size) {
			if ((size_t)(stop - at) >= name_len && !memcmp(at, name, name_len)) {
				at += name_len;
				if (stop - at >= 2 && !memcmp(at, ": ", 2))
					at += 2;
				else
					len += (size_t)snprintf(words + len, size - len, "%s", size - len > 16 ? "the volume" : "");
				continue;
			}
			words[len++] = *at >= ' ' && *at <= '~' ? *at : '?';
			at++;
		}
		words[len] = '\0';
		if (len - start <= (start ? 2 : 0)) { /* an empty line */
			words[len = start] = '\0';
			lines--;
		}
		at = stop < end ? stop + 1 : end;
	}
}

int ext_scratch_check(struct ext_scratch *s, const char *const *options, int64_t now, char *words, size_t size, int *ret_status,
		      struct p2h_error *err)
{
	char name[64], clock[48];
	const char *argv[8] = {"env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", clock, "e2fsck"};
	CLEANUP(buf_done) struct buf out = {0};
	size_t n = 4;
	int rc;

	snprintf(name, sizeof(name), "/proc/%ld/fd/%d", (long)getpid(), s->fd);
	snprintf(clock, sizeof(clock), "E2FSCK_TIME=%lld", (long long)(now > 0 ? now : 1));
	for (size_t i = 0; i < 2 && options[i]; i++)
		argv[n++] = options[i];
	argv[n] = name;
	rc = run_program(argv, "e2fsprogs", &out, ret_status, err);
	if (rc)
		return rc;
	if (*ret_status == 127)
		return error_set(err, P2H_TOOL, "e2fsck is not installed (Debian package e2fsprogs)");
	keep_words(&out, name, words, size);
	return 0;
}

static int wait_for(pid_t pid, struct p2h_error *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "waiting for debugfs");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return error_set(err, P2H_TOOL, "debugfs failed (status 0x%x)", (unsigned)status);
	return 0;
}

int ext_scratch_replay(struct ext_scratch *s, bool *ret_done, struct p2h_error *err)
{
	static const char complaint[] = "journal_run:";
	char name[64], said[4096];
	/* -n: bitmaps that the journal has newer ones of need not agree with their checksums, and are not used. */
	const char *const argv[] = {"debugfs", "-w", "-n", "-R", "journal_run", name, NULL};
	CLEANUP_FD int words = memfd_create("pv2hvm", MFD_CLOEXEC);
	ssize_t n;
	pid_t pid;
	int rc;

	if (words < 0)
		return error_sys(err, errno, "memfd_create");
	snprintf(name, sizeof(name), "/proc/%ld/fd/%d", (long)getpid(), s->fd);
	rc = run_start(argv, "e2fsprogs", -1, words, -1, &pid, err);
	if (!rc)
		rc = wait_for(pid, err);
	if (rc)
		return rc;
	n = pread(words, said, sizeof(said), 0);
	/* It forgets the journal whether it could be replayed or not; only its words tell. */
	*ret_done = n > 0 && n < (ssize_t)sizeof(said) && !memmem(said, (size_t)n, complaint, strlen(complaint));
	return 0;
}

int ext_scratch_super(struct ext_scratch *s, struct ext2_super_block *ret, struct p2h_error *err)
{
	return file_read(s, (char *)ret, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, err);
}

/* Blocks of the set: what differs. Others: what is not a hole any more. */
static int take_piece(struct ext_scratch *s, char *buf, char *old, uint64_t off, size_t len, struct p2h_error *err)
{
	int rc = file_read(s, buf, off, len, err);

	if (!rc)
		rc = disk_read(s->volume, old, off, len, err);
	for (size_t at = 0; !rc && at < len; at += s->block_size) {
		if (!memcmp(buf + at, old + at, s->block_size))
			continue;
		if (blockset_has(&s->set, (off + at) / s->block_size) || !all_zero(buf + at, s->block_size))
			rc = disk_write(s->volume, buf + at, off + at, s->block_size, err);
	}
	return rc;
}

static int take_range(struct ext_scratch *s, char *buf, char *old, uint64_t off, uint64_t len, struct p2h_error *err)
{
	int rc = 0;

	while (!rc && len) {
		size_t n = len > CHUNK ? CHUNK : (size_t)len;

		rc = take_piece(s, buf, old, off, n, err);
		off += n;
		len -= n;
	}
	return rc;
}

/* Blocks that e2fsck took into use, and that were not copied because they were free. */
static int take_new(struct ext_scratch *s, char *buf, char *old, struct p2h_error *err)
{
	off_t size = (off_t)(s->set.blocks * s->block_size), at = 0, end;
	int rc = 0;

	while (!rc && at < size) {
		at = lseek(s->fd, at, SEEK_DATA);
		if (at < 0)
			return errno == ENXIO ? 0 : error_sys(err, errno, "the temporary file for e2fsck");
		end = lseek(s->fd, at, SEEK_HOLE);
		if (end < 0)
			return error_sys(err, errno, "the temporary file for e2fsck");
		at -= at % s->block_size;
		end += (s->block_size - end % s->block_size) % s->block_size;
		if (end > size)
			end = size;
		rc = take_range(s, buf, old, (uint64_t)at, (uint64_t)(end - at), err);
		at = end;
	}
	return rc;
}

int ext_scratch_take(struct ext_scratch *s, struct p2h_error *err)
{
	CLEANUP_FREE char *buf = malloc(CHUNK), *old = malloc(CHUNK);
	uint64_t block = 0, count;
	int rc = buf && old ? take_new(s, buf, old, err) : error_nomem(err);

	/* What was data and became zeros may be a hole on some host file systems. */
	for (; !rc && blockset_next(&s->set, block, &block, &count); block += count)
		rc = take_range(s, buf, old, block * s->block_size, count * s->block_size, err);
	return rc;
}
