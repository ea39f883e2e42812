/*
 * dircache.h - inside fs/: what is known of directories that take long to ask for
 *
 * A directory is asked for as a whole, once; what is not in its list does not exist. Paths are as engines get them.
 */
#ifndef P2H_FS_DIRCACHE_H
#define P2H_FS_DIRCACHE_H

#include "fs/engine.h"

struct dircache;

/* Who is asked. list tells each name by dircache_add. */
struct dircache_source {
	int (*list)(void *arg, const char *path, struct dircache *c, struct p2h_error *err);
	int (*lstat)(void *arg, const char *path, struct fs_stat *ret, struct p2h_error *err);
	int (*readlink)(void *arg, const char *path, char **ret, struct p2h_error *err);
	void *arg;
};

struct dircache *dircache_new(const struct dircache_source *source); /* NULL: no memory */
void dircache_free(struct dircache *c); /* NULL is allowed */

/* For the source, while it lists. */
void dircache_add(struct dircache *c, const char *name, const struct fs_stat *st);

int dircache_lstat(struct dircache *c, const char *path, struct fs_stat *ret, struct p2h_error *err);
int dircache_list(struct dircache *c, const char *path, struct strlist *ret, struct p2h_error *err); /* of a directory */

int dircache_readlink(struct dircache *c, const char *path, char **ret, struct p2h_error *err); /* P2H_USAGE: no link */

/* Something was made or changed, or taken away, at this path. */
void dircache_changed(struct dircache *c, const char *path);
/* Something new that the source does not have yet: a directory is empty, a link has a target. false: no memory, nothing is known any more. */
bool dircache_made(struct dircache *c, const char *path, const struct fs_stat *st, const char *target);
void dircache_removed(struct dircache *c, const char *path);
void dircache_clear(struct dircache *c);

#endif
