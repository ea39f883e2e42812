/* From sector 0 to the kernel, and the file systems on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "support/verifycheck.h"

static void disk_no_code(struct disk *d)
{
	assert_int_equal(disk_zero(d, 0, 440, NULL), 0);
}

static void disk_lilo(struct disk *d)
{
	uint8_t code[440] = {0xfa, 0xeb, 0x7c};

	memcpy(code + 6, "LILO", 4);
	edit_bytes(d, 0, code, sizeof code);
}

static void disk_stage1(struct disk *d)
{
	uint8_t code[440] = {0xeb, 0x48, 0x90};

	code[0x3e] = 3;
	code[0x3f] = 2;
	memcpy(code + 0x180, "GRUB \0Geom\0Hard Disk", 21);
	edit_bytes(d, 0, code, sizeof code);
}

static void disk_other_drive(struct disk *d)
{
	edit_bytes(d, 0x64, "\x81", 1);
}

static void disk_no_signature(struct disk *d)
{
	edit_bytes(d, 510, "\0\0", 2);
}

static void disk_core_far(struct disk *d)
{
	edit_bytes(d, 0x5c, "\xff\xff\xff\xff\0\0\0\0", 8);
}

static void disk_core_flipped(struct disk *d)
{
	uint8_t byte;

	assert_int_equal(disk_read(d, &byte, 40000, 1, NULL), 0);
	byte ^= 0x10;
	edit_bytes(d, 40000, &byte, 1);
}

static void disk_list_far(struct disk *d)
{
	edit_bytes(d, 512 + 500, "\xff\xff\xff\xff\xff\0\0\0", 8);
}

static void disk_list_self(struct disk *d)
{
	edit_bytes(d, 512 + 500, "\1\0\0\0\0\0\0\0", 8);
}

/* The first sector of core inside the partition, where a file could be. */
static void disk_core_in_partition(struct disk *d)
{
	uint64_t at = BOOTIMAGE_PART + BOOTIMAGE_FS - 4096;
	uint8_t sector[512], where[8];

	assert_int_equal(disk_read(d, sector, 512, 512, NULL), 0);
	edit_bytes(d, at, sector, 512);
	le64_put(where, at / 512);
	edit_bytes(d, 0x5c, where, 8);
}

static void disk_core_no_part(struct disk *d)
{
	assert_true(bootimage_core(d, "biosdisk ext2 search_fs_uuid normal linux", "/boot/grub", BOOTIMAGE_CORE_CONFIG));
}

static void disk_core_no_uuid(struct disk *d)
{
	assert_true(bootimage_core(d, "biosdisk part_msdos ext2 linux minicmd", "/boot/grub", BOOTIMAGE_CORE_CONFIG));
}

static void disk_core_no_ext2(struct disk *d)
{
	assert_true(bootimage_core(d, "biosdisk part_msdos search_fs_uuid normal linux xfs", "/boot/grub", BOOTIMAGE_CORE_CONFIG));
}

static void disk_core_other_uuid(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "/boot/grub", "search.fs_uuid 00000000-0000-0000-0000-000000000001 root\nset prefix=($root)/boot/grub\n"));
}

static void disk_core_other_dir(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "/boot/grub", "search.fs_uuid " BOOTIMAGE_UUID " root\nset prefix=($root)/boot/grub2\n"));
}

static void disk_core_device(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "/boot/grub", "# by number\nset prefix=(hd0,msdos1)'/boot/grub'\n"));
}

static void disk_core_search(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "/boot/grub", "search --no-floppy --fs-uuid --set=root " BOOTIMAGE_UUID
				   "\nset prefix=\"(${root})/boot/grub\"\nconfigfile $prefix/grub.cfg\n"));
}

/* As grub-install leaves them: the drive is the one that the BIOS started. */
static void disk_core_prefix(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "(,msdos1)/boot/grub", NULL));
}

static void disk_core_prefix_flat(struct disk *d)
{
	assert_true(bootimage_core(d, BOOTIMAGE_CORE_MODULES, "()/boot/grub", NULL));
}

static void disk_errors(struct disk *d)
{
	edit_bits(d, BOOTIMAGE_SUPERBLOCK + 0x3a, 2); /* s_state: EXT2_ERROR_FS */
}

static void disk_inline_data(struct disk *d)
{
	edit_bits(d, BOOTIMAGE_SUPERBLOCK + 0x60, 0x8000); /* s_feature_incompat */
}

static void disk_recovery(struct disk *d)
{
	edit_bits(d, BOOTIMAGE_SUPERBLOCK + 0x60, 0x4);
}

static void disk_inactive(struct disk *d)
{
	edit_bytes(d, 446, "\0", 1);
}

/* Where the core image's second sector is: only with a core that starts later. */
static void disk_stale(struct disk *d)
{
	CLEANUP_FREE char *core = malloc(BOOTIMAGE_PART - 512);
	uint8_t sb[1024], where[8];

	assert_non_null(core);
	assert_int_equal(disk_read(d, core, 512, BOOTIMAGE_PART / 2, NULL), 0);
	edit_bytes(d, 8192, core, BOOTIMAGE_PART / 2);
	assert_int_equal(disk_zero(d, 512, 8192 - 512, NULL), 0);
	le64_put(where, 16);
	edit_bytes(d, 0x5c, where, 8);
	le64_put(where, 17);
	edit_bytes(d, 8192 + 500, where, 8);
	assert_int_equal(disk_read(d, sb, BOOTIMAGE_SUPERBLOCK, sizeof sb, NULL), 0);
	edit_bytes(d, 1024, sb, sizeof sb);
}

static void no_menu(struct fs *fs)
{
	edit_remove(fs, MENU);
}

static void empty_menu(struct fs *fs)
{
	edit_put(fs, MENU, "set timeout=5\n");
}

static void menu_chain(struct fs *fs)
{
	edit_put(fs, MENU, "set default=0\nmenuentry 'Windows' {\n\tchainloader +1\n}\n");
}

static void menu_bls(struct fs *fs)
{
	edit_append(fs, MENU, "blscfg\n");
}

static void menu_search(struct fs *fs)
{
	edit_replace(fs, MENU, "--set=root 5", "--set=root 6");
}

static void menu_bare(struct fs *fs)
{
	edit_put(fs, MENU, "linux " BOOTIMAGE_KERNEL " root=UUID=" BOOTIMAGE_UUID " net.ifnames=0\ninitrd " BOOTIMAGE_INITRD "\nboot\n");
}

static void menu_default(struct fs *fs)
{
	edit_replace(fs, MENU, "default=0", "default=nothing");
}

static void menu_waits(struct fs *fs)
{
	edit_replace(fs, MENU, "set timeout=1", "set timeout=-1");
}

static void menu_no_timeout(struct fs *fs)
{
	edit_replace(fs, MENU, "set timeout=1", "");
}

static void menu_password(struct fs *fs)
{
	edit_append(fs, MENU, "set superusers=\"admin\"\npassword admin secret\n");
}

static void menu_unrestricted(struct fs *fs)
{
	menu_password(fs);
	edit_replace(fs, MENU, "--id test", "--unrestricted --id test");
}

static void menu_unclosed(struct fs *fs)
{
	edit_replace(fs, MENU, "\n}\n", "\n");
}

static void menu_unclosed_later(struct fs *fs)
{
	edit_append(fs, MENU, "menuentry 'More' {\n");
}

static void no_kernel(struct fs *fs)
{
	edit_remove(fs, BOOTIMAGE_KERNEL);
}

static void short_kernel(struct fs *fs)
{
	edit_cut(fs, BOOTIMAGE_KERNEL, 100);
}

static void elf_kernel(struct fs *fs)
{
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){.bits = 64, .interp = NULL, .abi = NULL});
	edit_put_buf(fs, BOOTIMAGE_KERNEL, &b);
}

/* A packed part in the kernel's last 4 KiB: the magic number of xz, and nothing that it could unpack. */
static void damaged_kernel(struct fs *fs)
{
	struct buf b = {0};
	size_t payload;

	bootimage_kernel(&b, true);
	payload = b.len - 4096;
	le32_put((uint8_t *)b.data + 0x248, 0);
	le32_put((uint8_t *)b.data + 0x24c, 4096);
	memcpy(b.data + payload, "\xfd" "7zXZ", 6);
	edit_put_buf(fs, BOOTIMAGE_KERNEL, &b);
}

static void path_in_release(struct fs *fs)
{
	edit_replace(fs, BOOTIMAGE_KERNEL, BOOTIMAGE_RELEASE, "../../../../x");
}

static void kernel_32(struct fs *fs)
{
	struct buf b = {0};

	bootimage_kernel(&b, false);
	edit_put_buf(fs, BOOTIMAGE_KERNEL, &b);
}

static const struct verify_row rows[] = {
	/* name, files, bytes, targets, result, step, evidence, flat */
	{"nothing broken", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"flat, core in inode 5", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, true},
	{"core by device", NULL, disk_core_device, 0, VERIFY_PASS, NULL, NULL, false},
	{"core by prefix", NULL, disk_core_prefix, 0, VERIFY_PASS, NULL, NULL, false},
	{"core for a whole disk", NULL, disk_core_prefix_flat, 0, VERIFY_FAIL, "core-config", "hd0", false},
	{"core by search", NULL, disk_core_search, 0, VERIFY_PASS, NULL, NULL, false},
	{"no menu, just boot", menu_bare, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"no boot code", NULL, disk_no_code, 0, VERIFY_FAIL, "boot-sector", "no boot code", false},
	{"LILO", NULL, disk_lilo, 0, VERIFY_FAIL, "boot-sector", "LILO", false},
	{"GRUB legacy", NULL, disk_stage1, 0, VERIFY_FAIL, "boot-sector", "GRUB legacy", false},
	{"other BIOS drive", NULL, disk_other_drive, 0, VERIFY_FAIL, "boot-sector", "0x81", false},
	{"no 55aa", NULL, disk_no_signature, 0, VERIFY_FAIL, "boot-sector", "55aa", true},
	{"core beyond the disk", NULL, disk_core_far, 0, VERIFY_FAIL, "core-image", NULL, false},
	{"core with a flipped bit", NULL, disk_core_flipped, 0, VERIFY_FAIL, "core-image", NULL, false},
	{"block list beyond the disk", NULL, disk_list_far, 0, VERIFY_FAIL, "core-image", NULL, false},
	{"block list onto itself", NULL, disk_list_self, 0, VERIFY_FAIL, "core-image", "overlap", false},
	{"core inside the partition", NULL, disk_core_in_partition, 0, VERIFY_FAIL, "core-image", "not reserved", false},
	{"core without part_msdos", NULL, disk_core_no_part, 0, VERIFY_FAIL, "core-modules", "part_msdos", false},
	{"core without search_fs_uuid", NULL, disk_core_no_uuid, 0, VERIFY_FAIL, "core-modules", "search_fs_uuid", false},
	{"core without ext2", NULL, disk_core_no_ext2, 0, VERIFY_FAIL, "core-modules", "ext2", false},
	{"core for another UUID", NULL, disk_core_other_uuid, 0, VERIFY_FAIL, "core-config", NULL, false},
	{"core for another directory", NULL, disk_core_other_dir, 0, VERIFY_FAIL, "core-config", "/boot/grub2", false},
	{"no grub.cfg", no_menu, NULL, 0, VERIFY_FAIL, "core-config", "grub.cfg", false},
	{"menu without entries", empty_menu, NULL, 0, VERIFY_FAIL, "grub-cfg", "no menu entry", false},
	{"menu without Linux", menu_chain, NULL, 0, VERIFY_FAIL, "grub-cfg", "Windows", false},
	{"menu with blscfg", menu_bls, NULL, 0, VERIFY_FAIL, "grub-cfg", "blscfg", false},
	{"entry searches elsewhere", menu_search, NULL, 0, VERIFY_FAIL, "grub-cfg", "searches", false},
	{"menu that waits", menu_waits, NULL, 0, VERIFY_FAIL, "grub-cfg", "timeout=-1: GRUB waits", false},
	{"menu without timeout", menu_no_timeout, NULL, 0, VERIFY_FAIL, "grub-cfg", "no timeout", false},
	{"menu with a password", menu_password, NULL, 0, VERIFY_FAIL, "grub-cfg", "superusers", false},
	{"password for others", menu_unrestricted, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"entry that does not end", menu_unclosed, NULL, 0, VERIFY_FAIL, "grub-cfg", "does not end", false},
	{"another entry that does not end", menu_unclosed_later, NULL, 0, VERIFY_WARN, "grub-cfg", "does not end", false},
	{"damaged kernel", damaged_kernel, NULL, 0, VERIFY_FAIL, "kernel", "the packed kernel within is damaged", false},
	{"no kernel", no_kernel, NULL, 0, VERIFY_FAIL, "kernel", BOOTIMAGE_KERNEL, false},
	{"truncated kernel", short_kernel, NULL, 0, VERIFY_FAIL, "kernel", "truncated", false},
	{"PV kernel", elf_kernel, NULL, 0, VERIFY_FAIL, "kernel", "Xen PV", false},
	{"path as release", path_in_release, NULL, 0, VERIFY_FAIL, "kernel", "release", false},
	{"32-bit kernel", kernel_32, NULL, 0, VERIFY_FAIL, "kernel-arch", "32-bit kernel", false},
	{"errors in the file system", NULL, disk_errors, 0, VERIFY_FAIL, "file-system", "errors", false},
	{"inline_data", NULL, disk_inline_data, 0, VERIFY_FAIL, "file-system", "inline_data", false},
	{"inactive partition", NULL, disk_inactive, 0, VERIFY_WARN, "partition-table", "active", false},
	{"stale superblock", NULL, disk_stale, 0, VERIFY_WARN, "partition-table", "superblock", false},
	{"journal to replay", NULL, disk_recovery, 0, VERIFY_WARN, "file-system", "journal", false},
	{"default names nothing", menu_default, NULL, 0, VERIFY_WARN, "grub-cfg", "nothing", false},
};

static void test_boot_path(void **state)
{
	(void)state;
	verify_check_rows(rows, sizeof rows / sizeof *rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_boot_path),
	};

	return cmocka_run_group_tests(tests, bootimage_setup, bootimage_teardown);
}
