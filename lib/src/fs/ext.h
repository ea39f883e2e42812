/* ext.h - the ext engine's inside: ext2, ext3 and ext4 through libext2fs, with our disks below it */
#ifndef P2H_FS_EXT_H
#define P2H_FS_EXT_H

#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>

#include "fs/engine.h"

struct ext {
	struct fs base;
	struct disk *disk; /* borrowed */
	ext2_filsys e2;
	struct p2h_error io_error; /* the disk's own message for what libext2fs is about to report; code 0: none */
	bool flushing;             /* what is written now is mostly what stands there already */
	bool bitmaps;              /* read: only writing and counting need them, and they are large */

	/* The last directory looked up, so that a walk down a path is one step at a time. */
	char dir_path[FS_PATH_MAX + 1];
	ext2_ino_t dir_ino; /* 0: none */

	/* Where the last allocation for files of one place ended: the next one goes on there. */
	blk64_t goal_base, goal_next;
};

static inline struct ext *ext_of(struct fs *fs)
{
	return (struct ext *)fs;
}

/* ext_io.c: struct disk as an io_manager. Opens e->e2 with libext2fs' flags. */
errcode_t ext_io_open(struct ext *e, int flags);

/* ext_error.c: what libext2fs or the disk below said, "<what>: " in front. rc must not be 0. */
int ext_error(struct ext *e, errcode_t rc, const char *what, struct p2h_error *err);
void ext_error_init(void);

/* ext_super.c: what the superblock says, before and without libext2fs */
int ext_super_check(struct disk *d, unsigned flags, struct fs_info *info, struct p2h_error *err);
int ext_mmp_check(struct ext *e, struct p2h_error *err);

/* ext.c */
int ext_bitmaps(struct ext *e, struct p2h_error *err);
int ext_space(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err);
int ext_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err);

/* ext_inode.c: inodes as structs; sizes differ between file systems, so that the large form is used, zero-filled */
int ext_inode_read(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *ret, const char *path, struct p2h_error *err);
int ext_inode_write(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
		    struct p2h_error *err);
/* Clears the whole slot, old attributes included. */
int ext_inode_write_new(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			struct p2h_error *err);
void ext_inode_init(struct ext *e, struct ext2_inode_large *inode, uint32_t type, const struct fs_meta *meta);
void ext_inode_set_meta(struct ext *e, struct ext2_inode_large *inode, const struct fs_meta *meta);
void ext_inode_touch(struct ext *e, struct ext2_inode_large *inode); /* mtime and ctime: now */
void ext_inode_set_ctime(struct ext *e, struct ext2_inode_large *inode);
void ext_inode_set_mtime(struct ext *e, struct ext2_inode_large *inode, int64_t sec, uint32_t nsec);
void ext_inode_stat(struct ext *e, ext2_ino_t ino, const struct ext2_inode_large *inode, struct fs_stat *ret);
static inline struct ext2_inode *ext_inode_small(struct ext2_inode_large *inode)
{
	return (struct ext2_inode *)inode;
}

/* ext_dir.c: names */
int ext_lookup(struct ext *e, const char *path, ext2_ino_t *ret, struct p2h_error *err);
/* The directory that holds the last component of path. */
int ext_lookup_parent(struct ext *e, const char *path, ext2_ino_t *ret, struct p2h_error *err);
int ext_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err);
void ext_forget(struct ext *e);
int ext_dir_add(struct ext *e, ext2_ino_t dir, const char *path, ext2_ino_t ino, uint32_t mode, struct p2h_error *err);
int ext_dir_remove(struct ext *e, ext2_ino_t dir, const char *path, ext2_ino_t ino, struct p2h_error *err);
int ext_dir_is_empty(struct ext *e, ext2_ino_t dir, const char *path, bool *ret, struct p2h_error *err);
int ext_dir_set_parent(struct ext *e, ext2_ino_t dir, ext2_ino_t parent, const char *path, struct p2h_error *err);

/* ext_map.c: where the blocks of a file are */
struct ext_map {
	struct ext *e;
	const char *path; /* for messages */
	struct ext2_inode_large *inode;
	ext2_extent_handle_t extents; /* NULL: a block map */
	uint32_t *block[3];           /* the indirect block last read of each level */
	blk64_t block_nr[3];
};
struct ext_run {
	blk64_t start; /* 0: a hole, or allocated and not written */
	uint64_t len;
};
/* inode and path are borrowed as long as the map is open. */
int ext_map_open(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, struct ext_map *ret,
		 struct p2h_error *err);
void ext_map_done(struct ext_map *m);
int ext_map_find(struct ext_map *m, blk64_t lblk, struct ext_run *ret, struct p2h_error *err);

/* ext_alloc.c: blocks for a file's content */
/*
 * Gives an inode without blocks room for size bytes, as few runs as there are, and sets its size. The runs (in blocks, in file
 * order) are appended to *ret. The inode is changed in memory; metadata blocks are written. whole: look for one run first.
 */
int ext_alloc(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, uint64_t size, bool whole, const char *path,
	      struct ranges *ret, struct p2h_error *err);
/* Frees all blocks of the content; the inode is then empty and was written. */
int ext_release(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, struct p2h_error *err);
int ext_check_room(struct ext *e, uint64_t size, uint64_t own_blocks, const char *path, struct p2h_error *err);

/* ext_file.c: open files */
int ext_open(struct fs *fs, const char *path, struct fs_file **ret, struct p2h_error *err);
int ext_file_new(struct ext *e, const char *path, uint64_t size, struct ranges *runs, struct fs_file **ret,
		 struct p2h_error *err); /* takes over runs on success */
/* All bytes of an inode's content at once. */
int ext_read_all(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, char *buf, size_t len,
		 struct p2h_error *err);
/* Data into runs of blocks; what remains of the last block becomes zero. */
int ext_write_all(struct ext *e, const struct ranges *runs, const void *data, size_t len, const char *path,
		  struct p2h_error *err);

/* ext_xattr.c */
int ext_xattrs(struct fs *fs, const char *path, struct fs_xattrs *ret, struct p2h_error *err);
int ext_set_xattr(struct fs *fs, const char *path, const char *name, const void *value, size_t len,
		  struct p2h_error *err);
int ext_xattrs_clear(struct ext *e, ext2_ino_t ino, const char *path, struct p2h_error *err);

/* ext_acl.c: false when it is no ACL. The result is appended. */
bool ext_acl_is(const char *name);
bool ext_acl_from_disk(const void *acl, size_t len, struct buf *ret);
bool ext_acl_to_disk(const void *acl, size_t len, struct buf *ret);

/* ext_boot.c */
int ext_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err);
int ext_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err);

/* ext_write.c */
extern const struct fs_write_ops ext_write_ops;
int ext_sync(struct fs *fs, struct p2h_error *err);

#endif
