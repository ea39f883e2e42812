#include "plan/settings.h"

#include <string.h>

#include "base/cleanup.h"
#include "plan/words.h"

#define MAX_NAMES 2

static size_t blanks(const struct line *l, size_t at)
{
	while (at < l->len && is_blank(l->text[at]))
		at++;
	return at;
}

/* Is there nothing behind the value but a comment? */
static bool is_rest(const struct line *l, size_t at)
{
	size_t next = blanks(l, at);

	return next == l->len || (next > at && l->text[next] == '#');
}

static bool has_own_name(const struct line *l, const struct setting *s, const char *name)
{
	CLEANUP(buf_done) struct buf plain = {0}, braced = {0};

	buf_printf(&plain, "$%s", name);
	buf_printf(&braced, "${%s}", name);
	return plain.failed || braced.failed || memmem(l->text + s->value, s->len, braced.data, braced.len) ||
	       has_word(l->text + s->value, s->len, plain.data);
}

bool setting_read(const struct line *l, const char *name, struct setting *ret)
{
	size_t at = blanks(l, 0), n = strlen(name), end;

	*ret = (struct setting){0};
	if (l->len - at > 7 && !memcmp(l->text + at, "export", 6) && is_blank(l->text[at + 6]))
		at = blanks(l, at + 6);
	if (l->len - at <= n || memcmp(l->text + at, name, n) || l->text[at + n] != '=')
		return false;
	end = at + n + 1;
	if (end < l->len && (l->text[end] == '"' || l->text[end] == '\''))
		ret->quote = l->text[end++];
	ret->value = end;
	while (end < l->len && (ret->quote ? l->text[end] != ret->quote : !strchr(" \t;#\"'`$\\&|()<>", l->text[end]))) {
		if (ret->quote == '"' && l->text[end] == '\\' && end + 1 < l->len)
			end++;
		end++;
	}
	ret->len = end - ret->value;
	ret->adds = ret->quote == '"' && has_own_name(l, ret, name);
	if (ret->quote && end == l->len)
		return true; /* goes on on the next line */
	ret->simple = is_rest(l, end + (ret->quote ? 1 : 0)) && !memchr(l->text + ret->value, '`', ret->len) &&
		      !memmem(l->text + ret->value, ret->len, "$(", 2);
	return true;
}

/* What the variables say in the end, and where the first one was set last. */
struct view {
	struct words words[MAX_NAMES];
	struct words all;
	size_t file, line; /* of the last assignment of name[0]; line 0: none */
	bool simple;       /* that assignment is */
};

static void view_done(struct view *v)
{
	for (size_t i = 0; i < MAX_NAMES; i++)
		words_done(&v->words[i]);
	words_done(&v->all);
}

static void look(struct planner *p, const struct settings *s, struct view *v)
{
	for (size_t i = 0; i < s->files; i++) {
		size_t len, at = 0;
		const char *text = planner_text(p, s->file[i], &len);
		struct line l = {0};
		struct setting found;

		while (text && next_line(text, len, &at, &l)) {
			for (size_t k = 0; k < s->names; k++) {
				if (!setting_read(&l, s->name[k], &found))
					continue;
				if (!found.adds)
					words_done(&v->words[k]);
				if (found.simple)
					words_look(p, &v->words[k], l.text + found.value, found.len);
				else
					planner_tell(p, arena_printf(p->arena, "%s:%zu", s->file[i], l.number),
						     arena_printf(p->arena, "%s is an expression, or goes on on the next line", s->name[k]),
						     "it is left alone: look for parameters in it that are for PV only, such as console=hvc0");
				if (k)
					continue;
				v->file = i;
				v->line = l.number;
				v->simple = found.simple;
			}
		}
	}
	for (size_t k = 0; k < s->names; k++)
		for (size_t i = 0; i < v->words[k].all.len; i++)
			strlist_add(&v->all.all, v->words[k].all.item[i]);
	if (v->all.all.failed)
		p->arena->failed = true;
}

static void put_value(struct planner *p, const struct view *v, const struct line *l, const struct setting *found, bool add, struct buf *out)
{
	CLEANUP(buf_done) struct buf value = {0};
	bool quote;

	words_filter(p, &v->all, l->text + found->value, found->len, &value);
	if (add)
		words_missing(p, &v->all, &value);
	if (value.failed) {
		p->arena->failed = true;
		return;
	}
	if (value.len && !found->len && value.data[0] == ' ') {
		memmove(value.data, value.data + 1, value.len); /* the first of an empty value */
		value.len--;
	}
	quote = !found->quote && value.len && memchr(value.data, ' ', value.len);
	buf_append(out, l->text, found->value);
	buf_puts(out, quote ? "\"" : "");
	buf_append(out, value.len ? value.data : "", value.len);
	buf_puts(out, quote ? "\"" : "");
	buf_append(out, l->text + found->value + found->len, l->whole - found->value - found->len);
}

/* A line of our own, where there is no assignment that could be added to. Never with a CR: a shell would take it for a part of the value. */
static void put_own(struct planner *p, const struct settings *s, const struct view *v, struct buf *out)
{
	CLEANUP(buf_done) struct buf value = {0};

	words_missing(p, &v->all, &value);
	if (value.failed || !value.len) {
		p->arena->failed |= value.failed;
		return;
	}
	if (out->len && out->data[out->len - 1] != '\n')
		buf_puts(out, "\n");
	if (v->line)
		buf_printf(out, "%s=\"$%s%s\"\n", s->name[0], s->name[0], value.data);
	else
		buf_printf(out, "%s=\"%s\"\n", s->name[0], value.data + 1);
}

void settings_edit(struct planner *p, const struct settings *s, const char *reason)
{
	CLEANUP(view_done) struct view v = {0};

	look(p, s, &v);
	for (size_t i = 0; i < s->files && !p->arena->failed; i++) {
		CLEANUP(buf_done) struct buf out = {0};
		size_t len, at = 0;
		const char *text = planner_text(p, s->file[i], &len);
		struct line l = {0};

		while (text && next_line(text, len, &at, &l)) {
			struct setting found = {0};
			size_t k = 0;

			while (k < s->names && !setting_read(&l, s->name[k], &found))
				k++;
			if (k < s->names && found.simple)
				put_value(p, &v, &l, &found, !k && i == v.file && l.number == v.line, &out);
			else
				buf_append(&out, l.text, l.whole);
		}
		if (text && i == (v.line ? v.file : 0) && !v.simple)
			put_own(p, s, &v, &out);
		if (text)
			planner_write_buf(p, s->file[i], &out, 0644, reason);
	}
}

void setting_put(struct planner *p, const char *file, const char *name, const char *value, const char *reason)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, file, &len);
	struct line l = {0};
	struct setting s;
	bool done = false;

	while (text && next_line(text, len, &at, &l)) {
		if (!setting_read(&l, name, &s) || !s.simple) {
			buf_append(&out, l.text, l.whole);
			continue;
		}
		buf_append(&out, l.text, s.value);
		buf_printf(&out, !s.quote && strchr(value, '>') ? "\"%s\"" : "%s", value);
		buf_append(&out, l.text + s.value + s.len, l.whole - s.value - s.len);
		done = true;
	}
	if (!done) {
		buf_puts(&out, out.len && out.data[out.len - 1] != '\n' ? "\n" : "");
		buf_printf(&out, strchr(value, '>') ? "%s=\"%s\"\n" : "%s=%s\n", name, value);
	}
	planner_write_buf(p, file, &out, 0644, reason);
}

bool setting_stands(struct planner *p, const char *file, const char *name, const char *start)
{
	size_t len, at = 0;
	const char *text = planner_text(p, file, &len);
	struct line l = {0};
	struct setting s;

	while (text && next_line(text, len, &at, &l))
		if (setting_read(&l, name, &s) &&
		    (!start || (s.simple && s.len >= strlen(start) && !memcmp(l.text + s.value, start, strlen(start)))))
			return true;
	return false;
}
