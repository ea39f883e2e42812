/* lvmconf_test.c - filters of lvm.conf */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/lvmconf.h"

/* Patterns as "a:regex" and "r:regex", "?" where one is not understood, a blank between two; "line=" before each filter. */
static void describe(const struct lvmconf *c, char *out, size_t size)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->len; i++) {
		at += (size_t)snprintf(out + at, size - at, "%s%zu=", i ? " " : "", c->item[i].line);
		for (size_t k = 0; k < c->item[i].len; k++) {
			const struct lvm_pattern *p = &c->item[i].item[k];

			at += (size_t)snprintf(out + at, size - at, p->regex ? "%s%c:%s" : "%s?", k ? " " : "", p->accept ? 'a' : 'r', p->regex);
		}
	}
}

static void filters(void **state)
{
	static const struct {
		const char *text, *want;
	} row[] = {
		{"", ""},
		{"devices {\n\tfilter = [ \"a|^/dev/xvd|\", # one\n\t\"r/.*/\" ]\n}\n", "2=a:^/dev/xvd r:.*"},
		{"# devices { filter = \"r|x|\" }\ndevices{global_filter=\"r|x|\"}", "2=r:x"},
		{"activation { filter = \"r|x|\" }\ndevices { sub { filter = \"r|y|\" } filter = [\"a|z|\"] }", "2=a:z"},
		{"filter = \"r|x|\"\ndevices/filter = [ \"a|x|\" ]\ndevices/global_filter = []", "2=a:x 3="},
		{"devices { filter = [ \"a|\\\\.|\", \"x|y|\", \"a|b\", \"\", \"r||\", 3 ] }", "1=? ? ? ? r:"},
		{"devices { dir = \"a \\\" filter = 1\"\nfilter = \"a|x|\" }", "2=a:x"},
		{"devices { filter = [ \"a|x|\", \"r|", "1=a:x"},
		{"} devices { filter = \"a|x|\"\r\n}\r\n", "1=a:x"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		CLEANUP(lvmconf_done) struct lvmconf c = {0};
		char got[256];

		assert_int_equal(lvmconf_parse(row[i].text, strlen(row[i].text), &c, NULL), 0);
		describe(&c, got, sizeof(got));
		assert_string_equal(got, row[i].want);
		for (size_t k = 0; k < c.len; k++)
			for (size_t n = 0; n < c.item[k].len; n++)
				assert_true(row[i].text[c.item[k].item[n].off] == '"' && row[i].text[c.item[k].item[n].off + c.item[k].item[n].len - 1] == '"');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(filters)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
