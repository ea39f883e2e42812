/* init.c - what the guest's systemd and udev want of the kernel and of the initramfs before them */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/archive.h"

static bool has_systemd(const struct planner *p)
{
	return p->facts->init == INIT_SYSTEMD && *p->facts->donor.chosen.release;
}

/* Does the initramfs hand over to the guest by systemd's switch_root? */
static bool behind_systemd(const struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;

	return *d->chosen.release && d->initramfs.read && d->initramfs.holds.systemd;
}

/*
 * What the READMEs of the versions ask for, newest first. From 251 on they say that older kernels "are not supported at all"; between 217 and 250
 * they asked for more than these versions need to boot (217 left firmware to the kernel, which is why it wanted 3.7).
 */
static const struct {
	unsigned systemd, major, minor;
	bool stops;
} kernel_min[] = {{260, 5, 10, true}, {258, 5, 4, true}, {251, 3, 15, true}, {230, 3, 12, false}, {217, 3, 7, false}, {1, 3, 0, true}};

static void check_kernel(struct planner *p)
{
	unsigned version = p->facts->systemd_version;
	bool told = false;

	for (size_t i = 0; i < sizeof(kernel_min) / sizeof(kernel_min[0]); i++) {
		const char *evidence = arena_printf(p->arena, "systemd %u, kernel %s", version, p->plan->kernel);
		const char *advice = arena_printf(p->arena, "choose a donor whose kernel is Linux %u.%u or newer", kernel_min[i].major, kernel_min[i].minor);

		if (version < kernel_min[i].systemd || !kernel_before(p, kernel_min[i].major, kernel_min[i].minor))
			continue;
		if (kernel_min[i].stops) {
			planner_block(p, evidence, arena_printf(p->arena, "this systemd needs Linux %u.%u or newer", kernel_min[i].major, kernel_min[i].minor),
				      advice);
			return;
		}
		if (!told)
			planner_tell(p, evidence,
				     arena_printf(p->arena, "this systemd asks for Linux %u.%u or newer; it starts on older ones too, but without all that it offers",
						  kernel_min[i].major, kernel_min[i].minor),
				     advice);
		told = true;
	}
}

void rule_systemd_min(struct planner *p)
{
	static const struct {
		const char *option;
		unsigned since; /* the systemd that came to need it */
	} need[] = {{"CGROUPS", 0}, {"DEVTMPFS", 0}, {"EPOLL", 0},    {"FHANDLE", 209}, {"INOTIFY_USER", 0}, {"NET", 0},
		    {"PROC_FS", 0}, {"SIGNALFD", 0}, {"SYSFS", 0}, {"TIMERFD", 0},   {"TMPFS", 0},        {"UNIX", 0}};
	const struct facts_donor *d = &p->facts->donor;
	unsigned version = p->facts->systemd_version;

	if (!has_systemd(p))
		return;
	check_kernel(p);
	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if ((!version || version >= need[i].since) && donor_config_off(d, need[i].option))
			planner_block(p, arena_printf(p->arena, "%s: CONFIG_%s is not set", d->chosen.config, need[i].option),
				      "systemd does not run without it", "choose another donor");
}

/* Controllers of cgroup v1 that a kernel can be built without, since 6.11 and 6.12. */
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

/*
 * The unified hierarchy of Linux 4.5 is known from 230 on (226 to 229 know an earlier form of it, which no kernel offers any more), and taken without
 * being asked for from 243 on.
 */
#define KNOWS_UNIFIED 230u
#define TAKES_UNIFIED 243u

static void tell_controller(struct planner *p, const char *who, const char *option, const char *name, bool knows_unified)
{
	const char *evidence = arena_printf(p->arena, "%s; %s: CONFIG_%s is not set", who, p->facts->donor.chosen.config, option);

	if (knows_unified)
		planner_tell(p, evidence,
			     arena_printf(p->arena, "the kernel has no %s controller for cgroup v1, which this systemd takes by default: its limits have no effect", name),
			     "--cmdline-add systemd.unified_cgroup_hierarchy=1 has it take cgroup v2, if all that the guest runs knows that");
	else
		planner_tell(p, evidence,
			     arena_printf(p->arena, "the kernel has no %s controller for cgroup v1, the only kind that this guest knows: its limits have no effect",
					  name),
			     "choose a donor with an older kernel if the guest relies on them");
}

void rule_cgroup_v1(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_file *config = facts_file(f, "/etc/cgconfig.conf");
	bool by_default = has_systemd(p) && f->systemd_version && f->systemd_version < TAKES_UNIFIED &&
			  !planner_cmdline_last(p, "systemd.unified_cgroup_hierarchy=1");

	for (size_t i = 0; i < sizeof(controller) / sizeof(controller[0]); i++) {
		bool listed = config && names(config, controller[i].name);

		if (donor_config_off(&f->donor, controller[i].option) && (by_default || listed))
			tell_controller(p, listed ? "/etc/cgconfig.conf" : arena_printf(p->arena, "systemd %u", f->systemd_version), controller[i].option,
					controller[i].name, !listed && f->systemd_version >= KNOWS_UNIFIED);
	}
}

/*
 * A systemd that does not know the unified hierarchy mounts v1 controllers into the one that it finds below /sys/fs/cgroup, and stops where it cannot
 * make a symbolic link for two that are mounted together (mount_cgroup_controllers in its mount-setup.c); later ones follow what is there. From 243 on
 * systemd mounts the unified hierarchy unless told otherwise; 256 and 257 want to be told twice, and 258 knows nothing else.
 */
void rule_cgroup_dracut(struct planner *p)
{
	static const char name[] = "systemd.unified_cgroup_hierarchy=";
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;
	const char *evidence;
	unsigned before;

	if (!has_systemd(p) || !f->systemd_version || f->systemd_version >= KNOWS_UNIFIED || !behind_systemd(p))
		return;
	before = initramfs_systemd(&d->initramfs.holds);
	if (before && before < TAKES_UNIFIED)
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

/*
 * switch_root of systemd takes /run along, with the directory by which programs tell that systemd is the running init (sd_booted(3)), unless something
 * is mounted on the new root's already. This is done there just before it: a /run of its own, with what describes devices that stay. dracut and
 * mkinitcpio have the programs.
 */
static const char run_conf[] =
	"[Service]\n"
	"ExecStartPre=-/bin/sh -c 'mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs /sysroot/run && for i in blkid cryptsetup lvm mdadm udev; do "
	"[ ! -e /run/$$i ] || cp -a /run/$$i /sysroot/run/; done'\n";

void rule_run_directory(struct planner *p)
{
	if (p->facts->has_run || !behind_systemd(p))
		return;
	planner_tell(p, arena_printf(p->arena, "no /run; systemd in %s", p->facts->donor.chosen.initrd),
		     "systemd moves /run to the root that it leaves the initramfs for, and cannot make the directory there", "the directory is made");
	planner_action(p, ACTION_DIRECTORY, "/run", "systemd of the initramfs does not go on without it");
}

void rule_sd_booted(struct planner *p)
{
	static const char path[] = "etc/systemd/system/initrd-switch-root.service.d/pv2hvm.conf";
	const struct facts *f = p->facts;
	const struct facts_donor *d = &f->donor;
	CLEANUP(archive_done) struct archive a = {.p = p};
	const char *evidence, *text;

	/* Without a /run of its own it is older than what looks there. */
	if (f->init == INIT_SYSTEMD || !f->has_run || !behind_systemd(p) || initramfs_has_member(&d->initramfs.holds, path))
		return;
	if (f->abi.udevd_booted) {
		evidence = arena_printf(p->arena, "%s; systemd in %s", f->abi.udevd, d->chosen.initrd);
		text = "systemd of the initramfs leaves /run/systemd/system behind: udev takes it for the running init, and kills all other processes";
	} else {
		p->severity = SEVERITY_DEGRADED;
		evidence = arena_printf(p->arena, "%s; systemd in %s", init_name(f->init), d->chosen.initrd);
		text = "systemd of the initramfs leaves /run/systemd/system behind, by which programs take it for the running init";
	}
	if (d->initramfs.sealed) {
		planner_block(p, evidence, text,
			      arena_printf(p->arena, "nothing can be appended against that (%s): choose a donor whose initramfs was made by initramfs-tools",
					   d->initramfs.sealed));
		return;
	}
	planner_tell(p, evidence, text, "an archive appended to the initramfs gives the guest a /run of its own");
	archive_file(&a, path, run_conf, sizeof(run_conf) - 1, "a new /run for the guest, with udev's data");
	archive_append(&a, "so that nothing takes systemd for the running init");
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
			      "this udev (183 or newer) leaves device nodes to the kernel: /dev would stay empty", "choose another donor");
}
