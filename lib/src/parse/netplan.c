#include "parse/netplan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

#define DEPTH 5 /* network, ethernets, DEVICE, match, macaddress */
#define MAX_DEVICES 64

/* A key of a block mapping, with the place that it has. */
struct key {
	size_t indent, len, value; /* value: offset in the line */
	const char *at;
};

/* What stands below one device. */
struct device {
	char name[16];     /* that the card gets */
	size_t keys, match_keys;
	bool bound;        /* match: names an address */
};

struct walk {
	struct key stack[DEPTH];
	size_t depth;      /* how many keys lead to this line, itself included */
	struct device device[MAX_DEVICES];
	size_t devices;
};

static bool is(const struct key *k, const char *name)
{
	return k->len == strlen(name) && !memcmp(k->at, name, k->len);
}

/* "  key: value"; false for blank lines, comments, list items and everything else. */
static bool read_key(const struct scan_line *l, struct key *ret)
{
	size_t indent = 0, n;
	const char *at;
	char quote;

	while (indent < l->len && l->at[indent] == ' ')
		indent++;
	at = l->at + indent;
	if (indent == l->len || strchr("#-\t{}[]&*!|>%@`?", *at))
		return false;
	quote = *at == '"' || *at == '\'' ? *at : '\0';
	for (n = quote ? 1 : 0; indent + n < l->len; n++)
		if (quote ? at[n] == quote : at[n] == ':' && (indent + n + 1 == l->len || scan_is_blank(at[n + 1])))
			break;
	if (indent + n >= l->len)
		return false;
	*ret = (struct key){.indent = indent, .at = at + (quote != '\0'), .len = n - (quote != '\0'), .value = indent + n + 1};
	if (quote) {
		if (ret->value >= l->len || l->at[ret->value] != ':')
			return false;
		ret->value++;
	}
	ret->value += scan_blanks(l->at + ret->value, l->len - ret->value);
	return true;
}

/* The device whose block the line stands in, or begins. NULL: none. */
static struct device *enter(struct walk *w, const struct key *k)
{
	while (w->depth && w->stack[w->depth - 1].indent >= k->indent)
		w->depth--;
	if (w->depth == DEPTH)
		return NULL; /* deeper than anything of ours */
	w->stack[w->depth++] = *k;
	if (w->depth < 3 || !is(&w->stack[0], "network") || !is(&w->stack[1], "ethernets"))
		return NULL;
	if (w->depth == 3) {
		if (w->devices == MAX_DEVICES)
			return NULL;
		w->devices++;
	}
	return w->devices ? &w->device[w->devices - 1] : NULL;
}

static bool is_eth(const char *at, size_t len)
{
	if (len < 4 || len > 15 || memcmp(at, "eth", 3))
		return false;
	for (size_t i = 3; i < len; i++)
		if (!isdigit((unsigned char)at[i]))
			return false;
	return true;
}

static void take_name(struct device *d, const char *at, size_t len)
{
	while (len && scan_is_blank(at[len - 1]))
		len--;
	if (len >= 2 && (*at == '"' || *at == '\'') && at[len - 1] == *at) {
		at++;
		len -= 2;
	}
	if (!is_eth(at, len))
		return;
	memcpy(d->name, at, len);
	d->name[len] = '\0';
}

static bool in_match(const struct walk *w)
{
	return w->depth == 5 && is(&w->stack[3], "match") && is(&w->stack[4], "macaddress");
}

/* First pass: what each device has. */
static void survey(const char *text, size_t len, struct walk *w)
{
	struct scan_line l = {0};

	while (scan_line_next(text, len, &l)) {
		struct key k;
		struct device *d = read_key(&l, &k) ? enter(w, &k) : NULL;

		if (!d)
			continue;
		d->keys += w->depth == 4;
		d->match_keys += w->depth == 5 && is(&w->stack[3], "match");
		d->bound = d->bound || in_match(w);
		if (w->depth == 3 || (w->depth == 4 && is(&k, "set-name")))
			take_name(d, w->depth == 3 ? k.at : l.at + k.value, w->depth == 3 ? k.len : l.len - k.value);
	}
}

static size_t any_name(const struct walk *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->devices; i++)
		n += w->device[i].bound && w->device[i].match_keys == 1 && !*w->device[i].name;
	return n;
}

static bool mentions(const struct scan_line *l)
{
	const char *found = memmem(l->at, l->len, "macaddress", 10), *hash = memchr(l->at, '#', l->len);

	return found && (!hash || found < hash);
}

/* Second pass. A name that fits several cards is no way to tell two of them apart. */
static void rewrite(const char *text, size_t len, const struct walk *found, struct buf *out, size_t *odd)
{
	struct walk w = {0};
	struct scan_line l = {0};
	bool several = any_name(found) > 1;

	while (scan_line_next(text, len, &l)) {
		size_t whole = l.next - l.off;
		struct key k;
		bool key = read_key(&l, &k);
		struct device *d = key ? enter(&w, &k) : NULL;
		const struct device *all = d ? &found->device[d - w.device] : NULL;
		bool simple = key && is(&k, "macaddress") && k.value < l.len && !strchr("{[&*!|>", l.at[k.value]);

		if (simple && all && in_match(&w) && (all->match_keys > 1 || *all->name || !several)) {
			buf_puts(out, "#pv2hvm: ");
			buf_append(out, l.at, whole);
			if (all->match_keys == 1) {
				if (whole == l.full)
					buf_puts(out, "\n");
				buf_printf(out, "%*sname: \"%s\"", (int)k.indent, "", *all->name ? all->name : "e*");
				buf_append(out, l.at + l.full, whole - l.full);
			}
			continue;
		}
		if (simple && all && w.depth == 4 && all->keys > 1) {
			buf_puts(out, "#pv2hvm: ");
		} else if (!*odd && mentions(&l) && !(w.depth >= 2 && !is(&w.stack[1], "ethernets"))) {
			*odd = l.number;
		}
		buf_append(out, l.at, whole);
	}
}

int netplan_unbind(const char *text, size_t len, struct buf *out, size_t *ret_odd, struct p2h_error *err)
{
	CLEANUP_FREE struct walk *found = calloc(1, sizeof(*found));

	*ret_odd = 0;
	if (!found)
		return error_nomem(err);
	survey(text, len, found);
	rewrite(text, len, found, out, ret_odd);
	return out->failed ? error_nomem(err) : 0;
}
