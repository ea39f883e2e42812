/* ext_recover.c - journal replay and safe repairs by e2fsck, on a copy of what it looks at */
#include "fs/recover.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/ext_scratch.h"

#define E2FSCK_CORRECTED 3 /* bits 1 and 2 of its exit status: errors corrected, all of them */

struct recover {
	struct disk *volume;
	struct fs_recovery *result;
	struct ext2_super_block sb;
	struct p2h_error *err;
};

static void cleanup_e2(struct ext *e)
{
	if (e->e2)
		ext2fs_free(e->e2); /* without writing anything */
}

static int open_e2(struct recover *r, struct ext *e, int flags)
{
	errcode_t rc;

	ext_error_init();
	e->disk = r->volume;
	rc = ext_io_open(e, flags | EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP);
	if (rc) {
		e->e2 = NULL;
		return ext_error(e, rc, "opening the file system", r->err);
	}
	e->e2->default_bitmap_type = EXT2FS_BMAP64_RBTREE;
	return ext_mmp_check(e, r->err);
}

static int read_super(struct recover *r)
{
	if (r->volume->size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE) {
		memset(&r->sb, 0, sizeof(r->sb));
		return 0;
	}
	return disk_read(r->volume, &r->sb, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, r->err);
}

static bool is_ext(const struct ext2_super_block *sb)
{
	return le16_get(&sb->s_magic) == EXT2_SUPER_MAGIC &&
	       le32_get(&sb->s_log_block_size) <= EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE;
}

static bool needs_recovery(const struct ext2_super_block *sb)
{
	return le32_get(&sb->s_feature_incompat) & EXT3_FEATURE_INCOMPAT_RECOVER;
}

static bool has_errors(const struct ext2_super_block *sb)
{
	return le16_get(&sb->s_state) & EXT2_ERROR_FS;
}

static int64_t last_write(const struct ext2_super_block *sb)
{
	return (int64_t)(le32_get(&sb->s_wtime) | (uint64_t)sb->s_wtime_hi << 32);
}

/* What is wrong with the volume goes to the report; what is wrong with this host ends the job. */
static int in_words(struct recover *r, int code)
{
	if (code != P2H_CORRUPT && code != P2H_UNSUPPORTED && code != P2H_NOTFOUND && code != P2H_REFUSED)
		return code;
	snprintf(r->result->words, sizeof(r->result->words), "%.390s", r->err->msg);
	return 0;
}

static int check_external(struct recover *r)
{
	const uint8_t *u = (const uint8_t *)r->sb.s_journal_uuid;

	if (le32_get(&r->sb.s_journal_inum))
		return 0;
	for (int i = 0; i < 16; i++)
		if (u[i])
			return error_set(r->err, P2H_UNSUPPORTED, "the journal lies on another device, UUID "
					 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
					 u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	return error_set(r->err, P2H_CORRUPT, "the superblock names no journal");
}

/* A mounted file system's superblock counts nothing: the kernel counts at its next mount, and so does a repairing e2fsck. */
static int count_free(struct recover *r)
{
	CLEANUP(cleanup_e2) struct ext e = {0};
	uint64_t blocks = 0, inodes = 0;
	struct ext2_super_block *sb;
	errcode_t rc;
	int code = open_e2(r, &e, EXT2_FLAG_RW);

	if (code)
		return code;
	sb = e.e2->super;
	for (dgrp_t g = 0; g < e.e2->group_desc_count; g++) {
		blocks += ext2fs_bg_free_blocks_count(e.e2, g);
		inodes += ext2fs_bg_free_inodes_count(e.e2, g);
	}
	blocks = EXT2FS_C2B(e.e2, blocks);
	if ((blocks == ext2fs_free_blocks_count(sb) && inodes == sb->s_free_inodes_count) || blocks > ext2fs_blocks_count(sb) ||
	    inodes > sb->s_inodes_count)
		return 0;
	ext2fs_free_blocks_count_set(sb, blocks);
	sb->s_free_inodes_count = (uint32_t)inodes;
	e.e2->now = (time_t)(last_write(&r->sb) > 0 ? last_write(&r->sb) : 1);
	e.e2->flags |= EXT2_FLAG_SUPER_ONLY | EXT2_FLAG_MASTER_SB_ONLY;
	ext2fs_mark_super_dirty(e.e2);
	rc = ext2fs_flush(e.e2);
	return rc ? ext_error(&e, rc, "writing the superblock", r->err) : 0;
}

static int with_scratch(struct recover *r, int (*blocks)(struct ext *, struct blockset *, struct p2h_error *), int flags,
			int (*work)(struct recover *, struct ext_scratch *))
{
	CLEANUP(cleanup_e2) struct ext e = {0};
	CLEANUP(ext_scratch_done) struct ext_scratch s = {.fd = -1};
	int rc = open_e2(r, &e, flags);

	if (!rc)
		rc = ext_scratch_open(r->volume, e.e2->blocksize, &s, r->err);
	if (!rc)
		rc = blocks(&e, &s.set, r->err);
	if (!rc)
		rc = ext_scratch_fill(&s, r->err);
	return rc ? rc : work(r, &s);
}

static int replay(struct recover *r, struct ext_scratch *s)
{
	/* Without -f: that would check as well. -p never throws a journal away that it cannot read without saying so. */
	static const char *const options[] = {"-p", "-Ejournal_only"};
	struct fs_recovery *result = r->result;
	struct ext2_super_block sb;
	int status = 0, rc = ext_scratch_check(s, options, last_write(&r->sb), result->words, sizeof(result->words), &status, r->err);

	if (!rc)
		rc = ext_scratch_super(s, &sb, r->err);
	if (rc)
		return rc;
	if (status & ~E2FSCK_CORRECTED || !is_ext(&sb) || needs_recovery(&sb) ||
	    !(le32_get(&sb.s_feature_compat) & EXT3_FEATURE_COMPAT_HAS_JOURNAL)) {
		if (!result->words[0])
			snprintf(result->words, sizeof(result->words), "e2fsck could not replay the journal (exit status %d)", status);
		return 0;
	}
	rc = ext_scratch_take(s, r->err);
	if (rc)
		return rc;
	result->words[0] = '\0';
	result->replayed = true;
	return 0;
}

static int check_only(struct recover *r, struct ext_scratch *s)
{
	static const char *const options[] = {"-fn", NULL};
	struct fs_recovery *result = r->result;
	int status = 0;

	return ext_scratch_check(s, options, last_write(&r->sb), result->words, sizeof(result->words), &status, r->err);
}

static int repair_safely(struct recover *r, struct ext_scratch *s)
{
	static const char *const options[] = {"-fp", NULL};
	struct fs_recovery *result = r->result;
	struct ext2_super_block sb;
	int status = 0, rc = ext_scratch_check(s, options, last_write(&r->sb), result->words, sizeof(result->words), &status, r->err);

	if (!rc)
		rc = ext_scratch_super(s, &sb, r->err);
	if (rc || status & ~E2FSCK_CORRECTED || !is_ext(&sb) || has_errors(&sb))
		return rc;
	rc = ext_scratch_take(s, r->err);
	result->repaired = !rc;
	return rc;
}

static int replay_step(struct recover *r)
{
	int rc = check_external(r);

	if (!rc)
		rc = with_scratch(r, ext_replay_blocks, 0, replay);
	if (rc)
		return in_words(r, rc);
	if (!r->result->replayed)
		return 0;
	rc = read_super(r);
	if (!rc)
		rc = count_free(r);
	return rc ? in_words(r, rc) : 0;
}

int fs_ext_recover(struct disk *volume, bool repair, struct fs_recovery *ret, struct p2h_error *err)
{
	struct p2h_error own;
	struct recover r = {.volume = volume, .result = ret, .err = err ? err : &own};
	int rc = read_super(&r);

	*ret = (struct fs_recovery){0};
	if (rc || !is_ext(&r.sb))
		return rc;
	ret->needs_recovery = needs_recovery(&r.sb);
	ret->has_errors = has_errors(&r.sb);
	if (ret->needs_recovery) {
		rc = replay_step(&r);
		if (rc || !ret->replayed)
			return rc;
		ret->has_errors = has_errors(&r.sb);
	}
	if (!ret->has_errors)
		return 0;
	rc = with_scratch(&r, ext_metadata_blocks, EXT2_FLAG_IGNORE_CSUM_ERRORS, repair ? repair_safely : check_only);
	return rc ? in_words(&r, rc) : 0;
}

int fs_ext_dirty(struct disk *volume, bool *ret, struct p2h_error *err)
{
	struct recover r = {.volume = volume, .err = err};
	int rc = read_super(&r);

	*ret = !rc && is_ext(&r.sb) && (needs_recovery(&r.sb) || has_errors(&r.sb));
	return rc;
}
