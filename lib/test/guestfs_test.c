/*
 * guestfs_test.c - the engine that works through libguestfs' appliance: the same tree, the same changes as the others
 *
 * One appliance for all of it, as its start takes longest. Without libguestfs, or without a kernel for it, what needs it is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "disk/transaction.h"
#include "fs/appliance.h"
#include "support/fsconform.h"
#include "support/fsimage.h"
#include "support/scratch.h"

/* A partition by its number; 0: the whole drive. */
#define PART(n) (&(const struct appliance_place){.number = (n)})

static struct p2h_error err;

/* What comes of a kernel that writes, and of libguestfs in front of it. */
#define KERNEL (FSCONFORM_OWN_CTIME | FSCONFORM_OWN_ATIME | FSCONFORM_TEXT_XATTRS)

enum { EXT4, XFS, BTRFS, PARTED, KINDS };

/* A disk of some kind: its image is only read, what is written goes to the transaction. */
static struct {
	struct disk *under;
	struct transaction *t;
	struct appliance_drive *drive;
} kind[KINDS];
static struct appliance *appliance;
static unsigned starts;
static struct buf log_text;

static void count_start(void *arg)
{
	(void)arg;
	starts++;
}

static void keep_log(void *arg, const char *text, size_t len)
{
	(void)arg;
	buf_append(&log_text, text, len);
}

/* ---- a tree copied from engine to engine ---- */

static void copy_file(struct fs *from, struct fs *to, const char *path, const struct fs_stat *st, const struct fs_meta *meta)
{
	CLEANUP(buf_done) struct buf b = {0};
	struct fs_file *f = NULL;

	OK(fs_read(from, path, (size_t)st->size, &b, &err));
	OK(fs_create(to, path, meta, st->size, &f, &err));
	OK(fs_pwrite(f, b.len ? b.data : "", 0, b.len, &err));
	OK(fs_file_close(f, &err));
}

static void copy_inode(struct fs *from, struct fs *to, const char *path)
{
	CLEANUP(fs_xattrs_done) struct fs_xattrs x = {0};
	CLEANUP_FREE char *target = NULL;
	struct fs_stat st;
	struct fs_meta meta;

	OK(fs_lstat(from, path, &st, &err));
	fs_meta_from_stat(&meta, &st);
	switch (st.mode & S_IFMT) {
	case S_IFDIR:
		OK(fs_mkdir(to, path, &meta, &err));
		break;
	case S_IFLNK:
		OK(fs_readlink(from, path, &target, &err));
		OK(fs_symlink(to, target, path, &meta, &err));
		break;
	case S_IFREG:
		copy_file(from, to, path, &st, &meta);
		break;
	default:
		OK(fs_mknod(to, path, st.mode & S_IFMT, st.rdev_major, st.rdev_minor, &meta, &err));
	}
	OK(fs_xattrs(from, path, &x, &err));
	for (size_t i = 0; i < x.len; i++)
		if (strncmp(x.item[i].name, "security.", 9) && !memchr(x.item[i].value, 0, x.item[i].len))
			OK(fs_set_xattr(to, path, x.item[i].name, x.item[i].value, x.item[i].len, &err));
}

static void copy_tree(struct fs *from, struct fs *to, const char *dir)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	char path[4096];

	OK(fs_list(from, dir, &names, &err));
	for (size_t i = 0; i < names.len; i++) {
		struct fs_stat st;

		snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") ? dir : "", names.item[i]);
		if (!strcmp(path, "/deep/hard"))
			continue;
		copy_inode(from, to, path);
		OK(fs_lstat(from, path, &st, &err));
		if (S_ISDIR(st.mode)) {
			struct fs_meta meta;

			copy_tree(from, to, path);
			fs_meta_from_stat(&meta, &st);
			OK(fs_set_meta(to, path, &meta, &err));
		}
	}
}

/* ---- the tests ---- */

static void open_disk(unsigned i, const char *path)
{
	OK(disk_open(path, "raw", 0, &kind[i].under, &err));
	OK(transaction_open(kind[i].under, 16u << 20, NULL, &kind[i].t, &err));
	OK(appliance_add(appliance, transaction_disk(kind[i].t), &kind[i].drive, &err));
}

static const char *make(const char *name, const char *size, const char *program)
{
	const char *path = scratch_path(name);

	return scratch_shell("truncate -s %s %s && %s %s >/dev/null 2>&1", size, path, program, path) ? NULL : path;
}

static int setup(void **state)
{
	static const char *const ext4[] = {"-t", "ext4", NULL};
	const struct appliance_options options = {.starting = count_start, .log = keep_log};
	const char *path;
	struct fs *fs = NULL;

	scratch_setup(state);
	OK(appliance_new(&options, &appliance, &err));
	open_disk(EXT4, fsimage_make("ext4", ext4, 64, fsimage_tree()));
	path = make("xfs", "300M", "mkfs.xfs -q -L label -m uuid=01234567-89ab-cdef-0123-456789abcdef");
	if (path)
		open_disk(XFS, path);
	path = make("btrfs", "300M", "mkfs.btrfs -q");
	if (path)
		open_disk(BTRFS, path);
	path = make("parted", "64M", "echo '2048,' | sfdisk -q");
	if (path && !scratch_shell("mke2fs -q -t ext2 -E offset=1048576 %s 62M", path))
		open_disk(PARTED, path);
	if (fs_guestfs_open(kind[EXT4].drive, PART(0), 0, 0, &fs, &err) == P2H_TOOL) {
		fprintf(stderr, "skipped: %s\n%s\n", err.msg, log_text.len ? log_text.data : "");
		appliance_close(appliance);
		appliance = NULL;
		return 0;
	}
	fs_close(fs, NULL);
	return 0;
}

static int teardown(void **state)
{
	appliance_close(appliance);
	for (unsigned i = 0; i < KINDS; i++) {
		transaction_close(kind[i].t);
		disk_close(kind[i].under);
	}
	buf_done(&log_text);
	fsimage_done();
	return scratch_teardown(state);
}

static struct fs *open_kind(unsigned i, unsigned flags)
{
	struct fs *fs = NULL;

	if (!appliance || !kind[i].drive)
		skip();
	OK(fs_guestfs_open(kind[i].drive, PART(i == PARTED), flags, FSCONFORM_NOW, &fs, &err));
	return fs;
}

/* What ext4 is read as by libext2fs, the appliance reads alike. */
static void test_ext4(void **state)
{
	CLEANUP_FS struct fs *fs = open_kind(EXT4, 0);

	(void)state;
	assert_string_equal(fs_info(fs)->engine, "guestfs");
	assert_string_equal(fs_info(fs)->type, "ext4");
	assert_string_equal(fs_info(fs)->uuid, "01234567-89ab-cdef-0123-456789abcdef");
	assert_string_equal(fs_info(fs)->label, "label");
	fsconform_tree(fs, 0);
}

/* The tree copied in, read, changed by the script, and read again after unmounting: by another mount, and as the transaction has it. */
static void check_kind(unsigned i, unsigned cannot, const char *check)
{
	CLEANUP_FREE char *data = malloc(FSCONFORM_DATA);
	CLEANUP_FS struct fs *tree = NULL;
	struct fs *fs = open_kind(i, FS_WRITE), *reader = NULL;

	fsimage_fill(data, FSCONFORM_DATA, 9);
	if (i != EXT4) {
		OK(fs_dir_open(fsimage_tree(), &tree, &err));
		copy_tree(tree, fs, "/");
		OK(fs_link(fs, "/tiny", "/deep/hard", &err));
		OK(fs_close(fs, &err));
		fs = open_kind(i, 0);
		fsconform_tree(fs, cannot);
		OK(fs_close(fs, &err));
		fs = open_kind(i, FS_WRITE);
	}
	OK(fs_guestfs_open(kind[i].drive, PART(i == PARTED), 0, 0, &reader, &err)); /* beside the writer: it sees what that does */
	assert_int_equal(fs_guestfs_open(kind[i].drive, PART(i == PARTED), FS_WRITE, 0, &(struct fs *){0}, &err), P2H_BUSY);
	fsconform_script(fs, data, cannot);
	fsconform_result(fs, data, cannot);
	fsconform_result(reader, data, cannot);
	OK(fs_close(fs, &err));
	fsconform_result(reader, data, cannot); /* and after it */
	OK(fs_close(reader, &err));
	fs = open_kind(i, 0);
	fsconform_result(fs, data, cannot);
	OK(fs_close(fs, &err));
	scratch_disk(transaction_disk(kind[i].t), "result");
	assert_int_equal(scratch_shell("%s result >out 2>&1 || { cat out; exit 1; }", check), 0);
}

static void test_ext4_changed(void **state)
{
	CLEANUP_FREE char *data = malloc(FSCONFORM_DATA);
	CLEANUP_FS struct fs *fs = NULL;

	(void)state;
	check_kind(EXT4, KERNEL, "e2fsck -fn");
	fsimage_fill(data, FSCONFORM_DATA, 9);
	OK(fs_ext_open(transaction_disk(kind[EXT4].t), 0, 0, &fs, &err)); /* the one engine reads what the other wrote */
	fsconform_result(fs, data, KERNEL);
}

static void test_xfs(void **state)
{
	CLEANUP_FS struct fs *fs = open_kind(XFS, 0);

	(void)state;
	assert_string_equal(fs_info(fs)->type, "xfs");
	assert_string_equal(fs_info(fs)->label, "label");
	assert_string_equal(fs_info(fs)->uuid, "01234567-89ab-cdef-0123-456789abcdef");
	fs_close(TAKE(fs), NULL);
	check_kind(XFS, KERNEL, "xfs_repair -n");
}

static void test_btrfs(void **state)
{
	(void)state;
	check_kind(BTRFS, KERNEL | FSCONFORM_NO_DIR_LINKS, "btrfs check");
}

/* A partition; and the drive shows another disk from some place on, as when 1 MiB has been put in front. */
static void test_moved(void **state)
{
	struct disk *bigger, *shifted;
	struct transaction *t;
	struct fs *fs = open_kind(PARTED, FS_WRITE), *small = NULL;

	(void)state;
	OK(fs_write(fs, "/here", "before", 6, NULL, &err));
	OK(disk_mem_open(1u << 20, &bigger, &err));
	assert_int_equal(appliance_show(kind[PARTED].drive, transaction_disk(kind[PARTED].t), 0, &err), P2H_BUSY);
	OK(fs_close(fs, &err));
	assert_int_equal(appliance_show(kind[PARTED].drive, bigger, 0, &err), P2H_USAGE);
	disk_close(bigger);
	fs = open_kind(PARTED, 0);
	OK(disk_shifted_open(transaction_disk(kind[PARTED].t), 1u << 20, &shifted, &err));
	OK(transaction_open(shifted, 1u << 20, NULL, &t, &err));
	OK(appliance_show(kind[PARTED].drive, transaction_disk(t), 1u << 20, &err));
	small = open_kind(PARTED, FS_WRITE);
	fsconform_content(small, "/here", "before", 6);
	OK(fs_write(small, "/here", "after it", 8, NULL, &err));
	OK(fs_close(small, &err));
	fsconform_content(fs, "/here", "after it", 8);
	OK(fs_close(fs, &err));
	scratch_disk(transaction_disk(t), "moved");
	assert_int_equal(scratch_shell("debugfs -R 'cat /here' 'moved?offset=2097152' 2>/dev/null | grep -q '^after it$'"), 0);
	OK(appliance_show(kind[PARTED].drive, transaction_disk(kind[PARTED].t), 0, &err));
	transaction_close(t);
	disk_close(shifted);
	fs = open_kind(PARTED, 0);
	fsconform_content(fs, "/here", "before", 6); /* the first one never had it */
	OK(fs_close(fs, &err));
}

static void test_no_space(void **state)
{
	struct fs *fs = open_kind(PARTED, FS_WRITE);
	struct fs_file *f = NULL;
	struct fs_space space;
	int rc;

	(void)state;
	OK(fs_space(fs, &space, &err));
	assert_in_range(space.blocks_free * space.block_size, 1u << 20, 62u << 20);
	OK(fs_create(fs, "/too-big", &fsconform_meta, 80u << 20, &f, &err));
	rc = fs_file_close(f, &err);
	assert_int_equal(rc, P2H_NOSPACE);
	OK(fs_unlink(fs, "/too-big", &err));
	OK(fs_close(fs, &err));
}

static void test_errors(void **state)
{
	struct fs *fs = NULL;

	(void)state;
	if (!appliance)
		skip();
	assert_int_equal(fs_guestfs_open(kind[PARTED].drive, PART(7), 0, 0, &fs, &err), P2H_NOTFOUND); /* no such partition */
	assert_int_equal(fs_guestfs_open(kind[PARTED].drive, PART(0), 0, 0, &fs, &err), P2H_UNSUPPORTED); /* a partition table is no file system */
	assert_int_equal(appliance_add(appliance, transaction_disk(kind[EXT4].t), &(struct appliance_drive *){0}, &err), P2H_USAGE);
	assert_int_equal(starts, 1);
	assert_true(buf_contains(&log_text, "guestfs"));
}

/* Whatever is missing is said in one line that names it; the second one who asks is told the same. */
static void test_missing(void **state)
{
	static const char *const modules[] = {"/no/such/module.so", "libc.so.6"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct appliance_options options = {.module = modules[i]};
		struct appliance *a = NULL;
		struct appliance_drive *drive;
		struct disk *d;
		struct fs *fs;

		OK(disk_mem_open(1u << 20, &d, &err));
		OK(appliance_new(&options, &a, &err));
		OK(appliance_add(a, d, &drive, &err));
		for (int again = 0; again < 2; again++) {
			err = (struct p2h_error){0};
			assert_int_equal(fs_guestfs_open(drive, PART(0), 0, 0, &fs, &err), P2H_TOOL);
			assert_non_null(strstr(err.msg, "libpv2hvm-guestfs.so"));
			assert_null(strchr(err.msg, '\n'));
		}
		appliance_close(a);
		disk_close(d);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_missing), cmocka_unit_test(test_ext4), cmocka_unit_test(test_ext4_changed), cmocka_unit_test(test_xfs),
		cmocka_unit_test(test_btrfs),	cmocka_unit_test(test_moved), cmocka_unit_test(test_no_space), cmocka_unit_test(test_errors),
	};

	if (!fsimage_possible())
		return 77;
	return cmocka_run_group_tests(tests, setup, teardown);
}
