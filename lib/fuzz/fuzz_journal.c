/*
 * fuzz_journal.c - input: an undo journal, its header (512 bytes) and what stands from offset 4096 on
 *
 * Read as it is, and again with its checksums put right: else no input would get past them.
 */
#include <endian.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/journal.h"

#define BODY_OFF 4096u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a record says must lie in the disk, and all that it points to must be there. */
static void read_records(const struct journal *j)
{
	CLEANUP(journal_entry_done) struct journal_entry e = {0};
	uint64_t pos = 0, disk = journal_image_size(j) + journal_shift(j), before = 0;
	uint32_t sum = 0;

	while (journal_next(j, &pos, &e, NULL) > 0) {
		if (!e.len || e.len > JOURNAL_RECORD_MAX || e.off > disk || e.len > disk - e.off || pos <= before)
			abort();
		sum ^= journal_sum(e.sums, (e.len + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * 4);
		if (e.data)
			sum ^= journal_sum(e.data, e.len);
		before = pos;
	}
	if (sum == 1)
		fputs("", stderr); /* so that nothing above is optimised away */
}

static void read_journal(const void *data, size_t size)
{
	CLEANUP_FD int fd = memfd_create("journal", MFD_CLOEXEC);
	CLEANUP(ranges_done) struct ranges map = {0};
	struct journal j;
	char path[64];

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (!journal_open(&j, path, NULL)) {
		if (!memchr(j.header.format, '\0', sizeof(j.header.format)))
			abort();
		if (journal_state(&j) != JOURNAL_WRITING) {
			read_records(&j);
			if (!journal_get_map(&j, &map, NULL) && map.len && map.item[map.len - 1].off > journal_image_size(&j))
				abort();
		}
	}
	journal_close(&j);
}

/* Gives every record, the map and the header the checksums that they should have. */
static void put_sums_right(uint8_t *file, size_t size)
{
	struct journal_header h;
	uint64_t map_off, map_len;
	size_t at = BODY_OFF;

	memcpy(&h, file, sizeof(h));
	while (at + sizeof(struct journal_record) <= size) {
		struct journal_record r;
		size_t whole;

		memcpy(&r, file + at, sizeof(r));
		whole = sizeof(r) + ((size_t)le32toh(r.len_le) + JOURNAL_SECTOR - 1) / JOURNAL_SECTOR * 4 + le32toh(r.data_len_le);
		if (whole > size - at)
			break;
		r.crc_le = 0;
		memcpy(file + at, &r, sizeof(r));
		r.crc_le = htole32(journal_sum(file + at, whole));
		memcpy(file + at, &r, sizeof(r));
		at += whole;
	}
	map_off = le64toh(h.map_off_le);
	map_len = le64toh(h.map_count_le) * 16;
	if (map_off <= size && map_len <= size - map_off)
		h.map_crc_le = htole32(journal_sum(file + map_off, map_len));
	h.crc_le = htole32(journal_sum(&h, offsetof(struct journal_header, crc_le)));
	memcpy(file, &h, sizeof(h));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_FREE uint8_t *file = NULL;
	size_t head = sizeof(struct journal_header);

	if (size < head) {
		read_journal(data, size);
		return 0;
	}
	file = calloc(1, BODY_OFF + size - head);
	if (!file)
		return 0;
	memcpy(file, data, head);
	memcpy(file + BODY_OFF, data + head, size - head);
	read_journal(file, BODY_OFF + size - head);
	put_sums_right(file, BODY_OFF + size - head);
	read_journal(file, BODY_OFF + size - head);
	return 0;
}
