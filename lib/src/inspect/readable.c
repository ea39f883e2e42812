#include "inspect/readable.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "inspect/tree.h"
#include "parse/kmodindex.h"
#include "parse/kmodules.h"
#include "parse/unpack_module.h"

#define MAX_INDEX (16 * 1024 * 1024u)

struct look {
	struct fs *fs;
	const char *top;
	const struct facts_modprobe *modprobe;
	struct arena *arena;
	struct facts_readable *ret;
	struct stored_input input;
};

static int count_bytes(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	(void)data;
	(void)err;
	*(uint64_t *)ctx += len;
	return 0;
}

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

int stored_read(void *ctx, void *buf, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct stored_input *in = ctx;
	int rc = fs_pread(in->file, buf, in->off, len, ret_got, err);

	in->off += *ret_got;
	return rc;
}

static int measure(struct look *l, const char *path, const char *packing, struct p2h_error *err)
{
	CLEANUP(cleanup_file) struct fs_file *file = NULL;
	CLEANUP(buf_done) struct buf whole = {0};
	struct facts_packed *p;
	struct p2h_error why = {0};
	uint64_t size = 0;
	int rc;

	buf_printf(&whole, "%s/%s", l->top, path);
	if (whole.failed)
		return error_nomem(err);
	rc = fs_open(l->fs, whole.data, &file, err);
	if (rc)
		return rc;
	l->input = (struct stored_input){file, 0};
	rc = unpack_module(packing, stored_read, &l->input, count_bytes, &size, &why);
	if (rc == P2H_CORRUPT || rc == P2H_UNSUPPORTED) {
		l->ret->problem = arena_printf(l->arena, "%s: %s", path, why.msg);
		return 0;
	}
	if (rc)
		return error_set(err, (enum p2h_code)rc, "%s: %s", whole.data, why.msg);
	p = arena_push(l->arena, &l->ret->packed, &l->ret->packed_len, sizeof(*p));
	if (!p)
		return error_nomem(err);
	*p = (struct facts_packed){arena_strdup(l->arena, path), size};
	return 0;
}

static void note_packing(struct facts_readable *r, const char *packing)
{
	size_t n = 0;

	while (r->packing[n] && strcmp(r->packing[n], packing))
		n++;
	r->packing[n] = packing;
}

static int look_at(void *arg, const char *path, const struct fs_stat *st, struct p2h_error *err)
{
	struct look *l = arg;
	const char *packing = kmodule_packing(path, strlen(path));

	if (!S_ISREG(st->mode) || !packing || modprobe_reads(l->modprobe, packing) || *l->ret->problem)
		return 0;
	note_packing(l->ret, packing);
	return measure(l, path, packing, err);
}

static int compare_packed(const void *a, const void *b)
{
	return strcmp(((const struct facts_packed *)a)->path, ((const struct facts_packed *)b)->path);
}

static bool unpacks(const struct facts_readable *r, const char *packing)
{
	for (const char *const *p = r->packing; packing && *p; p++)
		if (!strcmp(*p, packing))
			return true;
	return false;
}

/* A path of modules.dep without the suffix of what is unpacked, behind a directory that may be "". */
struct renaming {
	const struct facts_readable *readable;
	const char *dir;
};

static bool rename_path(void *ctx, const char *path, struct buf *ret)
{
	const struct renaming *r = ctx;

	buf_puts(ret, r->dir);
	buf_append(ret, path, stored_target_len(r->readable, path));
	return true;
}

static int make_index(struct look *l, const char *release, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf path = {0}, old = {0}, dir = {0}, dep = {0}, bin = {0}, whole = {0}, unused = {0};
	struct renaming r = {l->ret, ""};
	const struct buf *text = &dep;
	int rc;

	buf_printf(&path, "%s/modules.dep", l->top);
	buf_printf(&dir, "/lib/modules/%s/", release);
	if (path.failed || dir.failed)
		return error_nomem(err);
	rc = fs_read(l->fs, path.data, MAX_INDEX, &old, err);
	if (!rc)
		rc = kmodindex_rewrite_dep(old.data, old.len, rename_path, &r, &dep, &bin, err);
	if (l->modprobe->absolute_paths && dep.len && dep.data[0] != '/')
		text = &whole;
	r.dir = dir.data;
	if (!rc && text == &whole)
		rc = kmodindex_rewrite_dep(old.data, old.len, rename_path, &r, &whole, &unused, err);
	if (rc)
		return error_prefix(err, rc, "%s", l->top);
	l->ret->dep = arena_memdup(l->arena, text->len ? text->data : "", text->len);
	l->ret->dep_len = text->len;
	l->ret->dep_bin = arena_memdup(l->arena, bin.data, bin.len);
	l->ret->dep_bin_len = bin.len;
	return l->arena->failed ? error_nomem(err) : 0;
}

int read_readable(struct fs *donor, const char *modules, const char *release, const struct facts_modprobe *modprobe, struct arena *a,
		  struct facts_readable *ret, struct p2h_error *err)
{
	struct look l = {.fs = donor, .top = modules, .modprobe = modprobe, .arena = a, .ret = ret};
	int rc;

	*ret = (struct facts_readable){.problem = "", .dep = "", .dep_bin = ""};
	rc = tree_walk(donor, modules, look_at, &l, err);
	if (rc)
		return rc;
	ret->differs = ret->packing[0] || modprobe->absolute_paths;
	if (!ret->differs || *ret->problem)
		return 0;
	if (ret->packed_len)
		qsort(ret->packed, ret->packed_len, sizeof(*ret->packed), compare_packed);
	return make_index(&l, release, err);
}

void stored_as(const struct facts_readable *readable, const char *path, const struct fs_stat *st, struct stored *ret)
{
	struct facts_packed key = {path, 0}, *found;
	size_t len = strlen(path);

	*ret = (struct stored){.how = STORED_COPY, .path_len = len, .size = st->size};
	if (!readable || S_ISDIR(st->mode))
		return;
	if (S_ISLNK(st->mode)) {
		ret->path_len = stored_target_len(readable, path);
		return;
	}
	if (!strcmp(path, "modules.dep")) {
		*ret = (struct stored){STORED_TEXT, len, readable->dep_len, readable->dep};
	} else if (!strcmp(path, "modules.dep.bin")) {
		*ret = (struct stored){STORED_TEXT, len, readable->dep_bin_len, readable->dep_bin};
	} else if (readable->packed_len) {
		found = bsearch(&key, readable->packed, readable->packed_len, sizeof(key), compare_packed);
		if (found)
			*ret = (struct stored){STORED_UNPACKED, kmodule_plain_len(path, len), found->size, kmodule_packing(path, len)};
	}
}

size_t stored_target_len(const struct facts_readable *readable, const char *target)
{
	size_t len = strlen(target);

	return readable && unpacks(readable, kmodule_packing(target, len)) ? kmodule_plain_len(target, len) : len;
}
