/* lasting_test.c - dpkg's list of packages and GRUB's environment block */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/dpkgstatus.h"
#include "parse/grubenv.h"

#define HEAD "# GRUB Environment Block\n"

static bool wanted(const char *name)
{
	return strcmp(name, "bash") != 0;
}

static void packages(void **state)
{
	static const char text[] = "Package: grub-pc\nStatus: install ok installed\nVersion: 2.06-3\nDescription: x\n Package: inner\n\n"
				   "Package: bash\nStatus: install ok installed\nVersion: 5\n\n"
				   "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
				   "Package: half\nStatus: install reinstreq half-installed\nVersion: 1\n\n"
				   "Version: 4:1-2\r\nStatus: hold ok installed\r\nPackage: linux-image-xen\r\n\r\n"
				   "Package: last\nStatus: install ok installed";
	CLEANUP(dpkg_packages_done) struct dpkg_packages found = {0};

	(void)state;
	assert_int_equal(dpkg_status_parse(text, strlen(text), wanted, &found, NULL), 0);
	assert_int_equal(found.len, 3);
	assert_string_equal(found.item[0].name, "grub-pc");
	assert_string_equal(found.item[0].version, "2.06-3");
	assert_false(found.item[0].hold);
	assert_string_equal(found.item[1].name, "linux-image-xen");
	assert_string_equal(found.item[1].version, "4:1-2");
	assert_true(found.item[1].hold);
	assert_string_equal(found.item[2].name, "last");
	assert_string_equal(found.item[2].version, "");
}

static void environment(void **state)
{
	/* after NULL: refused */
	static const struct {
		const char *before, *name, *value, *after;
	} rows[] = {
	    {HEAD "a=1\nb=2\n##########", "a", "333", HEAD "a=333\nb=2\n########"},
	    {HEAD "a=1\nb=2\n##########", "b", NULL, HEAD "a=1\n##############"},
	    {HEAD "##########", "a", "x", HEAD "a=x\n######"},
	    {HEAD "a=1\n##", "a", "four", NULL},
	    {HEAD "a=1\n###", "a", "four", HEAD "a=four\n"},
	    {HEAD "aa=1\nb=a=3\n##########", "a", NULL, HEAD "aa=1\nb=a=3\n##########"},
	    {HEAD "x=1\\\na=2\n##########", "a", "3", HEAD "x=1\\\na=2\na=3\n######"},
	    {HEAD "a=1", "a", "2", NULL},
	    {"a=1\n####", "a", "2", NULL},
	    {"", "a", "2", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CLEANUP(buf_done) struct buf out = {0};
		bool done = grubenv_set(rows[i].before, strlen(rows[i].before), rows[i].name, rows[i].value, &out);

		assert_int_equal(done, rows[i].after != NULL);
		if (rows[i].after)
			assert_string_equal(out.data, rows[i].after);
	}
}

static void environment_get(void **state)
{
	static const char text[] = HEAD "ab=1\na=two words\n#a=3\n";
	size_t len = 0;
	const char *value = grubenv_get(text, strlen(text), "a", &len);

	(void)state;
	assert_int_equal(len, strlen("two words"));
	assert_memory_equal(value, "two words", len);
	assert_null(grubenv_get(text, strlen(text), "b", &len));
	assert_null(grubenv_get("a=1\n", 4, "a", &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(packages), cmocka_unit_test(environment), cmocka_unit_test(environment_get)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
