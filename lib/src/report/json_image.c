/* json_image.c - the image, the system in it and the donor in the JSON report */
#include <string.h>

#include "inspect/drivers.h"
#include "report/json.h"

json_t *json_volumes(struct json_writer *w, const struct volumes *v, unsigned first_number)
{
	json_t *array = json_array();

	for (size_t i = 0; i < v->len; i++) {
		const struct volume *item = &v->item[i];
		json_t *object;

		if (item->number < first_number)
			continue;
		object = json_object();
		json_put_number(w, object, "number", item->number);
		json_put_text(w, object, "device", item->device);
		json_put_number(w, object, "start_sector", item->off / REPORT_SECTOR);
		json_put_number(w, object, "sectors", item->len / REPORT_SECTOR);
		json_put_text(w, object, "type", item->type);
		json_put_bool(w, object, "active", item->active);
		json_put_text(w, object, "part_uuid", item->part_uuid);
		json_put_text(w, object, "content", item->content);
		json_put_text(w, object, "uuid", item->uuid);
		json_put_text(w, object, "label", item->label);
		json_add(w, array, object);
	}
	return array;
}

json_t *json_space(struct json_writer *w, const struct fs_space *s)
{
	json_t *object = json_object();

	json_put_number(w, object, "block_size", s->block_size);
	json_put_number(w, object, "blocks", s->blocks);
	json_put_number(w, object, "blocks_free", s->blocks_free);
	json_put_number(w, object, "inodes", s->inodes);
	json_put_number(w, object, "inodes_free", s->inodes_free);
	return object;
}

static json_t *mounts(struct json_writer *w, const struct facts *f)
{
	json_t *array = json_array();

	for (size_t i = 0; i < f->mounts; i++) {
		json_t *object = json_object();

		json_put_text(w, object, "path", f->mount[i].path);
		json_put_number(w, object, "volume", f->mount[i].number);
		json_add(w, array, object);
	}
	return array;
}

json_t *json_source(struct json_writer *w, const struct facts *f)
{
	json_t *object = json_object();

	json_put_text(w, object, "name", f->source);
	json_put_text(w, object, "format", f->format);
	json_put_number(w, object, "size", f->disk_size);
	json_put_text(w, object, "table", table_name(f->volumes.table));
	json_put_text(w, object, "table_id", f->volumes.table_id);
	json_put(w, object, "volumes", json_volumes(w, &f->volumes, 0));
	json_put_number(w, object, "root", f->root_number);
	json_put_number(w, object, "boot", f->boot_number);
	json_put_text(w, object, "root_subvolume", f->root_subvolume);
	json_put(w, object, "mounts", mounts(w, f));
	json_put_list(w, object, "not_read", &f->unmounted);
	return object;
}

static json_t *kernel(struct json_writer *w, const struct facts_kernel *k)
{
	json_t *object = json_object();

	json_put_text(w, object, "release", k->release);
	json_put_text(w, object, "image", k->image);
	json_put_text(w, object, "initrd", k->initrd);
	json_put_text(w, object, "modules", k->modules);
	json_put_bool(w, object, "hvm", k->hvm);
	json_put_number(w, object, "bits", k->is_64bit ? 64 : 32);
	json_put_text(w, object, "why_not", k->hvm ? "" : k->why_not);
	return object;
}

static json_t *kernels(struct json_writer *w, const struct facts_kernels *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->len; i++)
		json_add(w, array, kernel(w, &list->item[i]));
	return array;
}

static json_t *file_system(struct json_writer *w, const struct facts *f)
{
	json_t *object = json_object();

	json_put_text(w, object, "type", f->root_type);
	json_put_text(w, object, "uuid", f->root_uuid);
	json_put_text(w, object, "label", f->root_label);
	json_put_number(w, object, "block_size", f->block_size);
	json_put_list(w, object, "features", &f->features);
	json_put_bool(w, object, "needs_recovery", f->needs_recovery);
	json_put_bool(w, object, "has_errors", f->has_errors);
	json_put_bool(w, object, "not_clean", f->not_clean);
	json_put_bool(w, object, "checked", f->checked);
	json_put_bool(w, object, "damaged", f->damaged);
	return object;
}

static json_t *boot_loader(struct json_writer *w, const struct facts_boot *b)
{
	json_t *object = json_object();

	json_put_text(w, object, "boot_sector", b->sector0);
	json_put_bool(w, object, "current", b->current);
	json_put_number(w, object, "gap_sectors", b->gap_sectors);
	json_put_number(w, object, "bios_boot_start_sector", b->bios_boot_off / REPORT_SECTOR);
	json_put_number(w, object, "bios_boot_sectors", b->bios_boot_len / REPORT_SECTOR);
	return object;
}

json_t *json_guest(struct json_writer *w, const struct facts *f)
{
	json_t *object = json_object(), *os = json_object();

	json_put_text(w, os, "id", f->os_id);
	json_put_text(w, os, "version", f->os_version);
	json_put_text(w, os, "name", f->os_name);
	json_put(w, object, "os", os);
	json_put_text(w, object, "init", init_name(f->init));
	json_put_text(w, object, "init_path", f->init_path);
	json_put_number(w, object, "systemd_version", f->systemd_version);
	json_put_number(w, object, "bits", f->bits);
	json_put(w, object, "file_system", file_system(w, f));
	json_put(w, object, "kernels", kernels(w, &f->kernels));
	json_put(w, object, "boot_loader", boot_loader(w, &f->boot));
	return object;
}

static json_t *tree(struct json_writer *w, const struct facts_donor *d)
{
	json_t *object = json_object();

	json_put_number(w, object, "files", d->boot.files + d->modules.files);
	json_put_number(w, object, "directories", d->boot.directories + d->modules.directories);
	json_put_number(w, object, "links", d->boot.links + d->modules.links);
	json_put_number(w, object, "bytes", d->boot.bytes + d->modules.bytes);
	json_put_bool(w, object, "present", d->boot.present && (d->modules.present || d->readable.tree.present));
	return object;
}

static json_t *initramfs(struct json_writer *w, const struct facts_donor *d)
{
	json_t *object = json_object(), *missing = json_object();

	json_put_bool(w, object, "read", d->initramfs.read);
	json_put_text(w, object, "kind", d->initramfs.kind);
	json_put_text(w, object, "error", d->initramfs.error);
	for (size_t i = 0; i < DRIVERS_TARGETS; i++)
		json_put_list(w, missing, drivers_target_name[i], &d->initramfs.missing[i]);
	json_put(w, object, "missing", missing);
	return object;
}

json_t *json_donor(struct json_writer *w, const struct facts_donor *d)
{
	json_t *object = json_object();

	json_put_text(w, object, "name", d->name);
	json_put_text(w, object, "os", d->os_name);
	json_put_bool(w, object, "from_guest", d->from_guest);
	json_put(w, object, "kernel", kernel(w, &d->chosen));
	json_put(w, object, "kernels", kernels(w, &d->kernels));
	json_put(w, object, "tree", tree(w, d));
	json_put(w, object, "initramfs", initramfs(w, d));
	return object;
}

json_t *json_host(struct json_writer *w, const struct facts_host *h)
{
	json_t *object = json_object();

	json_put_text(w, object, "grub_version", h->grub_version);
	json_put_text(w, object, "platform_dir", h->platform_dir);
	json_put_number(w, object, "platform_files", h->platform.len);
	json_put_number(w, object, "core_bytes", h->core_len);
	return object;
}
