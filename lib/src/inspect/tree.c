#include "inspect/tree.h"

#include <string.h>

#include "base/cleanup.h"

#define MAX_DEPTH 32

struct walk {
	struct fs *fs;
	const char *top;
	tree_fn fn;
	void *arg;
};

static int walk_directory(const struct walk *w, const char *relative, unsigned depth, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf dir = {0};
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc;

	buf_printf(&dir, "%s%s%s", w->top, *relative ? "/" : "", relative);
	if (dir.failed)
		return error_nomem(err);
	if (depth > MAX_DEPTH)
		return error_set(err, P2H_CORRUPT, "%s: directories are nested too deeply", dir.data);
	rc = fs_list(w->fs, dir.data, &names, err);
	for (size_t i = 0; !rc && i < names.len; i++) {
		CLEANUP(buf_done) struct buf path = {0}, inner = {0};
		struct fs_stat st;

		buf_printf(&path, "%s/%s", dir.data, names.item[i]);
		buf_printf(&inner, "%s%s%s", relative, *relative ? "/" : "", names.item[i]);
		if (path.failed || inner.failed)
			return error_nomem(err);
		rc = fs_lstat(w->fs, path.data, &st, err);
		if (rc)
			break;
		if (!depth && S_ISLNK(st.mode) && (!strcmp(names.item[i], "build") || !strcmp(names.item[i], "source")))
			continue;
		rc = w->fn(w->arg, inner.data, &st, err);
		if (!rc && S_ISDIR(st.mode))
			rc = walk_directory(w, inner.data, depth + 1, err);
	}
	return rc;
}

int tree_walk(struct fs *fs, const char *top, tree_fn fn, void *arg, struct p2h_error *err)
{
	const struct walk w = {fs, top, fn, arg};

	return walk_directory(&w, "", 0, err);
}
