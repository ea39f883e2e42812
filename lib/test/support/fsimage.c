#include "support/fsimage.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/run.h"

const struct fsimage_config fsimage_configs[] = {
	{"ext2, 1 KiB", {"-t", "ext2", "-b", "1024"}, "ext2"},
	{"ext3, 1 KiB, 128-byte inodes", {"-t", "ext3", "-b", "1024", "-I", "128"}, "ext3"},
	{"ext3, 4 KiB", {"-t", "ext3", "-b", "4096"}, "ext3"},
	{"ext4, 4 KiB", {"-t", "ext4", "-b", "4096"}, "ext4"},
	{"ext4, 2 KiB", {"-t", "ext4", "-b", "2048"}, "ext4"},
	{"ext4, 1 KiB, metadata_csum, 64bit", {"-t", "ext4", "-b", "1024", "-O", "metadata_csum,64bit"}, "ext4"},
	{"ext4, uninit_bg", {"-t", "ext4", "-b", "4096", "-O", "^metadata_csum,uninit_bg"}, "ext4"},
	{"ext4, bigalloc", {"-t", "ext4", "-b", "4096", "-O", "bigalloc", "-C", "16384"}, "ext4"},
	{"ext4, inline_data, ea_inode", {"-t", "ext4", "-b", "4096", "-O", "inline_data,ea_inode"}, "ext4"},
	{"ext4, old style", {"-t", "ext4", "-b", "4096", "-O", "^extent,^flex_bg,^64bit,^metadata_csum"}, "ext4"},
	{"ext4, orphan_file, large_dir, meta_bg",
	 {"-t", "ext4", "-b", "1024", "-O", "orphan_file,large_dir,meta_bg,^resize_inode,fast_commit"},
	 "ext4"},
};
const size_t fsimage_n_configs = sizeof(fsimage_configs) / sizeof(fsimage_configs[0]);

static char dir[256], tree[300];
static bool tree_made, xattrs;

bool fsimage_possible(void)
{
	struct p2h_error err;
	const char *const mke2fs[] = {"mke2fs", "-V", NULL}, *const e2fsck[] = {"e2fsck", "-V", NULL};
	int status;

	return !run_program(mke2fs, "e2fsprogs", NULL, &status, &err) && !run_program(e2fsck, "e2fsprogs", NULL, &status, &err);
}

const char *fsimage_dir(void)
{
	const char *tmp = getenv("TMPDIR");

	if (!dir[0]) {
		snprintf(dir, sizeof(dir), "%.200s/pv2hvm-fs-XXXXXX", tmp ? tmp : "/tmp");
		if (!mkdtemp(dir))
			fail_msg("mkdtemp: %m");
	}
	return dir;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void fsimage_done(void)
{
	if (dir[0])
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	dir[0] = '\0';
	tree_made = false;
}

void fsimage_assert_ok(int rc, const struct p2h_error *err, const char *what)
{
	if (rc)
		fail_msg("%s: %d: %s", what, rc, err->msg);
}

void fsimage_fill(void *data, size_t len, unsigned seed)
{
	unsigned char *to = data;

	for (size_t i = 0; i < len; i++)
		to[i] = (unsigned char)(i * 31 + (i >> 8) * 7 + seed);
}

static void put(const char *name, const void *data, size_t len)
{
	CLEANUP_FREE char *path = NULL;
	FILE *f;

	assert_true(asprintf(&path, "%s%s", tree, name) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void in_tree(int (*make)(const char *a, const char *b), const char *a, const char *b)
{
	CLEANUP_FREE char *path = NULL;

	assert_true(asprintf(&path, "%s%s", tree, b) > 0);
	assert_int_equal(make(a, path), 0);
}

static int make_dir(const char *mode, const char *path)
{
	return mkdir(path, (mode_t)strtoul(mode, NULL, 8));
}

static int make_link(const char *from, const char *path)
{
	CLEANUP_FREE char *whole = NULL;

	assert_true(asprintf(&whole, "%s%s", tree, from) > 0);
	return link(whole, path);
}

static int make_sparse(const char *unused, const char *path)
{
	CLEANUP_FD int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)unused;
	for (off_t at = 0; at < FSIMAGE_SPARSE_END; at += FSIMAGE_SPARSE_STEP)
		if (fd < 0 || pwrite(fd, "data", 4, at) != 4)
			return 1;
	return pwrite(fd, "data", 4, FSIMAGE_SPARSE - 4) != 4;
}

static int make_special(const char *unused, const char *path)
{
	const struct timespec times[2] = {{1000000000, 5}, {1234567890, 123456789}};

	(void)unused;
	return mkfifo(path, 0640) || chmod(path, 0640) || utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
}

static int make_xattr(const char *unused, const char *path)
{
	char value[300];

	(void)unused;
	fsimage_fill(value, sizeof(value), 3);
	xattrs = !setxattr(path, "user.short", "abc", 3, 0) && !setxattr(path, "user.long", value, sizeof(value), 0);
	return 0;
}

#define LONG_TARGET "etc/../etc/../etc/../etc/../etc/../etc/../etc/../etc/../etc/../etc/../etc/../etc/fstab"

const char *fsimage_tree(void)
{
	CLEANUP_FREE char *big = malloc(FSIMAGE_BIG);

	snprintf(tree, sizeof(tree), "%s/tree", fsimage_dir());
	if (tree_made)
		return tree;
	assert_non_null(big);
	in_tree(make_dir, "755", "");
	in_tree(make_dir, "755", "/etc");
	in_tree(make_dir, "755", "/deep");
	in_tree(make_dir, "750", "/deep/er");
	in_tree(make_dir, "755", "/many");
	put("/etc/fstab", "/dev/xvda1 / ext3 defaults 1 1\n", 31);
	in_tree(make_xattr, NULL, "/etc/fstab");
	put("/empty", "", 0);
	fsimage_fill(big, FSIMAGE_BIG, 1);
	put("/big", big, FSIMAGE_BIG);
	put("/deep/er/file", big, 10000);
	put("/tiny", "inline", 6);
	in_tree(make_sparse, NULL, "/sparse");
	in_tree(make_special, NULL, "/fifo");
	in_tree(make_link, "/tiny", "/deep/hard");
	in_tree(symlink, "fstab", "/etc/link");
	in_tree(symlink, "/etc/fstab", "/absolute");
	in_tree(symlink, "../../../../../etc/fstab", "/deep/er/up");
	in_tree(symlink, "/deep", "/etc/to-deep");
	in_tree(symlink, LONG_TARGET, "/long-link");
	in_tree(symlink, "loop2", "/loop1");
	in_tree(symlink, "loop1", "/loop2");
	in_tree(symlink, "/no/such/file", "/dangling");
	in_tree(symlink, "/etc/passwd", "/outside");
	for (int i = 0; i < FSIMAGE_MANY; i++) {
		char name[64];

		snprintf(name, sizeof(name), "/many/a-name-of-some-length-%05d", i);
		put(name, "", 0);
	}
	tree_made = true;
	return tree;
}

bool fsimage_has_xattrs(void)
{
	return xattrs;
}

const char *fsimage_make(const char *name, const char *const *args, unsigned mib, const char *from)
{
	static char path[400];
	const char *argv[32] = {"mke2fs", "-q", "-F", "-N", "3000", "-U", "01234567-89ab-cdef-0123-456789abcdef", "-E",
				"hash_seed=01234567-89ab-cdef-0123-456789abcdef", "-L", "label"};
	struct p2h_error err = {0};
	size_t n = 11;

	snprintf(path, sizeof(path), "%s/%s", fsimage_dir(), name);
	{
		CLEANUP_FD int fd = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(ftruncate(fd, (off_t)mib << 20), 0);
	}
	while (*args)
		argv[n++] = *args++;
	if (from) {
		argv[n++] = "-d";
		argv[n++] = from;
	}
	argv[n] = path;
	OK(run_program(argv, "e2fsprogs", NULL, NULL, &err));
	return path;
}

const char *fsimage_copy(const char *from, const char *name)
{
	static char path[400];
	const char *const argv[] = {"cp", "--sparse=always", from, path, NULL};
	struct p2h_error err = {0};

	snprintf(path, sizeof(path), "%s/%s", fsimage_dir(), name);
	OK(run_program(argv, "coreutils", NULL, NULL, &err));
	return path;
}

void fsimage_index_dirs(const char *path)
{
	const char *const argv[] = {"e2fsck", "-fyD", path, NULL};
	struct p2h_error err = {0};
	int status = -1;

	OK(run_program(argv, "e2fsprogs", NULL, &status, &err));
	assert_in_range(status, 0, 1);
}

void fsimage_assert_clean(const char *path)
{
	const char *const argv[] = {"e2fsck", "-fn", path, NULL};
	CLEANUP(buf_done) struct buf out = {0};
	struct p2h_error err = {0};
	int status = -1;

	OK(run_program(argv, "e2fsprogs", &out, &status, &err));
	if (status)
		fail_msg("e2fsck -fn %s: status %d\n%.2000s", path, status, out.data ? out.data : "");
}
