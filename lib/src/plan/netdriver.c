/* netdriver.c - the driver of the target's network card */
#include <string.h>

#include "inspect/drivers.h"
#include "plan/planner.h"

static void check(struct planner *p, size_t target)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct network_driver *n = &drivers_network[target];
	const char *where = arena_printf(p->arena, "kernel %s: %s", d->chosen.release, n->module);

	switch (donor_offers(p->facts, n->module, n->config)) {
	case OFFER_NO:
		planner_block(p, where,
			      arena_printf(p->arena, "the kernel has no driver for the network card of target %s", drivers_target_name[target]),
			      "choose a donor whose kernel has it, or leave the target out with --target");
		break;
	case OFFER_UNKNOWN:
		planner_block(p, where,
			      arena_printf(p->arena,
					   "this driver, which target %s needs, is no module, and neither modules.builtin nor a configuration says that it is built in",
					   drivers_target_name[target]),
			      "choose a donor that has one of them, or leave the target out with --target");
		break;
	case OFFER_MODULE:
		/* udev loads it by the card's alias, in the initramfs or later; a guest that has none needs to be told. */
		if (!p->facts->has_udev && !(d->initramfs.read && initramfs_has_module(&d->initramfs.holds, n->module)))
			planner_tell(p, where, "this guest has no udev, and the driver is neither built in nor in the initramfs: nothing loads it",
				     arena_printf(p->arena, "load it at boot: `modprobe %s`, or a line in /etc/modules where that file is used",
						  n->module));
		break;
	case OFFER_BUILTIN:
		break;
	}
}

void rule_net_driver(struct planner *p)
{
	if (!*p->facts->donor.chosen.release)
		return;
	for (size_t t = 0; t < DRIVERS_TARGETS; t++)
		if (has_target(p, 1u << t))
			check(p, t);
}
