/* fs_fault_test.c - a disk that fails at the n-th read or write, for every n; and file systems with damaged metadata */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fs/fs.h"
#include "support/fsimage.h"

#define NOW 1700000000

static struct p2h_error err;
static const struct fs_meta meta = {.mode = 0755, .mtime = 1};

/* A small tree on a small volume, as bytes. */
static char *small_image(const char *const *args, size_t *ret_len)
{
	CLEANUP_FREE char *tree = NULL;
	CLEANUP_DISK struct disk *d = NULL;
	char *all, path[400];
	FILE *f;

	assert_true(asprintf(&tree, "%s/small-tree", fsimage_dir()) > 0);
	if (!mkdir(tree, 0755)) {
		snprintf(path, sizeof(path), "%s/dir", tree);
		assert_int_equal(mkdir(path, 0755), 0);
		snprintf(path, sizeof(path), "%s/dir/file", tree);
		f = fopen(path, "w");
		assert_non_null(f);
		for (int i = 0; i < 30000; i++)
			fputc(i % 4096 ? 0 : 1, f); /* few bytes that are not zero: damage is to hit metadata */
		assert_int_equal(fclose(f), 0);
		snprintf(path, sizeof(path), "%s/link", tree);
		assert_int_equal(symlink("a/target/that/is/longer/than/sixty/bytes/and/so/takes/a/block/of/its/own", path), 0);
	}
	OK(disk_open(fsimage_make("small", args, 2, tree), "raw", 0, &d, &err));
	*ret_len = (size_t)d->size;
	all = malloc(*ret_len);
	assert_non_null(all);
	OK(disk_read(d, all, 0, *ret_len, &err));
	return all;
}

static struct disk *memory_disk(const char *data, size_t len)
{
	struct disk *d = NULL;

	OK(disk_mem_open(len, &d, &err));
	OK(disk_write(d, data, 0, len, &err));
	return d;
}

/* ---- faults ---- */

/* Some of everything; stops at the first failure and returns its code. */
static int script(struct disk *d)
{
	CLEANUP_FS struct fs *fs = NULL;
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP(fs_xattrs_done) struct fs_xattrs x = {0};
	CLEANUP(ranges_done) struct ranges ranges = {0};
	CLEANUP(buf_done) struct buf content = {0};
	CLEANUP_FREE char *target = NULL;
	static char data[20000];
	int rc = fs_ext_open(d, FS_WRITE, NOW, &fs, &err);

	if (!rc)
		rc = fs_list(fs, "/dir", &names, &err);
	if (!rc)
		rc = fs_read(fs, "/dir/file", 1 << 20, &content, &err);
	if (!rc)
		rc = fs_readlink(fs, "/link", &target, &err);
	if (!rc)
		rc = fs_write(fs, "/dir/new", data, sizeof(data), NULL, &err);
	if (!rc)
		rc = fs_write(fs, "/dir/file", data, sizeof(data), NULL, &err);
	if (!rc)
		rc = fs_mkdir(fs, "/dir/sub", &meta, &err);
	if (!rc)
		rc = fs_symlink(fs, target, "/dir/sub/link", &meta, &err);
	if (!rc)
		rc = fs_mknod(fs, "/dir/sub/null", S_IFCHR, 1, 3, &meta, &err);
	if (!rc)
		rc = fs_set_xattr(fs, "/dir/new", "user.x", data, 400, &err);
	if (!rc)
		rc = fs_xattrs(fs, "/dir/new", &x, &err);
	if (!rc)
		rc = fs_link(fs, "/dir/new", "/dir/sub/new", &err);
	if (!rc)
		rc = fs_rename(fs, "/dir/sub", "/sub", &err);
	if (!rc)
		rc = fs_unlink(fs, "/dir/file", &err);
	if (!rc)
		rc = fs_boot_write(fs, data, 9000, &ranges, &err);
	if (!rc)
		rc = fs_free_ranges(fs, 0, &ranges, &err);
	return rc ? rc : fs_close(TAKE(fs), &err);
}

static const char *const kinds[][10] = {
	{"-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit,^has_journal", NULL},
	{"-t", "ext2", "-b", "1024", NULL},
};

static void sweep(const char *image, size_t len, enum disk_fault_kind kind)
{
	struct disk_fault_plan plan = {0};
	uint64_t n;

	for (n = 1;; n++) {
		CLEANUP_DISK struct disk *under = memory_disk(image, len), *d = NULL;
		int rc;

		plan = (struct disk_fault_plan){0};
		plan.fail_at[kind] = n;
		OK(disk_fault_open(under, &plan, &d, &err));
		err = (struct p2h_error){0};
		rc = script(d);
		if (plan.calls[kind] < n) { /* as many calls as there are: nothing failed */
			OK(rc);
			break;
		}
		if (rc != P2H_IO || err.sys_errno != EIO)
			fail_msg("fault %d at call %llu: %d %s", kind, (unsigned long long)n, rc, err.msg);
	}
	assert_true(n > 10);
	print_message("faults: file system, %s failed: %u\n", kind == DISK_FAULT_READ ? "read" : "write", (unsigned)n - 1);
}

static void test_faults(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len;
		CLEANUP_FREE char *image = small_image(kinds[i], &len);

		sweep(image, len, DISK_FAULT_READ);
		sweep(image, len, DISK_FAULT_WRITE);
	}
}

/* ---- damage ---- */

static void walk(struct fs *fs, const char *path, int depth)
{
	CLEANUP(strlist_done) struct strlist names = {0};

	if (depth > 6 || fs_list(fs, path, &names, &err))
		return;
	for (size_t i = 0; i < names.len && i < 50; i++) {
		CLEANUP(fs_xattrs_done) struct fs_xattrs x = {0};
		CLEANUP(buf_done) struct buf content = {0};
		CLEANUP_FREE char *inner = NULL, *target = NULL;
		struct fs_stat st;

		assert_true(asprintf(&inner, "%s/%s", path[1] ? path : "", names.item[i]) > 0);
		fs_xattrs(fs, inner, &x, &err);
		if (fs_lstat(fs, inner, &st, &err))
			continue;
		if (S_ISDIR(st.mode))
			walk(fs, inner, depth + 1);
		else if (S_ISLNK(st.mode))
			fs_readlink(fs, inner, &target, &err);
		else if (S_ISREG(st.mode))
			fs_read(fs, inner, 1 << 20, &content, &err);
	}
}

/* Whatever the bytes are, calls come back, and leave memory alone. */
static void use_damaged(struct disk *d, unsigned flags)
{
	CLEANUP_FS struct fs *fs = NULL;
	CLEANUP(ranges_done) struct ranges ranges = {0};
	CLEANUP(buf_done) struct buf boot = {0};
	static const char data[5000];

	if (fs_ext_open(d, flags, NOW, &fs, &err))
		return;
	walk(fs, "/", 0);
	fs_free_ranges(fs, 0, &ranges, &err);
	fs_boot_read(fs, &boot, &ranges, &err);
	if (!(flags & FS_WRITE))
		return;
	fs_write(fs, "/dir/file", data, sizeof(data), NULL, &err);
	fs_write(fs, "/dir/new", data, sizeof(data), NULL, &err);
	fs_mkdir(fs, "/dir/sub", &meta, &err);
	fs_boot_write(fs, data, sizeof(data), &ranges, &err);
	fs_unlink(fs, "/link", &err);
	fs_unlink(fs, "/dir/file", &err);
}

static const char *const damaged_kinds[][10] = {
	{"-t", "ext4", "-b", "1024", "-O", "^metadata_csum,inline_data,^has_journal,^64bit", NULL},
	{"-t", "ext2", "-b", "1024", NULL},
};

static void test_damage(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(damaged_kinds) / sizeof(damaged_kinds[0]); i++) {
		size_t len;
		CLEANUP_FREE char *image = small_image(damaged_kinds[i], &len);
		uint32_t random = 12345;

		for (int round = 0; round < 500; round++) {
			CLEANUP_DISK struct disk *d = NULL;
			CLEANUP_FREE char *copy = malloc(len);

			assert_non_null(copy);
			memcpy(copy, image, len);
			for (int k = 0; k < 1 + round % 8; k++) { /* bytes that are in use: metadata, mostly */
				size_t at;

				do {
					random = random * 1664525 + 1013904223;
					at = (random >> 4) % len;
				} while (!image[at]);
				random = random * 1664525 + 1013904223;
				copy[at] = (char)(random >> 24);
			}
			d = memory_disk(copy, len);
			use_damaged(d, round % 2 ? FS_WRITE : 0);
		}
	}
}

static int teardown(void **state)
{
	(void)state;
	fsimage_done();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_damage),
	};

	if (!fsimage_possible()) {
		puts("fs_fault_test: mke2fs or e2fsck is missing");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, teardown);
}
