/* selinux.c - what is new in the guest gets the label that the guest's policy gives it */
#include <string.h>

#include "plan/planner.h"

static bool makes_something(const struct plan *p)
{
	for (size_t i = 0; i < p->actions; i++) {
		const struct action *a = &p->action[i];

		if (a->kind == ACTION_TREE || a->kind == ACTION_BOOT_LOADER || a->kind == ACTION_DIRECTORY ||
		    ((a->kind == ACTION_FILE || a->kind == ACTION_LINK) && !a->existed))
			return true;
	}
	return false;
}

static void check_kernel(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const char *where = arena_printf(p->arena, "kernel %s", d->chosen.release);

	if (!d->config_len || p->facts->selinux.mode != SELINUX_ENFORCING)
		return;
	if (donor_config(d, "SECURITY_SELINUX") != 'y')
		planner_tell(p, where, "the guest enforces SELinux, and the kernel is built without it: nothing is confined",
			     "choose a donor whose kernel has SECURITY_SELINUX");
	else if (!lsm_by_default(p, "selinux"))
		planner_tell(p, where, "the guest enforces SELinux, and the kernel has it, but not switched on: nothing is confined",
			     "--cmdline-add selinux=1 --cmdline-add security=selinux; try that first, an old policy may not suit a new kernel");
}

void rule_selinux(struct planner *p)
{
	const struct facts_selinux *s = &p->facts->selinux;

	if (s->mode == SELINUX_OFF || strlist_has(&p->plan->kept, "selinux=0") || !makes_something(p->plan))
		return;
	check_kernel(p);
	if (!s->unusable) {
		planner_action(p, ACTION_LABEL, s->contexts, "what is new gets the label of the guest's policy");
		return;
	}
	planner_tell(p, arena_printf(p->arena, "%s: %s", s->contexts, s->unusable), "labels cannot be looked up in the guest's policy",
		     "/.autorelabel is made: the guest labels all its files at the first boot, which takes a while, and boots again");
	planner_write(p, "/.autorelabel", "", 0, 0644, "the guest labels its files at the first boot");
}
