#include "parse/textconf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

/* A reader of assignments. A quote that is never closed is looked for only once, so that many of them do not cost a search each. */
struct assignments {
	const char *text;
	size_t len, pos;
	bool no_single, no_double;
};

/* Is the quoted text at pos closed? */
static bool is_closed(struct assignments *a)
{
	char quote = a->text[a->pos];
	bool *none = quote == '\'' ? &a->no_single : &a->no_double;

	if (*none)
		return false;
	for (size_t i = a->pos + 1; i < a->len; i++) {
		if (a->text[i] == quote)
			return true;
		if (quote == '"' && a->text[i] == '\\')
			i++;
	}
	*none = true;
	return false;
}

static void read_quoted(struct assignments *a, struct buf *out)
{
	char quote = a->text[a->pos++];

	while (a->text[a->pos] != quote) {
		/* Within double quotes a backslash means something only in front of these. */
		if (quote == '"' && a->text[a->pos] == '\\' && a->text[a->pos + 1] && strchr("$`\"\\\n", a->text[a->pos + 1])) {
			a->pos++;
			if (a->text[a->pos] == '\n') {
				a->pos++;
				continue;
			}
		} else if (quote == '"' && a->text[a->pos] == '\\') {
			buf_append(out, a->text + a->pos++, 1);
		}
		buf_append(out, a->text + a->pos++, 1);
	}
	a->pos++;
}

/* Reads a value as a shell does, up to a blank, a semicolon or the end of the line. */
static void read_value(struct assignments *a, struct buf *out)
{
	while (a->pos < a->len) {
		char c = a->text[a->pos];

		if (scan_is_blank(c) || c == '\n' || c == ';')
			return;
		if ((c == '"' || c == '\'') && is_closed(a)) {
			read_quoted(a, out);
			continue;
		}
		if (c == '\\' && a->pos + 1 < a->len) {
			a->pos++;
			if (a->text[a->pos] == '\n') {
				a->pos++;
				continue;
			}
		}
		/* A quote without its partner (os-release written by hand: NAME="x) is left out. */
		if (c != '"' && c != '\'')
			buf_append(out, a->text + a->pos, 1);
		a->pos++;
	}
}

static void skip_blanks(struct assignments *a)
{
	a->pos += scan_blanks(a->text + a->pos, a->len - a->pos);
}

static size_t name_length(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && (at[n] == '_' || (at[n] >= '0' && at[n] <= '9') || (at[n] >= 'A' && at[n] <= 'Z') ||
			   (at[n] >= 'a' && at[n] <= 'z')))
		n++;
	return n;
}

static void skip_line(struct assignments *a)
{
	const char *end = memchr(a->text + a->pos, '\n', a->len - a->pos);

	a->pos = end ? (size_t)(end + 1 - a->text) : a->len;
}

char *assignment_get(const char *text, size_t len, const char *name, int *code)
{
	CLEANUP(buf_done) struct buf value = {0}, other = {0};
	struct assignments a = {.text = text, .len = len};
	bool found = false;
	char *taken;

	if (code)
		*code = P2H_OK;
	for (; a.pos < len; skip_line(&a)) {
		struct buf *out = &other;
		size_t n;

		skip_blanks(&a);
		if (len - a.pos > 7 && !memcmp(text + a.pos, "export", 6) && scan_is_blank(text[a.pos + 6])) {
			a.pos += 6;
			skip_blanks(&a);
		}
		n = name_length(text + a.pos, len - a.pos);
		if (!n || n == len - a.pos || text[a.pos + n] != '=')
			continue;
		if (n == strlen(name) && !memcmp(text + a.pos, name, n)) {
			found = true;
			out = &value;
		}
		buf_clear(out);
		a.pos += n + 1;
		read_value(&a, out);
	}
	if (!found)
		return NULL;
	taken = buf_take(&value);
	if (!taken && code)
		*code = P2H_NOMEM;
	return taken;
}

static void inittab_entry_done(struct inittab_entry *e)
{
	free(e->id);
	free(e->runlevels);
	free(e->action);
	free(e->process);
}

void inittab_done(struct inittab *t)
{
	for (size_t i = 0; i < t->len; i++)
		inittab_entry_done(&t->item[i]);
	free(t->item);
	*t = (struct inittab){0};
}

/* The four fields of a line; false when it has fewer or is a comment. */
static bool inittab_split(const struct scan_line *l, const char *at[4], size_t len[4])
{
	size_t pos = scan_blanks(l->at, l->len), end = scan_trim(l->at, l->len);

	if (pos >= end || l->at[pos] == '#')
		return false;
	for (int i = 0; i < 3; i++) {
		const char *colon = memchr(l->at + pos, ':', end - pos);

		if (!colon)
			return false;
		at[i] = l->at + pos;
		len[i] = (size_t)(colon - at[i]);
		pos += len[i] + 1;
	}
	at[3] = l->at + pos;
	len[3] = end - pos;
	return true;
}

int inittab_parse(const char *text, size_t len, struct inittab *ret, struct p2h_error *err)
{
	CLEANUP(inittab_done) struct inittab t = {0};
	struct scan_line l = {0};
	size_t cap = 0;

	*ret = (struct inittab){0};
	while (scan_line_next(text, len, &l)) {
		struct inittab_entry *e;
		const char *field[4];
		size_t field_len[4];

		if (!inittab_split(&l, field, field_len))
			continue;
		if (t.len == SCAN_MAX_ENTRIES)
			return error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u entries", l.number, SCAN_MAX_ENTRIES);
		e = scan_room(t.item, t.len, &cap, sizeof(*t.item));
		if (!e)
			return error_nomem(err);
		t.item = e;
		e = &t.item[t.len++];
		*e = (struct inittab_entry){
		    .line = l.number,
		    .off = l.off,
		    .len = l.full,
		    .id = strndup(field[0], field_len[0]),
		    .runlevels = strndup(field[1], field_len[1]),
		    .action = strndup(field[2], field_len[2]),
		    .process = strndup(field[3], field_len[3]),
		};
		if (!e->id || !e->runlevels || !e->action || !e->process)
			return error_nomem(err);
	}
	*ret = t;
	t = (struct inittab){0};
	return 0;
}

/* Does the line begin with start, then name, then end? What follows goes to *rest. */
static bool kconfig_line(const struct scan_line *l, const char *start, const char *name, size_t name_len, const char *end,
			 size_t *rest)
{
	size_t a = strlen(start), b = strlen(end);

	if (l->len < a || l->len - a < name_len || l->len - a - name_len < b || memcmp(l->at, start, a) ||
	    memcmp(l->at + a, name, name_len) || memcmp(l->at + a + name_len, end, b))
		return false;
	*rest = a + name_len + b;
	return true;
}

char kconfig_get(const char *text, size_t len, const char *name)
{
	size_t name_len = strlen(name), rest;
	struct scan_line l = {0};
	char value = 'n';

	while (scan_line_next(text, len, &l)) {
		if (kconfig_line(&l, "# CONFIG_", name, name_len, " is not set", &rest)) {
			value = 'n';
		} else if (kconfig_line(&l, "CONFIG_", name, name_len, "=", &rest)) {
			size_t end = scan_trim(l.at, l.len);

			value = end == rest + 1 && strchr("ymn", l.at[rest]) ? l.at[rest] : 's';
		}
	}
	return value;
}

bool kernelimg_next(const char *text, size_t len, struct kernelimg_setting *s)
{
	struct scan_line l = {.next = s->next, .number = s->line};

	while (scan_line_next(text, len, &l)) {
		const char *comment = memchr(l.at, '#', l.len);
		size_t end = comment ? (size_t)(comment - l.at) : l.len, at = scan_blanks(l.at, end);

		s->name = l.at + at;
		s->name_len = name_length(l.at + at, end - at);
		at += s->name_len;
		at += scan_blanks(l.at + at, end - at);
		if (!s->name_len || at == end || l.at[at] != '=')
			continue;
		at++;
		at += scan_blanks(l.at + at, end - at);
		s->line = l.number;
		s->start = l.off;
		s->next = l.next;
		s->value = l.off + at;
		s->len = scan_word(l.at + at, end - at);
		return true;
	}
	return false;
}

bool kernelimg_is(const struct kernelimg_setting *s, const char *name)
{
	return s->name_len == strlen(name) && !strncasecmp(s->name, name, s->name_len);
}
