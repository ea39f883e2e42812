/* space.c - will it fit? */
#include <string.h>

#include "plan/planner.h"

#define SLACK_BLOCKS 64 /* directories that grow, bitmaps, the new configuration files */
#define SLACK_INODES 32

struct need {
	uint64_t blocks, inodes;
};

static const struct action *find(const struct planner *p, enum action_kind kind)
{
	for (size_t i = 0; i < p->plan->actions; i++)
		if (p->plan->action[i].kind == kind)
			return &p->plan->action[i];
	return NULL;
}

static void add_tree(struct need *n, const struct facts_tree *t)
{
	n->blocks += t->blocks;
	n->inodes += t->files + t->directories + t->links;
}

/* With the directories above it, and mapping blocks as for the tree. */
static void add_file(struct need *n, const struct action *a, uint32_t block)
{
	uint64_t blocks = a->bytes / block + 1;

	n->blocks += blocks + (blocks > 12 ? blocks / (block / 4) + 3 : 0);
	n->inodes++;
	for (const char *slash = strchr(a->path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		n->blocks++;
		n->inodes++;
	}
}

static void check(struct planner *p, const char *where, const struct need *n, const struct fs_space *s)
{
	uint64_t mib = 1024 * 1024 / s->block_size;

	if (n->blocks > s->blocks_free)
		planner_block(p, where,
			      arena_printf(p->arena, "not enough free space: %llu MiB are needed, %llu MiB are free",
					   (unsigned long long)(n->blocks / mib + 1), (unsigned long long)(s->blocks_free / mib)),
			      "delete old kernels or grow the file system (resize2fs) on a copy, and convert that");
	if (s->inodes && n->inodes > s->inodes_free)
		planner_block(p, where,
			      arena_printf(p->arena, "not enough free inodes: %llu are needed, %llu are free",
					   (unsigned long long)n->inodes, (unsigned long long)s->inodes_free),
			      "delete files on a copy, and convert that");
}

void rule_space(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct action *loader = find(p, ACTION_BOOT_LOADER);
	bool apart = f->boot_number != f->root_number;
	struct need root = {SLACK_BLOCKS, SLACK_INODES}, boot = root;
	struct need *b = apart ? &boot : &root;

	if (find(p, ACTION_TREE)) {
		add_tree(&root, planner_modules(p));
		add_tree(b, &f->donor.boot);
	}
	for (size_t i = 0; i < p->plan->actions; i++)
		if (p->plan->action[i].kind == ACTION_INITRAMFS)
			b->blocks += p->plan->action[i].after_len / f->boot_space.block_size + 4;
	for (size_t i = 0; i < p->plan->actions; i++)
		if (p->plan->action[i].kind == ACTION_FIRMWARE)
			add_file(&root, &p->plan->action[i], f->block_size);
	if (loader) {
		b->blocks += f->host.platform_blocks;
		b->inodes += f->host.platform.len;
		if (loader->place == PLACE_INODE5)
			b->blocks += f->host.core_len / f->boot_space.block_size + 4;
	}
	/* A label lies in the inode, or, where that has no room, in a block of its own. */
	if (find(p, ACTION_LABEL) && f->inode_size < 256) {
		root.blocks += root.inodes;
		boot.blocks += boot.inodes;
	}
	p->plan->blocks_needed = root.blocks;
	p->plan->inodes_needed = root.inodes;
	if (!p->plan->actions)
		return;
	check(p, apart ? "the root file system" : "the guest's file system", &root, &f->space);
	if (apart)
		check(p, "the file system on /boot", &boot, &f->boot_space);
}
