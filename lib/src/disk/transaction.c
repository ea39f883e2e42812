#include "disk/transaction.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/blockmap.h"
#include "disk/payload.h"

#define COMPARE_BLOCKS 256u
#define EXTENT_BLOCKS (UINT64_C(1) << 18) /* enough for one answer */

static_assert(PAYLOAD_BLOCK == TRANSACTION_BLOCK, "the payload holds blocks of the transaction");

struct transaction {
	struct disk d; /* first: the disk is the transaction */
	struct disk *under;
	struct blockmap map;
	struct payload payload;
	pthread_mutex_t lock; /* a disk server's thread may come beside the job's: guards what is above and below */
	bool broken; /* a write got lost: what is here must never be committed */
};

static pthread_mutex_t *lock(struct transaction *t)
{
	pthread_mutex_lock(&t->lock);
	return &t->lock;
}

static void unlock(pthread_mutex_t **held)
{
	pthread_mutex_unlock(*held);
}

#define HOLD_LOCK(t) CLEANUP(unlock) __attribute__((unused)) pthread_mutex_t *held = lock(t)

/* Bytes of the disk that lie in `count` blocks from this one; the disk may end within a block. */
static size_t bytes_of(const struct transaction *t, uint64_t block, uint64_t count)
{
	uint64_t off = block * TRANSACTION_BLOCK, len = count * TRANSACTION_BLOCK;

	return (size_t)(len < t->d.size - off ? len : t->d.size - off);
}

/* Successive payload numbers in successive blocks, of `max` payload blocks at most. */
static uint32_t number_run(const struct transaction *t, uint64_t block, uint64_t max, slot first)
{
	uint32_t n = 1;

	while (n < max && blockmap_get(&t->map, block + n) == first + n)
		n++;
	return n;
}

/* Whole blocks into a buffer of count * TRANSACTION_BLOCK bytes; what lies past the disk's end becomes zeros. */
static int read_blocks(struct transaction *t, uint64_t block, uint64_t count, char *to, struct p2h_error *err)
{
	while (count) {
		slot s = blockmap_get(&t->map, block);
		uint64_t n = blockmap_run(&t->map, block, count);
		int code = 0;

		if (s == SLOT_ZERO) {
			memset(to, 0, (size_t)n * TRANSACTION_BLOCK);
		} else if (s == SLOT_UNDER) {
			size_t len = bytes_of(t, block, n);

			code = disk_read(t->under, to, block * TRANSACTION_BLOCK, len, err);
			memset(to + len, 0, (size_t)n * TRANSACTION_BLOCK - len);
		} else {
			n = number_run(t, block, n, s);
			code = payload_read(&t->payload, s - SLOT_FIRST, (uint32_t)n, to, err);
		}
		if (code)
			return code;
		to += (size_t)n * TRANSACTION_BLOCK;
		block += n;
		count -= n;
	}
	return 0;
}

/* Gives each of the blocks a payload number; *ret_run: how many of them, from the first on, have successive ones. */
static int prepare_slots(struct transaction *t, uint64_t block, uint64_t count, slot *ret, uint32_t *ret_run,
			 struct p2h_error *err)
{
	uint32_t run = 0;

	for (; run < count; run++) {
		slot *s = blockmap_edit(&t->map, block + run);
		uint32_t number;
		int code;

		if (!s)
			return error_nomem(err);
		if (*s < SLOT_FIRST) {
			code = payload_take(&t->payload, &number, err);
			if (code)
				return code;
			if (run && number + SLOT_FIRST != *ret + run) {
				payload_give(&t->payload, number); /* comes back at the next call */
				break;
			}
			*s = number + SLOT_FIRST;
		}
		if (!run)
			*ret = *s;
		else if (*s != *ret + run)
			break;
	}
	*ret_run = run;
	return 0;
}

static int write_blocks(struct transaction *t, uint64_t block, uint64_t count, const char *from, struct p2h_error *err)
{
	while (count) {
		slot first = 0;
		uint32_t run = 0;
		int code = prepare_slots(t, block, count, &first, &run, err);

		if (!code)
			code = payload_write(&t->payload, first - SLOT_FIRST, run, from, err);
		if (code) {
			t->broken = true;
			return code;
		}
		from += (size_t)run * TRANSACTION_BLOCK;
		block += run;
		count -= run;
	}
	return 0;
}

static int transaction_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct transaction *t = (struct transaction *)d;
	HOLD_LOCK(t);
	char block[TRANSACTION_BLOCK], *to = buf;

	while (len) {
		size_t in = off % TRANSACTION_BLOCK, n = TRANSACTION_BLOCK - in;
		bool whole = !in && len >= TRANSACTION_BLOCK;
		int code;

		if (whole)
			n = len - len % TRANSACTION_BLOCK;
		else if (n > len)
			n = len;
		code = read_blocks(t, off / TRANSACTION_BLOCK, whole ? n / TRANSACTION_BLOCK : 1, whole ? to : block, err);
		if (code)
			return code;
		if (!whole)
			memcpy(to, block + in, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

/* from NULL: zeros. Part of a block: the rest of it comes from what is there. */
static int write_part(struct transaction *t, uint64_t off, size_t len, const char *from, struct p2h_error *err)
{
	uint64_t block = off / TRANSACTION_BLOCK;
	char whole[TRANSACTION_BLOCK];
	int code = read_blocks(t, block, 1, whole, err);

	if (code)
		return code;
	if (from)
		memcpy(whole + off % TRANSACTION_BLOCK, from, len);
	else
		memset(whole + off % TRANSACTION_BLOCK, 0, len);
	return write_blocks(t, block, 1, whole, err);
}

static int transaction_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct transaction *t = (struct transaction *)d;
	HOLD_LOCK(t);
	const char *from = buf;

	while (len) {
		size_t in = off % TRANSACTION_BLOCK, n = TRANSACTION_BLOCK - in;
		int code;

		if (!in && len >= TRANSACTION_BLOCK) {
			n = len - len % TRANSACTION_BLOCK;
			code = write_blocks(t, off / TRANSACTION_BLOCK, n / TRANSACTION_BLOCK, from, err);
		} else {
			if (n > len)
				n = len;
			code = write_part(t, off, n, from, err);
		}
		if (code)
			return code;
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

static void release(void *arg, slot s)
{
	struct transaction *t = arg;

	payload_give(&t->payload, s - SLOT_FIRST);
}

static int transaction_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	struct transaction *t = (struct transaction *)d;
	HOLD_LOCK(t);

	while (len) {
		uint64_t in = off % TRANSACTION_BLOCK, n = TRANSACTION_BLOCK - in, blocks = 0;
		int code;

		if (!in)
			blocks = off + len == d->size ? (len + TRANSACTION_BLOCK - 1) / TRANSACTION_BLOCK
						      : len / TRANSACTION_BLOCK;
		if (blocks) {
			n = blocks * TRANSACTION_BLOCK;
			if (!blockmap_zero(&t->map, off / TRANSACTION_BLOCK, blocks, release, t)) {
				t->broken = true;
				return error_nomem(err);
			}
		}
		if (n > len)
			n = len;
		if (!blocks) {
			code = write_part(t, off, (size_t)n, NULL, err);
			if (code)
				return code;
		}
		off += n;
		len -= n;
	}
	return 0;
}

static int transaction_flush(struct disk *d, struct p2h_error *err)
{
	(void)d;
	(void)err;
	return 0;
}

static int transaction_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct transaction *t = (struct transaction *)d;
	HOLD_LOCK(t);
	uint64_t block = off / TRANSACTION_BLOCK;
	uint64_t end = (block + blockmap_run(&t->map, block, EXTENT_BLOCKS)) * TRANSACTION_BLOCK;
	slot s = blockmap_get(&t->map, block);
	int code;

	if (s != SLOT_UNDER) {
		*ret = (struct disk_extent){.len = end - off, .zero = s == SLOT_ZERO};
		return 0;
	}
	code = disk_extent(t->under, off, ret, err);
	if (!code && ret->len > end - off)
		ret->len = end - off;
	return code;
}

/* The disk belongs to the transaction: disk_close() on it closes all. */
static void transaction_disk_close(struct disk *d)
{
	struct transaction *t = (struct transaction *)d;

	blockmap_done(&t->map);
	payload_done(&t->payload);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static const struct disk_ops transaction_ops = {
	.read = transaction_read,
	.write = transaction_write,
	.zero = transaction_zero,
	.flush = transaction_flush,
	.extent = transaction_extent,
	.close = transaction_disk_close,
};

int transaction_open(struct disk *under, size_t memory_budget, const char *spill_dir, struct transaction **ret,
		     struct p2h_error *err)
{
	struct transaction *t = calloc(1, sizeof(*t));
	int code;

	if (!t)
		return error_nomem(err);
	disk_init(&t->d, &transaction_ops, under->size, true, under->name);
	t->d.format = under->format;
	t->under = under;
	pthread_mutex_init(&t->lock, NULL);
	code = payload_init(&t->payload, memory_budget, spill_dir, err);
	if (!code && !blockmap_init(&t->map, under->size / TRANSACTION_BLOCK + !!(under->size % TRANSACTION_BLOCK)))
		code = error_nomem(err);
	if (code) {
		transaction_disk_close(&t->d);
		return code;
	}
	*ret = t;
	return 0;
}

void transaction_close(struct transaction *t)
{
	if (t)
		disk_close(&t->d);
}

struct disk *transaction_disk(struct transaction *t)
{
	return &t->d;
}

struct disk *transaction_under(struct transaction *t)
{
	return t->under;
}

/* Adds those of `count` blocks (at most COMPARE_BLOCKS) that differ. */
static int compare_blocks(struct transaction *t, uint64_t block, uint64_t count, char *mine, char *theirs,
			  struct ranges *ret, struct p2h_error *err)
{
	size_t len = bytes_of(t, block, count);
	int code = read_blocks(t, block, count, mine, err);

	if (!code)
		code = disk_read(t->under, theirs, block * TRANSACTION_BLOCK, len, err);
	if (code)
		return code;
	for (size_t at = 0; at < len; at += TRANSACTION_BLOCK) {
		size_t n = len - at < TRANSACTION_BLOCK ? len - at : TRANSACTION_BLOCK;

		if (memcmp(mine + at, theirs + at, n))
			ranges_add(ret, block * TRANSACTION_BLOCK + at, n);
	}
	return 0;
}

/* How many of these blocks, which are zeros here, are known to be zeros below as well? */
static int zero_below(struct transaction *t, uint64_t block, uint64_t count, uint64_t *ret, struct p2h_error *err)
{
	struct disk_extent e;
	int code = disk_extent(t->under, block * TRANSACTION_BLOCK, &e, err);

	*ret = 0;
	if (code || !e.zero)
		return code;
	*ret = e.len >= bytes_of(t, block, 1) ? e.len / TRANSACTION_BLOCK : 0;
	if (block * TRANSACTION_BLOCK + e.len == t->d.size)
		*ret = count;
	if (*ret > count)
		*ret = count;
	return 0;
}

static int compare_run(struct transaction *t, uint64_t block, uint64_t count, char *mine, char *theirs,
		       struct ranges *ret, struct p2h_error *err)
{
	bool zero = blockmap_get(&t->map, block) == SLOT_ZERO;

	while (count) {
		uint64_t n = 0;
		int code = zero ? zero_below(t, block, count, &n, err) : 0;

		if (!code && !n) {
			n = count < COMPARE_BLOCKS ? count : COMPARE_BLOCKS;
			code = compare_blocks(t, block, n, mine, theirs, ret, err);
		}
		if (code)
			return code;
		block += n;
		count -= n;
	}
	return 0;
}

int transaction_changes(struct transaction *t, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP_FREE char *mine = malloc((size_t)COMPARE_BLOCKS * TRANSACTION_BLOCK);
	CLEANUP_FREE char *theirs = malloc((size_t)COMPARE_BLOCKS * TRANSACTION_BLOCK);
	CLEANUP(ranges_done) struct ranges found = {0};
	HOLD_LOCK(t);
	uint64_t block = 0;

	if (!mine || !theirs)
		return error_nomem(err);
	if (t->broken)
		return error_set(err, P2H_IO, "%s: an earlier write to the copy failed", t->d.name);
	while (block < t->map.blocks) {
		uint64_t n = blockmap_run(&t->map, block, UINT64_MAX);

		if (blockmap_get(&t->map, block) != SLOT_UNDER) {
			int code = compare_run(t, block, n, mine, theirs, &found, err);

			if (code)
				return code;
		}
		block += n;
	}
	if (found.failed)
		return error_nomem(err);
	ranges_done(ret);
	*ret = found;
	found = (struct ranges){0};
	return 0;
}
