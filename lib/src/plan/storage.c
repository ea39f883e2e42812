/*
 * storage.c - a root in layers: logical volume, array, encrypted volume, btrfs subvolume
 *
 * The initramfs puts it together, and it is the donor's: its programs must be there already (its modules can be added), and what it has to know of
 * the guest comes with the command line, or in an archive behind it.
 */
#include <string.h>

#include "base/cleanup.h"
#include "plan/archive.h"

#define CRYPTTAB "/etc/crypttab"
#define TOOLS_CRYPTTAB "cryptroot/crypttab" /* cryptsetup-initramfs from 2:2.0.3 on */

/* Whatever lies below, its programs come in packages of these names, or in dracut's modules. */
static const struct need {
	unsigned layer;
	const char *program, *name, *package, *dracut;
} need[] = {
	{VOLUME_LVM, "lvm", "a logical volume", "lvm2", "lvm"},
	{VOLUME_RAID, "mdadm", "an array", "mdadm", "mdraid"},
	{VOLUME_LUKS, "cryptsetup", "an encrypted volume", "cryptsetup-initramfs, and CRYPTSETUP=y in /etc/cryptsetup-initramfs/conf-hook", "crypt"},
};

static bool has_program(const struct initramfs *i, const struct need *n)
{
	static const char *const systemd[] = {"usr/lib/systemd/systemd-cryptsetup", "lib/systemd/systemd-cryptsetup", "usr/bin/systemd-cryptsetup"};

	if (initramfs_has_program(i, n->program))
		return true;
	for (size_t s = 0; n->layer == VOLUME_LUKS && s < sizeof(systemd) / sizeof(systemd[0]); s++)
		if (initramfs_has_member(i, systemd[s]))
			return true;
	return false;
}

/* what: "the root" or "/usr". */
static void check_programs(struct planner *p, const struct volume *v, const char *what)
{
	const struct facts_donor *d = &p->facts->donor;
	bool dracut = d->initramfs.holds.kind == INITRAMFS_DRACUT;

	for (size_t n = 0; n < sizeof(need) / sizeof(need[0]); n++) {
		if (!(v->layers & need[n].layer) || (d->initramfs.read && has_program(&d->initramfs.holds, &need[n])))
			continue;
		planner_block(p, *d->chosen.initrd ? d->chosen.initrd : d->chosen.image,
			      arena_printf(p->arena, "%s is on %s (%s), and the initramfs has no %s", what, need[n].name, v->device, need[n].program),
			      dracut ? arena_printf(p->arena, "rebuild it on the donor with dracut's module %s (dracut --no-hostonly --add %s)", need[n].dracut, need[n].dracut)
				     : arena_printf(p->arena, "install %s on the donor and rebuild its initramfs (update-initramfs -u)", need[n].package));
	}
}

/* "vg0/root" of "/dev/vg0/root" as device-mapper names it: vg0-root. */
static const char *mapper_name(struct planner *p, const char *lv)
{
	CLEANUP(buf_done) struct buf out = {0};

	buf_puts(&out, "/dev/mapper/");
	for (const char *c = lv + strlen("/dev/"); *c; c++)
		buf_puts(&out, *c == '/' ? "-" : *c == '-' ? "--" : (char[]){*c, '\0'});
	p->arena->failed |= out.failed;
	return arena_strdup(p->arena, out.failed ? "" : out.data);
}

/* Older scripts of initramfs-tools activate a volume group by the name of the root alone (lvm2's local-top/lvm2). */
static void name_root(struct planner *p, const struct volume *v)
{
	if (v->layers & VOLUME_LVM && !strncmp(v->device, "/dev/", 5) && strncmp(v->device, "/dev/mapper/", 12))
		p->plan->root = mapper_name(p, v->device);
}

static void activate_all(struct planner *p)
{
	if (p->facts->donor.initramfs.holds.kind == INITRAMFS_DRACUT)
		planner_replace_cmdline(p, "rd.auto", "rd.auto=1");
}

/* An initramfs mounts /usr, too (initramfs-tools from Debian 8 on; dracut's usrmount). */
static bool has_own_usr(const struct facts *f)
{
	return f->usr_volume && f->usr_volume != f->root_volume && *f->donor.chosen.initrd;
}

/* The name that the guest's crypttab gives to an encrypted volume; a name of our own if it does not know it. */
static const char *encrypted_name(struct planner *p, const char *uuid)
{
	size_t len, at = 0;
	const char *text = planner_text(p, CRYPTTAB, &len);
	struct line l = {0};

	while (text && next_line(text, len, &at, &l)) {
		CLEANUP(strlist_done) struct strlist words = {0};
		CLEANUP_FREE char *line = strndup(l.text, l.len);
		const struct volume *found;

		if (line)
			strlist_split(&words, line, " \t");
		p->arena->failed |= !line || words.failed;
		found = words.len > 1 && words.item[0][0] != '#' ? volumes_find(&p->facts->volumes, words.item[1]) : NULL;
		if (found && !strcmp(found->uuid, uuid))
			return arena_strdup(p->arena, words.item[0]);
	}
	return arena_printf(p->arena, "luks-%s", uuid);
}

/* Their passphrases are asked for on the console: a key file of the guest is not in the initramfs. other: one more, or NULL. */
static void add_crypttab(struct planner *p, const struct volume *v, const struct volume *other)
{
	const struct facts_initramfs *i = &p->facts->donor.initramfs;
	struct archive a = {.p = p};
	const char *line;

	if (i->holds.kind != INITRAMFS_TOOLS)
		return;
	if (i->sealed || !initramfs_has_member(&i->holds, "scripts/local-top/cryptroot")) {
		planner_block(p, p->facts->donor.chosen.initrd, "the root or /usr is encrypted, and the initramfs cannot be told of it",
			      i->sealed ? i->sealed : "install cryptsetup-initramfs on the donor, with CRYPTSETUP=y in its conf-hook");
		return;
	}
	line = arena_printf(p->arena, "%s UUID=%s none luks\n", encrypted_name(p, v->luks), v->luks);
	if (other && line)
		line = arena_printf(p->arena, "%s%s UUID=%s none luks\n", line, encrypted_name(p, other->luks), other->luks);
	if (!line)
		return;
	archive_file(&a, TOOLS_CRYPTTAB, line, strlen(line), "the encrypted volumes that are needed at the start");
	archive_append(&a, "names the guest's encrypted volumes");
	archive_done(&a);
}

static void add_crypttabs(struct planner *p, const struct volume *root, const struct volume *usr)
{
	const struct volume *first = root->layers & VOLUME_LUKS ? root : NULL;

	if (usr && usr->layers & VOLUME_LUKS && (!first || strcmp(usr->luks, first->luks)))
		add_crypttab(p, usr, first);
	else if (first)
		add_crypttab(p, first, NULL);
}

static void name_subvolume(struct planner *p)
{
	const struct facts *f = p->facts;

	if (!*f->root_subvolume || f->root_is_default)
		return;
	planner_replace_cmdline(p, "rootflags=", arena_printf(p->arena, "rootflags=subvol=%s", f->root_subvolume));
}

/* GRUB 2.06 derives keys by PBKDF2 alone, which LUKS2 is not made with by default. */
static void check_boot(struct planner *p, const struct volume *v)
{
	if (!(v->layers & VOLUME_LUKS))
		return;
	if (p->facts->luks_version == 1)
		planner_tell(p, v->device, "/boot is encrypted", "GRUB asks for the passphrase, on the console and on the serial port, before the menu");
	else
		planner_block(p, v->device, "/boot is encrypted in a way that GRUB cannot unlock: GRUB opens LUKS1 on a partition",
			      "move /boot to a partition of its own on a copy (cryptsetup convert --type luks1 where all its keys are PBKDF2)");
}

/* What is written to it here, the others do not have: the machine that has all of them takes the newer half, and leaves the rest out. */
static void tell_incomplete(struct planner *p)
{
	const struct volumes *v = &p->facts->volumes;

	for (size_t i = 0; i < v->len; i++)
		if (v->item[i].missing)
			planner_tell(p, arena_printf(p->arena, "%s: %s", v->item[i].device, v->item[i].raid),
				     arena_printf(p->arena, "%u of the array's disks %s not given", v->item[i].missing, v->item[i].missing > 1 ? "are" : "is"),
				     "give all with --disk; otherwise the array comes up without, until they are added to it again (mdadm --add)");
}

void rule_storage(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct volume *usr = has_own_usr(f) ? f->usr_volume : NULL;

	tell_incomplete(p);
	if (!*f->donor.chosen.release)
		return;
	name_subvolume(p);
	check_boot(p, f->boot_volume);
	check_programs(p, f->root_volume, "the root");
	name_root(p, f->root_volume);
	if (usr)
		check_programs(p, usr, "/usr");
	if (f->root_volume->layers || (usr && usr->layers))
		activate_all(p);
	add_crypttabs(p, f->root_volume, usr);
}
