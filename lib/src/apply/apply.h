/* apply.h - carries out a plan's actions on a disk (a transaction's) */
#ifndef P2H_APPLY_APPLY_H
#define P2H_APPLY_APPLY_H

#include "plan/plan.h"

typedef int (*apply_progress)(void *arg, uint64_t done, uint64_t total); /* bytes of the kernel tree; non-zero cancels */

struct apply_context {
	const struct facts *facts;
	const struct plan *plan;
	struct disk *disk;           /* the transaction's view, shifted where the plan says so */
	struct guest *donor;         /* NULL when the plan has neither ACTION_TREE nor ACTION_FIRMWARE */
	apply_progress progress;     /* may be NULL */
	void *progress_arg;
};

/*
 * Everything or an error; the disk is then to be dropped. *ret_space: the root file system's space afterwards.
 * Files that are new belong to root and are dated with the guest's last write: the same input gives the same bytes.
 */
int apply_plan(const struct apply_context *c, struct fs_space *ret_space, struct p2h_error *err);

#endif
