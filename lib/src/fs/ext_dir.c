/* ext_dir.c - directories: looking names up, adding and removing them */
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/ext.h"

void ext_forget(struct ext *e)
{
	e->dir_ino = 0;
}

/* The kernel finds names there by rules that libext2fs does not follow. */
static int check_dir_flags(struct ext *e, ext2_ino_t dir, const char *path, struct p2h_error *err)
{
	struct ext2_inode_large inode;
	int rc = ext_inode_read(e, dir, &inode, path, err);

	if (rc)
		return rc;
	if (inode.i_flags & EXT4_ENCRYPT_FL)
		return error_set(err, P2H_UNSUPPORTED, "%s: the directory is encrypted", path);
	if (inode.i_flags & EXT4_CASEFOLD_FL)
		return error_set(err, P2H_UNSUPPORTED, "%s: the directory ignores case (casefold)", path);
	return 0;
}

static int look_in(struct ext *e, ext2_ino_t dir, const char *name, size_t len, const char *path, ext2_ino_t *ret,
		   struct p2h_error *err)
{
	struct ext2_super_block *sb = e->e2->super;
	bool may_have_flags = ext2fs_has_feature_encrypt(sb) || ext2fs_has_feature_casefold(sb); /* else there is nothing to read for */
	int code = may_have_flags ? check_dir_flags(e, dir, path, err) : 0;
	errcode_t rc;

	if (code)
		return code;
	rc = ext2fs_lookup(e->e2, dir, name, (int)len, NULL, ret);
	if (rc == EXT2_ET_FILE_NOT_FOUND)
		return error_set(err, P2H_NOTFOUND, "%s: no such file or directory", path);
	if (rc == EXT2_ET_NO_DIRECTORY)
		return error_set(err, P2H_NOTFOUND, "%s: not a directory on the way", path);
	if (rc)
		return ext_error(e, rc, path, err);
	if (!*ret || *ret > e->e2->super->s_inodes_count ||
	    (*ret < EXT2_FIRST_INODE(e->e2->super) && *ret != EXT2_ROOT_INO))
		return error_set(err, P2H_CORRUPT, "%s: names the inode %u, which cannot be", path, *ret);
	return 0;
}

/* The inode of the first len bytes of path, which is a directory. */
static int look_up_dir(struct ext *e, const char *path, size_t len, ext2_ino_t *ret, struct p2h_error *err)
{
	ext2_ino_t ino = EXT2_ROOT_INO;
	size_t at = 0, known;
	int rc;

	if (len <= 1) {
		*ret = ino;
		return 0;
	}
	known = e->dir_ino ? strlen(e->dir_path) : 0;
	if (known && known <= len && !memcmp(e->dir_path, path, known) && (known == len || path[known] == '/')) {
		ino = e->dir_ino;
		at = known;
	}
	while (at < len) {
		const char *name = path + at + 1;
		size_t n = strcspn(name, "/");

		rc = look_in(e, ino, name, n, path, &ino, err);
		if (rc)
			return rc;
		at += 1 + n;
	}
	memcpy(e->dir_path, path, len);
	e->dir_path[len] = '\0';
	e->dir_ino = ino;
	*ret = ino;
	return 0;
}

int ext_lookup_parent(struct ext *e, const char *path, ext2_ino_t *ret, struct p2h_error *err)
{
	return look_up_dir(e, path, fs_parent_len(path), ret, err);
}

int ext_lookup(struct ext *e, const char *path, ext2_ino_t *ret, struct p2h_error *err)
{
	const char *name = fs_base_name(path);
	ext2_ino_t dir;
	int rc = ext_lookup_parent(e, path, &dir, err);

	if (rc)
		return rc;
	if (!*name) {
		*ret = EXT2_ROOT_INO;
		return 0;
	}
	return look_in(e, dir, name, strlen(name), path, ret, err);
}

struct listing {
	struct strlist *names;
	const char *path;
	struct p2h_error *err;
	int rc;
};

static int list_entry(struct ext2_dir_entry *dirent, int offset, int blocksize, char *buf, void *arg)
{
	struct listing *l = arg;
	size_t len = (size_t)ext2fs_dirent_name_len(dirent);
	char name[FS_NAME_MAX + 1];

	(void)offset;
	(void)blocksize;
	(void)buf;
	memcpy(name, dirent->name, len);
	name[len] = '\0';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return 0;
	if (!len || strlen(name) != len || strchr(name, '/')) {
		l->rc = error_set(l->err, P2H_CORRUPT, "%s: a name in the directory is empty or holds a slash or NUL", l->path);
		return DIRENT_ABORT;
	}
	if (l->names->len >= FS_LIST_MAX) {
		l->rc = error_set(l->err, P2H_CORRUPT, "%s: more than %u names", l->path, FS_LIST_MAX);
		return DIRENT_ABORT;
	}
	strlist_add(l->names, name);
	return 0;
}

int ext_list(struct fs *fs, const char *path, struct strlist *ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	struct listing l = {.names = ret, .path = path, .err = err};
	ext2_ino_t ino;
	errcode_t rc;
	int code = ext_lookup(e, path, &ino, err);

	if (code)
		return code;
	rc = ext2fs_dir_iterate(e->e2, ino, 0, NULL, list_entry, &l);
	if (l.rc)
		return l.rc;
	return rc ? ext_error(e, rc, path, err) : 0;
}

static int file_type(uint32_t mode)
{
	switch (mode & LINUX_S_IFMT) {
	case LINUX_S_IFREG:
		return EXT2_FT_REG_FILE;
	case LINUX_S_IFDIR:
		return EXT2_FT_DIR;
	case LINUX_S_IFLNK:
		return EXT2_FT_SYMLINK;
	case LINUX_S_IFCHR:
		return EXT2_FT_CHRDEV;
	case LINUX_S_IFBLK:
		return EXT2_FT_BLKDEV;
	case LINUX_S_IFIFO:
		return EXT2_FT_FIFO;
	case LINUX_S_IFSOCK:
		return EXT2_FT_SOCK;
	default:
		return EXT2_FT_UNKNOWN;
	}
}

static int touch_dir(struct ext *e, ext2_ino_t dir, const char *path, struct p2h_error *err)
{
	struct ext2_inode_large inode;
	int rc = ext_inode_read(e, dir, &inode, path, err);

	if (rc)
		return rc;
	ext_inode_touch(e, &inode);
	return ext_inode_write(e, dir, &inode, path, err);
}

/* Zeroes what is unused in an index node (ext4 disk layout, "Hash Tree Directories": limit and count stand in its first entry). */
static bool clean_node(uint8_t *block, size_t size)
{
	size_t limit = le16_get(block + 8), count = le16_get(block + 10), from = 8 + count * 8, to = 8 + limit * 8;
	bool dirty = false;

	for (; from < to && to <= size; from++) {
		dirty |= block[from] != 0;
		block[from] = 0;
	}
	return dirty;
}

/* Zeroes what is unused in a leaf: behind each name, up to the next entry. */
static bool clean_leaf(ext2_filsys fs, uint8_t *block, size_t size)
{
	bool dirty = false;

	for (size_t at = 0; at + 12 <= size;) {
		struct ext2_dir_entry *entry = (struct ext2_dir_entry *)(block + at);
		size_t name = entry->inode ? (size_t)ext2fs_dirent_name_len(entry) : 0;
		unsigned len = 0;
		bool tail = !entry->inode && entry->name_len == ext2fs_cpu_to_le16(EXT2_DIR_NAME_LEN_CSUM);

		if (ext2fs_get_rec_len(fs, entry, &len) || len < 8 + name || len > size - at)
			return dirty; /* not for us to mend */
		for (size_t i = at + 8 + name; i < at + len && !tail; i++) {
			dirty |= block[i] != 0;
			block[i] = 0;
		}
		at += len;
	}
	return dirty;
}

struct cleaning {
	struct ext *e;
	ext2_ino_t dir;
	uint8_t *block;
	errcode_t failed;
};

static int clean_block(ext2_filsys fs, blk64_t *nr, e2_blkcnt_t index, blk64_t ref, int ref_off, void *arg)
{
	struct cleaning *c = arg;
	struct ext2_dir_entry *first = (struct ext2_dir_entry *)c->block;
	unsigned len = 0;
	bool dirty;

	(void)ref;
	(void)ref_off;
	if (index <= 0)
		return 0; /* the root of the index is changed in place, never made anew */
	c->failed = ext2fs_read_dir_block4(fs, *nr, c->block, 0, c->dir);
	if (!c->failed)
		c->failed = ext2fs_get_rec_len(fs, first, &len);
	if (c->failed)
		return BLOCK_ABORT;
	dirty = !first->inode && len == fs->blocksize ? clean_node(c->block, fs->blocksize) : clean_leaf(fs, c->block, fs->blocksize);
	if (dirty)
		c->failed = ext2fs_write_dir_block4(fs, *nr, c->block, 0, c->dir);
	return c->failed ? BLOCK_ABORT : 0;
}

/*
 * libext2fs splits the blocks of an indexed directory in buffers that it does not clear: what our memory held would get into the image,
 * and the same input would not give the same bytes.
 */
static int clean_index(struct ext *e, ext2_ino_t dir, const char *path, struct p2h_error *err)
{
	CLEANUP_FREE uint8_t *block = malloc(e->e2->blocksize);
	struct cleaning c = {e, dir, block, 0};
	errcode_t rc;

	if (!block)
		return error_nomem(err);
	rc = ext2fs_block_iterate3(e->e2, dir, BLOCK_FLAG_DATA_ONLY, NULL, clean_block, &c);
	if (!rc)
		rc = c.failed;
	return rc ? ext_error(e, rc, path, err) : 0;
}

int ext_dir_add(struct ext *e, ext2_ino_t dir, const char *path, ext2_ino_t ino, uint32_t mode, struct p2h_error *err)
{
	const char *name = fs_base_name(path);
	struct ext2_inode_large before, after;
	errcode_t rc;
	int code = check_dir_flags(e, dir, path, err);

	if (!code)
		code = ext_inode_read(e, dir, &before, path, err);
	if (code)
		return code;
	rc = ext2fs_link(e->e2, dir, name, ino, file_type(mode));
	if (rc == EXT2_ET_DIR_NO_SPACE) {
		rc = ext2fs_expand_dir(e->e2, dir);
		if (!rc)
			rc = ext2fs_link(e->e2, dir, name, ino, file_type(mode));
	}
	if (rc)
		return ext_error(e, rc, path, err);
	code = ext_inode_read(e, dir, &after, path, err);
	if (!code && (after.i_flags & EXT2_INDEX_FL) && after.i_size != before.i_size)
		code = clean_index(e, dir, path, err);
	return code ? code : touch_dir(e, dir, path, err);
}

int ext_dir_remove(struct ext *e, ext2_ino_t dir, const char *path, ext2_ino_t ino, struct p2h_error *err)
{
	errcode_t rc = ext2fs_unlink(e->e2, dir, fs_base_name(path), ino, 0);

	ext_forget(e);
	return rc ? ext_error(e, rc, path, err) : touch_dir(e, dir, path, err);
}

/* By name: for a directory inside its inode libext2fs calls ".." a file like others. */
static bool is_named(const struct ext2_dir_entry *dirent, const char *name)
{
	size_t len = (size_t)ext2fs_dirent_name_len(dirent);

	return len == strlen(name) && !memcmp(dirent->name, name, len);
}

static int find_child(struct ext2_dir_entry *dirent, int offset, int blocksize, char *buf, void *arg)
{
	(void)offset;
	(void)blocksize;
	(void)buf;
	if (is_named(dirent, ".") || is_named(dirent, ".."))
		return 0;
	*(bool *)arg = true;
	return DIRENT_ABORT;
}

int ext_dir_is_empty(struct ext *e, ext2_ino_t dir, const char *path, bool *ret, struct p2h_error *err)
{
	bool child = false;
	errcode_t rc = ext2fs_dir_iterate(e->e2, dir, 0, NULL, find_child, &child);

	*ret = !child;
	return rc ? ext_error(e, rc, path, err) : 0;
}

static int change_parent(struct ext2_dir_entry *dirent, int offset, int blocksize, char *buf, void *arg)
{
	ext2_ino_t *parent = arg;

	(void)offset;
	(void)blocksize;
	(void)buf;
	if (!is_named(dirent, ".."))
		return 0;
	dirent->inode = *parent;
	*parent = 0;
	return DIRENT_CHANGED | DIRENT_ABORT;
}

int ext_dir_set_parent(struct ext *e, ext2_ino_t dir, ext2_ino_t parent, const char *path, struct p2h_error *err)
{
	errcode_t rc = ext2fs_dir_iterate(e->e2, dir, 0, NULL, change_parent, &parent);

	if (rc)
		return ext_error(e, rc, path, err);
	return parent ? error_set(err, P2H_CORRUPT, "%s: the directory has no \"..\"", path) : 0;
}
