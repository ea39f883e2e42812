#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "support/verifycheck.h"

const struct fs_meta verify_meta = {.mode = 0755};

void verify_check_tools(void)
{
	if (!bootimage_possible()) {
		print_message("grub-mkimage, boot.img or mke2fs is not installed\n");
		skip();
	}
}

void edit_put(struct fs *fs, const char *path, const char *text)
{
	struct p2h_error e = {0};

	if (fs_write(fs, path, text, strlen(text), &verify_meta, &e))
		fail_msg("%s: %s", path, e.msg);
}

void edit_put_buf(struct fs *fs, const char *path, struct buf *b)
{
	struct p2h_error e = {0};

	if (fs_write(fs, path, b->data, b->len, &verify_meta, &e))
		fail_msg("%s: %s", path, e.msg);
	buf_done(b);
}

void edit_replace(struct fs *fs, const char *path, const char *from, const char *to)
{
	struct buf old = {0}, new = {0};
	char *at;

	assert_int_equal(fs_read(fs, path, 1 << 20, &old, NULL), 0);
	at = memmem(old.data, old.len, from, strlen(from));
	assert_non_null(at);
	buf_append(&new, old.data, (size_t)(at - old.data));
	buf_puts(&new, to);
	buf_append(&new, at + strlen(from), old.len - (size_t)(at - old.data) - strlen(from));
	edit_put_buf(fs, path, &new);
	buf_done(&old);
}

void edit_append(struct fs *fs, const char *path, const char *text)
{
	struct buf b = {0};

	assert_int_equal(fs_read(fs, path, 1 << 20, &b, NULL), 0);
	buf_puts(&b, text);
	edit_put_buf(fs, path, &b);
}

void edit_cut(struct fs *fs, const char *path, size_t drop)
{
	struct buf b = {0};

	assert_int_equal(fs_read(fs, path, 1 << 20, &b, NULL), 0);
	assert_true(drop < b.len);
	b.len -= drop;
	edit_put_buf(fs, path, &b);
}

void edit_remove(struct fs *fs, const char *path)
{
	assert_int_equal(fs_unlink(fs, path, NULL), 0);
}

void edit_bytes(struct disk *d, uint64_t off, const void *data, size_t len)
{
	assert_int_equal(disk_write(d, data, off, len, NULL), 0);
}

void edit_bits(struct disk *d, uint64_t off, uint32_t bits)
{
	uint8_t field[4];

	assert_int_equal(disk_read(d, field, off, 4, NULL), 0);
	le32_put(field, le32_get(field) | bits);
	edit_bytes(d, off, field, 4);
}

static void change_files(struct disk *d, bool flat, void (*files)(struct fs *fs))
{
	CLEANUP_DISK struct disk *slice = NULL;
	struct fs *fs = NULL;

	assert_int_equal(disk_slice_open(d, flat ? 0 : BOOTIMAGE_PART, BOOTIMAGE_FS, &slice, NULL), 0);
	assert_int_equal(fs_ext_open(slice, FS_WRITE, 1700000001, &fs, NULL), 0);
	files(fs);
	assert_int_equal(fs_close(fs, NULL), 0);
}

void verify_print(const char *name, const struct verify_report *r)
{
	static const char *const results[] = {"pass", "FAIL", "warn", "skip"};

	print_message("%s:\n", name);
	for (size_t i = 0; i < r->len; i++)
		print_message("  %-18s %s  %s\n", r->item[i].id, results[r->item[i].result], r->item[i].evidence);
}

/* The one step that fails is the row's; a warning row passes. */
bool verify_row_holds(const struct verify_row *row, const struct verify_report *r)
{
	bool seen = !row->id;

	if (r->passed != (row->result != VERIFY_FAIL))
		return false;
	for (size_t i = 0; i < r->len; i++) {
		const struct verify_step *s = &r->item[i];
		bool this = row->id && !strcmp(s->id, row->id);

		if (!s->evidence || !*s->evidence || strchr(s->evidence, '\n'))
			return false;
		if (s->result == VERIFY_FAIL && !(this && row->result == VERIFY_FAIL))
			return false;
		if (row->result == VERIFY_PASS && s->result != VERIFY_PASS)
			return false;
		if (this)
			seen = s->result == row->result && (!row->says || strstr(s->evidence, row->says));
	}
	return seen;
}

void verify_check_rows(const struct verify_row *row, size_t len)
{
	unsigned wrong = 0;

	verify_check_tools();
	for (size_t i = 0; i < len; i++) {
		CLEANUP_DISK struct disk *d = bootimage_open(row[i].flat);
		struct verify_report r = {0};
		struct p2h_error e = {0};

		assert_non_null(d);
		if (row[i].files)
			change_files(d, row[i].flat, row[i].files);
		if (row[i].bytes)
			row[i].bytes(d);
		if (verify_disk(d, -1, row[i].targets ? row[i].targets : VERIFY_ALL, &r, &e))
			fail_msg("%s: %s", row[i].name, e.msg);
		if (!verify_row_holds(&row[i], &r)) {
			verify_print(row[i].name, &r);
			wrong++;
		}
		verify_report_done(&r);
	}
	assert_int_equal(wrong, 0);
}
