/* ext_blockset.c - a set of block numbers: bits in pages, so that what lies together is cheap and what is not there costs nothing */
#include <string.h>

#include "fs/ext_scratch.h"

#define PAGE_BITS 32768u
#define PAGE_BYTES (PAGE_BITS / 8)

int blockset_init(struct blockset *s, uint64_t blocks, struct p2h_error *err)
{
	s->blocks = blocks;
	s->page = calloc((size_t)(blocks / PAGE_BITS + 1), sizeof(*s->page));
	return s->page ? 0 : error_nomem(err);
}

void blockset_done(struct blockset *s)
{
	for (uint64_t i = 0; s->page && i <= s->blocks / PAGE_BITS; i++)
		free(s->page[i]);
	free(s->page);
	*s = (struct blockset){0};
}

bool blockset_has(const struct blockset *s, uint64_t block)
{
	const uint8_t *page = block < s->blocks ? s->page[block / PAGE_BITS] : NULL;

	return page && page[block % PAGE_BITS / 8] & 1u << block % 8;
}

int blockset_add(struct blockset *s, uint64_t block, uint64_t count, struct p2h_error *err)
{
	for (; count && block < s->blocks; block++, count--) {
		uint8_t **page = &s->page[block / PAGE_BITS];

		if (!*page)
			*page = calloc(1, PAGE_BYTES);
		if (!*page)
			return error_nomem(err);
		(*page)[block % PAGE_BITS / 8] |= (uint8_t)(1u << block % 8);
	}
	return 0;
}

void blockset_remove(struct blockset *s, uint64_t block)
{
	if (blockset_has(s, block))
		s->page[block / PAGE_BITS][block % PAGE_BITS / 8] &= (uint8_t)~(1u << block % 8);
}

bool blockset_next(const struct blockset *s, uint64_t block, uint64_t *ret_start, uint64_t *ret_count)
{
	while (block < s->blocks && !blockset_has(s, block)) {
		if (!s->page[block / PAGE_BITS])
			block = (block / PAGE_BITS + 1) * PAGE_BITS;
		else
			block++;
	}
	if (block >= s->blocks)
		return false;
	*ret_start = block;
	while (blockset_has(s, block))
		block++;
	*ret_count = block - *ret_start;
	return true;
}

int blockset_add_superblocks(struct blockset *s, ext2_filsys e2, struct p2h_error *err)
{
	blk64_t old_len = ext2fs_has_feature_meta_bg(e2->super) ? e2->super->s_first_meta_bg : e2->desc_blocks;
	int rc = blockset_add(s, 0, (uint64_t)e2->super->s_first_data_block + 1, err);

	for (dgrp_t g = 0; !rc && g < e2->group_desc_count; g++) {
		blk64_t super, old_desc, new_desc;

		ext2fs_super_and_bgd_loc2(e2, g, &super, &old_desc, &new_desc, NULL);
		if (super || !g)
			rc = blockset_add(s, super, 1, err);
		if (!rc && old_desc)
			rc = blockset_add(s, old_desc, old_len, err);
		if (!rc && new_desc)
			rc = blockset_add(s, new_desc, 1, err);
	}
	return rc;
}
