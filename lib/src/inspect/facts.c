#include "inspect/facts.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"

static int copy_volumes(const struct volumes *from, struct volumes *to, struct p2h_error *err)
{
	*to = *from;
	to->item = calloc(from->len ? from->len : 1, sizeof(*to->item));
	if (!to->item) {
		*to = (struct volumes){0};
		return error_nomem(err);
	}
	if (from->len)
		memcpy(to->item, from->item, from->len * sizeof(*to->item));
	return 0;
}

/* The format of an XFS: xfs_format.h, sb_versionnum, big-endian at byte 100; the low four bits are the version. */
static int read_xfs(struct guest *guest, struct facts *f, struct p2h_error *err)
{
	for (size_t i = 0; i < f->volumes.len; i++) {
		const struct volume *v = &f->volumes.item[i];
		uint8_t version[2];
		unsigned *number;
		int rc;

		if (strcmp(v->content, "xfs"))
			continue;
		rc = disk_read(guest->disk, version, v->off + 100, sizeof(version), err);
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

static int copy_list(const struct strlist *from, struct strlist *to, struct p2h_error *err)
{
	for (size_t i = 0; i < from->len; i++)
		strlist_add(to, from->item[i]);
	return to->failed ? error_nomem(err) : 0;
}

static int read_disk(struct guest *guest, struct facts *f, struct p2h_error *err)
{
	const struct volume *root = guest_root_volume(guest), *boot = guest_boot_volume(guest);
	const struct fs_info *info = fs_info(guest->fs);
	int rc;

	f->format = arena_strdup(&f->arena, guest->disk->format ? guest->disk->format : "raw");
	f->disk_size = guest->disk->size;
	f->root_number = guest->root_number;
	f->boot_number = guest->boot_number;
	f->root_uuid = arena_strdup(&f->arena, root->uuid);
	f->root_label = arena_strdup(&f->arena, root->label);
	f->root_type = arena_strdup(&f->arena, info->type);
	f->boot_uuid = arena_strdup(&f->arena, boot->uuid);
	f->boot_type = arena_strdup(&f->arena, boot->content);
	f->boot_path = boot == root ? "/boot" : "";
	f->boot_prefix = boot == root ? "/boot/grub" : "/grub";
	f->block_size = info->block_size;
	f->inode_size = info->inode_size;
	f->needs_recovery = info->needs_recovery;
	f->has_errors = info->has_errors;
	f->not_clean = info->not_clean;
	f->clock = info->last_write;
	rc = copy_volumes(&guest->volumes, &f->volumes, err);
	if (!rc)
		rc = read_xfs(guest, f, err);
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
