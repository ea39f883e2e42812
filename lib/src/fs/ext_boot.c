/*
 * ext_boot.c - inode 5, the boot loader inode: blocks that no tool moves and no directory names
 *
 * Linux keeps it the same way for EXT4_IOC_SWAP_BOOT: a regular file with one link.
 */
#include <string.h>

#include "base/cleanup.h"
#include "fs/ext.h"

#define BOOT_NAME "the boot loader inode"
#define BOOT_MAX (64u << 20)

int ext_boot_read(struct fs *fs, struct buf *ret, struct ranges *ret_where, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ext_map_done) struct ext_map map = {0};
	struct ext2_inode_large inode;
	uint64_t size, block = e->e2->blocksize;
	struct ext_run run;
	char *to;
	int rc = ext_inode_read(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, err);

	if (rc)
		return rc;
	size = EXT2_I_SIZE(&inode);
	if (!LINUX_S_ISREG(inode.i_mode) || !size || inode.i_flags & EXT4_INLINE_DATA_FL)
		return 0;
	if (size > BOOT_MAX)
		return error_set(err, P2H_UNSUPPORTED, BOOT_NAME " holds %llu bytes", (unsigned long long)size);
	to = buf_reserve(ret, (size_t)size);
	if (!to)
		return error_nomem(err);
	rc = ext_read_all(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, to, (size_t)size, err);
	if (rc)
		return rc;
	rc = ext_map_open(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, &map, err);
	for (uint64_t at = 0; !rc && at < size; at += run.len * block) {
		uint64_t left = size - at;

		rc = ext_map_find(&map, at / block, &run, err);
		if (rc)
			break;
		if (run.len > left / block + 1)
			run.len = left / block + 1;
		if (!run.start)
			return error_set(err, P2H_UNSUPPORTED, BOOT_NAME " has a hole");
		ranges_add(ret_where, run.start * block, run.len * block < left ? run.len * block : left);
	}
	if (!rc)
		ret->len += (size_t)size;
	return rc;
}

int ext_boot_write(struct fs *fs, const void *data, size_t len, struct ranges *ret, struct p2h_error *err)
{
	struct ext *e = ext_of(fs);
	CLEANUP(ranges_done) struct ranges runs = {0};
	const struct fs_meta meta = {.mode = 0600, .atime = e->base.now, .mtime = e->base.now};
	struct ext2_inode_large inode;
	uint64_t block = e->e2->blocksize, left = len;
	int rc = ext_bitmaps(e, err);

	if (!rc)
		rc = ext_inode_read(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, err);
	if (rc)
		return rc;
	if (inode.i_mode && !LINUX_S_ISREG(inode.i_mode))
		return error_set(err, P2H_CORRUPT, BOOT_NAME " is not a file");
	if (LINUX_S_ISREG(inode.i_mode)) {
		rc = ext_release(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, err);
		if (!rc)
			rc = ext_xattrs_clear(e, EXT2_BOOT_LOADER_INO, BOOT_NAME, err);
		if (rc)
			return rc;
	}
	ext_inode_init(e, &inode, LINUX_S_IFREG, &meta);
	rc = ext_inode_write_new(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, err);
	if (!rc)
		rc = ext_alloc(e, EXT2_BOOT_LOADER_INO, &inode, len, true, BOOT_NAME, &runs, err);
	if (!rc)
		rc = ext_inode_write(e, EXT2_BOOT_LOADER_INO, &inode, BOOT_NAME, err);
	if (!rc)
		rc = ext_write_all(e, &runs, data, len, BOOT_NAME, err);
	for (size_t i = 0; i < runs.len && !rc; i++) {
		uint64_t n = runs.item[i].len * block < left ? runs.item[i].len * block : left;

		ranges_add(ret, runs.item[i].off * block, n);
		left -= n;
	}
	return rc;
}
