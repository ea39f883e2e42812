/*
 * ext_map.c - from a file's blocks to the volume's, by extents or by the block map of ext2
 *
 * Nothing is gathered in advance: a map that lies about its size costs no more than what is read of it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

void ext_map_done(struct ext_map *m)
{
	if (m->extents)
		ext2fs_extent_free(m->extents);
	for (int i = 0; i < 3; i++)
		free(m->block[i]);
	memset(m, 0, sizeof(*m));
}

int ext_map_open(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, struct ext_map *ret,
		 struct p2h_error *err)
{
	errcode_t rc;

	*ret = (struct ext_map){.e = e, .path = path, .inode = inode};
	if (!(inode->i_flags & EXT4_EXTENTS_FL))
		return 0;
	rc = ext2fs_extent_open2(e->e2, ino, ext_inode_small(inode), &ret->extents);
	if (rc) {
		ret->extents = NULL;
		return ext_error(e, rc, path, err);
	}
	return 0;
}

static int check_run(struct ext_map *m, const struct ext_run *run, struct p2h_error *err)
{
	struct ext2_super_block *sb = m->e->e2->super;

	if (!run->len)
		return error_set(err, P2H_CORRUPT, "%s: the map of its blocks holds an empty run", m->path);
	if (!run->start || (run->start >= sb->s_first_data_block && run->start < ext2fs_blocks_count(sb) &&
			    run->len <= ext2fs_blocks_count(sb) - run->start))
		return 0;
	return error_set(err, P2H_CORRUPT, "%s: a block outside the file system (%llu)", m->path,
			 (unsigned long long)run->start);
}

/*
 * The extent after the one that ext2fs_extent_goto() stopped at. EXT2_EXTENT_NEXT_LEAF is of no use there: at the end of
 * a leaf it starts the same leaf again.
 */
static errcode_t next_extent(ext2_extent_handle_t handle, struct ext2fs_extent *ret)
{
	errcode_t rc = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_SIB, ret);

	while (rc == EXT2_ET_EXTENT_NO_NEXT) {
		rc = ext2fs_extent_get(handle, EXT2_EXTENT_UP, ret);
		if (rc == EXT2_ET_EXTENT_NO_UP)
			return EXT2_ET_EXTENT_NO_NEXT;
		if (!rc)
			rc = ext2fs_extent_get(handle, EXT2_EXTENT_NEXT_SIB, ret);
	}
	while (!rc && !(ret->e_flags & EXT2_EXTENT_FLAGS_LEAF))
		rc = ext2fs_extent_get(handle, EXT2_EXTENT_DOWN, ret);
	return rc;
}

/* lblk is in no extent: how long is the hole? */
static int find_hole(struct ext_map *m, blk64_t lblk, struct ext_run *ret, struct p2h_error *err)
{
	struct ext2fs_extent x;
	errcode_t rc = ext2fs_extent_get(m->extents, EXT2_EXTENT_CURRENT, &x);

	*ret = (struct ext_run){.len = UINT64_MAX};
	if (!rc && x.e_lblk <= lblk)
		rc = next_extent(m->extents, &x);
	if (rc == EXT2_ET_NO_CURRENT_NODE || rc == EXT2_ET_EXTENT_NO_NEXT)
		return 0;
	if (rc)
		return ext_error(m->e, rc, m->path, err);
	if (x.e_lblk <= lblk)
		return error_set(err, P2H_CORRUPT, "%s: its extents are out of order", m->path);
	ret->len = x.e_lblk - lblk;
	return 0;
}

static int find_extent(struct ext_map *m, blk64_t lblk, struct ext_run *ret, struct p2h_error *err)
{
	struct ext2fs_extent x;
	errcode_t rc = ext2fs_extent_goto(m->extents, lblk);

	if (rc == EXT2_ET_EXTENT_NOT_FOUND)
		return find_hole(m, lblk, ret, err);
	if (!rc)
		rc = ext2fs_extent_get(m->extents, EXT2_EXTENT_CURRENT, &x);
	if (rc)
		return ext_error(m->e, rc, m->path, err);
	if (x.e_lblk > lblk || lblk - x.e_lblk >= x.e_len)
		return error_set(err, P2H_CORRUPT, "%s: its extents are out of order", m->path);
	ret->len = x.e_len - (lblk - x.e_lblk);
	ret->start = x.e_flags & EXT2_EXTENT_FLAGS_UNINIT ? 0 : x.e_pblk + (lblk - x.e_lblk);
	return 0;
}

/* Reads an indirect block; the last one of each level is kept. */
static int read_indirect(struct ext_map *m, int level, blk64_t nr, struct p2h_error *err)
{
	struct ext_run one = {.start = nr, .len = 1};
	errcode_t rc;
	int code = check_run(m, &one, err);

	if (code || m->block_nr[level] == nr)
		return code;
	if (!m->block[level])
		m->block[level] = malloc(m->e->e2->blocksize);
	if (!m->block[level])
		return error_nomem(err);
	m->block_nr[level] = 0;
	rc = ext2fs_read_ind_block(m->e->e2, (blk_t)nr, m->block[level]);
	if (rc)
		return ext_error(m->e, rc, m->path, err);
	m->block_nr[level] = nr;
	return 0;
}

/* The run that starts at entry i of an array of n block numbers. */
static void run_in_array(const uint32_t *entry, uint64_t i, uint64_t n, struct ext_run *ret)
{
	uint64_t len = 1;

	while (i + len < n && entry[i + len] == (entry[i] ? entry[i] + len : 0))
		len++;
	*ret = (struct ext_run){.start = entry[i], .len = len};
}

static int find_in_map(struct ext_map *m, blk64_t lblk, struct ext_run *ret, struct p2h_error *err)
{
	uint64_t per = m->e->e2->blocksize / 4, span = 1;
	blk64_t nr;
	int depth;

	if (lblk < EXT2_NDIR_BLOCKS) {
		run_in_array(m->inode->i_block, lblk, EXT2_NDIR_BLOCKS, ret);
		return 0;
	}
	lblk -= EXT2_NDIR_BLOCKS;
	for (depth = 1; lblk >= span * per; depth++) {
		span *= per;
		lblk -= span;
		if (depth == 3) { /* no map reaches that far */
			*ret = (struct ext_run){.len = UINT64_MAX};
			return 0;
		}
	}
	nr = m->inode->i_block[EXT2_NDIR_BLOCKS + depth - 1];
	for (int level = depth - 1; level >= 0; level--) {
		int rc;

		if (!nr) { /* nothing below: a hole up to the end of this subtree */
			*ret = (struct ext_run){.len = span * per - lblk};
			return 0;
		}
		rc = read_indirect(m, level, nr, err);
		if (rc)
			return rc;
		if (!level)
			break;
		nr = m->block[level][lblk / span];
		lblk %= span;
		span /= per;
	}
	run_in_array(m->block[0], lblk, per, ret);
	return 0;
}

int ext_map_find(struct ext_map *m, blk64_t lblk, struct ext_run *ret, struct p2h_error *err)
{
	int rc = m->extents ? find_extent(m, lblk, ret, err) : find_in_map(m, lblk, ret, err);

	return rc ? rc : check_run(m, ret, err);
}
