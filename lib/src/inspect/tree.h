/* tree.h - a kernel tree, entry by entry: counted by inspect, copied by apply */
#ifndef P2H_INSPECT_TREE_H
#define P2H_INSPECT_TREE_H

#include "fs/fs.h"

/*
 * Calls fn for everything below top (not for top itself), directories before what they hold, names sorted. relative has no leading slash.
 * The links `build` and `source`, which lead to kernel headers outside the tree, are left out. Depth is bounded (P2H_CORRUPT).
 * A non-zero value of fn ends the walk and is returned.
 */
typedef int (*tree_fn)(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err);
int tree_walk(struct fs *fs, const char *top, tree_fn fn, void *arg, struct p2h_error *err);

#endif
