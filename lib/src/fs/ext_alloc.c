/* ext_alloc.c - giving blocks to a file's content and taking them back */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

#define EXTENT_MAX_LEN 32768u /* blocks in one written extent */

/* Indirect blocks that a block map of n data blocks needs: three trees, each one level deeper. */
static uint64_t map_overhead(struct ext *e, uint64_t n)
{
	uint64_t per = e->e2->blocksize / 4, left, span = per, blocks = 0;

	left = n > EXT2_NDIR_BLOCKS ? n - EXT2_NDIR_BLOCKS : 0;
	for (int depth = 1; depth <= 3 && left; depth++) {
		uint64_t here = left < span ? left : span, below = here;

		for (int level = 0; level < depth; level++) {
			below = (below + per - 1) / per;
			blocks += below;
		}
		left -= here;
		span *= per;
	}
	return blocks;
}

static uint64_t size_in_blocks(struct ext *e, uint64_t size)
{
	return size / e->e2->blocksize + (size % e->e2->blocksize != 0);
}

int ext_check_room(struct ext *e, uint64_t size, uint64_t own_blocks, const char *path, struct p2h_error *err)
{
	uint64_t need = size_in_blocks(e, size), ratio = (uint64_t)EXT2FS_CLUSTER_RATIO(e->e2);
	uint64_t have = ext2fs_free_blocks_count(e->e2->super) + own_blocks;

	need = (need + ratio - 1) / ratio * ratio;
	if (!ext2fs_has_feature_extents(e->e2->super))
		need += map_overhead(e, need);
	if (need <= have)
		return 0;
	return error_set(err, P2H_NOSPACE, "%s: needs %llu KiB, only %llu KiB are free in the file system", path,
			 (unsigned long long)(need * (e->e2->blocksize / 1024)),
			 (unsigned long long)(have * (e->e2->blocksize / 1024)));
}

/* Where to look first: behind the last file of the same place, so that a tree that is copied stays together. */
static blk64_t find_goal(struct ext *e, ext2_ino_t ino)
{
	struct ext2_inode none = {0};
	blk64_t base = ext2fs_find_inode_goal(e->e2, ino, &none, 0);

	if (base != e->goal_base) {
		e->goal_base = base;
		e->goal_next = base;
	}
	return e->goal_next;
}

static void free_runs(struct ext *e, const struct ranges *runs)
{
	for (size_t i = 0; i < runs->len; i++)
		ext2fs_block_alloc_stats_range(e->e2, runs->item[i].off, (blk_t)runs->item[i].len, -1);
}

/* Takes n blocks (rounded up to clusters) as runs of blocks; on failure nothing is taken. */
static errcode_t take_blocks(struct ext *e, uint64_t n, blk64_t goal, bool whole, struct ranges *ret)
{
	uint64_t ratio = (uint64_t)EXT2FS_CLUSTER_RATIO(e->e2);
	int flags = whole ? EXT2_NEWRANGE_MIN_LENGTH : 0;
	blk64_t start, len;
	errcode_t rc = 0;

	n = (n + ratio - 1) / ratio * ratio;
	goal &= ~(ratio - 1);
	while (n && !rc) {
		uint64_t want = n < (1u << 30) ? n : 1u << 30;

		rc = ext2fs_new_range(e->e2, flags, goal, want, NULL, &start, &len);
		if (rc == EXT2_ET_BLOCK_ALLOC_FAIL && flags) { /* no run is that long: take what there is */
			flags = 0;
			rc = 0;
			continue;
		}
		if (rc)
			break;
		if (len > want)
			len = want;
		len = len / ratio * ratio;
		if (start % ratio || !len) {
			rc = EXT2_ET_BLOCK_ALLOC_FAIL;
			break;
		}
		ext2fs_block_alloc_stats_range(e->e2, start, (blk_t)len, +1);
		ranges_add(ret, start, len);
		if (ret->failed) {
			ext2fs_block_alloc_stats_range(e->e2, start, (blk_t)len, -1);
			rc = EXT2_ET_NO_MEMORY;
			break;
		}
		n -= len;
		goal = start + len;
	}
	if (!rc) {
		e->goal_next = goal;
		return 0;
	}
	free_runs(e, ret);
	ret->len = 0;
	return rc;
}

/* Cuts a list of runs to n blocks: the last cluster may be longer than the file. */
static void cut_runs(struct ranges *runs, uint64_t n)
{
	for (size_t i = 0; i < runs->len; i++) {
		if (runs->item[i].len > n)
			runs->item[i].len = n;
		n -= runs->item[i].len;
	}
	while (runs->len && !runs->item[runs->len - 1].len)
		runs->len--;
}

static errcode_t map_extents(struct ext *e, ext2_ino_t ino, struct ext2_inode *inode, const struct ranges *runs)
{
	ext2_extent_handle_t handle = NULL;
	blk64_t lblk = 0;
	errcode_t rc = ext2fs_extent_open2(e->e2, ino, inode, &handle);

	for (size_t i = 0; i < runs->len && !rc; i++) {
		uint64_t done = 0;

		while (done < runs->item[i].len && !rc) {
			uint64_t len = runs->item[i].len - done;
			struct ext2fs_extent x = {
				.e_pblk = runs->item[i].off + done,
				.e_lblk = lblk,
				.e_len = (uint32_t)(len < EXTENT_MAX_LEN ? len : EXTENT_MAX_LEN),
			};

			rc = ext2fs_extent_insert(handle, EXT2_EXTENT_INSERT_AFTER, &x);
			lblk += x.e_len;
			done += x.e_len;
		}
	}
	ext2fs_extent_free(handle);
	return rc;
}

/* Blocks handed out one by one from a list of runs. */
struct supply {
	const struct ranges *from;
	size_t run;
	uint64_t used; /* of that run */
};

static errcode_t supply_take(struct supply *s, uint32_t *ret)
{
	const struct range *run = &s->from->item[s->run];

	if (s->run >= s->from->len || run->off + s->used > UINT32_MAX)
		return EXT2_ET_FILE_TOO_BIG; /* a block map holds 32 bits */
	*ret = (uint32_t)(run->off + s->used);
	if (++s->used == run->len) {
		s->run++;
		s->used = 0;
	}
	return 0;
}

/* The building of a block map. Its own blocks come from the front of what was taken, so that the data is in one piece. */
struct map_builder {
	struct ext *e;
	struct supply own, content;
	uint64_t left; /* data blocks to come */
	struct ranges *data;
};

/* Depth 0 is a data block; the depth is at most 3. */
static errcode_t build_tree(struct map_builder *b, int depth, uint32_t *ret)
{
	uint32_t per = b->e->e2->blocksize / 4;
	CLEANUP_FREE uint32_t *entry = NULL;
	errcode_t rc = supply_take(depth ? &b->own : &b->content, ret);

	if (rc)
		return rc;
	if (!depth) {
		ranges_add(b->data, *ret, 1);
		b->left--;
		return b->data->failed ? EXT2_ET_NO_MEMORY : 0;
	}
	entry = calloc(per, sizeof(*entry));
	if (!entry)
		return EXT2_ET_NO_MEMORY;
	for (uint32_t i = 0; i < per && b->left && !rc; i++)
		rc = build_tree(b, depth - 1, &entry[i]);
	return rc ? rc : ext2fs_write_ind_block(b->e->e2, *ret, entry);
}

static errcode_t map_blocks(struct ext *e, struct ext2_inode *inode, uint64_t n, const struct ranges *from,
			    struct ranges *data)
{
	struct map_builder b = {.e = e, .own = {.from = from}, .content = {.from = from}, .left = n, .data = data};
	errcode_t rc = 0;
	uint32_t skipped;

	for (uint64_t own = map_overhead(e, n); own && !rc; own--)
		rc = supply_take(&b.content, &skipped);
	for (int i = 0; i < EXT2_N_BLOCKS && b.left && !rc; i++)
		rc = build_tree(&b, i < EXT2_NDIR_BLOCKS ? 0 : i - EXT2_NDIR_BLOCKS + 1, &inode->i_block[i]);
	return rc;
}

/* Takes and maps blocks for an inode that has none. */
static errcode_t alloc_and_map(struct ext *e, ext2_ino_t ino, struct ext2_inode *inode, uint64_t n, bool whole,
			       struct ranges *data)
{
	CLEANUP(ranges_done) struct ranges taken = {0};
	bool extents = ext2fs_has_feature_extents(e->e2->super);
	uint64_t all = extents ? n : n + map_overhead(e, n);
	errcode_t rc;

	rc = take_blocks(e, all, find_goal(e, ino), whole, &taken);
	if (rc)
		return rc;
	rc = ext2fs_iblk_add_blocks(e->e2, inode, EXT2FS_NUM_B2C(e->e2, all));
	if (!rc && extents) {
		for (size_t i = 0; i < taken.len; i++)
			ranges_add(data, taken.item[i].off, taken.item[i].len);
		cut_runs(data, n);
		rc = data->failed ? EXT2_ET_NO_MEMORY : map_extents(e, ino, inode, data);
	} else if (!rc) {
		rc = map_blocks(e, inode, n, &taken, data);
	}
	if (rc)
		free_runs(e, &taken);
	return rc;
}

/* The largest file that a block map can hold: its tree, and 32 bits of sectors without huge_file. */
static uint64_t max_blocks(struct ext *e)
{
	uint64_t per = e->e2->blocksize / 4, n, sectors = UINT32_MAX / (e->e2->blocksize / 512);

	if (ext2fs_has_feature_extents(e->e2->super))
		return UINT32_MAX;
	n = EXT2_NDIR_BLOCKS + per + per * per + per * per * per;
	if (n > UINT32_MAX)
		n = UINT32_MAX;
	sectors -= sectors / per * 2 + 4; /* the map counts too */
	return !ext2fs_has_feature_huge_file(e->e2->super) && n > sectors ? sectors : n;
}

int ext_alloc(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, uint64_t size, bool whole, const char *path,
	      struct ranges *ret, struct p2h_error *err)
{
	uint64_t n = size_in_blocks(e, size);
	struct ext2_inode *small = ext_inode_small(inode);
	errcode_t rc = 0;
	int code;

	if (n > max_blocks(e))
		return error_set(err, P2H_UNSUPPORTED, "%s: %llu bytes are more than a file here can hold", path,
				 (unsigned long long)size);
	code = ext_check_room(e, size, 0, path, err);
	if (code)
		return code;
	memset(inode->i_block, 0, sizeof(inode->i_block));
	inode->i_flags &= ~(uint32_t)(EXT4_EXTENTS_FL | EXT4_INLINE_DATA_FL);
	if (ext2fs_has_feature_extents(e->e2->super)) {
		ext2_extent_handle_t handle = NULL;

		inode->i_flags |= EXT4_EXTENTS_FL;
		rc = ext2fs_extent_open2(e->e2, ino, small, &handle); /* writes an empty root into i_block */
		if (!rc)
			ext2fs_extent_free(handle);
	}
	if (!rc && n)
		rc = alloc_and_map(e, ino, small, n, whole, ret);
	if (!rc)
		rc = ext2fs_inode_size_set(e->e2, small, (ext2_off64_t)size);
	return rc ? ext_error(e, rc, path, err) : 0;
}

/* A run must be marked as used. */
static int check_used(struct ext *e, const struct ext_run *run, const char *path, struct p2h_error *err)
{
	blk64_t found;
	errcode_t rc = ext2fs_find_first_zero_block_bitmap2(e->e2->block_map, run->start, run->start + run->len - 1, &found);

	if (rc == ENOENT)
		return 0;
	if (rc)
		return ext_error(e, rc, path, err);
	return error_set(err, P2H_CORRUPT, "%s: uses block %llu, which is marked as free", path, (unsigned long long)found);
}

/* Before anything is freed: libext2fs does not look whether blocks lie inside the file system and are in use. */
static int check_content(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			 struct p2h_error *err)
{
	CLEANUP(ext_map_done) struct ext_map map = {0};
	struct ext_run run = {0};
	uint64_t total = 0;
	int rc = ext_map_open(e, ino, inode, path, &map, err);

	for (blk64_t at = 0; !rc; at += run.len) {
		rc = ext_map_find(&map, at, &run, err);
		if (!rc && run.start) {
			total += run.len;
			rc = check_used(e, &run, path, err);
		}
		if (!rc && total > ext2fs_blocks_count(e->e2->super))
			rc = error_set(err, P2H_CORRUPT, "%s: holds more blocks than the file system", path);
		if (rc || run.len > UINT32_MAX - at) /* the last block a file can have */
			break;
	}
	return rc;
}

int ext_release(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path, struct p2h_error *err)
{
	struct ext2_inode *small = ext_inode_small(inode);
	errcode_t rc;
	int code;

	if (!(inode->i_flags & EXT4_INLINE_DATA_FL)) {
		if (!ext2fs_inode_has_valid_blocks2(e->e2, small))
			return 0;
		code = check_content(e, ino, inode, path, err);
		if (code)
			return code;
	}
	rc = ext2fs_punch(e->e2, ino, small, NULL, 0, ~0ULL);
	if (rc)
		return ext_error(e, rc, path, err);
	/* The attribute that held a part of inline data is gone on disk: take the inode's rest from there. */
	if (inode->i_flags & EXT4_INLINE_DATA_FL) {
		code = ext_inode_read(e, ino, inode, path, err);
		if (code)
			return code;
		inode->i_flags &= ~(uint32_t)EXT4_INLINE_DATA_FL;
	}
	inode->i_flags &= ~(uint32_t)EXT4_EXTENTS_FL;
	memset(inode->i_block, 0, sizeof(inode->i_block));
	inode->i_size = 0;
	inode->i_size_high = 0;
	return ext_inode_write(e, ino, inode, path, err);
}
