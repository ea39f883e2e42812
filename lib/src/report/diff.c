/* diff.c - the shortest edit script between two lists of lines: E. W. Myers, "An O(ND) Difference Algorithm" (1986), greedy form */
#include "report/diff.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

#define CONTEXT 3u
#define MAX_EDITS 1000       /* the trace takes 4 bytes times its square */
#define MAX_STEPS 50000000   /* lines compared on the way */
#define MAX_LINES (1 << 28)  /* sums of two line numbers stay in an int32_t */
#define NOWHERE (-1)         /* no path of this length ends on that diagonal */

struct line {
	const char *text;
	size_t len; /* its newline included */
	uint32_t hash;
};

/* One version of the file. changed[i]: line i is not in the other one. */
struct side {
	struct line *line;
	bool *changed;
	size_t len;
};

/* The lines between the common first and last ones. */
struct middle {
	const struct line *a, *b;
	bool *gone, *come;
	int32_t n, m;
};

static void side_done(struct side *s)
{
	free(s->line);
	free(s->changed);
}

static int side_init(struct side *s, const char *text, size_t len, struct p2h_error *err)
{
	const char *end = text + len;
	size_t lines = 0;

	for (const char *p = text; p < end; lines++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));

		p = nl ? nl + 1 : end;
	}
	s->line = calloc(lines + 1, sizeof(*s->line));
	s->changed = calloc(lines + 1, sizeof(*s->changed));
	if (!s->line || !s->changed)
		return error_nomem(err);
	for (const char *p = text; p < end; s->len++) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		struct line *l = &s->line[s->len];

		l->text = p;
		l->len = (size_t)((nl ? nl + 1 : end) - p);
		l->hash = 2166136261u;
		for (size_t i = 0; i < l->len; i++)
			l->hash = (l->hash ^ (unsigned char)p[i]) * 16777619u;
		p += l->len;
	}
	return 0;
}

static bool same(const struct line *a, const struct line *b)
{
	return a->hash == b->hash && a->len == b->len && !memcmp(a->text, b->text, a->len);
}

/*
 * Where the best path of one edit more comes from, on diagonal k (lines of a minus lines of b): from k + 1 by a line of b that comes, or from
 * k - 1 by a line of a that goes. prev[-d + 1 .. d - 1] holds how far in a the paths of one edit less came. Returns lines of a, or NOWHERE.
 */
static int32_t step(const struct middle *mid, const int32_t *prev, int32_t d, int32_t k, bool *ret_come)
{
	int32_t come = k <= d - 2 ? prev[k + 1] : NOWHERE, go = k >= 2 - d ? prev[k - 1] : NOWHERE;

	if (come != NOWHERE && come - k > mid->m)
		come = NOWHERE;
	go = go == NOWHERE || go >= mid->n ? NOWHERE : go + 1;
	*ret_come = come != NOWHERE && come >= go;
	return *ret_come ? come : go;
}

/* The rows of the trace: row d holds diagonals -d .. d, and is addressed by its middle. */
static int32_t *row(int32_t *trace, int32_t d)
{
	return trace + (size_t)d * (size_t)d + (size_t)d;
}

static void mark(const struct middle *mid, int32_t *trace, int32_t d)
{
	int32_t x = mid->n, y = mid->m;

	for (; d > 0; d--) {
		const int32_t *prev = row(trace, d - 1);
		int32_t k = x - y;
		bool come;

		step(mid, prev, d, k, &come);
		x = prev[come ? k + 1 : k - 1];
		y = x - (come ? k + 1 : k - 1);
		if (come)
			mid->come[y] = true;
		else
			mid->gone[x] = true;
	}
}

/* *ret_found false: too many edits. */
static int shortest(const struct middle *mid, bool *ret_found, struct p2h_error *err)
{
	CLEANUP_FREE int32_t *trace = NULL;
	size_t rows = 0;
	long steps = 0;

	*ret_found = false;
	for (int32_t d = 0; d <= MAX_EDITS; d++) {
		if ((size_t)d == rows) {
			size_t want = rows ? rows * 2 : 16;
			int32_t *bigger = reallocarray(trace, want * want, sizeof(*trace));

			if (!bigger)
				return error_nomem(err);
			trace = bigger;
			rows = want;
		}
		for (int32_t k = -d; k <= d; k += 2) {
			bool come;
			int32_t x = d ? step(mid, row(trace, d - 1), d, k, &come) : 0;

			for (; x != NOWHERE && x < mid->n && x - k < mid->m && same(&mid->a[x], &mid->b[x - k]); x++)
				steps++;
			row(trace, d)[k] = x;
			if (x == mid->n && x - k == mid->m) {
				mark(mid, trace, d);
				*ret_found = true;
				return 0;
			}
		}
		if (steps > MAX_STEPS)
			return 0;
	}
	return 0;
}

static int compare(struct side *a, struct side *b, struct p2h_error *err)
{
	size_t first = 0, last = 0, least = a->len < b->len ? a->len : b->len, n, m;
	bool found = false;

	while (first < least && same(&a->line[first], &b->line[first]))
		first++;
	while (last < least - first && same(&a->line[a->len - 1 - last], &b->line[b->len - 1 - last]))
		last++;
	n = a->len - first - last;
	m = b->len - first - last;
	if (n && m && n < MAX_LINES && m < MAX_LINES) {
		struct middle mid = {.a = a->line + first, .b = b->line + first, .n = (int32_t)n, .m = (int32_t)m,
				     .gone = a->changed + first, .come = b->changed + first};
		int rc = shortest(&mid, &found, err);

		if (rc)
			return rc;
	}
	if (!found) {
		memset(a->changed + first, true, n);
		memset(b->changed + first, true, m);
	}
	return 0;
}

static void print_line(struct buf *ret, char sign, const struct line *l)
{
	bool whole = l->text[l->len - 1] == '\n';

	buf_append(ret, &sign, 1);
	escape_append(ret, l->text, l->len - whole);
	buf_puts(ret, whole ? "\n" : "\n\\ No newline at end of file\n");
}

/* "12,3": first line and number of lines; a number of 1 is left out, and without lines it is the line before. */
static void print_range(struct buf *ret, size_t first, size_t end)
{
	buf_printf(ret, "%zu", end > first ? first + 1 : first);
	if (end - first != 1)
		buf_printf(ret, ",%zu", end - first);
}

/* Moves over lines that both have. */
static size_t skip_same(const struct side *a, const struct side *b, size_t *i, size_t *j)
{
	size_t n = 0;

	for (; *i < a->len && *j < b->len && !a->changed[*i] && !b->changed[*j]; n++) {
		(*i)++;
		(*j)++;
	}
	return n;
}

static void skip_changed(const struct side *a, const struct side *b, size_t *i, size_t *j)
{
	while (*i < a->len && a->changed[*i])
		(*i)++;
	while (*j < b->len && b->changed[*j])
		(*j)++;
}

static void print_hunk(struct buf *ret, const struct side *a, const struct side *b, const size_t from[2], const size_t to[2])
{
	size_t i = from[0], j = from[1];

	buf_puts(ret, "@@ -");
	print_range(ret, from[0], to[0]);
	buf_puts(ret, " +");
	print_range(ret, from[1], to[1]);
	buf_puts(ret, " @@\n");
	while (i < to[0] || j < to[1]) {
		while (i < to[0] && a->changed[i])
			print_line(ret, '-', &a->line[i++]);
		while (j < to[1] && b->changed[j])
			print_line(ret, '+', &b->line[j++]);
		for (; i < to[0] && j < to[1] && !a->changed[i] && !b->changed[j]; i++, j++)
			print_line(ret, ' ', &a->line[i]);
	}
}

static void print_hunks(struct buf *ret, const struct side *a, const struct side *b)
{
	size_t i = 0, j = 0;

	for (size_t before = skip_same(a, b, &i, &j); i < a->len || j < b->len;) {
		size_t lead = before < CONTEXT ? before : CONTEXT;
		const size_t from[2] = {i - lead, j - lead};
		size_t to[2], run;

		/* Changes whose contexts would touch go into one hunk. */
		do {
			skip_changed(a, b, &i, &j);
			to[0] = i;
			to[1] = j;
			run = skip_same(a, b, &i, &j);
		} while (run <= 2 * CONTEXT && (i < a->len || j < b->len));
		to[0] += run < CONTEXT ? run : CONTEXT;
		to[1] += run < CONTEXT ? run : CONTEXT;
		print_hunk(ret, a, b, from, to);
		before = run;
	}
}

/* patch(1) ends a name at a tab. */
static void print_name(struct buf *ret, const char *mark_and_side, const char *path, bool there)
{
	buf_append(ret, mark_and_side, 4);
	if (!there) {
		buf_puts(ret, "/dev/null\n");
		return;
	}
	buf_puts(ret, mark_and_side + 4);
	if (*path != '/')
		buf_puts(ret, "/");
	for (size_t n; *path; path += n) {
		n = *path == '\t' ? 1 : strcspn(path, "\t");
		if (*path == '\t')
			buf_puts(ret, "\\x09");
		else
			escape_append(ret, path, n);
	}
	buf_puts(ret, "\n");
}

int diff_unified(const char *path, const char *before, size_t before_len, const char *after, size_t after_len,
		 struct buf *ret, struct p2h_error *err)
{
	CLEANUP(side_done) struct side a = {0};
	CLEANUP(side_done) struct side b = {0};
	int rc = side_init(&a, before ? before : "", before ? before_len : 0, err);

	if (!rc)
		rc = side_init(&b, after ? after : "", after ? after_len : 0, err);
	if (!rc)
		rc = compare(&a, &b, err);
	if (rc)
		return rc;
	if (before && after && before_len == after_len && (!before_len || !memcmp(before, after, before_len)))
		return 0;
	if (!before && !after)
		return 0;
	print_name(ret, "--- a", path, before != NULL);
	print_name(ret, "+++ b", path, after != NULL);
	print_hunks(ret, &a, &b);
	return ret->failed ? error_nomem(err) : 0;
}
