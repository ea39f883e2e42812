#include "disk/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHUNK_BLOCKS 64u
#define NUMBER_MAX (UINT32_MAX - 16) /* room for the markers in a slot */

int payload_init(struct payload *p, size_t budget, const char *dir, struct p2h_error *err)
{
	size_t chunks = budget / PAYLOAD_BLOCK / CHUNK_BLOCKS;

	*p = (struct payload){.fd = -1};
	if (chunks > NUMBER_MAX / CHUNK_BLOCKS)
		chunks = NUMBER_MAX / CHUNK_BLOCKS;
	p->memory_blocks = (uint32_t)chunks * CHUNK_BLOCKS;
	p->chunks = chunks;
	if (!dir)
		dir = secure_getenv("TMPDIR");
	p->dir = strdup(dir && *dir ? dir : "/var/tmp");
	p->chunk = calloc(chunks ? chunks : 1, sizeof(*p->chunk));
	if (p->dir && p->chunk)
		return 0;
	payload_done(p);
	return error_nomem(err);
}

void payload_done(struct payload *p)
{
	for (size_t i = 0; p->chunk && i < p->chunks; i++)
		free(p->chunk[i]);
	free(p->chunk);
	free(p->free);
	free(p->dir);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct payload){.fd = -1};
}

/* A file without a name: nothing is left, however we end. */
static int open_spill(struct payload *p, struct p2h_error *err)
{
	CLEANUP_FREE char *path = NULL;

	p->fd = open(p->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (p->fd >= 0)
		return 0;
	if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
		return error_sys(err, errno, "%s: cannot make a temporary file", p->dir);
	if (asprintf(&path, "%s/pv2hvm-XXXXXX", p->dir) < 0) {
		path = NULL;
		return error_nomem(err);
	}
	p->fd = mkostemp(path, O_CLOEXEC);
	if (p->fd < 0)
		return error_sys(err, errno, "%s: cannot make a temporary file", p->dir);
	unlink(path);
	return 0;
}

int payload_take(struct payload *p, uint32_t *ret, struct p2h_error *err)
{
	uint32_t number;
	char **chunk;

	if (p->free_len) {
		*ret = p->free[--p->free_len];
		return 0;
	}
	number = p->used;
	if (number >= NUMBER_MAX)
		return error_set(err, P2H_NOSPACE, "too many changed blocks");
	if (number < p->memory_blocks) {
		chunk = &p->chunk[number / CHUNK_BLOCKS];
		if (!*chunk)
			*chunk = malloc((size_t)CHUNK_BLOCKS * PAYLOAD_BLOCK);
		if (!*chunk)
			return error_nomem(err);
	} else if (p->fd < 0) {
		int code = open_spill(p, err);

		if (code)
			return code;
	}
	p->used++;
	*ret = number;
	return 0;
}

void payload_give(struct payload *p, uint32_t number)
{
	if (p->free_len == p->free_cap) {
		size_t cap = p->free_cap ? p->free_cap * 2 : 256;
		uint32_t *bigger = reallocarray(p->free, cap, sizeof(*bigger));

		if (!bigger)
			return; /* the block is not used again; that is all */
		p->free = bigger;
		p->free_cap = cap;
	}
	p->free[p->free_len++] = number;
}

static int spill_io(struct payload *p, bool writes, uint32_t number, uint32_t count, char *data, struct p2h_error *err)
{
	uint64_t off = (uint64_t)(number - p->memory_blocks) * PAYLOAD_BLOCK;
	size_t len = (size_t)count * PAYLOAD_BLOCK;

	while (len) {
		ssize_t n = writes ? pwrite(p->fd, data, len, (off_t)off) : pread(p->fd, data, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "temporary file in %s", p->dir);
		data += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int payload_io(struct payload *p, bool writes, uint32_t number, uint32_t count, char *data,
		      struct p2h_error *err)
{
	while (count && number < p->memory_blocks) {
		uint32_t in_chunk = number % CHUNK_BLOCKS, n = CHUNK_BLOCKS - in_chunk;
		char *at = p->chunk[number / CHUNK_BLOCKS] + (size_t)in_chunk * PAYLOAD_BLOCK;

		if (n > count)
			n = count;
		if (writes)
			memcpy(at, data, (size_t)n * PAYLOAD_BLOCK);
		else
			memcpy(data, at, (size_t)n * PAYLOAD_BLOCK);
		data += (size_t)n * PAYLOAD_BLOCK;
		number += n;
		count -= n;
	}
	return count ? spill_io(p, writes, number, count, data, err) : 0;
}

int payload_write(struct payload *p, uint32_t number, uint32_t count, const char *data, struct p2h_error *err)
{
	return payload_io(p, true, number, count, (char *)(uintptr_t)data, err);
}

int payload_read(struct payload *p, uint32_t number, uint32_t count, char *data, struct p2h_error *err)
{
	return payload_io(p, false, number, count, data, err);
}
