/*
 * ext_super.c - the superblock, read before libext2fs sees it: is it ext at all, which kind, may it be written
 *
 * Layout: struct ext2_super_block in e2fsprogs' ext2_fs.h; the Linux kernel's Documentation/filesystems/ext4/super.rst.
 */
#include <stdio.h>
#include <string.h>

#include "base/le.h"
#include "fs/ext.h"

enum set { COMPAT, INCOMPAT, RO_COMPAT };

struct feature {
	enum set set;
	uint32_t bit;
	const char *name;
};

/* e2fsprogs' names. */
static const struct feature features[] = {
	{COMPAT, 0x1, "dir_prealloc"},
	{COMPAT, 0x2, "imagic_inodes"},
	{COMPAT, 0x4, "has_journal"},
	{COMPAT, 0x8, "ext_attr"},
	{COMPAT, 0x10, "resize_inode"},
	{COMPAT, 0x20, "dir_index"},
	{COMPAT, 0x40, "lazy_bg"},
	{COMPAT, 0x100, "snapshot_bitmap"},
	{COMPAT, 0x200, "sparse_super2"},
	{COMPAT, 0x400, "fast_commit"},
	{COMPAT, 0x800, "stable_inodes"},
	{COMPAT, 0x1000, "orphan_file"},
	{INCOMPAT, 0x1, "compression"},
	{INCOMPAT, 0x2, "filetype"},
	{INCOMPAT, 0x4, "needs_recovery"},
	{INCOMPAT, 0x8, "journal_dev"},
	{INCOMPAT, 0x10, "meta_bg"},
	{INCOMPAT, 0x40, "extent"},
	{INCOMPAT, 0x80, "64bit"},
	{INCOMPAT, 0x100, "mmp"},
	{INCOMPAT, 0x200, "flex_bg"},
	{INCOMPAT, 0x400, "ea_inode"},
	{INCOMPAT, 0x1000, "dirdata"},
	{INCOMPAT, 0x2000, "metadata_csum_seed"},
	{INCOMPAT, 0x4000, "large_dir"},
	{INCOMPAT, 0x8000, "inline_data"},
	{INCOMPAT, 0x10000, "encrypt"},
	{INCOMPAT, 0x20000, "casefold"},
	{RO_COMPAT, 0x1, "sparse_super"},
	{RO_COMPAT, 0x2, "large_file"},
	{RO_COMPAT, 0x8, "huge_file"},
	{RO_COMPAT, 0x10, "uninit_bg"},
	{RO_COMPAT, 0x20, "dir_nlink"},
	{RO_COMPAT, 0x40, "extra_isize"},
	{RO_COMPAT, 0x80, "snapshot"},
	{RO_COMPAT, 0x100, "quota"},
	{RO_COMPAT, 0x200, "bigalloc"},
	{RO_COMPAT, 0x400, "metadata_csum"},
	{RO_COMPAT, 0x800, "replica"},
	{RO_COMPAT, 0x1000, "read-only"},
	{RO_COMPAT, 0x2000, "project"},
	{RO_COMPAT, 0x4000, "shared_blocks"},
	{RO_COMPAT, 0x8000, "verity"},
	{RO_COMPAT, 0x10000, "orphan_present"},
};
#define N_FEATURES (sizeof(features) / sizeof(features[0]))

/*
 * Written by libext2fs without what belongs to them: quota files would no longer agree, shared blocks would change under
 * another file, and the others say themselves that nobody may write.
 */
static const struct feature not_writable[] = {
	{RO_COMPAT, 0x100, "quota"},
	{RO_COMPAT, 0x4000, "shared_blocks"},
	{RO_COMPAT, 0x1000, "read-only"},
	{RO_COMPAT, 0x80, "snapshot"},
	{RO_COMPAT, 0x800, "replica"},
};

/* libext2fs knows mmp, but its installed header does not say so. A journal device is no file system. */
#define KNOWN_INCOMPAT \
	((EXT2_LIB_FEATURE_INCOMPAT_SUPP | EXT4_FEATURE_INCOMPAT_MMP) & ~EXT3_FEATURE_INCOMPAT_JOURNAL_DEV)

/* What ext3's own driver knew; anything beyond makes it ext4. */
#define EXT3_INCOMPAT (0x2u | 0x4u | 0x10u)
#define EXT3_RO_COMPAT (0x1u | 0x2u | 0x4u)

static void feature_name(enum set set, uint32_t bit, char *ret, size_t size)
{
	static const char letter[] = {[COMPAT] = 'C', [INCOMPAT] = 'I', [RO_COMPAT] = 'R'};

	for (size_t i = 0; i < N_FEATURES; i++) {
		if (features[i].set == set && features[i].bit == bit) {
			snprintf(ret, size, "%s", features[i].name);
			return;
		}
	}
	snprintf(ret, size, "FEATURE_%c%d", letter[set], __builtin_ctz(bit));
}

/* The first feature of a set outside `known` is named. */
static int check_known(enum set set, uint32_t have, uint32_t known, struct p2h_error *err)
{
	char name[32];
	uint32_t rest = have & ~known;

	if (!rest)
		return 0;
	feature_name(set, rest & -rest, name, sizeof(name));
	return error_set(err, P2H_UNSUPPORTED, "the file system has the feature %s, which cannot be handled", name);
}

static int check_writing(const struct fs_info *info, const uint32_t have[3], struct p2h_error *err)
{
	if (info->needs_recovery)
		return error_set(err, P2H_REFUSED, "the journal was not replayed (needs_recovery)");
	if (info->has_errors)
		return error_set(err, P2H_REFUSED, "the file system is marked as having errors: run e2fsck");
	for (size_t i = 0; i < sizeof(not_writable) / sizeof(not_writable[0]); i++)
		if (have[not_writable[i].set] & not_writable[i].bit)
			return error_set(err, P2H_UNSUPPORTED,
					 "the file system has the feature %s, with which it cannot be changed offline",
					 not_writable[i].name);
	return check_known(RO_COMPAT, have[RO_COMPAT], EXT2_LIB_FEATURE_RO_COMPAT_SUPP, err);
}

static void fill_info(const struct ext2_super_block *sb, const uint32_t have[3], struct fs_info *info)
{
	const uint8_t *u = sb->s_uuid;
	uint16_t state = le16_get(&sb->s_state);

	info->engine = "ext";
	if (have[INCOMPAT] & ~EXT3_INCOMPAT || have[RO_COMPAT] & ~EXT3_RO_COMPAT)
		strcpy(info->type, "ext4");
	else
		strcpy(info->type, have[COMPAT] & EXT3_FEATURE_COMPAT_HAS_JOURNAL ? "ext3" : "ext2");
	for (int i = 0; i < 16; i++) {
		if (!u[i])
			continue;
		snprintf(info->uuid, sizeof(info->uuid),
			 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
			 u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
		break;
	}
	memcpy(info->label, sb->s_volume_name, 16);
	info->block_size = 1024u << le32_get(&sb->s_log_block_size);
	info->inode_size = le32_get(&sb->s_rev_level) ? le16_get(&sb->s_inode_size) : 128;
	info->needs_recovery = have[INCOMPAT] & EXT3_FEATURE_INCOMPAT_RECOVER;
	info->has_errors = state & EXT2_ERROR_FS;
	info->not_clean = !(have[COMPAT] & EXT3_FEATURE_COMPAT_HAS_JOURNAL) && !(state & EXT2_VALID_FS);
	info->last_write = (int64_t)(le32_get(&sb->s_wtime) | (uint64_t)sb->s_wtime_hi << 32);
	for (size_t i = 0; i < N_FEATURES; i++)
		if (have[features[i].set] & features[i].bit)
			strlist_add(&info->features, features[i].name);
}

int ext_super_check(struct disk *d, unsigned flags, struct fs_info *info, struct p2h_error *err)
{
	union {
		struct ext2_super_block sb;
		uint8_t bytes[SUPERBLOCK_SIZE];
	} u;
	uint32_t have[3];
	int rc;

	if (d->size < SUPERBLOCK_OFFSET + SUPERBLOCK_SIZE)
		return error_set(err, P2H_NOTFOUND, "no ext2, ext3 or ext4 file system: too small");
	rc = disk_read(d, u.bytes, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, err);
	if (rc)
		return rc;
	if (le16_get(&u.sb.s_magic) != EXT2_SUPER_MAGIC)
		return error_set(err, P2H_NOTFOUND, "no ext2, ext3 or ext4 file system");
	if (le32_get(&u.sb.s_log_block_size) > EXT2_MAX_BLOCK_LOG_SIZE - EXT2_MIN_BLOCK_LOG_SIZE)
		return error_set(err, P2H_CORRUPT, "the superblock holds an impossible block size");
	have[COMPAT] = le32_get(&u.sb.s_feature_compat);
	have[INCOMPAT] = le32_get(&u.sb.s_feature_incompat);
	have[RO_COMPAT] = le32_get(&u.sb.s_feature_ro_compat);
	fill_info(&u.sb, have, info);
	if (info->features.failed)
		return error_nomem(err);
	rc = check_known(INCOMPAT, have[INCOMPAT], KNOWN_INCOMPAT, err);
	if (!rc && flags & FS_WRITE)
		rc = check_writing(info, have, err);
	return rc;
}

/* Multiple mount protection: does a host that is or was running hold the file system? */
int ext_mmp_check(struct ext *e, struct p2h_error *err)
{
	struct ext2_super_block *sb = e->e2->super;
	union {
		struct mmp_struct mmp;
		uint8_t bytes[1024];
	} u;
	uint32_t seq;
	int rc;

	if (!ext2fs_has_feature_mmp(sb))
		return 0;
	if (sb->s_mmp_block < sb->s_first_data_block || sb->s_mmp_block >= ext2fs_blocks_count(sb))
		return error_set(err, P2H_CORRUPT, "the multiple mount protection block lies outside the file system");
	rc = disk_read(e->disk, u.bytes, sb->s_mmp_block * e->e2->blocksize, sizeof(u), err);
	if (rc)
		return rc;
	if (le32_get(&u.mmp.mmp_magic) != EXT4_MMP_MAGIC)
		return error_set(err, P2H_CORRUPT, "the multiple mount protection block is damaged");
	seq = le32_get(&u.mmp.mmp_seq);
	if (seq == EXT4_MMP_SEQ_CLEAN)
		return 0;
	return error_set(err, P2H_BUSY, "the file system is in use%s%.*s (multiple mount protection)",
			 u.mmp.mmp_nodename[0] ? " on " : "", (int)sizeof(u.mmp.mmp_nodename),
			 (const char *)u.mmp.mmp_nodename);
}
