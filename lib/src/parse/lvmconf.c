#include "parse/lvmconf.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

/* libdm/libdm-config.c: a word, a string in double quotes with backslashes, or a single character; comments begin with '#'. */
struct token {
	enum { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_OTHER } kind;
	size_t off, len; /* quotes included */
};

struct lexer {
	const char *text;
	size_t len, pos, line;
};

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_-./+", c));
}

static void skip_blanks(struct lexer *x)
{
	bool comment = false;

	for (; x->pos < x->len; x->pos++) {
		char c = x->text[x->pos];

		if (c == '\n')
			x->line++;
		comment = c != '\n' && (comment || c == '#');
		if (!comment && c != '\n' && !scan_is_blank(c))
			return;
	}
}

static struct token next_token(struct lexer *x)
{
	struct token t = {TOKEN_END, 0, 0};

	skip_blanks(x);
	t.off = x->pos;
	if (x->pos == x->len)
		return t;
	t.kind = TOKEN_OTHER;
	if (x->text[x->pos] == '"') {
		t.kind = TOKEN_STRING;
		for (x->pos++; x->pos < x->len && x->text[x->pos] != '"'; x->pos++) {
			x->pos += x->text[x->pos] == '\\' && x->pos + 1 < x->len;
			x->line += x->text[x->pos] == '\n';
		}
		if (x->pos == x->len)
			t.kind = TOKEN_END; /* never closed: LVM refuses the file */
		else
			x->pos++;
	} else if (is_word(x->text[x->pos])) {
		t.kind = TOKEN_WORD;
		while (x->pos < x->len && is_word(x->text[x->pos]))
			x->pos++;
	} else {
		x->pos++;
	}
	t.len = x->pos - t.off;
	return t;
}

static bool is(const struct lexer *x, const struct token *t, const char *text)
{
	return t->len == strlen(text) && !memcmp(x->text + t->off, text, t->len);
}

static int add_pattern(struct lvm_filter *f, const struct lexer *x, const struct token *t)
{
	const char *at = x->text + t->off + 1;
	size_t len = t->len - 2;
	struct lvm_pattern *bigger = scan_room(f->item, f->len, &f->cap, sizeof(*f->item)), *p;

	if (!bigger)
		return P2H_NOMEM;
	f->item = bigger;
	p = &f->item[f->len++];
	*p = (struct lvm_pattern){.off = t->off, .len = t->len, .accept = len && *at == 'a'};
	if (len < 3 || (*at != 'a' && *at != 'r') || at[1] != at[len - 1] || memchr(at, '\\', len) || memchr(at, '\0', len))
		return 0;
	p->regex = strndup(at + 2, len - 3);
	return p->regex ? 0 : P2H_NOMEM;
}

/* What stands behind "filter =". */
static int read_value(struct lexer *x, struct lvmconf *c)
{
	struct lvm_filter *bigger = scan_room(c->item, c->len, &c->cap, sizeof(*c->item)), *f;
	struct token t = next_token(x);
	bool array = is(x, &t, "[");
	int rc = 0;

	if (!bigger)
		return P2H_NOMEM;
	c->item = bigger;
	f = &c->item[c->len++];
	*f = (struct lvm_filter){.line = x->line};
	if (array)
		t = next_token(x);
	while (!rc && t.kind != TOKEN_END && !is(x, &t, "]") && f->len < SCAN_MAX_ENTRIES) {
		if (t.kind == TOKEN_STRING)
			rc = add_pattern(f, x, &t);
		if (!array)
			break;
		t = next_token(x);
	}
	return rc;
}

int lvmconf_parse(const char *text, size_t len, struct lvmconf *ret, struct p2h_error *err)
{
	CLEANUP(lvmconf_done) struct lvmconf c = {0};
	struct lexer x = {text, len, 0, 1};
	struct token name = {TOKEN_END, 0, 0}, t;
	size_t depth = 0;
	bool devices = false;
	int rc = 0;

	while (!rc && c.len < SCAN_MAX_ENTRIES && (t = next_token(&x)).kind != TOKEN_END) {
		if (is(&x, &t, "{") && !depth++)
			devices = is(&x, &name, "devices");
		else if (is(&x, &t, "}") && depth)
			depth--;
		else if (is(&x, &t, "=") && ((depth == 1 && devices && (is(&x, &name, "filter") || is(&x, &name, "global_filter"))) ||
					     (!depth && (is(&x, &name, "devices/filter") || is(&x, &name, "devices/global_filter")))))
			rc = read_value(&x, &c);
		name = t;
	}
	if (rc)
		return error_nomem(err);
	*ret = c;
	c = (struct lvmconf){0};
	return 0;
}

void lvmconf_done(struct lvmconf *c)
{
	for (size_t i = 0; i < c->len; i++) {
		for (size_t k = 0; k < c->item[i].len; k++)
			free(c->item[i].item[k].regex);
		free(c->item[i].item);
	}
	free(c->item);
	*c = (struct lvmconf){0};
}
