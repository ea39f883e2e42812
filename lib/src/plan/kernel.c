/* kernel.c - the kernel that is to boot, and the guest's own ones */
#include <string.h>

#include "plan/planner.h"

void rule_donor_kernel(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct facts_tree *modules = planner_modules(p);
	struct action *a;

	if (!*d->chosen.release) {
		planner_block(p, d->name, d->chosen.why_not ? d->chosen.why_not : "no kernel was found",
			      d->from_guest ? "take a kernel from a donor: --donor IMAGE"
					    : "choose another donor: one that has /boot/vmlinuz-*, its initramfs and /lib/modules");
		return;
	}
	if (d->from_guest || (d->boot.present && modules->present))
		return;
	a = planner_action(p, ACTION_TREE, arena_printf(p->arena, "/lib/modules/%s", d->chosen.release),
			   "the donor's kernel, its initramfs and modules");
	if (!a)
		return;
	a->files = d->boot.files + modules->files;
	a->bytes = d->boot.bytes + modules->bytes;
}

void rule_arch(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;

	if (!*d->chosen.release)
		return;
	if (f->bits == 64 && !d->chosen.is_64bit)
		planner_block(p, arena_printf(p->arena, "%s is a 64-bit program, kernel %s is 32-bit", f->init_path, d->chosen.release),
			      "a 32-bit kernel cannot run a 64-bit guest", "choose a 64-bit (amd64) donor");
	else if (!f->bits)
		planner_tell(p, *f->init_path ? f->init_path : "/sbin/init", "init is no ELF program that could be read",
			     "whether it runs on the new kernel cannot be told");
}

/* An EC2 kernel image (AKI), or kernel= in the configuration of a domU. */
void rule_no_own_kernel(struct planner *p)
{
	const struct facts *f = p->facts;

	if (!f->kernels.len)
		planner_tell(p, "/boot", "the guest has no kernel of its own: it was started with one from outside",
			     "it gets the donor's; its package manager does not know of it, so that later kernels have to be installed by hand");
}
