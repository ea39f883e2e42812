#include "parse/netplan.h"

#include <ctype.h>
#include <fnmatch.h>
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
	size_t bound;      /* how many of match's keys hold on the old machine only */
	size_t matches;    /* more than one: netplan refuses the file */
};

struct walk {
	const char *const *drivers;
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

static bool fits(const char *text, size_t len, const char *driver)
{
	static const char between[] = " \t,[]\"'";

	for (size_t at = 0, n; at < len; at += n + 1) {
		char pattern[32];

		for (n = 0; at + n < len && !strchr(between, text[at + n]);)
			n++;
		if (!n || n >= sizeof(pattern))
			continue;
		memcpy(pattern, text + at, n);
		pattern[n] = '\0';
		if (!fnmatch(pattern, driver, 0))
			return true;
	}
	return false;
}

/* udev says "vif", the kernel's log "xen_netfront". */
bool driver_is_gone(const char *text, size_t len, const char *const *drivers)
{
	bool out = false;

	for (; *drivers; drivers++)
		out |= !fits(text, len, *drivers);
	return out && (fits(text, len, "vif") || memmem(text, len, "xen", 3));
}

/* Length of a value without the comment behind it. */
static size_t value_length(const char *at, size_t len)
{
	for (size_t i = 1; i < len; i++)
		if (at[i] == '#' && scan_is_blank(at[i - 1]))
			len = i;
	return scan_trim(at, len);
}

/* Does a key of match: hold on the old machine only? */
static bool is_bound(const struct walk *w, const struct key *k, const char *value, size_t len)
{
	len = value_length(value, len);
	if (!len || strchr("{&*!|>", *value))
		return false;
	return is(k, "macaddress") ? *value != '[' : is(k, "driver") && driver_is_gone(value, len, w->drivers);
}

/* match: {key: value, key: value} on one line; [at, end) lies between the braces. */
struct flow {
	const char *text;
	size_t at, end;
};

static bool is_closed(const struct flow *f)
{
	char quote = '\0';
	size_t depth = 0;

	for (size_t i = f->at; i < f->end; i++) {
		char c = f->text[i];

		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? '\0' : c;
		else if (!quote && c == '[')
			depth++;
		else if (!quote && c == ']' && !depth--)
			return false;
	}
	return !quote && !depth;
}

static bool read_flow(const struct scan_line *l, const struct key *k, struct flow *ret)
{
	size_t end = k->value < l->len ? k->value + value_length(l->at + k->value, l->len - k->value) : 0;

	if (!is(k, "match") || end < k->value + 2 || l->at[k->value] != '{' || l->at[end - 1] != '}')
		return false;
	*ret = (struct flow){l->at, k->value + 1, end - 1};
	return !memchr(l->at + ret->at, '{', ret->end - ret->at) && !memchr(l->at + ret->at, '}', ret->end - ret->at) && is_closed(ret);
}

/* A comma within quotes or brackets belongs to its value. */
static bool next_pair(struct flow *f, struct scan_line *ret)
{
	char quote = '\0';
	size_t depth = 0, from;

	if (f->at >= f->end)
		return false; /* behind the last one */
	f->at += scan_blanks(f->text + f->at, f->end - f->at);
	for (from = f->at; f->at < f->end; f->at++) {
		char c = f->text[f->at];

		if (quote ? c == quote : c == '"' || c == '\'')
			quote = quote ? '\0' : c;
		if (!quote && c == ',' && !depth)
			break;
		if (!quote)
			depth += (c == '[') - (c == ']' && depth);
	}
	*ret = (struct scan_line){.at = f->text + from, .len = scan_trim(f->text + from, f->at - from)};
	f->at++;
	return ret->len > 0;
}

static bool pair_is_bound(const struct walk *w, const struct scan_line *pair)
{
	struct key k;

	return read_key(pair, &k) && is_bound(w, &k, pair->at + k.value, pair->len - k.value);
}

/* First pass: what each device has. */
static void survey(const char *text, size_t len, struct walk *w)
{
	struct scan_line l = {0}, pair;
	struct flow flow;

	while (scan_line_next(text, len, &l)) {
		struct key k;
		struct device *d = read_key(&l, &k) ? enter(w, &k) : NULL;

		if (!d)
			continue;
		d->keys += w->depth == 4;
		d->matches += w->depth == 4 && is(&k, "match");
		if (w->depth == 5 && is(&w->stack[3], "match")) {
			d->match_keys++;
			d->bound += is_bound(w, &k, l.at + k.value, l.len - k.value);
		}
		if (w->depth == 4 && read_flow(&l, &k, &flow))
			for (; next_pair(&flow, &pair); d->match_keys++)
				d->bound += pair_is_bound(w, &pair);
		if (w->depth == 3 || (w->depth == 4 && is(&k, "set-name")))
			take_name(d, w->depth == 3 ? k.at : l.at + k.value, w->depth == 3 ? k.len : l.len - k.value);
	}
}

static size_t any_name(const struct walk *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->devices; i++)
		n += w->device[i].bound && w->device[i].match_keys == w->device[i].bound && !*w->device[i].name;
	return n;
}

/* An address, or a driver of Xen's that is not the only one, on a line that stays; k: its key, if there is one. */
static bool is_odd(const struct walk *w, const struct scan_line *l, const struct key *k, const struct device *all)
{
	const char *comment = memchr(l->at, '#', l->len);
	size_t len = comment ? (size_t)(comment - l->at) : l->len;
	struct flow flow;

	if (memmem(l->at, len, "macaddress", 10))
		return true;
	if (!memmem(l->at, len, "driver", 6) || !(memmem(l->at, len, "vif", 3) || memmem(l->at, len, "xen", 3)) || !driver_is_gone("vif", 3, w->drivers))
		return false;
	return !all || all->bound || !(is(k, "driver") || read_flow(l, k, &flow));
}

static void put_comment(const struct scan_line *l, bool more, struct buf *out)
{
	buf_puts(out, "#pv2hvm: ");
	buf_append(out, l->at, l->next - l->off);
	if (more && l->next - l->off == l->full)
		buf_puts(out, "\n");
}

static void put_name(const struct device *d, struct buf *out)
{
	buf_printf(out, "name: \"%s\"", *d->name ? d->name : "e*");
}

static void put_line_end(const struct scan_line *l, struct buf *out)
{
	buf_append(out, l->at + l->full, l->next - l->off - l->full);
}

/* The line without the keys that are bound. */
static void put_flow(const struct walk *w, const struct device *d, const struct scan_line *l, const struct flow *flow, struct buf *out)
{
	struct flow f = *flow;
	struct scan_line pair;
	bool any = false;

	buf_append(out, l->at, flow->at);
	while (next_pair(&f, &pair)) {
		if (pair_is_bound(w, &pair))
			continue;
		buf_puts(out, any ? ", " : "");
		buf_append(out, pair.at, pair.len);
		any = true;
	}
	if (!any)
		put_name(d, out);
	buf_append(out, l->at + flow->end, l->full - flow->end);
	put_line_end(l, out);
}

/* match: in one of both styles. Returns false where nothing of it is bound. */
static bool put_match(struct walk *w, struct device *d, const struct device *all, const struct scan_line *l, const struct key *k, struct buf *out)
{
	struct flow flow;

	if (w->depth == 5 && is(&w->stack[3], "match") && is_bound(w, k, l->at + k->value, l->len - k->value)) {
		bool name = all->match_keys == all->bound && !d->bound;

		put_comment(l, name, out);
		if (name) {
			buf_printf(out, "%*s", (int)k->indent, "");
			put_name(all, out);
			put_line_end(l, out);
		}
		d->bound++;
		return true;
	}
	if (w->depth != 4 || !all->bound || !read_flow(l, k, &flow))
		return false;
	put_comment(l, true, out);
	put_flow(w, all, l, &flow, out);
	return true;
}

/* Second pass. A name that fits several cards is no way to tell two of them apart. */
static void rewrite(const char *text, size_t len, const struct walk *found, struct buf *out, size_t *odd)
{
	struct walk w = {.drivers = found->drivers};
	struct scan_line l = {0};
	bool several = any_name(found) > 1;

	while (scan_line_next(text, len, &l)) {
		struct key k;
		bool key = read_key(&l, &k);
		struct device *d = key ? enter(&w, &k) : NULL;
		const struct device *all = d ? &found->device[d - w.device] : NULL;

		if (all && all->matches == 1 && (all->match_keys > all->bound || *all->name || !several) && put_match(&w, d, all, &l, &k, out))
			continue;
		if (all && w.depth == 4 && is(&k, "macaddress") && all->keys > 1 && is_bound(&w, &k, l.at + k.value, l.len - k.value))
			buf_puts(out, "#pv2hvm: ");
		else if (!*odd && is_odd(&w, &l, &k, all) && !(w.depth >= 2 && !is(&w.stack[1], "ethernets")))
			*odd = l.number;
		buf_append(out, l.at, l.next - l.off);
	}
}

int netplan_unbind(const char *text, size_t len, const char *const *drivers, struct buf *out, size_t *ret_odd, struct p2h_error *err)
{
	CLEANUP_FREE struct walk *found = calloc(1, sizeof(*found));

	*ret_odd = 0;
	if (!found)
		return error_nomem(err);
	found->drivers = drivers;
	survey(text, len, found);
	rewrite(text, len, found, out, ret_odd);
	return out->failed ? error_nomem(err) : 0;
}
