#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "support/fsconform.h"
#include "support/fsimage.h"

static struct p2h_error err;

#define LATE 5000000000 /* beyond 2038 */

const struct fs_meta fsconform_meta = {
	.mode = 04755, .uid = 70000, .gid = 80000, .atime = 1, .mtime = LATE, .atime_nsec = 7, .mtime_nsec = 999999999};

/* user::rw-, user:1000:r--, group::r--, mask::r--, other::--- as getxattr(2) shows it */
static const unsigned char acl[] = {2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 232, 3, 0, 0, 4, 0, 4, 0, 255,
				    255, 255, 255, 16, 0, 4, 0, 255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255};

void fsconform_content(struct fs *fs, const char *path, const void *want, size_t len)
{
	CLEANUP(buf_done) struct buf b = {0};

	OK(fs_read(fs, path, len, &b, &err));
	assert_int_equal(b.len, len);
	assert_memory_equal(b.data, want, len);
}

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

/* ---- the tree ---- */

void fsconform_files(struct fs *fs)
{
	CLEANUP_FREE char *big = malloc(FSIMAGE_BIG), *piece = malloc(100001);
	CLEANUP(cleanup_file) struct fs_file *f = NULL;
	CLEANUP(buf_done) struct buf b = {0};
	uint64_t off = 0;
	size_t got;

	fsimage_fill(big, FSIMAGE_BIG, 1);
	fsconform_content(fs, "/etc/fstab", "/dev/xvda1 / ext3 defaults 1 1\n", 31);
	fsconform_content(fs, "/empty", "", 0);
	fsconform_content(fs, "/tiny", "inline", 6);
	fsconform_content(fs, "/deep/er/file", big, 10000);
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
	fsconform_content(fs, "/sparse", want, FSIMAGE_SPARSE);
	OK(fs_open(fs, "/sparse", &f, &err));
	for (size_t at = FSIMAGE_SPARSE; at > 100000; at -= 99991) { /* backwards */
		OK(fs_pread(f, piece, at - 5000, 5000, &got, &err));
		assert_int_equal(got, 5000);
		assert_memory_equal(piece, want + at - 5000, 5000);
	}
}

void fsconform_stat(struct fs *fs)
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

void fsconform_paths(struct fs *fs)
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

static void check_xattrs(struct fs *fs, unsigned cannot)
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
	assert_int_equal(found, !fsimage_has_xattrs() ? 0 : cannot & FSCONFORM_TEXT_XATTRS ? 1 : 2);
	OK(fs_xattrs(fs, "/etc/link", &none, &err)); /* not those of what it leads to */
	for (size_t i = 0; i < none.len; i++)
		assert_true(strncmp(none.item[i].name, "user.", 5));
}

void fsconform_read_only(struct fs *fs)
{
	struct fs_file *f;

	assert_int_equal(fs_write(fs, "/new", "x", 1, NULL, &err), P2H_USAGE);
	assert_int_equal(fs_create(fs, "/new", &fsconform_meta, 1, &f, &err), P2H_USAGE);
	assert_int_equal(fs_unlink(fs, "/tiny", &err), P2H_USAGE);
	assert_int_equal(fs_rename(fs, "/tiny", "/x", &err), P2H_USAGE);
	assert_int_equal(fs_set_meta(fs, "/tiny", &fsconform_meta, &err), P2H_USAGE);
	assert_int_equal(fs_sync(fs, &err), P2H_USAGE);
}

void fsconform_tree(struct fs *fs, unsigned cannot)
{
	struct fs_space space;

	fsconform_files(fs);
	check_sparse(fs);
	fsconform_stat(fs);
	check_lists(fs);
	fsconform_paths(fs);
	check_xattrs(fs, cannot);
	fsconform_read_only(fs);
	OK(fs_space(fs, &space, &err));
	assert_true(space.blocks_free <= space.blocks && space.inodes_free <= space.inodes && space.block_size >= 512);
}

/* ---- the script: a bit of everything on a tree made by mke2fs -d ---- */

static const size_t sizes[] = {0, 1, 59, 60, 1023, 1024, 1025, 4095, 4096, 4097, 12288, 12289, 300000, 1048579};
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void write_files(struct fs *fs, const char *data)
{
	char path[64];

	OK(fs_mkdir(fs, "/new", &fsconform_meta, &err));
	for (size_t i = 0; i < N_SIZES; i++) {
		struct fs_file *f = NULL;
		size_t half = sizes[i] / 3;

		snprintf(path, sizeof(path), "/new/created-%zu", sizes[i]);
		OK(fs_create(fs, path, &fsconform_meta, sizes[i], &f, &err));
		OK(fs_pwrite(f, data, 0, half, &err));
		OK(fs_pwrite(f, data + half, half, sizes[i] - half, &err));
		OK(fs_file_close(f, &err));
		snprintf(path, sizeof(path), "/new/written-%zu", sizes[i]);
		OK(fs_write(fs, path, data, sizes[i], i % 2 ? &fsconform_meta : NULL, &err));
	}
}

static void rewrite_files(struct fs *fs, const char *data)
{
	OK(fs_write(fs, "/etc/link", data, 5000, NULL, &err)); /* through the link; keeps its attributes */
	OK(fs_write(fs, "/tiny", data, 3, &fsconform_meta, &err));
	OK(fs_write(fs, "/big", data, 1000, NULL, &err));
	OK(fs_write(fs, "/empty", data, 70000, NULL, &err));
	OK(fs_write(fs, "/sparse", data, 1 << 20, NULL, &err));
	assert_int_equal(fs_write(fs, "/dangling", data, 5, NULL, &err), P2H_NOTFOUND);
	OK(fs_symlink(fs, "written-by-link", "/new/dangling", &fsconform_meta, &err));
	OK(fs_write(fs, "/new/dangling", data, 5, NULL, &err));
	assert_int_equal(fs_write(fs, "/etc", data, 5, NULL, &err), P2H_EXISTS);
	assert_int_equal(fs_write(fs, "/fifo", data, 5, NULL, &err), P2H_EXISTS);
	assert_int_equal(fs_write(fs, "/loop1", data, 5, NULL, &err), P2H_CORRUPT);
}

static void make_nodes(struct fs *fs)
{
	char target[900];

	memset(target, 't', sizeof(target) - 1);
	target[sizeof(target) - 1] = '\0';
	OK(fs_symlink(fs, "short", "/new/short-link", &fsconform_meta, &err));
	OK(fs_symlink(fs, target, "/new/long-link", &fsconform_meta, &err));
	OK(fs_mknod(fs, "/new/null", S_IFCHR, 1, 3, &fsconform_meta, &err));
	OK(fs_mknod(fs, "/new/big-minor", S_IFBLK, 259, 70000, &fsconform_meta, &err));
	OK(fs_mknod(fs, "/new/fifo", S_IFIFO, 0, 0, &fsconform_meta, &err));
	OK(fs_mknod(fs, "/new/socket", S_IFSOCK, 0, 0, &fsconform_meta, &err));
	OK(fs_link(fs, "/new/null", "/new/null2", &err));
	OK(fs_link(fs, "/tiny", "/new/tiny", &err));
	OK(fs_link(fs, "/new/long-link", "/new/long-link2", &err));
	assert_int_equal(fs_link(fs, "/etc", "/new/etc", &err), P2H_USAGE);
	assert_int_equal(fs_mknod(fs, "/new/x", S_IFREG, 0, 0, &fsconform_meta, &err), P2H_USAGE);
	assert_int_equal(fs_symlink(fs, "", "/new/x", &fsconform_meta, &err), P2H_USAGE);
}

static void move_and_remove(struct fs *fs)
{
	OK(fs_rename(fs, "/new/created-4096", "/new/moved", &err));
	OK(fs_rename(fs, "/new/created-4097", "/etc/moved", &err));
	OK(fs_mkdir(fs, "/new/d1", &fsconform_meta, &err));
	OK(fs_mkdir(fs, "/new/d1/d2", &fsconform_meta, &err));
	OK(fs_write(fs, "/new/d1/d2/f", "x", 1, NULL, &err));
	assert_int_equal(fs_rename(fs, "/new/d1", "/new/d1/d2/d3", &err), P2H_USAGE);
	assert_int_equal(fs_rename(fs, "/new/d1", "/etc", &err), P2H_EXISTS);
	assert_int_equal(fs_unlink(fs, "/new/d1", &err), P2H_EXISTS);
	OK(fs_rename(fs, "/new/d1/d2", "/etc/d2", &err));
	OK(fs_rename(fs, "/deep/er", "/etc/er", &err)); /* one that mke2fs made */
	OK(fs_unlink(fs, "/new/d1", &err));
	OK(fs_unlink(fs, "/deep/hard", &err));
	OK(fs_unlink(fs, "/long-link", &err));
	OK(fs_unlink(fs, "/fifo", &err));
	OK(fs_unlink(fs, "/new/created-1048579", &err));
	OK(fs_unlink(fs, "/absolute", &err)); /* the link, not the file */
	assert_int_equal(fs_unlink(fs, "/nothing", &err), P2H_NOTFOUND);
	assert_int_equal(fs_unlink(fs, "/", &err), P2H_USAGE);
	assert_int_equal(fs_mkdir(fs, "/etc", &fsconform_meta, &err), P2H_EXISTS);
	assert_int_equal(fs_mkdir(fs, "/no/such", &fsconform_meta, &err), P2H_NOTFOUND);
	assert_int_equal(fs_mkdir(fs, "/dangling", &fsconform_meta, &err), P2H_EXISTS);
}

/* Adds to the big directory and takes away: blocks split, entries merge. */
static void change_many(struct fs *fs)
{
	char path[100];

	for (int i = 0; i < FSIMAGE_MANY; i += 3) {
		snprintf(path, sizeof(path), "/many/a-name-of-some-length-%05d", i);
		OK(fs_unlink(fs, path, &err));
	}
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "/many/one-more-name-and-a-longer-one-%05d", i);
		OK(fs_write(fs, path, "", 0, &fsconform_meta, &err));
	}
}

/* Of a file's capabilities as the kernel stores them: version 2, CAP_NET_RAW permitted and effective. */
static const unsigned char capability[20] = {1, 0, 0, 2, 0, 0x20};

static void set_attributes(struct fs *fs, const char *data, unsigned cannot)
{
	char value[700];

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = cannot & FSCONFORM_TEXT_XATTRS && !data[i] ? 'x' : data[i];
	OK(fs_set_meta(fs, "/etc", &fsconform_meta, &err));
	OK(fs_set_meta(fs, "/new/short-link", &fsconform_meta, &err));
	OK(fs_set_xattr(fs, "/new", "security.selinux", "system_u:object_r:etc_t:s0", 27, &err));
	OK(fs_set_xattr(fs, "/new/moved", "user.a", value, 500, &err)); /* needs a block of its own */
	OK(fs_set_xattr(fs, "/new/moved", "user.a", value, 20, &err));
	OK(fs_set_xattr(fs, "/new/moved", "user.empty", "", 0, &err));
	OK(fs_set_xattr(fs, "/new/short-link", "trusted.x", "y", 1, &err));
	OK(fs_write(fs, "/new/gone", data, 9000, NULL, &err));
	OK(fs_set_xattr(fs, "/new/gone", "user.a", value, 700, &err));
	OK(fs_unlink(fs, "/new/gone", &err));
	assert_int_equal(fs_set_xattr(fs, "/new", "nodot", "x", 1, &err), P2H_USAGE);
	if (cannot & FSCONFORM_TEXT_XATTRS) {
		assert_int_equal(fs_set_xattr(fs, "/new/moved", "user.b", "a\0b", 3, &err), P2H_UNSUPPORTED);
		return;
	}
	OK(fs_set_xattr(fs, "/new/moved", "security.capability", capability, sizeof(capability), &err));
	OK(fs_set_xattr(fs, "/new/written-60", "system.posix_acl_access", acl, sizeof(acl), &err));
	assert_int_equal(fs_set_xattr(fs, "/new", "system.posix_acl_access", acl, 5, &err), P2H_USAGE);
}

void fsconform_script(struct fs *fs, const char *data, unsigned cannot)
{
	write_files(fs, data);
	rewrite_files(fs, data);
	make_nodes(fs);
	move_and_remove(fs);
	OK(fs_sync(fs, &err)); /* in the middle, to see that it can go on */
	change_many(fs);
	set_attributes(fs, data, cannot);
}

/* ---- what must be there afterwards ---- */

static void check_meta(struct fs *fs, const char *path, uint32_t mode, unsigned cannot)
{
	struct fs_stat st;

	OK(fs_lstat(fs, path, &st, &err));
	assert_int_equal(st.mode, mode);
	assert_int_equal(st.uid, fsconform_meta.uid);
	assert_int_equal(st.gid, fsconform_meta.gid);
	if (!(cannot & FSCONFORM_OWN_ATIME))
		assert_int_equal(st.atime, fsconform_meta.atime);
	assert_int_equal(st.mtime, cannot & FSCONFORM_SMALL_INODES ? INT32_MAX : fsconform_meta.mtime);
	assert_int_equal(st.mtime_nsec, cannot & FSCONFORM_SMALL_INODES ? 0 : fsconform_meta.mtime_nsec);
	if (!(cannot & FSCONFORM_OWN_CTIME))
		assert_int_equal(st.ctime, FSCONFORM_NOW);
}

static void check_written(struct fs *fs, const char *data, unsigned cannot)
{
	char path[64];

	for (size_t i = 0; i < N_SIZES; i++) {
		snprintf(path, sizeof(path), "/new/written-%zu", sizes[i]);
		fsconform_content(fs, path, data, sizes[i]);
		snprintf(path, sizeof(path), "/new/created-%zu", sizes[i]);
		if (sizes[i] == 4096 || sizes[i] == 4097 || sizes[i] == 1048579) {
			assert_false(fs_exists(fs, path));
			continue;
		}
		fsconform_content(fs, path, data, sizes[i]);
		check_meta(fs, path, S_IFREG | 04755, cannot);
	}
	fsconform_content(fs, "/new/moved", data, 4096);
	fsconform_content(fs, "/etc/moved", data, 4097);
	fsconform_content(fs, "/new/written-by-link", data, 5);
	fsconform_content(fs, "/etc/fstab", data, 5000);
	fsconform_content(fs, "/new/tiny", data, 3);
	fsconform_content(fs, "/big", data, 1000);
	fsconform_content(fs, "/empty", data, 70000);
	fsconform_content(fs, "/sparse", data, 1 << 20);
	fsconform_content(fs, "/etc/er/../d2/f", "x", 1);
}

static void check_nodes(struct fs *fs, unsigned cannot)
{
	CLEANUP_FREE char *link = NULL;
	struct fs_stat a, b;

	OK(fs_lstat(fs, "/new/null", &a, &err));
	assert_int_equal(a.mode, S_IFCHR | 04755);
	assert_true(a.rdev_major == 1 && a.rdev_minor == 3 && a.nlink == 2);
	OK(fs_lstat(fs, "/new/big-minor", &a, &err));
	assert_true(a.rdev_major == 259 && a.rdev_minor == 70000);
	OK(fs_readlink(fs, "/new/long-link2", &link, &err));
	assert_int_equal(strlen(link), 899);
	check_meta(fs, "/new/short-link", S_IFLNK | 0777, cannot);
	check_meta(fs, "/new/fifo", S_IFIFO | 04755, cannot);
	OK(fs_lstat(fs, "/tiny", &a, &err));
	OK(fs_lstat(fs, "/new/tiny", &b, &err));
	assert_true(a.ino == b.ino && a.nlink == 2);
	if (cannot & FSCONFORM_NO_DIR_LINKS)
		return;
	OK(fs_lstat(fs, "/new", &a, &err));
	assert_int_equal(a.nlink, 2);
	OK(fs_lstat(fs, "/etc", &a, &err));
	assert_int_equal(a.nlink, 4);
}

static void check_attributes(struct fs *fs, const char *data, unsigned cannot)
{
	CLEANUP(fs_xattrs_done) struct fs_xattrs x = {0}, kept = {0}, list = {0};

	size_t first = cannot & FSCONFORM_TEXT_XATTRS ? 1 : 0; /* no security.capability before the others */

	OK(fs_xattrs(fs, "/new/moved", &x, &err));
	assert_int_equal(x.len, 3 - first);
	assert_string_equal(x.item[1 - first].name, "user.a");
	assert_int_equal(x.item[1 - first].len, 20);
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(((char *)x.item[1 - first].value)[i], first && !data[i] ? 'x' : data[i]);
	assert_string_equal(x.item[2 - first].name, "user.empty");
	OK(fs_xattrs(fs, "/etc/fstab", &kept, &err));
	assert_true(kept.len >= (fsimage_has_xattrs() ? 2 - first : 0));
	if (first)
		return;
	OK(fs_xattrs(fs, "/new/written-60", &list, &err));
	assert_int_equal(list.len, 1);
	assert_string_equal(list.item[0].name, "system.posix_acl_access");
	assert_int_equal(list.item[0].len, sizeof(acl));
	assert_memory_equal(list.item[0].value, acl, sizeof(acl));
}

void fsconform_result(struct fs *fs, const char *data, unsigned cannot)
{
	CLEANUP(strlist_done) struct strlist many = {0};

	check_written(fs, data, cannot);
	check_nodes(fs, cannot);
	check_attributes(fs, data, cannot);
	OK(fs_list(fs, "/many", &many, &err));
	assert_int_equal(many.len, FSIMAGE_MANY - (FSIMAGE_MANY + 2) / 3 + 600);
}
