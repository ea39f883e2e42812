/* state.c - is the guest's file system fit to be changed and to be read by GRUB? */
#include <string.h>

#include "plan/planner.h"

/* One volume, whether it was dirty or damaged, and what became of it before anything was read. */
static void recovered(struct planner *p, const struct facts_recovery *r)
{
	const struct facts *f = p->facts;
	bool used = r->number == f->root_number || r->number == f->boot_number;
	const char *volume = r->number ? arena_printf(p->arena, "partition %u: ", r->number) : "";
	const char *words = *r->words ? arena_printf(p->arena, " (e2fsck: %s)", r->words) : "";
	void (*judge)(struct planner *, const char *, const char *, const char *) = used ? planner_block : planner_tell;

	if (!volume || !words)
		return;
	if (r->needs_recovery && r->replayed)
		planner_tell(p, arena_printf(p->arena, "%ssuperblock: needs_recovery", volume),
			     "the volume was copied while it was mounted: its journal holds changes that are not in the file system yet",
			     "the journal is replayed in the result, before anything else");
	else if (r->needs_recovery)
		judge(p, arena_printf(p->arena, "%ssuperblock: needs_recovery", volume),
		      arena_printf(p->arena, "the journal holds changes that are not in the file system yet, and cannot be replayed%s", words),
		      "run `e2fsck -f` on a copy of the volume and convert that");
	if (r->has_errors && r->repaired)
		planner_tell(p, arena_printf(p->arena, "%ssuperblock: state has errors", volume),
			     arena_printf(p->arena, "the file system was marked as damaged%s", words), "e2fsck -p has repaired it in the result");
	else if (r->has_errors)
		judge(p, arena_printf(p->arena, "%ssuperblock: state has errors", volume),
		      arena_printf(p->arena, "the file system is marked as damaged%s", words),
		      "--repair lets e2fsck do its safe repairs; for more run `e2fsck -f` on a copy of the volume and convert that");
	else if (r->damaged && r->repaired)
		planner_tell(p, arena_printf(p->arena, "%se2fsck -fn", volume),
			     arena_printf(p->arena, "the file system was damaged, though not marked so%s", words), "e2fsck -p has repaired it in the result");
	else if (r->damaged)
		judge(p, arena_printf(p->arena, "%se2fsck -fn says: %s", volume, r->words), "the file system is damaged, though not marked so",
		      "--repair lets e2fsck do its safe repairs; for more run `e2fsck -f` on a copy of the volume and convert that");
}

void rule_source_state(struct planner *p)
{
	const struct facts *f = p->facts;
	bool known = false;

	for (size_t i = 0; i < f->recoveries; i++) {
		known |= f->recovery[i].number == f->root_number;
		recovered(p, &f->recovery[i]);
	}
	if (!known && f->needs_recovery)
		planner_block(p, "superblock: needs_recovery", "the journal holds changes that are not in the file system yet: the volume was copied while it was mounted",
			      "run `e2fsck -E journal_only` (or e2fsck -p) on a copy of the volume and convert that");
	if (!known && f->has_errors)
		planner_block(p, "superblock: state has errors", "the file system is marked as damaged",
			      "run `e2fsck -f` on a copy of the volume and convert that");
	if (f->not_clean && !f->needs_recovery && !f->has_errors && !f->damaged)
		planner_tell(p, "superblock: state not clean", "the file system was not unmounted cleanly",
			     f->checked ? "e2fsck finds nothing wrong with it" :
					  "the guest checks it at its next boot; `e2fsck -f` on the copy does it now");
}

void rule_grub_features(struct planner *p)
{
	static const char *const unreadable[] = {"inline_data", "ea_inode", "casefold"};
	const struct facts *f = p->facts;

	if (f->boot_number != f->root_number)
		return; /* GRUB reads only the volume with /boot */
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		if (strlist_has(&f->features, unreadable[i]))
			planner_block(p, arena_printf(p->arena, "superblock: %s", unreadable[i]),
				      "GRUB 2 cannot read a file system with this feature",
				      "put /boot on a file system of its own without it, or copy the root to a file system made without it");
}

void rule_unmounted(struct planner *p)
{
	const struct strlist *l = &p->facts->unmounted;

	for (size_t i = 0; i < l->len; i++) {
		if (!strncmp(l->item[i], "/boot ", 6) || !strncmp(l->item[i], "/usr ", 5))
			planner_block(p, l->item[i], "this part of the guest cannot be read", "ext2, ext3, ext4 and, not with --engine ext, XFS and btrfs can be read");
		else
			planner_tell(p, l->item[i], "this part of the guest was not looked at", "nothing in it is changed");
	}
}
