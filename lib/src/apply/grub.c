/* grub.c - GRUB 2 for BIOS without mount, chroot or loop device */
#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"
#include "base/hostfile.h"
#include "parse/grubimg.h"

#define PLATFORM "/boot/grub/i386-pc"
#define MAX_MODULE (16 * 1024 * 1024u)

/* Modules and images of another GRUB must not lie among ours: core and modules come from one source. */
static int remove_foreign(const struct apply_context *c, struct fs *guest, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = fs_list(guest, PLATFORM, &names, err);

	for (size_t i = 0; !rc && i < names.len; i++) {
		const char *name = names.item[i];
		CLEANUP(buf_done) struct buf path = {0};

		if (strlist_has(&c->facts->host.platform, name) ||
		    (!text_ends_with(name, ".mod") && !text_ends_with(name, ".lst") && !text_ends_with(name, ".img")))
			continue;
		buf_printf(&path, PLATFORM "/%s", name);
		rc = path.failed ? error_nomem(err) : fs_unlink(guest, path.data, err);
	}
	return rc;
}

int apply_platform(const struct apply_context *c, struct fs *guest, struct p2h_error *err)
{
	const struct facts_host *h = &c->facts->host;
	struct fs_meta meta;
	int rc = make_directories(guest, PLATFORM, c->facts->clock, err);

	new_meta(&meta, 0644, c->facts->clock);
	if (!rc)
		rc = remove_foreign(c, guest, err);
	for (size_t i = 0; !rc && i < h->platform.len; i++) {
		CLEANUP(buf_done) struct buf from = {0}, to = {0}, data = {0};

		buf_printf(&from, "%s/%s", h->platform_dir, h->platform.item[i]);
		buf_printf(&to, PLATFORM "/%s", h->platform.item[i]);
		if (from.failed || to.failed)
			return error_nomem(err);
		rc = hostfile_read(from.data, MAX_MODULE, &data, err);
		if (!rc)
			rc = fs_write(guest, to.data, data.len ? data.data : "", data.len, &meta, err);
	}
	return rc;
}

/* Where the core image goes, as ranges of the whole disk, one for each run. */
static int core_place(const struct apply_context *c, const struct action *a, const struct ranges *inode5, struct ranges *ret,
		      struct p2h_error *err)
{
	uint64_t left = c->facts->host.core_len;

	if (a->place != PLACE_INODE5) {
		if (left > a->place_len)
			return error_set(err, P2H_NOSPACE, "GRUB's core image needs %llu bytes, but there are only %llu before the first partition",
					 (unsigned long long)left, (unsigned long long)a->place_len);
		ranges_add(ret, a->place_off, left);
	}
	for (size_t i = 0; a->place == PLACE_INODE5 && i < inode5->len && left; i++) {
		uint64_t n = inode5->item[i].len < left ? inode5->item[i].len : left;

		ranges_add(ret, inode5->item[i].off, n);
		left -= n;
	}
	return ret->failed ? error_nomem(err) : 0;
}

static int write_core(const struct apply_context *c, const struct ranges *where, struct p2h_error *err)
{
	const struct facts_host *h = &c->facts->host;
	CLEANUP_FREE uint8_t *core = malloc(h->core_len);
	size_t done = 0;
	int rc;

	if (!core)
		return error_nomem(err);
	memcpy(core, h->core, h->core_len);
	rc = grub_core_patch(core, h->core_len, where, err);
	for (size_t i = 0; !rc && i < where->len; i++) {
		rc = disk_write(c->disk, core + done, where->item[i].off, (size_t)where->item[i].len, err);
		done += (size_t)where->item[i].len;
	}
	return rc;
}

int apply_boot_loader(const struct apply_context *c, const struct action *a, const struct ranges *inode5, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges where = {0};
	uint8_t present[GRUB_SECTOR], made[GRUB_SECTOR];
	int rc = core_place(c, a, inode5, &where, err);

	if (!rc)
		rc = write_core(c, &where, err);
	if (!rc)
		rc = disk_read(c->disk, present, 0, sizeof(present), err);
	if (!rc)
		rc = grub_boot_sector_make(c->facts->host.boot_img, present, where.item[0].off / GRUB_SECTOR, made, err);
	return rc ? rc : disk_write(c->disk, made, 0, sizeof(made), err);
}
