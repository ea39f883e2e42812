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

/* Sets or clears what of [block, block + count) lies in one page (NULL: nothing to clear), whole bytes at once; how many those are. */
static uint64_t mark(uint8_t *page, uint64_t block, uint64_t count, bool value)
{
	uint64_t at = block % PAGE_BITS, end = at + count < PAGE_BITS ? at + count : PAGE_BITS, n = end - at;

	while (page && at < end)
		if (!(at % 8) && end - at >= 8) {
			memset(page + at / 8, value ? 0xff : 0, (size_t)((end - at) / 8));
			at += (end - at) / 8 * 8;
		} else {
			page[at / 8] = (uint8_t)(value ? page[at / 8] | 1u << at % 8 : page[at / 8] & ~(1u << at % 8));
			at++;
		}
	return n;
}

int blockset_add(struct blockset *s, uint64_t block, uint64_t count, struct p2h_error *err)
{
	if (block >= s->blocks)
		return 0;
	if (count > s->blocks - block)
		count = s->blocks - block;
	for (uint64_t n; count; block += n, count -= n) {
		uint8_t **page = &s->page[block / PAGE_BITS];

		if (!*page)
			*page = calloc(1, PAGE_BYTES);
		if (!*page)
			return error_nomem(err);
		n = mark(*page, block, count, true);
	}
	return 0;
}

void blockset_remove(struct blockset *s, uint64_t block, uint64_t count)
{
	for (uint64_t n; count && block < s->blocks; block += n, count -= n)
		n = mark(s->page[block / PAGE_BITS], block, count, false);
}

/* The first block at or after `block` that is (or is not) a member; s->blocks: none. */
static uint64_t find(const struct blockset *s, uint64_t block, bool member)
{
	while (block < s->blocks && blockset_has(s, block) != member) {
		const uint8_t *page = s->page[block / PAGE_BITS];

		if (!page)
			block = (block / PAGE_BITS + 1) * PAGE_BITS;
		else if (!(block % 8) && page[block % PAGE_BITS / 8] == (member ? 0 : 0xff))
			block += 8;
		else
			block++;
	}
	return block < s->blocks ? block : s->blocks;
}

bool blockset_next(const struct blockset *s, uint64_t block, uint64_t *ret_start, uint64_t *ret_count)
{
	block = find(s, block, true);
	if (block >= s->blocks)
		return false;
	*ret_start = block;
	*ret_count = find(s, block, false) - block;
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
