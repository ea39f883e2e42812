#include "parse/kmodindex.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"
#include "parse/scan.h"

#define MAGIC 0xb007f457u
#define VERSION 0x00020001u
#define ROOT_AT 8u /* place of the root's place */
#define NODE_PREFIX 0x80000000u
#define NODE_VALUES 0x40000000u
#define NODE_CHILDS 0x20000000u
#define NODE_FLAGS 0xf0000000u
#define KEY_MAX 1000u /* bytes, and so the depth of the tree */

void kmodindex_add(struct kmodindex *x, const char *key, const char *value, uint32_t priority)
{
	struct kmodindex_entry *bigger, entry = {strdup(key), strdup(value), priority, x->len};

	bigger = x->failed ? NULL : scan_room(x->item, x->len, &x->cap, sizeof(*x->item));
	if (!bigger || !entry.key || !entry.value) {
		x->failed = true;
		free(entry.key);
		free(entry.value);
		return;
	}
	x->item = bigger;
	x->item[x->len++] = entry;
}

void kmodindex_done(struct kmodindex *x)
{
	for (size_t i = 0; i < x->len; i++) {
		free(x->item[i].key);
		free(x->item[i].value);
	}
	free(x->item);
	*x = (struct kmodindex){0};
}

/* --- the tree, from sorted entries ------------------------------------------------------------------------------------------ */

/* depmod puts a value in front of those of the same priority that are there already. */
static int compare_entries(const void *a, const void *b)
{
	const struct kmodindex_entry *x = a, *y = b;
	int order = strcmp(x->key, y->key);

	if (!order && x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return order ? order : x->number < y->number ? 1 : -1;
}

static void put32(struct buf *out, uint32_t v)
{
	const uint8_t bytes[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	buf_append(out, bytes, sizeof(bytes));
}

static void put_values(struct buf *out, const struct kmodindex_entry *item, size_t len)
{
	put32(out, (uint32_t)len);
	for (size_t i = 0; i < len; i++) {
		put32(out, item[i].priority);
		buf_append(out, item[i].value, strlen(item[i].value) + 1);
	}
}

static uint32_t put_node(struct buf *out, size_t start, const struct kmodindex_entry *item, size_t len, size_t depth, bool root);

/* The children's nodes, one for each byte that follows `depth` bytes of the keys. */
static void put_children(struct buf *out, size_t start, const struct kmodindex_entry *item, size_t len, size_t depth, uint32_t *place)
{
	for (size_t from = 0, to; from < len; from = to) {
		char byte = item[from].key[depth];

		for (to = from + 1; to < len && item[to].key[depth] == byte; to++)
			;
		place[byte - item[0].key[depth]] = put_node(out, start, item + from, to - from, depth + 1, false);
	}
}

/* All keys of item agree in their first `depth` bytes, which lie above this node. Returns the node's place with its flags. */
static uint32_t put_node(struct buf *out, size_t start, const struct kmodindex_entry *item, size_t len, size_t depth, bool root)
{
	uint32_t place[128] = {0}, at;
	size_t end = depth, values = 0, children = 0;
	const char *first = len ? item[0].key : "", *last = len ? item[len - 1].key : "";

	while (!root && first[end] && first[end] == last[end])
		end++;
	while (values < len && !item[values].key[end])
		values++;
	if (values < len) {
		children = (size_t)(last[end] - item[values].key[end]) + 1;
		put_children(out, start, item + values, len - values, end, place);
	}
	at = (uint32_t)(out->len - start);
	if (end > depth) {
		buf_append(out, first + depth, end - depth);
		buf_append(out, "", 1);
		at |= NODE_PREFIX;
	}
	if (children) {
		buf_append(out, &item[values].key[end], 1);
		buf_append(out, &last[end], 1);
		for (size_t i = 0; i < children; i++)
			put32(out, place[i]);
		at |= NODE_CHILDS;
	}
	if (values) {
		put_values(out, item, values);
		at |= NODE_VALUES;
	}
	return at;
}

int kmodindex_write(struct kmodindex *x, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf out = {0};
	uint32_t root;

	if (x->failed)
		return error_nomem(err);
	for (size_t i = 0; i < x->len; i++) {
		const char *key = x->item[i].key;

		for (const char *c = key; *c; c++)
			if ((unsigned char)*c >= 128 || c - key >= (ptrdiff_t)KEY_MAX)
				return error_set(err, P2H_UNSUPPORTED, "a module's name or alias that an index cannot hold");
	}
	if (x->len)
		qsort(x->item, x->len, sizeof(*x->item), compare_entries);
	put32(&out, MAGIC);
	put32(&out, VERSION);
	put32(&out, 0);
	root = put_node(&out, 0, x->item, x->len, 0, true);
	if (out.failed)
		return error_nomem(err);
	if (out.len & NODE_FLAGS)
		return error_set(err, P2H_UNSUPPORTED, "a module index of more than 256 MiB");
	for (size_t i = 0; i < 4; i++)
		out.data[ROOT_AT + i] = (char)(root >> (24 - 8 * i));
	buf_append(ret, out.data, out.len);
	return ret->failed ? error_nomem(err) : 0;
}

/* --- modules.dep ------------------------------------------------------------------------------------------------------------- */

struct rewriting {
	kmodindex_path_map *map;
	void *ctx;
	struct buf line; /* of the module at hand */
};

/* "/lib/modules/2.6.18/kernel/a.ko": the length of "/lib/modules/2.6.18/", as depmod of module-init-tools wrote it in front of each path. */
static size_t directory_len(const char *path, size_t len)
{
	const char *at = memmem(path, len, "/modules/", 9), *slash;

	if (!len || *path != '/' || !at)
		return 0;
	slash = memchr(at + 9, '/', len - (size_t)(at + 9 - path));
	return slash ? (size_t)(slash + 1 - path) : 0;
}

/* Appends one path as it becomes; false: it is left out. */
static bool put_path(struct rewriting *r, const char *separator, const char *at, size_t len)
{
	size_t dir = directory_len(at, len), old = r->line.len;
	CLEANUP_FREE char *path = strndup(at + dir, len - dir);
	bool kept;

	buf_puts(&r->line, separator);
	buf_append(&r->line, at, dir);
	if (!path) {
		r->line.failed = true;
		return false;
	}
	kept = r->map(r->ctx, path, &r->line);
	if (!kept && !r->line.failed) {
		r->line.len = old;
		r->line.data[old] = '\0';
	}
	return kept;
}

/* r->line: the whole new line without its end; false: the module is left out, or there is no memory (r->line.failed). */
static bool rewrite_line(struct rewriting *r, const struct scan_line *l, size_t path_len)
{
	size_t pos = path_len + 1;

	buf_clear(&r->line);
	buf_puts(&r->line, "");
	if (!put_path(r, "", l->at, path_len))
		return false;
	buf_puts(&r->line, ":");
	while (pos < l->len) {
		size_t n;

		pos += scan_blanks(l->at + pos, l->len - pos);
		n = scan_word(l->at + pos, l->len - pos);
		if (n)
			put_path(r, " ", l->at + pos, n);
		pos += n;
	}
	return !r->line.failed;
}

static int rewrite_all(struct rewriting *r, const char *text, size_t len, struct buf *out, struct kmodindex *index, struct p2h_error *err)
{
	struct scan_line l = {0};
	uint32_t priority = 0;

	while (scan_line_next(text, len, &l)) {
		const char *colon = memchr(l.at, ':', l.len);
		CLEANUP_FREE char *name = NULL;

		if (!colon || colon == l.at || l.at[0] == '#' || !rewrite_line(r, &l, (size_t)(colon - l.at))) {
			if (r->line.failed)
				return error_nomem(err);
			continue;
		}
		if (priority == SCAN_MAX_ENTRIES)
			return error_set(err, P2H_UNSUPPORTED, "modules.dep: more than %u modules", SCAN_MAX_ENTRIES);
		name = strndup(r->line.data, (size_t)(strchr(r->line.data, ':') - r->line.data));
		if (!name)
			return error_nomem(err);
		kmodule_name(name, name, strlen(name) + 1);
		kmodindex_add(index, name, r->line.data, priority++);
		buf_printf(out, "%s\n", r->line.data);
	}
	return out->failed ? error_nomem(err) : 0;
}

int kmodindex_rewrite_dep(const char *text, size_t len, kmodindex_path_map *map, void *ctx, struct buf *ret_text, struct buf *ret_bin,
			  struct p2h_error *err)
{
	CLEANUP(kmodindex_done) struct kmodindex index = {0};
	struct rewriting r = {.map = map, .ctx = ctx};
	int rc = rewrite_all(&r, text, len, ret_text, &index, err);

	buf_done(&r.line);
	return rc ? rc : kmodindex_write(&index, ret_bin, err);
}

static bool same_path(void *ctx, const char *path, struct buf *ret)
{
	(void)ctx;
	buf_puts(ret, path);
	return true;
}

int kmodindex_make(const char *dep, size_t len, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};

	return kmodindex_rewrite_dep(dep, len, same_path, NULL, &text, ret, err);
}

/* --- modules.alias ------------------------------------------------------------------------------------------------------------ */

/* '-' becomes '_' but between brackets; false: brackets without their other half, which depmod passes over. */
static bool normalise(char *alias)
{
	for (char *c = alias; *c; c++) {
		if (*c == '-')
			*c = '_';
		if (*c == ']')
			return false;
		if (*c == '[') {
			c = strchr(c, ']');
			if (!c)
				return false;
		}
	}
	return true;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct kmodindex_entry *)a)->key, ((const struct kmodindex_entry *)b)->key);
}

/* The names of a modules.dep, sorted, each with its priority: the number of its line. */
static int read_names(const char *dep, size_t len, struct kmodindex *ret, struct p2h_error *err)
{
	struct scan_line l = {0};

	while (scan_line_next(dep, len, &l)) {
		const char *colon = memchr(l.at, ':', l.len);
		CLEANUP_FREE char *name = colon ? strndup(l.at, (size_t)(colon - l.at)) : NULL;

		if (!colon)
			continue;
		if (!name)
			return error_nomem(err);
		kmodule_name(name, name, strlen(name) + 1);
		kmodindex_add(ret, name, "", (uint32_t)l.number - 1);
	}
	if (ret->len)
		qsort(ret->item, ret->len, sizeof(*ret->item), compare_names);
	return ret->failed ? error_nomem(err) : 0;
}

/* "alias PATTERN MODULE" */
static int rewrite_alias(const struct scan_line *l, const struct kmodindex *names, struct buf *out, struct kmodindex *index,
			 struct p2h_error *err)
{
	CLEANUP_FREE char *line = strndup(l->at, l->len);
	const struct kmodindex_entry *found;
	struct kmodindex_entry key;
	char *word[3], *save = NULL;

	if (!line)
		return error_nomem(err);
	word[0] = strtok_r(line, " \t", &save);
	word[1] = word[0] ? strtok_r(NULL, " \t", &save) : NULL;
	word[2] = word[1] ? strtok_r(NULL, " \t", &save) : NULL;
	if (!word[2] || strcmp(word[0], "alias"))
		return 0;
	key.key = word[2];
	found = names->len ? bsearch(&key, names->item, names->len, sizeof(key), compare_names) : NULL;
	if (!found)
		return 0;
	buf_printf(out, "alias %s %s\n", word[1], word[2]);
	if (normalise(word[1]))
		kmodindex_add(index, word[1], word[2], found->priority);
	return 0;
}

int kmodindex_rewrite_alias(const char *text, size_t len, const char *dep, size_t dep_len, struct buf *ret_text, struct buf *ret_bin,
			    struct p2h_error *err)
{
	CLEANUP(kmodindex_done) struct kmodindex names = {0}, index = {0};
	struct scan_line l = {0};
	int rc = read_names(dep, dep_len, &names, err);

	while (!rc && scan_line_next(text, len, &l)) {
		if (l.len && l.at[0] == '#')
			buf_printf(ret_text, "%.*s\n", (int)l.len, l.at);
		else
			rc = rewrite_alias(&l, &names, ret_text, &index, err);
	}
	if (!rc && ret_text->failed)
		rc = error_nomem(err);
	return rc ? rc : kmodindex_write(&index, ret_bin, err);
}
