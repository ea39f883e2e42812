#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "disk/imagerefs.h"

/*
 * A qcow2 file that is cut off, as a broken download leaves it: QEMU opens it and reads zeros where the rest should be.
 * Layout: QEMU's docs/interop/qcow2.txt.
 */
#define L1_BYTES_MAX (32u << 20) /* QEMU's own limit */
#define OFFSET_MASK UINT64_C(0x00fffffffffffe00)
#define COMPRESSED (UINT64_C(1) << 62)
#define INCOMPATIBLE_DATA_FILE 4u
#define INCOMPATIBLE_EXTENDED_L2 16u

struct qcow2 {
	int fd;
	const char *name;
	uint64_t file_size, cluster, l1_off;
	uint32_t cluster_bits, l1_entries, entry_size;
	bool data_elsewhere;
};

static int damaged(const struct qcow2 *q, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "%s: begins like a qcow2 image, but its header is damaged", q->name);
}

static int cut_off(const struct qcow2 *q, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "%s: the qcow2 image is cut off: it refers to data behind its end", q->name);
}

static int read_table(const struct qcow2 *q, void *to, size_t len, uint64_t off, struct p2h_error *err)
{
	ssize_t n;

	if (!range_ok(off, len, q->file_size))
		return cut_off(q, err);
	n = pread_up_to(q->fd, to, len, off);
	if (n < 0)
		return error_sys(err, (int)-n, "%s: read", q->name);
	return (size_t)n == len ? 0 : cut_off(q, err);
}

static int read_header(struct qcow2 *q, struct p2h_error *err)
{
	unsigned char head[104] = {0};
	ssize_t n = pread_up_to(q->fd, head, sizeof(head), 0);
	uint64_t features;

	if (n < 0)
		return error_sys(err, (int)-n, "%s: read", q->name);
	if (n < 72 || memcmp(head, "QFI\xfb", 4))
		return error_set(err, P2H_CORRUPT, "%s: is not a qcow2 image", q->name);
	features = be32_get(head + 4) >= 3 ? be64_get(head + 72) : 0;
	q->cluster_bits = be32_get(head + 20);
	q->l1_entries = be32_get(head + 36);
	q->l1_off = be64_get(head + 40);
	if (q->cluster_bits < 9 || q->cluster_bits > 21 || q->l1_entries > L1_BYTES_MAX / 8)
		return damaged(q, err);
	q->cluster = UINT64_C(1) << q->cluster_bits;
	q->entry_size = features & INCOMPATIBLE_EXTENDED_L2 ? 16 : 8;
	q->data_elsewhere = features & INCOMPATIBLE_DATA_FILE;
	return 0;
}

static int check_l2(const struct qcow2 *q, const unsigned char *table, struct p2h_error *err)
{
	uint64_t compressed_mask = (UINT64_C(1) << (62 - (q->cluster_bits - 8))) - 1;

	for (size_t at = 0; at < q->cluster; at += q->entry_size) {
		uint64_t entry = be64_get(table + at);
		uint64_t off = entry & COMPRESSED ? entry & compressed_mask : entry & OFFSET_MASK;

		if (off >= q->file_size)
			return cut_off(q, err);
	}
	return 0;
}

int qcow2_check_whole(int fd, const char *name, uint64_t file_size, struct p2h_error *err)
{
	struct qcow2 q = {.fd = fd, .name = name, .file_size = file_size};
	CLEANUP_FREE unsigned char *l1 = NULL, *l2 = NULL;
	uint64_t tables = 0;
	int code = read_header(&q, err);

	if (code)
		return code;
	l1 = malloc((size_t)q.l1_entries * 8 + 1);
	l2 = malloc(q.cluster);
	if (!l1 || !l2)
		return error_nomem(err);
	code = read_table(&q, l1, (size_t)q.l1_entries * 8, q.l1_off, err);
	for (uint32_t i = 0; !code && i < q.l1_entries; i++) {
		uint64_t off = be64_get(l1 + (size_t)i * 8) & OFFSET_MASK;

		if (!off)
			continue;
		tables += q.cluster;
		if (tables > file_size) /* entries that share tables: hours of reading */
			return damaged(&q, err);
		code = read_table(&q, l2, q.cluster, off, err);
		if (!code && !q.data_elsewhere)
			code = check_l2(&q, l2, err);
	}
	return code;
}
