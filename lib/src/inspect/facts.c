#include "inspect/facts.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "parse/fstab.h"

/* The format of an XFS: xfs_format.h, sb_versionnum, big-endian at byte 100; the low four bits are the version. */
static int read_xfs(struct guest *guest, struct facts *f, struct p2h_error *err)
{
	for (size_t i = 0; i < f->volumes.len; i++) {
		const struct volume *v = &f->volumes.item[i];
		uint8_t version[2];
		unsigned *number;
		int rc;

		if (strcmp(v->content, "xfs") || volume_is_mapped(v))
			continue;
		rc = disk_read(volume_disk(guest->disk, v), version, v->off + 100, sizeof(version), err);
		if (rc)
			return rc;
		if ((version[1] & 0xf) >= 5)
			continue;
		number = arena_push(&f->arena, &f->abi.xfs_v4, &f->abi.xfs_v4s, sizeof(*number));
		if (number)
			*number = v->number;
	}
	return 0;
}

/* LUKS' header begins "LUKS" 0xba 0xbe and the version as two bytes, big-endian (the on-disk specifications of LUKS1 and LUKS2). */
static int read_luks(struct guest *guest, struct facts *f, struct p2h_error *err)
{
	uint8_t head[8];
	int rc;

	for (size_t i = 0; i < f->volumes.len; i++) {
		const struct volume *v = &f->volumes.item[i];

		if (!*f->boot_volume->luks || strcmp(v->uuid, f->boot_volume->luks) || volume_is_mapped(v))
			continue;
		rc = disk_read(volume_disk(guest->disk, v), head, v->off, sizeof(head), err);
		if (rc)
			return rc;
		f->luks_version = head[7];
	}
	return 0;
}

/* GRUB sees a btrfs from its top, whatever is mounted by default. */
static void read_boot_path(const struct guest *guest, struct facts *f)
{
	const char *sub = guest->boot_subvolume ? guest->boot_subvolume : guest->root_subvolume ? guest->root_subvolume : "";
	bool apart = guest->boot_number != guest->root_number || guest->boot_subvolume;

	if (guest->boot_number != guest->root_number && !guest->boot_subvolume)
		sub = "";
	f->boot_path = arena_printf(&f->arena, "%s%s%s", *sub ? "/" : "", sub, apart ? "" : "/boot");
	f->boot_prefix = arena_printf(&f->arena, "%s/grub", f->boot_path ? f->boot_path : "");
}

static int copy_list(const struct strlist *from, struct strlist *to, struct p2h_error *err)
{
	for (size_t i = 0; i < from->len; i++)
		strlist_add(to, from->item[i]);
	return to->failed ? error_nomem(err) : 0;
}

static int read_disk(struct guest *guest, struct facts *f, struct p2h_error *err)
{
	const struct volume *root, *boot;
	const struct fs_info *info = fs_info(guest->fs);
	int rc = volumes_copy(&guest->volumes, &f->volumes, err);

	if (rc)
		return rc;
	root = f->root_volume = volumes_number(&f->volumes, guest->root_number);
	boot = f->boot_volume = volumes_number(&f->volumes, guest->boot_number);
	f->usr_volume = volumes_number(&f->volumes, guest->usr_number);
	f->format = arena_strdup(&f->arena, guest->disk->format ? guest->disk->format : "raw");
	f->disk_size = guest->disk->size;
	f->root_number = guest->root_number;
	f->boot_number = guest->boot_number;
	f->root_uuid = arena_strdup(&f->arena, root->uuid);
	f->root_label = arena_strdup(&f->arena, root->label);
	f->root_type = arena_strdup(&f->arena, info->type);
	f->boot_uuid = arena_strdup(&f->arena, boot->uuid);
	f->boot_type = arena_strdup(&f->arena, boot->content);
	f->root_subvolume = arena_strdup(&f->arena, guest->root_subvolume ? guest->root_subvolume : "");
	f->root_is_default = guest->root_is_default;
	read_boot_path(guest, f);
	f->block_size = info->block_size;
	f->inode_size = info->inode_size;
	f->needs_recovery = info->needs_recovery;
	f->has_errors = info->has_errors;
	f->not_clean = info->not_clean;
	f->clock = info->last_write;
	rc = read_xfs(guest, f, err);
	if (!rc)
		rc = read_luks(guest, f, err);
	if (!rc)
		rc = copy_list(&info->features, &f->features, err);
	if (!rc)
		rc = copy_list(&guest->unmounted, &f->unmounted, err);
	if (!rc)
		rc = fs_space(guest->fs, &f->space, err);
	if (!rc)
		rc = fs_space_at(guest->fs, "/boot", &f->boot_space, err);
	if (rc == P2H_NOTFOUND) { /* a guest whose kernel came from outside may have no /boot */
		f->boot_space = f->space;
		rc = 0;
	}
	return rc;
}

static void add_mount(struct facts *f, const char *path, unsigned number)
{
	struct facts_mount *m = arena_push(&f->arena, &f->mount, &f->mounts, sizeof(*m));

	if (m)
		*m = (struct facts_mount){arena_strdup(&f->arena, path), number};
}

static int read_mounts(struct facts *f, struct p2h_error *err)
{
	CLEANUP(fstab_done) struct fstab table = {0};
	const struct facts_file *file = facts_file(f, "/etc/fstab");
	int rc = file ? fstab_parse(file->text, file->len, &table, err) : 0;

	add_mount(f, "/", f->root_number);
	for (size_t i = 0; !rc && i < table.len; i++) {
		const char *path = table.item[i].text[FSTAB_FILE];
		const struct volume *v = volumes_find(&f->volumes, table.item[i].text[FSTAB_SPEC]);

		if (v && path[0] == '/' && path[1])
			add_mount(f, path, v->number);
	}
	return rc;
}

int facts_read(struct guest *guest, const char *source_name, struct guest *donor, const char *donor_name,
	       const char *kernel, struct facts *ret, struct p2h_error *err)
{
	CLEANUP(facts_done) struct facts f = {0};
	bool own_kernel = kernel && !strcmp(kernel, "guest");
	int rc;

	f.source = arena_strdup(&f.arena, source_name);
	rc = read_disk(guest, &f, err);
	if (!rc)
		rc = read_files(guest->fs, &f, err);
	if (!rc)
		rc = read_mounts(&f, err);
	if (!rc)
		rc = read_system(guest->fs, &f, err);
	if (!rc)
		rc = read_services(guest->fs, &f, err);
	if (!rc)
		rc = read_abi(guest->fs, &f, err);
	if (!rc)
		rc = read_nodes(guest->fs, &f, err);
	if (!rc)
		rc = read_modprobe(guest->fs, &f.arena, &f.modprobe, err);
	if (!rc)
		rc = read_foreign(guest->fs, &f, err);
	if (!rc)
		rc = read_security(guest->fs, &f, err);
	if (!rc)
		rc = read_mentions(guest->fs, &f, err);
	if (!rc)
		rc = read_selinux(guest->fs, &f, err);
	if (!rc)
		rc = read_lasting(guest->fs, &f, err);
	if (!rc)
		rc = read_kernels(guest->fs, &f.arena, &f.kernels, err);
	if (!rc)
		rc = read_bootloader(guest, &f, donor || own_kernel, err);
	if (rc)
		return error_prefix(err, rc, "%s", source_name);
	f.donor.name = own_kernel ? "the guest itself" : donor_name ? arena_strdup(&f.arena, donor_name) : "";
	if (donor || own_kernel) {
		rc = read_donor(guest, own_kernel ? guest : donor, kernel, &f, err);
		if (rc)
			return error_prefix(err, rc, "%s", f.donor.name);
	}
	if (f.arena.failed)
		return error_nomem(err);
	*ret = f;
	f = (struct facts){0};
	return 0;
}

void facts_done(struct facts *f)
{
	volumes_done(&f->volumes);
	strlist_done(&f->features);
	strlist_done(&f->unmounted);
	strlist_done(&f->host.platform);
	for (size_t i = 0; i < 3; i++)
		strlist_done(&f->donor.initramfs.missing[i]);
	for (size_t i = 0; i < NODES_PLACES; i++)
		strlist_done(&f->nodes[i].names);
	initramfs_done(&f->donor.initramfs.holds);
	strlist_done(&f->services);
	offer_done(&f->offer);
	arena_done(&f->arena);
	*f = (struct facts){0};
}
