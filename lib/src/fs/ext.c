/* ext.c - opening, closing and counting an ext2, ext3 or ext4 file system */
#include "fs/ext.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

static void ext_free(struct ext *e)
{
	if (e->e2)
		ext2fs_free(e->e2); /* without writing anything */
	fs_base_done(&e->base);
	free(e);
}

static void cleanup_ext(struct ext **e)
{
	if (*e)
		ext_free(*e);
}

static int ext_close(struct fs *fs, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	int rc = e->base.writing ? ext_sync(fs, err) : 0;

	ext_free(e);
	return rc;
}

int ext_bitmaps(struct ext *e, struct p2h_error *err)
{
	errcode_t rc;

	if (e->bitmaps)
		return 0;
	rc = ext2fs_read_bitmaps(e->e2);
	if (rc)
		return ext_error(e, rc, "reading the allocation bitmaps", err);
	e->bitmaps = true;
	return 0;
}

int ext_space(struct fs *fs, const char *path, struct fs_space *ret, struct p2h_error *err)
{
	struct ext2_super_block *sb = ext_of(fs)->e2->super;

	(void)path;
	(void)err;
	*ret = (struct fs_space){
		.block_size = ext_of(fs)->e2->blocksize,
		.blocks = ext2fs_blocks_count(sb),
		.blocks_free = ext2fs_free_blocks_count(sb),
		.inodes = sb->s_inodes_count,
		.inodes_free = sb->s_free_inodes_count,
	};
	return 0;
}

int ext_free_ranges(struct fs *fs, uint64_t base, struct ranges *ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	ext2_filsys e2 = e->e2;
	blk64_t end = ext2fs_blocks_count(e2->super), start, stop, at = e2->super->s_first_data_block;
	int code = ext_bitmaps(e, err);

	if (code)
		return code;
	while (at < end) {
		errcode_t rc = ext2fs_find_first_zero_block_bitmap2(e2->block_map, at, end - 1, &start);

		if (rc == ENOENT)
			return 0;
		if (rc)
			return ext_error(e, rc, "searching the block bitmap", err);
		rc = ext2fs_find_first_set_block_bitmap2(e2->block_map, start, end - 1, &stop);
		if (rc == ENOENT)
			stop = end;
		else if (rc)
			return ext_error(e, rc, "searching the block bitmap", err);
		ranges_add(ret, base + start * e2->blocksize, (stop - start) * e2->blocksize);
		at = stop;
	}
	return 0;
}

static int ext_lstat(struct fs *fs, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct ext2_inode_large inode;
	ext2_ino_t ino;
	int rc = ext_lookup(e, path, &ino, err);

	if (!rc)
		rc = ext_inode_read(e, ino, &inode, path, err);
	if (!rc)
		ext_inode_stat(e, ino, &inode, ret);
	return rc;
}

static int ext_readlink(struct fs *fs, const char *path, char **ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP_FREE char *target = NULL;
	struct ext2_inode_large inode;
	ext2_ino_t ino;
	size_t len;
	int rc = ext_lookup(e, path, &ino, err);

	if (!rc)
		rc = ext_inode_read(e, ino, &inode, path, err);
	if (rc)
		return rc;
	if (!LINUX_S_ISLNK(inode.i_mode))
		return error_set(err, P2H_USAGE, "%s: not a symbolic link", path);
	if (inode.i_flags & EXT4_ENCRYPT_FL)
		return error_set(err, P2H_UNSUPPORTED, "%s: encrypted", path);
	if (!EXT2_I_SIZE(&inode) || EXT2_I_SIZE(&inode) >= FS_PATH_MAX)
		return error_set(err, P2H_CORRUPT, "%s: a symbolic link of %llu bytes", path,
				 (unsigned long long)EXT2_I_SIZE(&inode));
	len = (size_t)EXT2_I_SIZE(&inode);
	target = calloc(1, len + 1);
	if (!target)
		return error_nomem(err);
	if (ext2fs_is_fast_symlink(ext_inode_small(&inode))) {
		if (len > sizeof(inode.i_block))
			return error_set(err, P2H_CORRUPT, "%s: a symbolic link longer than its inode", path);
		memcpy(target, inode.i_block, len);
	} else {
		rc = ext_read_all(e, ino, &inode, path, target, len, err);
		if (rc)
			return rc;
	}
	if (strlen(target) != len)
		return error_set(err, P2H_CORRUPT, "%s: a symbolic link with a NUL byte in it", path);
	*ret = TAKE(target);
	return 0;
}

static const struct fs_ops ext_ops = {
	.close = ext_close,
	.lstat = ext_lstat,
	.list = ext_list,
	.readlink = ext_readlink,
	.xattrs = ext_xattrs,
	.open = ext_open,
	.space = ext_space,
	.free_ranges = ext_free_ranges,
	.boot_read = ext_boot_read,
};

/* What libext2fs does not check and our own arithmetic relies on. */
static int check_size(struct ext *e, struct p2h_error *err)
{
	struct ext2_super_block *sb = e->e2->super;
	uint64_t bytes;

	if (__builtin_mul_overflow((uint64_t)ext2fs_blocks_count(sb), (uint64_t)e->e2->blocksize, &bytes) ||
	    bytes > e->disk->size)
		return error_set(err, P2H_CORRUPT, "the file system has %llu blocks of %u bytes, the volume only %llu bytes: is the copy truncated?",
				 (unsigned long long)ext2fs_blocks_count(sb), e->e2->blocksize,
				 (unsigned long long)e->disk->size);
	if (sb->s_free_inodes_count > sb->s_inodes_count || ext2fs_free_blocks_count(sb) > ext2fs_blocks_count(sb))
		return error_set(err, P2H_CORRUPT, "the superblock counts more free blocks or inodes than there are");
	return 0;
}

int fs_ext_open(struct disk *d, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err)
{
	CLEANUP(cleanup_ext) struct ext *e = calloc(1, sizeof(*e));
	int e2_flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP;
	errcode_t e2_rc;
	int rc;

	if (!e)
		return error_nomem(err);
	ext_error_init();
	e->base.ops = &ext_ops;
	e->base.now = now;
	e->disk = d;
	if (flags & FS_WRITE && !d->writable)
		return error_set(err, P2H_USAGE, "the volume was not opened for writing");
	rc = ext_super_check(d, flags, &e->base.info, err);
	if (rc)
		return rc;
	if (flags & FS_WRITE)
		e2_flags |= EXT2_FLAG_RW;
	e2_rc = ext_io_open(e, e2_flags);
	if (e2_rc) {
		e->e2 = NULL;
		return ext_error(e, e2_rc, "opening the file system", err);
	}
	e->e2->now = now ? (time_t)now : 1; /* 0 would be the host's clock */
	e->e2->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
	rc = check_size(e, err);
	if (!rc && flags & FS_WRITE) {
		rc = ext_mmp_check(e, err);
		e->base.writing = &ext_write_ops;
	}
	if (rc)
		return rc;
	*ret = &TAKE(e)->base;
	return 0;
}
