/* xentools.c - services that talk to Xen, on a machine without it */
#include <string.h>

#include "base/cleanup.h"
#include "parse/fstab.h"
#include "plan/planner.h"

static const char *const needs_xen[] = {"xe-linux-distribution", "xe-daemon", "xe-guest-utilities", "xen-guest-agent", "xenstored",
					"xenconsoled", "xencommons", "xendomains", "xend", "xenwatchdogd"};

/* A mount of xenfs fails, which systemd answers with emergency mode. */
static void xenfs(struct planner *p)
{
	CLEANUP(fstab_done) struct fstab table = {0};
	CLEANUP(buf_done) struct buf out = {0};
	size_t len;
	const char *text = planner_text(p, "/etc/fstab", &len);

	if (!text || fstab_parse(text, len, &table, NULL))
		return;
	for (size_t i = 0; i < table.len; i++) {
		const char *options = table.item[i].text[FSTAB_OPTIONS];
		struct fstab_change c = {i, FSTAB_OPTIONS, NULL};

		if (strcmp(table.item[i].text[FSTAB_TYPE], "xenfs") || fstab_has_option(options, "nofail") || fstab_has_option(options, "noauto"))
			continue;
		c.value = arena_printf(p->arena, "%s,%s", options, p->facts->init == INIT_SYSTEMD || p->facts->mount_knows_nofail ? "nofail" : "noauto");
		if (!c.value || fstab_edit(text, len, &table, &c, 1, &out, NULL))
			p->arena->failed = true;
		else
			planner_write_buf(p, "/etc/fstab", &out, 0644, "there is no xenfs without Xen");
		return;
	}
}

void rule_xen_tools(struct planner *p)
{
	if (!has_target(p, P2H_TARGET_NITRO) && !has_target(p, P2H_TARGET_KVM))
		return;
	for (size_t i = 0; i < sizeof(needs_xen) / sizeof(needs_xen[0]); i++) {
		const char *job = arena_printf(p->arena, "/etc/init/%s.conf", needs_xen[i]);

		if (job && (strlist_has(&p->facts->services, needs_xen[i]) || planner_exists(p, job)))
			planner_tell(p, arena_printf(p->arena, "service %s", needs_xen[i]), "it starts at boot, needs Xen, and fails on a machine without it",
				     "switch it off there: systemctl disable, chkconfig off or update-rc.d disable; or remove its package");
	}
	xenfs(p);
}
