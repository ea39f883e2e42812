/* What the BIOS and GRUB's first sectors do: boot-sector, partition-table, core-image. */
#include "verify/context.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"

#define BOOT_DRIVE_AT 0x64   /* GRUB: include/grub/i386/pc/boot.h */
#define STAGE1_VERSION_AT 0x3e /* GRUB legacy: stage1/stage1.h */
#define DISK_ID_AT 0x1b8
#define TABLE_AT 0x1be
#define SIGNATURE_AT 0x1fe
#define CORE_LIMIT 0x78000u  /* memory that GRUB's boot code can fill, util/grub-mkimage.c */
#define BTRFS_RESERVED 65536u /* of a btrfs: for a boot loader */
#define GPT_SECTORS 34u      /* protective MBR, header, entries */
#define EXT_MAGIC_AT 0x38
#define EXT_SUPERBLOCK_AT 1024u

static bool all_zero(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i])
			return false;
	return true;
}

static const char *loader_name(const uint8_t sector[GRUB_SECTOR])
{
	static const struct {
		const char *text, *name;
	} marks[] = {
		{"LILO", "LILO"},
		{"SYSLINUX", "SYSLINUX"},
		{"EXTLINUX", "EXTLINUX"},
		{"Missing operating system", "a generic master boot record that starts the active partition"},
		{"Operating system load error", "SYSLINUX's master boot record"},
		{"NTLDR", "Windows"},
		{"BOOTMGR", "Windows"},
		{"MSDOS", "DOS"},
		{"XFSB", "an XFS superblock"},
		{"LUKS", "a LUKS header"},
	};

	if (memmem(sector, GRUB_SECTOR, "GRUB", 4))
		return sector[STAGE1_VERSION_AT] == 3 ? "GRUB legacy's stage1" : "some version of GRUB that is not GRUB 2's";
	for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
		if (memmem(sector, GRUB_SECTOR, marks[i].text, strlen(marks[i].text)))
			return marks[i].name;
	return "an unknown boot loader";
}

void step_boot_sector(struct verify *v)
{
	struct judgement j = {.v = v};
	const uint8_t *s = v->sector;

	if (all_zero(s, DISK_ID_AT)) {
		judge(&j, VERIFY_FAIL, "sector 0 holds no boot code%s",
		      all_zero(s, GRUB_SECTOR) ? ": it is all zeros" : "");
	} else if (le16_get(s + SIGNATURE_AT) != 0xaa55) {
		judge(&j, VERIFY_FAIL, "sector 0 ends with %02x%02x instead of 55aa: the BIOS does not start it",
		      s[SIGNATURE_AT], s[SIGNATURE_AT + 1]);
	} else if (!grub_is_boot_sector(s)) {
		judge(&j, VERIFY_FAIL, "sector 0 holds %s, not GRUB 2's boot sector", loader_name(s));
	} else if (s[BOOT_DRIVE_AT] != 0xff && s[BOOT_DRIVE_AT] != 0x80) {
		judge(&j, VERIFY_FAIL, "GRUB's boot sector reads BIOS drive 0x%02x instead of the one it was started from",
		      s[BOOT_DRIVE_AT]);
	} else {
		v->boot_sector_ok = true;
		judge(&j, VERIFY_PASS, "GRUB 2's boot sector, core image at sector %" PRIu64, grub_boot_sector_kernel(s));
	}
	judgement_add(&j, "boot-sector", "code in sector 0");
}

/* A superblock where nothing should be: tools would take the whole disk for a file system. */
static void judge_stale_superblock(struct judgement *j)
{
	const struct volumes *volumes = &j->v->volumes;
	uint8_t sb[512];
	struct p2h_error e = {0};

	if (j->v->disk->size < EXT_SUPERBLOCK_AT + sizeof sb)
		return;
	if (disk_read(j->v->disk, sb, EXT_SUPERBLOCK_AT, sizeof sb, &e)) {
		judge_error(j, &e, NULL);
		return;
	}
	/* The core image may lie here: more than the magic must fit. */
	if (le16_get(sb + EXT_MAGIC_AT) == 0xef53 && le32_get(sb) && le32_get(sb + 4) && le32_get(sb + 24) <= 6 &&
	    le32_get(sb + 76) <= 1)
		judge(j, VERIFY_WARN, "an old ext superblock is at byte 1024 of the partitioned disk");
	else if (volumes->len && volumes->item[0].content[0])
		judge(j, VERIFY_WARN, "the partitioned disk also has the signature of %s", volumes->item[0].content);
}

static unsigned count_partitions(const struct volumes *volumes, bool active)
{
	unsigned n = 0;

	for (size_t i = 0; i < volumes->len; i++) {
		const struct volume *v = &volumes->item[i];

		n += v->number && !volume_is_elsewhere(v) && (v->active || !active);
	}
	return n;
}

void step_partition_table(struct verify *v)
{
	const struct volumes *volumes = &v->volumes;
	struct judgement j = {.v = v};

	if (!v->volumes_ok) {
		judge_error(&j, &v->volumes_error, NULL);
	} else if (volumes->table == TABLE_NONE) {
		/* Whole-disk file system: the kernel ignores a table of zeros. */
		if (le16_get(v->sector + SIGNATURE_AT) == 0xaa55 && !all_zero(v->sector + TABLE_AT, 64))
			judge(&j, VERIFY_WARN, "no partition table, but bytes 446 to 509 of sector 0 are not zero");
		judge(&j, VERIFY_PASS, "none: %s on the whole disk", volumes->len ? volumes->item[0].content : "");
	} else {
		unsigned active = count_partitions(volumes, true);

		judge_stale_superblock(&j);
		if (volumes->table == TABLE_MBR && active != 1)
			judge(&j, VERIFY_WARN, "%u partitions are marked active: some BIOSes want exactly one", active);
		judge(&j, VERIFY_PASS, "%s, %u partitions", volumes->table == TABLE_GPT ? "GPT" : "MBR", count_partitions(volumes, false));
	}
	judgement_add(&j, "partition-table", "partition table");
}

static bool overlaps(const struct range *a, uint64_t off, uint64_t len)
{
	return a->off < off + len && off < a->off + a->len;
}

/* Do the ranges, in whatever order, cover all of [off, off + len)? */
static bool covered(const struct ranges *by, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;

	while (off < end) {
		uint64_t next = off;

		for (size_t i = 0; i < by->len; i++)
			if (by->item[i].off <= off && off - by->item[i].off < by->item[i].len)
				next = by->item[i].off + by->item[i].len;
		if (next == off)
			return false;
		off = next;
	}
	return true;
}

static bool in_boot_inode(struct verify *v, const struct volume *volume, const struct range *piece)
{
	__attribute__((cleanup(grub_view_close))) struct grub_view view = {0};
	CLEANUP(buf_done) struct buf data = {0};
	CLEANUP(ranges_done) struct ranges where = {0};

	/* ext leaves its first 1024 bytes to boot code. */
	if (!strncmp(volume->content, "ext", 3) && piece->off + piece->len <= volume->off + 1024)
		return true;
	return grub_view_open(v, volume, &view, NULL) == 0 && view.fs && fs_boot_read(view.fs, &data, &where, NULL) == 0 &&
	       covered(&where, piece->off - volume->off, piece->len);
}

/* A core image installed by block list into an ordinary file boots for as long as nothing moves that file. */
static bool is_guest_file(struct verify *v)
{
	static const char *const names[] = {"/boot/grub/i386-pc/core.img", "/boot/grub2/i386-pc/core.img"};

	for (size_t i = 0; v->guest && i < sizeof names / sizeof *names; i++) {
		CLEANUP(buf_done) struct buf file = {0};

		if (fs_read(v->guest->fs, names[i], CORE_LIMIT, &file, NULL) == 0 && file.len > GRUB_SECTOR &&
		    file.len <= v->core.len &&
		    !memcmp(file.data + GRUB_SECTOR, v->core.data + GRUB_SECTOR, file.len - GRUB_SECTOR))
			return true;
	}
	return false;
}

/* May the piece be where it is? false: said why not. */
static bool judge_place(struct judgement *j, const struct range *piece)
{
	const struct volumes *volumes = &j->v->volumes;
	uint64_t reserved = volumes->table == TABLE_GPT ? GPT_SECTORS * GRUB_SECTOR : GRUB_SECTOR;

	if (piece->off < reserved) {
		judge(j, VERIFY_FAIL, "a piece at sector %" PRIu64 " overlaps the partition table", piece->off / GRUB_SECTOR);
		return false;
	}
	for (size_t i = 0; i < volumes->len; i++) {
		const struct volume *p = &volumes->item[i];

		if (volume_is_elsewhere(p) || (!strcmp(p->content, "btrfs") && piece->off >= p->off && piece->off + piece->len <= p->off + BTRFS_RESERVED))
			continue;
		if ((volumes->table == TABLE_NONE) != !p->number || !overlaps(piece, p->off, p->len) ||
		    !strcmp(p->type, VOLUME_GPT_BIOS_BOOT))
			continue;
		if (piece->off >= p->off && in_boot_inode(j->v, p, piece))
			continue;
		if (is_guest_file(j->v))
			judge(j, VERIFY_WARN, "the core image is an ordinary file of volume %u: it boots until that file is moved",
			      p->number);
		else
			judge(j, VERIFY_FAIL, "sectors %" PRIu64 " to %" PRIu64 " belong to volume %u (%s) and are not reserved there",
			      piece->off / GRUB_SECTOR, (piece->off + piece->len) / GRUB_SECTOR - 1, p->number,
			      *p->content ? p->content : "no signature");
		return false;
	}
	return true;
}

/* Reads first sector and pieces into v->core; *ret gets all places in order of loading. */
static int core_read(struct verify *v, struct ranges *ret, struct p2h_error *err)
{
	uint64_t sector = grub_boot_sector_kernel(v->sector);
	CLEANUP(ranges_done) struct ranges rest = {0};
	uint64_t total = GRUB_SECTOR;
	uint8_t first[GRUB_SECTOR];
	int rc;

	if (!sector || sector >= v->disk->size / GRUB_SECTOR)
		return error_set(err, P2H_CORRUPT, "the boot sector loads sector %" PRIu64 ", the disk has %" PRIu64, sector,
				 v->disk->size / GRUB_SECTOR);
	rc = disk_read(v->disk, first, sector * GRUB_SECTOR, sizeof first, err);
	if (rc == 0)
		rc = grub_core_blocklist(first, &rest, err);
	if (rc)
		return error_prefix(err, rc, "sector %" PRIu64, sector);
	buf_append(&v->core, first, sizeof first);
	ret->item = calloc(rest.len + 1, sizeof *ret->item);
	if (!ret->item)
		return error_nomem(err);
	ret->item[ret->len++] = (struct range){sector * GRUB_SECTOR, GRUB_SECTOR};
	for (size_t i = 0; i < rest.len; i++) {
		const struct range *r = &rest.item[i];
		char *to;

		if (!r->len || !range_ok(r->off, r->len, v->disk->size))
			return error_set(err, P2H_CORRUPT, "the block list of sector %" PRIu64 " leads out of the disk", sector);
		if (r->len > CORE_LIMIT - total)
			return error_set(err, P2H_CORRUPT, "the core image is larger than %u bytes", CORE_LIMIT);
		total += r->len;
		to = buf_reserve(&v->core, r->len);
		if (!to)
			return error_nomem(err);
		rc = disk_read(v->disk, to, r->off, r->len, err);
		if (rc)
			return rc;
		v->core.len += r->len;
		ret->item[ret->len++] = *r;
	}
	return 0;
}

static void judge_core(struct judgement *j)
{
	struct verify *v = j->v;
	CLEANUP(ranges_done) struct ranges where = {0};
	struct p2h_error e = {0};

	if (core_read(v, &where, &e)) {
		judge_error(j, &e, NULL);
		return;
	}
	for (size_t i = 0; i < where.len; i++)
		for (size_t k = 0; k < i; k++)
			if (overlaps(&where.item[i], where.item[k].off, where.item[k].len)) {
				judge(j, VERIFY_FAIL, "two pieces of the block list overlap at sector %" PRIu64,
				      where.item[i].off / GRUB_SECTOR);
				return;
			}
	if (grub_core_parse((const uint8_t *)v->core.data, v->core.len, &v->image, &e)) {
		judge_error(j, &e, NULL);
		return;
	}
	v->core_ok = true;
	for (size_t i = 0; i < where.len && judge_place(j, &where.item[i]); i++)
		;
	judge(j, VERIFY_PASS, "%zu bytes in %zu pieces from sector %" PRIu64 ", %zu modules", v->core.len, where.len,
	      where.item[0].off / GRUB_SECTOR, v->image.modules.len);
}

void step_core_image(struct verify *v)
{
	struct judgement j = {.v = v};

	if (!v->boot_sector_ok) {
		verify_skip(v, "core-image", "GRUB's core image", "sector 0 does not load one");
		return;
	}
	judge_core(&j);
	judgement_add(&j, "core-image", "GRUB's core image");
}
