/*
 * ext_metadata.c - all that e2fsck looks at
 *
 * Starts from everything that is marked as in use and leaves out the content of regular files whose mapping could be read to its end.
 * So damage makes the copy larger, never smaller: a block that is missing would read as zeros, and e2fsck would "repair" that.
 */
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext_scratch.h"

struct walk {
	struct blockset *metadata, *content;
	uint64_t seen, limit; /* of all files: mappings that go in circles, or that all go to the same blocks */
	struct ranges runs; /* of the file at hand */
	bool regular, journal; /* what the file at hand is */
	bool reads;            /* for e2fsck -n: less is looked at */
	int code;
	struct p2h_error *err;
};

/* Not ranges_add: the blocks of a file come in any order. */
static int add_run(struct walk *w, uint64_t block)
{
	if (w->runs.len == w->runs.cap) {
		size_t cap = w->runs.cap ? 2 * w->runs.cap : 64;
		struct range *more = reallocarray(w->runs.item, cap, sizeof(*more));

		if (!more)
			return error_nomem(w->err);
		w->runs.item = more;
		w->runs.cap = cap;
	}
	w->runs.item[w->runs.len++] = (struct range){block, 1};
	return 0;
}

static int one_block(ext2_filsys e2, blk64_t *block, e2_blkcnt_t number, blk64_t ref_block, int ref_offset, void *arg)
{
	struct walk *w = arg;
	struct range *last = w->runs.len ? &w->runs.item[w->runs.len - 1] : NULL;

	(void)e2;
	(void)ref_block;
	(void)ref_offset;
	if (++w->seen > w->limit) {
		w->regular = false;
		return BLOCK_ABORT;
	}
	if (number < 0 || !w->regular || (w->journal && !number)) { /* the journal's first block is its superblock */
		w->code = blockset_add(w->metadata, *block, 1, w->err);
	} else if (last && last->off + last->len == *block) {
		last->len++;
	} else {
		w->code = add_run(w, *block);
	}
	return w->code ? BLOCK_ABORT : 0;
}

/* Files that e2fsck reads itself count as metadata. */
static bool is_content(ext2_filsys e2, ext2_ino_t ino, const struct ext2_inode_large *inode)
{
	struct ext2_super_block *sb = e2->super;

	return LINUX_S_ISREG(inode->i_mode) && ino >= EXT2_FIRST_INODE(sb) && !(inode->i_flags & EXT4_EA_INODE_FL) &&
	       ino != sb->s_prj_quota_inum && ino != sb->s_orphan_file_inum && ino != sb->s_journal_inum;
}

static int one_inode(struct ext *e, struct walk *w, ext2_ino_t ino, struct ext2_inode_large *inode)
{
	ext2_filsys e2 = e->e2;
	blk64_t acl = ext2fs_file_acl_block(e2, ext_inode_small(inode));
	errcode_t rc;

	/* Deleted for good; what is on the list of orphans has the next inode's number there. */
	if (!inode->i_mode || (!inode->i_links_count && inode->i_dtime > e2->super->s_inodes_count))
		return 0;
	if (acl) {
		w->code = blockset_add(w->metadata, acl, 1, w->err);
		if (w->code)
			return w->code;
	}
	if (!ext2fs_inode_has_valid_blocks2(e2, ext_inode_small(inode)))
		return 0;
	if (w->seen > w->limit)
		return 0;
	w->runs.len = 0;
	w->journal = w->reads && ino == e2->super->s_journal_inum;
	w->regular = w->journal || is_content(e2, ino, inode);
	rc = ext2fs_block_iterate3(e2, ino, BLOCK_FLAG_READ_ONLY, NULL, one_block, w);
	e->io_error.code = 0;
	for (size_t i = 0; !rc && w->regular && !w->code && i < w->runs.len; i++)
		w->code = blockset_add(w->content, w->runs.item[i].off, w->runs.item[i].len, w->err);
	return w->code;
}

static int all_inodes(struct ext *e, struct walk *w)
{
	ext2_inode_scan scan = NULL;
	struct ext2_inode_large inode;
	ext2_ino_t ino = 0;
	errcode_t rc = ext2fs_open_inode_scan(e->e2, 0, &scan);
	int code = 0;

	if (rc)
		return rc == EXT2_ET_NO_MEMORY ? error_nomem(w->err) : 0; /* the less is read, the more is copied */
	do {
		memset(&inode, 0, sizeof(inode));
		rc = ext2fs_get_next_inode_full(scan, &ino, ext_inode_small(&inode), sizeof(inode));
		if (rc == EXT2_ET_BAD_BLOCK_IN_INODE_TABLE || rc == EXT2_ET_INODE_CSUM_INVALID)
			continue;
		if (!rc && ino)
			code = one_inode(e, w, ino, &inode);
	} while (!code && ino && (!rc || rc == EXT2_ET_BAD_BLOCK_IN_INODE_TABLE || rc == EXT2_ET_INODE_CSUM_INVALID));
	e->io_error.code = 0;
	ext2fs_close_inode_scan(scan);
	return code;
}

/* The blocks of an inode table that were used at some time; all, where the descriptor that says so cannot be believed. */
static uint64_t table_used(ext2_filsys e2, dgrp_t g)
{
	uint64_t inodes = EXT2_INODES_PER_GROUP(e2->super), unused = ext2fs_bg_itable_unused(e2, g);

	if (!ext2fs_has_group_desc_csum(e2) || !ext2fs_group_desc_csum_verify(e2, g) || unused > inodes)
		return e2->inode_blocks_per_group;
	if (ext2fs_bg_flags_test(e2, g, EXT2_BG_INODE_UNINIT))
		return 0;
	return ((inodes - unused) * EXT2_INODE_SIZE(e2->super) + e2->blocksize - 1) / e2->blocksize;
}

static int add_table(struct walk *w, ext2_filsys e2, dgrp_t g)
{
	uint64_t used = w->reads ? table_used(e2, g) : e2->inode_blocks_per_group;
	blk64_t at = ext2fs_inode_table_loc(e2, g);
	int rc = blockset_add(w->metadata, at, used, w->err);

	return rc ? rc : blockset_add(w->content, at + used, e2->inode_blocks_per_group - used, w->err);
}

static int add_groups(struct ext *e, struct walk *w)
{
	struct blockset *s = w->metadata;
	struct p2h_error *err = w->err;
	int rc = blockset_add_superblocks(s, e->e2, err);

	for (dgrp_t g = 0; !rc && g < e->e2->group_desc_count; g++) {
		rc = blockset_add(s, ext2fs_block_bitmap_loc(e->e2, g), 1, err);
		if (!rc)
			rc = blockset_add(s, ext2fs_inode_bitmap_loc(e->e2, g), 1, err);
		if (!rc)
			rc = add_table(w, e->e2, g);
	}
	if (!rc && ext2fs_has_feature_mmp(e->e2->super))
		rc = blockset_add(s, e->e2->super->s_mmp_block, 1, err);
	return rc;
}

static int add_used(struct ext *e, struct blockset *s, struct p2h_error *err)
{
	blk64_t end = ext2fs_blocks_count(e->e2->super), at = e->e2->super->s_first_data_block, start, stop;
	errcode_t rc = ext2fs_read_block_bitmap(e->e2);

	e->io_error.code = 0;
	if (rc)
		return rc == EXT2_ET_NO_MEMORY ? error_nomem(err) : blockset_add(s, 0, s->blocks, err);
	while (at < end && !ext2fs_find_first_set_block_bitmap2(e->e2->block_map, at, end - 1, &start)) {
		int code;

		if (ext2fs_find_first_zero_block_bitmap2(e->e2->block_map, start, end - 1, &stop))
			stop = end;
		code = blockset_add(s, start, stop - start, err);
		if (code)
			return code;
		at = stop;
	}
	return 0;
}

static int combine(struct blockset *s, const struct blockset *metadata, const struct blockset *content, struct p2h_error *err)
{
	uint64_t block, count;
	int rc = 0;

	for (block = 0; blockset_next(content, block, &block, &count); block += count)
		blockset_remove(s, block, count);
	for (block = 0; !rc && blockset_next(metadata, block, &block, &count); block += count)
		rc = blockset_add(s, block, count, err);
	return rc;
}

static int collect(struct ext *e, bool reads, struct blockset *s, struct p2h_error *err)
{
	CLEANUP(blockset_done) struct blockset metadata = {0}, content = {0};
	struct walk w = {.metadata = &metadata, .content = &content, .limit = 2 * s->blocks, .reads = reads, .err = err};
	int rc = blockset_init(&metadata, s->blocks, err);

	if (!rc)
		rc = blockset_init(&content, s->blocks, err);
	if (!rc)
		rc = add_used(e, s, err);
	if (!rc)
		rc = all_inodes(e, &w);
	ranges_done(&w.runs);
	if (!rc)
		rc = add_groups(e, &w);
	return rc ? rc : combine(s, &metadata, &content, err);
}

int ext_metadata_blocks(struct ext *e, struct blockset *s, struct p2h_error *err)
{
	return collect(e, false, s, err);
}

int ext_check_blocks(struct ext *e, struct blockset *s, struct p2h_error *err)
{
	return collect(e, true, s, err);
}
