/*
 * blockmap.h - inside disk/: where a transaction keeps its blocks
 *
 * A radix tree from block number to slot. Whole leaves and whole nodes that are zero are one marker, so that zeroing a
 * terabyte costs a few pointers.
 */
#ifndef P2H_DISK_BLOCKMAP_H
#define P2H_DISK_BLOCKMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A slot: unchanged, zeros, or SLOT_FIRST + the number of the payload block. */
typedef uint32_t slot;
enum { SLOT_UNDER = 0, SLOT_ZERO = 1, SLOT_FIRST = 2 };

struct blockmap {
	uint64_t blocks;
	size_t nodes;
	void **node; /* of struct map_node, or the marker for zeros, or NULL */
};

bool blockmap_init(struct blockmap *m, uint64_t blocks); /* false: no memory */
void blockmap_done(struct blockmap *m);
slot blockmap_get(const struct blockmap *m, uint64_t block);
/* Where the slot lies, for changing it; NULL: no memory. */
slot *blockmap_edit(struct blockmap *m, uint64_t block);
/* Marks blocks as zeros; release is called for each payload slot that this drops. False: no memory. */
bool blockmap_zero(struct blockmap *m, uint64_t block, uint64_t count, void (*release)(void *, slot), void *arg);
/*
 * How many blocks from this one on (at most max) are of its kind: all SLOT_UNDER, all SLOT_ZERO, or payload. Stops
 * anywhere, at least one, when that is cheaper than going on.
 */
uint64_t blockmap_run(const struct blockmap *m, uint64_t block, uint64_t max);

#endif
