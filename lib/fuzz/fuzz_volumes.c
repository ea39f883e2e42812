/*
 * fuzz_volumes.c - input: sectors of a 4 MiB disk, each as two bytes (its number, little-endian) and up to 512 bytes
 *
 * Partition tables and signatures, as libfdisk and libblkid see them through the window. The checksums of a GPT are put
 * right: else no input would get past them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "volume/volume.h"

#define SECTORS 8192u
#define ENTRIES_MAX (64u << 10)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CRC-32 as the UEFI specification has it */
static uint32_t crc32_of(const uint8_t *data, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

static void put_gpt_right(struct disk *d, uint64_t sector)
{
	uint8_t header[512];
	uint64_t entries, len;

	if (disk_read(d, header, sector * 512, 512, NULL) || memcmp(header, "EFI PART", 8))
		return;
	entries = le64_get(header + 72);
	len = (uint64_t)le32_get(header + 80) * le32_get(header + 84);
	if (len && len <= ENTRIES_MAX && entries < SECTORS && len <= (SECTORS - entries) * 512) {
		CLEANUP_FREE uint8_t *table = malloc(len);

		if (!table || disk_read(d, table, entries * 512, len, NULL))
			return;
		le32_put(header + 88, crc32_of(table, len));
	}
	len = le32_get(header + 12);
	if (len < 92 || len > sizeof(header))
		return;
	le32_put(header + 16, 0);
	le32_put(header + 16, crc32_of(header, len));
	disk_write(d, header, sector * 512, 512, NULL);
}

static bool ends(const char *text, size_t size)
{
	return memchr(text, '\0', size) != NULL;
}

static void check(struct disk *d, const struct volumes *v)
{
	if (!v->len || v->item[0].number || v->item[0].off || v->item[0].len != d->size)
		abort();
	for (size_t i = 0; i < v->len; i++) {
		const struct volume *p = &v->item[i];
		CLEANUP_DISK struct disk *slice = NULL;

		if (p->off > d->size || p->len > d->size - p->off || (i && p->number <= v->item[i - 1].number))
			abort();
		if (!ends(p->type, sizeof(p->type)) || !ends(p->part_uuid, sizeof(p->part_uuid)) || !ends(p->content, sizeof(p->content)) ||
		    !ends(p->uuid, sizeof(p->uuid)) || !ends(p->label, sizeof(p->label)))
			abort();
		if (!volume_open(d, p, &slice, NULL) && slice->size != p->len)
			abort();
	}
	volumes_find(v, "/dev/xvda1");
	volumes_find(v, "UUID=5d1c7a2e-0b0a-4a0e-9f55-6b8a3c1d2e4f");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_DISK struct disk *d = NULL;
	CLEANUP(volumes_done) struct volumes v = {0};

	if (disk_mem_open(SECTORS * 512, &d, NULL))
		return 0;
	while (size > 2) {
		size_t n = size - 2 < 512 ? size - 2 : 512;

		if (disk_write(d, data + 2, (uint64_t)(le16_get(data) % SECTORS) * 512, n, NULL))
			return 0;
		data += 2 + n;
		size -= 2 + n;
	}
	put_gpt_right(d, 1);
	put_gpt_right(d, SECTORS - 1);
	if (!volumes_probe(d, &v, NULL))
		check(d, &v);
	return 0;
}
