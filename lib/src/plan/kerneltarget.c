/* kerneltarget.c - whether the kernel that is to boot can run on the targets at all: what verification would fail for afterwards */
#include <string.h>

#include "fs/features.h"
#include "plan/planner.h"

static const char other_kernel[] = "choose another kernel with --kernel, or another donor";

static void check_hardware(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;

	if (donor_config_off(d, "PCI"))
		planner_block(p, arena_printf(p->arena, "%s: CONFIG_PCI is not set", d->chosen.config),
			      "it finds no disk and no network card of a full virtual machine", other_kernel);
	if (has_target(p, P2H_TARGET_XEN_HVM) && d->config_len && donor_config(d, "XEN_PVHVM") != 'y' && donor_config(d, "XEN_PVHVM_GUEST") != 'y' &&
	    donor_offers(p->facts, "xen_platform_pci", "XEN_PLATFORM_PCI") == OFFER_NO)
		planner_block(p, arena_printf(p->arena, "%s: neither CONFIG_XEN_PVHVM nor CONFIG_XEN_PLATFORM_PCI", d->chosen.config),
			      "on xen-hvm it does not find Xen's disks and network cards", other_kernel);
}

/* "zstd" -> "RD_ZSTD": what the kernel has to be built with to unpack it. */
static void check_packing(struct planner *p)
{
	static const char *const option[][2] = {{"gzip", "RD_GZIP"}, {"xz", "RD_XZ"},     {"zstd", "RD_ZSTD"}, {"lz4", "RD_LZ4"},
						{"bzip2", "RD_BZIP2"}, {"lzma", "RD_LZMA"}, {"lzop", "RD_LZO"}};
	const struct facts_donor *d = &p->facts->donor;

	for (size_t i = 0; i < sizeof(option) / sizeof(option[0]); i++)
		if (!strcmp(d->initramfs.holds.last_packing, option[i][0]) && donor_config(d, option[i][1]) == 'n')
			planner_block(p, arena_printf(p->arena, "%s: packed with %s; %s: no CONFIG_%s", d->chosen.initrd, option[i][0], d->chosen.config, option[i][1]),
				      "the kernel cannot unpack this initramfs", "pack it in another way, or choose another kernel with --kernel");
}

static void check_initramfs(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct initramfs *holds = &d->initramfs.holds;

	if (!d->initramfs.read)
		return;
	check_packing(p);
	if (!holds->init)
		planner_block(p, d->chosen.initrd, "it has no /init, which the kernel would start", "rebuild it, or choose another kernel with --kernel");
	if (holds->modules.len && !strlist_has(&holds->versions, d->chosen.release))
		planner_block(p, d->chosen.initrd, arena_printf(p->arena, "its modules are for %s, the kernel is %s",
								holds->versions.len ? holds->versions.item[0] : "no version", d->chosen.release),
			      "rebuild it, or choose another kernel with --kernel");
}

static void check_features(struct planner *p)
{
	for (const struct fs_feature *f = fs_feature_since; f->name; f++) {
		if (!strlist_has(&p->facts->features, f->name))
			continue;
		if (kernel_before(p, f->major, f->minor))
			planner_block(p, arena_printf(p->arena, "superblock: %s", f->name),
				      arena_printf(p->arena, "the root file system has a feature that Linux knows from %u.%u; %s boots", f->major, f->minor,
						   p->plan->kernel),
				      arena_printf(p->arena, "choose a kernel that is Linux %u.%u or newer", f->major, f->minor));
		else if (f->option && donor_config(&p->facts->donor, f->option) == 'n')
			planner_block(p, arena_printf(p->arena, "superblock: %s", f->name),
				      arena_printf(p->arena, "the root file system has a feature that %s does not mount: it was built without CONFIG_%s",
						   p->plan->kernel, f->option),
				      arena_printf(p->arena, "choose a donor whose kernel has CONFIG_%s", f->option));
	}
}

void rule_kernel_target(struct planner *p)
{
	if (!*p->facts->donor.chosen.release)
		return;
	check_hardware(p);
	check_initramfs(p);
	check_features(p);
}
