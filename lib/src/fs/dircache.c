#include "fs/dircache.h"

#include <search.h>
#include <string.h>

#include "base/cleanup.h"

struct known_name {
	char *name;
	struct fs_stat st;
	char *target; /* of a link that was asked for; else NULL */
	bool stale;   /* changed since it was listed: ask again */
};

struct directory {
	char *path;
	struct known_name *item; /* sorted by name */
	size_t len, cap;
	bool failed;
};

struct dircache {
	struct dircache_source source;
	void *tree; /* of struct directory, by path: tsearch(3) */
	struct directory *listing; /* what dircache_add fills */
	struct fs_stat root;
	bool have_root;
};

static int compare_directories(const void *a, const void *b)
{
	return strcmp(((const struct directory *)a)->path, ((const struct directory *)b)->path);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct known_name *)a)->name, ((const struct known_name *)b)->name);
}

static void free_directory(void *p)
{
	struct directory *d = p;

	for (size_t i = 0; i < d->len; i++) {
		free(d->item[i].name);
		free(d->item[i].target);
	}
	free(d->item);
	free(d->path);
	free(d);
}

struct dircache *dircache_new(const struct dircache_source *source)
{
	struct dircache *c = calloc(1, sizeof(*c));

	if (c)
		c->source = *source;
	return c;
}

void dircache_clear(struct dircache *c)
{
	tdestroy(TAKE(c->tree), free_directory);
	c->have_root = false;
}

void dircache_free(struct dircache *c)
{
	if (!c)
		return;
	dircache_clear(c);
	free(c);
}

/* Puts an entry at a place of the list; false: no memory. */
static bool insert(struct directory *d, size_t at, const char *name, const struct fs_stat *st, bool stale)
{
	char *copy = strdup(name);

	if (copy && d->len == d->cap) {
		size_t cap = d->cap ? 2 * d->cap : 16;
		struct known_name *bigger = reallocarray(d->item, cap, sizeof(*bigger));

		if (!bigger) {
			free(copy);
			return false;
		}
		d->item = bigger;
		d->cap = cap;
	}
	if (!copy)
		return false;
	memmove(d->item + at + 1, d->item + at, (d->len - at) * sizeof(*d->item));
	d->item[at] = (struct known_name){.name = copy, .stale = stale};
	if (st)
		d->item[at].st = *st;
	d->len++;
	return true;
}

void dircache_add(struct dircache *c, const char *name, const struct fs_stat *st)
{
	struct directory *d = c->listing;

	d->failed |= d->len >= FS_LIST_MAX || !insert(d, d->len, name, st, false);
}

/* The directory of the first `len` bytes of a path, if it was listed. */
static struct directory *known(const struct dircache *c, const char *path, size_t len)
{
	char copy[FS_PATH_MAX + 1];
	struct directory key = {.path = copy}, **found;

	memcpy(copy, path, len);
	copy[len] = '\0';
	found = tfind(&key, &c->tree, compare_directories);
	return found ? *found : NULL;
}

static int list_now(struct dircache *c, const char *path, size_t len, struct directory **ret, struct p2h_error *err)
{
	struct directory *d = calloc(1, sizeof(*d));
	int rc;

	if (!d)
		return error_nomem(err);
	d->path = strndup(path, len);
	c->listing = d;
	rc = d->path ? c->source.list(c->source.arg, d->path, c, err) : error_nomem(err);
	if (!rc && d->len > FS_LIST_MAX)
		rc = error_set(err, P2H_CORRUPT, "%s: more than %u names", d->path, FS_LIST_MAX);
	if (!rc && d->len)
		qsort(d->item, d->len, sizeof(*d->item), compare_entries);
	if (!rc && (d->failed || !tsearch(d, &c->tree, compare_directories)))
		rc = error_nomem(err);
	if (rc) {
		free_directory(d);
		return rc;
	}
	*ret = d;
	return 0;
}

static int get_directory(struct dircache *c, const char *path, size_t len, struct directory **ret, struct p2h_error *err)
{
	*ret = known(c, path, len);
	return *ret ? 0 : list_now(c, path, len, ret, err);
}

/* Where a name is, or would be; *ret_found tells which. */
static size_t find(const struct directory *d, const char *name, bool *ret_found)
{
	size_t low = 0, high = d->len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(d->item[middle].name, name);

		if (!order) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = false;
	return low;
}

static int lstat_root(struct dircache *c, struct fs_stat *ret, struct p2h_error *err)
{
	int rc = c->have_root ? 0 : c->source.lstat(c->source.arg, "/", &c->root, err);

	c->have_root = !rc;
	*ret = c->root;
	return rc;
}

/* What is known of a path other than the root, asked for if need be. */
static int look_up(struct dircache *c, const char *path, struct known_name **ret, struct p2h_error *err)
{
	struct directory *d;
	struct known_name *e;
	bool found;
	size_t at;
	int rc = get_directory(c, path, fs_parent_len(path), &d, err);

	if (rc)
		return rc;
	at = find(d, fs_base_name(path), &found);
	if (!found)
		return error_set(err, P2H_NOTFOUND, "%s: no such file or directory", path);
	e = &d->item[at];
	if (e->stale) {
		rc = c->source.lstat(c->source.arg, path, &e->st, err);
		if (rc)
			return rc;
		e->stale = false;
	}
	*ret = e;
	return 0;
}

int dircache_lstat(struct dircache *c, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	struct known_name *e;
	int rc;

	if (!path[1])
		return lstat_root(c, ret, err);
	rc = look_up(c, path, &e, err);
	if (!rc)
		*ret = e->st;
	return rc;
}

int dircache_readlink(struct dircache *c, const char *path, char **ret, struct p2h_error *err)
{
	struct known_name *e = NULL;
	int rc = path[1] ? look_up(c, path, &e, err) : 0;

	if (!rc && (!e || !S_ISLNK(e->st.mode)))
		return error_set(err, P2H_USAGE, "%s: not a symbolic link", path);
	if (!rc && !e->target)
		rc = c->source.readlink(c->source.arg, path, &e->target, err);
	if (rc)
		return rc;
	*ret = strdup(e->target);
	return *ret ? 0 : error_nomem(err);
}

int dircache_list(struct dircache *c, const char *path, struct strlist *ret, struct p2h_error *err)
{
	struct directory *d;
	int rc = get_directory(c, path, strlen(path), &d, err);

	for (size_t i = 0; !rc && i < d->len; i++)
		strlist_add(ret, d->item[i].name);
	return rc;
}

/* No memory to note it: nothing is known any more. */
static void note(struct dircache *c, const char *path, bool removed)
{
	struct directory *d = known(c, path, fs_parent_len(path));
	bool found;
	size_t at;

	if (!d)
		return;
	at = find(d, fs_base_name(path), &found);
	if (found && removed) {
		free(d->item[at].name);
		free(d->item[at].target);
		memmove(d->item + at, d->item + at + 1, (--d->len - at) * sizeof(*d->item));
	} else if (found) {
		d->item[at].stale = true;
		free(TAKE(d->item[at].target));
	} else if (!removed && !insert(d, at, fs_base_name(path), NULL, true)) {
		dircache_clear(c);
	}
}

/* A directory's own times and number of links change with what is in it. */
static void note_parent(struct dircache *c, const char *path)
{
	char parent[FS_PATH_MAX + 1];
	size_t len = fs_parent_len(path);

	memcpy(parent, path, len);
	parent[len] = '\0';
	if (parent[1])
		note(c, parent, false);
	else
		c->have_root = false;
}

void dircache_changed(struct dircache *c, const char *path)
{
	if (!path[1]) {
		c->have_root = false;
		return;
	}
	note(c, path, false);
	note_parent(c, path);
}

static bool add_empty(struct dircache *c, const char *path)
{
	struct directory *d = calloc(1, sizeof(*d));

	if (d)
		d->path = strdup(path);
	if (d && d->path && tsearch(d, &c->tree, compare_directories))
		return true;
	if (d)
		free_directory(d);
	return false;
}

bool dircache_made(struct dircache *c, const char *path, const struct fs_stat *st, const char *target)
{
	struct directory *d = known(c, path, fs_parent_len(path));
	bool found = false, done = true;
	size_t at = d ? find(d, fs_base_name(path), &found) : 0;

	if (d && !found)
		done = insert(d, at, fs_base_name(path), st, false);
	if (done && target && d && !found)
		done = (d->item[at].target = strdup(target)) != NULL;
	if (done && S_ISDIR(st->mode))
		done = add_empty(c, path);
	if (!done)
		dircache_clear(c);
	return done;
}

void dircache_removed(struct dircache *c, const char *path)
{
	if (known(c, path, strlen(path))) { /* it and what was below it */
		dircache_clear(c);
		return;
	}
	note(c, path, true);
	note_parent(c, path);
}
