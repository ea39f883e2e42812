/* label.c - SELinux labels for what has none: that is what the conversion made */
#include <stdio.h>
#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"
#include "inspect/selabel.h"
#include "inspect/tree.h"

#define LABEL "security.selinux"
#define SECONDS 300 /* of processor time: what passed the probe would need less for 8000 paths */

/* Paths as the policy names them, and what they are. */
struct unlabelled {
	struct fs *fs;
	const char *top;
	struct strlist path;
	struct arena arena;
	unsigned *mode;
	size_t modes;
};

static void unlabelled_done(struct unlabelled *u)
{
	strlist_done(&u->path);
	arena_done(&u->arena);
}

static int has_label(struct fs *fs, const char *path, bool *ret, struct p2h_error *err)
{
	struct fs_xattrs x = {0};
	int rc = fs_xattrs(fs, path, &x, err);

	*ret = false;
	for (size_t i = 0; i < x.len; i++)
		*ret |= !strcmp(x.item[i].name, LABEL);
	fs_xattrs_done(&x);
	return rc;
}

/* The directories with every link resolved, the last name as it is: so does restorecon. */
static char *real_name(struct fs *fs, const char *path)
{
	CLEANUP_FREE char *dir = strdup(path), *real = NULL;
	char *slash = dir ? strrchr(dir, '/') : NULL, *whole = NULL;

	if (!slash)
		return NULL;
	*slash = '\0';
	if (fs_realpath(fs, *dir ? dir : "/", &real, NULL) || asprintf(&whole, "%s/%s", strcmp(real, "/") ? real : "", slash + 1) < 0)
		return NULL;
	return whole;
}

static int look_at(struct unlabelled *u, const char *path, struct p2h_error *err)
{
	CLEANUP_FREE char *real = NULL;
	struct fs_stat st;
	unsigned *mode;
	bool labelled;
	int rc = fs_lstat(u->fs, path, &st, err);

	if (rc == P2H_NOTFOUND)
		return 0;
	if (!rc)
		rc = has_label(u->fs, path, &labelled, err);
	if (rc || labelled)
		return rc;
	real = real_name(u->fs, path);
	mode = arena_push(&u->arena, &u->mode, &u->modes, sizeof(*mode));
	if (!real || !mode)
		return error_nomem(err);
	*mode = st.mode & S_IFMT;
	strlist_add(&u->path, real);
	return u->path.failed ? error_nomem(err) : 0;
}

/* The path and the directories above it, the root apart. */
static int look_at_all(struct unlabelled *u, const char *path, struct p2h_error *err)
{
	CLEANUP_FREE char *part = strdup(path);
	int rc = 0;

	if (!part)
		return error_nomem(err);
	for (char *slash = strchr(part + 1, '/'); !rc && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		rc = look_at(u, part, err);
		*slash = '/';
	}
	return rc ? rc : look_at(u, part, err);
}

static int look_at_entry(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	struct unlabelled *u = arg;
	CLEANUP(buf_done) struct buf path = {0};

	(void)st;
	buf_printf(&path, "%s/%s", u->top, relative);
	return path.failed ? error_nomem(err) : look_at(u, path.data, err);
}

static int look_at_tree(struct unlabelled *u, const char *top, struct p2h_error *err)
{
	int rc = look_at_all(u, top, err);

	u->top = top;
	return rc ? rc : tree_walk(u->fs, top, look_at_entry, u, err);
}

static int look_at_action(struct unlabelled *u, const struct apply_context *c, const struct action *a, struct p2h_error *err)
{
	const struct facts_kernel *k = &c->facts->donor.chosen;
	const char *const boot[] = {k->image, k->initrd, k->config, k->system_map};
	int rc = 0;

	if (a->kind == ACTION_FILE || a->kind == ACTION_LINK || a->kind == ACTION_DIRECTORY || a->kind == ACTION_NODE || a->kind == ACTION_FIRMWARE)
		return look_at_all(u, a->path, err);
	if (a->kind == ACTION_BOOT_LOADER)
		return look_at_tree(u, "/boot/grub", err);
	if (a->kind != ACTION_TREE)
		return 0;
	for (size_t i = 0; !rc && i < 4; i++)
		if (!strncmp(boot[i], "/boot/", 6))
			rc = look_at_all(u, boot[i], err);
	return rc ? rc : look_at_tree(u, a->path, err);
}

static int set_labels(struct unlabelled *u, const struct strlist *labels, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < labels->len; i++) /* the kernel keeps a label with its NUL */
		if (*labels->item[i])
			rc = fs_set_xattr(u->fs, u->path.item[i], LABEL, labels->item[i], strlen(labels->item[i]) + 1, err);
	return rc;
}

int apply_labels(const struct apply_context *c, struct fs *guest, struct p2h_error *err)
{
	CLEANUP(unlabelled_done) struct unlabelled u = {.fs = guest};
	CLEANUP(strlist_done) struct strlist labels = {0};
	CLEANUP_FREE struct selabel_path *path = NULL;
	int rc = 0;

	for (size_t i = 0; !rc && i < c->plan->actions; i++)
		rc = look_at_action(&u, c, &c->plan->action[i], err);
	if (rc || !u.path.len)
		return rc;
	path = calloc(u.path.len, sizeof(*path));
	if (!path)
		return error_nomem(err);
	for (size_t i = 0; i < u.path.len; i++)
		path[i] = (struct selabel_path){u.path.item[i], u.mode[i]};
	rc = selabel_find(&c->facts->selinux, path, u.path.len, SECONDS, &labels, err);
	if (rc)
		return error_prefix(err, rc, "%s (--skip selinux goes on without labels)", c->facts->selinux.contexts);
	return set_labels(&u, &labels, err);
}
