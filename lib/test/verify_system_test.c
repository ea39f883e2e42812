/* From init and the initramfs to the login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "parse/cpio.h"
#include "parse/kmodindex.h"
#include "support/verifycheck.h"

#define DEP BOOTIMAGE_MODULES "/modules.dep"

static void init_elf(struct fs *fs, unsigned bits, const char *interp, const unsigned *abi)
{
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){.bits = bits, .interp = interp, .abi = abi});
	edit_put_buf(fs, "/sbin/init", &b);
}

static void init_32(struct fs *fs)
{
	init_elf(fs, 32, NULL, NULL);
	edit_replace(fs, BOOTIMAGE_CONFIG, "CONFIG_IA32_EMULATION=y", "# CONFIG_IA32_EMULATION is not set");
}

static void init_32_off(struct fs *fs)
{
	init_elf(fs, 32, NULL, NULL);
	edit_append(fs, BOOTIMAGE_CONFIG, "CONFIG_IA32_EMULATION_DEFAULT_DISABLED=y\n");
}

static void init_32_on(struct fs *fs)
{
	init_32_off(fs);
	edit_replace(fs, MENU, " ro ", " ro ia32_emulation=on ");
}

static void no_initrd(struct fs *fs)
{
	edit_remove(fs, BOOTIMAGE_INITRD);
}

static void short_initrd(struct fs *fs)
{
	edit_cut(fs, BOOTIMAGE_INITRD, 700);
}

static void initrd(struct fs *fs, const char *members)
{
	struct buf b = {0};

	bootimage_initrd(&b, members);
	edit_put_buf(fs, BOOTIMAGE_INITRD, &b);
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

#define DRACUT_WAIT " lib/dracut/hooks/initqueue/finished/devexists-\\x2fdev\\x2fdisk\\x2fby-uuid\\x2f"
#define SYSTEMD_WAIT " etc/systemd/system/initrd.target.wants/dev-disk-by\\x2duuid-"

static void initrd_waits_here(struct fs *fs)
{
	initrd(fs, BOOTIMAGE_INITRD_MEMBERS DRACUT_WAIT BOOTIMAGE_UUID ".sh");
}

static void initrd_waits_dracut(struct fs *fs)
{
	initrd(fs, BOOTIMAGE_INITRD_MEMBERS DRACUT_WAIT "00000000-1111-2222-3333-444444444444.sh");
}

static void initrd_waits_systemd(struct fs *fs)
{
	initrd(fs, BOOTIMAGE_INITRD_MEMBERS SYSTEMD_WAIT "00000000\\x2d1111\\x2d2222\\x2d3333\\x2d444444444444.device");
}

#define SYSTEMD_MEMBERS BOOTIMAGE_INITRD_MEMBERS " usr/lib/systemd/systemd"

static void behind_systemd(struct fs *fs)
{
	initrd(fs, SYSTEMD_MEMBERS);
}

static void behind_systemd_run(struct fs *fs)
{
	behind_systemd(fs);
	assert_int_equal(fs_mkdir(fs, "/run", &verify_meta, NULL), 0);
}

static void behind_systemd_udev(struct fs *fs)
{
	behind_systemd_run(fs);
	edit_put(fs, "/lib/udev/udevd", "laccess(\"/run/systemd/system/\")");
}

/* What the guest's init comes to is not systemd's /run. */
static void run_anew(struct fs *fs, const char *command)
{
	struct buf b = {0};

	behind_systemd_udev(fs);
	bootimage_initrd(&b, SYSTEMD_MEMBERS);
	cpio_put(&b, "etc/systemd/system/initrd-switch-root.service.d/x.conf", S_IFREG | 0644, command, strlen(command));
	cpio_put_end(&b);
	edit_put_buf(fs, BOOTIMAGE_INITRD, &b);
}

static void behind_systemd_anew(struct fs *fs)
{
	run_anew(fs, "[Service]\nExecStartPre=-/bin/mount -t tmpfs tmpfs /sysroot/run\n");
}

static void behind_systemd_quoted(struct fs *fs)
{
	run_anew(fs, "[Service]\nExecStartPre=-/bin/sh -c 'mount -t tmpfs tmpfs /sysroot/run && cp -a /run/udev /sysroot/run/'\n");
}

static void behind_systemd_elsewhere(struct fs *fs)
{
	run_anew(fs, "[Service]\nExecStartPre=-/bin/sh -c 'mount -t tmpfs tmpfs /sysroot/tmp && cp -a /run/udev /sysroot/run'\n");
}

static void behind_systemd_below(struct fs *fs)
{
	run_anew(fs, "[Service]\nExecStartPre=-/bin/mount -t tmpfs tmpfs /sysroot/run/lock\n");
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

/* The test's members all have the same content, which is no modules.dep. */
static void initrd_stale_index(struct fs *fs)
{
	initrd(fs, BOOTIMAGE_INITRD_MEMBERS " scripts/functions conf/initramfs.conf sbin/modprobe lib/modules/" BOOTIMAGE_RELEASE "/modules.dep");
}

static void initrd_no_ext4(struct fs *fs)
{
	initrd_without(fs, "ext4");
}

static void builtin_nvme(struct fs *fs)
{
	initrd_without(fs, "nvme");
	edit_append(fs, BOOTIMAGE_MODULES "/modules.builtin", "kernel/drivers/nvme/host/nvme-core.ko\nkernel/drivers/nvme/host/nvme.ko\n");
}

/* All drivers built in, and no initramfs. */
static void monolithic(struct fs *fs)
{
	edit_replace(fs, MENU, "\tinitrd " BOOTIMAGE_INITRD "\n", "");
	edit_append(fs, BOOTIMAGE_MODULES "/modules.builtin",
	       "kernel/xen-blkfront.ko\nkernel/nvme.ko\nkernel/virtio_blk.ko\nkernel/virtio_pci.ko\nkernel/ext4.ko\n");
}

static void monolithic_no_table(struct fs *fs)
{
	monolithic(fs);
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID " ro", "root=PARTUUID=12345678-01 ro rootwait");
	edit_append(fs, BOOTIMAGE_CONFIG, "# CONFIG_MSDOS_PARTITION is not set\n");
}

static void monolithic_empty_dev(struct fs *fs)
{
	monolithic(fs);
	edit_append(fs, BOOTIMAGE_CONFIG, "CONFIG_MSDOS_PARTITION=y\n");
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID " ro", "root=PARTUUID=12345678-01 ro rootwait");
}

static void monolithic_partuuid(struct fs *fs)
{
	monolithic_empty_dev(fs);
	edit_append(fs, BOOTIMAGE_CONFIG, "CONFIG_DEVTMPFS_MOUNT=y\n");
}

static void monolithic_bare(struct fs *fs)
{
	edit_replace(fs, MENU, "\tinitrd " BOOTIMAGE_INITRD "\n", "");
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID " ro", "root=PARTUUID=12345678-01 ro rootwait");
	edit_append(fs, BOOTIMAGE_CONFIG, "CONFIG_MSDOS_PARTITION=y\n");
}

static void blocked_by_parameter(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro modprobe.blacklist=floppy,virtio-blk ");
}

static void network_blocked_by_parameter(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro module_blacklist=ena ");
}

static void root_unknown(struct fs *fs)
{
	edit_replace(fs, MENU, "root=UUID=5d1c7a2e", "root=UUID=00000000");
}

static void root_xvda(struct fs *fs)
{
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "root=/dev/xvda1");
}

static void root_none(struct fs *fs)
{
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "quiet");
}

static void root_label(struct fs *fs)
{
	edit_replace(fs, MENU, "root=UUID=" BOOTIMAGE_UUID, "root=LABEL=root");
}

static void no_init(struct fs *fs)
{
	edit_remove(fs, "/sbin/init");
}

static void init_elsewhere(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro init=/bin/absent ");
}

static void no_loader(struct fs *fs)
{
	init_elf(fs, 64, "/lib/ld-absent.so.1", NULL);
}

/* systemd's own library, as Debian 12 has it. */
static void init_library(struct fs *fs, const char *dir, const char *path)
{
	struct buf init = {0}, library = {0};

	bootimage_elf(&init, &(struct bootimage_elf){.bits = 64, .interp = "/lib64/ld-linux-x86-64.so.2", .needed = "libown.so",
						     .runpath = "/absent:$ORIGIN/own"});
	bootimage_elf(&library, &(struct bootimage_elf){.bits = 64});
	edit_put_buf(fs, "/sbin/init", &init);
	assert_int_equal(fs_mkdir(fs, dir, &verify_meta, NULL), 0);
	edit_put_buf(fs, path, &library);
}

static void init_own_library(struct fs *fs)
{
	init_library(fs, "/sbin/own", "/sbin/own/libown.so");
}

static void init_lost_library(struct fs *fs)
{
	init_library(fs, "/sbin/other", "/sbin/other/libown.so");
}

static void init_script(struct fs *fs)
{
	edit_put(fs, "/sbin/init", "#!/bin/absent -e\n");
}

static void init_loop(struct fs *fs)
{
	edit_put(fs, "/sbin/init", "#! /sbin/init\n");
}

static void init_mode(struct fs *fs)
{
	assert_int_equal(fs_set_meta(fs, "/sbin/init", &(struct fs_meta){.mode = 0644}, NULL), 0);
}

static void new_libc(struct fs *fs)
{
	static const unsigned abi[3] = {6, 2, 0};
	struct buf b = {0};

	bootimage_elf(&b, &(struct bootimage_elf){.bits = 64, .interp = NULL, .abi = abi});
	edit_put_buf(fs, "/lib64/libc.so.6", &b);
}

static void old_glibc(struct fs *fs)
{
	assert_int_equal(fs_rename(fs, "/lib64/libc.so.6", "/lib64/libc-2.11.3.so", NULL), 0);
	assert_int_equal(fs_symlink(fs, "libc-2.11.3.so", "/lib64/libc.so.6", &verify_meta, NULL), 0);
}

static void old_glibc_emulated(struct fs *fs)
{
	old_glibc(fs);
	edit_replace(fs, MENU, " ro ", " ro vsyscall=emulate ");
}

static void fstab_root(struct fs *fs)
{
	edit_replace(fs, "/etc/fstab", "UUID=5d1c7a2e", "UUID=00000000");
}

static void fstab_xvda(struct fs *fs)
{
	edit_replace(fs, "/etc/fstab", "UUID=" BOOTIMAGE_UUID, "/dev/xvda1");
}

static void systemd(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/lib/systemd", &verify_meta, NULL), 0);
	assert_int_equal(fs_rename(fs, "/sbin/init", "/lib/systemd/systemd", NULL), 0);
	assert_int_equal(fs_symlink(fs, "/lib/systemd/systemd", "/sbin/init", &verify_meta, NULL), 0);
}

static void fstab_systemd(struct fs *fs)
{
	systemd(fs);
	edit_append(fs, "/etc/fstab", "/dev/sdb /mnt auto defaults,nobootwait 0 0\n");
}

static void fstab_nofail(struct fs *fs)
{
	systemd(fs);
	edit_append(fs, "/etc/fstab", "/dev/sdb /mnt auto defaults,nofail 0 2\nserver:/x /srv nfs defaults 0 0\n");
}

static void fstab_fsck(struct fs *fs)
{
	edit_append(fs, "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 2\n");
}

static void fstab_no_fsck(struct fs *fs)
{
	edit_append(fs, "/etc/fstab", "/dev/sda2 /mnt ext3 defaults 0 0\n");
}

static void fstab_swap(struct fs *fs)
{
	edit_append(fs, "/etc/fstab", "/dev/sda3 none swap sw 0 0\n");
}

static void root_type(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro rootfstype=xfs ");
}

static void root_type_list(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro rootfstype=xfs,ext4 ");
}

static void single_user(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro single ");
}

static void no_proc(struct fs *fs)
{
	edit_remove(fs, "/proc");
}

/* Something behind the initramfs that looks like the start of another archive. */
static void initrd_cut_behind(struct fs *fs)
{
	edit_append(fs, BOOTIMAGE_INITRD, "070701");
}

static void initrd_blacklist(struct fs *fs)
{
	edit_replace(fs, MENU, " ro ", " ro modprobe.blacklist=virtio-blk,other ");
}

static void no_virtio_net(struct fs *fs)
{
	edit_remove(fs, BOOTIMAGE_MODULES "/kernel/virtio_net.ko");
}

static void no_module(struct fs *fs)
{
	edit_remove(fs, BOOTIMAGE_MODULES "/kernel/jbd2.ko");
}

static void no_index(struct fs *fs)
{
	edit_remove(fs, BOOTIMAGE_MODULES "/modules.dep.bin");
}

static void bad_index(struct fs *fs)
{
	edit_put(fs, BOOTIMAGE_MODULES "/modules.dep.bin", "");
}

static void packed_modules(struct fs *fs)
{
	CLEANUP(buf_done) struct buf dep = {0}, bin = {0};

	edit_replace(fs, DEP, "kernel/ena.ko:", "kernel/ena.ko.zst:");
	assert_int_equal(fs_rename(fs, BOOTIMAGE_MODULES "/kernel/ena.ko", BOOTIMAGE_MODULES "/kernel/ena.ko.zst", NULL), 0);
	assert_int_equal(fs_read(fs, DEP, 65536, &dep, NULL), 0);
	assert_int_equal(kmodindex_make(dep.data, dep.len, &bin, NULL), 0);
	assert_int_equal(fs_write(fs, BOOTIMAGE_MODULES "/modules.dep.bin", bin.data, bin.len, &verify_meta, NULL), 0);
	assert_int_equal(fs_write(fs, "/sbin/modprobe", "\177ELF kmod +XZ -ZLIB", 20, &verify_meta, NULL), 0);
}

static void other_index(struct fs *fs)
{
	CLEANUP(buf_done) struct buf dep = {0}, bin = {0};

	assert_int_equal(fs_read(fs, DEP, 65536, &dep, NULL), 0);
	assert_int_equal(kmodindex_make(dep.data, dep.len, &bin, NULL), 0);
	edit_replace(fs, DEP, "kernel/ena.ko:", "kernel/ena.ko.zst:");
	assert_int_equal(fs_rename(fs, BOOTIMAGE_MODULES "/kernel/ena.ko", BOOTIMAGE_MODULES "/kernel/ena.ko.zst", NULL), 0);
}

static void no_dep(struct fs *fs)
{
	edit_remove(fs, DEP);
}

static void other_modules(struct fs *fs)
{
	assert_int_equal(fs_rename(fs, BOOTIMAGE_MODULES, "/lib/modules/5.4.0-1", NULL), 0);
}

static void no_ena(struct fs *fs)
{
	edit_replace(fs, DEP, "kernel/ena.ko:\n", "");
}

static void ena_blocked(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/etc/modprobe.d", &verify_meta, NULL), 0);
	edit_put(fs, "/etc/modprobe.d/hardening.conf", "# blacklist xen_netfront\ninstall ena /bin/true\n");
}

static void only_hvc0(struct fs *fs)
{
	edit_put(fs, "/etc/inittab", "id:2:initdefault:\nh0:2345:respawn:/sbin/getty -L hvc0 9600 linux\n# 1:2345:respawn:getty tty1\n");
}

static void console_hvc0(struct fs *fs)
{
	edit_replace(fs, MENU, "ttyS0,115200n8", "hvc0");
}

static void no_ifnames(struct fs *fs)
{
	edit_replace(fs, MENU, " net.ifnames=0", "");
}

static void no_ifnames_old_udev(struct fs *fs)
{
	no_ifnames(fs);
	edit_remove(fs, "/lib/udev/rules.d/80-net-setup-link.rules");
}

static void persistent_net(struct fs *fs)
{
	assert_int_equal(fs_mkdir(fs, "/etc/udev", &verify_meta, NULL), 0);
	assert_int_equal(fs_mkdir(fs, "/etc/udev/rules.d", &verify_meta, NULL), 0);
	edit_put(fs, "/etc/udev/rules.d/70-persistent-net.rules",
	    "# made by udev\nSUBSYSTEM==\"net\", ATTR{address}==\"12:31:3b:00:00:01\", NAME=\"eth0\"\n");
}

static const struct verify_row rows[] = {
	/* name, files, bytes, targets, result, step, evidence, flat */
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
	{"no IA32 emulation", init_32, NULL, 0, VERIFY_FAIL, "kernel-arch", "IA32_EMULATION", false},
	{"IA32 emulation off", init_32_off, NULL, 0, VERIFY_FAIL, "kernel-arch", "ia32_emulation=on", false},
	{"no initramfs file", no_initrd, NULL, 0, VERIFY_FAIL, "initramfs", BOOTIMAGE_INITRD, false},
	{"truncated initramfs", short_initrd, NULL, 0, VERIFY_FAIL, "initramfs", BOOTIMAGE_INITRD, false},
	{"initramfs without init", initrd_no_init, NULL, 0, VERIFY_FAIL, "initramfs", "/init", false},
	{"dracut waits for this root", initrd_waits_here, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"dracut waits for another root", initrd_waits_dracut, NULL, 0, VERIFY_FAIL, "initramfs", "waits for UUID=00000000-1111", false},
	{"systemd in dracut waits for another root", initrd_waits_systemd, NULL, 0, VERIFY_FAIL, "initramfs", "UUID=00000000-1111", false},
	{"systemd in the initramfs, no /run", behind_systemd, NULL, 0, VERIFY_FAIL, "init", "no directory /run", false},
	{"systemd in the initramfs, nothing asks for it", behind_systemd_run, NULL, 0, VERIFY_WARN, "init", "/run/systemd/system", false},
	{"systemd in the initramfs, udev asks for it", behind_systemd_udev, NULL, 0, VERIFY_FAIL, "init", "/lib/udev/udevd takes it", false},
	{"systemd in the initramfs, a new /run", behind_systemd_anew, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"systemd in the initramfs, a new /run by a shell", behind_systemd_quoted, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"systemd in the initramfs, a new /run/lock", behind_systemd_below, NULL, 0, VERIFY_FAIL, "init", "/lib/udev/udevd takes it", false},
	{"systemd in the initramfs, a new /tmp", behind_systemd_elsewhere, NULL, 0, VERIFY_FAIL, "init", "/lib/udev/udevd takes it", false},
	{"initramfs of another kernel", initrd_other, NULL, 0, VERIFY_FAIL, "initramfs", "5.4.0-1", false},
	{"no initramfs, root=UUID", monolithic, NULL, 0, VERIFY_FAIL, "initramfs", "root=UUID", false},
	{"no initramfs, nothing fills /dev", monolithic_empty_dev, NULL, 0, VERIFY_WARN, "initramfs", "/dev/console", false},
	{"no initramfs, no partition tables", monolithic_no_table, NULL, 0, VERIFY_FAIL, "initramfs", "CONFIG_MSDOS_PARTITION", false},
	{"no initramfs, no drivers", monolithic_bare, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "xen_blkfront", false},
	{"initramfs without xen_blkfront", initrd_no_xen, NULL, TARGET_XEN_HVM, VERIFY_FAIL, "initramfs-drivers", "xen_blkfront", false},
	{"initramfs without nvme", initrd_no_nvme, NULL, TARGET_NITRO, VERIFY_FAIL, "initramfs-drivers", "nvme", false},
	{"initramfs without nvme_core", initrd_no_nvme_core, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "nvme_core (for nvme)", false},
	{"initramfs without virtio_pci", initrd_no_virtio, NULL, TARGET_KVM, VERIFY_FAIL, "initramfs-drivers", "virtio_pci", false},
	{"disk driver blocked", blocked_by_parameter, NULL, TARGET_KVM, VERIFY_FAIL, "initramfs-drivers", "virtio_blk", false},
	{"driver of another target blocked", blocked_by_parameter, NULL, TARGET_NITRO, VERIFY_PASS, NULL, NULL, false},
	{"network driver blocked", network_blocked_by_parameter, NULL, TARGET_NITRO, VERIFY_FAIL, "network-driver", "module_blacklist", false},
	{"initramfs with a stale index", initrd_stale_index, NULL, TARGET_NITRO, VERIFY_FAIL, "initramfs-drivers", "nvme in its modules.dep", false},
	{"initramfs without ext4", initrd_no_ext4, NULL, 0, VERIFY_FAIL, "initramfs-drivers", "ext4", false},
	{"root= unknown", root_unknown, NULL, 0, VERIFY_FAIL, "root", "not in this image", false},
	{"root=/dev/xvda1", root_xvda, NULL, 0, VERIFY_FAIL, "root", "/dev/nvme0n1p1 on nitro", false},
	{"no root=", root_none, NULL, 0, VERIFY_FAIL, "root", "no root=", false},
	{"no init", no_init, NULL, 0, VERIFY_FAIL, "init", "/sbin/init", false},
	{"init= elsewhere", init_elsewhere, NULL, 0, VERIFY_FAIL, "init", "/bin/absent", false},
	{"init without loader", no_loader, NULL, 0, VERIFY_FAIL, "init", "ld-absent", false},
	{"init's library where init says", init_own_library, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"init's library elsewhere", init_lost_library, NULL, 0, VERIFY_FAIL, "init", "libown.so", false},
	{"init script without shell", init_script, NULL, 0, VERIFY_FAIL, "init", "/bin/absent", false},
	{"init script of itself", init_loop, NULL, 0, VERIFY_FAIL, "init", "interpreters", false},
	{"init not executable", init_mode, NULL, 0, VERIFY_FAIL, "init", "executable", false},
	{"libc too new", new_libc, NULL, 0, VERIFY_FAIL, "libc", "6.2.0", false},
	{"old glibc without vsyscall", old_glibc, NULL, 0, VERIFY_FAIL, "libc", "vsyscall=emulate", false},
	{"fstab names another root", fstab_root, NULL, 0, VERIFY_FAIL, "fstab", "line 2", false},
	{"fstab root by old name", fstab_xvda, NULL, 0, VERIFY_FAIL, "fstab", "/dev/xvda1 is", false},
	{"systemd waits for a disk", fstab_systemd, NULL, 0, VERIFY_FAIL, "fstab", "/dev/sdb", false},
	{"fsck of an absent disk", fstab_fsck, NULL, 0, VERIFY_FAIL, "fstab", "fsck", false},
	{"rootfstype of another", root_type, NULL, 0, VERIFY_FAIL, "root", "rootfstype=xfs", false},
	{"rootfstype of several", root_type_list, NULL, 0, VERIFY_PASS, NULL, NULL, false},
	{"single user mode", single_user, NULL, 0, VERIFY_FAIL, "init", "single", false},
	{"no /proc", no_proc, NULL, 0, VERIFY_FAIL, "init", "/proc", false},
	{"damage behind the initramfs", initrd_cut_behind, NULL, 0, VERIFY_WARN, "initramfs", "stops unpacking", false},
	{"driver on the command line's blacklist", initrd_blacklist, NULL, TARGET_KVM, VERIFY_FAIL, "initramfs-drivers", "virtio_blk", false},
	{"network driver's file missing", no_virtio_net, NULL, TARGET_KVM, VERIFY_FAIL, "modules", "virtio_net.ko", false},
	{"module file missing", no_module, NULL, 0, VERIFY_WARN, "modules", "jbd2.ko", false},
	{"no modules.dep.bin", no_index, NULL, 0, VERIFY_FAIL, "modules", "modules.dep.bin", false},
	{"empty modules.dep.bin", bad_index, NULL, 0, VERIFY_FAIL, "modules", "modules.dep.bin", false},
	{"modules.dep.bin of other files", other_index, NULL, 0, VERIFY_FAIL, "modules", "does not lead to kernel/ena.ko.zst", false},
	{"packed modules", packed_modules, NULL, 0, VERIFY_WARN, "modules", "compressed (.ko.zst)", false},
	{"no modules.dep", no_dep, NULL, 0, VERIFY_FAIL, "modules", "modules.dep", false},
	{"modules of another kernel", other_modules, NULL, 0, VERIFY_FAIL, "modules", BOOTIMAGE_MODULES, false},
	{"no ena", no_ena, NULL, 0, VERIFY_FAIL, "network-driver", "ena", false},
	{"ena disabled", ena_blocked, NULL, 0, VERIFY_FAIL, "network-driver", "hardening.conf", false},
	{"absent disk without fsck", fstab_no_fsck, NULL, 0, VERIFY_WARN, "fstab", "/dev/sda2", false},
	{"absent swap", fstab_swap, NULL, 0, VERIFY_WARN, "fstab", "swap", false},
	{"login on hvc0 only", only_hvc0, NULL, 0, VERIFY_WARN, "console", "hvc0", false},
	{"console=hvc0 last", console_hvc0, NULL, 0, VERIFY_WARN, "console", "hvc0", false},
	{"no net.ifnames=0", no_ifnames, NULL, 0, VERIFY_WARN, "network", "net.ifnames=0", false},
	{"MAC address bound", persistent_net, NULL, 0, VERIFY_WARN, "network", "line 2", false},
};

static void test_system(void **state)
{
	(void)state;
	verify_check_rows(rows, sizeof rows / sizeof *rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_system),
	};

	return cmocka_run_group_tests(tests, bootimage_setup, bootimage_teardown);
}
