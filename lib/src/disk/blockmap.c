#include "disk/blockmap.h"

#include <stdlib.h>

#define LEAF_SLOTS 512u  /* 2 MiB of disk */
#define NODE_LEAVES 1024u /* 2 GiB of disk */
#define NODE_SLOTS ((uint64_t)LEAF_SLOTS * NODE_LEAVES)
#define DISK_BLOCKS_MAX (UINT64_C(1) << 51)

struct map_leaf {
	slot slot[LEAF_SLOTS];
};
struct map_node {
	struct map_leaf *leaf[NODE_LEAVES];
};

/* Stand for "all zeros"; only their addresses matter. */
static struct map_leaf zero_leaf;
static struct map_node zero_node;

bool blockmap_init(struct blockmap *m, uint64_t blocks)
{
	*m = (struct blockmap){.blocks = blocks};
	if (blocks > DISK_BLOCKS_MAX)
		return false;
	m->nodes = (size_t)(blocks / NODE_SLOTS + 1);
	m->node = calloc(m->nodes, sizeof(*m->node));
	return m->node;
}

static void free_node(void *p)
{
	struct map_node *n = p;

	if (!n || n == &zero_node)
		return;
	for (size_t i = 0; i < NODE_LEAVES; i++)
		if (n->leaf[i] != &zero_leaf)
			free(n->leaf[i]);
	free(n);
}

void blockmap_done(struct blockmap *m)
{
	for (size_t i = 0; m->node && i < m->nodes; i++)
		free_node(m->node[i]);
	free(m->node);
	*m = (struct blockmap){0};
}

static struct map_leaf *find_leaf(const struct blockmap *m, uint64_t block)
{
	struct map_node *n = m->node[block / NODE_SLOTS];

	if (n == &zero_node)
		return &zero_leaf;
	return n ? n->leaf[block % NODE_SLOTS / LEAF_SLOTS] : NULL;
}

slot blockmap_get(const struct blockmap *m, uint64_t block)
{
	const struct map_leaf *l = find_leaf(m, block);

	if (l == &zero_leaf)
		return SLOT_ZERO;
	return l ? l->slot[block % LEAF_SLOTS] : SLOT_UNDER;
}

/* The node that covers the block, as one whose leaves may be changed. */
static struct map_node *edit_node(struct blockmap *m, uint64_t block)
{
	void **place = &m->node[block / NODE_SLOTS];
	bool zero = *place == &zero_node;
	struct map_node *n;

	if (*place && !zero)
		return *place;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	for (size_t i = 0; zero && i < NODE_LEAVES; i++)
		n->leaf[i] = &zero_leaf;
	*place = n;
	return n;
}

slot *blockmap_edit(struct blockmap *m, uint64_t block)
{
	struct map_node *n = edit_node(m, block);
	struct map_leaf **place, *l;

	if (!n)
		return NULL;
	place = &n->leaf[block % NODE_SLOTS / LEAF_SLOTS];
	if (!*place || *place == &zero_leaf) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return NULL;
		for (size_t i = 0; *place && i < LEAF_SLOTS; i++)
			l->slot[i] = SLOT_ZERO;
		*place = l;
	}
	return &(*place)->slot[block % LEAF_SLOTS];
}

static void release_leaf(struct map_leaf *l, void (*release)(void *, slot), void *arg)
{
	if (!l || l == &zero_leaf)
		return;
	for (size_t i = 0; i < LEAF_SLOTS; i++)
		if (l->slot[i] >= SLOT_FIRST)
			release(arg, l->slot[i]);
	free(l);
}

static void zero_whole_node(struct blockmap *m, uint64_t block, void (*release)(void *, slot), void *arg)
{
	void **place = &m->node[block / NODE_SLOTS];
	struct map_node *n = *place;

	*place = &zero_node;
	if (!n || n == &zero_node)
		return;
	for (size_t i = 0; i < NODE_LEAVES; i++)
		release_leaf(n->leaf[i], release, arg);
	free(n);
}

static bool zero_whole_leaf(struct blockmap *m, uint64_t block, void (*release)(void *, slot), void *arg)
{
	struct map_node *n = edit_node(m, block);
	struct map_leaf **place;

	if (!n)
		return false;
	place = &n->leaf[block % NODE_SLOTS / LEAF_SLOTS];
	release_leaf(*place, release, arg);
	*place = &zero_leaf;
	return true;
}

bool blockmap_zero(struct blockmap *m, uint64_t block, uint64_t count, void (*release)(void *, slot), void *arg)
{
	while (count) {
		uint64_t step = 1;
		slot *s;

		if (block % NODE_SLOTS == 0 && count >= NODE_SLOTS) {
			step = NODE_SLOTS;
			zero_whole_node(m, block, release, arg);
		} else if (block % LEAF_SLOTS == 0 && count >= LEAF_SLOTS) {
			step = LEAF_SLOTS;
			if (!zero_whole_leaf(m, block, release, arg))
				return false;
		} else {
			s = blockmap_edit(m, block);
			if (!s)
				return false;
			if (*s >= SLOT_FIRST)
				release(arg, *s);
			*s = SLOT_ZERO;
		}
		block += step;
		count -= step;
	}
	return true;
}

static slot kind_of(slot s)
{
	return s < SLOT_FIRST ? s : (slot)SLOT_FIRST;
}

uint64_t blockmap_run(const struct blockmap *m, uint64_t block, uint64_t max)
{
	slot kind = kind_of(blockmap_get(m, block));
	uint64_t at = block, end = m->blocks - block < max ? m->blocks : block + max;

	while (at < end) {
		const struct map_node *n = m->node[at / NODE_SLOTS];
		const struct map_leaf *l = find_leaf(m, at);

		if (kind_of(blockmap_get(m, at)) != kind)
			return at - block;
		if (!n || n == &zero_node)
			at = (at / NODE_SLOTS + 1) * NODE_SLOTS;
		else if (!l || l == &zero_leaf)
			at = (at / LEAF_SLOTS + 1) * LEAF_SLOTS;
		else
			at++;
	}
	return end - block;
}
