#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/transaction.h"
#include "support/scratch.h"

#define SIZE (9u * 1024 * 1024 + 777) /* no multiple of a block */

struct model {
	struct disk *under;
	struct transaction *t;
	struct disk *d;
	unsigned char *base, *want;
};

/* A base with data, and holes between, and a transaction over it. */
static void model_open(struct model *m, size_t budget)
{
	m->base = calloc(1, SIZE);
	m->want = malloc(SIZE);
	assert_non_null(m->base);
	assert_non_null(m->want);
	for (size_t at = 0; at < SIZE; at += 3u << 20)
		fill_pattern(m->base + at, SIZE - at < 1u << 20 ? SIZE - at : 1u << 20, (uint32_t)at);
	memcpy(m->want, m->base, SIZE);
	assert_ok(disk_mem_open(SIZE, &m->under, E));
	for (size_t at = 0; at < SIZE; at += 3u << 20)
		assert_ok(disk_write(m->under, m->base + at, at, SIZE - at < 1u << 20 ? SIZE - at : 1u << 20, E));
	m->under->writable = false;
	assert_ok(transaction_open(m->under, budget, scratch_path(""), &m->t, E));
	m->d = transaction_disk(m->t);
}

static void model_close(struct model *m)
{
	transaction_close(m->t);
	disk_close(m->under);
	free(m->base);
	free(m->want);
}

static void assert_view(struct model *m)
{
	unsigned char *got = malloc(SIZE);

	assert_non_null(got);
	assert_ok(disk_read(m->d, got, 0, SIZE, E));
	assert_memory_equal(got, m->want, SIZE);
	assert_ok(disk_read(m->under, got, 0, SIZE, E)); /* nothing below is ever written */
	assert_memory_equal(got, m->base, SIZE);
	free(got);
}

/* The changes are exactly the blocks that differ, in order, and extents tell no lies. */
static void assert_changes(struct model *m)
{
	struct ranges r = {0};
	uint64_t at = 0;

	assert_ok(transaction_changes(m->t, &r, E));
	for (uint64_t off = 0; off < SIZE; off += TRANSACTION_BLOCK) {
		size_t n = SIZE - off < TRANSACTION_BLOCK ? (size_t)(SIZE - off) : TRANSACTION_BLOCK;
		uint64_t end = 0;
		bool listed = ranges_next(&r, off, &end) == off;

		assert_int_equal(listed, memcmp(m->base + off, m->want + off, n) != 0);
	}
	for (size_t i = 0; i < r.len; i++) {
		assert_true(r.item[i].off >= at);
		at = r.item[i].off + r.item[i].len;
	}
	assert_true(at <= SIZE);
	ranges_done(&r);
	for (at = 0; at < SIZE;) {
		struct disk_extent e;

		assert_ok(disk_extent(m->d, at, &e, E));
		assert_true(e.len > 0 && e.len <= SIZE - at);
		for (uint64_t i = 0; e.zero && i < e.len; i++)
			assert_int_equal(m->want[at + i], 0);
		at += e.len;
	}
}

static void random_step(struct model *m, unsigned char *scratch)
{
	size_t max = rand() % 4 ? 10000 : 1500000, len = (size_t)rand() % max + 1, off = (size_t)rand() % SIZE;

	if (rand() % 3 == 0)
		off -= off % TRANSACTION_BLOCK;
	if (len > SIZE - off || rand() % 9 == 0)
		len = SIZE - off < max ? SIZE - off : max;
	switch (rand() % 4) {
	case 0:
		assert_ok(disk_zero(m->d, off, len, E));
		memset(m->want + off, 0, len);
		break;
	case 1: /* what is there already is no change */
		assert_ok(disk_write(m->d, m->base + off, off, len, E));
		memcpy(m->want + off, m->base + off, len);
		break;
	default:
		fill_pattern(scratch, len, (uint32_t)rand());
		assert_ok(disk_write(m->d, scratch, off, len, E));
		memcpy(m->want + off, scratch, len);
	}
}

static void random_writes(size_t budget, unsigned seed, int steps)
{
	unsigned char *scratch = malloc(SIZE);
	struct model m;

	assert_non_null(scratch);
	srand(seed);
	model_open(&m, budget);
	assert_changes(&m);
	for (int i = 0; i < steps; i++) {
		random_step(&m, scratch);
		if (i % 8 == 0)
			assert_view(&m);
	}
	assert_view(&m);
	assert_changes(&m);
	model_close(&m);
	free(scratch);
	assert_int_equal(scratch_count(), 0);
}

static void test_in_memory(void **state)
{
	(void)state;
	random_writes(64u << 20, 1, 60);
}

static void test_spilled(void **state)
{
	(void)state;
	random_writes(1u << 20, 2, 60);
	random_writes(0, 3, 30);
}

static void test_spill_without_room(void **state)
{
	struct transaction *t;
	struct disk *under;
	char block[TRANSACTION_BLOCK] = {1};

	(void)state;
	assert_ok(disk_mem_open(1u << 20, &under, E));
	assert_ok(transaction_open(under, 0, scratch_path("nowhere"), &t, E));
	assert_code(disk_write(transaction_disk(t), block, 0, sizeof(block), E), P2H_NOTFOUND);
	assert_message_has("nowhere");
	transaction_close(t);
	disk_close(under);
}

/* A write that got lost must never be committed. */
static void test_broken_is_not_committed(void **state)
{
	struct ranges r = {0};
	struct transaction *t;
	struct disk *under;
	char block[TRANSACTION_BLOCK] = {1};

	(void)state;
	if (geteuid() || scratch_shell("mkdir small && mount -t tmpfs -o size=64k none small"))
		skip();
	assert_ok(disk_mem_open(1u << 20, &under, E));
	assert_ok(transaction_open(under, 0, scratch_path("small"), &t, E));
	for (int i = 0; i < 16; i++)
		assert_ok(disk_write(transaction_disk(t), block, (uint64_t)i * 4096, sizeof(block), E));
	assert_code(disk_write(transaction_disk(t), block, 1u << 17, sizeof(block), E), P2H_NOSPACE);
	assert_message_has("small");
	assert_code(transaction_changes(t, &r, E), P2H_IO);
	transaction_close(t);
	disk_close(under);
	assert_int_equal(scratch_shell("umount small && rmdir small"), 0);
}

static void test_huge_zero(void **state)
{
	struct ranges r = {0};
	struct transaction *t;
	struct disk_extent e;
	struct disk *under;
	char byte = 1;

	(void)state;
	assert_ok(disk_mem_open(UINT64_C(1) << 42, &under, E));
	assert_ok(disk_write(under, &byte, UINT64_C(1) << 41, 1, E));
	assert_ok(transaction_open(under, 0, NULL, &t, E));
	assert_ok(disk_zero(transaction_disk(t), 4096, (UINT64_C(1) << 42) - 4096, E));
	assert_ok(transaction_changes(t, &r, E));
	assert_int_equal(r.len, 1);
	assert_true(r.item[0].off == UINT64_C(1) << 41 && r.item[0].len == TRANSACTION_BLOCK);
	ranges_done(&r);
	assert_ok(disk_write(transaction_disk(t), &byte, (UINT64_C(1) << 40) + 5, 1, E));
	assert_ok(disk_extent(transaction_disk(t), UINT64_C(1) << 40, &e, E));
	assert_true(!e.zero && e.len == TRANSACTION_BLOCK);
	transaction_close(t);
	disk_close(under);
}

/* For every n: the n-th read below fails. What was written before stays, the rest is as it was, nothing crashes. */
static void test_read_faults(void **state)
{
	uint64_t reads = 1;

	(void)state;
	for (uint64_t n = 1; n <= reads; n++) {
		struct disk_fault_plan plan = {.fail_at[DISK_FAULT_READ] = n};
		struct disk *under, *fault;
		struct ranges r = {0};
		struct transaction *t;
		char data[10000];
		int failed = 0;

		memset(data, 3, sizeof(data));
		assert_ok(disk_mem_open(1u << 20, &under, E));
		assert_ok(disk_write(under, data, 100, sizeof(data), E));
		assert_ok(disk_fault_open(under, &plan, &fault, E));
		assert_ok(transaction_open(fault, 1u << 20, NULL, &t, E));
		failed |= disk_write(transaction_disk(t), data, 10, 5000, E);
		failed |= disk_zero(transaction_disk(t), 6000, 9000, E);
		failed |= disk_write(transaction_disk(t), data, 40961, sizeof(data), E);
		failed |= transaction_changes(t, &r, E);
		assert_int_equal(failed != 0, plan.calls[DISK_FAULT_READ] >= n);
		if (failed)
			reads = n + 1;
		assert_int_equal(plan.calls[DISK_FAULT_WRITE], 0);
		ranges_done(&r);
		transaction_close(t);
		disk_close(fault);
		disk_close(under);
	}
	assert_true(reads > 4);
	print_message("faults: transaction, read failed: %u\n", (unsigned)reads - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory),
		cmocka_unit_test(test_spilled),
		cmocka_unit_test(test_spill_without_room),
		cmocka_unit_test(test_broken_is_not_committed),
		cmocka_unit_test(test_huge_zero),
		cmocka_unit_test(test_read_faults),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
