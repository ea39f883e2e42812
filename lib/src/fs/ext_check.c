/* ext_check.c - e2fsck's look at a volume, in a process of its own beside what the caller does */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/ext_scratch.h"
#include "fs/recover.h"

struct fs_check {
	struct ext_scratch scratch; /* without a descriptor: it reads in place */
	struct ext_fsck run;
	char name[96];
};

static void check_free(struct fs_check *c)
{
	if (c->scratch.fd >= 0)
		ext_scratch_done(&c->scratch);
	free(c);
}

static void cleanup_check(struct fs_check **c)
{
	if (*c)
		check_free(*c);
}

static bool has_external_journal(const struct ext2_super_block *sb)
{
	return le32_get(&sb->s_feature_compat) & EXT3_FEATURE_COMPAT_HAS_JOURNAL && !sb->s_journal_inum;
}

/* e2fsck -n only reads: what lies in a file or on a device as it is needs no copy. */
static int name_volume(struct fs_check *c, struct disk *volume, struct p2h_error *err)
{
	int rc;

	if (volume->fd >= 0) {
		snprintf(c->name, sizeof(c->name), "/proc/%ld/fd/%d?offset=%" PRIu64, (long)getpid(), volume->fd, volume->fd_offset);
		return 0;
	}
	rc = ext_scratch_make(volume, ext_check_blocks, EXT2_FLAG_IGNORE_CSUM_ERRORS, &c->scratch, err);
	if (!rc)
		ext_scratch_name(&c->scratch, c->name, sizeof(c->name));
	return rc;
}

int fs_check_start(struct disk *volume, struct fs_check **ret, struct fs_recovery *result, struct p2h_error *err)
{
	static const char *const options[] = {"-fn", "-Eno_optimize_extents", NULL};
	CLEANUP(cleanup_check) struct fs_check *c = calloc(1, sizeof(*c));
	struct ext2_super_block sb;
	struct p2h_error own;
	int rc;

	err = err ? err : &own;
	if (!c)
		return error_nomem(err);
	c->scratch.fd = -1;
	if (volume->size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE)
		return 0;
	rc = disk_read(volume, &sb, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, err);
	if (rc || !ext_is_ext(&sb) || has_external_journal(&sb)) /* without its journal e2fsck does nothing */
		return rc;
	rc = name_volume(c, volume, err);
	if (rc)
		return ext_in_words(rc, err, result);
	rc = ext_fsck_start(c->name, options, ext_last_write(&sb), &c->run, err);
	if (!rc)
		*ret = TAKE(c);
	return rc;
}

int fs_check_end(struct fs_check *c, bool (*stop)(void *arg), void *arg, struct fs_recovery *result, struct p2h_error *err)
{
	struct ext_fsck_stop asked = {stop, arg};
	int status = 0, rc;

	rc = ext_fsck_end(&c->run, c->name, stop ? &asked : NULL, result->words, sizeof(result->words), &status, err);
	check_free(c);
	if (rc)
		return rc;
	result->checked = true;
	result->damaged = status;
	if (!status)
		result->words[0] = '\0'; /* remarks */
	else if (!result->words[0])
		snprintf(result->words, sizeof(result->words), "exit status %d", status);
	return 0;
}

void fs_check_kill(struct fs_check *c)
{
	if (!c)
		return;
	ext_fsck_kill(&c->run);
	check_free(c);
}
