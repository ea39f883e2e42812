/* kmodules_test.c - modules.dep and modules.builtin */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"

static void names(void **state)
{
	static const struct {
		const char *path;
		size_t size;
		const char *name;
	} rows[] = {
	    {"kernel/drivers/net/xen-netfront.ko.xz", 64, "xen_netfront"},
	    {"ext4.ko", 64, "ext4"},
	    {"/lib/modules/6.1/a-b_c.ko.zst", 64, "a_b_c"},
	    {"plain", 64, "plain"},
	    {"dir.d/", 64, ""},
	    {"kernel/abcdef.ko", 4, "abc"},
	    {"kernel/abcdef.ko", 1, ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char name[64] = "unset";

		kmodule_name(rows[i].path, name, rows[i].size);
		assert_string_equal(name, rows[i].name);
	}
}

static void packing(void **state)
{
	static const struct {
		const char *path, *packing;
		size_t plain;
	} rows[] = {
		{"kernel/a.ko.xz", "xz", 11}, {"a.ko.zst", "zst", 4}, {"a.ko.gz", "gz", 4}, {"a.ko", NULL, 4}, {".ko.xz", NULL, 6},
		{"a.xz", NULL, 4},            {"", NULL, 0},          {"a.ko.bz2", NULL, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const char *found = kmodule_packing(rows[i].path, strlen(rows[i].path));

		assert_true(rows[i].packing ? found && !strcmp(found, rows[i].packing) : !found);
		assert_int_equal(kmodule_plain_len(rows[i].path, strlen(rows[i].path)), rows[i].plain);
	}
}

static void dependencies(void **state)
{
	static const char text[] = "kernel/net/z.ko.xz:\r\nkernel/crypto/aesni-intel.ko: kernel/crypto/cryptd.ko  kernel/b.ko\n"
				   "updates/z.ko:\n/lib/modules/2.6.18-8.el5xen/kernel/fs/ext3/ext3.ko: "
				   "/lib/modules/2.6.18-8.el5xen/kernel/fs/jbd/jbd.ko\nno colon\n: x\n#c: d\nkernel/b.ko: \0 no";
	CLEANUP(kmodules_done) struct kmodules m = {0};
	const struct kmodule *k;

	(void)state;
	assert_int_equal(kmodules_parse_dep(text, sizeof(text) - 1, &m, NULL), 0);
	assert_int_equal(m.len, 5);
	for (size_t i = 1; i < m.len; i++)
		assert_true(strcmp(m.item[i - 1].name, m.item[i].name) <= 0);
	k = kmodules_find(&m, "aesni-intel");
	assert_non_null(k);
	assert_ptr_equal(k, kmodules_find(&m, "aesni_intel"));
	assert_string_equal(k->name, "aesni_intel");
	assert_string_equal(k->path, "kernel/crypto/aesni-intel.ko");
	assert_int_equal(k->deps.len, 2);
	assert_string_equal(k->deps.item[0], "kernel/crypto/cryptd.ko");
	assert_string_equal(k->deps.item[1], "kernel/b.ko");
	/* whole paths of old depmod become relative ones */
	k = kmodules_find(&m, "ext3");
	assert_non_null(k);
	assert_string_equal(k->path, "kernel/fs/ext3/ext3.ko");
	assert_string_equal(k->deps.item[0], "kernel/fs/jbd/jbd.ko");
	assert_string_equal(kmodules_find(&m, "z")->path, "kernel/net/z.ko.xz");
	assert_int_equal(kmodules_find(&m, "b")->deps.len, 0);
	assert_null(kmodules_find(&m, "aesni"));
	assert_null(kmodules_find(&m, ""));
	assert_null(kmodules_find(&m, "zz"));
}

static void builtin(void **state)
{
	static const char text[] = "kernel/drivers/block/xen-blkfront.ko\r\n\n# c\nkernel/fs/ext4/ext4.ko";
	CLEANUP(strlist_done) struct strlist l = {0};

	(void)state;
	strlist_add(&l, "first");
	assert_int_equal(kmodules_parse_builtin(text, sizeof(text) - 1, &l, NULL), 0);
	assert_int_equal(l.len, 3);
	assert_string_equal(l.item[0], "first");
	assert_string_equal(l.item[1], "xen_blkfront");
	assert_string_equal(l.item[2], "ext4");
}

static void too_many(void **state)
{
	CLEANUP(buf_done) struct buf lines = {0}, deps = {0};
	CLEANUP(strlist_done) struct strlist l = {0};
	struct p2h_error err = {0};
	struct kmodules m;

	(void)state;
	for (int i = 0; i < 100001; i++)
		buf_puts(&lines, "a:\n");
	assert_int_equal(kmodules_parse_dep(lines.data, lines.len, &m, &err), P2H_UNSUPPORTED);
	assert_null(m.item);
	strlist_add(&l, "first");
	assert_int_equal(kmodules_parse_builtin(lines.data, lines.len, &l, &err), P2H_UNSUPPORTED);
	assert_int_equal(l.len, 1);
	buf_puts(&deps, "a:");
	for (int i = 0; i < 1000001; i++)
		buf_puts(&deps, " b");
	assert_int_equal(kmodules_parse_dep(deps.data, deps.len, &m, &err), P2H_UNSUPPORTED);
	assert_null(m.item);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(packing), cmocka_unit_test(dependencies),
	    cmocka_unit_test(builtin),
	    cmocka_unit_test(too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
