/* kmodindex_test.c - index files of a modules directory against the layout that depmod writes */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/kmodindex.h"

static bool plain_without_b(void *ctx, const char *path, struct buf *ret)
{
	size_t n = strlen(path);

	(void)ctx;
	if (strstr(path, "/b.ko"))
		return false;
	buf_append(ret, path, n > 3 && !strcmp(path + n - 3, ".xz") ? n - 3 : n);
	return true;
}

static void binary_form(void **state)
{
	static const uint8_t expected[] = {
	    0xb0, 0x07, 0xf4, 0x57, 0, 2, 0, 1, 0x20, 0, 0, 0x59,
	    /* 0x0c: "ab", reached by 'a' of the root and "b" */
	    0, 0, 0, 2, 0, 0, 0, 0, 'x', 0, 0, 0, 0, 1, 'y', 0,                     /* "abc": 0x0c, values only */
	    'd', 0, 0, 0, 0, 1, 0, 0, 0, 7, 'z', 0,                                   /* "abed": 0x1c, prefix "d" */
	    'b', 0, 'c', 'e', 0x40, 0, 0, 0x0c, 0, 0, 0, 0, 0xc0, 0, 0, 0x1c,         /* 0x28: children c to e, its own value */
	    0, 0, 0, 1, 0, 0, 0, 3, 'v', 0,
	    'e', 'y', 0, 0, 0, 0, 1, 0, 0, 0, 4, 'k', 0,                              /* "key": 0x42 */
	};
	CLEANUP(kmodindex_done) struct kmodindex x = {0};
	CLEANUP(buf_done) struct buf out = {0};

	(void)state;
	kmodindex_add(&x, "key", "k", 4);
	kmodindex_add(&x, "abc", "y", 1);
	kmodindex_add(&x, "abed", "z", 7);
	kmodindex_add(&x, "ab", "v", 3);
	kmodindex_add(&x, "abc", "x", 0);
	assert_int_equal(kmodindex_write(&x, &out, NULL), 0);
	assert_true(out.len > sizeof(expected));
	assert_memory_equal(out.data + 12, expected + 12, sizeof(expected) - 12);
	/* The root: no prefix, children 'a' to 'k'. */
	assert_memory_equal(out.data + 8, "\x20\0\0\x4f", 4);
	assert_memory_equal(out.data + 0x4f, "ak\xe0\0\0\x28", 6);
	assert_int_equal(out.len, 0x4f + 2 + 4 * 11);
	assert_memory_equal(out.data + out.len - 4, "\xc0\0\0\x42", 4);
}

static void empty_index(void **state)
{
	CLEANUP(kmodindex_done) struct kmodindex x = {0};
	CLEANUP(buf_done) struct buf out = {0};

	(void)state;
	assert_int_equal(kmodindex_write(&x, &out, NULL), 0);
	assert_int_equal(out.len, 12);
	assert_memory_equal(out.data, "\xb0\x07\xf4\x57\0\2\0\1\0\0\0\x0c", 12);
}

static void keys_that_do_not_fit(void **state)
{
	char longer[1100];

	(void)state;
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(kmodindex_done) struct kmodindex x = {0};
		CLEANUP(buf_done) struct buf out = {0};

		kmodindex_add(&x, i ? longer : "caf\xc3\xa9", "v", 0);
		assert_int_equal(kmodindex_write(&x, &out, NULL), P2H_UNSUPPORTED);
		assert_int_equal(out.len, 0);
	}
}

static void dep(void **state)
{
	static const char text[] = "kernel/a.ko.xz: kernel/b.ko kernel/c-d.ko.xz\nkernel/b.ko:\n# comment: x\n\nkernel/c-d.ko.xz:\n";
	static const char old[] = "/lib/modules/2.6.18/kernel/a.ko: /lib/modules/2.6.18/kernel/c.ko.xz\n";
	CLEANUP(buf_done) struct buf out = {0}, bin = {0};

	(void)state;
	assert_int_equal(kmodindex_make(text, strlen(text), &bin, NULL), 0);
	assert_non_null(memmem(bin.data, bin.len, "\0\0\0\2kernel/c-d.ko.xz:", 22));
	assert_non_null(memmem(bin.data, bin.len, "\0\0\0\0kernel/a.ko.xz: kernel/b.ko kernel/c-d.ko.xz", 49));
	buf_clear(&bin);
	assert_int_equal(kmodindex_rewrite_dep(text, strlen(text), plain_without_b, NULL, &out, &bin, NULL), 0);
	assert_string_equal(out.data, "kernel/a.ko: kernel/c-d.ko\nkernel/c-d.ko:\n");
	assert_non_null(memmem(bin.data, bin.len, "\0\0\0\1kernel/c-d.ko:", 19));
	buf_clear(&out);
	buf_clear(&bin);
	assert_int_equal(kmodindex_rewrite_dep(old, strlen(old), plain_without_b, NULL, &out, &bin, NULL), 0);
	assert_string_equal(out.data, "/lib/modules/2.6.18/kernel/a.ko: /lib/modules/2.6.18/kernel/c.ko\n");
}

static void alias(void **state)
{
	static const char text[] = "# from the modules\nalias pci:v*sd-*[0-9] a_b\nalias of:N* gone\nalias bad] c\nalias fs-ext4 c\nnonsense\n";
	static const char modules[] = "kernel/a-b.ko: kernel/c.ko\nkernel/c.ko:\n";
	CLEANUP(buf_done) struct buf out = {0}, bin = {0};

	(void)state;
	assert_int_equal(kmodindex_rewrite_alias(text, strlen(text), modules, strlen(modules), &out, &bin, NULL), 0);
	assert_string_equal(out.data, "# from the modules\nalias pci:v*sd-*[0-9] a_b\nalias bad] c\nalias fs-ext4 c\n");
	assert_non_null(memmem(bin.data, bin.len, "ci:v*sd_*[0-9]\0\0\0\0\1\0\0\0\0a_b", 26));
	assert_null(memmem(bin.data, bin.len, "bad", 3));
	assert_non_null(memmem(bin.data, bin.len, "s_ext4\0\0\0\0\1\0\0\0\1c", 16));
}

static void find(void **state)
{
	static const char text[] = "kernel/a.ko:\nkernel/ab.ko: kernel/a.ko\nkernel/abc-d.ko:\nkernel/b.ko:\n";
	static const struct {
		const char *key, *value;
	} rows[] = {
		{"a", "kernel/a.ko:"}, {"ab", "kernel/ab.ko: kernel/a.ko"}, {"abc_d", "kernel/abc-d.ko:"}, {"b", "kernel/b.ko:"},
		{"", NULL}, {"abc", NULL}, {"abc_de", NULL}, {"c", NULL}, {"A", NULL},
	};
	CLEANUP(buf_done) struct buf bin = {0};

	(void)state;
	assert_int_equal(kmodindex_make(text, strlen(text), &bin, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *value = kmodindex_find(bin.data, bin.len, rows[i].key);

		assert_true(rows[i].value ? value && !strcmp(value, rows[i].value) : !value);
	}
	for (size_t len = 0; len < bin.len; len++) /* cut short: nothing is read past the end */
		kmodindex_find(bin.data, len, "abc_d");
	assert_null(kmodindex_find(bin.data, bin.len / 2, "ab"));
	bin.data[0] ^= 1;
	assert_null(kmodindex_find(bin.data, bin.len, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(binary_form), cmocka_unit_test(empty_index), cmocka_unit_test(keys_that_do_not_fit),
	    cmocka_unit_test(dep),         cmocka_unit_test(alias), cmocka_unit_test(find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
