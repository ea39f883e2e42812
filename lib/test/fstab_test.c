/* fstab_test.c - fields, escapes and edits of /etc/fstab */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/fstab.h"

static void parse_one_line(void **state)
{
	/* One entry each: its line, then what all six fields say. */
	static const struct {
		const char *text;
		size_t line;
		const char *field[FSTAB_FIELDS];
	} rows[] = {
	    {"LABEL=/     /    ext4    defaults,noatime  1   1\n", 1, {"LABEL=/", "/", "ext4", "defaults,noatime", "1", "1"}},
	    {"/dev/xvda1\t/\text3", 1, {"/dev/xvda1", "/", "ext3", "defaults", "0", "0"}},
	    {"# x\n\n  \t\n  #y\n/dev/sda3 none swap sw\n", 5, {"/dev/sda3", "none", "swap", "sw", "0", "0"}},
	    {"/dev/sda1 / ext3 ro 0 1\r\n", 1, {"/dev/sda1", "/", "ext3", "ro", "0", "1"}},
	    {"//srv/My\\040Share /mnt/a\\011b cifs x=\\134y 0 0", 1, {"//srv/My Share", "/mnt/a\tb", "cifs", "x=\\y", "0", "0"}},
	    {"a\\000 b\\08 c\\777 d\\", 1, {"a\\000", "b\\08", "c\\777", "d\\", "0", "0"}},
	    {"a b c d 0 2 # root file system", 1, {"a", "b", "c", "d", "0", "2"}},
	    {"only two\n\nproc /proc proc", 3, {"proc", "/proc", "proc", "defaults", "0", "0"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(fstab_done) struct fstab f = {0};

		assert_int_equal(fstab_parse(rows[i].text, strlen(rows[i].text), &f, NULL), 0);
		assert_int_equal(f.len, 1);
		assert_int_equal(f.item[0].line, rows[i].line);
		for (int field = 0; field < FSTAB_FIELDS; field++)
			assert_string_equal(f.item[0].text[field], rows[i].field[field]);
	}
}

static void bytes_that_are_no_text(void **state)
{
	/* mount sees no more of a line than what stands before a NUL. */
	static const char text[] = "/dev/sda1 / ext3\0 ro 0 1\n\xff\xfe /mnt\x80 \xc3\x28\n\0\0\0 a b c\none two";
	CLEANUP(fstab_done) struct fstab f = {0};

	(void)state;
	assert_int_equal(fstab_parse(text, sizeof(text) - 1, &f, NULL), 0);
	assert_int_equal(f.len, 2);
	assert_int_equal(f.odd, 1);
	assert_string_equal(f.item[0].text[FSTAB_OPTIONS], "defaults");
	assert_string_equal(f.item[1].text[FSTAB_SPEC], "\xff\xfe");
	assert_int_equal(f.item[1].line, 2);
}

static void has_option(void **state)
{
	static const struct {
		const char *options, *name;
		bool has;
	} rows[] = {
	    {"rw,nofail", "nofail", true},
	    {"rw,nofail", "rw", true},
	    {"rw,nofail", "fail", false},
	    {"nofailx", "nofail", false},
	    {"comment=cloudconfig,x", "comment", true},
	    {"a=nofail", "nofail", false},
	    {"context=\"s0:c1,nofail\",ro", "nofail", false},
	    {"context=\"s0:c1,c2\",ro", "ro", true},
	    {"", "ro", false},
	    {"ro", "", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(fstab_has_option(rows[i].options, rows[i].name), rows[i].has);
}

static void edit_keeps_the_rest(void **state)
{
	static const struct {
		const char *before;
		struct fstab_change change[3];
		size_t changes;
		const char *after;
	} rows[] = {
	    {"#c\r\n/dev/sda1  /\text3 ro 0 1 # x\r\nodd\n", {{0}}, 0, "#c\r\n/dev/sda1  /\text3 ro 0 1 # x\r\nodd\n"},
	    {"/dev/sda1  /  ext3\n", {{0, FSTAB_SPEC, "UUID=1"}}, 1, "UUID=1  /  ext3\n"},
	    {"a\tb\tc\n", {{0, FSTAB_PASSNO, "2"}}, 1, "a\tb\tc\tdefaults\t0\t2\n"},
	    {"a b c  \r\n", {{0, FSTAB_OPTIONS, "nofail"}}, 1, "a b c nofail  \r\n"},
	    {"a b c", {{0, FSTAB_PASSNO, "1"}, {0, FSTAB_OPTIONS, "ro"}, {0, FSTAB_SPEC, "z"}}, 3, "z b c ro 0 1"},
	    {"a b c d", {{0, FSTAB_PASSNO, "1"}, {0, FSTAB_OPTIONS, "ro"}}, 2, "a b c ro 0 1"},
	    {"a b c d 0 0\n\ne f g h 1 2\n", {{1, FSTAB_FILE, "/x y\\"}, {0, FSTAB_TYPE, "ext4"}}, 2,
	     "a b ext4 d 0 0\n\ne /x\\040y\\134 g h 1 2\n"},
	    {"a b c", {{0, FSTAB_SPEC, "#a"}}, 1, "\\043a b c"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CLEANUP(fstab_done) struct fstab f = {0}, again = {0};
		CLEANUP(buf_done) struct buf out = {0};
		size_t len = strlen(rows[i].before);

		assert_int_equal(fstab_parse(rows[i].before, len, &f, NULL), 0);
		assert_int_equal(fstab_edit(rows[i].before, len, &f, rows[i].change, rows[i].changes, &out, NULL), 0);
		assert_string_equal(out.data, rows[i].after);
		assert_int_equal(out.len, strlen(rows[i].after));
		assert_int_equal(fstab_parse(out.data, out.len, &again, NULL), 0);
		for (size_t c = 0; c < rows[i].changes; c++) {
			const struct fstab_change *change = &rows[i].change[c];

			assert_string_equal(again.item[change->entry].text[change->field], change->value);
		}
	}
}

static void edit_refuses_nonsense(void **state)
{
	static const char text[] = "a b c d 0 0\n";
	static const struct fstab_change rows[][2] = {
	    {{1, FSTAB_SPEC, "x"}, {0, FSTAB_FILE, "y"}},
	    {{0, FSTAB_SPEC, ""}, {0, FSTAB_FILE, "y"}},
	    {{0, FSTAB_SPEC, NULL}, {0, FSTAB_FILE, "y"}},
	    {{0, FSTAB_SPEC, "x"}, {0, FSTAB_SPEC, "y"}},
	    {{0, FSTAB_FIELDS, "x"}, {0, FSTAB_SPEC, "y"}},
	};
	CLEANUP(fstab_done) struct fstab f = {0};

	(void)state;
	assert_int_equal(fstab_parse(text, strlen(text), &f, NULL), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buf out = {0};
		struct p2h_error err = {0};

		assert_int_equal(fstab_edit(text, strlen(text), &f, rows[i], 2, &out, &err), P2H_USAGE);
		assert_null(out.data);
		assert_true(err.msg[0]);
	}
}

static void too_many_entries(void **state)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct p2h_error err = {0};
	struct fstab f;

	(void)state;
	for (int i = 0; i < 100001; i++)
		buf_puts(&text, "a b c\n");
	assert_int_equal(fstab_parse(text.data, text.len, &f, &err), P2H_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "line 100001"));
	assert_null(f.item);
	assert_int_equal(f.len, 0);
	assert_int_equal(fstab_parse(text.data, text.len - 6, &f, &err), 0);
	assert_int_equal(f.len, 100000);
	fstab_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(parse_one_line),	     cmocka_unit_test(bytes_that_are_no_text), cmocka_unit_test(has_option),
	    cmocka_unit_test(edit_keeps_the_rest), cmocka_unit_test(edit_refuses_nonsense),  cmocka_unit_test(too_many_entries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
