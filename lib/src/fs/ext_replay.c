/*
 * ext_replay.c - which blocks does a replay of the journal read and write?
 *
 * Every descriptor block that lies anywhere in the journal is looked at, whether it is part of what will be replayed or left from an
 * earlier round. That is more than needed and never less, and so neither sequence numbers nor checksums nor revocations matter here:
 * they are e2fsck's. Layout: the Linux kernel's Documentation/filesystems/ext4/journal.rst; big-endian.
 */
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/ext_scratch.h"

#define JBD_MAGIC 0xc03b3998u
#define JBD_DESCRIPTOR 1u
#define JBD_HEADER 12u
#define JBD_SUPER_INCOMPAT 0x28u
#define JBD_64BIT 0x2u
#define JBD_CSUM_V2 0x8u
#define JBD_CSUM_V3 0x10u
#define TAG_SAME_UUID 2u
#define TAG_LAST 8u

struct walk {
	struct ext *e;
	struct blockset *set;
	uint8_t *block;
	uint64_t seen;   /* blocks of the journal */
	uint32_t features;
	struct p2h_error *err;
	int code;
};

static void take_tags(struct walk *w, size_t size)
{
	size_t tag = w->features & JBD_CSUM_V3 ? 16 : 8 + (w->features & JBD_CSUM_V2 ? 2 : 0) + (w->features & JBD_64BIT ? 4 : 0);

	for (size_t at = JBD_HEADER; at + tag <= size && !w->code;) {
		const uint8_t *t = w->block + at;
		uint32_t flags = w->features & JBD_CSUM_V3 ? be32_get(t + 4) : (uint32_t)t[6] << 8 | t[7];
		uint64_t block = be32_get(t);

		if (w->features & JBD_64BIT)
			block |= (uint64_t)be32_get(t + 8) << 32;
		w->code = blockset_add(w->set, block, 1, w->err);
		if (flags & TAG_LAST)
			return;
		at += tag + (flags & TAG_SAME_UUID ? 0 : 16);
	}
}

static int journal_block(ext2_filsys e2, blk64_t *block, e2_blkcnt_t number, blk64_t ref_block, int ref_offset, void *arg)
{
	struct walk *w = arg;

	(void)ref_block;
	(void)ref_offset;
	if (++w->seen > w->set->blocks || *block >= w->set->blocks)
		w->code = error_set(w->err, P2H_CORRUPT, "the journal leaves the file system");
	if (!w->code)
		w->code = blockset_add(w->set, *block, 1, w->err);
	if (!w->code && number >= 0)
		w->code = disk_read(w->e->disk, w->block, *block * e2->blocksize, e2->blocksize, w->err);
	if (w->code)
		return BLOCK_ABORT;
	if (number < 0 || be32_get(w->block) != JBD_MAGIC)
		return 0;
	if (!number)
		w->features = be32_get(w->block + 4) == 4 ? be32_get(w->block + JBD_SUPER_INCOMPAT) : 0;
	else if (be32_get(w->block + 4) == JBD_DESCRIPTOR)
		take_tags(w, e2->blocksize);
	return w->code ? BLOCK_ABORT : 0;
}

/* The inode table's blocks of the reserved inodes, the journal's among them. */
static int add_inode(struct ext *e, struct blockset *s, ext2_ino_t ino, struct p2h_error *err)
{
	ext2_filsys e2 = e->e2;
	uint64_t at = (uint64_t)((ino - 1) % EXT2_INODES_PER_GROUP(e2->super)) * EXT2_INODE_SIZE(e2->super);
	dgrp_t group = ext2fs_group_of_ino(e2, ino);

	return blockset_add(s, ext2fs_inode_table_loc(e2, group) + at / e2->blocksize, 1, err);
}

int ext_replay_blocks(struct ext *e, struct blockset *s, struct p2h_error *err)
{
	struct ext2_super_block *sb = e->e2->super;
	CLEANUP_FREE uint8_t *block = malloc(e->e2->blocksize);
	struct walk w = {.e = e, .set = s, .block = block, .err = err};
	ext2_ino_t journal = sb->s_journal_inum;
	errcode_t e2_rc;
	int rc;

	if (!block)
		return error_nomem(err);
	if (!journal || journal > sb->s_inodes_count)
		return error_set(err, P2H_CORRUPT, "the superblock names no journal");
	rc = blockset_add_superblocks(s, e->e2, err);
	for (ext2_ino_t ino = 1; !rc && ino < EXT2_GOOD_OLD_FIRST_INO && ino <= sb->s_inodes_count; ino++)
		rc = add_inode(e, s, ino, err);
	if (!rc)
		rc = add_inode(e, s, journal, err);
	if (!rc && ext2fs_has_feature_mmp(sb))
		rc = blockset_add(s, sb->s_mmp_block, 1, err);
	if (rc)
		return rc;
	e2_rc = ext2fs_block_iterate3(e->e2, journal, BLOCK_FLAG_READ_ONLY, NULL, journal_block, &w);
	if (w.code)
		return w.code;
	if (e2_rc)
		return ext_error(e, e2_rc, "reading the journal", err);
	return 0;
}
