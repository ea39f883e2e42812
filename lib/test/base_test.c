#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/le.h"
#include "support/scratch.h"

static void test_buf(void **state)
{
	CLEANUP(buf_done) struct buf b = {0};
	CLEANUP_FREE char *text = NULL;

	(void)state;
	buf_puts(&b, "one");
	buf_printf(&b, " %d %s", 2, "three");
	buf_append(&b, "\0x", 2);
	assert_int_equal(b.len, 13);
	assert_memory_equal(b.data, "one 2 three\0x", 14); /* the NUL behind it too */
	for (int i = 0; i < 10000; i++)
		buf_puts(&b, "0123456789");
	assert_int_equal(b.len, 100013);
	assert_int_equal(b.data[b.len], 0);
	buf_clear(&b);
	buf_puts(&b, "kept");
	text = buf_take(&b);
	assert_string_equal(text, "kept");
	assert_null(b.data);
}

static void test_buf_empty_and_failed(void **state)
{
	struct buf b = {0};
	char *text = buf_take(&b);

	(void)state;
	assert_string_equal(text, "");
	free(text);
	buf_puts(&b, "x");
	assert_null(buf_reserve(&b, SIZE_MAX - 1));
	assert_true(b.failed);
	buf_puts(&b, "y"); /* does nothing, harms nothing */
	assert_int_equal(b.len, 1);
	assert_null(buf_take(&b));
	assert_false(b.failed);
}

static void test_strlist(void **state)
{
	CLEANUP(strlist_done) struct strlist l = {0};

	(void)state;
	strlist_split(&l, "  beta,alpha,, gamma ", " ,");
	strlist_addf(&l, "%s-%d", "delta", 4);
	strlist_add(&l, "");
	assert_int_equal(l.len, 5);
	assert_true(strlist_has(&l, "delta-4") && strlist_has(&l, "") && !strlist_has(&l, "bet"));
	strlist_sort(&l);
	assert_string_equal(l.item[0], "");
	assert_string_equal(l.item[1], "alpha");
	assert_string_equal(l.item[4], "gamma");
	for (int i = 0; i < 1000; i++)
		strlist_addf(&l, "%d", i);
	assert_int_equal(l.len, 1005);
	assert_string_equal(l.item[1004], "999");
	assert_false(l.failed);
}

static void test_ranges(void **state)
{
	static const struct {
		uint64_t off, next, end;
	} rows[] = {
		{0, 10, 30}, {10, 10, 30}, {29, 29, 30}, {30, 100, 101}, {100, 100, 101}, {101, UINT64_MAX, 7},
		{UINT64_MAX - 1, UINT64_MAX, 7},
	};
	CLEANUP(ranges_done) struct ranges r = {0};
	uint64_t end = 7;

	(void)state;
	assert_true(ranges_next(&r, 0, &end) == UINT64_MAX);
	ranges_add(&r, 10, 15);
	ranges_add(&r, 25, 5);
	ranges_add(&r, 40, 0);
	ranges_add(&r, 100, 1);
	assert_int_equal(r.len, 2);
	assert_true(ranges_total(&r) == 21);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		end = 7;
		assert_true(ranges_next(&r, rows[i].off, &end) == rows[i].next);
		assert_true(end == rows[i].end);
	}
}

static void test_errors(void **state)
{
	struct p2h_error err;
	char longest[2000];

	(void)state;
	assert_int_equal(error_set(&err, P2H_CORRUPT, "%s: \x1b[31m\nline %d", "a", 3), P2H_CORRUPT);
	assert_int_equal(err.code, P2H_CORRUPT);
	assert_string_equal(err.msg, "a: ?[31m?line 3"); /* data cannot forge a second line or colours */
	assert_int_equal(error_prefix(&err, P2H_CORRUPT, "convert: %s", "x"), P2H_CORRUPT);
	assert_string_equal(err.msg, "convert: x: a: ?[31m?line 3");
	assert_int_equal(error_sys(&err, ENOSPC, "out.raw"), P2H_NOSPACE);
	assert_int_equal(err.sys_errno, ENOSPC);
	assert_string_equal(err.msg, "out.raw: No space left on device");
	assert_int_equal(error_sys(&err, ENOENT, "x"), P2H_NOTFOUND);
	assert_int_equal(error_sys(&err, EBUSY, "x"), P2H_BUSY);
	assert_int_equal(error_sys(&err, EXDEV, "x"), P2H_IO);
	assert_int_equal(error_nomem(&err), P2H_NOMEM);
	assert_int_equal(error_set(NULL, P2H_IO, "no one listens"), P2H_IO);
	assert_int_equal(error_prefix(NULL, P2H_IO, "no one listens"), P2H_IO);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	error_set(&err, P2H_IO, "%s", longest);
	error_prefix(&err, P2H_IO, "%s", longest);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
}

static void test_little_endian(void **state)
{
	unsigned char b[9] = {0};

	(void)state;
	le64_put(b + 1, UINT64_C(0x8877665544332211));
	assert_memory_equal(b, "\x00\x11\x22\x33\x44\x55\x66\x77\x88", 9);
	assert_true(le64_get(b + 1) == UINT64_C(0x8877665544332211));
	assert_true(le32_get(b + 5) == 0x88776655u);
	assert_int_equal(le16_get(b + 7), 0x8877);
	le16_put(b, 0x1234);
	le32_put(b + 2, 0xfedcba98u);
	assert_memory_equal(b, "\x34\x12\x98\xba\xdc\xfe", 6);
	assert_true(range_ok(5, 5, 10) && range_ok(10, 0, 10) && range_ok(0, UINT64_MAX, UINT64_MAX));
	assert_false(range_ok(5, 6, 10) || range_ok(11, 0, 10) || range_ok(5, UINT64_MAX - 2, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf),	cmocka_unit_test(test_buf_empty_and_failed), cmocka_unit_test(test_strlist),
		cmocka_unit_test(test_ranges),	cmocka_unit_test(test_errors),		     cmocka_unit_test(test_little_endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
