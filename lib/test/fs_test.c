/* fs_test.c - reading: one tree, the same answers from every engine; and what must not be opened */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/fs.h"
#include "support/fsconform.h"
#include "support/fsimage.h"
#include "support/scratch.h"

static struct p2h_error err;

static void test_ext(void **state)
{
	(void)state;
	for (size_t i = 0; i < fsimage_n_configs; i++) {
		const struct fsimage_config *c = &fsimage_configs[i];
		const char *path = fsimage_make("image", c->args, 32, fsimage_tree());
		CLEANUP(ranges_done) struct ranges ranges = {0};
		CLEANUP_DISK struct disk *d = NULL;
		CLEANUP_FS struct fs *fs = NULL;
		struct fs_space space;
		struct fs_stat a, b;

		OK(disk_open(path, "raw", 0, &d, &err));
		OK(fs_ext_open(d, 0, 0, &fs, &err));
		assert_string_equal(fs_info(fs)->engine, "ext");
		assert_string_equal(fs_info(fs)->type, c->type);
		assert_string_equal(fs_info(fs)->uuid, "01234567-89ab-cdef-0123-456789abcdef");
		assert_string_equal(fs_info(fs)->label, "label");
		assert_false(fs_info(fs)->needs_recovery || fs_info(fs)->has_errors || fs_info(fs)->not_clean);
		assert_true(strlist_has(&fs_info(fs)->features, "filetype"));
		assert_int_equal(strlist_has(&fs_info(fs)->features, "has_journal"), !strcmp(c->type, "ext3") || !strcmp(c->type, "ext4"));
		fsconform_tree(fs, 0);
		OK(fs_lstat(fs, "/tiny", &a, &err));
		OK(fs_lstat(fs, "/deep/hard", &b, &err));
		assert_true(a.ino == b.ino && a.dev == b.dev);
		OK(fs_space(fs, &space, &err));
		OK(fs_free_ranges(fs, 4096, &ranges, &err));
		assert_int_equal(ranges_total(&ranges), space.blocks_free * space.block_size);
		assert_true(ranges.item[0].off >= 4096 + 1024);
	}
}

static void test_dir(void **state)
{
	CLEANUP_FS struct fs *fs = NULL;
	CLEANUP(ranges_done) struct ranges none = {0};
	struct fs_stat a, b;

	(void)state;
	OK(fs_dir_open(fsimage_tree(), &fs, &err));
	assert_string_equal(fs_info(fs)->engine, "dir");
	fsconform_tree(fs, 0);
	OK(fs_lstat(fs, "/tiny", &a, &err));
	OK(fs_lstat(fs, "/deep/hard", &b, &err));
	assert_true(a.ino == b.ino && a.dev == b.dev);
	OK(fs_free_ranges(fs, 0, &none, &err));
	assert_int_equal(none.len, 0);
	assert_int_equal(fs_dir_open("/no/such/directory", &(struct fs *){0}, &err), P2H_NOTFOUND);
	assert_int_equal(fs_dir_open("/etc/passwd", &(struct fs *){0}, &err), P2H_NOTFOUND);
}

/* The image's /deep is covered by the host's, /many by a second image: the tree looks the same, and links cross over. */
static void test_mount(void **state)
{
	static const char *const args[] = {"-t", "ext4", NULL};
	CLEANUP_FREE char *deep = NULL, *many = NULL;
	CLEANUP_DISK struct disk *d = NULL, *d2 = NULL;
	CLEANUP_FS struct fs *fs = NULL;
	struct fs *root = NULL, *child = NULL;
	struct fs_stat a, b;
	struct fs_space whole, part;

	(void)state;
	assert_true(asprintf(&deep, "%s/deep", fsimage_tree()) > 0 && asprintf(&many, "%s/many", fsimage_tree()) > 0);
	OK(disk_open(fsimage_make("image", args, 48, fsimage_tree()), "raw", 0, &d, &err));
	OK(fs_ext_open(d, 0, 0, &root, &err));
	OK(fs_mount_open(root, &fs, &err));
	OK(fs_dir_open(deep, &child, &err));
	OK(fs_mount_add(fs, "/etc/to-deep", child, &err)); /* a link to the mount point */
	OK(disk_open(fsimage_make("image2", args, 20, many), "raw", 0, &d2, &err));
	OK(fs_ext_open(d2, 0, 0, &child, &err));
	assert_int_equal(fs_mount_add(fs, "/nowhere", child, &err), P2H_NOTFOUND);
	assert_int_equal(fs_mount_add(fs, "/tiny", child, &err), P2H_NOTFOUND);
	assert_int_equal(fs_mount_add(fs, "/deep", child, &err), P2H_EXISTS);
	assert_int_equal(fs_mount_add(fs, "/", child, &err), P2H_EXISTS);
	assert_true(fs_exists(fs, "/many/a-name-of-some-length-00001"));
	OK(fs_mount_add(fs, "/many", child, &err));
	assert_true(fs_exists(fs, "/many/lost+found"));
	{
		CLEANUP(strlist_done) struct strlist names = {0};

		OK(fs_list(fs, "/many", &names, &err));
		assert_int_equal(names.len, FSIMAGE_MANY + 1);
	}
	fsconform_files(fs);
	fsconform_stat(fs);
	fsconform_paths(fs);
	fsconform_read_only(fs);
	OK(fs_lstat(fs, "/tiny", &a, &err));
	OK(fs_lstat(fs, "/deep/er", &b, &err));
	assert_int_not_equal(a.dev, b.dev);
	OK(fs_lstat(fs, "/deep/hard", &a, &err));
	assert_int_equal(a.dev, b.dev);
	OK(fs_space_at(fs, "/etc/../many", &part, &err));
	OK(fs_space(fs, &whole, &err));
	assert_true(part.blocks < whole.blocks);
}

/* ---- what must not be opened, or not for writing ---- */

#define SB 1024

static const char *const plain_args[] = {"-t", "ext3", "-b", "1024", "-O", "^resize_inode", NULL};

static void poke(struct disk *d, uint64_t off, unsigned long value, size_t len)
{
	uint8_t bytes[8];

	le64_put(bytes, value);
	OK(disk_write(d, bytes, off, len, &err));
}

static const struct {
	const char *what;
	uint64_t off; /* in the superblock */
	unsigned long value;
	size_t len;
	int read, write;
	const char *words; /* in the message of the failing one */
} refusals[] = {
	{"no magic", 0x38, 0, 2, P2H_NOTFOUND, P2H_NOTFOUND, "no ext2"},
	{"needs recovery", 0x60, 0x2 | 0x4, 4, 0, P2H_REFUSED, "needs_recovery"},
	{"errors", 0x3a, 3, 2, 0, P2H_REFUSED, "errors"},
	{"unknown incompat", 0x60, 0x2 | 0x80000000, 4, P2H_UNSUPPORTED, P2H_UNSUPPORTED, "FEATURE_I31"},
	{"compression", 0x60, 0x3, 4, P2H_UNSUPPORTED, P2H_UNSUPPORTED, "compression"},
	{"journal device", 0x60, 0x2 | 0x8, 4, P2H_UNSUPPORTED, P2H_UNSUPPORTED, "journal_dev"},
	{"unknown ro_compat", 0x64, 0x3 | 0x40000000, 4, 0, P2H_UNSUPPORTED, "FEATURE_R30"},
	{"quota", 0x64, 0x3 | 0x100, 4, 0, P2H_UNSUPPORTED, "quota"},
	{"shared blocks", 0x64, 0x3 | 0x4000, 4, 0, P2H_UNSUPPORTED, "shared_blocks"},
	{"block size", 0x18, 40, 4, P2H_CORRUPT, P2H_CORRUPT, "block size"},
	{"larger than its volume", 0x4, 4097 * 16, 4, P2H_CORRUPT, P2H_CORRUPT, ""},
	{"no inodes", 0x28, 0, 4, P2H_CORRUPT, P2H_CORRUPT, ""},
	{"blocks per group", 0x20, 0, 4, P2H_CORRUPT, P2H_CORRUPT, ""},
	{"free blocks", 0xc, 0xffffffff, 4, P2H_CORRUPT, P2H_CORRUPT, "free"},
};

static void test_refused(void **state)
{
	const char *path = fsimage_make("plain", plain_args, 16, NULL);

	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		CLEANUP_DISK struct disk *d = NULL;
		struct fs *fs = NULL;
		int rc;

		OK(disk_open(fsimage_copy(path, "refused"), "raw", DISK_WRITE, &d, &err));
		poke(d, SB + refusals[i].off, refusals[i].value, refusals[i].len);
		rc = fs_ext_open(d, 0, 0, &fs, &err);
		if (rc != refusals[i].read)
			fail_msg("%s: %d %s", refusals[i].what, rc, err.msg);
		if (!rc)
			OK(fs_close(fs, &err));
		rc = fs_ext_open(d, FS_WRITE, 1, &fs, &err);
		if (rc != refusals[i].write || !strstr(err.msg, refusals[i].words))
			fail_msg("%s, writing: %d %s", refusals[i].what, rc, err.msg);
	}
}

static void test_refused_disks(void **state)
{
	CLEANUP_DISK struct disk *tiny = NULL, *zero = NULL, *read_only = NULL;
	struct fs *fs = NULL;

	(void)state;
	OK(disk_mem_open(1024, &tiny, &err));
	assert_int_equal(fs_ext_open(tiny, 0, 0, &fs, &err), P2H_NOTFOUND);
	OK(disk_mem_open(1 << 20, &zero, &err));
	assert_int_equal(fs_ext_open(zero, 0, 0, &fs, &err), P2H_NOTFOUND);
	OK(disk_open(fsimage_make("plain", plain_args, 16, NULL), "raw", 0, &read_only, &err));
	assert_int_equal(fs_ext_open(read_only, FS_WRITE, 0, &fs, &err), P2H_USAGE);
}

/* Where the kernel finds names by other rules, none is looked up. */
static void test_closed_directories(void **state)
{
	static const struct {
		const char *feature, *flags, *words;
	} closed[] = {{"encrypt", "0x80800", "encrypted"}, {"casefold", "0x40080000", "casefold"}};
	static const char *const args[] = {"-t", "ext4", NULL};

	(void)state;
	for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
		const char *path = fsimage_copy(fsimage_make("closed", args, 32, fsimage_tree()), "flagged");
		CLEANUP_DISK struct disk *d = NULL;
		CLEANUP_FS struct fs *fs = NULL;
		struct fs_stat st;

		assert_int_equal(scratch_shell("debugfs -w -R 'feature %s' %s >/dev/null 2>&1", closed[i].feature, path), 0);
		assert_int_equal(scratch_shell("debugfs -w -R 'set_inode_field /deep flags %s' %s >/dev/null 2>&1", closed[i].flags, path), 0);
		OK(disk_open(path, "raw", 0, &d, &err));
		OK(fs_ext_open(d, 0, 0, &fs, &err));
		OK(fs_lstat(fs, "/deep", &st, &err));
		assert_int_equal(fs_lstat(fs, "/deep/hard", &st, &err), P2H_UNSUPPORTED);
		assert_non_null(strstr(err.msg, closed[i].words));
		OK(fs_lstat(fs, "/tiny", &st, &err));
	}
}

/* Such a mark keeps a directory from being changed, whatever the superblock says. */
static void test_marked_directory(void **state)
{
	static const char *const args[] = {"-t", "ext4", NULL};
	const char *path = fsimage_copy(fsimage_make("closed", args, 32, fsimage_tree()), "marked");
	const struct fs_meta meta = {.mode = 0755};
	CLEANUP_DISK struct disk *d = NULL;
	CLEANUP_FS struct fs *fs = NULL;

	(void)state;
	assert_int_equal(scratch_shell("debugfs -w -R 'set_inode_field /deep flags 0x80800' %s >/dev/null 2>&1", path), 0);
	OK(disk_open(path, "raw", DISK_WRITE, &d, &err));
	OK(fs_ext_open(d, FS_WRITE, 0, &fs, &err));
	assert_int_equal(fs_mkdir(fs, "/deep/new", &meta, &err), P2H_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "encrypted"));
}

static void test_mmp(void **state)
{
	static const char *const args[] = {"-t", "ext4", "-b", "1024", "-O", "mmp,^metadata_csum,^64bit", NULL};
	CLEANUP_DISK struct disk *d = NULL;
	struct fs *fs = NULL;
	uint8_t block[8];

	(void)state;
	OK(disk_open(fsimage_make("mmp", args, 16, NULL), "raw", DISK_WRITE, &d, &err));
	OK(fs_ext_open(d, FS_WRITE, 1, &fs, &err));
	OK(fs_close(fs, &err));
	OK(disk_read(d, block, SB + 0x168, 8, &err));
	poke(d, le64_get(block) * 1024 + 4, 0x1234, 4); /* a sequence number: somebody counts it up */
	assert_int_equal(fs_ext_open(d, FS_WRITE, 1, &fs, &err), P2H_BUSY);
	OK(fs_ext_open(d, 0, 1, &fs, &err));
	OK(fs_close(fs, &err));
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
		cmocka_unit_test(test_ext),	cmocka_unit_test(test_dir),
		cmocka_unit_test(test_mount),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_disks), cmocka_unit_test(test_closed_directories), cmocka_unit_test(test_marked_directory),
		cmocka_unit_test(test_mmp),
	};

	if (!fsimage_possible()) {
		puts("fs_test: mke2fs or e2fsck is missing");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, teardown);
}
