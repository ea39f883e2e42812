/* fsimage.h - for the tests of fs/: ext images made by mke2fs from a tree with a bit of everything, and what e2fsck says */
#ifndef P2H_TEST_FSIMAGE_H
#define P2H_TEST_FSIMAGE_H

#include "fs/fs.h"

/* The ways a file system may have been made. */
struct fsimage_config {
	const char *name;
	const char *args[12]; /* for mke2fs, NULL at the end */
	const char *type;     /* what fs_info is to say */
};
extern const struct fsimage_config fsimage_configs[];
extern const size_t fsimage_n_configs;

bool fsimage_possible(void); /* are mke2fs and e2fsck there? */

/* A temporary directory for a test's files; fsimage_done removes it and all in it. */
const char *fsimage_dir(void);
void fsimage_done(void);

/* The tree that every image is made from; built once. Its big directory has FSIMAGE_MANY names, its big file FSIMAGE_BIG bytes. */
#define FSIMAGE_MANY 1000
#define FSIMAGE_BIG (6u << 20)
/* Its sparse file: "data" at each step up to the end of them, and as its last bytes; zeros between. */
#define FSIMAGE_SPARSE (5u << 20)
#define FSIMAGE_SPARSE_STEP (24u << 10)
#define FSIMAGE_SPARSE_END (4u << 20)
const char *fsimage_tree(void);
bool fsimage_has_xattrs(void); /* could the host's file system hold what the tree has? */
void fsimage_fill(void *data, size_t len, unsigned seed); /* a pattern */

/* Makes an image of `mib` MiB; tree may be NULL. The name is relative to fsimage_dir(); the path is static until the next call. */
const char *fsimage_make(const char *name, const char *const *args, unsigned mib, const char *tree);
const char *fsimage_copy(const char *from, const char *name);

/* e2fsck -fyD: directories become hash trees, as the kernel makes them. */
void fsimage_index_dirs(const char *path);
void fsimage_assert_clean(const char *path);   /* e2fsck -fn finds nothing to say */
void fsimage_assert_ok(int rc, const struct p2h_error *err, const char *what);
#define OK(call) fsimage_assert_ok(call, &err, #call) /* with a struct p2h_error err in scope */

#endif
