/* apparmor.c - profiles that the new kernel would not enforce */
#include <stdio.h>
#include <string.h>

#include "plan/planner.h"

/* In the order of CONFIG_LSM the first of those that exclude each other is the one that works. */
static bool comes_first(const char *list, const char *name)
{
	static const char *const exclusive[] = {"selinux", "smack", "tomoyo", "apparmor"};
	const char *own = strstr(list, name);

	for (size_t i = 0; own && i < 4; i++) {
		const char *other = strstr(list, exclusive[i]);

		if (other && other < own && strcmp(exclusive[i], name))
			return false;
	}
	return own != NULL;
}

/* The value of a string option of the donor's kernel; "" if it has none. */
static const char *text_option(struct planner *p, const char *name)
{
	const char *mark = arena_printf(p->arena, "\nCONFIG_%s=\"", name), *at;

	at = mark ? strstr(p->facts->donor.config, mark) : NULL;
	if (!at)
		return "";
	at += strlen(mark);
	return arena_printf(p->arena, "%.*s", (int)strcspn(at, "\"\n"), at);
}

bool lsm_by_default(struct planner *p, const char *name)
{
	const char *list = text_option(p, "LSM"); /* from 5.1 */

	return list && *list ? comes_first(list, name) : p->facts->donor.config_len && !strcmp(text_option(p, "DEFAULT_SECURITY"), name);
}

void rule_apparmor(struct planner *p)
{
	const struct facts *f = p->facts;
	unsigned major, minor;
	const char *where = arena_printf(p->arena, "kernel %s", f->donor.chosen.release);

	if (!strlist_has(&f->services, "apparmor") || !*f->donor.chosen.release || !f->donor.config_len)
		return;
	if (donor_config(&f->donor, "SECURITY_APPARMOR") != 'y')
		planner_tell(p, where, "the guest uses AppArmor, and the kernel is built without it: its profiles confine nothing",
			     "choose a donor whose kernel has SECURITY_APPARMOR");
	else if (!lsm_by_default(p, "apparmor"))
		planner_tell(p, where, "the guest uses AppArmor, and the kernel has it, but not switched on", "--cmdline-add security=apparmor");
	/*
	 * Linux: security/apparmor/policy_unpack.c takes policy from version 5 on. AppArmor 2.0 wrote version 2; of 2.1 to 2.4 its wiki (AppArmor
	 * versions) says that kernels try to take theirs, which were written for the kernel patches of their time. 2.5 is as old as Linux 2.6.36.
	 */
	else if (sscanf(f->security.apparmor_parser, "%u.%u", &major, &minor) == 2 && (major < 2 || (major == 2 && minor < 5)))
		planner_tell(p, arena_printf(p->arena, "/sbin/apparmor_parser: version %s", f->security.apparmor_parser),
			     "this parser is older than AppArmor in Linux (2.6.36), which may refuse the policy that it writes: nothing would be confined",
			     "look at aa-status after the first boot, and upgrade apparmor in the guest if it shows no profiles");
}
