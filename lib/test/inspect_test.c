/* inspect_test.c - finding the root, the kernels and what an initramfs lacks */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "inspect/parts.h"
#include "inspect/tree.h"
#include "support/bootimage.h"
#include "volume/volume.h"

#define NOW 1700000000
#define MIB (1024 * 1024ull)

static void must(int rc, const struct p2h_error *err)
{
	if (rc)
		fail_msg("%d: %s", rc, err->msg);
}

static const struct fs_meta meta = {.mode = 0644};

static void put(struct fs *fs, const char *path, const void *data, size_t len)
{
	struct p2h_error err = {0};

	must(fs_write(fs, path, data, len, &meta, &err), &err);
}

static struct disk *image(void)
{
	struct disk *d;

	if (!bootimage_possible())
		skip();
	d = bootimage_open(false);
	assert_non_null(d);
	return d;
}

/* Two partitions with the same root in them. */
static struct disk *two_roots(void)
{
	CLEANUP_DISK struct disk *one = image();
	struct disk *d = NULL;
	char *data = malloc(BOOTIMAGE_FS);
	uint8_t mbr[512] = {0};

	assert_non_null(data);
	assert_int_equal(disk_mem_open(2 * MIB + 2 * BOOTIMAGE_FS, &d, NULL), 0);
	assert_int_equal(mbr_make(7, MIB, BOOTIMAGE_FS, mbr, NULL), 0);
	memcpy(mbr + 446 + 16, mbr + 446, 16);
	mbr[446 + 16] = 0;
	mbr[446 + 16 + 8] = mbr[446 + 16 + 9] = mbr[446 + 16 + 10] = mbr[446 + 16 + 11] = 0;
	mbr[446 + 16 + 9] = (uint8_t)((MIB + BOOTIMAGE_FS) / 512 >> 8);
	mbr[446 + 16 + 10] = (uint8_t)((MIB + BOOTIMAGE_FS) / 512 >> 16);
	assert_int_equal(disk_write(d, mbr, 0, 512, NULL), 0);
	assert_int_equal(disk_read(one, data, BOOTIMAGE_PART, BOOTIMAGE_FS, NULL), 0);
	assert_int_equal(disk_write(d, data, MIB, BOOTIMAGE_FS, NULL), 0);
	assert_int_equal(disk_write(d, data, MIB + BOOTIMAGE_FS, BOOTIMAGE_FS, NULL), 0);
	free(data);
	return d;
}

static void test_two_roots(void **state)
{
	CLEANUP_DISK struct disk *d = two_roots();
	struct p2h_error err = {0};
	struct guest *g = NULL;

	(void)state;
	assert_int_equal(guest_open(d, -1, 0, 0, &g, &err), P2H_REFUSED);
	assert_non_null(strstr(err.msg, "--root"));
	must(guest_open(d, 2, 0, 0, &g, &err), &err);
	assert_int_equal(g->root_number, 2);
	assert_int_equal(guest_root_volume(g)->off, MIB + BOOTIMAGE_FS);
	guest_close(g, NULL);
	assert_int_equal(guest_open(d, 3, 0, 0, &g, &err), P2H_NOTFOUND);
}

/* A signature of something that no engine reads is named. */
static void test_unsupported(void **state)
{
	CLEANUP_DISK struct disk *d = NULL;
	struct p2h_error err = {0};
	struct guest *g = NULL;
	uint8_t xfs[512] = "XFSB\0\0\x10\0"; /* magic, block size 4096, big-endian (XFS on-disk format, xfs_dsb) */

	(void)state;
	xfs[100] = 0xb4; /* version 4 with the bits that libblkid wants */
	xfs[101] = 0xa4;
	xfs[102] = 2;    /* sector size 512 */
	xfs[104] = 1;    /* inode size 256 */
	xfs[107] = 16;
	xfs[120] = 12;   /* logarithms: block, sector, inode, inodes a block */
	xfs[121] = 9;
	xfs[122] = 8;
	xfs[123] = 4;
	assert_int_equal(disk_mem_open(64 * MIB, &d, NULL), 0);
	assert_int_equal(guest_open(d, -1, 0, 0, &g, &err), P2H_NOTFOUND);
	assert_non_null(strstr(err.msg, "no Linux root"));
	assert_int_equal(disk_write(d, xfs, 0, sizeof(xfs), NULL), 0);
	if (guest_open(d, -1, 0, 0, &g, &err) == P2H_UNSUPPORTED)
		assert_non_null(strstr(err.msg, "xfs"));
}

static void test_truncated(void **state)
{
	CLEANUP_DISK struct disk *d = image(), *half = NULL, *fs = NULL;
	struct p2h_error err = {0};
	struct guest *g = NULL;

	(void)state;
	assert_int_equal(disk_slice_open(d, BOOTIMAGE_PART, BOOTIMAGE_FS, &fs, NULL), 0);
	assert_int_equal(disk_slice_open(fs, 0, BOOTIMAGE_FS / 2, &half, NULL), 0);
	assert_int_equal(guest_open(half, -1, 0, 0, &g, &err), P2H_CORRUPT);
	assert_non_null(strstr(err.msg, "truncated"));
}

static void test_kernels(void **state)
{
	static const char classic[] = "CONFIG_X86_64_XEN=y\nCONFIG_XEN_UNPRIVILEGED_GUEST=y\n";
	CLEANUP_DISK struct disk *d = image();
	CLEANUP(arena_done) struct arena arena = {0};
	CLEANUP(buf_done) struct buf kernel = {0};
	struct facts_kernels k = {0};
	struct p2h_error err = {0};
	struct guest *g = NULL;

	(void)state;
	bootimage_kernel(&kernel, true);
	must(guest_open(d, -1, GUEST_WRITE, NOW, &g, &err), &err);
	put(g->fs, "/boot/vmlinuz-6.1.0-100-test", kernel.data, kernel.len);
	put(g->fs, "/boot/vmlinuz-2.6.18-xen", kernel.data, kernel.len);
	put(g->fs, "/boot/config-2.6.18-xen", classic, strlen(classic));
	put(g->fs, "/boot/vmlinuz-2.6.32-308-ec2", kernel.data, kernel.len);
	put(g->fs, "/boot/vmlinuz-3.0-cut", kernel.data, kernel.len / 2);
	put(g->fs, "/boot/vmlinuz-4.0-text", "text", 4);
	must(read_kernels(g->fs, &arena, &k, &err), &err);
	guest_close(g, NULL);
	assert_int_equal(k.len, 6);
	assert_string_equal(k.item[0].release, "6.1.0-100-test"); /* by version, not by letter */
	assert_string_equal(k.item[1].release, BOOTIMAGE_RELEASE);
	assert_true(k.item[1].hvm && k.item[1].is_64bit);
	assert_string_equal(k.item[1].initrd, BOOTIMAGE_INITRD);
	assert_string_equal(k.item[1].modules, BOOTIMAGE_MODULES);
	assert_string_equal(k.item[0].initrd, "");
	for (size_t i = 2; i < 6; i++)
		if (k.item[i].hvm || !k.item[i].why_not)
			fail_msg("%s passes for one that boots as HVM", k.item[i].release);
}

static void test_drivers(void **state)
{
	CLEANUP_DISK struct disk *d = image();
	CLEANUP(buf_done) struct buf full = {0}, bare = {0};
	CLEANUP(initramfs_done) struct initramfs has = {0}, lacks = {0};
	CLEANUP(kernel_drivers_done) struct kernel_drivers k = {0};
	const struct strlist features = {0};
	CLEANUP_GUEST struct guest *g = NULL;
	struct p2h_error err = {0};

	(void)state;
	bootimage_initrd(&full, BOOTIMAGE_INITRD_MEMBERS);
	bootimage_initrd(&bare, "init " BOOTIMAGE_KO "nvme.ko"); /* without nvme-core, on which it depends, and ext4 */
	must(initramfs_parse(full.data, full.len, &has, &err), &err);
	must(initramfs_parse(bare.data, bare.len, &lacks, &err), &err);
	assert_true(initramfs_is_of(&has, full.data, full.len));
	assert_false(initramfs_is_of(&has, bare.data, bare.len));
	must(guest_open(d, -1, 0, 0, &g, &err), &err);
	must(kernel_drivers_load(g->fs, BOOTIMAGE_MODULES, BOOTIMAGE_CONFIG, &k, &err), &err);
	for (size_t t = 0; t < DRIVERS_TARGETS; t++) {
		CLEANUP(strlist_done) struct strlist none = {0}, some = {0};
		struct drivers_root root = {.type = "ext4", .features = &features};

		must(drivers_missing(&k, &has, t, &root, &none, &err), &err);
		if (none.len)
			fail_msg("%s lacks %s", drivers_target_name[t], none.item[0]);
		must(drivers_missing(&k, &lacks, t, &root, &some, &err), &err);
		assert_true(strlist_has(&some, "ext4"));
		assert_int_equal(strlist_has(&some, "xen_blkfront"), t == 0);
		assert_int_equal(strlist_has(&some, "virtio_blk"), t == 2);
		assert_false(strlist_has(&some, "nvme"));
	}
}

static int collect(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	(void)st;
	(void)err;
	strlist_add(arg, relative);
	return strcmp(relative, "stop") ? 0 : P2H_USAGE;
}

static void test_tree(void **state)
{
	CLEANUP_DISK struct disk *d = image();
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP_GUEST struct guest *g = NULL;
	struct p2h_error err = {0};

	(void)state;
	must(guest_open(d, -1, GUEST_WRITE, NOW, &g, &err), &err);
	must(fs_symlink(g->fs, "/usr/src/linux", BOOTIMAGE_MODULES "/build", &meta, &err), &err);
	must(tree_walk(g->fs, BOOTIMAGE_MODULES, collect, &names, &err), &err);
	assert_true(strlist_has(&names, "modules.dep"));
	assert_false(strlist_has(&names, "build"));
	put(g->fs, BOOTIMAGE_MODULES "/stop", "", 0);
	assert_int_equal(tree_walk(g->fs, BOOTIMAGE_MODULES, collect, &names, &err), P2H_USAGE);
}

/* What is free in the file system is not free in the gap before it, and the boot loader's blocks are used. */
static void test_free_ranges(void **state)
{
	CLEANUP_DISK struct disk *d = image();
	CLEANUP(ranges_done) struct ranges unused = {0};
	CLEANUP_GUEST struct guest *g = NULL;
	struct p2h_error err = {0};
	uint64_t end = 0;

	(void)state;
	must(guest_open(d, -1, 0, 0, &g, &err), &err);
	must(guest_free_ranges(g, 0, &unused, &err), &err);
	assert_true(unused.len > 0);
	assert_true(unused.item[0].off >= BOOTIMAGE_PART);
	for (size_t i = 0; i < unused.len; i++) {
		assert_true(unused.item[i].off >= end);
		end = unused.item[i].off + unused.item[i].len;
	}
	assert_true(end <= d->size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_roots), cmocka_unit_test(test_unsupported), cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_kernels),	  cmocka_unit_test(test_drivers),     cmocka_unit_test(test_tree),
		cmocka_unit_test(test_free_ranges),
	};

	return cmocka_run_group_tests(tests, bootimage_setup, bootimage_teardown);
}
