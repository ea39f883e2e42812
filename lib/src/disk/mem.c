#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"

#define PAGE_BYTES (64u << 10)
#define TABLE_PAGES 1024u

/* Two levels, so that a terabyte of zeros costs next to nothing. A missing page or table is zeros. */
struct mem_disk {
	struct disk d;
	size_t tables;
	char ***table; /* table[i] is an array of TABLE_PAGES pages */
};

static char *find_page(const struct mem_disk *m, uint64_t off)
{
	uint64_t page = off / PAGE_BYTES;
	char **table = m->table[page / TABLE_PAGES];

	return table ? table[page % TABLE_PAGES] : NULL;
}

static char *make_page(struct mem_disk *m, uint64_t off)
{
	uint64_t page = off / PAGE_BYTES;
	char ***table = &m->table[page / TABLE_PAGES], **slot;

	if (!*table)
		*table = calloc(TABLE_PAGES, sizeof(**table));
	if (!*table)
		return NULL;
	slot = &(*table)[page % TABLE_PAGES];
	if (!*slot)
		*slot = calloc(1, PAGE_BYTES);
	return *slot;
}

static uint64_t piece_at(uint64_t off, uint64_t len)
{
	uint64_t room = PAGE_BYTES - off % PAGE_BYTES;

	return len < room ? len : room;
}

static int mem_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	char *to = buf;

	(void)err;
	while (len) {
		size_t n = (size_t)piece_at(off, len);
		const char *page = find_page((struct mem_disk *)d, off);

		if (page)
			memcpy(to, page + off % PAGE_BYTES, n);
		else
			memset(to, 0, n);
		to += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int mem_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	const char *from = buf;

	while (len) {
		size_t n = (size_t)piece_at(off, len);
		char *page = make_page((struct mem_disk *)d, off);

		if (!page)
			return error_nomem(err);
		memcpy(page + off % PAGE_BYTES, from, n);
		from += n;
		off += n;
		len -= n;
	}
	return 0;
}

static int mem_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	struct mem_disk *m = (struct mem_disk *)d;

	(void)err;
	while (len) {
		uint64_t n = piece_at(off, len);
		char *page = find_page(m, off);

		if (page && n == PAGE_BYTES) {
			uint64_t number = off / PAGE_BYTES;

			free(page);
			m->table[number / TABLE_PAGES][number % TABLE_PAGES] = NULL;
		} else if (page) {
			memset(page + off % PAGE_BYTES, 0, n);
		}
		off += n;
		len -= n;
	}
	return 0;
}

static int mem_flush(struct disk *d, struct p2h_error *err)
{
	(void)d;
	(void)err;
	return 0;
}

static int mem_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	const struct mem_disk *m = (struct mem_disk *)d;
	bool zero = !find_page(m, off);
	uint64_t end = off;

	(void)err;
	while (end < d->size && !find_page(m, end) == zero) {
		uint64_t step = m->table[end / PAGE_BYTES / TABLE_PAGES] ? PAGE_BYTES : (uint64_t)PAGE_BYTES * TABLE_PAGES;

		end = (end / step + 1) * step;
	}
	*ret = (struct disk_extent){.len = end - off, .zero = zero};
	return 0;
}

static void mem_close(struct disk *d)
{
	struct mem_disk *m = (struct mem_disk *)d;

	for (size_t i = 0; i < m->tables; i++) {
		for (size_t k = 0; m->table[i] && k < TABLE_PAGES; k++)
			free(m->table[i][k]);
		free(m->table[i]);
	}
	free(m->table);
	free(m);
}

static const struct disk_ops mem_ops = {
	.read = mem_read,
	.write = mem_write,
	.zero = mem_zero,
	.flush = mem_flush,
	.extent = mem_extent,
	.close = mem_close,
};

int disk_mem_open(uint64_t size, struct disk **ret, struct p2h_error *err)
{
	uint64_t tables = size / PAGE_BYTES / TABLE_PAGES + 1;
	struct mem_disk *m;

	if (!size || tables > SIZE_MAX / sizeof(void *))
		return error_set(err, P2H_USAGE, "memory disk: impossible size");
	m = calloc(1, sizeof(*m));
	if (!m)
		return error_nomem(err);
	m->tables = (size_t)tables;
	m->table = calloc(m->tables, sizeof(*m->table));
	if (!m->table) {
		free(m);
		return error_nomem(err);
	}
	disk_init(&m->d, &mem_ops, size, true, "memory disk");
	*ret = &m->d;
	return 0;
}
