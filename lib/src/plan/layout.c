/* layout.c - where the file system is to lie */
#include <stdlib.h>
#include <string.h>

#include "plan/planner.h"

static enum p2h_layout choose(const struct planner *p, const char **reason)
{
	const struct facts *f = p->facts;

	if (f->volumes.table != TABLE_NONE) {
		*reason = "the image is partitioned already";
		return P2H_LAYOUT_KEEP;
	}
	if (p->options->layout != P2H_LAYOUT_AUTO) {
		*reason = "asked for";
		return p->options->layout;
	}
	if (!p->options->in_place) {
		*reason = "the default for a new output";
		return P2H_LAYOUT_PARTITION;
	}
	if (f->can_shift) {
		*reason = "in place on a regular file whose file system can insert a range";
		return P2H_LAYOUT_PARTITION;
	}
	*reason = "in place where nothing can be moved";
	return P2H_LAYOUT_FLAT;
}

/* The same input gives the same disk signature: the first 32 bits of the root's UUID. 0 means none. */
static uint32_t disk_signature(const char *uuid)
{
	char first[9] = "";
	uint32_t id;

	strncpy(first, uuid, 8);
	id = (uint32_t)strtoul(first, NULL, 16);
	return id ? id : 0x70763268;
}

void rule_layout(struct planner *p)
{
	const struct facts *f = p->facts;
	struct action *a;

	p->plan->layout = choose(p, &p->plan->layout_reason);
	if (!*f->root_uuid)
		planner_block(p, "superblock", "the root file system has no UUID, by which it would be found on the new machine",
			      "give it one: tune2fs -U random on a copy");
	if (p->plan->layout != P2H_LAYOUT_PARTITION)
		return;
	p->plan->shift = VOLUME_ALIGNMENT;
	a = planner_action(p, ACTION_TABLE, "", "one active partition; the file system moves by 1 MiB, the boot loader lies before it");
	if (!a)
		return;
	a->table_id = disk_signature(f->root_uuid);
	a->start = VOLUME_ALIGNMENT;
	a->len = f->disk_size / 512 * 512;
}
