/* init.c - what the guest's systemd and udev want of the kernel and of the initramfs before them */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plan/planner.h"

static bool has_systemd(const struct planner *p)
{
	return p->facts->init == INIT_SYSTEMD && *p->facts->donor.chosen.release;
}

/* Newest first. Below these a version "is not supported at all", its README says. */
static const struct {
	unsigned systemd, major, minor;
} kernel_min[] = {{260, 5, 10}, {258, 5, 4}, {251, 3, 15}, {1, 3, 0}};

static void check_kernel(struct planner *p)
{
	unsigned version = p->facts->systemd_version;

	for (size_t i = 0; i < sizeof(kernel_min) / sizeof(kernel_min[0]); i++) {
		if (version < kernel_min[i].systemd)
			continue;
		if (kernel_before(p, kernel_min[i].major, kernel_min[i].minor))
			planner_block(p, arena_printf(p->arena, "systemd %u, kernel %s", version, p->plan->kernel),
				      arena_printf(p->arena, "this systemd needs Linux %u.%u or newer", kernel_min[i].major, kernel_min[i].minor),
				      arena_printf(p->arena, "choose a donor whose kernel is Linux %u.%u or newer", kernel_min[i].major, kernel_min[i].minor));
		return;
	}
}

void rule_systemd_min(struct planner *p)
{
	static const char *const option[] = {"CGROUPS", "DEVTMPFS", "EPOLL", "FHANDLE", "INOTIFY_USER", "NET", "PROC_FS", "SIGNALFD", "SYSFS",
					     "TIMERFD", "TMPFS", "UNIX"};
	const struct facts_donor *d = &p->facts->donor;

	if (!has_systemd(p))
		return;
	check_kernel(p);
	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		if (donor_config_off(d, option[i]))
			planner_block(p, arena_printf(p->arena, "%s: CONFIG_%s is not set", d->chosen.config, option[i]),
				      "systemd does not run without it", "choose another donor");
}

/* Controllers of cgroup v1 that a kernel can be built without since 6.11. */
static const struct {
	const char *option, *name;
} controller[] = {{"MEMCG_V1", "memory"}, {"CPUSETS_V1", "cpuset"}};

/* Does a line other than a comment name the word? */
static bool names(const struct facts_file *config, const char *word)
{
	struct line l = {0};

	for (size_t at = 0; next_line(config->text, config->len, &at, &l);) {
		size_t start = 0;

		while (start < l.len && isspace((unsigned char)l.text[start]))
			start++;
		if (start < l.len && l.text[start] != '#' && has_word(l.text, l.len, word))
			return true;
	}
	return false;
}

void rule_cgroup_v1(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_file *config = facts_file(f, "/etc/cgconfig.conf");
	bool old = has_systemd(p) && f->systemd_version && f->systemd_version < 226;

	for (size_t i = 0; i < sizeof(controller) / sizeof(controller[0]); i++) {
		bool listed = config && names(config, controller[i].name);

		if (!donor_config_off(&f->donor, controller[i].option) || !(old || listed))
			continue;
		planner_tell(p, arena_printf(p->arena, "%s; %s: CONFIG_%s is not set",
					     listed ? "/etc/cgconfig.conf" : arena_printf(p->arena, "systemd %u", f->systemd_version),
					     f->donor.chosen.config, controller[i].option),
			     arena_printf(p->arena, "the kernel has no %s controller for cgroup v1, the only kind that this guest knows: its limits have no effect",
					  controller[i].name),
			     "choose a donor with an older kernel if the guest relies on them");
	}
}

/*
 * systemd before 233 takes it that /sys/fs/cgroup holds what it mounts there itself. From 243 on systemd mounts the unified hierarchy unless told
 * otherwise; 256 and 257 want to be told twice, and 258 knows nothing else.
 */
void rule_cgroup_dracut(struct planner *p)
{
	static const char name[] = "systemd.unified_cgroup_hierarchy=";
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;
	const char *evidence;
	unsigned before;

	if (!has_systemd(p) || !f->systemd_version || f->systemd_version >= 233 || !d->initramfs.read || !d->initramfs.holds.systemd)
		return;
	before = initramfs_systemd(&d->initramfs.holds);
	if (before && before < 243)
		return;
	evidence = before ? arena_printf(p->arena, "systemd %u in the guest, systemd %u in %s", f->systemd_version, before, d->chosen.initrd)
			  : arena_printf(p->arena, "systemd %u in the guest, systemd of an unknown version in %s", f->systemd_version, d->chosen.initrd);
	if (before >= 258) {
		planner_block(p, evidence, "the initramfs mounts the unified cgroup hierarchy, on which this guest's systemd freezes",
			      "choose a donor whose initramfs holds an older systemd or none (initramfs-tools)");
		return;
	}
	planner_replace_cmdline(p, name, "systemd.unified_cgroup_hierarchy=0");
	if (before >= 256)
		planner_replace_cmdline(p, "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1");
	if (!before)
		planner_tell(p, evidence, "an initramfs that mounts the unified cgroup hierarchy would freeze this guest's systemd",
			     "systemd.unified_cgroup_hierarchy=0 is put on the command line, which systemd from 258 on does not heed");
}

/* udev's start puts a fresh tmpfs on /dev and copies into it what lies there. Of such an udev nothing is sure to be made behind it. */
static void give_nodes(struct planner *p)
{
	static const char reason[] = "a console and the disk before udev makes them, which it may not do here";

	for (enum node_place place = NODES_ETC; place < NODES_PLACES; place++) {
		if (!p->facts->nodes[place].there)
			continue;
		planner_console_nodes(p, place, reason);
		if (has_target(p, P2H_TARGET_XEN_HVM))
			planner_xen_disk_nodes(p, place, reason);
	}
}

static void check_layout(struct planner *p)
{
	const struct facts_abi *abi = &p->facts->abi;
	const struct facts_donor *d = &p->facts->donor;
	bool both = donor_config(d, "SYSFS_DEPRECATED") == 'y' && !kernel_before(p, 3, 0);
	bool old_layout = donor_config(d, "SYSFS_DEPRECATED_V2") == 'y';

	if (abi->udevadm && old_layout)
		planner_replace_cmdline(p, "sysfs.deprecated=", "sysfs.deprecated=0");
	else if (!abi->udevadm && both && !old_layout)
		planner_replace_cmdline(p, "sysfs.deprecated=", "sysfs.deprecated=1");
	if (abi->udevadm || both || !d->config_len)
		return;
	planner_tell(p, arena_printf(p->arena, "%s, and no udevadm: udev before 117; %s: no CONFIG_SYSFS_DEPRECATED", abi->udevd, d->chosen.config),
		     "this udev was written for a layout of /sys that the new kernel does not have: device nodes and links may be missing",
		     "boot a copy first; if it stops in fsck or without network, choose a donor kernel with SYSFS_DEPRECATED, or update udev before converting");
	give_nodes(p);
}

void rule_udev_sysfs(struct planner *p)
{
	const struct facts_abi *abi = &p->facts->abi;
	const struct facts_donor *d = &p->facts->donor;

	if (!*abi->udevd || !*d->chosen.release)
		return;
	check_layout(p);
	if (abi->libudev1 && p->facts->init != INIT_SYSTEMD && donor_config_off(d, "DEVTMPFS"))
		planner_block(p, arena_printf(p->arena, "%s; %s: CONFIG_DEVTMPFS is not set", abi->udevd, d->chosen.config),
			      "udev from 183 on leaves device nodes to the kernel: /dev would stay empty", "choose another donor");
}
