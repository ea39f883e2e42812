/* verify as a whole: its report, other layouts, images without a system, unreadable and damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/grubimg.h"
#include "support/verifycheck.h"
#include "volume/volume.h"

static void test_report(void **state)
{
	CLEANUP_DISK struct disk *d = NULL;
	struct verify_report r = {0};

	(void)state;
	verify_check_tools();
	d = bootimage_open(false);
	assert_int_equal(verify_disk(d, 1, VERIFY_ALL, &r, NULL), 0);
	assert_true(r.passed);
	assert_string_equal(r.kernel, BOOTIMAGE_RELEASE);
	assert_string_equal(r.root_uuid, BOOTIMAGE_UUID);
	assert_non_null(strstr(r.cmdline, "root=UUID=" BOOTIMAGE_UUID " ro"));
	verify_report_done(&r);
	assert_int_equal(verify_disk(d, 1, 0, &r, NULL), P2H_USAGE);
	assert_int_equal(verify_disk(d, 1, 8, &r, NULL), P2H_USAGE);
	assert_null(r.item);
}

static enum verify_result result_of(const struct verify_report *r, const char *id)
{
	for (size_t i = 0; i < r->len; i++)
		if (!strcmp(r->item[i].id, id))
			return r->item[i].result;
	fail_msg("no step %s", id);
	return VERIFY_FAIL;
}

/* Without a root tree the boot sectors are judged all the same, and the rest is skipped. */
static void test_no_root(void **state)
{
	CLEANUP_DISK struct disk *d = NULL, *empty = NULL;
	struct verify_report r = {0};

	(void)state;
	verify_check_tools();
	d = bootimage_open(false);
	assert_int_equal(disk_zero(d, BOOTIMAGE_PART, BOOTIMAGE_FS, NULL), 0);
	assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
	assert_false(r.passed);
	assert_int_equal(result_of(&r, "boot-sector"), VERIFY_PASS);
	assert_int_equal(result_of(&r, "core-image"), VERIFY_PASS);
	assert_int_equal(result_of(&r, "core-config"), VERIFY_FAIL);
	assert_int_equal(result_of(&r, "root-tree"), VERIFY_FAIL);
	assert_int_equal(result_of(&r, "network"), VERIFY_SKIP);
	verify_report_done(&r);

	assert_int_equal(disk_mem_open(1 << 20, &empty, NULL), 0);
	assert_int_equal(verify_disk(empty, -1, VERIFY_ALL, &r, NULL), 0);
	assert_int_equal(result_of(&r, "boot-sector"), VERIFY_FAIL);
	assert_int_equal(result_of(&r, "core-image"), VERIFY_SKIP);
	assert_int_equal(result_of(&r, "root-tree"), VERIFY_FAIL);
	verify_report_done(&r);
}

/* ---- /boot on a partition of its own ---- */

#define BOOT_UUID "0c0ffee0-1111-4222-8333-444455556666"
#define BOOT_FS (8 * 1024 * 1024u)
#define BOOT_AT (BOOTIMAGE_PART + BOOTIMAGE_FS)

static void move_file(struct fs *from, const char *name, struct fs *to, const char *new_name)
{
	struct buf b = {0};

	assert_int_equal(fs_read(from, name, 1 << 20, &b, NULL), 0);
	edit_put_buf(to, new_name, &b);
	edit_remove(from, name);
}

static void fill_boot(struct fs *root, struct fs *boot)
{
	assert_int_equal(fs_mkdir(boot, "/grub", &verify_meta, NULL), 0);
	move_file(root, BOOTIMAGE_KERNEL, boot, "/vmlinuz-" BOOTIMAGE_RELEASE);
	move_file(root, BOOTIMAGE_INITRD, boot, "/initrd.img-" BOOTIMAGE_RELEASE);
	move_file(root, BOOTIMAGE_CONFIG, boot, "/config-" BOOTIMAGE_RELEASE);
	move_file(root, MENU, boot, "/grub/grub.cfg");
	edit_replace(boot, "/grub/grub.cfg", "--set=root " BOOTIMAGE_UUID, "--set=root " BOOT_UUID);
	edit_replace(boot, "/grub/grub.cfg", "linux /boot/", "linux /");
	edit_replace(boot, "/grub/grub.cfg", "initrd /boot/", "initrd /");
	edit_append(root, "/etc/fstab", "UUID=" BOOT_UUID " /boot ext4 defaults 0 2\n");
}

static struct disk *separate_boot(void)
{
	CLEANUP_DISK struct disk *small = bootimage_open(false), *root_slice = NULL, *boot_slice = NULL;
	CLEANUP_FREE char *data = malloc(BOOT_AT), *boot_data = malloc(BOOT_FS);
	static const uint8_t entry[16] = {0, 0, 0, 0, 0x83};
	struct fs *root = NULL, *boot = NULL;
	struct disk *d = NULL;
	uint8_t place[8];

	assert_true(small && data && boot_data && bootimage_mkfs(BOOT_UUID, "boot", boot_data, BOOT_FS));
	assert_int_equal(disk_mem_open(BOOT_AT + BOOT_FS, &d, NULL), 0);
	assert_int_equal(disk_read(small, data, 0, BOOT_AT, NULL), 0);
	edit_bytes(d, 0, data, BOOT_AT);
	edit_bytes(d, BOOT_AT, boot_data, BOOT_FS);
	le32_put(place, BOOT_AT / 512);
	le32_put(place + 4, BOOT_FS / 512);
	edit_bytes(d, 462, entry, 16);
	edit_bytes(d, 462 + 8, place, 8);
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "/grub",
				   "search.fs_uuid " BOOT_UUID " root hd0,msdos2\nset prefix=($root)'/grub'\n"));
	assert_int_equal(disk_slice_open(d, BOOTIMAGE_PART, BOOTIMAGE_FS, &root_slice, NULL), 0);
	assert_int_equal(disk_slice_open(d, BOOT_AT, BOOT_FS, &boot_slice, NULL), 0);
	assert_int_equal(fs_ext_open(root_slice, FS_WRITE, 1700000001, &root, NULL), 0);
	assert_int_equal(fs_ext_open(boot_slice, FS_WRITE, 1700000001, &boot, NULL), 0);
	fill_boot(root, boot);
	assert_int_equal(fs_close(root, NULL), 0);
	assert_int_equal(fs_close(boot, NULL), 0);
	return d;
}

static void test_separate_boot(void **state)
{
	static const struct verify_row good = {"separate /boot", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, false};
	static const struct verify_row features = {"separate /boot", NULL, NULL, 0, VERIFY_FAIL, "file-system", "volume 2", false};
	static const struct verify_row casefold = {"casefold", NULL, NULL, 0, VERIFY_FAIL, "file-system", "without CONFIG_UNICODE", false};
	CLEANUP_DISK struct disk *d = NULL;
	struct verify_report r = {0};
	bool held;

	(void)state;
	verify_check_tools();
	d = separate_boot();
	assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
	held = verify_row_holds(&good, &r);
	if (!held)
		verify_print(good.name, &r);
	verify_report_done(&r);
	assert_true(held);

	/* GRUB reads /boot only: what it does not know may be on the root, but not there. */
	edit_bits(d, BOOTIMAGE_SUPERBLOCK + 0x60, 0x8000);
	assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
	assert_true(verify_row_holds(&good, &r));
	verify_report_done(&r);
	edit_bits(d, BOOTIMAGE_SUPERBLOCK + 0x62, 0x2);
	assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
	assert_true(verify_row_holds(&casefold, &r));
	verify_report_done(&r);
	edit_bits(d, BOOT_AT + 1024 + 0x60, 0x8000);
	assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
	assert_true(verify_row_holds(&features, &r));
	verify_report_done(&r);
}

/* ---- GPT: the core image has a partition of its own ---- */

#define GPT_SIZE (BOOTIMAGE_PART + BOOTIMAGE_FS + 2 * 1024 * 1024u)
#define GPT_CORE_SECTOR ((BOOTIMAGE_PART + BOOTIMAGE_FS) / 512)
#define LINUX_DATA "0fc63daf-8483-4772-8e79-3d69d8477de4"

/* An empty GPT disk of two partitions, the second of the given type. */
static void make_gpt(struct disk *d, const char *second_type)
{
	char path[64] = "/tmp/verify-gpt-XXXXXX", command[128], *data = malloc(GPT_SIZE);
	int fd = mkstemp(path);
	FILE *sfdisk;

	assert_true(fd >= 0 && data && ftruncate(fd, GPT_SIZE) == 0);
	snprintf(command, sizeof command, "sfdisk -q %s >/dev/null", path);
	sfdisk = popen(command, "w");
	assert_non_null(sfdisk);
	fprintf(sfdisk, "label: gpt\nstart=2048, size=%u, type=%s\nstart=%u, size=1024, type=%s\n", BOOTIMAGE_FS / 512, LINUX_DATA,
		GPT_CORE_SECTOR, second_type);
	assert_int_equal(pclose(sfdisk), 0);
	assert_int_equal(read(fd, data, GPT_SIZE), GPT_SIZE);
	edit_bytes(d, 0, data, GPT_SIZE);
	close(fd);
	unlink(path);
	free(data);
}

static struct disk *gpt_image(const char *second_type)
{
	CLEANUP_DISK struct disk *mbr = bootimage_open(false);
	CLEANUP(ranges_done) struct ranges where = {0};
	CLEANUP_FREE char *old = malloc(BOOTIMAGE_PART + BOOTIMAGE_FS);
	uint8_t boot[512], present[512], sector[512];
	struct disk *d = NULL;
	size_t len = 512 * 1024;

	assert_true(mbr && old);
	assert_int_equal(disk_read(mbr, old, 0, BOOTIMAGE_PART + BOOTIMAGE_FS, NULL), 0);
	assert_int_equal(disk_mem_open(GPT_SIZE, &d, NULL), 0);
	make_gpt(d, second_type);
	edit_bytes(d, BOOTIMAGE_PART, old + BOOTIMAGE_PART, BOOTIMAGE_FS);
	while (!old[512 + len - 1])
		len--;
	len = (len + 511) / 512 * 512;
	ranges_add(&where, (uint64_t)GPT_CORE_SECTOR * 512, len);
	assert_int_equal(grub_core_patch((uint8_t *)old + 512, len, &where, NULL), 0);
	edit_bytes(d, (uint64_t)GPT_CORE_SECTOR * 512, old + 512, len);
	memcpy(boot, old, 512);
	assert_int_equal(disk_read(d, present, 0, 512, NULL), 0);
	assert_int_equal(grub_boot_sector_make(boot, present, GPT_CORE_SECTOR, sector, NULL), 0);
	edit_bytes(d, 0, sector, 512);
	return d;
}

static void test_gpt(void **state)
{
	static const struct {
		const char *type;
		struct verify_row row;
	} cases[] = {
		{VOLUME_GPT_BIOS_BOOT, {"GPT", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, false}},
		{LINUX_DATA, {"GPT, core in a data partition", NULL, NULL, 0, VERIFY_FAIL, "core-image", "not reserved", false}},
	};

	(void)state;
	verify_check_tools();
	if (access("/sbin/sfdisk", X_OK))
		skip();
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_DISK struct disk *d = gpt_image(cases[i].type);
		struct verify_report r = {0};
		bool held;

		assert_int_equal(verify_disk(d, -1, VERIFY_ALL, &r, NULL), 0);
		held = verify_row_holds(&cases[i].row, &r);
		if (!held)
			verify_print(cases[i].row.name, &r);
		verify_report_done(&r);
		assert_true(held);
	}
}

/* A read that fails, wherever it is, leads to no verdict. */
static void test_read_faults(void **state)
{
	CLEANUP_DISK struct disk *d = NULL;
	struct verify_report r = {0};
	struct disk_fault_plan count = {0};
	struct disk *faulty = NULL;
	uint64_t reads, step;

	(void)state;
	verify_check_tools();
	d = bootimage_open(false);
	assert_int_equal(disk_fault_open(d, &count, &faulty, NULL), 0);
	assert_int_equal(verify_disk(faulty, -1, VERIFY_ALL, &r, NULL), 0);
	assert_true(r.passed);
	verify_report_done(&r);
	disk_close(faulty);
	reads = count.calls[DISK_FAULT_READ];
	assert_true(reads > 10);
	step = reads > 60 ? reads / 60 : 1;
	for (uint64_t n = 1; n <= reads; n += step) {
		struct disk_fault_plan plan = {.fail_at[DISK_FAULT_READ] = n};

		assert_int_equal(disk_fault_open(d, &plan, &faulty, NULL), 0);
		assert_int_equal(verify_disk(faulty, -1, VERIFY_ALL, &r, NULL), P2H_IO);
		assert_null(r.item);
		disk_close(faulty);
	}
}

/* Damage anywhere in the metadata and boot sectors: any verdict, no crash. */
static void test_hostile(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	verify_check_tools();
	for (int round = 0; round < 40; round++) {
		CLEANUP_DISK struct disk *d = bootimage_open(round % 2);
		uint64_t room = round % 4 < 2 ? 4096 : BOOTIMAGE_PART + BOOTIMAGE_FS / 2;
		struct verify_report r = {0};

		assert_non_null(d);
		for (int i = 0; i < (round % 4 < 2 ? 4 : 400); i++) {
			uint8_t byte;
			uint64_t at;

			seed = seed * 1664525u + 1013904223u;
			at = (round % 2 ? 0 : round % 4 ? BOOTIMAGE_PART : 0) + (seed >> 2) % room;
			byte = (uint8_t)(seed >> 24);
			if (at < d->size)
				edit_bytes(d, at, &byte, 1);
		}
		if (verify_disk(d, -1, VERIFY_ALL, &r, NULL) == 0)
			assert_true(r.len >= 5);
		verify_report_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),	    cmocka_unit_test(test_no_root), cmocka_unit_test(test_separate_boot),
		cmocka_unit_test(test_gpt),	    cmocka_unit_test(test_read_faults), cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, bootimage_setup, bootimage_teardown);
}
