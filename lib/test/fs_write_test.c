/* fs_write_test.c - writing: what is written is read back, e2fsck has nothing to say, and the same input gives the same bytes */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "fs/ext.h"
#include "support/fsconform.h"
#include "support/fsimage.h"

#define NOW FSCONFORM_NOW

static struct p2h_error err;

static struct fs *open_image(const char *path, struct disk **ret)
{
	struct fs *fs = NULL;

	OK(disk_open(path, "raw", DISK_WRITE, ret, &err));
	OK(fs_ext_open(*ret, FS_WRITE, NOW, &fs, &err));
	return fs;
}

static void close_image(struct fs *fs, struct disk *d, const char *path)
{
	OK(fs_close(fs, &err));
	OK(disk_flush(d, &err));
	disk_close(d);
	if (path)
		fsimage_assert_clean(path);
}

static void boot(struct fs *fs, const char *data)
{
	CLEANUP(ranges_done) struct ranges first = {0}, second = {0}, where = {0};
	CLEANUP(buf_done) struct buf b = {0};

	OK(fs_boot_read(fs, &b, &where, &err));
	assert_int_equal(b.len + where.len, 0);
	OK(fs_boot_write(fs, data, 100000, &first, &err));
	assert_int_equal(ranges_total(&first), 100000);
	OK(fs_boot_write(fs, data, 70001, &second, &err));
	assert_int_equal(ranges_total(&second), 70001);
	OK(fs_boot_read(fs, &b, &where, &err));
	assert_int_equal(b.len, 70001);
	assert_memory_equal(b.data, data, b.len);
	assert_int_equal(where.len, second.len);
	assert_memory_equal(where.item, second.item, where.len * sizeof(*where.item));
}

static char *read_image(const char *path, size_t *ret_len)
{
	CLEANUP_DISK struct disk *d = NULL;
	char *all;

	OK(disk_open(path, "raw", 0, &d, &err));
	*ret_len = (size_t)d->size;
	all = malloc(*ret_len);
	assert_non_null(all);
	OK(disk_read(d, all, 0, *ret_len, &err));
	return all;
}

static void run_config(const struct fsimage_config *c, bool index_dirs)
{
	CLEANUP_FREE char *data = malloc(FSCONFORM_DATA), *first = NULL, *second = NULL;
	CLEANUP_FREE char *path = strdup(fsimage_make("image", c->args, 32, fsimage_tree()));
	unsigned cannot = strstr(c->name, "128-byte") ? FSCONFORM_SMALL_INODES : 0;
	size_t len[2];

	assert_true(data && path);
	fsimage_fill(data, FSCONFORM_DATA, 9);
	if (index_dirs)
		fsimage_index_dirs(path);
	for (int i = 0; i < 2; i++) {
		CLEANUP_FREE char *copy = strdup(fsimage_copy(path, "copy"));
		struct disk *d = NULL;
		struct fs *fs = open_image(copy, &d);

		fsconform_script(fs, data, cannot);
		boot(fs, data);
		fsconform_result(fs, data, cannot);
		close_image(fs, d, copy);
		fs = open_image(copy, &d);
		fsconform_result(fs, data, cannot);
		close_image(fs, d, NULL);
		if (i)
			second = read_image(copy, &len[1]);
		else
			first = read_image(copy, &len[0]);
	}
	assert_int_equal(len[0], len[1]);
	if (memcmp(first, second, len[0]))
		fail_msg("%s: two runs of one script differ", c->name);
}

static void test_script(void **state)
{
	(void)state;
	for (size_t i = 0; i < fsimage_n_configs; i++)
		run_config(&fsimage_configs[i], i % 2);
}

/* Lists that lie about their length or hold what is no entry. */
static void test_damaged_acl(void **state)
{
	static const struct {
		unsigned char bytes[16];
		size_t len;
		bool good;
	} lists[] = {
		{{1, 0, 0, 0}, 4, true},
		{{1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 1, 0, 0, 0}, 16, true},
		{{1, 0, 0, 0, 1, 0, 6, 0, 2, 0, 4, 0, 1, 0, 0, 0}, 14, false}, /* ends in an id */
		{{1, 0, 0, 0, 1, 0, 6, 0}, 6, false},
		{{1, 0, 0, 0, 3, 0, 6, 0}, 8, false}, /* no such tag */
		{{2, 0, 0, 0}, 4, false},
		{{1, 0}, 2, false},
		{{0}, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		CLEANUP(buf_done) struct buf shown = {0}, back = {0};
		CLEANUP_FREE unsigned char *exact = malloc(lists[i].len + !lists[i].len);

		assert_non_null(exact);
		memcpy(exact, lists[i].bytes, lists[i].len);
		assert_int_equal(ext_acl_from_disk(exact, lists[i].len, &shown), lists[i].good);
		if (!lists[i].good)
			continue;
		assert_true(ext_acl_to_disk(shown.data, shown.len, &back));
		assert_int_equal(back.len, lists[i].len);
		assert_memory_equal(back.data, exact, back.len);
	}
}

/* ---- sizes ---- */

static void test_large_file(void **state)
{
	static const char *const kinds[][6] = {{"-t", "ext4", NULL}, {"-t", "ext2", "-b", "1024", NULL}};
	CLEANUP_FREE char *data = malloc(20 << 20);

	(void)state;
	assert_non_null(data);
	fsimage_fill(data, 20 << 20, 5);
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_FREE char *path = strdup(fsimage_make("image", kinds[i], 32, NULL));
		struct disk *d = NULL;
		struct fs *fs = open_image(path, &d);
		struct fs_file *f = NULL;

		OK(fs_write(fs, "/twenty", data, 20 << 20, NULL, &err));
		fsconform_content(fs, "/twenty", data, 20 << 20);
		OK(fs_write(fs, "/twenty", data + 1, (20 << 20) - 1, NULL, &err)); /* only fits over itself */
		fsconform_content(fs, "/twenty", data + 1, (20 << 20) - 1);
		assert_int_equal(fs_create(fs, "/huge", &fsconform_meta, 1ULL << 50, &f, &err), P2H_UNSUPPORTED);
		assert_int_equal(fs_create(fs, "/more", &fsconform_meta, 25 << 20, &f, &err), P2H_NOSPACE);
		assert_false(fs_exists(fs, "/huge") || fs_exists(fs, "/more"));
		close_image(fs, d, path);
	}
}

static void test_create_rules(void **state)
{
	static const char *const args[] = {"-t", "ext4", NULL};
	static const char old[8192] = {[0 ... 8191] = 'o'}, zero[8192];
	CLEANUP_FREE char *path = strdup(fsimage_make("image", args, 16, NULL));
	CLEANUP(buf_done) struct buf b = {0};
	struct disk *d = NULL;
	struct fs *fs = open_image(path, &d);
	struct fs_file *f = NULL;
	size_t got;

	(void)state;
	OK(fs_write(fs, "/old", old, sizeof(old), NULL, &err));
	OK(fs_unlink(fs, "/old", &err));
	OK(fs_create(fs, "/new", &fsconform_meta, 8000, &f, &err));
	assert_int_equal(fs_create(fs, "/new", &fsconform_meta, 1, &(struct fs_file *){0}, &err), P2H_EXISTS);
	OK(fs_pwrite(f, "abc", 0, 3, &err));
	assert_int_equal(fs_pwrite(f, "abc", 2, 3, &err), P2H_USAGE);
	assert_int_equal(fs_pwrite(f, old, 3, 7998, &err), P2H_USAGE);
	assert_int_equal(fs_pread(f, &b, 0, 1, &got, &err), P2H_USAGE);
	OK(fs_pwrite(f, "def", 5000, 3, &err)); /* a gap, and nothing to the end */
	OK(fs_file_close(f, &err));
	OK(fs_read(fs, "/new", 8000, &b, &err));
	assert_int_equal(b.len, 8000);
	assert_memory_equal(b.data, "abc", 3);
	assert_memory_equal(b.data + 3, zero, 4997);
	assert_memory_equal(b.data + 5000, "def", 3);
	assert_memory_equal(b.data + 5003, zero, 2997);
	close_image(fs, d, path);
}

static void test_big_directory(void **state)
{
	static const char *const kinds[][8] = {{"-t", "ext4", "-b", "1024", "-N", "12000", NULL},
					       {"-t", "ext3", "-b", "4096", "-N", "12000", NULL}};
	char name[100];

	(void)state;
	for (size_t k = 0; k < 2; k++) {
		CLEANUP_FREE char *path = strdup(fsimage_make("image", kinds[k], 32, NULL));
		CLEANUP(strlist_done) struct strlist names = {0};
		struct disk *d = NULL;
		struct fs *fs = open_image(path, &d);

		OK(fs_mkdir(fs, "/d", &fsconform_meta, &err));
		for (int i = 0; i < 2500; i++) {
			snprintf(name, sizeof(name), "/d/file-with-a-long-name-to-fill-the-blocks-%d", i);
			OK(fs_write(fs, name, "", 0, &fsconform_meta, &err));
		}
		close_image(fs, d, path);
		fsimage_index_dirs(path);
		fs = open_image(path, &d); /* now the directory is a hash tree */
		for (int i = 2500; i < 5000; i++) {
			snprintf(name, sizeof(name), "/d/file-with-a-long-name-to-fill-the-blocks-%d", i);
			OK(fs_write(fs, name, "", 0, &fsconform_meta, &err));
		}
		for (int i = 0; i < 5000; i += 7) {
			snprintf(name, sizeof(name), "/d/file-with-a-long-name-to-fill-the-blocks-%d", i);
			OK(fs_unlink(fs, name, &err));
		}
		OK(fs_list(fs, "/d", &names, &err));
		assert_int_equal(names.len, 5000 - 715);
		close_image(fs, d, path);
	}
}

/* ---- full ---- */

static void test_no_space(void **state)
{
	static const char *const args[] = {"-t", "ext2", "-b", "1024", NULL};
	CLEANUP_FREE char *path = strdup(fsimage_make("image", args, 2, NULL));
	CLEANUP(ranges_done) struct ranges boot_ranges = {0};
	static char data[60000];
	struct disk *d = NULL;
	struct fs *fs = open_image(path, &d);
	struct fs_space space;
	char name[80];
	int n = 0, rc;

	(void)state;
	do { /* files, then directories, until not one block is left */
		snprintf(name, sizeof(name), "/file-%d", n++);
		rc = fs_write(fs, name, data, sizeof(data), &fsconform_meta, &err);
	} while (!rc);
	assert_int_equal(rc, P2H_NOSPACE);
	assert_non_null(strstr(err.msg, "free"));
	assert_false(fs_exists(fs, name));
	do {
		snprintf(name, sizeof(name), "/dir-%d", n++);
		rc = fs_mkdir(fs, name, &fsconform_meta, &err);
	} while (!rc);
	assert_int_equal(rc, P2H_NOSPACE);
	OK(fs_space(fs, &space, &err));
	assert_int_equal(space.blocks_free, 0);
	assert_int_equal(fs_boot_write(fs, data, 30000, &boot_ranges, &err), P2H_NOSPACE);
	memset(data, 'l', 900);
	data[900] = '\0';
	assert_int_equal(fs_symlink(fs, data, "/long", &fsconform_meta, &err), P2H_NOSPACE);
	assert_int_equal(fs_set_xattr(fs, "/file-0", "user.x", data, 500, &err), P2H_NOSPACE);
	assert_int_equal(fs_write(fs, "/file-0", data, 60001 + 1024, NULL, &err), P2H_NOSPACE);
	OK(fs_write(fs, "/file-0", data, sizeof(data), NULL, &err)); /* over itself */
	while (true) { /* names until the directory cannot grow */
		snprintf(name, sizeof(name), "/a-long-name-for-an-empty-file-so-that-the-directory-fills-%d", n++);
		rc = fs_write(fs, name, "", 0, &fsconform_meta, &err);
		if (rc)
			break;
	}
	assert_int_equal(rc, P2H_NOSPACE);
	close_image(fs, d, path);
}

static void test_no_inodes(void **state)
{
	static const char *const kinds[][6] = {{"-t", "ext2", "-b", "1024", "-N", NULL}, {"-t", "ext4", "-b", "1024", "-N", NULL}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const char *args[] = {"-t", kinds[i][1], "-b", "1024", "-N", "32", NULL};
		CLEANUP_FREE char *path = strdup(fsimage_make("image", args, 8, NULL));
		struct disk *d = NULL;
		struct fs *fs = open_image(path, &d);
		struct fs_space space;
		char name[64];
		int n = 0, rc;

		do {
			snprintf(name, sizeof(name), "/file-%d", n++);
			rc = fs_write(fs, name, "x", 1, &fsconform_meta, &err);
		} while (!rc && n < 1000);
		assert_int_equal(rc, P2H_NOSPACE);
		assert_non_null(strstr(err.msg, "inode"));
		assert_int_equal(fs_mkdir(fs, "/dir", &fsconform_meta, &err), P2H_NOSPACE);
		assert_int_equal(fs_symlink(fs, "x", "/link", &fsconform_meta, &err), P2H_NOSPACE);
		OK(fs_unlink(fs, "/file-0", &err));
		OK(fs_mkdir(fs, "/dir", &fsconform_meta, &err));
		OK(fs_space(fs, &space, &err));
		assert_int_equal(space.inodes_free, 0);
		close_image(fs, d, path);
	}
}

/* ---- a tree of two file systems ---- */

static void test_mount(void **state)
{
	static const char *const args[] = {"-t", "ext4", NULL};
	CLEANUP_FREE char *root_path = strdup(fsimage_make("root", args, 16, NULL));
	CLEANUP_FREE char *boot_path = strdup(fsimage_make("boot", args, 16, NULL));
	struct disk *d = NULL, *d2 = NULL;
	struct fs *fs = NULL, *root = open_image(root_path, &d), *child = open_image(boot_path, &d2);

	(void)state;
	OK(fs_mount_open(root, &fs, &err));
	OK(fs_mkdir(fs, "/boot", &fsconform_meta, &err));
	OK(fs_mkdir(fs, "/etc", &fsconform_meta, &err));
	OK(fs_mount_add(fs, "/boot", child, &err));
	OK(fs_mkdir(fs, "/boot/grub", &fsconform_meta, &err));
	OK(fs_symlink(fs, "../boot/grub", "/etc/grub", &fsconform_meta, &err));
	OK(fs_symlink(fs, "/etc", "/boot/back", &fsconform_meta, &err));
	OK(fs_write(fs, "/etc/grub/grub.cfg", "menu", 4, NULL, &err));
	OK(fs_write(fs, "/boot/back/fstab", "root", 4, NULL, &err));
	assert_int_equal(fs_rename(fs, "/etc/fstab", "/boot/fstab", &err), P2H_UNSUPPORTED);
	assert_int_equal(fs_link(fs, "/etc/fstab", "/boot/fstab", &err), P2H_UNSUPPORTED);
	assert_int_equal(fs_rename(fs, "/boot", "/b", &err), P2H_BUSY);
	assert_int_equal(fs_unlink(fs, "/boot", &err), P2H_BUSY);
	OK(fs_rename(fs, "/boot/grub", "/boot/grub2", &err));
	fsconform_content(fs, "/boot/grub2/grub.cfg", "menu", 4);
	fsconform_content(fs, "/boot/grub2/../../etc/fstab", "root", 4);
	OK(fs_close(fs, &err));
	disk_close(d);
	disk_close(d2);
	fsimage_assert_clean(root_path);
	fsimage_assert_clean(boot_path);
	child = open_image(boot_path, &d2);
	fsconform_content(child, "/grub2/grub.cfg", "menu", 4);
	assert_false(fs_exists(child, "/fstab"));
	close_image(child, d2, NULL);
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
		cmocka_unit_test(test_script),	      cmocka_unit_test(test_large_file), cmocka_unit_test(test_create_rules),
		cmocka_unit_test(test_big_directory), cmocka_unit_test(test_no_space),	 cmocka_unit_test(test_no_inodes),
		cmocka_unit_test(test_mount),	      cmocka_unit_test(test_damaged_acl),
	};

	if (!fsimage_possible()) {
		puts("fs_write_test: mke2fs or e2fsck is missing");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, teardown);
}
