/* volume_test.c - tables and signatures on disks that are no files */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "volume/volume.h"

#define MIB (1024 * 1024ull)
#define SECTOR 512u

static struct disk *new_disk(uint64_t size)
{
	struct disk *d = NULL;

	assert_int_equal(disk_mem_open(size, &d, NULL), 0);
	return d;
}

/* As much of an ext superblock as libblkid asks for (ext4 disk layout: s_magic, s_uuid, s_volume_name, feature words). */
static void put_ext(struct disk *d, uint64_t off, uint8_t uuid_byte, const char *label)
{
	uint8_t sb[1024] = {0};

	le32_put(sb + 0, 1024);      /* inodes */
	le32_put(sb + 4, 4096);      /* blocks */
	le32_put(sb + 24, 2);        /* block size 4096 */
	le16_put(sb + 56, 0xef53);
	le16_put(sb + 58, 1);
	le32_put(sb + 76, 1);        /* dynamic revision */
	le16_put(sb + 88, 256);
	le32_put(sb + 92, 0x4);      /* has_journal */
	le32_put(sb + 96, 0x42);     /* filetype, extents */
	memset(sb + 104, uuid_byte, 16);
	memcpy(sb + 120, label, strlen(label));
	assert_int_equal(disk_write(d, sb, off + 1024, sizeof(sb), NULL), 0);
}

static void put_entry(uint8_t *mbr, int i, uint8_t flag, uint8_t type, uint32_t start, uint32_t len)
{
	uint8_t *e = mbr + 446 + 16 * i;

	e[0] = flag;
	e[4] = type;
	le32_put(e + 8, start);
	le32_put(e + 12, len);
	mbr[510] = 0x55;
	mbr[511] = 0xaa;
}

static void test_whole_disk(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(64 * MIB);
	CLEANUP(volumes_done) struct volumes v = {0};

	(void)state;
	put_ext(d, 0, 0x11, "rootfs");
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_int_equal(v.table, TABLE_NONE);
	assert_int_equal(v.len, 1);
	assert_string_equal(v.item[0].content, "ext4");
	assert_string_equal(v.item[0].uuid, "11111111-1111-1111-1111-111111111111");
	assert_string_equal(v.item[0].label, "rootfs");
	assert_ptr_equal(volumes_find(&v, "/dev/xvda1"), &v.item[0]);
	assert_ptr_equal(volumes_find(&v, "/dev/sda"), &v.item[0]);
	assert_ptr_equal(volumes_find(&v, "LABEL=rootfs"), &v.item[0]);
	assert_ptr_equal(volumes_find(&v, "UUID=\"11111111-1111-1111-1111-111111111111\""), &v.item[0]);
	assert_null(volumes_find(&v, "/dev/xvda2"));
	assert_null(volumes_find(&v, "/dev/xvdb1"));
	assert_null(volumes_find(&v, "LABEL=other"));
	assert_null(volumes_find(&v, "LABEL="));
}

/* GRUB's boot sector before a file system carries 0x55aa and bytes where a table would be. */
static void test_boot_code_is_no_table(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(64 * MIB);
	CLEANUP(volumes_done) struct volumes v = {0};
	uint8_t sector[SECTOR];

	(void)state;
	memset(sector, 0x90, sizeof(sector));
	put_entry(sector, 0, 0x80, 0x83, 0x7fffffff, 0x7fffffff);
	assert_int_equal(disk_write(d, sector, 0, SECTOR, NULL), 0);
	put_ext(d, 0, 0x22, "");
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_int_equal(v.table, TABLE_NONE);
	assert_string_equal(v.item[0].content, "ext4");
}

static void test_mbr(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(256 * MIB);
	CLEANUP(volumes_done) struct volumes v = {0};
	uint8_t mbr[SECTOR] = {0}, ebr[SECTOR] = {0};

	(void)state;
	le32_put(mbr + 440, 0x1234abcd);
	put_entry(mbr, 0, 0x80, 0x83, 2048, 65536);
	put_entry(mbr, 1, 0, 0x05, 200000, 300000);
	put_entry(ebr, 0, 0, 0x82, 2048, 4096); /* logical 5, relative to its own record */
	assert_int_equal(disk_write(d, mbr, 0, SECTOR, NULL), 0);
	assert_int_equal(disk_write(d, ebr, 200000ull * SECTOR, SECTOR, NULL), 0);
	put_ext(d, MIB, 0x33, "a");
	put_ext(d, 0, 0x44, "stale"); /* an earlier life of the whole disk: the table counts */
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_int_equal(v.table, TABLE_MBR);
	assert_string_equal(v.table_id, "0x1234abcd");
	assert_int_equal(v.len, 3);
	assert_string_equal(v.item[0].content, "");
	assert_int_equal(v.item[1].number, 1);
	assert_int_equal(v.item[1].off, MIB);
	assert_int_equal(v.item[1].len, 65536ull * SECTOR);
	assert_true(v.item[1].active);
	assert_string_equal(v.item[1].type, "83");
	assert_string_equal(v.item[1].part_uuid, "1234abcd-01");
	assert_string_equal(v.item[1].label, "a");
	assert_int_equal(v.item[2].number, 5);
	assert_int_equal(v.item[2].off, 202048ull * SECTOR);
	assert_ptr_equal(volumes_find(&v, "/dev/hda5"), &v.item[2]);
	assert_ptr_equal(volumes_find(&v, "PARTUUID=1234ABCD-01"), &v.item[1]);
}

static void test_truncated(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(16 * MIB);
	struct volumes v = {0};
	struct p2h_error err = {0};
	uint8_t mbr[SECTOR] = {0};

	(void)state;
	put_entry(mbr, 0, 0x80, 0x83, 2048, 1 << 20);
	assert_int_equal(disk_write(d, mbr, 0, SECTOR, NULL), 0);
	assert_int_equal(volumes_probe(d, &v, &err), P2H_CORRUPT);
	assert_non_null(strstr(err.msg, "truncated"));
}

/* A chain of extended records that leads to itself ends. */
static void test_cyclic_extended(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(64 * MIB);
	CLEANUP(volumes_done) struct volumes v = {0};
	uint8_t mbr[SECTOR] = {0}, ebr[SECTOR] = {0};

	(void)state;
	put_entry(mbr, 0, 0, 0x05, 4096, 100000);
	put_entry(ebr, 0, 0, 0x83, 64, 128);
	put_entry(ebr, 1, 0, 0x05, 1000, 128);
	assert_int_equal(disk_write(d, mbr, 0, SECTOR, NULL), 0);
	assert_int_equal(disk_write(d, ebr, 4096ull * SECTOR, SECTOR, NULL), 0);
	assert_int_equal(disk_write(d, ebr, 5096ull * SECTOR, SECTOR, NULL), 0);
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_true(v.len < 64);
}

static void test_empty(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(4 * MIB), *tiny = new_disk(100);
	CLEANUP(volumes_done) struct volumes v = {0}, w = {0};

	(void)state;
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_int_equal(v.table, TABLE_NONE);
	assert_string_equal(v.item[0].content, "");
	assert_int_equal(volumes_probe(tiny, &w, NULL), 0);
	assert_int_equal(w.len, 1);
}

/* What mbr_make writes is what volumes_probe reads; the same arguments give the same bytes. */
static void test_make(void **state)
{
	CLEANUP_DISK struct disk *d = new_disk(65 * MIB + 512);
	CLEANUP(volumes_done) struct volumes v = {0};
	uint8_t a[SECTOR], b[SECTOR];

	(void)state;
	assert_int_equal(mbr_make(0xcafe0001, MIB, 64 * MIB + 512, a, NULL), 0);
	assert_int_equal(mbr_make(0xcafe0001, MIB, 64 * MIB + 512, b, NULL), 0);
	assert_memory_equal(a, b, SECTOR);
	assert_int_equal(disk_write(d, a, 0, SECTOR, NULL), 0);
	put_ext(d, MIB, 0x55, "r");
	assert_int_equal(volumes_probe(d, &v, NULL), 0);
	assert_string_equal(v.table_id, "0xcafe0001");
	assert_int_equal(v.len, 2);
	assert_int_equal(v.item[1].off, MIB);
	assert_int_equal(v.item[1].len, 64 * MIB + 512);
	assert_true(v.item[1].active);
	assert_int_equal(mbr_make(1, MIB, 3ull << 40, a, NULL), P2H_UNSUPPORTED);
}

static void test_faults(void **state)
{
	(void)state;
	for (uint64_t n = 1;; n++) {
		CLEANUP_DISK struct disk *d = new_disk(64 * MIB), *faulty = NULL;
		CLEANUP(volumes_done) struct volumes v = {0};
		struct disk_fault_plan plan = {.fail_at = {n, 0, 0}};
		uint8_t mbr[SECTOR];
		int rc;

		assert_int_equal(mbr_make(1, MIB, 63 * MIB, mbr, NULL), 0);
		assert_int_equal(disk_write(d, mbr, 0, SECTOR, NULL), 0);
		put_ext(d, MIB, 0x66, "r");
		assert_int_equal(disk_fault_open(d, &plan, &faulty, NULL), 0);
		rc = volumes_probe(faulty, &v, NULL);
		if (plan.calls[DISK_FAULT_READ] < n) {
			assert_int_equal(rc, 0);
			assert_int_equal(v.len, 2);
			return;
		}
		assert_int_equal(rc, P2H_IO);
	}
}

/* By each name that udev gives it, and by none that only looks alike. */
static void test_layers(void **state)
{
	struct volume item[] = {
		{.number = 0},
		{.number = 2, .content = "LVM2_member"},
		{.number = VOLUME_MAPPED, .layers = VOLUME_LVM, .device = "/dev/vg-0/ro-ot", .content = "ext4", .uuid = "22222222-2222-2222-2222-222222222222"},
		{.number = VOLUME_MAPPED + 1, .layers = VOLUME_RAID, .device = "/dev/md0"},
		{.number = VOLUME_MAPPED + 2, .layers = VOLUME_RAID, .device = "/dev/md/data"},
		{.number = VOLUME_MAPPED + 3, .layers = VOLUME_LUKS, .device = "/dev/mapper/secret"},
	};
	const struct volumes v = {.table = TABLE_MBR, .item = item, .len = 6};
	char text[64];

	(void)state;
	assert_ptr_equal(volumes_find(&v, "/dev/vg-0/ro-ot"), &item[2]);
	assert_ptr_equal(volumes_find(&v, "/dev/mapper/vg--0-ro--ot"), &item[2]);
	assert_ptr_equal(volumes_find(&v, "UUID=22222222-2222-2222-2222-222222222222"), &item[2]);
	assert_null(volumes_find(&v, "/dev/mapper/vg-0-ro-ot"));
	assert_null(volumes_find(&v, "/dev/mapper/vg--0-ro--o"));
	assert_null(volumes_find(&v, "/dev/mapper/vg--0-ro--ott"));
	assert_null(volumes_find(&v, "/dev/vg-0"));
	assert_ptr_equal(volumes_find(&v, "/dev/md0"), &item[3]);
	assert_ptr_equal(volumes_find(&v, "/dev/md/0"), &item[3]);
	assert_ptr_equal(volumes_find(&v, "/dev/md/data"), &item[4]);
	assert_null(volumes_find(&v, "/dev/md1"));
	assert_ptr_equal(volumes_find(&v, "/dev/mapper/secret"), &item[5]);
	assert_ptr_equal(volumes_find(&v, "/dev/xvda2"), &item[1]);
	assert_ptr_equal(volumes_number(&v, VOLUME_MAPPED + 1), &item[3]);
	assert_null(volumes_number(&v, 7));
	assert_true(volume_is_layer(&item[1]));
	assert_false(volume_is_layer(&item[2]));
	volume_describe(&item[2], text, sizeof(text));
	assert_string_equal(text, "/dev/vg-0/ro-ot");
	volume_describe(&item[1], text, sizeof(text));
	assert_string_equal(text, "partition 2");
}

/* By the name that was given, by that of another bus, by tags; numbers and slices tell which disk is meant. */
static void test_further_disks(void **state)
{
	CLEANUP_DISK struct disk *first = new_disk(64 * MIB), *whole = new_disk(32 * MIB), *parted = new_disk(16 * MIB), *slice = NULL;
	CLEANUP(volumes_done) struct volumes v = {0};
	const struct volume *data, *part;
	uint8_t mbr[SECTOR], got[2];

	(void)state;
	put_ext(first, 0, 0x66, "root");
	put_ext(whole, 0, 0x77, "data");
	assert_int_equal(mbr_make(1, MIB, 15 * MIB, mbr, NULL), 0);
	assert_int_equal(disk_write(parted, mbr, 0, SECTOR, NULL), 0);
	put_ext(parted, MIB, 0x88, "part");
	first->next = whole;
	whole->next = parted;
	whole->device = "/dev/xvdf";
	parted->device = "/dev/nvme2n1";
	assert_int_equal(volumes_probe(first, &v, NULL), 0);
	assert_int_equal(v.len, 3);
	data = volumes_number(&v, VOLUME_FURTHER);
	part = volumes_number(&v, VOLUME_FURTHER + 1001);
	assert_non_null(data);
	assert_non_null(part);
	assert_string_equal(part->device, "/dev/nvme2n1p1");
	assert_int_equal(part->disk, 2);
	assert_true(volume_is_elsewhere(part));
	assert_false(volume_is_mapped(part));
	assert_false(volume_is_elsewhere(&v.item[0]));
	assert_ptr_equal(volumes_find(&v, "/dev/xvdf"), data);
	assert_ptr_equal(volumes_find(&v, "/dev/sdf"), data);
	assert_ptr_equal(volumes_find(&v, "/dev/sdf1"), data); /* as EC2 attaches a volume */
	assert_null(volumes_find(&v, "/dev/xvdf2"));
	assert_null(volumes_find(&v, "/dev/xvdb"));
	assert_ptr_equal(volumes_find(&v, "LABEL=data"), data);
	assert_ptr_equal(volumes_find(&v, "/dev/nvme2n1p1"), part);
	assert_null(volumes_find(&v, "/dev/nvme2n1"));
	assert_ptr_equal(volumes_find(&v, "/dev/xvda1"), &v.item[0]);
	assert_int_equal(volume_open(first, part, &slice, NULL), 0);
	assert_int_equal(disk_read(slice, got, 1024 + 56, 2, NULL), 0);
	assert_int_equal(le16_get(got), 0xef53);
	assert_true(volume_is_disk_name("/dev/sdb"));
	assert_true(volume_is_disk_name("/dev/nvme1n1"));
	assert_false(volume_is_disk_name("/dev/xvda"));
	assert_false(volume_is_disk_name("/dev/nvme0n1"));
	assert_false(volume_is_disk_name("/dev/nvme1n1p1"));
	assert_false(volume_is_disk_name("/dev/xvdb1"));
	assert_false(volume_is_disk_name("/dev/mapper/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_further_disks),
		cmocka_unit_test(test_whole_disk), cmocka_unit_test(test_boot_code_is_no_table), cmocka_unit_test(test_mbr),
		cmocka_unit_test(test_truncated),  cmocka_unit_test(test_cyclic_extended),	 cmocka_unit_test(test_empty),
		cmocka_unit_test(test_make),	   cmocka_unit_test(test_faults),	 cmocka_unit_test(test_layers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
