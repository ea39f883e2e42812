/* fs_test.c - reading: one tree, the same answers from every engine; and what must not be opened */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/fs.h"
#include "support/fsimage.h"
#include "support/scratch.h"

static struct p2h_error err;

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

static void assert_content(struct fs *fs, const char *path, const void *want, size_t len)
{
	CLEANUP(buf_done) struct buf b = {0};

	OK(fs_read(fs, path, len, &b, &err));
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, want, len);
}

/* ---- the tree ---- */

static void check_files(struct fs *fs)
{
	CLEANUP_FREE char *big = malloc(FSIMAGE_BIG), *piece = malloc(100001);
	CLEANUP(cleanup_file) struct fs_file *f = NULL;
	CLEANUP(buf_done) struct buf b = {0};
	uint64_t off = 0;
	size_t got;

	fsimage_fill(big, FSIMAGE_BIG, 1);
	assert_content(fs, "/etc/fstab", "/dev/xvda1 / ext3 defaults 1 1\n", 31);
	assert_content(fs, "/empty", "", 0);
	assert_content(fs, "/tiny", "inline", 6);
	assert_content(fs, "/deep/er/file", big, 10000);
	assert_int_equal(fs_read(fs, "/big", FSIMAGE_BIG - 1, &b, &err), P2H_UNSUPPORTED);
	assert_int_equal(fs_read(fs, "/etc", 100, &b, &err), P2H_UNSUPPORTED);
	assert_int_equal(b.len, 0);
	OK(fs_open(fs, "/big", &f, &err));
	do { /* in odd pieces */
		OK(fs_pread(f, piece, off, 100001, &got, &err));
		assert_memory_equal(piece, big + off, got);
		off += got;
	} while (got);
	assert_int_equal(off, FSIMAGE_BIG);
	OK(fs_pread(f, piece, FSIMAGE_BIG - 7, 100, &got, &err));
	assert_int_equal(got, 7);
	OK(fs_pread(f, piece, UINT64_MAX, 100, &got, &err));
	assert_int_equal(got, 0);
}

static void check_sparse(struct fs *fs)
{
	CLEANUP_FREE char *want = calloc(1, FSIMAGE_SPARSE);
	CLEANUP(cleanup_file) struct fs_file *f = NULL;
	char piece[5000];
	size_t got;

	assert_non_null(want);
	for (size_t at = 0; at < FSIMAGE_SPARSE_END; at += FSIMAGE_SPARSE_STEP)
		memcpy(want + at, "data", 4);
	memcpy(want + FSIMAGE_SPARSE - 4, "data", 4);
	assert_content(fs, "/sparse", want, FSIMAGE_SPARSE);
	OK(fs_open(fs, "/sparse", &f, &err));
	for (size_t at = FSIMAGE_SPARSE; at > 100000; at -= 99991) { /* backwards */
		OK(fs_pread(f, piece, at - 5000, 5000, &got, &err));
		assert_int_equal(got, 5000);
		assert_memory_equal(piece, want + at - 5000, 5000);
	}
}

static void check_stat(struct fs *fs)
{
	struct fs_stat a, b;

	OK(fs_lstat(fs, "/fifo", &a, &err));
	assert_int_equal(a.mode, S_IFIFO | 0640);
	assert_int_equal(a.mtime, 1234567890);
	OK(fs_lstat(fs, "/tiny", &a, &err));
	OK(fs_lstat(fs, "/deep/hard", &b, &err));
	assert_int_equal(a.mode & S_IFMT, S_IFREG);
	assert_int_equal(a.size, 6);
	assert_int_equal(a.nlink, 2);
	OK(fs_lstat(fs, "/deep/er", &b, &err));
	assert_int_equal(b.mode, S_IFDIR | 0750);
	assert_int_equal(b.uid, getuid());
	OK(fs_lstat(fs, "/etc/link", &a, &err));
	assert_true(S_ISLNK(a.mode));
	assert_int_equal(a.size, 5);
	OK(fs_stat(fs, "/etc/link", &a, &err));
	assert_true(S_ISREG(a.mode));
	assert_int_equal(a.size, 31);
	OK(fs_lstat(fs, "/", &a, &err));
	assert_true(S_ISDIR(a.mode));
}

static void check_lists(struct fs *fs)
{
	CLEANUP(strlist_done) struct strlist etc = {0}, many = {0}, root = {0}, none = {0};

	OK(fs_list(fs, "/etc", &etc, &err));
	assert_int_equal(etc.len, 3);
	assert_string_equal(etc.item[0], "fstab");
	assert_string_equal(etc.item[2], "to-deep");
	OK(fs_list(fs, "/many", &many, &err));
	assert_int_equal(many.len, FSIMAGE_MANY);
	for (size_t i = 0; i < many.len; i++) {
		char name[64];

		snprintf(name, sizeof(name), "a-name-of-some-length-%05zu", i);
		assert_string_equal(many.item[i], name);
	}
	OK(fs_list(fs, "/", &root, &err));
	assert_true(strlist_has(&root, "deep") && strlist_has(&root, "big") && strlist_has(&root, "dangling"));
	assert_int_equal(fs_list(fs, "/etc/fstab", &none, &err), P2H_NOTFOUND);
	assert_int_equal(fs_list(fs, "/nowhere", &none, &err), P2H_NOTFOUND);
}

/* What each path leads to; NULL: nowhere, with this code. */
static const struct {
	const char *path, *real;
	int code;
} real_paths[] = {
	{"/", "/", 0},
	{"///", "/", 0},
	{"/..", "/", 0},
	{"/../../etc/./fstab", "/etc/fstab", 0},
	{"/etc//fstab", "/etc/fstab", 0},
	{"/etc/link", "/etc/fstab", 0},
	{"/absolute", "/etc/fstab", 0},
	{"/deep/er/up", "/etc/fstab", 0},
	{"/long-link", "/etc/fstab", 0},
	{"/etc/to-deep/er/file", "/deep/er/file", 0},
	{"/etc/to-deep/../etc/link", "/etc/fstab", 0}, /* ".." of where the link leads */
	{"/deep/er/../er/..", "/deep", 0},
	{"/etc/", "/etc", 0},
	{"/etc/.", "/etc", 0},
	{"/dangling", NULL, P2H_NOTFOUND},
	{"/outside", NULL, P2H_NOTFOUND},
	{"/loop1", NULL, P2H_CORRUPT},
	{"/loop2/x", NULL, P2H_CORRUPT},
	{"/etc/fstab/x", NULL, P2H_NOTFOUND},
	{"/tiny/../etc", NULL, P2H_NOTFOUND},
	{"/no/such", NULL, P2H_NOTFOUND},
	{"etc", NULL, P2H_USAGE},
	{"", NULL, P2H_USAGE},
};

static void check_paths(struct fs *fs)
{
	CLEANUP_FREE char *link = NULL;
	char path[5000] = "/";

	for (size_t i = 0; i < sizeof(real_paths) / sizeof(real_paths[0]); i++) {
		CLEANUP_FREE char *real = NULL;
		int rc = fs_realpath(fs, real_paths[i].path, &real, &err);

		if (rc != real_paths[i].code || (!rc && strcmp(real, real_paths[i].real)))
			fail_msg("%s: %d %s", real_paths[i].path, rc, rc ? err.msg : real);
		assert_int_equal(fs_exists(fs, real_paths[i].path), !rc);
	}
	assert_true(fs_is_dir(fs, "/etc/to-deep"));
	assert_false(fs_is_dir(fs, "/etc/fstab"));
	OK(fs_readlink(fs, "/deep/er/up", &link, &err));
	assert_string_equal(link, "../../../../../etc/fstab");
	assert_int_equal(fs_readlink(fs, "/tiny", &link, &err), P2H_USAGE);
	memset(path + 1, 'n', 256); /* a name too long, then a path too long */
	assert_int_equal(fs_lstat(fs, path, &(struct fs_stat){0}, &err), P2H_CORRUPT);
	memset(path, '/', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(fs_lstat(fs, path, &(struct fs_stat){0}, &err), P2H_CORRUPT);
}

static void check_xattrs(struct fs *fs)
{
	CLEANUP(fs_xattrs_done) struct fs_xattrs x = {0}, none = {0};
	unsigned char value[300];
	size_t found = 0;

	fsimage_fill(value, sizeof(value), 3);
	OK(fs_xattrs(fs, "/etc/fstab", &x, &err));
	for (size_t i = 0; i < x.len; i++) {
		if (!strcmp(x.item[i].name, "user.short")) {
			assert_int_equal(x.item[i].len, 3);
			assert_memory_equal(x.item[i].value, "abc", 3);
			found++;
		} else if (!strcmp(x.item[i].name, "user.long")) {
			assert_int_equal(x.item[i].len, sizeof(value));
			assert_memory_equal(x.item[i].value, value, sizeof(value));
			found++;
		} else {
			assert_string_not_equal(x.item[i].name, "system.data");
		}
	}
	assert_int_equal(found, fsimage_has_xattrs() ? 2 : 0);
	OK(fs_xattrs(fs, "/etc/link", &none, &err)); /* not those of what it leads to */
	for (size_t i = 0; i < none.len; i++)
		assert_true(strncmp(none.item[i].name, "user.", 5));
}

static void check_read_only(struct fs *fs)
{
	const struct fs_meta meta = {.mode = 0644};
	struct fs_file *f;

	assert_int_equal(fs_write(fs, "/new", "x", 1, NULL, &err), P2H_USAGE);
	assert_int_equal(fs_create(fs, "/new", &meta, 1, &f, &err), P2H_USAGE);
	assert_int_equal(fs_unlink(fs, "/tiny", &err), P2H_USAGE);
	assert_int_equal(fs_rename(fs, "/tiny", "/x", &err), P2H_USAGE);
	assert_int_equal(fs_set_meta(fs, "/tiny", &meta, &err), P2H_USAGE);
	assert_int_equal(fs_sync(fs, &err), P2H_USAGE);
}

static void check_tree(struct fs *fs)
{
	struct fs_space space;

	check_files(fs);
	check_sparse(fs);
	check_stat(fs);
	check_lists(fs);
	check_paths(fs);
	check_xattrs(fs);
	check_read_only(fs);
	OK(fs_space(fs, &space, &err));
	assert_true(space.blocks_free <= space.blocks && space.inodes_free <= space.inodes && space.block_size >= 512);
}

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
		check_tree(fs);
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
	check_tree(fs);
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
	check_files(fs);
	check_stat(fs);
	check_paths(fs);
	check_read_only(fs);
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
