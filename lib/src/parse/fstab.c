#include "parse/fstab.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/scan.h"

static const char *const default_text[FSTAB_FIELDS] = {"", "", "", "defaults", "0", "0"};

static void entry_done(struct fstab_entry *e)
{
	for (int i = 0; i < FSTAB_FIELDS; i++)
		free(e->text[i]);
}

void fstab_done(struct fstab *f)
{
	for (size_t i = 0; i < f->len; i++)
		entry_done(&f->item[i]);
	free(f->item);
	*f = (struct fstab){0};
}

/* Value of "\ooo" at `at`, 0 if there is none. "\000" is none: libmount keeps such text, and a C string could not hold it. */
static unsigned octal_escape(const char *at, size_t len)
{
	unsigned value = 0;

	if (len < 4 || at[0] != '\\' || at[1] < '0' || at[1] > '3')
		return 0;
	for (int i = 1; i < 4; i++) {
		if (at[i] < '0' || at[i] > '7')
			return 0;
		value = value * 8 + (unsigned)(at[i] - '0');
	}
	return value;
}

static char *decode(const char *at, size_t len)
{
	char *text = malloc(len + 1);
	size_t n = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len;) {
		unsigned value = octal_escape(at + i, len - i);

		text[n++] = value ? (char)value : at[i];
		i += value ? 4 : 1;
	}
	text[n] = '\0';
	return text;
}

static void encode(const char *value, struct buf *out)
{
	for (const char *c = value; *c; c++) {
		/* '#' is special only where it would make the line a comment; it is escaped in front, wherever the field stands. */
		if (scan_is_blank(*c) || *c == '\n' || *c == '\\' || (*c == '#' && c == value))
			buf_printf(out, "\\%03o", (unsigned char)*c);
		else
			buf_append(out, c, 1);
	}
}

/* Finds the fields of a line; returns how many there are (6 at most), 0 for a comment or a blank line. */
static int find_fields(const struct scan_line *l, struct fstab_entry *e)
{
	size_t pos = scan_blanks(l->at, l->len);
	size_t last = 0;
	int n = 0;

	*e = (struct fstab_entry){.line = l->number};
	if (pos < l->len && l->at[pos] == '#')
		return 0;
	while (pos < l->len && n < FSTAB_FIELDS) {
		e->off[n] = l->off + pos;
		e->len[n] = scan_word(l->at + pos, l->len - pos);
		last = e->off[n] + e->len[n];
		pos += e->len[n++];
		pos += scan_blanks(l->at + pos, l->len - pos);
	}
	for (int i = n; i < FSTAB_FIELDS; i++)
		e->off[i] = last;
	return n;
}

static int fill_texts(const char *text, struct fstab_entry *e, struct p2h_error *err)
{
	for (int i = 0; i < FSTAB_FIELDS; i++) {
		e->text[i] = e->len[i] ? decode(text + e->off[i], e->len[i]) : strdup(default_text[i]);
		if (!e->text[i])
			return error_nomem(err);
	}
	return 0;
}

int fstab_parse(const char *text, size_t len, struct fstab *ret, struct p2h_error *err)
{
	CLEANUP(fstab_done) struct fstab f = {0};
	struct scan_line l = {0};
	size_t cap = 0;

	*ret = (struct fstab){0};
	while (scan_line_next(text, len, &l)) {
		struct fstab_entry e, *bigger;
		int n = find_fields(&l, &e), code;

		if (n < 3) {
			f.odd += n > 0;
			continue;
		}
		if (f.len == SCAN_MAX_ENTRIES)
			return error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u entries", l.number, SCAN_MAX_ENTRIES);
		bigger = scan_room(f.item, f.len, &cap, sizeof(*f.item));
		if (!bigger)
			return error_nomem(err);
		f.item = bigger;
		code = fill_texts(text, &e, err);
		f.item[f.len++] = e;
		if (code)
			return code;
	}
	*ret = f;
	f = (struct fstab){0};
	return 0;
}

bool fstab_has_option(const char *options, const char *name)
{
	size_t want = strlen(name);

	for (;;) {
		bool quoted = false;
		size_t n = 0;

		if (!strncmp(options, name, want) && (!options[want] || options[want] == ',' || options[want] == '='))
			return want > 0;
		/* A comma within double quotes belongs to a value: context="system_u:object_r:tmp_t:s0:c127,c456". */
		for (; options[n] && (quoted || options[n] != ','); n++)
			if (options[n] == '"')
				quoted = !quoted;
		if (!options[n])
			return false;
		options += n + 1;
	}
}

static int compare_changes(const void *a, const void *b)
{
	const struct fstab_change *x = a, *y = b;

	if (x->entry != y->entry)
		return x->entry < y->entry ? -1 : 1;
	return (x->field > y->field) - (x->field < y->field);
}

/* The changes in the order of their places. Entries stand in the order of the text, so do the fields of an entry. */
static int sort_changes(size_t len, const struct fstab *f, const struct fstab_change *change, size_t changes,
			struct fstab_change **ret, struct p2h_error *err)
{
	CLEANUP_FREE struct fstab_change *sorted = reallocarray(NULL, changes + 1, sizeof(*sorted));

	if (!sorted)
		return error_nomem(err);
	if (changes)
		memcpy(sorted, change, changes * sizeof(*sorted));
	qsort(sorted, changes, sizeof(*sorted), compare_changes);
	for (size_t i = 0; i < changes; i++) {
		const struct fstab_change *c = &sorted[i];

		if (c->entry >= f->len || (unsigned)c->field >= FSTAB_FIELDS || !c->value || !*c->value)
			return error_set(err, P2H_USAGE, "fstab change %zu names no field or has no value", i);
		if (!range_ok(f->item[c->entry].off[c->field], f->item[c->entry].len[c->field], len))
			return error_set(err, P2H_USAGE, "fstab change %zu does not belong to this text", i);
		if (i && !compare_changes(c - 1, c))
			return error_set(err, P2H_USAGE, "line %zu: the same field is changed twice", f->item[c->entry].line);
	}
	*ret = TAKE(sorted);
	return 0;
}

/* Fields the line lacks: those before the changed one are needed too. The separator is the one in front of the last field. */
static void append_missing(const char *text, const struct fstab_entry *e, const struct fstab_change *c, int *written,
			   struct buf *out)
{
	int last = FSTAB_FIELDS - 1;
	char separator;

	while (!e->len[last])
		last--;
	separator = text[e->off[last] - 1] == '\t' ? '\t' : ' ';
	if (*written < last)
		*written = last;
	while (*written < (int)c->field) {
		int field = ++*written;

		buf_append(out, &separator, 1);
		if (field == (int)c->field)
			encode(c->value, out);
		else
			buf_puts(out, default_text[field]);
	}
}

int fstab_edit(const char *text, size_t len, const struct fstab *f, const struct fstab_change *change, size_t changes,
	       struct buf *ret, struct p2h_error *err)
{
	CLEANUP_FREE struct fstab_change *sorted = NULL;
	CLEANUP(buf_done) struct buf out = {0};
	size_t pos = 0;
	int written = 0; /* the last field that the present line has by now */
	int code;

	*ret = (struct buf){0};
	code = sort_changes(len, f, change, changes, &sorted, err);
	if (code)
		return code;
	for (size_t i = 0; i < changes; i++) {
		const struct fstab_change *c = &sorted[i];
		const struct fstab_entry *e = &f->item[c->entry];

		if (!i || c->entry != sorted[i - 1].entry)
			written = 0;
		if (e->off[c->field] < pos)
			return error_set(err, P2H_USAGE, "line %zu: the places of the fields are out of order", e->line);
		buf_append(&out, text + pos, e->off[c->field] - pos);
		pos = e->off[c->field] + e->len[c->field];
		if (e->len[c->field])
			encode(c->value, &out);
		else
			append_missing(text, e, c, &written, &out);
	}
	buf_append(&out, text + pos, len - pos);
	if (out.failed)
		return error_nomem(err);
	*ret = out;
	out = (struct buf){0};
	return 0;
}
