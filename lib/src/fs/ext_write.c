/* ext_write.c - making, changing and removing files, links and directories */
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

#define LINKS_MAX 65000u

/* Something new on its way: an inode that is taken, and the directory that will name it. */
struct newcomer {
	struct ext2_inode_large inode;
	ext2_ino_t ino, dir;
	bool is_dir;
};

/* Takes an inode near the parent and clears its slot. */
static int begin(struct ext *e, const char *path, uint32_t type, const struct fs_meta *meta, struct newcomer *n,
		 struct p2h_error *err)
{
	errcode_t rc;
	int code = ext_bitmaps(e, err);

	if (!code)
		code = ext_lookup_parent(e, path, &n->dir, err);
	if (code)
		return code;
	rc = ext2fs_new_inode(e->e2, n->dir, (int)type, NULL, &n->ino);
	if (rc)
		return ext_error(e, rc, path, err);
	n->is_dir = type == LINUX_S_IFDIR;
	ext2fs_inode_alloc_stats2(e->e2, n->ino, +1, n->is_dir);
	ext_inode_init(e, &n->inode, type, meta);
	code = ext_inode_write_new(e, n->ino, &n->inode, path, err);
	if (code)
		ext2fs_inode_alloc_stats2(e->e2, n->ino, -1, n->is_dir);
	return code;
}

/* Gives back what a newcomer took, as far as it goes. */
static void undo(struct ext *e, struct newcomer *n, const char *path)
{
	struct p2h_error ignored;

	ext_release(e, n->ino, &n->inode, path, &ignored);
	n->inode.i_links_count = 0;
	n->inode.i_dtime = (uint32_t)e->e2->now;
	ext_inode_write(e, n->ino, &n->inode, path, &ignored);
	ext2fs_inode_alloc_stats2(e->e2, n->ino, -1, n->is_dir);
}

/* Writes the inode and gives it its name. */
static int finish(struct ext *e, const char *path, struct newcomer *n, struct p2h_error *err)
{
	int rc = ext_inode_write(e, n->ino, &n->inode, path, err);

	return rc ? rc : ext_dir_add(e, n->dir, path, n->ino, n->inode.i_mode, err);
}

static int ext_create(struct fs *fs, const char *path, const struct fs_meta *meta, uint64_t size, struct fs_file **ret,
		      struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ranges_done) struct ranges runs = {0};
	struct fs_file *file = NULL;
	struct newcomer n;
	int rc = begin(e, path, LINUX_S_IFREG, meta, &n, err);

	if (rc)
		return rc;
	rc = ext_alloc(e, n.ino, &n.inode, size, false, path, &runs, err);
	if (!rc)
		rc = ext_file_new(e, path, size, &runs, &file, err);
	if (!rc)
		rc = finish(e, path, &n, err);
	if (!rc) {
		*ret = file;
		return 0;
	}
	if (file) {
		file->writing = false; /* its blocks are given back: nothing is filled up */
		fs_file_close(file, NULL);
	}
	undo(e, &n, path);
	return rc;
}

static int ext_rewrite(struct fs *fs, const char *path, const void *data, size_t len, const struct fs_meta *meta,
		       struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ranges_done) struct ranges runs = {0};
	struct ext2_inode_large inode;
	ext2_ino_t ino;
	uint64_t own;
	int rc = ext_bitmaps(e, err);

	if (!rc)
		rc = ext_lookup(e, path, &ino, err);
	if (!rc)
		rc = ext_inode_read(e, ino, &inode, path, err);
	if (rc)
		return rc;
	if (inode.i_flags & (EXT4_ENCRYPT_FL | EXT4_VERITY_FL | EXT2_COMPRBLK_FL))
		return error_set(err, P2H_UNSUPPORTED, "%s: encrypted, compressed or sealed by fs-verity", path);
	own = inode.i_flags & EXT4_INLINE_DATA_FL ? 0 : ext2fs_get_stat_i_blocks(e->e2, ext_inode_small(&inode)) /
							 (e->e2->blocksize / 512);
	rc = ext_check_room(e, len, own, path, err);
	if (!rc)
		rc = ext_release(e, ino, &inode, path, err);
	if (!rc)
		rc = ext_alloc(e, ino, &inode, len, false, path, &runs, err);
	if (rc)
		return rc;
	if (meta)
		ext_inode_set_mtime(e, &inode, meta->mtime, meta->mtime_nsec);
	else
		ext_inode_set_mtime(e, &inode, e->base.now, 0);
	ext_inode_set_ctime(e, &inode);
	rc = ext_inode_write(e, ino, &inode, path, err);
	return rc ? rc : ext_write_all(e, &runs, data, len, path, err);
}

/* A subdirectory more or less: its ".." is a link to dir. Beyond the limit the count stands at 1: "not counted". */
static int count_subdir(struct ext *e, ext2_ino_t dir, int change, const char *path, struct p2h_error *err)
{
	struct ext2_inode_large inode;
	uint32_t links;
	int rc = ext_inode_read(e, dir, &inode, path, err);

	if (rc)
		return rc;
	links = inode.i_links_count;
	if (links == 1)
		return 0;
	if (change < 0 && links > 2)
		links--;
	if (change > 0 && ++links >= LINKS_MAX) {
		if (!ext2fs_has_feature_dir_nlink(e->e2->super))
			return error_set(err, P2H_NOSPACE, "%s: its directory cannot hold more directories", path);
		links = 1;
	}
	inode.i_links_count = (uint16_t)links;
	return ext_inode_write(e, dir, &inode, path, err);
}

/* The first block of a directory: "." and "..". */
static int write_dir_block(struct ext *e, const struct newcomer *n, blk64_t block, const char *path, struct p2h_error *err)
{
	char *content = NULL;
	errcode_t rc = ext2fs_new_dir_block(e->e2, n->ino, n->dir, &content);

	if (!rc)
		rc = ext2fs_write_dir_block4(e->e2, block, content, 0, n->ino);
	ext2fs_free_mem(&content);
	return rc ? ext_error(e, rc, path, err) : 0;
}

static int ext_mkdir(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ranges_done) struct ranges runs = {0};
	struct newcomer n;
	int rc = begin(e, path, LINUX_S_IFDIR, meta, &n, err);

	if (rc)
		return rc;
	n.inode.i_links_count = 2;
	rc = ext_alloc(e, n.ino, &n.inode, e->e2->blocksize, false, path, &runs, err);
	if (!rc)
		rc = write_dir_block(e, &n, runs.item[0].off, path, err);
	if (!rc)
		rc = count_subdir(e, n.dir, +1, path, err);
	if (!rc) {
		rc = finish(e, path, &n, err);
		if (rc)
			count_subdir(e, n.dir, -1, path, NULL);
	}
	if (rc)
		undo(e, &n, path);
	return rc;
}

static int ext_symlink(struct fs *fs, const char *target, const char *path, const struct fs_meta *meta,
		       struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ranges_done) struct ranges runs = {0};
	size_t len = strlen(target);
	struct newcomer n;
	int rc;

	if (len >= e->e2->blocksize)
		return error_set(err, P2H_UNSUPPORTED, "%s: a symbolic link here holds at most %u bytes", path,
				 e->e2->blocksize - 1);
	rc = begin(e, path, LINUX_S_IFLNK, meta, &n, err);
	if (rc)
		return rc;
	n.inode.i_mode = LINUX_S_IFLNK | 0777;
	if (len < sizeof(n.inode.i_block)) {
		memcpy(n.inode.i_block, target, len);
		n.inode.i_size = (uint32_t)len;
	} else {
		rc = ext_alloc(e, n.ino, &n.inode, len, false, path, &runs, err);
		if (!rc)
			rc = ext_write_all(e, &runs, target, len, path, err);
	}
	if (!rc)
		rc = finish(e, path, &n, err);
	if (rc)
		undo(e, &n, path);
	return rc;
}

static int ext_mknod(struct fs *fs, const char *path, uint32_t type, uint32_t major, uint32_t minor,
		     const struct fs_meta *meta, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct newcomer n;
	int rc = begin(e, path, type, meta, &n, err);

	if (rc)
		return rc;
	if (type == S_IFCHR || type == S_IFBLK) {
		if (major < 256 && minor < 256)
			n.inode.i_block[0] = major << 8 | minor;
		else
			n.inode.i_block[1] = (minor & 0xff) | major << 8 | (minor & ~0xffu) << 12;
	}
	rc = finish(e, path, &n, err);
	if (rc)
		undo(e, &n, path);
	return rc;
}

static int ext_link(struct fs *fs, const char *existing, const char *path, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct ext2_inode_large inode;
	ext2_ino_t ino, dir;
	int rc = ext_bitmaps(e, err);

	if (!rc)
		rc = ext_lookup(e, existing, &ino, err);
	if (!rc)
		rc = ext_lookup_parent(e, path, &dir, err);
	if (!rc)
		rc = ext_inode_read(e, ino, &inode, existing, err);
	if (rc)
		return rc;
	if (inode.i_links_count >= LINKS_MAX)
		return error_set(err, P2H_UNSUPPORTED, "%s: has %u names already", existing, inode.i_links_count);
	rc = ext_dir_add(e, dir, path, ino, inode.i_mode, err);
	if (rc)
		return rc;
	inode.i_links_count++;
	ext_inode_set_ctime(e, &inode);
	return ext_inode_write(e, ino, &inode, existing, err);
}

static int ext_rename(struct fs *fs, const char *from, const char *to, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct ext2_inode_large inode;
	ext2_ino_t ino, from_dir, to_dir;
	bool moves_dir;
	int rc = ext_bitmaps(e, err);

	if (!rc)
		rc = ext_lookup_parent(e, from, &from_dir, err);
	if (!rc)
		rc = ext_lookup(e, from, &ino, err);
	if (!rc)
		rc = ext_lookup_parent(e, to, &to_dir, err);
	if (!rc)
		rc = ext_inode_read(e, ino, &inode, from, err);
	if (rc)
		return rc;
	moves_dir = LINUX_S_ISDIR(inode.i_mode) && from_dir != to_dir;
	if (moves_dir)
		rc = count_subdir(e, to_dir, +1, to, err);
	if (!rc)
		rc = ext_dir_add(e, to_dir, to, ino, inode.i_mode, err);
	if (!rc)
		rc = ext_dir_remove(e, from_dir, from, ino, err);
	if (!rc && moves_dir)
		rc = ext_dir_set_parent(e, ino, to_dir, to, err);
	if (!rc && moves_dir)
		rc = count_subdir(e, from_dir, -1, from, err);
	if (!rc) /* the directory itself may be one of those just written */
		rc = ext_inode_read(e, ino, &inode, to, err);
	if (rc)
		return rc;
	ext_inode_set_ctime(e, &inode);
	return ext_inode_write(e, ino, &inode, to, err);
}

/* The last name of an inode is gone: gives back all it had. */
static int free_inode(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, struct p2h_error *err)
{
	bool is_dir = LINUX_S_ISDIR(inode->i_mode);
	int rc = ext_release(e, ino, inode, path, err);

	if (!rc)
		rc = ext_xattrs_clear(e, ino, path, err);
	if (!rc)
		rc = ext_inode_read(e, ino, inode, path, err);
	if (rc)
		return rc;
	inode->i_links_count = 0;
	inode->i_dtime = (uint32_t)e->e2->now;
	rc = ext_inode_write(e, ino, inode, path, err);
	if (!rc)
		ext2fs_inode_alloc_stats2(e->e2, ino, -1, is_dir);
	return rc;
}

static int ext_unlink(struct fs *fs, const char *path, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct ext2_inode_large inode;
	ext2_ino_t ino, dir;
	bool is_dir, empty = true;
	int rc = ext_bitmaps(e, err);

	if (!rc)
		rc = ext_lookup_parent(e, path, &dir, err);
	if (!rc)
		rc = ext_lookup(e, path, &ino, err);
	if (!rc)
		rc = ext_inode_read(e, ino, &inode, path, err);
	if (rc)
		return rc;
	is_dir = LINUX_S_ISDIR(inode.i_mode);
	if (is_dir)
		rc = ext_dir_is_empty(e, ino, path, &empty, err);
	if (!rc && !empty)
		rc = error_set(err, P2H_EXISTS, "%s: the directory is not empty", path);
	if (!rc)
		rc = ext_dir_remove(e, dir, path, ino, err);
	if (!rc && is_dir)
		rc = count_subdir(e, dir, -1, path, err);
	if (rc)
		return rc;
	if (is_dir || inode.i_links_count <= 1)
		return free_inode(e, ino, &inode, path, err);
	inode.i_links_count--;
	ext_inode_set_ctime(e, &inode);
	return ext_inode_write(e, ino, &inode, path, err);
}

static int ext_set_meta(struct fs *fs, const char *path, const struct fs_meta *meta, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct ext2_inode_large inode;
	ext2_ino_t ino;
	int rc = ext_lookup(e, path, &ino, err);

	if (!rc)
		rc = ext_inode_read(e, ino, &inode, path, err);
	if (rc)
		return rc;
	ext_inode_set_meta(e, &inode, meta);
	if (LINUX_S_ISLNK(inode.i_mode))
		inode.i_mode = LINUX_S_IFLNK | 0777;
	return ext_inode_write(e, ino, &inode, path, err);
}

int ext_sync(struct fs *fs, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	errcode_t rc;

	if (!(e->e2->flags & (EXT2_FLAG_DIRTY | EXT2_FLAG_CHANGED)))
		return 0;
	e->e2->super->s_wtime_hi = (uint8_t)((uint64_t)e->e2->now >> 32);
	e->flushing = true;
	rc = ext2fs_flush(e->e2);
	e->flushing = false;
	if (rc)
		return ext_error(e, rc, "writing the file system's metadata", err);
	e->e2->flags &= ~EXT2_FLAG_CHANGED;
	return 0;
}

const struct fs_write_ops ext_write_ops = {
	.create = ext_create,
	.rewrite = ext_rewrite,
	.mkdir = ext_mkdir,
	.symlink = ext_symlink,
	.mknod = ext_mknod,
	.link = ext_link,
	.rename = ext_rename,
	.unlink = ext_unlink,
	.set_meta = ext_set_meta,
	.set_xattr = ext_set_xattr,
	.sync = ext_sync,
	.boot_write = ext_boot_write,
};
