/* path.c - guest paths: every link resolved inside the guest's root, one component at a time */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/engine.h"

size_t fs_parent_len(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == path ? 1 : (size_t)(slash - path);
}

const char *fs_base_name(const char *path)
{
	return strrchr(path, '/') + 1;
}

void fs_forget_paths(struct fs *fs)
{
	free(TAKE(fs->walk_from));
	free(TAKE(fs->walk_to));
}

/* A walk in progress: what is resolved so far ("" is the root) and what is still to come. */
struct walk {
	struct fs *fs;
	char *done;
	size_t done_len;
	char todo[FS_PATH_MAX + 1];
	int links;
};

static int too_long(const char *path, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "%.80s...: path is longer than %u bytes or a name in it than %u", path,
			 FS_PATH_MAX, FS_NAME_MAX);
}

/* Appends a component to what is done. */
static bool walk_push(struct walk *w, const char *name, size_t len)
{
	if (len > FS_NAME_MAX || w->done_len + 1 + len > FS_PATH_MAX)
		return false;
	w->done[w->done_len++] = '/';
	memcpy(w->done + w->done_len, name, len);
	w->done_len += len;
	w->done[w->done_len] = '\0';
	return true;
}

static void walk_pop(struct walk *w)
{
	while (w->done_len && w->done[w->done_len] != '/')
		w->done_len--;
	w->done[w->done_len] = '\0';
}

/* Puts a link's target in front of `rest`, in place of the component just pushed. */
static int walk_link(struct walk *w, const char *rest, struct p2h_error *err)
{
	CLEANUP_FREE char *target = NULL;
	char todo[FS_PATH_MAX + 1];
	int n, rc;

	if (++w->links > FS_LINKS_MAX)
		return error_set(err, P2H_CORRUPT, "%s: more than %d symbolic links on the way", w->done, FS_LINKS_MAX);
	rc = w->fs->ops->readlink(w->fs, w->done, &target, err);
	if (rc)
		return rc;
	n = snprintf(todo, sizeof(todo), "%s/%s", target, rest);
	if (n < 0 || (size_t)n >= sizeof(todo))
		return too_long(target, err);
	walk_pop(w);
	if (target[0] == '/') {
		w->done_len = 0;
		w->done[0] = '\0';
	}
	memcpy(w->todo, todo, (size_t)n + 1);
	return 0;
}

/* Looks at the component just pushed, which is not the last one. */
static int walk_through(struct walk *w, const char *rest, struct p2h_error *err)
{
	struct fs_stat st;
	int rc = w->fs->ops->lstat(w->fs, w->done, &st, err);

	if (rc)
		return rc;
	if (S_ISLNK(st.mode))
		return walk_link(w, rest, err);
	if (!S_ISDIR(st.mode))
		return error_set(err, P2H_NOTFOUND, "%s: not a directory", w->done);
	memmove(w->todo, rest, strlen(rest) + 1);
	return 0;
}

/* Looks at the last component; *ret_again: it was a link, so the walk goes on. */
static int walk_end(struct walk *w, enum fs_follow follow, struct fs_resolved *ret, bool *ret_again, struct p2h_error *err)
{
	struct p2h_error lookup = {0};
	int rc;

	*ret_again = false;
	w->todo[0] = '\0';
	if (follow == FS_NOFOLLOW)
		return 0;
	rc = w->fs->ops->lstat(w->fs, w->done, &ret->st, &lookup);
	if (rc && rc != P2H_NOTFOUND) {
		if (err)
			*err = lookup;
		return rc;
	}
	if (!rc && S_ISLNK(ret->st.mode)) {
		*ret_again = true;
		return walk_link(w, "", err);
	}
	ret->checked = true;
	ret->exists = rc == 0;
	return 0;
}

static int walk_all(struct walk *w, enum fs_follow follow, struct fs_resolved *ret, struct p2h_error *err)
{
	for (;;) {
		const char *name = w->todo + strspn(w->todo, "/");
		size_t len = strcspn(name, "/");
		const char *rest = name + len + strspn(name + len, "/");
		bool again = true;
		int rc = 0;

		if (!len)
			return 0;
		if (len == 1 && name[0] == '.') {
			memmove(w->todo, rest, strlen(rest) + 1);
			continue;
		}
		if (len == 2 && name[0] == '.' && name[1] == '.') {
			walk_pop(w);
			memmove(w->todo, rest, strlen(rest) + 1);
			continue;
		}
		if (!walk_push(w, name, len))
			return too_long(name, err);
		if (*rest)
			rc = walk_through(w, rest, err);
		else
			rc = walk_end(w, follow, ret, &again, err);
		if (rc || !again)
			return rc;
	}
}

/* Starts at the directory that the last path was in, when this one is in it as well. */
static void walk_from_memory(struct walk *w)
{
	size_t len = w->fs->walk_from ? strlen(w->fs->walk_from) : 0;

	if (!len || strncmp(w->todo, w->fs->walk_from, len) || w->todo[len] != '/')
		return;
	w->done_len = strlen(w->fs->walk_to);
	memcpy(w->done, w->fs->walk_to, w->done_len + 1);
	memmove(w->todo, w->todo + len, strlen(w->todo + len) + 1);
}

/* Remembers where the parent of `path` led to. Only plain paths: then the parent is what stands before the last slash. */
static void walk_remember(struct walk *w, const char *path)
{
	const char *slash = strrchr(path, '/');
	char *from, *to;

	if (w->links || slash == path || !slash[1] || strcmp(path, w->done))
		return;
	from = strndup(path, (size_t)(slash - path));
	to = strndup(path, (size_t)(slash - path));
	fs_forget_paths(w->fs);
	if (!from || !to) {
		free(from);
		free(to);
		return;
	}
	w->fs->walk_from = from;
	w->fs->walk_to = to;
}

int fs_resolve(struct fs *fs, const char *path, enum fs_follow follow, struct fs_resolved *ret, struct p2h_error *err)
{
	struct walk w = {.fs = fs, .done = ret->path};
	size_t len = strlen(path);
	int rc;

	ret->path[0] = '\0';
	ret->checked = false;
	ret->exists = false;
	if (path[0] != '/')
		return error_set(err, P2H_USAGE, "%.200s: not an absolute path", path);
	if (len > FS_PATH_MAX)
		return too_long(path, err);
	memcpy(w.todo, path, len + 1);
	walk_from_memory(&w);
	rc = walk_all(&w, follow, ret, err);
	if (rc)
		return rc;
	walk_remember(&w, path);
	if (!w.done_len)
		strcpy(ret->path, "/");
	return 0;
}
