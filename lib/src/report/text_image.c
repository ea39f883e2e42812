/* text_image.c - what is in an image, for the verb "inspect" */
#include <string.h>

#include "base/cleanup.h"
#include "report/text.h"

static void append_field(struct buf *b, const char *name, const char *value)
{
	if (*or_empty(value))
		text_line(b, "  %-12s %s", name, value);
}

static void append_system(struct buf *b, const struct facts *f)
{
	CLEANUP(buf_done) struct buf init = {0};

	text_section(b, "System");
	append_field(b, "name", *or_empty(f->os_name) ? f->os_name : "unknown");
	if (*or_empty(f->os_id))
		text_line(b, "  %-12s %s %s", "id", f->os_id, or_empty(f->os_version));
	buf_puts(&init, init_name(f->init));
	if (f->systemd_version)
		buf_printf(&init, " %u", f->systemd_version);
	if (*or_empty(f->init_path))
		buf_printf(&init, ", %s", f->init_path);
	if (f->bits)
		buf_printf(&init, ", %u-bit", f->bits);
	b->failed |= init.failed;
	if (!b->failed)
		append_field(b, "init", init.data);
}

static const struct facts_recovery *recovery_of_root(const struct facts *f)
{
	for (size_t i = 0; i < f->recoveries; i++)
		if (f->recovery[i].number == f->root_number)
			return &f->recovery[i];
	return NULL;
}

static void append_root(struct buf *b, const struct facts *f)
{
	CLEANUP(buf_done) struct buf features = {0}, total = {0}, free_space = {0}, inodes = {0};
	const struct facts_recovery *r = recovery_of_root(f);
	const char *state = f->has_errors && r && r->repaired ? "marked as having errors; shown as e2fsck -p repairs it" :
			    f->has_errors ? "marked as having errors" :
			    f->damaged && r && r->repaired ? "damaged; shown as e2fsck -p repairs it" :
			    f->damaged ? "damaged, though not marked so" :
			    f->needs_recovery && r && r->replayed ? "the journal has to be replayed; shown as it is after that" :
			    f->needs_recovery ? "the journal has to be replayed" :
			    f->not_clean ? "not unmounted cleanly" : "clean";
	const char *words = r && *r->words ? r->words : f->checked ? "finds nothing wrong" : "";
	char place[160];

	text_section(b, "Root file system");
	volume_describe(f->root_volume, place, sizeof(place));
	append_field(b, "place", place);
	append_field(b, "subvolume", f->root_subvolume);
	append_field(b, "type", f->root_type);
	append_field(b, "UUID", f->root_uuid);
	append_field(b, "label", f->root_label);
	append_field(b, "state", state);
	append_field(b, "e2fsck", words);
	append_joined(&features, &f->features, " ");
	append_bytes(&total, multiply(f->space.blocks, f->space.block_size));
	append_bytes(&free_space, multiply(f->space.blocks_free, f->space.block_size));
	append_inodes(&inodes, "; ", &f->space);
	b->failed |= features.failed || total.failed || free_space.failed || inodes.failed;
	if (b->failed)
		return;
	append_field(b, "features", features.data);
	text_line(b, "  %-12s %s, %s free; blocks of %u bytes%s", "size", total.data, free_space.data, (unsigned)f->space.block_size,
		  inodes.len ? inodes.data : "");
	for (size_t i = 1; i < f->mounts; i++) {
		const struct volume *v = volumes_number(&f->volumes, f->mount[i].number);

		volume_describe(v, place, sizeof(place));
		text_line(b, "  %-12s %s, %s UUID=%s", f->mount[i].path, place, v->content, v->uuid);
	}
	for (size_t i = 0; i < f->unmounted.len; i++)
		append_field(b, "not read", f->unmounted.item[i]);
}

static void append_kernels(struct buf *b, const struct facts_kernels *k)
{
	if (!k->len)
		text_line(b, "  none in /boot");
	for (size_t i = 0; i < k->len; i++) {
		const struct facts_kernel *kernel = &k->item[i];

		text_line(b, "  %s, %s-bit, %s: %s%s", or_empty(kernel->release), kernel->is_64bit ? "64" : "32", or_empty(kernel->image),
			  kernel->hvm ? "can boot as HVM" : "cannot boot as HVM: ", kernel->hvm ? "" : or_empty(kernel->why_not));
	}
}

static void append_donor(struct buf *b, const struct facts_donor *d)
{
	CLEANUP(buf_done) struct buf bytes = {0};

	text_section(b, "Donor");
	append_field(b, "name", d->name);
	append_field(b, "system", d->os_name);
	if (!*or_empty(d->chosen.release)) {
		text_line(b, "  %-12s none: %s", "kernel", or_empty(d->chosen.why_not));
		return;
	}
	append_bytes(&bytes, d->boot.bytes + d->modules.bytes);
	b->failed |= bytes.failed;
	if (b->failed)
		return;
	text_line(b, "  %-12s %s, %llu files, %s", "kernel", d->chosen.release, (unsigned long long)(d->boot.files + d->modules.files),
		  bytes.data);
	append_field(b, "initramfs", d->initramfs.read ? d->initramfs.kind : d->initramfs.error);
}

void text_image(struct buf *b, const struct report_input *in)
{
	const struct facts *f = in->facts;

	text_section(b, "Disk");
	text_volumes(b, &f->volumes, f->disk_size, or_empty(f->format));
	text_further_disks(b, in);
	append_system(b, f);
	append_root(b, f);
	text_section(b, "Kernels");
	append_kernels(b, &f->kernels);
	text_section(b, "Boot loader");
	append_field(b, "boot sector", or_empty(f->boot.sector0));
	if (f->boot.gap_sectors)
		text_line(b, "  %-12s %llu free sectors before the first partition", "gap", (unsigned long long)f->boot.gap_sectors);
	if (f->boot.bios_boot_len)
		text_line(b, "  %-12s sectors %llu-%llu", "BIOS boot", (unsigned long long)(f->boot.bios_boot_off / REPORT_SECTOR),
			  (unsigned long long)((f->boot.bios_boot_off + f->boot.bios_boot_len) / REPORT_SECTOR) - 1);
	if (f->donor.given)
		append_donor(b, &f->donor);
}
