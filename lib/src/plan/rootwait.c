/*
 * rootwait.c - a kernel without initramfs finds the root by itself
 *
 * It knows no file system's UUID: only the names of its own devices and the numbers of partitions (block/early-lookup.c, before 6.5 init/do_mounts.c),
 * and it waits for a disk only when told to.
 */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "parse/fstab.h"
#include "plan/planner.h"
#include "plan/settings.h"

#define DEFAULT_GRUB "/etc/default/grub"

static bool built_in(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	bool all = true;

	for (size_t t = 0; t < DRIVERS_TARGETS; t++) {
		CLEANUP(buf_done) struct buf names = {0};
		const struct strlist *missing = &d->initramfs.missing[t];

		if (!has_target(p, 1u << t) || !missing->len)
			continue;
		for (size_t i = 0; i < missing->len; i++)
			buf_printf(&names, "%s%s", i ? ", " : "", missing->item[i]);
		p->arena->failed |= names.failed;
		planner_block(p, d->chosen.image,
			      arena_printf(p->arena, "it has no initramfs, and target %s needs %s, which %s not built in", drivers_target_name[t],
					   names.failed ? "" : names.data, missing->len > 1 ? "are" : "is"),
			      "make an initramfs for it on the donor, choose another kernel with --kernel, or leave the target out with --target");
		all = false;
	}
	return all;
}

/* The kernel's name of the whole disk; NULL where the targets have several. */
static const char *disk_name(const struct planner *p)
{
	switch (p->targets) {
	case P2H_TARGET_XEN_HVM:
		return "/dev/xvda";
	case P2H_TARGET_NITRO:
		return "/dev/nvme0n1";
	case P2H_TARGET_KVM:
		return "/dev/vda";
	default:
		return NULL;
	}
}

/* "PARTUUID=..." of the root as the image will have it; NULL: it has none, or the kernel does not know it, and *ret_why says why. */
static const char *partition_id(struct planner *p, const char **ret_why)
{
	const struct volumes *v = &p->facts->volumes;
	const char *id = NULL;

	for (size_t i = 0; i < p->plan->actions; i++)
		if (p->plan->action[i].kind == ACTION_TABLE)
			id = arena_printf(p->arena, "PARTUUID=%08x-01", (unsigned)p->plan->action[i].table_id);
	for (size_t i = 0; i < v->len && !id; i++)
		if (v->item[i].number == p->facts->root_number && *v->item[i].part_uuid)
			id = arena_printf(p->arena, "PARTUUID=%s", v->item[i].part_uuid);
	if (!id) {
		*ret_why = "there is no partition table, whose identifiers are all that the kernel knows";
	} else if (v->table == TABLE_MBR && strspn(v->table_id, "0x") == strlen(v->table_id)) {
		*ret_why = "the partition table has no disk signature, which is all that the kernel knows";
		return NULL;
	} else if (v->table != TABLE_GPT && kernel_before(p, 3, 10)) {
		/* From the GRUB manual, GRUB_DISABLE_LINUX_PARTUUID; of a GPT every kernel from 2.6.37 on knows them. */
		*ret_why = "kernels before Linux 3.10 do not know partitions of such a table by their identifiers";
		return NULL;
	}
	return id;
}

static const char *advice(const struct planner *p)
{
	return p->plan->layout == P2H_LAYOUT_FLAT
		       ? "use --layout partition, take a kernel with an initramfs, or convert for one target alone (--target), where the disk has one name"
		       : "take a kernel with an initramfs, or convert for one target alone (--target), where the disk has one name";
}

static bool choose_root(struct planner *p)
{
	const char *why = NULL, *image = p->facts->donor.chosen.image, *disk = disk_name(p), *id = partition_id(p, &why);
	const char *option = p->facts->volumes.table == TABLE_GPT ? "EFI_PARTITION" : "MSDOS_PARTITION";

	if (p->plan->layout != P2H_LAYOUT_FLAT && donor_config(&p->facts->donor, option) == 'n') {
		planner_block(p, p->facts->donor.chosen.config, arena_printf(p->arena, "the kernel is built without CONFIG_%s and sees no partition", option),
			      "take another kernel");
		return false;
	}
	if (id) {
		p->plan->root = id;
		return true;
	}
	if (!disk) {
		planner_block(p, image, arena_printf(p->arena, "it has no initramfs and has to find the root by itself: %s", why), advice(p));
		return false;
	}
	p->plan->root = p->plan->layout == P2H_LAYOUT_FLAT ? disk
		      : arena_printf(p->arena, "%s%s%u", disk, has_target(p, P2H_TARGET_NITRO) ? "p" : "",
				     plan_number_after(p->plan, p->facts->root_number));
	planner_tell(p, image, arena_printf(p->arena, "it has no initramfs and knows the root by the name of its disk only: %s", why),
		     arena_printf(p->arena, "root=%s: boot it as the first disk, on this target alone", p->plan->root));
	return true;
}

/* An init below /usr on a volume of its own, which an initramfs would mount. */
static void check_usr(struct planner *p)
{
	CLEANUP(fstab_done) struct fstab table = {0};
	size_t len;
	const char *text = strncmp(p->facts->init_path, "/usr/", 5) ? NULL : planner_text(p, "/etc/fstab", &len);

	if (!text)
		return;
	if (fstab_parse(text, len, &table, NULL)) {
		p->arena->failed = true;
		return;
	}
	for (size_t i = 0; i < table.len; i++)
		if (!strcmp(table.item[i].text[FSTAB_FILE], "/usr"))
			planner_block(p, p->facts->init_path, "the kernel has no initramfs, and what it has to start lies on a volume of its own",
				      "take a kernel with an initramfs");
}

void rule_root_wait(struct planner *p)
{
	if (!*p->facts->donor.chosen.release || !p->facts->donor.initramfs.none || !built_in(p) || !choose_root(p))
		return;
	check_usr(p);
	if (donor_config(&p->facts->donor, "DEVTMPFS_MOUNT") == 'n')
		planner_console_nodes(p, NODES_DEV, "neither an initramfs nor this kernel fills /dev before init starts");
	planner_cmdline(p, "rootwait");
	if (planner_exists(p, DEFAULT_GRUB) && !strncmp(p->plan->root, "PARTUUID=", 9))
		setting_put(p, DEFAULT_GRUB, "GRUB_DISABLE_LINUX_PARTUUID", "false", "the next boot menu must name the root so that this kernel finds it");
}
