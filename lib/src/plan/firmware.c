/* firmware.c - the firmware that the targets' drivers ask for */
#include "plan/planner.h"

void rule_firmware(struct planner *p)
{
	const struct facts_firmware *all = &p->facts->donor.firmware;

	for (size_t i = 0; i < all->len; i++) {
		const struct facts_blob *b = &all->item[i];
		struct action *a;

		if (b->there || !has_target(p, b->targets))
			continue;
		if (!*b->from) {
			planner_tell(p, arena_printf(p->arena, "module %s: %s", b->module, b->name), "neither guest nor donor has this firmware",
				     "most devices of virtual machines run without; else put it into the guest's /lib/firmware");
			continue;
		}
		a = planner_action(p, ACTION_FIRMWARE, b->to, arena_printf(p->arena, "firmware for module %s", b->module));
		if (!a)
			return;
		a->after = arena_strdup(p->arena, b->from);
		a->bytes = b->size;
	}
}
