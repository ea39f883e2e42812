#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "disk/copy.h"
#include "disk/host.h"
#include "disk/journal.h"
#include "disk/shift.h"

#define WITNESS_BYTES (UINT64_C(2) << 20) /* from the start of the image: superblock, group descriptors, ... */

struct inplace {
	struct transaction *t;
	struct disk *image; /* the source, writable */
	uint64_t shift;
	const struct commit_options *options;
	struct ranges changes;
	struct journal journal;
	char *after, *before, *seen;
	uint64_t done, total;
	bool started; /* past the point of no return */
};

static void inplace_done(struct inplace *p)
{
	ranges_done(&p->changes);
	journal_close(&p->journal);
	free(p->after);
	free(p->before);
	free(p->seen);
	disk_close(p->image);
}

static int report(struct inplace *p, uint64_t bytes, struct p2h_error *err)
{
	int code;

	p->done += bytes;
	code = commit_report(p->options, p->done, p->total, p->started ? NULL : err);
	return p->started ? 0 : code; /* once blocks are written, it goes on to the end */
}

/* The before-image of [off, off + len), which lies behind the shift, from the image that is now locked. */
static int save_before(struct inplace *p, uint64_t off, uint32_t len, struct p2h_error *err)
{
	int code = disk_read(p->image, p->before, off - p->shift, len, err);

	if (!code)
		code = disk_read(transaction_under(p->t), p->seen, off, len, err);
	if (!code && memcmp(p->before, p->seen, len))
		code = error_set(err, P2H_STALE, "%s: was changed by another program since it was read", p->image->name);
	if (code)
		return code;
	if (is_zero(p->before, len))
		return journal_add(&p->journal, JOURNAL_ZERO, off, len, p->after, NULL, err);
	return journal_add(&p->journal, JOURNAL_DATA, off, len, p->after, p->before, err);
}

static int save_range(struct inplace *p, uint64_t off, uint64_t end, struct p2h_error *err)
{
	while (off < end) {
		uint64_t limit = off < p->shift && end > p->shift ? p->shift : end;
		uint32_t len = limit - off < JOURNAL_RECORD_MAX ? (uint32_t)(limit - off) : JOURNAL_RECORD_MAX;
		int code = disk_read(transaction_disk(p->t), p->after, off, len, err);

		if (!code && off < p->shift)
			code = journal_add(&p->journal, JOURNAL_NEW, off, len, p->after, NULL, err);
		else if (!code)
			code = save_before(p, off, len, err);
		if (!code)
			code = report(p, len, err);
		if (code)
			return code;
		off += len;
	}
	return 0;
}

/* What is not changed near the start tells whether the image was used since: a booted guest changes its superblock. */
static int save_witnesses(struct inplace *p, struct p2h_error *err)
{
	uint64_t off = p->shift, end = transaction_disk(p->t)->size;

	if (end > off + WITNESS_BYTES)
		end = off + WITNESS_BYTES;
	while (off < end) {
		uint64_t run_end = 0, next = ranges_next(&p->changes, off, &run_end), limit = next < end ? next : end;
		uint32_t len;
		int code;

		if (next <= off) {
			off = run_end;
			continue;
		}
		len = limit - off < JOURNAL_RECORD_MAX ? (uint32_t)(limit - off) : JOURNAL_RECORD_MAX;
		code = disk_read(p->image, p->before, off - p->shift, len, err);
		if (!code)
			code = journal_add(&p->journal, JOURNAL_WITNESS, off, len, p->before, NULL, err);
		if (code)
			return code;
		off += len;
	}
	return 0;
}

static int save_map(struct inplace *p, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges map = {0};
	int code;

	if (!p->shift)
		return 0;
	code = disk_flush(p->image, err); /* so that what it shows lasts */
	if (!code)
		code = shift_map(p->image->fd, p->image->name, 0, p->image->size, &map, err);
	return code ? code : journal_set_map(&p->journal, &map, err);
}

static int write_journal(struct inplace *p, struct p2h_error *err)
{
	int code = 0;

	for (size_t i = 0; !code && i < p->changes.len; i++)
		code = save_range(p, p->changes.item[i].off, p->changes.item[i].off + p->changes.item[i].len, err);
	if (!code)
		code = save_witnesses(p, err);
	if (!code)
		code = save_map(p, err);
	return code ? code : journal_set_state(&p->journal, JOURNAL_PREPARED, err);
}

static int insert_front(struct inplace *p, struct p2h_error *err)
{
	int code = shift_insert(p->image->fd, p->image->name, p->shift, err);
	struct stat st;

	/* File systems make a file longer before they move anything in it. */
	p->started = !code || fstat(p->image->fd, &st) || (uint64_t)st.st_size != p->image->size;
	if (code)
		return code;
	p->image->size += p->shift;
	code = disk_flush(p->image, err);
	return code ? code : journal_set_state(&p->journal, JOURNAL_APPLYING, err);
}

static int write_range(struct inplace *p, uint64_t off, uint64_t end, struct p2h_error *err)
{
	while (off < end) {
		size_t len = end - off < COPY_BUFFER ? (size_t)(end - off) : COPY_BUFFER;
		int code = disk_read(transaction_disk(p->t), p->after, off, len, err);

		if (!code && is_zero(p->after, len))
			code = disk_zero(p->image, off, len, err);
		else if (!code)
			code = disk_write(p->image, p->after, off, len, err);
		if (code)
			return code;
		report(p, len, NULL);
		off += len;
	}
	return 0;
}

/* The boot sector's block comes last: until then a machine does not start into half a conversion. */
static int write_blocks(struct inplace *p, struct p2h_error *err)
{
	uint64_t first = 0;
	int code = 0;

	p->started = true;
	for (size_t i = 0; !code && i < p->changes.len; i++) {
		uint64_t off = p->changes.item[i].off, end = off + p->changes.item[i].len;

		if (!off) {
			first = end < TRANSACTION_BLOCK ? end : TRANSACTION_BLOCK;
			off = first;
		}
		code = write_range(p, off, end, err);
	}
	if (!code)
		code = disk_flush(p->image, err);
	if (!code && first) {
		code = write_range(p, 0, first, err);
		if (!code)
			code = disk_flush(p->image, err);
	}
	return code ? code : journal_set_state(&p->journal, JOURNAL_COMPLETE, err);
}

static int prepare(struct inplace *p, const char *path, const char *format, struct p2h_error *err)
{
	uint64_t size = transaction_disk(p->t)->size;
	struct stat st;
	int code = host_check_unused(path, true, err);

	if (!code)
		code = disk_open(path, format, DISK_WRITE, &p->image, err);
	if (code)
		return code;
	if (p->shift && (p->image->fd < 0 || fstat(p->image->fd, &st) || !S_ISREG(st.st_mode)))
		return error_set(err, P2H_UNSUPPORTED, "%s: only a raw image file can be shifted in place", path);
	if (p->shift > size || p->image->size != size - p->shift)
		return error_set(err, P2H_STALE, "%s: changed its size since it was read", path);
	p->after = malloc(JOURNAL_RECORD_MAX);
	p->before = malloc(JOURNAL_RECORD_MAX);
	p->seen = malloc(JOURNAL_RECORD_MAX);
	return p->after && p->before && p->seen ? 0 : error_nomem(err);
}

static int apply(struct inplace *p, struct p2h_error *err)
{
	int code = write_journal(p, err);

	if (!code)
		code = report(p, 0, err);
	if (!code && p->shift)
		code = insert_front(p, err);
	return code ? code : write_blocks(p, err);
}

static_assert(COPY_BUFFER <= JOURNAL_RECORD_MAX, "the buffers of a journal serve for copying too");

int commit_in_place(struct transaction *t, const char *source_path, const char *format, uint64_t shift,
		    const char *undo_path, const struct commit_options *options, struct p2h_error *err)
{
	CLEANUP(inplace_done) struct inplace p = {.t = t, .shift = shift, .options = options, .journal.fd = -1};
	int code = transaction_changes(t, &p.changes, err);

	if (code || (!p.changes.len && !shift))
		return code;
	p.total = 2 * ranges_total(&p.changes);
	code = prepare(&p, source_path, format, err);
	if (!code)
		code = journal_create(&p.journal, undo_path, p.image->size, shift, p.image->format, err);
	if (code) {
		if (p.journal.fd >= 0)
			unlink(undo_path);
		return code;
	}
	code = apply(&p, err);
	if (!code)
		return 0;
	if (!p.started) {
		unlink(undo_path);
		return code;
	}
	return error_prefix(err, code, "%s is half written; `pv2hvm undo` restores it from %s", source_path, undo_path);
}
