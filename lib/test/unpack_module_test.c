/* unpack_module_test.c - packed modules, in pieces of any size */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "parse/unpack_module.h"

#define SIZE 300000u

struct input {
	const struct buf *data;
	size_t off, step;
	int failure;
};

static int read_some(void *ctx, void *buf, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct input *in = ctx;
	size_t left = in->data->len - in->off, n = left < len ? left : len;

	if (in->failure && in->off > in->data->len / 2)
		return error_set(err, in->failure, "the disk");
	if (in->step && n > in->step)
		n = in->step;
	memcpy(buf, in->data->data + in->off, n);
	in->off += n;
	*ret_got = n;
	return 0;
}

static int append(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	(void)err;
	buf_append(ctx, data, len);
	return 0;
}

static la_ssize_t put(struct archive *a, void *ctx, const void *data, size_t len)
{
	(void)a;
	buf_append(ctx, data, len);
	return (la_ssize_t)len;
}

static void pack(const char *filter, const struct buf *plain, struct buf *ret)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();

	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter_by_name(a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_per_block(a, 0), ARCHIVE_OK);
	assert_int_equal(archive_write_open(a, ret, NULL, put, NULL), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, plain->data, plain->len), (la_ssize_t)plain->len);
	archive_entry_free(entry);
	assert_int_equal(archive_write_free(a), ARCHIVE_OK);
}

/* Bytes that do not pack away, so that each piece of the unpacked data needs new input. */
static void make_plain(struct buf *ret)
{
	uint32_t x = 1;

	for (size_t i = 0; i < SIZE; i++) {
		x = x * 1664525 + 1013904223;
		buf_append(ret, (const char[]){(char)(x >> 24)}, 1);
	}
}

static const struct {
	const char *packing, *filter;
} kinds[] = {{"xz", "xz"}, {"zst", "zstd"}, {"gz", "gzip"}};

static void unpacks(void **state)
{
	static const size_t steps[] = {0, 1000, 131071};
	CLEANUP(buf_done) struct buf plain = {0};

	(void)state;
	make_plain(&plain);
	for (size_t k = 0; k < 3; k++) {
		CLEANUP(buf_done) struct buf packed = {0};

		pack(kinds[k].filter, &plain, &packed);
		for (size_t s = 0; s < 3; s++) {
			CLEANUP(buf_done) struct buf out = {0};
			struct input in = {&packed, 0, steps[s], 0};
			struct p2h_error err = {0};

			if (unpack_module(kinds[k].packing, read_some, &in, append, &out, &err))
				fail_msg("%s: %s", kinds[k].packing, err.msg);
			assert_int_equal(out.len, plain.len);
			assert_memory_equal(out.data, plain.data, plain.len);
		}
	}
}

static void refuses(void **state)
{
	CLEANUP(buf_done) struct buf plain = {0}, empty = {0};

	(void)state;
	make_plain(&plain);
	buf_puts(&empty, "");
	for (size_t k = 0; k < 3; k++) {
		CLEANUP(buf_done) struct buf packed = {0}, other = {0}, out = {0};
		struct input in = {&packed, 0, 0, 0};

		pack(kinds[k].filter, &plain, &packed);
		pack(kinds[(k + 1) % 3].filter, &plain, &other);
		in.data = &other;
		assert_int_equal(unpack_module(kinds[k].packing, read_some, &in, append, &out, NULL), P2H_CORRUPT);
		in = (struct input){&plain, 0, 0, 0};
		assert_int_equal(unpack_module(kinds[k].packing, read_some, &in, append, &out, NULL), P2H_CORRUPT);
		in = (struct input){&empty, 0, 0, 0};
		assert_int_equal(unpack_module(kinds[k].packing, read_some, &in, append, &out, NULL), P2H_CORRUPT);
		packed.len -= packed.len / 3;
		in = (struct input){&packed, 0, 0, 0};
		assert_int_equal(unpack_module(kinds[k].packing, read_some, &in, append, &out, NULL), P2H_CORRUPT);
		in = (struct input){&packed, 0, 0, P2H_IO};
		assert_int_equal(unpack_module(kinds[k].packing, read_some, &in, append, &out, NULL), P2H_IO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(unpacks), cmocka_unit_test(refuses)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
