/*
 * journal.h - inside disk/: the undo journal of a conversion in place; its layout is described in docs/undo-journal.md
 *
 * Offsets in records are those of the converted image, that is behind the bytes that were put in front of it.
 */
#ifndef P2H_DISK_JOURNAL_H
#define P2H_DISK_JOURNAL_H

#include <assert.h>

#include "disk/disk.h"

#define JOURNAL_SECTOR 512u           /* what a torn write leaves whole; each has its checksum */
#define JOURNAL_RECORD_MAX (1u << 20) /* bytes of the image in one record */

enum journal_state {
	JOURNAL_WRITING = 1,   /* not complete: the image is untouched */
	JOURNAL_PREPARED = 2,  /* complete; without a shift blocks may have been written */
	JOURNAL_APPLYING = 3,  /* shifted, blocks may have been written */
	JOURNAL_COMPLETE = 4,  /* all blocks are written */
	JOURNAL_UNSHIFTING = 5 /* undo has put back all blocks and takes the front away */
};

enum {
	JOURNAL_DATA = 1,    /* before-image follows */
	JOURNAL_ZERO = 2,    /* was zeros */
	JOURNAL_NEW = 4,     /* lies in what was put in front: there was nothing */
	JOURNAL_WITNESS = 8, /* not changed: only checked */
};

struct journal_header {
	char magic[8];
	uint32_t version_le;
	uint32_t state_le;
	uint64_t image_size_le; /* before the conversion */
	uint64_t shift_le;
	uint64_t records_off_le, records_len_le, record_count_le;
	uint64_t map_off_le, map_count_le; /* where the image holds data, before the shift */
	uint32_t map_crc_le;
	char format[32];
	uint8_t reserved[400];
	uint32_t crc_le; /* crc32c of all before it */
};
static_assert(sizeof(struct journal_header) == 512, "the header is one sector, which is written whole");

struct journal_record {
	uint32_t magic_le;
	uint32_t flags_le;
	uint64_t off_le;
	uint32_t len_le;      /* bytes of the image */
	uint32_t data_len_le; /* len or 0 */
	uint32_t reserved_le;
	uint32_t crc_le; /* crc32c of the record with this field 0, its checksums and its data */
};
static_assert(sizeof(struct journal_record) == 32, "layout of a record");

struct journal {
	int fd;
	char *path;
	uint64_t end; /* where the next thing goes */
	struct journal_header header;
};

/* One record, read and checked. */
struct journal_entry {
	uint64_t off;
	uint32_t len, flags;
	const unsigned char *sums; /* 4 bytes, little-endian, for each sector after the conversion */
	const char *data;          /* before-image, NULL when zero or new */
	struct buf buf;            /* holds both */
};
void journal_entry_done(struct journal_entry *e);

/*
 * Makes a new one; or takes over a leftover that journal_is_begun() knows, unless another process still holds it (P2H_BUSY). j->fd is -1
 * after an error that leaves nothing of ours at path.
 */
int journal_create(struct journal *j, const char *path, uint64_t image_size, uint64_t shift, const char *format,
		   struct p2h_error *err);
/* before NULL: zeros (or none, see flags). after: what the image holds when the conversion is complete. */
int journal_add(struct journal *j, uint32_t flags, uint64_t off, uint32_t len, const char *after, const char *before,
		struct p2h_error *err);
/* Appends where the image holds data and makes it the map of the header; lasts with the next journal_set_state(). */
int journal_set_map(struct journal *j, const struct ranges *map, struct p2h_error *err);
int journal_get_map(const struct journal *j, struct ranges *ret, struct p2h_error *err);
/* All that was added reaches the disk, then the header with the new state, then that. */
int journal_set_state(struct journal *j, enum journal_state state, struct p2h_error *err);
/*
 * Is this what a process leaves that ends while it makes a journal: an empty file, or one that ends in or right behind its header, which is
 * not whole? Then nothing of the image was overwritten: see docs/undo-journal.md.
 */
bool journal_is_begun(const char *path);
/* Opens and checks an existing one, header and every record. P2H_CORRUPT: damaged, or no journal at all. */
int journal_open(struct journal *j, const char *path, struct p2h_error *err);
/* Records in order: *pos starts at 0. 1: one was read, 0: end, negative: error. */
int journal_next(const struct journal *j, uint64_t *pos, struct journal_entry *e, struct p2h_error *err);
int journal_remove(struct journal *j, struct p2h_error *err); /* unlinks it, and syncs its directory */
void journal_close(struct journal *j);

uint32_t journal_sum(const void *data, size_t len);
uint64_t journal_image_size(const struct journal *j);
uint64_t journal_shift(const struct journal *j);
enum journal_state journal_state(const struct journal *j);

#endif
