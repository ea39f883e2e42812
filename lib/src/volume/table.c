/* table.c - libfdisk over a window of the disk: reading MBR and GPT, making an MBR */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <libfdisk/libfdisk.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "volume/probe.h"
#include "volume/window.h"

#define SECTOR 512u
#define MAX_EXTENDED 128
#define GPT_MAGIC "EFI PART"

static void cleanup_context(struct fdisk_context **cxt)
{
	if (*cxt) {
		if (fdisk_get_devfd(*cxt) >= 0) /* it aborts where assigning has failed */
			fdisk_deassign_device(*cxt, 1);
		fdisk_unref_context(*cxt);
	}
}

static void cleanup_table(struct fdisk_table **tb)
{
	fdisk_unref_table(*tb);
}

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* The chain of extended boot records may lie anywhere: copy each of its sectors into the window. */
static int add_extended(int fd, struct disk *d, const uint8_t mbr[SECTOR], struct p2h_error *err)
{
	uint64_t first = 0, next = 0;

	for (int i = 0; i < 4; i++)
		if (is_extended(mbr[446 + 16 * i + 4]))
			first = le32_get(mbr + 446 + 16 * i + 8);
	for (int hops = 0; first && hops < MAX_EXTENDED; hops++) {
		uint64_t at = (first + next) * SECTOR;
		uint8_t ebr[SECTOR];
		int rc;

		if (!range_ok(at, SECTOR, d->size))
			return 0; /* libfdisk complains, or the partition check below does */
		rc = disk_read(d, ebr, at, SECTOR, err);
		if (!rc && !memcmp(ebr, GPT_MAGIC, 8))
			return 0; /* check_gpt_claims() does not look there */
		if (!rc)
			rc = window_add(fd, d, 0, at, err);
		if (rc)
			return rc;
		next = 0;
		for (int i = 0; i < 4; i++)
			if (is_extended(ebr[446 + 16 * i + 4]))
				next = le32_get(ebr + 446 + 16 * i + 8);
		if (!next)
			return 0;
	}
	return 0;
}

static void lower(char *text)
{
	for (; *text; text++)
		*text = (char)tolower((unsigned char)*text);
}

static int ignore_ask(struct fdisk_context *cxt, struct fdisk_ask *ask, void *data)
{
	(void)cxt;
	(void)ask;
	(void)data;
	return 0;
}

static int open_context(int fd, bool readonly, struct fdisk_context **ret, struct p2h_error *err)
{
	CLEANUP(cleanup_context) struct fdisk_context *cxt = fdisk_new_context();
	int rc;

	if (!cxt)
		return error_nomem(err);
	fdisk_set_ask(cxt, ignore_ask, NULL);
	rc = fdisk_assign_device_by_fd(cxt, fd, "image", readonly);
	if (rc)
		return error_sys(err, -rc, "libfdisk cannot look at the partition table");
	*ret = TAKE(cxt);
	return 0;
}

static void fill_partition(struct fdisk_context *cxt, struct fdisk_partition *pa, enum volume_table table, const char *table_id,
			   struct volume *v)
{
	struct fdisk_parttype *type = fdisk_partition_get_type(pa);
	const char *uuid = fdisk_partition_get_uuid(pa);

	v->number = (unsigned)fdisk_partition_get_partno(pa) + 1;
	v->off = fdisk_partition_get_start(pa) * fdisk_get_sector_size(cxt);
	v->len = fdisk_partition_get_size(pa) * fdisk_get_sector_size(cxt);
	if (table == TABLE_GPT) {
		snprintf(v->type, sizeof(v->type), "%s", type && fdisk_parttype_get_string(type) ? fdisk_parttype_get_string(type) : "");
		snprintf(v->part_uuid, sizeof(v->part_uuid), "%s", uuid ? uuid : "");
		snprintf(v->part_label, sizeof(v->part_label), "%s", fdisk_partition_get_name(pa) ? fdisk_partition_get_name(pa) : "");
		v->active = fdisk_partition_get_attrs(pa) && strstr(fdisk_partition_get_attrs(pa), "LegacyBIOSBootable");
		lower(v->type);
		lower(v->part_uuid);
	} else {
		snprintf(v->type, sizeof(v->type), "%x", type ? fdisk_parttype_get_code(type) : 0);
		snprintf(v->part_uuid, sizeof(v->part_uuid), "%s-%02x", strlen(table_id) > 2 ? table_id + 2 : "", v->number);
		v->active = fdisk_partition_is_bootable(pa) == 1;
	}
}

/* libfdisk keeps what it cannot make sense of; a partition beyond the end most often means that the copy was cut short. */
static int check_partition(const struct disk *d, const struct volume *v, struct p2h_error *err)
{
	if (range_ok(v->off, v->len, d->size))
		return 0;
	return error_set(err, P2H_CORRUPT, "%s: partition %u ends at byte %llu, but the image has only %llu bytes: is the copy truncated?",
			 d->name, v->number, (unsigned long long)(v->off + v->len), (unsigned long long)d->size);
}

/*
 * libfdisk takes memory for as many entries as a GPT's header claims. It may find a header wherever the window holds
 * something, as the primary one says where the other is; entries beyond the window's edges could not be read anyhow.
 */
static int check_gpt_claims(int fd, struct disk *d, struct p2h_error *err)
{
	uint64_t sectors = d->size / SECTOR;
	uint8_t h[SECTOR];

	for (uint64_t i = 1; i < sectors; i++) {
		uint64_t entries;

		if (i == WINDOW_EDGE / SECTOR && sectors > 2 * i)
			i = sectors - i;
		if (pread(fd, h, SECTOR, (off_t)(i * SECTOR)) != SECTOR || memcmp(h, GPT_MAGIC, 8) != 0)
			continue;
		entries = le32_get(h + 80);
		if (entries * le32_get(h + 84) > WINDOW_EDGE)
			return error_set(err, P2H_CORRUPT, "%s: its partition table (GPT) claims %" PRIu64 " entries of %u bytes", d->name,
					 entries, le32_get(h + 84));
	}
	return 0;
}

int probe_table(struct disk *d, struct volumes *v, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	CLEANUP(cleanup_context) struct fdisk_context *cxt = NULL;
	CLEANUP(cleanup_table) struct fdisk_table *tb = NULL;
	CLEANUP_FREE char *id = NULL;
	uint8_t mbr[SECTOR];
	struct volume *grown;
	size_t n;
	int rc;

	if (d->size < 2 * SECTOR)
		return 0;
	rc = disk_read(d, mbr, 0, SECTOR, err);
	if (rc)
		return rc;
	if (mbr[510] != 0x55 || mbr[511] != 0xaa)
		return 0;
	rc = window_open(d, 0, d->size, &fd, err);
	if (!rc)
		rc = add_extended(fd, d, mbr, err);
	if (!rc)
		rc = check_gpt_claims(fd, d, err);
	if (!rc)
		rc = open_context(fd, true, &cxt, err);
	if (rc)
		return rc;
	if (!fdisk_has_label(cxt))
		return 0;
	if (fdisk_is_label(cxt, GPT))
		v->table = TABLE_GPT;
	else if (fdisk_is_label(cxt, DOS))
		v->table = TABLE_MBR;
	else
		return 0;
	if (!fdisk_get_disklabel_id(cxt, &id) && id)
		snprintf(v->table_id, sizeof(v->table_id), "%s", id);
	lower(v->table_id);
	if (fdisk_get_partitions(cxt, &tb) || !tb)
		return 0;
	n = fdisk_table_get_nents(tb);
	grown = reallocarray(v->item, n + 1, sizeof(*grown));
	if (!grown)
		return error_nomem(err);
	v->item = grown;
	for (size_t i = 0; i < n; i++) {
		struct fdisk_partition *pa = fdisk_table_get_partition(tb, i);
		struct volume *one = &v->item[v->len];

		if (!pa || !fdisk_partition_has_start(pa) || !fdisk_partition_has_size(pa) || fdisk_partition_is_container(pa))
			continue;
		memset(one, 0, sizeof(*one));
		fill_partition(cxt, pa, v->table, v->table_id, one);
		rc = check_partition(d, one, err);
		if (rc)
			return rc;
		v->len++;
	}
	return 0;
}

static int add_partition(struct fdisk_context *cxt, uint64_t start, uint64_t len)
{
	struct fdisk_partition *pa = fdisk_new_partition();
	struct fdisk_parttype *type = fdisk_label_get_parttype_from_code(fdisk_get_label(cxt, NULL), 0x83);
	size_t number = 0;
	int rc;

	if (!pa || !type) {
		fdisk_unref_partition(pa);
		return -ENOMEM;
	}
	fdisk_partition_set_partno(pa, 0);
	fdisk_partition_set_start(pa, start / SECTOR);
	fdisk_partition_set_size(pa, len / SECTOR);
	fdisk_partition_set_type(pa, type);
	rc = fdisk_add_partition(cxt, pa, &number);
	if (!rc)
		rc = fdisk_toggle_partition_flag(cxt, number, DOS_FLAG_ACTIVE);
	fdisk_unref_partition(pa);
	return rc;
}

int mbr_make(uint32_t id, uint64_t start, uint64_t len, uint8_t ret[SECTOR], struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	CLEANUP(cleanup_context) struct fdisk_context *cxt = NULL;
	char text[16];
	int rc;

	if ((start + len) / SECTOR > UINT32_MAX)
		return error_set(err, P2H_UNSUPPORTED, "an MBR partition cannot reach beyond 2 TiB: use --layout flat");
	fd = memfd_create("pv2hvm-mbr", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)(start + len)))
		return error_sys(err, errno, "cannot make a memory file");
	rc = open_context(fd, false, &cxt, err);
	if (rc)
		return rc;
	fdisk_save_user_grain(cxt, SECTOR);
	fdisk_reset_alignment(cxt);
	snprintf(text, sizeof(text), "0x%08x", id);
	rc = fdisk_create_disklabel(cxt, "dos");
	if (!rc)
		rc = fdisk_set_disklabel_id_from_string(cxt, text);
	if (!rc)
		rc = add_partition(cxt, start, len);
	if (!rc)
		rc = fdisk_write_disklabel(cxt);
	if (rc)
		return error_sys(err, -rc, "libfdisk cannot make a partition table");
	if (pread(fd, ret, SECTOR, 0) != (ssize_t)SECTOR)
		return error_sys(err, errno, "cannot read the new partition table");
	return 0;
}
