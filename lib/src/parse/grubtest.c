#include "parse/grubtest.h"

#include <stdlib.h>
#include <string.h>

static enum grubtest known(bool value)
{
	return value ? GRUBTEST_TRUE : GRUBTEST_FALSE;
}

enum grubtest grubtest_not(enum grubtest t)
{
	return t == GRUBTEST_UNKNOWN ? t : known(t == GRUBTEST_FALSE);
}

static enum grubtest both(enum grubtest a, enum grubtest b)
{
	if (a == GRUBTEST_FALSE || b == GRUBTEST_FALSE)
		return GRUBTEST_FALSE;
	return a == GRUBTEST_TRUE && b == GRUBTEST_TRUE ? GRUBTEST_TRUE : GRUBTEST_UNKNOWN;
}

static enum grubtest either(enum grubtest a, enum grubtest b)
{
	return grubtest_not(both(grubtest_not(a), grubtest_not(b)));
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

static enum grubtest file_test(const char *path, bool have_grubenv)
{
	const char *slash = strrchr(path, '/');

	return slash && !strcmp(slash, "/grubenv") ? known(have_grubenv) : GRUBTEST_UNKNOWN;
}

static enum grubtest compare(const char *a, const char *op, const char *b)
{
	long x, y;

	if (!strcmp(op, "=") || !strcmp(op, "=="))
		return known(!strcmp(a, b));
	if (!strcmp(op, "!="))
		return known(strcmp(a, b) != 0);
	x = strtol(a, NULL, 10);
	y = strtol(b, NULL, 10);
	if (!strcmp(op, "-eq"))
		return known(x == y);
	if (!strcmp(op, "-ne"))
		return known(x != y);
	if (!strcmp(op, "-lt"))
		return known(x < y);
	if (!strcmp(op, "-le"))
		return known(x <= y);
	if (!strcmp(op, "-gt"))
		return known(x > y);
	return known(x >= y);
}

/* One comparison, file test or string at the start; *used: how many words it is. */
static enum grubtest primary(char *const *word, size_t words, bool unknown, bool have_grubenv, size_t *used)
{
	static const char *const binary[] = {"=", "==", "!=", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", NULL};
	static const char *const file[] = {"-s", "-f", "-e", NULL};
	static const char *const other[] = {"(", "-d", "<", ">", "-nt", "-ot", "-pgt", "-plt", NULL};

	if (words >= 3 && is_one_of(word[1], binary)) {
		*used = 3;
		return unknown ? GRUBTEST_UNKNOWN : compare(word[0], word[1], word[2]);
	}
	if (words >= 2 && is_one_of(word[0], file)) {
		*used = 2;
		return file_test(word[1], have_grubenv);
	}
	if (words >= 2 && (!strcmp(word[0], "-z") || !strcmp(word[0], "-n"))) {
		*used = 2;
		return unknown ? GRUBTEST_UNKNOWN : known((word[0][1] == 'z') == !*word[1]);
	}
	*used = 1;
	if (is_one_of(word[0], other) || unknown)
		return GRUBTEST_UNKNOWN;
	return known(*word[0]);
}

enum grubtest grubtest_eval(char *const *word, size_t words, bool unknown, bool have_grubenv)
{
	enum grubtest any = GRUBTEST_FALSE, all = GRUBTEST_TRUE;

	if (!words)
		return unknown ? GRUBTEST_UNKNOWN : GRUBTEST_FALSE;
	for (;;) {
		bool negate = false;
		enum grubtest t;
		size_t used;

		while (words > 1 && !strcmp(*word, "!")) {
			negate = !negate;
			word++;
			words--;
		}
		t = primary(word, words, unknown, have_grubenv, &used);
		all = both(all, negate ? grubtest_not(t) : t);
		word += used;
		words -= used;
		if (!words)
			return either(any, all);
		if (words == 1)
			return GRUBTEST_UNKNOWN;
		if (!strcmp(*word, "-o")) {
			any = either(any, all);
			all = GRUBTEST_TRUE;
		} else if (strcmp(*word, "-a") != 0) {
			return GRUBTEST_UNKNOWN;
		}
		word++;
		words--;
	}
}
