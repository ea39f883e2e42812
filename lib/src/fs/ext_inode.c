/* ext_inode.c - inodes: reading, writing, and the fields that other modules see */
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "fs/ext.h"

int ext_inode_read(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *ret, const char *path, struct p2h_error *err)
{
	errcode_t rc;

	memset(ret, 0, sizeof(*ret));
	rc = ext2fs_read_inode_full(e->e2, ino, ext_inode_small(ret), sizeof(*ret));
	return rc ? ext_error(e, rc, path, err) : 0;
}

int ext_inode_write(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
		    struct p2h_error *err)
{
	errcode_t rc = ext2fs_write_inode_full(e->e2, ino, ext_inode_small(inode), sizeof(*inode));

	return rc ? ext_error(e, rc, path, err) : 0;
}

int ext_inode_write_new(struct ext *e, ext2_ino_t ino, struct ext2_inode_large *inode, const char *path,
			struct p2h_error *err)
{
	size_t size = EXT2_INODE_SIZE(e->e2->super);
	CLEANUP_FREE char *slot = calloc(1, size > sizeof(*inode) ? size : sizeof(*inode));
	errcode_t rc;

	if (!slot)
		return error_nomem(err);
	memcpy(slot, inode, sizeof(*inode));
	rc = ext2fs_write_inode_full(e->e2, ino, (struct ext2_inode *)slot, (int)size);
	return rc ? ext_error(e, rc, path, err) : 0;
}

/* Does the inode hold this field of the part beyond 128 bytes? */
#define HAS_FIELD(e, inode, field)                                                                            \
	(EXT2_INODE_SIZE((e)->e2->super) > EXT2_GOOD_OLD_INODE_SIZE &&                                        \
	 offsetof(struct ext2_inode_large, field) + sizeof((inode)->field) <=                                 \
		 EXT2_GOOD_OLD_INODE_SIZE + (size_t)(inode)->i_extra_isize)

/*
 * Times: 32 signed bits of seconds; the extra word has two more bits of them below 30 bits of nanoseconds (the kernel's
 * inodes.rst, "Inode Timestamps"). Without an extra word later times stand at the last second that fits.
 */
static uint32_t time_low(int64_t sec, bool has_extra)
{
	int64_t last = has_extra ? 0x37fffffffLL : INT32_MAX;

	if (sec < INT32_MIN)
		sec = INT32_MIN;
	if (sec > last)
		sec = last;
	return (uint32_t)sec;
}

static uint32_t time_extra(int64_t sec, uint32_t nsec)
{
	if (sec < INT32_MIN)
		sec = INT32_MIN;
	if (sec > 0x37fffffffLL)
		sec = 0x37fffffffLL;
	return (uint32_t)(((sec - (int32_t)(uint32_t)sec) >> 32) & 3) | nsec << 2;
}

static int64_t time_decode(uint32_t low, uint32_t extra)
{
	return (int64_t)(int32_t)low + ((int64_t)(extra & 3) << 32);
}

static uint32_t nsec_decode(uint32_t extra)
{
	return extra >> 2 < 1000000000u ? extra >> 2 : 0;
}

#define SET_TIME(e, inode, name, sec, nsec)                                            \
	do {                                                                           \
		bool extra_ = HAS_FIELD(e, inode, name##_extra);                       \
		(inode)->name = time_low(sec, extra_);                                 \
		if (extra_)                                                            \
			(inode)->name##_extra = time_extra(sec, nsec);                 \
	} while (0)

void ext_inode_set_mtime(struct ext *e, struct ext2_inode_large *inode, int64_t sec, uint32_t nsec)
{
	SET_TIME(e, inode, i_mtime, sec, nsec);
}

void ext_inode_set_ctime(struct ext *e, struct ext2_inode_large *inode)
{
	SET_TIME(e, inode, i_ctime, e->base.now, 0);
}

void ext_inode_touch(struct ext *e, struct ext2_inode_large *inode)
{
	ext_inode_set_mtime(e, inode, e->base.now, 0);
	ext_inode_set_ctime(e, inode);
}

void ext_inode_set_meta(struct ext *e, struct ext2_inode_large *inode, const struct fs_meta *meta)
{
	inode->i_mode = (uint16_t)((inode->i_mode & LINUX_S_IFMT) | (meta->mode & 07777));
	inode->i_uid = (uint16_t)meta->uid;
	inode->i_gid = (uint16_t)meta->gid;
	inode->osd2.linux2.l_i_uid_high = (uint16_t)(meta->uid >> 16);
	inode->osd2.linux2.l_i_gid_high = (uint16_t)(meta->gid >> 16);
	SET_TIME(e, inode, i_atime, meta->atime, meta->atime_nsec);
	SET_TIME(e, inode, i_mtime, meta->mtime, meta->mtime_nsec);
	ext_inode_set_ctime(e, inode);
}

/* How much of the part beyond 128 bytes new inodes use: what mke2fs wrote down, as the kernel does it. */
static uint16_t extra_size(struct ext *e)
{
	uint32_t room = EXT2_INODE_SIZE(e->e2->super) - EXT2_GOOD_OLD_INODE_SIZE;
	uint32_t known = sizeof(struct ext2_inode_large) - EXT2_GOOD_OLD_INODE_SIZE;
	uint32_t want = e->e2->super->s_want_extra_isize;

	if (e->e2->super->s_min_extra_isize > want)
		want = e->e2->super->s_min_extra_isize;
	if (want < 4 || want > known || want % 4)
		want = known;
	return (uint16_t)(want < room ? want : room);
}

void ext_inode_init(struct ext *e, struct ext2_inode_large *inode, uint32_t type, const struct fs_meta *meta)
{
	memset(inode, 0, sizeof(*inode));
	inode->i_mode = (uint16_t)type;
	inode->i_links_count = 1;
	if (EXT2_INODE_SIZE(e->e2->super) > EXT2_GOOD_OLD_INODE_SIZE) {
		inode->i_extra_isize = extra_size(e);
		if (HAS_FIELD(e, inode, i_crtime))
			SET_TIME(e, inode, i_crtime, e->base.now, 0);
	}
	ext_inode_set_meta(e, inode, meta);
}

/* Old device numbers (8 bits each) in the first block pointer, newer ones in the second. */
static void stat_device(const struct ext2_inode_large *inode, struct fs_stat *ret)
{
	uint32_t old = inode->i_block[0], new = inode->i_block[1];

	if (old) {
		ret->rdev_major = (old >> 8) & 0xff;
		ret->rdev_minor = old & 0xff;
	} else {
		ret->rdev_major = (new >> 8) & 0xfff;
		ret->rdev_minor = (new & 0xff) | ((new >> 12) & 0xfff00);
	}
}

#define STAT_TIME(e, inode, ret, name)                                                             \
	do {                                                                                       \
		uint32_t extra_ = HAS_FIELD(e, inode, i_##name##_extra) ? (inode)->i_##name##_extra : 0; \
		(ret)->name = time_decode((inode)->i_##name, extra_);                              \
		(ret)->name##_nsec = nsec_decode(extra_);                                          \
	} while (0)

void ext_inode_stat(struct ext *e, ext2_ino_t ino, const struct ext2_inode_large *inode, struct fs_stat *ret)
{
	*ret = (struct fs_stat){
		.mode = inode->i_mode,
		.uid = inode->i_uid | (uint32_t)inode->osd2.linux2.l_i_uid_high << 16,
		.gid = inode->i_gid | (uint32_t)inode->osd2.linux2.l_i_gid_high << 16,
		.size = EXT2_I_SIZE(inode),
		.ino = ino,
		.nlink = inode->i_links_count,
	};
	if (LINUX_S_ISCHR(inode->i_mode) || LINUX_S_ISBLK(inode->i_mode))
		stat_device(inode, ret);
	STAT_TIME(e, inode, ret, atime);
	STAT_TIME(e, inode, ret, mtime);
	STAT_TIME(e, inode, ret, ctime);
}
