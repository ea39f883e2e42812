#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "report/diff.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))

static char dir[512];

static int make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/diff-XXXXXX", tmp ? tmp : "/tmp");
	return mkdtemp(dir) ? 0 : -1;
}

static void path_of(const char *name, char ret[600])
{
	snprintf(ret, 600, "%s/%s", dir, name);
}

static int remove_dir(void **state)
{
	static const char *const names[] = {"a", "b", "d", "out"};
	char path[600];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		path_of(names[i], path);
		unlink(path);
	}
	return rmdir(dir);
}

static void put_file(const char *name, const char *data, size_t len)
{
	char path[600];
	FILE *f;

	path_of(name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void get_file(const char *name, struct buf *ret)
{
	char path[600], *to;
	FILE *f;

	path_of(name, path);
	f = fopen(path, "r");
	assert_non_null(f);
	to = buf_reserve(ret, 1 << 20);
	assert_non_null(to);
	ret->len = fread(to, 1, 1 << 20, f);
	fclose(f);
}

static void make_diff(const struct buf *a, const struct buf *b, struct buf *ret)
{
	struct p2h_error err = {0};

	assert_int_equal(diff_unified("/f", a->data ? a->data : "", a->len, b->data ? b->data : "", b->len, ret, &err), 0);
	buf_append(ret, "", 0);
}

static const struct row {
	const char *path, *before, *after, *want;
} rows[] = {
	{"/etc/fstab", "same\n", "same\n", ""},
	{"/etc/fstab", "", "", ""},
	{"/x", NULL, NULL, ""},
	{"/etc/new", NULL, "one\ntwo\n", "--- /dev/null\n+++ b/etc/new\n@@ -0,0 +1,2 @@\n+one\n+two\n"},
	{"/etc/empty", NULL, "", "--- /dev/null\n+++ b/etc/empty\n"},
	{"/etc/old", "one\n", NULL, "--- a/etc/old\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n"},
	{"relative", "", "x\n", "--- a/relative\n+++ b/relative\n@@ -0,0 +1 @@\n+x\n"},
	{"/f", "a", "a\n", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
	{"/f", "1\n2\n3\n4\n5\n", "1\n2\n3\n4\nfive", "--- a/f\n+++ b/f\n@@ -2,4 +2,4 @@\n 2\n 3\n 4\n-5\n+five\n\\ No newline at end of file\n"},
	/* seven lines between two changes: two hunks; six: one */
	{"/f", "a\n1\n2\n3\n4\n5\n6\n7\nb\n", "A\n1\n2\n3\n4\n5\n6\n7\nB\n",
	 "--- a/f\n+++ b/f\n@@ -1,4 +1,4 @@\n-a\n+A\n 1\n 2\n 3\n@@ -6,4 +6,4 @@\n 5\n 6\n 7\n-b\n+B\n"},
	{"/f", "a\n1\n2\n3\n4\n5\n6\nb\n", "A\n1\n2\n3\n4\n5\n6\nB\n",
	 "--- a/f\n+++ b/f\n@@ -1,8 +1,8 @@\n-a\n+A\n 1\n 2\n 3\n 4\n 5\n 6\n-b\n+B\n"},
	{"/t\tab\n", "\x1b[2J\ttab\r\n", "\xff\xc3\xa4\n",
	 "--- a/t\\x09ab\\x0A\n+++ b/t\\x09ab\\x0A\n@@ -1 +1 @@\n-\\x1B[2J\ttab\\x0D\n+\\xFF\xc3\xa4\n"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		CLEANUP(buf_done) struct buf out = {0};

		buf_puts(&out, "in front:");
		assert_int_equal(diff_unified(r->path, r->before, r->before ? strlen(r->before) : 0, r->after,
					      r->after ? strlen(r->after) : 0, &out, NULL), 0);
		assert_memory_equal(out.data, "in front:", 9);
		assert_string_equal(out.data + 9, r->want);
	}
}

static void test_nul_bytes(void **state)
{
	CLEANUP(buf_done) struct buf out = {0};

	(void)state;
	assert_int_equal(diff_unified("/f", "a\0b\n", 4, "a\0c\n", 4, &out, NULL), 0);
	assert_string_equal(out.data, "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\\x00b\n+a\\x00c\n");
}

/* A small generator of its own: the same texts on every machine. */
static unsigned random_below(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void make_pair(unsigned *seed, struct buf *a, struct buf *b)
{
	unsigned lines = random_below(seed, 60), words = 1 + random_below(seed, 20);

	for (unsigned i = 0; i < lines; i++) {
		unsigned word = random_below(seed, words), what = random_below(seed, 8);

		if (what)
			buf_printf(a, "line %u\n", word);
		if (what != 1)
			buf_printf(b, "line %u\n", what == 2 ? 100 + word : word);
	}
	if (a->len && !random_below(seed, 4))
		a->len--;
	if (b->len && !random_below(seed, 4))
		b->len--;
	buf_append(a, "", 0);
	buf_append(b, "", 0);
}

/* Added and removed lines, headers aside. */
static size_t count_changes(const struct buf *diff)
{
	size_t n = 0;

	for (const char *p = diff->data; p && *p;) {
		const char *nl = strchr(p, '\n');

		n += (*p == '-' && strncmp(p, "--- ", 4)) || (*p == '+' && strncmp(p, "+++ ", 4));
		p = nl ? nl + 1 : NULL;
	}
	return n;
}

static int run_tool(const char *const *argv, struct buf *out, int *status)
{
	struct p2h_error err = {0};
	int rc = run_program(argv, "diffutils, patch", out, status, &err);

	if (rc == P2H_TOOL)
		skip();
	return rc;
}

static void test_patch_applies_and_script_is_shortest(void **state)
{
	char a_path[600], b_path[600], d_path[600], out_path[600];
	unsigned seed = 7;

	(void)state;
	path_of("a", a_path);
	path_of("b", b_path);
	path_of("d", d_path);
	path_of("out", out_path);
	for (unsigned i = 0; i < 60; i++) {
		CLEANUP(buf_done) struct buf a = {0}, b = {0}, diff = {0}, result = {0}, theirs = {0};
		const char *patch[] = {"patch", "-s", "-o", out_path, a_path, d_path, NULL};
		const char *minimal[] = {"diff", "-u", "--minimal", a_path, b_path, NULL};
		int status = 0;

		make_pair(&seed, &a, &b);
		make_diff(&a, &b, &diff);
		put_file("a", a.data, a.len);
		put_file("b", b.data, b.len);
		put_file("d", diff.data, diff.len);
		assert_int_equal(run_tool(minimal, &theirs, &status), 0);
		assert_int_equal(count_changes(&diff), count_changes(&theirs));
		if (!diff.len)
			continue;
		assert_int_equal(run_tool(patch, NULL, NULL), 0);
		get_file("out", &result);
		assert_int_equal(result.len, b.len);
		assert_memory_equal(result.data, b.data, b.len);
	}
}

/* Where there is only one shortest script, the output is that of diff -u, byte for byte. */
static void test_same_as_diff(void **state)
{
	char a_path[600], b_path[600];

	(void)state;
	path_of("a", a_path);
	path_of("b", b_path);
	for (unsigned i = 0; i < 20; i++) {
		CLEANUP(buf_done) struct buf a = {0}, b = {0}, ours = {0}, theirs = {0};
		const char *argv[] = {"diff", "-u", "--label", "a/f", "--label", "b/f", a_path, b_path, NULL};
		int status = 0;

		for (unsigned line = 0; line < 40; line++) {
			if ((line + i) % 11 != 3)
				buf_printf(&a, "line %u\n", line);
			if ((line * i) % 13 != 5)
				buf_printf(&b, "line %u%s\n", line, line % 17 == i ? " changed" : "");
		}
		make_diff(&a, &b, &ours);
		put_file("a", a.data, a.len);
		put_file("b", b.data, b.len);
		assert_int_equal(run_tool(argv, &theirs, &status), 0);
		assert_int_equal(status, 1);
		assert_string_equal(ours.data, theirs.data);
	}
}

/* Past the bound everything between the common ends is replaced: it still is a diff, and it ends in time. */
static void test_bound(void **state)
{
	CLEANUP(buf_done) struct buf a = {0}, b = {0}, out = {0};

	(void)state;
	buf_puts(&a, "first\n");
	buf_puts(&b, "first\n");
	for (unsigned i = 0; i < 3000; i++) {
		buf_printf(&a, "old %u\n", i);
		buf_printf(&b, "new %u\n", i);
		if (i == 1500) {
			buf_puts(&a, "common\n");
			buf_puts(&b, "common\n");
		}
	}
	buf_puts(&a, "last\n");
	buf_puts(&b, "last\n");
	make_diff(&a, &b, &out);
	assert_int_equal(count_changes(&out), 6002);
	assert_non_null(strstr(out.data, "@@ -1,3003 +1,3003 @@\n first\n-old 0\n"));
	assert_non_null(strstr(out.data, "\n-common\n"));
	assert_non_null(strstr(out.data, "+new 2999\n last\n"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_patch_applies_and_script_is_shortest),
		cmocka_unit_test(test_same_as_diff),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
