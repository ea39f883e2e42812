#include "parse/kmodules.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

#define MAX_DEPS 1000000u

/* As kmod does: the file's name up to its first dot, with '_' for '-'. */
static size_t put_name(const char *path, size_t len, char *name, size_t size)
{
	const char *slash = memrchr(path, '/', len);
	const char *base = slash ? slash + 1 : path;
	size_t n = 0, base_len = len - (size_t)(base - path);

	for (; n < base_len && base[n] != '.'; n++)
		if (n + 1 < size)
			name[n] = base[n] == '-' ? '_' : base[n];
	if (size)
		name[n < size ? n : size - 1] = '\0';
	return n;
}

void kmodule_name(const char *path, char *name, size_t size)
{
	put_name(path, strlen(path), name, size);
}

static char *name_of(const char *path, size_t len)
{
	char *name = malloc(len + 1);

	if (name)
		put_name(path, len, name, len + 1);
	return name;
}

static void kmodule_done(struct kmodule *k)
{
	free(k->name);
	free(k->path);
	strlist_done(&k->deps);
}

void kmodules_done(struct kmodules *m)
{
	for (size_t i = 0; i < m->len; i++)
		kmodule_done(&m->item[i]);
	free(m->item);
	*m = (struct kmodules){0};
}

static int compare_modules(const void *a, const void *b)
{
	const struct kmodule *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : strcmp(x->path, y->path);
}

/* depmod of old (module-init-tools) wrote whole paths: "/lib/modules/2.6.18-8.el5xen/kernel/fs/ext3/ext3.ko". */
static void make_relative(const char **at, size_t *len)
{
	static const char *const dirs[] = {"/lib/modules/", "/usr/lib/modules/"};

	for (size_t i = 0; i < 2; i++) {
		size_t n = strlen(dirs[i]);
		const char *slash;

		if (*len < n || memcmp(*at, dirs[i], n))
			continue;
		slash = memchr(*at + n, '/', *len - n);
		if (slash) {
			*len -= (size_t)(slash + 1 - *at);
			*at = slash + 1;
		}
		return;
	}
}

static char *copy_path(const char *at, size_t len)
{
	make_relative(&at, &len);
	return strndup(at, len);
}

/* Fills an empty module from "path: dep dep"; path_len is where the colon stands. */
static int read_module(const struct scan_line *l, size_t path_len, struct kmodule *k, size_t *deps, struct p2h_error *err)
{
	size_t pos = path_len + 1;

	k->name = name_of(l->at, path_len);
	k->path = copy_path(l->at, path_len);
	if (!k->name || !k->path)
		return error_nomem(err);
	for (;;) {
		CLEANUP_FREE char *dep = NULL;
		size_t n;

		pos += scan_blanks(l->at + pos, l->len - pos);
		n = scan_word(l->at + pos, l->len - pos);
		if (!n)
			return 0;
		if (++*deps > MAX_DEPS)
			return error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u dependencies", l->number, MAX_DEPS);
		dep = copy_path(l->at + pos, n);
		if (!dep)
			return error_nomem(err);
		strlist_add(&k->deps, dep);
		if (k->deps.failed)
			return error_nomem(err);
		pos += n;
	}
}

int kmodules_parse_dep(const char *text, size_t len, struct kmodules *ret, struct p2h_error *err)
{
	CLEANUP(kmodules_done) struct kmodules m = {0};
	struct scan_line l = {0};
	size_t cap = 0, deps = 0;

	*ret = (struct kmodules){0};
	while (scan_line_next(text, len, &l)) {
		const char *colon = memchr(l.at, ':', l.len);
		struct kmodule *bigger;
		int code;

		if (!colon || colon == l.at || l.at[0] == '#')
			continue;
		if (m.len == SCAN_MAX_ENTRIES)
			return error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u modules", l.number, SCAN_MAX_ENTRIES);
		bigger = scan_room(m.item, m.len, &cap, sizeof(*m.item));
		if (!bigger)
			return error_nomem(err);
		m.item = bigger;
		m.item[m.len] = (struct kmodule){0};
		code = read_module(&l, (size_t)(colon - l.at), &m.item[m.len++], &deps, err);
		if (code)
			return code;
	}
	if (m.len)
		qsort(m.item, m.len, sizeof(*m.item), compare_modules);
	*ret = m;
	m = (struct kmodules){0};
	return 0;
}

const char *kmodule_packing(const char *path, size_t len)
{
	static const char *const packing[] = {"xz", "zst", "gz"};

	for (size_t i = 0; i < sizeof(packing) / sizeof(packing[0]); i++) {
		size_t n = strlen(packing[i]);

		if (len > n + 4 && !memcmp(path + len - n, packing[i], n) && !memcmp(path + len - n - 4, ".ko.", 4))
			return packing[i];
	}
	return NULL;
}

size_t kmodule_plain_len(const char *path, size_t len)
{
	const char *packing = kmodule_packing(path, len);

	return packing ? len - strlen(packing) - 1 : len;
}

/* strcmp with '-' taken for '_' in the name asked for; those of the list have '_' already. */
static int compare_name(const char *asked, const char *listed)
{
	for (;; asked++, listed++) {
		unsigned char a = *asked == '-' ? '_' : (unsigned char)*asked, b = (unsigned char)*listed;

		if (a != b || !a)
			return (a > b) - (a < b);
	}
}

const struct kmodule *kmodules_find(const struct kmodules *m, const char *name)
{
	size_t low = 0, high = m->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare_name(name, m->item[mid].name) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < m->len && !compare_name(name, m->item[low].name) ? &m->item[low] : NULL;
}

/* Gives the list back its old length. */
static int drop_added(struct strlist *l, size_t old_len, int code)
{
	while (l->len > old_len)
		free(l->item[--l->len]);
	return code;
}

int kmodules_parse_builtin(const char *text, size_t len, struct strlist *ret, struct p2h_error *err)
{
	struct scan_line l = {0};
	size_t old_len = ret->len;

	while (scan_line_next(text, len, &l)) {
		CLEANUP_FREE char *name = NULL;
		size_t skip = scan_blanks(l.at, l.len), end = scan_trim(l.at, l.len);

		if (skip >= end || l.at[skip] == '#')
			continue;
		if (ret->len - old_len == SCAN_MAX_ENTRIES)
			return drop_added(ret, old_len, error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u modules", l.number,
								  SCAN_MAX_ENTRIES));
		name = name_of(l.at + skip, end - skip);
		if (name)
			strlist_add(ret, name);
		if (!name || ret->failed)
			return drop_added(ret, old_len, error_nomem(err));
	}
	return 0;
}
