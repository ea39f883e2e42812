/* textconf_test.c - assignments, inittab, kernel configuration */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/textconf.h"

static void assignments(void **state)
{
	/* NULL: not set. */
	static const struct {
		const char *text, *value;
	} rows[] = {
	    {"X=a", "a"},
	    {"X=\n", ""},
	    {"", NULL},
	    {"X", NULL},
	    {"XY=a\nAX=b\n#X=c\n", NULL},
	    {"X=a\nX=b\r\n", "b"},
	    {"  export X=a\n", "a"},
	    {"exportX=a\n", NULL},
	    {"X=\"Debian GNU/Linux 12 (bookworm)\"\n", "Debian GNU/Linux 12 (bookworm)"},
	    {"X='a \"b\" \\'", "a \"b\" \\"},
	    {"X=\"a \\\"b\\\" \\$c \\d\"", "a \"b\" $c \\d"},
	    {"X=\"a\"'b'\\ c d", "ab c"},
	    {"X=a;Y=b", "a"},
	    {"X=a#b # c", "a#b"},
	    {"X=\"one \\\n two\"\nZ=1", "one  two"},
	    {"X=\"one\n two\"\n", "one\n two"},
	    {"Y='\nX=no\n'\n", NULL},
	    {"Y=it's\nX=yes\n", "yes"},
	    {"X=\"open\nY=b\n", "open"},
	    {"X+=a\nX =b\n", NULL},
	    {"X=$(echo a)\n", "$(echo"},
	    {"X=a\\", "a\\"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int code = 1;
		CLEANUP_FREE char *value = assignment_get(rows[i].text, strlen(rows[i].text), "X", &code);

		assert_int_equal(code, 0);
		if (rows[i].value) {
			assert_non_null(value);
			assert_string_equal(value, rows[i].value);
		} else {
			assert_null(value);
		}
	}
	assert_null(assignment_get("X=a", 1, "X", NULL));
}

static void an_open_quote_hides_nothing(void **state)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP_FREE char *value = NULL;

	(void)state;
	/* Every second quote closes the one before it; the last is left open, and ends with its line. */
	for (int i = 0; i < 200001; i++)
		buf_puts(&text, "A=\"\n");
	buf_puts(&text, "X=1\n");
	value = assignment_get(text.data, text.len, "X", NULL);
	assert_non_null(value);
	assert_string_equal(value, "1");
}

static void kernelimg_lines(void **state)
{
	static const char text[] = "do_symlinks = Yes\n# postinst_hook = /gone\r\n Postinst_Hook=update-grub # x\r\nno value\n = x\nlink_in_boot =\nwarn = a b";
	static const struct {
		size_t line;
		const char *name, *value;
	} want[] = {{1, "do_symlinks", "Yes"}, {3, "postinst_hook", "update-grub"}, {6, "link_in_boot", ""}, {7, "warn", "a"}};
	struct kernelimg_setting s = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		assert_true(kernelimg_next(text, sizeof(text) - 1, &s));
		assert_int_equal(s.line, want[i].line);
		assert_true(kernelimg_is(&s, want[i].name));
		assert_false(kernelimg_is(&s, "do_bootloader"));
		assert_int_equal(s.len, strlen(want[i].value));
		assert_memory_equal(text + s.value, want[i].value, s.len);
	}
	assert_int_equal(s.next, sizeof(text) - 1);
	assert_false(kernelimg_next(text, sizeof(text) - 1, &s));
}

static void inittab_lines(void **state)
{
	static const char text[] = "id:2:initdefault:\n# co:1:x:y\n\n1:2345:respawn:/sbin/getty 38400 tty1 \r\n"
				   " co::respawn:/sbin/agetty -8 xvc0 a:b\nbad:line\n::\n:::\nz:1:off:/bin/\0x";
	static const struct {
		size_t line;
		const char *id, *runlevels, *action, *process, *whole;
	} want[] = {
	    {1, "id", "2", "initdefault", "", "id:2:initdefault:"},
	    {4, "1", "2345", "respawn", "/sbin/getty 38400 tty1", "1:2345:respawn:/sbin/getty 38400 tty1 "},
	    {5, "co", "", "respawn", "/sbin/agetty -8 xvc0 a:b", " co::respawn:/sbin/agetty -8 xvc0 a:b"},
	    {8, "", "", "", "", ":::"},
	    {9, "z", "1", "off", "/bin/", "z:1:off:/bin/"},
	};
	CLEANUP(inittab_done) struct inittab t = {0};

	(void)state;
	assert_int_equal(inittab_parse(text, sizeof(text) - 1, &t, NULL), 0);
	assert_int_equal(t.len, sizeof(want) / sizeof(*want));
	for (size_t i = 0; i < t.len; i++) {
		assert_int_equal(t.item[i].line, want[i].line);
		assert_string_equal(t.item[i].id, want[i].id);
		assert_string_equal(t.item[i].runlevels, want[i].runlevels);
		assert_string_equal(t.item[i].action, want[i].action);
		assert_string_equal(t.item[i].process, want[i].process);
		assert_true(t.item[i].len >= strlen(want[i].whole));
		assert_memory_equal(text + t.item[i].off, want[i].whole, strlen(want[i].whole));
	}
	assert_int_equal(t.item[1].len, strlen(want[1].whole));
	assert_int_equal(t.item[4].len, strlen(want[4].whole) + 2); /* the line does not end at the NUL */
}

static void inittab_too_long(void **state)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct p2h_error err = {0};
	struct inittab t;

	(void)state;
	for (int i = 0; i < 100001; i++)
		buf_puts(&text, ":::\n");
	assert_int_equal(inittab_parse(text.data, text.len, &t, &err), P2H_UNSUPPORTED);
	assert_null(t.item);
}

static void kernel_configuration(void **state)
{
	static const char text[] = "#\n# Linux/x86 6.1\n#\nCONFIG_XEN=y\r\nCONFIG_EXT4_FS=m\n# CONFIG_BTRFS_FS is not set\n"
				   "CONFIG_HZ=250\nCONFIG_LOCALVERSION=\"\"\nCONFIG_EMPTY=\nCONFIG_TWICE=y\n# CONFIG_TWICE is not set\n"
				   "CONFIG_NO=n\nCONFIG_XEN_PV=y\0\nCONFIG_LAST=y";
	static const struct {
		const char *name;
		char value;
	} rows[] = {
	    {"XEN", 'y'},   {"EXT4_FS", 'm'}, {"BTRFS_FS", 'n'}, {"HZ", 's'},	  {"LOCALVERSION", 's'}, {"EMPTY", 's'},
	    {"TWICE", 'n'}, {"NO", 'n'},      {"XEN_PV", 'y'},	 {"LAST", 'y'}, {"XE", 'n'},	       {"", 'n'},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(kconfig_get(text, sizeof(text) - 1, rows[i].name), rows[i].value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(assignments),	cmocka_unit_test(an_open_quote_hides_nothing), cmocka_unit_test(kernelimg_lines), cmocka_unit_test(inittab_lines),
	    cmocka_unit_test(inittab_too_long), cmocka_unit_test(kernel_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
