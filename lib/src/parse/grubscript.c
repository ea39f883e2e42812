#include "parse/grubscript.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

#define MAX_SPENT (64u << 20)
#define MAX_NAME 128u  /* of a variable; it also keeps the look ahead for "}" short */
#define MAX_VARS 4096u

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Length of "$name", "${name}", "$1", "$?" at `at`, 0 if this dollar is a plain character. The name goes to *name. */
static size_t variable_at(const char *at, size_t len, const char **name, size_t *name_len)
{
	bool braces = len > 1 && at[1] == '{';
	size_t start = braces ? 2 : 1, n = 0;

	while (start + n < len && n < MAX_NAME && is_name_char(at[start + n]))
		n++;
	if (!n && start < len && strchr("@*#?", at[start]) && at[start])
		n = 1;
	else if (n && !braces && isdigit((unsigned char)at[start]))
		n = 1;
	if (!n || (braces && (start + n >= len || at[start + n] != '}')))
		return 0;
	*name = at + start;
	*name_len = n;
	return start + n + braces;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Steps over one character, keeping count of the lines. */
static void step(struct grubscript_reader *r)
{
	if (r->pos < r->len && r->text[r->pos++] == '\n')
		r->line++;
}

/* Blanks, comments and joined lines in front of a token. */
static void skip_space(struct grubscript_reader *r)
{
	for (;;) {
		char c = r->pos < r->len ? r->text[r->pos] : '\0';

		if (r->pos >= r->len)
			return;
		if (is_space(c)) {
			r->pos++;
		} else if (c == '\\' && r->len - r->pos > 1 && r->text[r->pos + 1] == '\n') {
			step(r);
			step(r);
		} else if (c == '#') {
			const char *end = memchr(r->text + r->pos, '\n', r->len - r->pos);

			r->pos = end ? (size_t)(end - r->text) : r->len;
		} else {
			return;
		}
	}
}

/* A quote that is never closed reaches to the end of the text. */
static void skip_quoted(struct grubscript_reader *r, char quote)
{
	step(r);
	while (r->pos < r->len && r->text[r->pos] != quote) {
		if (quote == '"' && r->text[r->pos] == '\\')
			step(r);
		step(r);
	}
	step(r);
}

enum grubscript_token grubscript_next(struct grubscript_reader *r, struct grubscript_word *ret)
{
	size_t start;

	skip_space(r);
	*ret = (struct grubscript_word){r->text + r->pos, 0, r->line};
	if (r->pos >= r->len)
		return GRUBSCRIPT_END;
	start = r->pos;
	while (r->pos < r->len) {
		const char *at = r->text + r->pos, *name;
		size_t n, name_len;

		if (*at == '\'' || *at == '"') {
			skip_quoted(r, *at);
		} else if (*at == '\\') {
			step(r);
			step(r);
		} else if (*at == '$' && (n = variable_at(at, r->len - r->pos, &name, &name_len))) {
			r->pos += n;
		} else if (is_space(*at) || (*at && strchr("\n;|&{}", *at))) {
			break;
		} else {
			r->pos++;
		}
	}
	if (r->pos > start) {
		ret->len = r->pos - start;
		return GRUBSCRIPT_WORD;
	}
	ret->len = 1;
	step(r);
	return *ret->at == '{' ? GRUBSCRIPT_OPEN : *ret->at == '}' ? GRUBSCRIPT_CLOSE : GRUBSCRIPT_SEPARATOR;
}

/* Where the name stands in the sorted list, or should. */
static size_t find_place(const struct grubscript_vars *v, const char *name, bool *found)
{
	size_t low = 0, high = v->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(v->item[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	*found = low < v->len && !strcmp(v->item[low].name, name);
	return low;
}

const char *grubscript_get(const struct grubscript_vars *v, const char *name)
{
	/* What only the running GRUB knows: where it was started from, positional arguments and the like. */
	static const char *const unknown[] = {"root", "prefix", "cmdpath", "config_file", "config_directory", "@", "*", "#", "?"};
	bool found;
	size_t place = find_place(v, name, &found);

	if (found)
		return v->item[place].value;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(*unknown); i++)
		if (!strcmp(name, unknown[i]))
			return NULL;
	if (isdigit((unsigned char)*name) || !strncmp(name, "net_", 4) || !strncmp(name, "pxe_", 4))
		return NULL;
	if (!strcmp(name, "grub_platform"))
		return "pc";
	if (!strcmp(name, "grub_cpu"))
		return "i386";
	return strncmp(name, "feature_", 8) ? "" : "y";
}

/* Puts value (owned; NULL: unknown) under name, or removes the name when set is false. Gives back what was there. */
static int replace(struct grubscript_vars *v, const char *name, char *value, bool set, struct grubscript_change *old)
{
	bool found;
	size_t place = find_place(v, name, &found);
	struct grubscript_var *bigger;
	char *copy;

	old->was_set = found;
	old->old = found ? v->item[place].value : NULL;
	if (found && set) {
		v->item[place].value = value;
	} else if (found) {
		free(v->item[place].name);
		v->len--;
		memmove(v->item + place, v->item + place + 1, (v->len - place) * sizeof(*v->item));
	} else if (set) {
		copy = strdup(name);
		bigger = copy ? scan_room(v->item, v->len, &v->cap, sizeof(*v->item)) : NULL;
		if (!bigger) {
			free(copy);
			return P2H_NOMEM;
		}
		v->item = bigger;
		memmove(v->item + place + 1, v->item + place, (v->len - place) * sizeof(*v->item));
		v->item[place] = (struct grubscript_var){copy, value};
		v->len++;
	}
	return 0;
}

static int change(struct grubscript_vars *v, const char *name, const char *value, bool set, struct p2h_error *err)
{
	CLEANUP_FREE char *copy = value ? strdup(value) : NULL;
	CLEANUP_FREE char *logged = strdup(name);
	struct grubscript_change c = {0}, *bigger;
	int code;

	if ((value && !copy) || !logged)
		return error_nomem(err);
	if (v->len >= MAX_VARS)
		return error_set(err, P2H_UNSUPPORTED, "more than %u variables", MAX_VARS);
	bigger = scan_room(v->log, v->logged, &v->log_cap, sizeof(*v->log));
	if (!bigger)
		return error_nomem(err);
	v->log = bigger;
	code = replace(v, name, copy, set, &c);
	if (code)
		return error_nomem(err);
	copy = NULL;
	c.name = TAKE(logged);
	v->log[v->logged++] = c;
	return 0;
}

int grubscript_set(struct grubscript_vars *v, const char *name, const char *value, struct p2h_error *err)
{
	return change(v, name, value, true, err);
}

int grubscript_unset(struct grubscript_vars *v, const char *name, struct p2h_error *err)
{
	return change(v, name, NULL, false, err);
}

int grubscript_undo(struct grubscript_vars *v, size_t mark, struct p2h_error *err)
{
	int code = 0;

	while (v->logged > mark) {
		struct grubscript_change *c = &v->log[--v->logged], dropped = {0};

		/* Only bringing back one that was removed needs memory. */
		if (replace(v, c->name, c->old, c->was_set, &dropped)) {
			free(c->old);
			code = error_nomem(err);
		}
		free(dropped.old);
		free(c->name);
	}
	return code;
}

void grubscript_vars_done(struct grubscript_vars *v)
{
	for (size_t i = 0; i < v->len; i++) {
		free(v->item[i].name);
		free(v->item[i].value);
	}
	for (size_t i = 0; i < v->logged; i++) {
		free(v->log[i].name);
		free(v->log[i].old);
	}
	free(v->item);
	free(v->log);
	*v = (struct grubscript_vars){0};
}

int grubscript_spend(size_t *spent, size_t bytes, struct p2h_error *err)
{
	*spent += bytes < MAX_SPENT ? bytes : MAX_SPENT;
	if (*spent > MAX_SPENT)
		return error_set(err, P2H_UNSUPPORTED, "its variables and titles stand for more than %u MiB of text",
				 MAX_SPENT >> 20);
	return 0;
}

/* An expansion at work: the word at hand, and whether there is one ("" is a word, an unset variable is none). */
struct expansion {
	const struct grubscript_vars *vars;
	struct strlist *words;
	size_t *spent;
	struct buf word;
	bool any, unknown, too_much;
};

static void expansion_done(struct expansion *x)
{
	buf_done(&x->word);
}

static void put(struct expansion *x, const char *at, size_t len)
{
	x->any = true;
	if (grubscript_spend(x->spent, len, NULL))
		x->too_much = true;
	else
		buf_append(&x->word, at, len);
}

static void end_word(struct expansion *x)
{
	if (!x->any)
		return;
	buf_append(&x->word, "", 0);
	/* What the word costs beside its text. */
	if (grubscript_spend(x->spent, 32, NULL))
		x->too_much = true;
	else if (!x->word.failed)
		strlist_add(x->words, x->word.data);
	buf_clear(&x->word);
	x->any = false;
}

/* The variable written at at[0..len). */
static void put_variable(struct expansion *x, const char *at, size_t len, const char *name_at, size_t name_len, bool quoted)
{
	char name[MAX_NAME + 1];
	const char *value;

	memcpy(name, name_at, name_len);
	name[name_len] = '\0';
	value = grubscript_get(x->vars, name);
	if (!value) {
		put(x, at, len);
		x->unknown = true;
		return;
	}
	if (quoted) {
		put(x, value, strlen(value));
		return;
	}
	while (*value) {
		size_t n = strcspn(value, " \t\n");

		if (n)
			put(x, value, n);
		else
			end_word(x);
		value += n ? n : 1;
	}
}

/* One character with a backslash in front; returns how much was read. */
static size_t put_escaped(struct expansion *x, const char *at, size_t len, bool quoted)
{
	if (len < 2) {
		put(x, at, len);
		return len;
	}
	if (at[1] == '\n')
		return 2;
	/* Within double quotes a backslash means something only in front of these. */
	if (quoted && (!at[1] || !strchr("$\"\\", at[1])))
		put(x, at, 2);
	else
		put(x, at + 1, 1);
	return 2;
}

/* How many characters stand for themselves. */
static size_t plain_run(const char *at, size_t len, const char *special)
{
	size_t n = 1;

	while (n < len && (!at[n] || !strchr(special, at[n])))
		n++;
	return n;
}

static size_t put_double_quoted(struct expansion *x, const char *at, size_t len)
{
	size_t i = 1;

	x->any = true;
	while (i < len && at[i] != '"') {
		const char *name;
		size_t name_len, n;

		if (at[i] == '\\') {
			i += put_escaped(x, at + i, len - i, true);
		} else if (at[i] == '$' && (n = variable_at(at + i, len - i, &name, &name_len))) {
			put_variable(x, at + i, n, name, name_len, true);
			i += n;
		} else {
			n = plain_run(at + i, len - i, "\"\\$");
			put(x, at + i, n);
			i += n;
		}
	}
	return i < len ? i + 1 : i;
}

static size_t put_single_quoted(struct expansion *x, const char *at, size_t len)
{
	const char *end = memchr(at + 1, '\'', len - 1);
	size_t n = end ? (size_t)(end - at - 1) : len - 1;

	put(x, at + 1, n);
	return end ? n + 2 : len;
}

int grubscript_expand(const struct grubscript_word *w, const struct grubscript_vars *v, size_t *spent, struct strlist *ret,
		      bool *unknown, struct p2h_error *err)
{
	CLEANUP(expansion_done) struct expansion x = {.vars = v, .words = ret, .spent = spent};

	for (size_t i = 0; i < w->len;) {
		const char *at = w->at + i, *name;
		size_t name_len, n, left = w->len - i;

		if (*at == '\'') {
			n = put_single_quoted(&x, at, left);
		} else if (*at == '"') {
			n = put_double_quoted(&x, at, left);
		} else if (*at == '\\') {
			n = put_escaped(&x, at, left, false);
		} else if (*at == '$' && (n = variable_at(at, left, &name, &name_len))) {
			put_variable(&x, at, n, name, name_len, false);
		} else {
			n = plain_run(at, left, "'\"\\$");
			put(&x, at, n);
		}
		i += n;
	}
	end_word(&x);
	if (x.too_much)
		return grubscript_spend(spent, 1, err);
	if (x.word.failed || ret->failed)
		return error_nomem(err);
	if (x.unknown)
		*unknown = true;
	return 0;
}
