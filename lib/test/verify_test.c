#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "support/bootimage.h"
#include "verify/verify.h"
#include "volume/volume.h"

#define ALL (TARGET_XEN_HVM | TARGET_NITRO | TARGET_KVM)
#define FS_SUPERBLOCK (BOOTIMAGE_PART + 1024u)
#define MENU "/boot/grub/grub.cfg"
#define DEP BOOTIMAGE_MODULES "/modules.dep"

static const struct fs_meta meta = {.mode = 0755};

static int init_images(void **state)
{
	(void)state;
	return !bootimage_possible() || bootimage_init() ? 0 : -1;
}

static int exit_images(void **state)
{
	(void)state;
	if (bootimage_possible())
		bootimage_exit();
	return 0;
}

static void need_tools(void)
{
	if (!bootimage_possible()) {
		print_message("grub-mkimage, boot.img or mke2fs is not installed\n");
		skip();
	}
}

/* ---- ways to break an image: by its files, or by its bytes ---- */

static void put(struct fs *fs, const char *path, const char *text)
{
	struct p2h_error e = {0};

	if (fs_write(fs, path, text, strlen(text), &meta, &e))
		fail_msg("%s: %s", path, e.msg);
}

static void put_buf(struct fs *fs, const char *path, struct buf *b)
{
	struct p2h_error e = {0};

	if (fs_write(fs, path, b->data, b->len, &meta, &e))
		fail_msg("%s: %s", path, e.msg);
	buf_done(b);
}

static void replace(struct fs *fs, const char *path, const char *from, const char *to)
{
	struct buf old = {0}, new = {0};
	char *at;

	assert_int_equal(fs_read(fs, path, 1 << 20, &old, NULL), 0);
	at = memmem(old.data, old.len, from, strlen(from));
	assert_non_null(at);
	buf_append(&new, old.data, (size_t)(at - old.data));
	buf_puts(&new, to);
	buf_append(&new, at + strlen(from), old.len - (size_t)(at - old.data) - strlen(from));
	put_buf(fs, path, &new);
	buf_done(&old);
}

static void append(struct fs *fs, const char *path, const char *text)
{
	struct buf b = {0};

	assert_int_equal(fs_read(fs, path, 1 << 20, &b, NULL), 0);
	buf_puts(&b, text);
	put_buf(fs, path, &b);
}

static void cut(struct fs *fs, const char *path, size_t drop)
{
	struct buf b = {0};

	assert_int_equal(fs_read(fs, path, 1 << 20, &b, NULL), 0);
	assert_true(drop < b.len);
	b.len -= drop;
	put_buf(fs, path, &b);
}

static void gone(struct fs *fs, const char *path)
{
	assert_int_equal(fs_unlink(fs, path, NULL), 0);
}

static void poke(struct disk *d, uint64_t off, const void *data, size_t len)
{
	assert_int_equal(disk_write(d, data, off, len, NULL), 0);
}

static void poke32(struct disk *d, uint64_t off, uint32_t bits)
{
	uint8_t field[4];

	assert_int_equal(disk_read(d, field, off, 4, NULL), 0);
	le32_put(field, le32_get(field) | bits);
	poke(d, off, field, 4);
}

static void disk_no_code(struct disk *d)
{
	assert_int_equal(disk_zero(d, 0, 440, NULL), 0);
}

static void disk_lilo(struct disk *d)
{
	uint8_t code[440] = {0xfa, 0xeb, 0x7c};

	memcpy(code + 6, "LILO", 4);
	poke(d, 0, code, sizeof code);
}

static void disk_stage1(struct disk *d)
{
	uint8_t code[440] = {0xeb, 0x48, 0x90};

	code[0x3e] = 3;
	code[0x3f] = 2;
	memcpy(code + 0x180, "GRUB \0Geom\0Hard Disk", 21);
	poke(d, 0, code, sizeof code);
}

static void disk_other_drive(struct disk *d)
{
	poke(d, 0x64, "\x81", 1);
}

static void disk_no_signature(struct disk *d)
{
	poke(d, 510, "\0\0", 2);
}

static void disk_core_far(struct disk *d)
{
	poke(d, 0x5c, "\xff\xff\xff\xff\0\0\0\0", 8);
}

static void disk_core_flipped(struct disk *d)
{
	uint8_t byte;

	assert_int_equal(disk_read(d, &byte, 40000, 1, NULL), 0);
	byte ^= 0x10;
	poke(d, 40000, &byte, 1);
}

static void disk_list_far(struct disk *d)
{
	poke(d, 512 + 500, "\xff\xff\xff\xff\xff\0\0\0", 8);
}

static void disk_list_self(struct disk *d)
{
	poke(d, 512 + 500, "\1\0\0\0\0\0\0\0", 8);
}

/* The first sector of core inside the partition, where a file could be. */
static void disk_core_in_partition(struct disk *d)
{
	uint64_t at = BOOTIMAGE_PART + BOOTIMAGE_FS - 4096;
	uint8_t sector[512], where[8];

	assert_int_equal(disk_read(d, sector, 512, 512, NULL), 0);
	poke(d, at, sector, 512);
	le64_put(where, at / 512);
	poke(d, 0x5c, where, 8);
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
	poke32(d, FS_SUPERBLOCK + 0x3a, 2); /* s_state: EXT2_ERROR_FS */
}

static void disk_inline_data(struct disk *d)
{
	poke32(d, FS_SUPERBLOCK + 0x60, 0x8000); /* s_feature_incompat */
}

static void disk_recovery(struct disk *d)
{
	poke32(d, FS_SUPERBLOCK + 0x60, 0x4);
}

static void disk_inactive(struct disk *d)
{
	poke(d, 446, "\0", 1);
}

/* Where the core image's second sector is: only with a core that starts later. */
static void disk_stale(struct disk *d)
{
	CLEANUP_FREE char *core = malloc(BOOTIMAGE_PART - 512);
	uint8_t sb[1024], where[8];

	assert_non_null(core);
	assert_int_equal(disk_read(d, core, 512, BOOTIMAGE_PART / 2, NULL), 0);
	poke(d, 8192, core, BOOTIMAGE_PART / 2);
	assert_int_equal(disk_zero(d, 512, 8192 - 512, NULL), 0);
	le64_put(where, 16);
	poke(d, 0x5c, where, 8);
	le64_put(where, 17);
	poke(d, 8192 + 500, where, 8);
	assert_int_equal(disk_read(d, sb, FS_SUPERBLOCK, sizeof sb, NULL), 0);
	poke(d, 1024, sb, sizeof sb);
}

static void no_menu(struct fs *fs)
{
	gone(fs, MENU);
}

static void empty_menu(struct fs *fs)
{
	put(fs, MENU, "set timeout=5\n");
}

static void menu_chain(struct fs *fs)
{
	put(fs, MENU, "set default=0\nmenuentry 'Windows' {\n\tchainloader +1\n}\n");
}

static void menu_bls(struct fs *fs)
{
	append(fs, MENU, "blscfg\n");
}

static void menu_search(struct fs *fs)
{
	replace(fs, MENU, "--set=root 5", "--set=root 6");
}

static void menu_bare(struct fs *fs)
{
	put(fs, MENU, "linux " BOOTIMAGE_KERNEL " root=UUID=" BOOTIMAGE_UUID " net.ifnames=0\ninitrd " BOOTIMAGE_INITRD "\nboot\n");
}

static void menu_default(struct fs *fs)
{
	replace(fs, MENU, "default=0", "default=nothing");
}

static void no_kernel(struct fs *fs)
{
	gone(fs, BOOTIMAGE_KERNEL);
}

static void short_kernel(struct fs *fs)
{
	cut(fs, BOOTIMAGE_KERNEL, 100);
}

static void elf_kernel(struct fs *fs)
{
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){64, NULL, NULL});
	put_buf(fs, BOOTIMAGE_KERNEL, &b);
}

static void path_in_release(struct fs *fs)
{
	replace(fs, BOOTIMAGE_KERNEL, BOOTIMAGE_RELEASE, "../../../../x");
}

static void kernel_32(struct fs *fs)
{
	struct buf b = {0};

	bootimage_kernel(&b, false);
	put_buf(fs, BOOTIMAGE_KERNEL, &b);
}

static void init_elf(struct fs *fs, unsigned bits, const char *interp, const unsigned *abi)
{
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){bits, interp, abi});
	put_buf(fs, "/sbin/init", &b);
}

static void init_32(struct fs *fs)
{
	init_elf(fs, 32, NULL, NULL);
	replace(fs, BOOTIMAGE_CONFIG, "CONFIG_IA32_EMULATION=y", "# CONFIG_IA32_EMULATION is not set");
}

static void init_32_off(struct fs *fs)
{
	init_elf(fs, 32, NULL, NULL);
	append(fs, BOOTIMAGE_CONFIG, "CONFIG_IA32_EMULATION_DEFAULT_DISABLED=y\n");
}

static void init_32_on(struct fs *fs)
{
	init_32_off(fs);
	replace(fs, MENU, " ro ", " ro ia32_emulation=on ");
}

static void no_initrd(struct fs *fs)
{
	gone(fs, BOOTIMAGE_INITRD);
}

static void short_initrd(struct fs *fs)
{
	cut(fs, BOOTIMAGE_INITRD, 700);
}

static void initrd(struct fs *fs, const char *members)
{
	struct buf b = {0};

	bootimage_initrd(&b, members);
	put_buf(fs, BOOTIMAGE_INITRD, &b);
}

/* The usual members without those that hold `word`. */
static void initrd_without(struct fs *fs, const char *word)
{
	struct strlist all = {0};
	struct buf left = {0};

	strlist_split(&all, BOOTIMAGE_INITRD_MEMBERS, " ");
	for (size_t i = 0; i < all.len; i++)
		if (!strstr(all.item[i], word))
			buf_printf(&left, "%s ", all.item[i]);
	initrd(fs, left.data);
	buf_done(&left);
	strlist_done(&all);
}

static void initrd_no_init(struct fs *fs)
{
	initrd_without(fs, "init");
}

static void initrd_other(struct fs *fs)
{
	struct strlist all = {0};
	struct buf members = {0};

	strlist_split(&all, BOOTIMAGE_INITRD_MEMBERS, " ");
	for (size_t i = 0; i < all.len; i++) {
		const char *base = strrchr(all.item[i], '/');

		buf_printf(&members, base ? "lib/modules/5.4.0-1/kernel%s " : "%s ", base ? base : all.item[i]);
	}
	initrd(fs, members.data);
	buf_done(&members);
	strlist_done(&all);
}

static void initrd_no_xen(struct fs *fs)
{
	initrd_without(fs, "xen");
}

static void initrd_no_nvme(struct fs *fs)
{
	initrd_without(fs, "nvme.ko");
}

static void initrd_no_nvme_core(struct fs *fs)
{
	initrd_without(fs, "nvme-core");
}

static void initrd_no_virtio(struct fs *fs)
{
	initrd_without(fs, "virtio_pci");
}

static void initrd_no_ext4(struct fs *fs)
{
	initrd_without(fs, "ext4");
}

static void builtin_nvme(struct fs *fs)
{
	initrd_without(fs, "nvme");
	append(fs, BOOTIMAGE_MODULES "/modules.builtin", "kernel/drivers/nvme/host/nvme-core.ko\nkernel/drivers/nvme/host/nvme.ko\n");
}

/* All drivers built in, and no initramfs. */
static void monolithic(struct fs *fs)
{
	replace(fs, MENU, "\tinitrd " BOOTIMAGE_INITRD "\n", "");
	append(fs, BOOTIMAGE_MODULES "/modules.builtin",
	       "kernel/xen-blkfront.ko\nkernel/nvme.ko\nkernel/virtio_blk.ko\nkernel/virtio_pci.ko\nkernel/ext4.ko\n");
}

static void monolithic_partuuid(struct fs *fs)
{
	monolithic(fs);
	replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID " ro", "root=PARTUUID=12345678-01 ro rootwait");
}

static void monolithic_bare(struct fs *fs)
{
	replace(fs, MENU, "\tinitrd " BOOTIMAGE_INITRD "\n", "");
	replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID " ro", "root=PARTUUID=12345678-01 ro rootwait");
}

static void root_unknown(struct fs *fs)
{
	replace(fs, MENU, "root=UUID=5d1c7a2e", "root=UUID=00000000");
}

static void root_xvda(struct fs *fs)
{
	replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "root=/dev/xvda1");
}

static void root_none(struct fs *fs)
{
	replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "quiet");
}

static void root_label(struct fs *fs)
{
	replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "root=LABEL=root");
}

static void no_init(struct fs *fs)
{
	gone(fs, "/sbin/init");
}

static void init_elsewhere(struct fs *fs)
{
	replace(fs, MENU, " ro ", " ro init=/bin/absent ");
}

static void no_loader(struct fs *fs)
{
	init_elf(fs, 64, "/lib/ld-absent.so.1", NULL);
}

static void init_script(struct fs *fs)
{
	put(fs, "/sbin/init", "#!/bin/absent -e\n");
}

static void init_loop(struct fs *fs)
{
	put(fs, "/sbin/init", "#! /sbin/init\n");
}

static void init_mode(struct fs *fs)
{
	assert_int_equal(fs_set_meta(fs, "/sbin/init", &(struct fs_meta){.mode = 0644}, NULL), 0);
}

static void new_libc(struct fs *fs)
{
	static const unsigned abi[3] = {6, 2, 0};
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){64, NULL, abi});
	put_buf(fs, "/lib64/libc.so.6", &b);
}

static void old_glibc(struct fs *fs)
{
	assert_int_equal(fs_rename(fs, "/lib64/libc.so.6", "/lib64/libc-2.11.3.so", NULL), 0);
	assert_int_equal(fs_symlink(fs, "libc-2.11.3.so", "/lib64/libc.so.6", &meta, NULL), 0);
}

static void old_glibc_emulated(struct fs *fs)
{
	old_glibc(fs);
	replace(fs, MENU, " ro ", " ro vsyscall=emulate ");
}

static void fstab_root(struct fs *fs)
{
	replace(fs, "/etc/fstab", "UUID=5d1c7a2e", "UUID=00000000");
}

static void fstab_xvda(struct fs *fs)
{
	replace(fs, "/etc/fstab", "UUID=" BOOTIMAGE_UUID, "/dev/xvda1");
}

static void systemd(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/lib/systemd", &meta, NULL), 0);
	assert_int_equal(fs_rename(fs, "/sbin/init", "/lib/systemd/systemd", NULL), 0);
	assert_int_equal(fs_symlink(fs, "/lib/systemd/systemd", "/sbin/init", &meta, NULL), 0);
}

static void fstab_systemd(struct fs *fs)
{
	systemd(fs);
	append(fs, "/etc/fstab", "/dev/sdb /mnt auto defaults,nobootwait 0 0\n");
}

static void fstab_nofail(struct fs *fs)
{
	systemd(fs);
	append(fs, "/etc/fstab", "/dev/sdb /mnt auto defaults,nofail 0 2\nserver:/x /srv nfs defaults 0 0\n");
}

static void fstab_fsck(struct fs *fs)
{
	append(fs, "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 2\n");
}

static void fstab_no_fsck(struct fs *fs)
{
	append(fs, "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 0\n");
}

static void fstab_swap(struct fs *fs)
{
	append(fs, "/etc/fstab", "/dev/sda3 none swap sw 0 0\n");
}

static void no_module(struct fs *fs)
{
	gone(fs, BOOTIMAGE_MODULES "/kernel/jbd2.ko");
}

static void no_index(struct fs *fs)
{
	gone(fs, BOOTIMAGE_MODULES "/modules.dep.bin");
}

static void bad_index(struct fs *fs)
{
	put(fs, BOOTIMAGE_MODULES "/modules.dep.bin", "");
}

static void no_dep(struct fs *fs)
{
	gone(fs, DEP);
}

static void other_modules(struct fs *fs)
{
	assert_int_equal(fs_rename(fs, BOOTIMAGE_MODULES, "/lib/modules/5.4.0-1", NULL), 0);
}

static void no_ena(struct fs *fs)
{
	replace(fs, DEP, "kernel/ena.ko:\n", "");
}

static void ena_blocked(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/etc/modprobe.d", &meta, NULL), 0);
	put(fs, "/etc/modprobe.d/hardening.conf", "# blacklist xen_netfront\ninstall ena /bin/true\n");
}

static void only_hvc0(struct fs *fs)
{
	put(fs, "/etc/inittab", "id:2:initdefault:\nh0:2345:respawn:/sbin/getty -L hvc0 9600 linux\n# 1:2345:respawn:getty tty1\n");
}

static void console_hvc0(struct fs *fs)
{
	replace(fs, MENU, "ttyS0,115200n8", "hvc0");
}

static void no_ifnames(struct fs *fs)
{
	replace(fs, MENU, " net.ifnames=0", "");
}

static void no_ifnames_old_udev(struct fs *fs)
{
	no_ifnames(fs);
	gone(fs, "/lib/udev/rules.d/80-net-setup-link.rules");
}

static void persistent_net(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/etc/udev", &meta, NULL), 0);
	assert_int_equal(fs_mkdir(fs, "/etc/udev/rules.d", &meta, NULL), 0);
	put(fs, "/etc/udev/rules.d/70-persistent-net.rules",
	    "# made by udev\nSUBSYSTEM==\"net\", ATTR{address}==\"12:31:3b:00:00:01\", NAME=\"eth0\"\n");
}

/* ---- rows ---- */

struct row {
	const char *name;
	void (*files)(struct fs *fs);    /* one of both, or none */
	void (*bytes)(struct disk *d);
	unsigned targets;                /* 0: ALL */
	enum verify_result result;       /* of the step; PASS: every step passes or warns not */
	const char *id;                  /* the only step that fails, or the one that warns */
	const char *says;                /* part of its evidence */
	bool flat;
};

static const struct row rows[] = {
	/* name, files, bytes, targets, result, step, evidence */
	{"nothing broken", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"flat, core in inode 5", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, true},
	{"core by device", NULL, disk_core_device, 0, VERIFY_PASS, NULL, NULL, false},
	{"core by prefix", NULL, disk_core_prefix, 0, VERIFY_PASS, NULL, NULL, false},
	{"core for a whole disk", NULL, disk_core_prefix_flat, 0, VERIFY_FAIL, "core-config", "hd0", false},
	{"core by search", NULL, disk_core_search, 0, VERIFY_PASS, NULL, NULL, false},
	{"no menu, just boot", menu_bare, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"32-bit userland", init_32_on, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"nvme built in", builtin_nvme, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"no initramfs, PARTUUID", monolithic_partuuid, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"root=LABEL", root_label, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"root=/dev/xvda1 on Xen only", root_xvda, NULL, TARGET_XEN_HVM, VERIFY_PASS, NULL, NULL, false},
	{"fstab /dev/xvda1 on Xen only", fstab_xvda, NULL, TARGET_XEN_HVM, VERIFY_PASS, NULL, NULL, false},
	{"old glibc, vsyscall=emulate", old_glibc_emulated, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"systemd, absent disk with nofail", fstab_nofail, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"no ena, but not for nitro", no_ena, NULL, TARGET_KVM, VERIFY_PASS, NULL, NULL, false},
	{"no net.ifnames, old udev", no_ifnames_old_udev, NULL, 0, VERIFY_PASS, NULL, NULL, false},

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
	{"no kernel", no_kernel, NULL, 0, VERIFY_FAIL, "kernel", BOOTIMAGE_KERNEL, false},
	{"truncated kernel", short_kernel, NULL, 0, VERIFY_FAIL, "kernel", "truncated", false},
	{"PV kernel", elf_kernel, NULL, 0, VERIFY_FAIL, "kernel", "Xen PV", false},
	{"path as release", path_in_release, NULL, 0, VERIFY_FAIL, "kernel", "release", false},
	{"32-bit kernel", kernel_32, NULL, 0, VERIFY_FAIL, "kernel-arch", "32-bit kernel", false},
	{"no IA32 emulation", init_32, NULL, 0, VERIFY_FAIL, "kernel-arch", "IA32_EMULATION", false},
	{"IA32 emulation off", init_32_off, NULL, 0, VERIFY_FAIL, "kernel-arch", "ia32_emulation=on", false},
	{"no initramfs file", no_initrd, NULL, 0, VERIFY_FAIL, "initramfs", BOOTIMAGE_INITRD, false},
	{"truncated initramfs", short_initrd, NULL, 0, VERIFY_FAIL, "initramfs", BOOTIMAGE_INITRD, false},
	{"initramfs without init", initrd_no_init, NULL, 0, VERIFY_FAIL, "initramfs", "/init", false},
	{"initramfs of another kernel", initrd_other, NULL, 0, VERIFY_FAIL, "initramfs", "5.4.0-1", false},
	{"no initramfs, root=UUID", monolithic, NULL, 0, VERIFY_FAIL, "initramfs", "root=UUID", false},
	{"no initramfs, no drivers", monolithic_bare, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "xen_blkfront", false},
	{"initramfs without xen_blkfront", initrd_no_xen, NULL, TARGET_XEN_HVM, VERIFY_FAIL, "initramfs-drivers", "xen_blkfront", false},
	{"initramfs without nvme", initrd_no_nvme, NULL, TARGET_NITRO, VERIFY_FAIL, "initramfs-drivers", "nvme", false},
	{"initramfs without nvme_core", initrd_no_nvme_core, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "nvme_core (for nvme)", false},
	{"initramfs without virtio_pci", initrd_no_virtio, NULL, TARGET_KVM, VERIFY_FAIL, "initramfs-drivers", "virtio_pci", false},
	{"initramfs without ext4", initrd_no_ext4, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "ext4", false},
	{"root= unknown", root_unknown, NULL, 0, VERIFY_FAIL, "root", "not in this image", false},
	{"root=/dev/xvda1", root_xvda, NULL, 0, VERIFY_FAIL, "root", "/dev/nvme0n1p1 on nitro", false},
	{"no root=", root_none, NULL, 0, VERIFY_FAIL, "root", "no root=", false},
	{"errors in the file system", NULL, disk_errors, 0, VERIFY_FAIL, "file-system", "errors", false},
	{"inline_data", NULL, disk_inline_data, 0, VERIFY_FAIL, "file-system", "inline_data", false},
	{"no init", no_init, NULL, 0, VERIFY_FAIL, "init", "/sbin/init", false},
	{"init= elsewhere", init_elsewhere, NULL, 0, VERIFY_FAIL, "init", "/bin/absent", false},
	{"init without loader", no_loader, NULL, 0, VERIFY_FAIL, "init", "ld-absent", false},
	{"init script without shell", init_script, NULL, 0, VERIFY_FAIL, "init", "/bin/absent", false},
	{"init script of itself", init_loop, NULL, 0, VERIFY_FAIL, "init", "interpreters", false},
	{"init not executable", init_mode, NULL, 0, VERIFY_FAIL, "init", "executable", false},
	{"libc too new", new_libc, NULL, 0, VERIFY_FAIL, "libc", "6.2.0", false},
	{"old glibc without vsyscall", old_glibc, NULL, 0, VERIFY_FAIL, "libc", "vsyscall=emulate", false},
	{"fstab names another root", fstab_root, NULL, 0, VERIFY_FAIL, "fstab", "line 2", false},
	{"fstab root by old name", fstab_xvda, NULL, 0, VERIFY_FAIL, "fstab", "/dev/xvda1 is", false},
	{"systemd waits for a disk", fstab_systemd, NULL, 0, VERIFY_FAIL, "fstab", "/dev/sdb", false},
	{"fsck of an absent disk", fstab_fsck, NULL, 0, VERIFY_FAIL, "fstab", "fsck", false},
	{"module file missing", no_module, NULL, 0, VERIFY_FAIL, "modules", "jbd2.ko", false},
	{"no modules.dep.bin", no_index, NULL, 0, VERIFY_FAIL, "modules", "modules.dep.bin", false},
	{"empty modules.dep.bin", bad_index, NULL, 0, VERIFY_FAIL, "modules", "modules.dep.bin", false},
	{"no modules.dep", no_dep, NULL, 0, VERIFY_FAIL, "modules", "modules.dep", false},
	{"modules of another kernel", other_modules, NULL, 0, VERIFY_FAIL, "modules", BOOTIMAGE_MODULES, false},
	{"no ena", no_ena, NULL, 0, VERIFY_FAIL, "network-driver", "ena", false},
	{"ena disabled", ena_blocked, NULL, 0, VERIFY_FAIL, "network-driver", "hardening.conf", false},

	{"inactive partition", NULL, disk_inactive, 0, VERIFY_WARN, "partition-table", "active", false},
	{"stale superblock", NULL, disk_stale, 0, VERIFY_WARN, "partition-table", "superblock", false},
	{"journal to replay", NULL, disk_recovery, 0, VERIFY_WARN, "file-system", "journal", false},
	{"default names nothing", menu_default, NULL, 0, VERIFY_WARN, "grub-cfg", "nothing", false},
	{"absent disk without fsck", fstab_no_fsck, NULL, 0, VERIFY_WARN, "fstab", "/dev/sda2", false},
	{"absent swap", fstab_swap, NULL, 0, VERIFY_WARN, "fstab", "swap", false},
	{"login on hvc0 only", only_hvc0, NULL, 0, VERIFY_WARN, "console", "hvc0", false},
	{"console=hvc0 last", console_hvc0, NULL, 0, VERIFY_WARN, "console", "hvc0", false},
	{"no net.ifnames=0", no_ifnames, NULL, 0, VERIFY_WARN, "network", "net.ifnames=0", false},
	{"MAC address bound", persistent_net, NULL, 0, VERIFY_WARN, "network", "line 2", false},
};

static void change_files(struct disk *d, bool flat, void (*files)(struct fs *fs))
{
	CLEANUP_DISK struct disk *slice = NULL;
	struct fs *fs = NULL;

	assert_int_equal(disk_slice_open(d, flat ? 0 : BOOTIMAGE_PART, BOOTIMAGE_FS, &slice, NULL), 0);
	assert_int_equal(fs_ext_open(slice, FS_WRITE, 1700000001, &fs, NULL), 0);
	files(fs);
	assert_int_equal(fs_close(fs, NULL), 0);
}

static void print_report(const char *name, const struct verify_report *r)
{
	static const char *const results[] = {"pass", "FAIL", "warn", "skip"};

	print_message("%s:\n", name);
	for (size_t i = 0; i < r->len; i++)
		print_message("  %-18s %s  %s\n", r->item[i].id, results[r->item[i].result], r->item[i].evidence);
}

/* The one step that fails is the row's; a warning row passes. */
static bool row_holds(const struct row *row, const struct verify_report *r)
{
	bool seen = !row->id;

	if (r->passed != (row->result != VERIFY_FAIL))
		return false;
	for (size_t i = 0; i < r->len; i++) {
		const struct verify_step *s = &r->item[i];
		bool this = row->id && !strcmp(s->id, row->id);

		if (!s->evidence || !*s->evidence || strchr(s->evidence, '\n'))
			return false;
		if (s->result == VERIFY_FAIL && !(this && row->result == VERIFY_FAIL))
			return false;
		if (row->result == VERIFY_PASS && s->result != VERIFY_PASS)
			return false;
		if (this)
			seen = s->result == row->result && (!row->says || strstr(s->evidence, row->says));
	}
	return seen;
}

static void test_rows(void **state)
{
	unsigned wrong = 0;

	(void)state;
	need_tools();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		CLEANUP_DISK struct disk *d = bootimage_open(rows[i].flat);
		struct verify_report r = {0};
		struct p2h_error e = {0};

		assert_non_null(d);
		if (rows[i].files)
			change_files(d, rows[i].flat, rows[i].files);
		if (rows[i].bytes)
			rows[i].bytes(d);
		if (verify_disk(d, -1, rows[i].targets ? rows[i].targets : ALL, &r, &e))
			fail_msg("%s: %s", rows[i].name, e.msg);
		if (!row_holds(&rows[i], &r)) {
			print_report(rows[i].name, &r);
			wrong++;
		}
		verify_report_done(&r);
	}
	assert_int_equal(wrong, 0);
}

static void test_report(void **state)
{
	CLEANUP_DISK struct disk *d = NULL;
	struct verify_report r = {0};

	(void)state;
	need_tools();
	d = bootimage_open(false);
	assert_int_equal(verify_disk(d, 1, ALL, &r, NULL), 0);
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
	need_tools();
	d = bootimage_open(false);
	assert_int_equal(disk_zero(d, BOOTIMAGE_PART, BOOTIMAGE_FS, NULL), 0);
	assert_int_equal(verify_disk(d, -1, ALL, &r, NULL), 0);
	assert_false(r.passed);
	assert_int_equal(result_of(&r, "boot-sector"), VERIFY_PASS);
	assert_int_equal(result_of(&r, "core-image"), VERIFY_PASS);
	assert_int_equal(result_of(&r, "core-config"), VERIFY_FAIL);
	assert_int_equal(result_of(&r, "root-tree"), VERIFY_FAIL);
	assert_int_equal(result_of(&r, "network"), VERIFY_SKIP);
	verify_report_done(&r);

	assert_int_equal(disk_mem_open(1 << 20, &empty, NULL), 0);
	assert_int_equal(verify_disk(empty, -1, ALL, &r, NULL), 0);
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
	put_buf(to, new_name, &b);
	gone(from, name);
}

static void fill_boot(struct fs *root, struct fs *boot)
{
	assert_int_equal(fs_mkdir(boot, "/grub", &meta, NULL), 0);
	move_file(root, BOOTIMAGE_KERNEL, boot, "/vmlinuz-" BOOTIMAGE_RELEASE);
	move_file(root, BOOTIMAGE_INITRD, boot, "/initrd.img-" BOOTIMAGE_RELEASE);
	move_file(root, BOOTIMAGE_CONFIG, boot, "/config-" BOOTIMAGE_RELEASE);
	move_file(root, MENU, boot, "/grub/grub.cfg");
	replace(boot, "/grub/grub.cfg", "--set=root " BOOTIMAGE_UUID, "--set=root " BOOT_UUID);
	replace(boot, "/grub/grub.cfg", "linux /boot/", "linux /");
	replace(boot, "/grub/grub.cfg", "initrd /boot/", "initrd /");
	append(root, "/etc/fstab", "UUID=" BOOT_UUID " /boot ext4 defaults 0 2\n");
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
	poke(d, 0, data, BOOT_AT);
	poke(d, BOOT_AT, boot_data, BOOT_FS);
	le32_put(place, BOOT_AT / 512);
	le32_put(place + 4, BOOT_FS / 512);
	poke(d, 462, entry, 16);
	poke(d, 462 + 8, place, 8);
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
	static const struct row good = {"separate /boot", NULL, NULL, 0, VERIFY_PASS, NULL, NULL, false};
	static const struct row features = {"separate /boot", NULL, NULL, 0, VERIFY_FAIL, "file-system", "volume 2", false};
	CLEANUP_DISK struct disk *d = NULL;
	struct verify_report r = {0};
	bool held;

	(void)state;
	need_tools();
	d = separate_boot();
	assert_int_equal(verify_disk(d, -1, ALL, &r, NULL), 0);
	held = row_holds(&good, &r);
	if (!held)
		print_report(good.name, &r);
	verify_report_done(&r);
	assert_true(held);

	/* GRUB reads /boot only: what it does not know may be on the root, but not there. */
	poke32(d, FS_SUPERBLOCK + 0x60, 0x8000);
	assert_int_equal(verify_disk(d, -1, ALL, &r, NULL), 0);
	assert_true(row_holds(&good, &r));
	verify_report_done(&r);
	poke32(d, BOOT_AT + 1024 + 0x60, 0x8000);
	assert_int_equal(verify_disk(d, -1, ALL, &r, NULL), 0);
	assert_true(row_holds(&features, &r));
	verify_report_done(&r);
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
	need_tools();
	d = bootimage_open(false);
	assert_int_equal(disk_fault_open(d, &count, &faulty, NULL), 0);
	assert_int_equal(verify_disk(faulty, -1, ALL, &r, NULL), 0);
	assert_true(r.passed);
	verify_report_done(&r);
	disk_close(faulty);
	reads = count.calls[DISK_FAULT_READ];
	assert_true(reads > 10);
	step = reads > 60 ? reads / 60 : 1;
	for (uint64_t n = 1; n <= reads; n += step) {
		struct disk_fault_plan plan = {.fail_at[DISK_FAULT_READ] = n};

		assert_int_equal(disk_fault_open(d, &plan, &faulty, NULL), 0);
		assert_int_equal(verify_disk(faulty, -1, ALL, &r, NULL), P2H_IO);
		assert_null(r.item);
		disk_close(faulty);
	}
}

/* Damage anywhere in the metadata and boot sectors: any verdict, no crash. */
static void test_hostile(void **state)
{
	uint32_t seed = 12345;

	(void)state;
	need_tools();
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
				poke(d, at, &byte, 1);
		}
		if (verify_disk(d, -1, ALL, &r, NULL) == 0)
			assert_true(r.len >= 5);
		verify_report_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),	cmocka_unit_test(test_report),	cmocka_unit_test(test_no_root),
		cmocka_unit_test(test_separate_boot),
		cmocka_unit_test(test_read_faults), cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, init_images, exit_images);
}
