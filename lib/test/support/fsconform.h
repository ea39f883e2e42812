/*
 * fsconform.h - what every engine of fs.h must do alike: one tree read, one script of changes, one look at what became of it
 *
 * The tree is fsimage_tree(). A call fails the test where an engine does something else.
 */
#ifndef P2H_TEST_FSCONFORM_H
#define P2H_TEST_FSCONFORM_H

#include "fs/fs.h"

#define FSCONFORM_NOW 1700000000    /* the clock that a writable file system is to be opened with */
#define FSCONFORM_DATA (2u << 20) /* bytes of the data that the script writes pieces of */

/* What an engine or a file system cannot do. */
#define FSCONFORM_SMALL_INODES 1u /* seconds until 2038, in 32 bits */
#define FSCONFORM_OWN_CTIME 2u    /* a kernel sets the time of an inode's change */
#define FSCONFORM_OWN_ATIME 16u   /* what is new was read last when it was made */
#define FSCONFORM_NO_DIR_LINKS 4u /* a directory's number of links says nothing */
#define FSCONFORM_TEXT_XATTRS 8u  /* no NUL inside of an extended attribute */

extern const struct fs_meta fsconform_meta; /* of most of what the script makes */

void fsconform_content(struct fs *fs, const char *path, const void *want, size_t len);

/* Reading. fsconform_tree is all of the others and more. */
void fsconform_files(struct fs *fs);
void fsconform_stat(struct fs *fs);
void fsconform_paths(struct fs *fs);
void fsconform_read_only(struct fs *fs);
void fsconform_tree(struct fs *fs, unsigned cannot);

/* Changes, and what is there afterwards, also after the file system has been closed and opened. */
void fsconform_script(struct fs *fs, const char *data, unsigned cannot);
void fsconform_result(struct fs *fs, const char *data, unsigned cannot);

#endif
