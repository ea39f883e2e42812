#include "parse/grubimg.h"

#include <string.h>

#include "base/le.h"

/* boot.img (GRUB's include/grub/i386/pc/boot.h) */
#define BOOT_BPB 0x03
#define BOOT_BPB_END 0x5a
#define BOOT_KERNEL_ADDRESS 0x5a /* where boot.img loads the core's first sector: 0x8000 */
#define BOOT_KERNEL_SECTOR 0x5c
#define BOOT_DRIVE 0x64
#define BOOT_DRIVE_CHECK 0x66
#define BOOT_DISK_SIGNATURE 0x1b8
#define BOOT_SIGNATURE 0x1fe

/* The core: diskboot.img, then the decompressor with its fields, then the LZMA stream (include/grub/offsets.h). */
#define CORE_LIST_ENTRY 12u /* 64-bit first sector, 16-bit count, 16-bit segment; the list grows downwards from the end of the sector */
#define CORE_LIST_FIRST (GRUB_SECTOR - CORE_LIST_ENTRY)
#define CORE_LIST_LOWEST 0x100u /* diskboot.img's code is longer than this in every release */
#define CORE_SEGMENT 0x820      /* the second sector goes to linear 0x8200 */
#define CORE_RS_REDUNDANCY (GRUB_SECTOR + 0x10)
#define CORE_NO_RS_LENGTH (GRUB_SECTOR + 0x14)
#define CORE_MAX_SECTORS ((0x78000u - 0x9000u) / GRUB_SECTOR) /* what fits below the BIOS data; grub-bios-setup's limit */

static const char boot_strings[] = "GRUB \0Geom\0Hard Disk\0Read\0 Error";

bool grub_is_boot_sector(const uint8_t sector[512])
{
	/* GRUB Legacy's stage1 holds the same strings, but has its code where GRUB 2 has the load address. */
	return sector[0] == 0xeb && sector[1] >= BOOT_DRIVE_CHECK - 5 && le16_get(sector + BOOT_KERNEL_ADDRESS) == 0x8000 &&
	       le16_get(sector + BOOT_SIGNATURE) == 0xaa55 && memmem(sector, GRUB_SECTOR, boot_strings, sizeof(boot_strings) - 1);
}

uint64_t grub_boot_sector_kernel(const uint8_t sector[512])
{
	return le64_get(sector + BOOT_KERNEL_SECTOR);
}

int grub_boot_sector_make(const uint8_t boot_img[512], const uint8_t present[512], uint64_t core_sector, uint8_t ret[512],
			  struct p2h_error *err)
{
	uint8_t made[GRUB_SECTOR];

	if (!grub_is_boot_sector(boot_img))
		return error_set(err, P2H_UNSUPPORTED, "boot.img is not a boot sector of GRUB 2 for i386-pc");
	if (!core_sector)
		return error_set(err, P2H_USAGE, "the core image cannot be in the boot sector itself");
	/* The check is a short jump over the code that replaces a wrong drive number. */
	if (boot_img[BOOT_DRIVE_CHECK] != 0xeb && le16_get(boot_img + BOOT_DRIVE_CHECK) != 0x9090)
		return error_set(err, P2H_UNSUPPORTED, "boot.img has no drive check where GRUB 2 has it");
	memcpy(made, boot_img, sizeof(made));
	/* Nothing but scratch space of boot.img is there, so that keeping the bytes is right with and without a BPB. */
	memcpy(made + BOOT_BPB, present + BOOT_BPB, BOOT_BPB_END - BOOT_BPB);
	memcpy(made + BOOT_DISK_SIGNATURE, present + BOOT_DISK_SIGNATURE, BOOT_SIGNATURE - BOOT_DISK_SIGNATURE);
	le64_put(made + BOOT_KERNEL_SECTOR, core_sector);
	made[BOOT_DRIVE] = 0xff; /* the drive the BIOS booted from */
	/* No operation, twice: some BIOSes hand over a wrong drive number, which the code after the jump puts right. */
	le16_put(made + BOOT_DRIVE_CHECK, 0x9090);
	if (!grub_is_boot_sector(made))
		return error_set(err, P2H_UNSUPPORTED, "boot.img has code or text where the partition table goes");
	memcpy(ret, made, sizeof(made));
	return 0;
}

/* Bytes from the lowest usable list entry to the end of the sector: entries in use, then zeros down to the code. */
static uint32_t list_space(const uint8_t *sector)
{
	uint32_t low = GRUB_SECTOR, at = CORE_LIST_FIRST;

	for (; at >= CORE_LIST_LOWEST && le16_get(sector + at + 8); at -= CORE_LIST_ENTRY)
		low = at;
	while (low > CORE_LIST_LOWEST && !sector[low - 1])
		low--;
	return GRUB_SECTOR - low;
}

static int check_core(const uint8_t *core, size_t len, const struct ranges *where, struct p2h_error *err)
{
	uint64_t total = 0;

	if (len % GRUB_SECTOR || len < 2 * GRUB_SECTOR)
		return error_set(err, P2H_USAGE, "core image of %zu bytes: not a whole number of sectors, two at least", len);
	if (len / GRUB_SECTOR > CORE_MAX_SECTORS)
		return error_set(err, P2H_UNSUPPORTED, "the GRUB core image is too large (%zu bytes, at most %u)", len,
				 CORE_MAX_SECTORS * GRUB_SECTOR);
	if (!le16_get(core + CORE_LIST_FIRST + 8) || le16_get(core + CORE_NO_RS_LENGTH) == 0xffff)
		return error_set(err, P2H_UNSUPPORTED, "the GRUB core image is not one for i386-pc on a disk");
	for (size_t i = 0; i < where->len; i++) {
		const struct range *r = &where->item[i];

		if (r->off % GRUB_SECTOR || r->len % GRUB_SECTOR || !r->len || !range_ok(r->off, r->len, UINT64_MAX) ||
		    r->len > UINT64_MAX - total)
			return error_set(err, P2H_USAGE, "the place for the GRUB core image is not made of whole sectors");
		total += r->len;
	}
	if (total < len)
		return error_set(err, P2H_NOSPACE, "the GRUB core image needs %zu bytes, its place on the disk has %llu", len,
				 (unsigned long long)total);
	return 0;
}

/* Writes the list for `sectors` sectors after the first; entries below the last one stay zero and end the list. */
static int write_list(uint8_t *sector, uint32_t space, uint32_t sectors, const struct ranges *where, struct p2h_error *err)
{
	uint32_t at = GRUB_SECTOR, segment = CORE_SEGMENT;

	for (size_t i = 0; i < where->len && sectors; i++) {
		uint64_t start = where->item[i].off / GRUB_SECTOR, count = where->item[i].len / GRUB_SECTOR;

		if (!i) { /* boot.img has loaded the first one */
			start++;
			count--;
		}
		if (!count)
			continue;
		if (count > sectors)
			count = sectors;
		/* One entry more must stay free: the end of the list. */
		if (GRUB_SECTOR - at + 2 * CORE_LIST_ENTRY > space)
			return error_set(err, P2H_UNSUPPORTED,
					 "the place for the GRUB core image is in %zu pieces, more than its first sector can list",
					 where->len);
		at -= CORE_LIST_ENTRY;
		le64_put(sector + at, start);
		le16_put(sector + at + 8, (uint16_t)count);
		le16_put(sector + at + 10, (uint16_t)segment);
		segment += (uint32_t)count * (GRUB_SECTOR / 16);
		sectors -= (uint32_t)count;
	}
	return 0;
}

int grub_core_patch(uint8_t *core, size_t len, const struct ranges *where, struct p2h_error *err)
{
	uint8_t sector[GRUB_SECTOR];
	uint32_t space;
	int code;

	code = check_core(core, len, where, err);
	if (code)
		return code;
	memcpy(sector, core, sizeof(sector));
	space = list_space(sector);
	memset(sector + GRUB_SECTOR - space, 0, space);
	code = write_list(sector, space, (uint32_t)(len / GRUB_SECTOR) - 1, where, err);
	if (code)
		return code;
	memcpy(core, sector, sizeof(sector));
	/* None is added; a count left over from another installation would let the loader "repair" sound data. */
	le32_put(core + CORE_RS_REDUNDANCY, 0);
	return 0;
}

/* One entry of the list, which must continue in memory where the one before ended. */
static bool list_entry(const uint8_t *entry, uint32_t done, uint64_t *ret_start, uint32_t *ret_count)
{
	uint64_t start = le64_get(entry);
	uint32_t count = le16_get(entry + 8);

	if (!start || start > (UINT64_MAX / GRUB_SECTOR) - count || done + count > 2 * CORE_MAX_SECTORS)
		return false;
	*ret_start = start;
	*ret_count = count;
	return le16_get(entry + 10) == (uint16_t)(CORE_SEGMENT + done * (GRUB_SECTOR / 16));
}

int grub_core_blocklist(const uint8_t sector[512], struct ranges *ret, struct p2h_error *err)
{
	struct ranges list = {0};
	uint32_t done = 0, at, count = 0;
	uint64_t start = 0;

	for (at = CORE_LIST_FIRST; at >= CORE_LIST_LOWEST && le16_get(sector + at + 8); at -= CORE_LIST_ENTRY) {
		if (!list_entry(sector + at, done, &start, &count))
			break;
		ranges_add(&list, start * GRUB_SECTOR, (uint64_t)count * GRUB_SECTOR);
		done += count;
	}
	if (!done || at < CORE_LIST_LOWEST || le16_get(sector + at + 8)) {
		ranges_done(&list);
		return error_set(err, P2H_CORRUPT, "the sector holds no block list of a GRUB core image");
	}
	if (list.failed) {
		ranges_done(&list);
		return error_nomem(err);
	}
	*ret = list;
	return 0;
}
