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

static int read_super(struct recover *r)
{
	if (r->volume->size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE) {
		memset(&r->sb, 0, sizeof(r->sb));
		return 0;
	}
	return disk_read(r->volume, &r->sb, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, r->err);
}

bool ext_is_ext(const struct ext2_super_block *sb)
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

int64_t ext_last_write(const struct ext2_super_block *sb)
{
	return (int64_t)(le32_get(&sb->s_wtime) | (uint64_t)sb->s_wtime_hi << 32);
}

int ext_in_words(int code, const struct p2h_error *err, struct fs_recovery *ret)
{
	if (code != P2H_CORRUPT && code != P2H_UNSUPPORTED && code != P2H_NOTFOUND && code != P2H_BUSY)
		return code;
	snprintf(ret->words, sizeof(ret->words), "%.390s", err->msg);
	return 0;
}

static int in_words(struct recover *r, int code)
{
	return ext_in_words(code, r->err, r->result);
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

/*
 * A mounted file system's superblock counts nothing: the kernel counts at its next mount, and so does a repairing e2fsck. The time
 * of the last write is put back to what it was before: the replay used the host's clock.
 */
static int count_free(struct recover *r)
{
	CLEANUP(ext_close_bare) struct ext e = {0};
	uint64_t blocks = 0, inodes = 0;
	struct ext2_super_block *sb;
	errcode_t rc;
	int code = ext_open_bare(r->volume, EXT2_FLAG_RW, &e, r->err);

	if (code)
		return code;
	sb = e.e2->super;
	for (dgrp_t g = 0; g < e.e2->group_desc_count; g++) {
		blocks += ext2fs_bg_free_blocks_count(e.e2, g);
		inodes += ext2fs_bg_free_inodes_count(e.e2, g);
	}
	blocks = EXT2FS_C2B(e.e2, blocks);
	if (blocks <= ext2fs_blocks_count(sb) && inodes <= sb->s_inodes_count) {
		ext2fs_free_blocks_count_set(sb, blocks);
		sb->s_free_inodes_count = (uint32_t)inodes;
	}
	e.e2->now = (time_t)(ext_last_write(&r->sb) > 0 ? ext_last_write(&r->sb) : 1);
	e.e2->flags |= EXT2_FLAG_SUPER_ONLY | EXT2_FLAG_MASTER_SB_ONLY;
	ext2fs_mark_super_dirty(e.e2);
	rc = ext2fs_flush(e.e2);
	return rc ? ext_error(&e, rc, "writing the superblock", r->err) : 0;
}

static int with_scratch(struct recover *r, int (*blocks)(struct ext *, struct blockset *, struct p2h_error *), int flags,
			int (*work)(struct recover *, struct ext_scratch *))
{
	CLEANUP(ext_scratch_done) struct ext_scratch s = {.fd = -1};
	int rc = ext_scratch_make(r->volume, blocks, flags, &s, r->err);

	return rc ? rc : work(r, &s);
}

/* Fast commits name inodes and ranges of files, not blocks: then e2fsck may look at anything. */
static int whole_volume(struct ext *e, struct blockset *s, struct p2h_error *err)
{
	(void)e;
	return blockset_add(s, 0, s->blocks, err);
}

static int run_e2fsck(struct recover *r, struct ext_scratch *s, const char *const *options, int *ret_status, struct ext2_super_block *ret)
{
	char name[64];
	int rc;

	ext_scratch_name(s, name, sizeof(name));
	rc = ext_fsck(name, options, ext_last_write(&r->sb), r->result->words, sizeof(r->result->words), ret_status, r->err);
	return rc ? rc : ext_scratch_super(s, ret, r->err);
}

static int take_replayed(struct recover *r, struct ext_scratch *s)
{
	int rc = ext_scratch_take(s, r->err);

	r->result->words[0] = '\0';
	r->result->replayed = !rc;
	return rc;
}

static bool journal_gone(const struct ext2_super_block *sb)
{
	return !ext_is_ext(sb) || needs_recovery(sb) || !(le32_get(&sb->s_feature_compat) & EXT3_FEATURE_COMPAT_HAS_JOURNAL);
}

/* e2fsck -p takes a journal that it cannot read away and makes an empty one, and says so: "*** journal has been deleted ***". */
static bool journal_made_anew(const char *words)
{
	static const char usual[] = "recovering ";
	size_t len = strlen(usual);

	for (const char *at = words; (at = strcasestr(at, "journal")) != NULL; at++)
		if ((size_t)(at - words) < len || memcmp(at - len, usual, len))
			return true;
	return false;
}

/* What it changed is dropped with the scratch file. */
static void nothing_done(struct recover *r, int status)
{
	ext_fsck_drop_deeds(r->result->words);
	if (!r->result->words[0])
		snprintf(r->result->words, sizeof(r->result->words), "exit status %d", status);
}

/* Without -f, which would check as well. It also clears the list of orphans, and so needs all metadata. */
static const char *const replay_options[] = {"-p", "-Ejournal_only", NULL};

static int replay_by_e2fsck(struct recover *r, struct ext_scratch *s)
{
	struct ext2_super_block sb;
	int status = 0, rc = run_e2fsck(r, s, replay_options, &status, &sb);

	if (rc)
		return rc;
	if (!(status & ~E2FSCK_CORRECTED) && !journal_gone(&sb) && !journal_made_anew(r->result->words) && (!has_errors(&sb) || r->result->has_errors))
		return take_replayed(r, s);
	nothing_done(r, status);
	return 0;
}

static int replay_only(struct recover *r, struct ext_scratch *s)
{
	struct ext2_super_block sb;
	bool done = false;
	char name[64];
	int rc;

	ext_scratch_name(s, name, sizeof(name));
	rc = ext_fsck_replay(name, &done, r->err);
	if (!rc)
		rc = ext_scratch_super(s, &sb, r->err);
	if (rc || !done)
		return rc;
	/* Set by the replay when it meets a block that it cannot use. */
	if (journal_gone(&sb) || (has_errors(&sb) && !r->result->has_errors))
		return 0;
	return take_replayed(r, s);
}

/* e2fsck's words on a journal that cannot be replayed; nothing of what it did is taken. */
static int say_why(struct recover *r, struct ext_scratch *s)
{
	struct ext2_super_block sb;
	int status = 0, rc = run_e2fsck(r, s, replay_options, &status, &sb);

	if (!rc)
		nothing_done(r, status);
	return rc;
}

static bool has_orphans(const struct ext2_super_block *sb)
{
	return sb->s_last_orphan || le32_get(&sb->s_feature_ro_compat) & EXT4_FEATURE_RO_COMPAT_ORPHAN_PRESENT;
}

/* Files that were deleted and still open, or being cut: the kernel would do this at its next mount. */
static int clear_orphans(struct recover *r, struct ext_scratch *s)
{
	struct ext2_super_block sb;
	int status = 0, rc = run_e2fsck(r, s, replay_options, &status, &sb);

	if (rc || status & ~E2FSCK_CORRECTED || journal_gone(&sb))
		return rc; /* left to the kernel */
	r->result->words[0] = '\0';
	return ext_scratch_take(s, r->err);
}

static int check_step(struct recover *r)
{
	struct fs_check *check = NULL;
	int rc = fs_check_start(r->volume, &check, r->result, r->err);

	return rc || !check ? rc : fs_check_end(check, NULL, NULL, r->result, r->err);
}

static int repair_safely(struct recover *r, struct ext_scratch *s)
{
	static const char *const options[] = {"-fp", NULL};
	struct ext2_super_block sb;
	int status = 0, rc = run_e2fsck(r, s, options, &status, &sb);

	if (rc)
		return rc;
	if (status & ~E2FSCK_CORRECTED || !ext_is_ext(&sb) || has_errors(&sb)) {
		nothing_done(r, status);
		return 0;
	}
	rc = ext_scratch_take(s, r->err);
	r->result->repaired = !rc;
	return rc;
}

static int replay_step(struct recover *r)
{
	bool fast = le32_get(&r->sb.s_feature_compat) & EXT4_FEATURE_COMPAT_FAST_COMMIT;
	int rc = check_external(r);

	if (!rc)
		rc = fast ? with_scratch(r, whole_volume, 0, replay_by_e2fsck) : with_scratch(r, ext_replay_blocks, 0, replay_only);
	if (!rc && !r->result->replayed && !fast)
		rc = with_scratch(r, ext_replay_blocks, 0, say_why);
	if (!rc && r->result->replayed) {
		rc = count_free(r); /* and the time of the last write, before anything reads it */
		if (!rc)
			rc = read_super(r);
	}
	return rc ? in_words(r, rc) : 0;
}

static int orphan_step(struct recover *r)
{
	int rc = with_scratch(r, ext_metadata_blocks, EXT2_FLAG_IGNORE_CSUM_ERRORS, clear_orphans);

	return rc ? rc : count_free(r);
}

static int recover(struct recover *r, unsigned flags)
{
	struct fs_recovery *result = r->result;
	int rc = 0;

	if (result->needs_recovery) {
		rc = replay_step(r);
		if (rc || !result->replayed)
			return rc;
		rc = read_super(r);
		if (rc)
			return rc;
		result->has_errors |= has_errors(&r->sb); /* a superblock in the journal may be older than the damage */
	}
	if (has_orphans(&r->sb) && !result->has_errors)
		rc = orphan_step(r);
	/* What is marked as damaged is told e2fsck's words in any case. */
	if (rc)
		return in_words(r, rc);
	if ((result->has_errors && !(flags & FS_RECOVER_REPAIR)) || (!result->has_errors && flags & FS_RECOVER_CHECK))
		rc = check_step(r);
	if (!rc && flags & FS_RECOVER_REPAIR && (result->has_errors || result->damaged))
		rc = with_scratch(r, ext_metadata_blocks, EXT2_FLAG_IGNORE_CSUM_ERRORS, repair_safely);
	return rc ? in_words(r, rc) : 0;
}

static int start(struct recover *r, struct fs_recovery *ret, bool *ret_ext)
{
	int rc = read_super(r);

	*ret = (struct fs_recovery){0};
	*ret_ext = !rc && ext_is_ext(&r->sb);
	if (*ret_ext) {
		ret->needs_recovery = needs_recovery(&r->sb);
		ret->has_errors = has_errors(&r->sb);
		ret->has_orphans = has_orphans(&r->sb);
	}
	return rc;
}

int fs_ext_recover(struct disk *volume, unsigned flags, struct fs_recovery *ret, struct p2h_error *err)
{
	struct p2h_error own;
	struct recover r = {.volume = volume, .result = ret, .err = err ? err : &own};
	bool ext;
	int rc = start(&r, ret, &ext);

	return rc || !ext ? rc : recover(&r, flags);
}

int fs_ext_look(struct disk *volume, struct fs_recovery *ret, struct p2h_error *err)
{
	struct recover r = {.volume = volume, .result = ret, .err = err};
	bool ext;

	return start(&r, ret, &ext);
}
