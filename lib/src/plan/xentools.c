/* xentools.c - services that talk to Xen, on a machine without it */
#include "plan/planner.h"

static const char *const needs_xen[] = {"xe-linux-distribution", "xe-daemon", "xe-guest-utilities", "xen-guest-agent", "xenstored",
					"xenconsoled", "xencommons", "xendomains", "xend", "xenwatchdogd"};

void rule_xen_tools(struct planner *p)
{
	if (!has_target(p, P2H_TARGET_NITRO) && !has_target(p, P2H_TARGET_KVM))
		return;
	make_xenfs_optional(p);
	p->severity = SEVERITY_DEGRADED;
	for (size_t i = 0; i < sizeof(needs_xen) / sizeof(needs_xen[0]); i++) {
		const char *job = arena_printf(p->arena, "/etc/init/%s.conf", needs_xen[i]);

		if (job && (strlist_has(&p->facts->services, needs_xen[i]) || planner_exists(p, job)))
			planner_tell(p, arena_printf(p->arena, "service %s", needs_xen[i]), "it starts at boot, needs Xen, and fails on a machine without it",
				     "switch it off there: systemctl disable, chkconfig off or update-rc.d disable; or remove its package");
	}
}
