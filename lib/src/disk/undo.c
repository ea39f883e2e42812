#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "disk/commit.h"
#include "disk/copy.h"
#include "disk/host.h"
#include "disk/journal.h"
#include "disk/shift.h"

struct undo {
	struct journal journal;
	struct disk *image;
	uint64_t size, shift; /* of the image before the conversion, and what was put in front of it */
	bool force;
	char *now; /* JOURNAL_RECORD_MAX bytes */
};

static void undo_done(struct undo *u)
{
	journal_close(&u->journal);
	disk_close(u->image);
	free(u->now);
}

static int stale(const struct undo *u, uint64_t off, struct p2h_error *err)
{
	return error_set(err, P2H_STALE, "%s: was changed after the conversion (at byte %" PRIu64 "); undoing would "
			 "damage it", u->image->name, off);
}

/* Each sector must be as before the conversion or as after it: a crash leaves a mixture, another program neither. */
static int check_entry(struct undo *u, const struct journal_entry *e, uint64_t at, bool only_before,
		       struct p2h_error *err)
{
	int code = disk_read(u->image, u->now, at, e->len, err);

	if (code)
		return code;
	for (size_t i = 0; i < e->len; i += JOURNAL_SECTOR) {
		size_t n = e->len - i < JOURNAL_SECTOR ? e->len - i : JOURNAL_SECTOR;
		bool before = false, after = journal_sum(u->now + i, n) == le32_get(e->sums + i / JOURNAL_SECTOR * 4);

		if (e->flags & JOURNAL_DATA)
			before = !memcmp(u->now + i, e->data + i, n);
		else if (e->flags & (JOURNAL_ZERO | JOURNAL_NEW))
			before = is_zero(u->now + i, n);
		else if (e->flags & JOURNAL_WITNESS)
			before = after;
		if (!before && (only_before || !after))
			return stale(u, at + i, err);
	}
	return 0;
}

/* shifted: the image still has what was put in front of it. */
static int check_all(struct undo *u, bool shifted, bool only_before, struct p2h_error *err)
{
	CLEANUP(journal_entry_done) struct journal_entry e = {0};
	uint64_t pos = 0;
	int found;

	while ((found = journal_next(&u->journal, &pos, &e, err)) > 0) {
		int code = 0;

		if (shifted)
			code = check_entry(u, &e, e.off, only_before, err);
		else if (e.off >= u->shift)
			code = check_entry(u, &e, e.off - u->shift, only_before, err);
		if (code)
			return code;
	}
	return found;
}

static int restore_entry(struct undo *u, const struct journal_entry *e, uint64_t at, struct p2h_error *err)
{
	struct disk_extent hole;
	int code;

	if (e->flags & JOURNAL_DATA)
		return disk_write(u->image, e->data, at, e->len, err);
	if (!(e->flags & JOURNAL_ZERO))
		return 0;
	code = disk_extent(u->image, at, &hole, err);
	if (code || (hole.zero && hole.len >= e->len))
		return code;
	return disk_zero(u->image, at, e->len, err);
}

static int restore_all(struct undo *u, bool shifted, struct p2h_error *err)
{
	CLEANUP(journal_entry_done) struct journal_entry e = {0};
	uint64_t pos = 0;
	int found;

	while ((found = journal_next(&u->journal, &pos, &e, err)) > 0) {
		int code = 0;

		if (shifted || e.off >= u->shift)
			code = restore_entry(u, &e, shifted ? e.off : e.off - u->shift, err);
		if (code)
			return code;
	}
	return found ? found : disk_flush(u->image, err);
}

/*
 * All blocks are back, `shift` bytes too far. What lies in front is emptied and a new map made (a block that was zeros may
 * have been stored before and be a hole now), and both last, before anything moves.
 */
static int begin_unshift(struct undo *u, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges map = {0};
	int code = disk_zero(u->image, 0, u->shift, err);

	if (!code)
		code = disk_flush(u->image, err);
	if (!code)
		code = shift_map(u->image->fd, u->image->name, u->shift, u->size, &map, err);
	if (!code)
		code = journal_set_map(&u->journal, &map, err);
	return code ? code : journal_set_state(&u->journal, JOURNAL_UNSHIFTING, err);
}

static int unshift(struct undo *u, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges map = {0};
	int code = journal_get_map(&u->journal, &map, err);

	if (!code)
		code = shift_remove(u->image->fd, u->image->name, u->shift, u->size, &map, err);
	if (code)
		return code;
	u->image->size = u->size;
	return 0;
}

static int undo_shifted(struct undo *u, struct p2h_error *err)
{
	enum journal_state state = journal_state(&u->journal);
	int code;

	if (state == JOURNAL_APPLYING || state == JOURNAL_COMPLETE) {
		code = u->force ? 0 : check_all(u, true, false, err);
		if (!code)
			code = restore_all(u, true, err);
		if (!code)
			code = begin_unshift(u, err);
		if (code)
			return code;
	}
	code = unshift(u, err); /* also of a shift that did not come to its end */
	if (code || u->force)
		return code;
	return check_all(u, false, true, err);
}

static int undo_image(struct undo *u, struct p2h_error *err)
{
	int code;

	if (!u->shift && u->image->size == u->size) {
		code = u->force ? 0 : check_all(u, true, false, err);
		return code ? code : restore_all(u, true, err);
	}
	if (u->shift && u->image->size == u->size + u->shift)
		return undo_shifted(u, err);
	if (u->shift && u->image->size == u->size) /* not begun, or done but for the journal's removal */
		return u->force ? restore_all(u, false, err) : check_all(u, false, true, err);
	return error_set(err, P2H_STALE, "%s: has %" PRIu64 " bytes, the image that was converted had %" PRIu64,
			 u->image->name, u->image->size, u->size);
}

static int open_image(struct undo *u, const char *path, const char *format, struct p2h_error *err)
{
	struct stat st;
	int code = host_check_unused(path, true, err);

	if (!code)
		code = disk_open(path, format ? format : u->journal.header.format, DISK_WRITE, &u->image, err);
	if (code)
		return code;
	if (u->shift && (u->image->fd < 0 || fstat(u->image->fd, &st) || !S_ISREG(st.st_mode)))
		return error_set(err, P2H_STALE, "%s: is not the raw image file that was converted", path);
	u->now = malloc(JOURNAL_RECORD_MAX);
	return u->now ? 0 : error_nomem(err);
}

int commit_check_unfinished(const char *image_path, const char *undo_path, struct p2h_error *err)
{
	CLEANUP(journal_close) struct journal j = {.fd = -1};

	if (journal_open(&j, undo_path, NULL) || journal_state(&j) == JOURNAL_WRITING ||
	    journal_state(&j) == JOURNAL_COMPLETE)
		return 0;
	return error_set(err, P2H_STALE, "%s: its conversion in place broke off, and it is half written: put it back with "
			 "`pv2hvm undo %s` first (journal %s)", image_path, image_path, undo_path);
}

bool commit_is_begun(const char *undo_path)
{
	return journal_is_begun(undo_path);
}

int commit_undo(const char *image_path, const char *format, const char *undo_path, bool force, struct p2h_error *err)
{
	CLEANUP(undo_done) struct undo u = {.journal.fd = -1, .force = force};
	int code = journal_open(&u.journal, undo_path, err);

	if (code == P2H_CORRUPT && journal_is_begun(undo_path))
		return error_set(err, code, "undo journal %s: ends before its header is whole: a conversion that ended while it made it has not "
				 "overwritten anything of %s; there is nothing to undo, and convert may be run again", undo_path, image_path);
	if (code)
		return code;
	if (journal_state(&u.journal) == JOURNAL_WRITING) /* the image was not touched yet */
		return journal_remove(&u.journal, err);
	u.size = journal_image_size(&u.journal);
	u.shift = journal_shift(&u.journal);
	code = open_image(&u, image_path, format, err);
	if (!code)
		code = undo_image(&u, err);
	if (!code)
		code = disk_flush(u.image, err);
	return code ? code : journal_remove(&u.journal, err);
}
