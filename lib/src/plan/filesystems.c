/* filesystems.c - file systems in the image that the new kernel has to read */
#include <string.h>

#include "base/cleanup.h"
#include "parse/fstab.h"
#include "plan/planner.h"

/* What libblkid calls it, its module, and the option that builds it. */
static const struct {
	const char *type, *option, *advice;
} driver[] = {
	{"btrfs", "BTRFS_FS", "choose a donor that has it"},
	{"f2fs", "F2FS_FS", "choose a donor that has it"},
	{"jfs", "JFS_FS", "choose a donor that has it, or copy the data to ext4 first"},
	{"nilfs2", "NILFS2_FS", "choose a donor that has it"},
	{"reiserfs", "REISERFS_FS", "choose a donor older than Linux 6.13 that has it, or copy the data to ext4 first"},
	{"vfat", "VFAT_FS", "choose a donor that has it"},
	{"xfs", "XFS_FS", "choose a donor that has it"},
};

static bool is_offered(const struct planner *p, const char *type, const char *option)
{
	return donor_offers(p->facts, type, option) != OFFER_NO;
}

static void missing(struct planner *p, const struct fstab_entry *e, const char *text, const char *advice)
{
	const char *evidence = arena_printf(p->arena, "/etc/fstab:%zu: %s on %s", e->line, e->text[FSTAB_SPEC], e->text[FSTAB_FILE]);

	/* Such a line stops no boot. */
	if (fstab_has_option(e->text[FSTAB_OPTIONS], "noauto") || fstab_has_option(e->text[FSTAB_OPTIONS], "nofail"))
		planner_tell(p, evidence, text, advice);
	else
		planner_block(p, evidence, text, advice);
}

static bool is_old_xfs(const struct facts *f, const struct volume *v)
{
	for (size_t i = 0; i < f->abi.xfs_v4s; i++)
		if (f->abi.xfs_v4[i] == v->number)
			return true;
	return false;
}

static void check_type(struct planner *p, const struct fstab_entry *e, const struct volume *v)
{
	for (size_t i = 0; i < sizeof(driver) / sizeof(driver[0]); i++) {
		if (strcmp(v->content, driver[i].type))
			continue;
		if (!is_offered(p, driver[i].type, driver[i].option))
			missing(p, e, arena_printf(p->arena, "kernel %s has no driver for %s", p->plan->kernel, driver[i].type), driver[i].advice);
		else if (is_old_xfs(p->facts, v) && donor_config_off(&p->facts->donor, "XFS_SUPPORT_V4"))
			missing(p, e, arena_printf(p->arena, "this XFS has the old format (version 4), which kernel %s was built without", p->plan->kernel),
				"choose a donor with XFS_SUPPORT_V4, or copy the data to a new file system first");
	}
}

/* ext4.ko takes ext3 over from Linux 4.3 on, and ext2 where it was built so. */
static void check_ext(struct planner *p, const struct fstab_entry *e)
{
	const struct facts_donor *d = &p->facts->donor;
	const char *type = e->text[FSTAB_TYPE];
	bool ext3 = !strcmp(type, "ext3"), both = donor_config(d, "EXT4_USE_FOR_EXT23") == 'y';
	bool ext4 = is_offered(p, "ext4", "EXT4_FS");

	if (!d->config_len || (strcmp(type, "ext2") && !ext3) || is_offered(p, type, ext3 ? "EXT3_FS" : "EXT2_FS") ||
	    (ext4 && (both || (ext3 ? !kernel_before(p, 4, 3) : donor_config(d, "EXT4_USE_FOR_EXT2") == 'y'))))
		return;
	planner_tell(p, arena_printf(p->arena, "/etc/fstab:%zu: %s on %s; %s", e->line, type, e->text[FSTAB_FILE], d->chosen.config),
		     arena_printf(p->arena, "kernel %s mounts nothing under the name %s", p->plan->kernel, type),
		     ext4 ? "write ext4 as the type, which reads it too" : "choose a donor that has it");
}

/* Both rules look at the lines whose device lies in the image. */
static void each_line(struct planner *p, void (*check)(struct planner *p, const struct fstab_entry *e, const struct volume *v))
{
	CLEANUP(fstab_done) struct fstab table = {0};
	size_t len;
	const char *text = planner_text(p, "/etc/fstab", &len);

	if (!text || !*p->facts->donor.chosen.release)
		return;
	if (fstab_parse(text, len, &table, NULL)) {
		p->arena->failed = true;
		return;
	}
	for (size_t i = 0; i < table.len; i++) {
		const struct volume *v = volumes_find(&p->facts->volumes, table.item[i].text[FSTAB_SPEC]);

		if (v && v->number != p->facts->root_number)
			check(p, &table.item[i], v);
	}
}

void rule_fs_gone(struct planner *p)
{
	each_line(p, check_type);
}

static void check_name(struct planner *p, const struct fstab_entry *e, const struct volume *v)
{
	if (!strncmp(v->content, "ext", 3))
		check_ext(p, e);
}

void rule_ext_driver(struct planner *p)
{
	each_line(p, check_name);
}
