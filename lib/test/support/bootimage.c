#include "support/bootimage.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/run.h"
#include "parse/grubimg.h"
#include "parse/kmodindex.h"
#include "volume/volume.h"

#define GRUB_DIR "/usr/lib/grub/i386-pc"
#define CORE_ROOM 0x78000u

static struct {
	char dir[64];
	char *part, *flat; /* whole disks */
} made;

bool bootimage_possible(void)
{
	static const char *const tools[] = {"/usr/bin/grub-mkimage", "/sbin/mke2fs", GRUB_DIR "/boot.img"};

	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++)
		if (access(tools[i], R_OK))
			return false;
	return true;
}

static bool fail(const char *what, const struct p2h_error *e)
{
	fprintf(stderr, "bootimage: %s: %s\n", what, e ? e->msg : "failed");
	return false;
}

/* ---- pieces ---- */

/* Adds two program headers at p, and at `at` what they lead to: all of the file loaded at 0, strings, a dynamic section. */
static void elf_dynamic(uint8_t *file, size_t size, uint8_t *p, size_t at, const struct bootimage_elf *elf)
{
	const size_t needed_len = strlen(elf->needed) + 1, section = at + 96;
	const uint64_t words[][2] = {
	    {DT_NEEDED, 1}, {DT_RUNPATH, 1 + needed_len}, {DT_STRTAB, at}, {DT_STRSZ, section - at}, {DT_NULL, 0}};

	memcpy(file + at + 1, elf->needed, needed_len);
	memcpy(file + at + 1 + needed_len, elf->runpath, strlen(elf->runpath) + 1);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		le64_put(file + section + 16 * i, words[i][0]);
		le64_put(file + section + 16 * i + 8, words[i][1]);
	}
	le32_put(p, PT_LOAD);
	le64_put(p + offsetof(Elf64_Phdr, p_filesz), size);
	p += sizeof(Elf64_Phdr);
	le32_put(p, PT_DYNAMIC);
	le64_put(p + offsetof(Elf64_Phdr, p_offset), section);
	le64_put(p + offsetof(Elf64_Phdr, p_filesz), sizeof words);
}

void bootimage_elf(struct buf *ret, const struct bootimage_elf *elf)
{
	uint8_t file[1024] = {0};
	bool wide = elf->bits == 64;
	size_t header = wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr), entry = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	size_t at = 512, n = 0;

	memcpy(file, ELFMAG, SELFMAG);
	file[EI_CLASS] = wide ? ELFCLASS64 : ELFCLASS32;
	file[EI_DATA] = ELFDATA2LSB;
	file[EI_VERSION] = EV_CURRENT;
	le16_put(file + 16, ET_EXEC);
	le16_put(file + 18, wide ? EM_X86_64 : EM_386);
	le32_put(file + 20, EV_CURRENT);
	for (int part = 0; part < 2; part++) {
		uint8_t *p = file + header + n * entry;
		size_t len;

		if (part == 0 ? !elf->interp : !elf->abi)
			continue;
		if (part == 0) {
			len = strlen(elf->interp) + 1;
			memcpy(file + at, elf->interp, len);
		} else {
			len = 32;
			le32_put(file + at, 4);
			le32_put(file + at + 4, 16);
			le32_put(file + at + 8, NT_GNU_ABI_TAG);
			memcpy(file + at + 12, "GNU", 4);
			for (size_t i = 0; i < 3; i++)
				le32_put(file + at + 20 + 4 * i, elf->abi[i]);
		}
		le32_put(p, part == 0 ? PT_INTERP : PT_NOTE);
		if (wide) {
			le64_put(p + offsetof(Elf64_Phdr, p_offset), at);
			le64_put(p + offsetof(Elf64_Phdr, p_filesz), len);
			le64_put(p + offsetof(Elf64_Phdr, p_align), 4);
		} else {
			le32_put(p + offsetof(Elf32_Phdr, p_offset), (uint32_t)at);
			le32_put(p + offsetof(Elf32_Phdr, p_filesz), (uint32_t)len);
			le32_put(p + offsetof(Elf32_Phdr, p_align), 4);
		}
		at += 128;
		n++;
	}
	if (wide && elf->needed) {
		elf_dynamic(file, sizeof file, file + header + n * entry, at, elf);
		n += 2;
	}
	if (wide) {
		le64_put(file + offsetof(Elf64_Ehdr, e_phoff), header);
		le16_put(file + offsetof(Elf64_Ehdr, e_phentsize), (uint16_t)entry);
		le16_put(file + offsetof(Elf64_Ehdr, e_phnum), (uint16_t)n);
	} else {
		le32_put(file + offsetof(Elf32_Ehdr, e_phoff), (uint32_t)header);
		le16_put(file + offsetof(Elf32_Ehdr, e_phentsize), (uint16_t)entry);
		le16_put(file + offsetof(Elf32_Ehdr, e_phnum), (uint16_t)n);
	}
	buf_append(ret, file, sizeof file);
}

/* Documentation/arch/x86/boot.rst: five sectors of setup, 4 KiB of "kernel". */
void bootimage_kernel(struct buf *ret, bool is_64bit)
{
	uint8_t file[6 * 512 + 4096] = {0};

	file[0x1f1] = 5;
	le32_put(file + 0x1f4, 4096 / 16);
	le16_put(file + 0x1fe, 0xaa55);
	memcpy(file + 0x202, "HdrS", 4);
	le16_put(file + 0x206, 0x20f);
	le16_put(file + 0x20e, 0x400);
	file[0x211] = 1;
	le16_put(file + 0x236, is_64bit);
	strcpy((char *)file + 0x600, BOOTIMAGE_RELEASE " (builder) #1");
	buf_append(ret, file, sizeof file);
}

void bootimage_initrd(struct buf *ret, const char *members)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	size_t room = 65536, used = 0;
	CLEANUP_FREE char *out = malloc(room);
	struct archive *a = archive_write_new();

	strlist_split(&names, members, " ");
	if (!out || !a || archive_write_set_format_cpio_newc(a) || archive_write_set_bytes_per_block(a, 512) ||
	    archive_write_open_memory(a, out, room, &used))
		abort();
	for (size_t i = 0; i < names.len; i++) {
		struct archive_entry *e = archive_entry_new();

		archive_entry_set_pathname(e, names.item[i]);
		archive_entry_set_filetype(e, AE_IFREG);
		archive_entry_set_perm(e, 0755);
		archive_entry_set_size(e, 8);
		archive_entry_set_mtime(e, 1, 0);
		if (archive_write_header(a, e) || archive_write_data(a, "content\n", 8) != 8)
			abort();
		archive_entry_free(e);
	}
	if (archive_write_close(a))
		abort();
	archive_write_free(a);
	buf_append(ret, out, used);
}

/* ---- the guest's tree ---- */

static const struct fs_meta meta = {.mode = 0755, .mtime = 1700000000, .atime = 1700000000};

static bool put(struct fs *fs, const char *path, const char *data, size_t len)
{
	struct p2h_error e = {0};

	return fs_write(fs, path, data, len, &meta, &e) == 0 || fail(path, &e);
}

static bool put_text(struct fs *fs, const char *path, const char *text)
{
	return put(fs, path, text, strlen(text));
}

static bool put_buf(struct fs *fs, const char *path, struct buf *b)
{
	bool ok = !b->failed && put(fs, path, b->data, b->len);

	buf_clear(b);
	return ok;
}

static bool make_dirs(struct fs *fs)
{
	static const char *const dirs[] = {"/boot",     "/boot/grub",	"/etc",		"/etc/network",	  "/etc/init.d", "/sbin",
					   "/lib",      "/lib64",	"/lib/modules", BOOTIMAGE_MODULES, BOOTIMAGE_MODULES "/kernel",
					   "/dev",      "/proc",	"/sys",		"/lib/udev",	   "/lib/udev/rules.d"};
	struct p2h_error e = {0};

	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		if (fs_mkdir(fs, dirs[i], &meta, &e))
			return fail(dirs[i], &e);
	return true;
}

static bool put_modules(struct fs *fs)
{
	static const char *const names[] = {"xen-blkfront", "xen-netfront", "nvme", "nvme-core", "ena", "virtio_blk", "virtio_pci",
					    "virtio_net", "ext4", "jbd2"};
	CLEANUP(buf_done) struct buf dep = {0}, bin = {0};
	char path[160];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, BOOTIMAGE_MODULES "/kernel/%s.ko", names[i]);
		if (!put_text(fs, path, "module\n"))
			return false;
		buf_printf(&dep, "kernel/%s.ko:%s\n", names[i],
			   !strcmp(names[i], "nvme") ? " kernel/nvme-core.ko" : !strcmp(names[i], "ext4") ? " kernel/jbd2.ko" : "");
	}
	return !kmodindex_make(dep.data, dep.len, &bin, NULL) && put_buf(fs, BOOTIMAGE_MODULES "/modules.dep", &dep) &&
	       put_buf(fs, BOOTIMAGE_MODULES "/modules.dep.bin", &bin) &&
	       put_text(fs, BOOTIMAGE_MODULES "/modules.builtin", "kernel/drivers/tty/serial/8250/8250.ko\n");
}

static bool put_tree(struct fs *fs)
{
	static const char loader[] = "/lib64/ld-linux-x86-64.so.2";
	static const unsigned abi[3] = {3, 2, 0};
	CLEANUP(buf_done) struct buf b = {0};

	if (!make_dirs(fs) || !put_modules(fs))
		return false;
	bootimage_kernel(&b, true);
	if (!put_buf(fs, BOOTIMAGE_KERNEL, &b))
		return false;
	bootimage_initrd(&b, BOOTIMAGE_INITRD_MEMBERS);
	if (!put_buf(fs, BOOTIMAGE_INITRD, &b))
		return false;
	bootimage_elf(&b, &(struct bootimage_elf){.bits = 64, .interp = loader, .abi = abi});
	if (!put_buf(fs, "/sbin/init", &b))
		return false;
	bootimage_elf(&b, &(struct bootimage_elf){.bits = 64, .interp = NULL, .abi = abi});
	if (!put(fs, loader, b.data, b.len) || !put(fs, "/lib64/libc.so.6", b.data, b.len))
		return false;
	return put_text(fs, BOOTIMAGE_CONFIG,
			"CONFIG_X86_64=y\nCONFIG_MODULES=y\nCONFIG_IA32_EMULATION=y\nCONFIG_XEN_PVHVM=y\nCONFIG_RD_GZIP=y\n"
			"CONFIG_EXT4_FS=m\nCONFIG_X86_VSYSCALL_EMULATION=y\nCONFIG_LEGACY_VSYSCALL_NONE=y\n") &&
	       put_text(fs, "/boot/grub/grub.cfg",
			"set default=0\nset timeout=1\n"
			"menuentry 'Test' --id test {\n\tsearch --no-floppy --fs-uuid --set=root " BOOTIMAGE_UUID "\n"
			"\tlinux " BOOTIMAGE_KERNEL " root=UUID=" BOOTIMAGE_UUID " ro net.ifnames=0 console=tty0 console=ttyS0,115200n8\n"
			"\tinitrd " BOOTIMAGE_INITRD "\n}\n") &&
	       put_text(fs, "/etc/fstab", "proc /proc proc defaults 0 0\nUUID=" BOOTIMAGE_UUID " / ext4 errors=remount-ro 0 1\n") &&
	       put_text(fs, "/etc/inittab",
			"id:2:initdefault:\n1:2345:respawn:/sbin/getty 38400 tty1\nT0:23:respawn:/sbin/getty -L ttyS0 115200 vt100\n") &&
	       put_text(fs, "/etc/network/interfaces", "auto lo eth0\niface eth0 inet dhcp\n") &&
	       put_text(fs, "/lib/udev/rules.d/80-net-setup-link.rules", "NAME==\"\", ENV{ID_NET_NAME}!=\"\"\n");
}

/* ---- disks ---- */

static bool core_build(const char *modules, const char *prefix, const char *config, struct buf *ret)
{
	char early[96], out[96];
	const char *argv[40] = {"grub-mkimage", "-O", "i386-pc", "-d", GRUB_DIR, "-p", prefix, "-o", out};
	CLEANUP(strlist_done) struct strlist words = {0};
	struct p2h_error e = {0};
	size_t n = 9;
	FILE *f;

	snprintf(early, sizeof early, "%s/early.cfg", made.dir);
	snprintf(out, sizeof out, "%s/core.img", made.dir);
	if (config) {
		f = fopen(early, "w");
		if (!f || fputs(config, f) < 0 || fclose(f))
			return fail(early, NULL);
		argv[n++] = "-c";
		argv[n++] = early;
	}
	strlist_split(&words, modules, " ");
	for (size_t i = 0; i < words.len && n < 39; i++)
		argv[n++] = words.item[i];
	if (run_program(argv, "grub-common", NULL, NULL, &e))
		return fail("grub-mkimage", &e);
	f = fopen(out, "r");
	if (!f)
		return fail(out, NULL);
	ret->len = fread(buf_reserve(ret, CORE_ROOM), 1, CORE_ROOM, f);
	fclose(f);
	while (ret->len % GRUB_SECTOR)
		buf_append(ret, "", 1);
	return true;
}

static bool boot_sector_write(struct disk *d, uint64_t core_sector)
{
	uint8_t boot[512], present[512], sector[512];
	struct p2h_error e = {0};
	FILE *f = fopen(GRUB_DIR "/boot.img", "r");
	bool ok = f && fread(boot, sizeof boot, 1, f) == 1;

	if (f)
		fclose(f);
	if (!ok)
		return fail("boot.img", NULL);
	if (disk_read(d, present, 0, 512, &e) || grub_boot_sector_make(boot, present, core_sector, sector, &e) ||
	    disk_write(d, sector, 0, 512, &e))
		return fail("boot sector", &e);
	return true;
}

bool bootimage_core(struct disk *d, const char *modules, const char *prefix, const char *config)
{
	CLEANUP(ranges_done) struct ranges where = {0};
	CLEANUP(buf_done) struct buf core = {0};
	struct p2h_error e = {0};

	if (!core_build(modules, prefix, config, &core))
		return false;
	ranges_add(&where, GRUB_SECTOR, core.len);
	if (grub_core_patch((uint8_t *)core.data, core.len, &where, &e) || disk_write(d, core.data, GRUB_SECTOR, core.len, &e))
		return fail("core image", &e);
	return boot_sector_write(d, 1);
}

/* Twice: to learn where inode 5's blocks are, and with the block list that says so. */
static bool core_flat(struct disk *d)
{
	CLEANUP(ranges_done) struct ranges where = {0};
	CLEANUP(buf_done) struct buf core = {0};
	struct p2h_error e = {0};
	struct fs *fs = NULL;
	size_t done = 0;
	bool ok = core_build(BOOTIMAGE_CORE_MODULES, "/boot/grub", BOOTIMAGE_CORE_CONFIG, &core);

	if (!ok)
		return false;
	if (fs_ext_open(d, FS_WRITE, 1700000000, &fs, &e))
		return fail("flat file system", &e);
	if (fs_boot_write(fs, core.data, core.len, &where, &e) ||
	    grub_core_patch((uint8_t *)core.data, core.len, &where, &e)) {
		cleanup_fs(&fs);
		return fail("core image in inode 5", &e);
	}
	if (fs_close(fs, &e))
		return fail("flat file system", &e);
	for (size_t i = 0; i < where.len && done < core.len; i++) {
		size_t part = where.item[i].len < core.len - done ? where.item[i].len : core.len - done;

		if (disk_write(d, core.data + done, where.item[i].off, part, &e))
			return fail("core image in inode 5", &e);
		done += part;
	}
	return boot_sector_write(d, where.item[0].off / GRUB_SECTOR);
}

bool bootimage_mkfs(const char *uuid, const char *label, char *data, size_t size)
{
	char path[96];
	const char *argv[] = {"mke2fs", "-q", "-F", "-t", "ext4", "-O", "^metadata_csum,^orphan_file", "-U", uuid,
			      "-L", label,  "-J", "size=1", path, NULL};
	struct p2h_error e = {0};
	FILE *f;
	bool ok;

	snprintf(path, sizeof path, "%s/fs", made.dir);
	f = fopen(path, "w");
	if (!f || ftruncate(fileno(f), (off_t)size) || fclose(f))
		return fail(path, NULL);
	if (run_program(argv, "e2fsprogs", NULL, NULL, &e))
		return fail("mke2fs", &e);
	f = fopen(path, "r");
	ok = f && fread(data, size, 1, f) == 1;
	if (f)
		fclose(f);
	return ok || fail(path, NULL);
}

/* Only what is not zero is written: most of an image stays a hole. */
static struct disk *disk_from(const char *data, size_t size)
{
	static const char zeros[65536];
	struct disk *d = NULL;
	struct p2h_error e = {0};
	int rc = disk_mem_open(size, &d, &e);

	for (size_t at = 0; !rc && at < size; at += sizeof zeros) {
		size_t len = size - at < sizeof zeros ? size - at : sizeof zeros;

		if (memcmp(data + at, zeros, len))
			rc = disk_write(d, data + at, at, len, &e);
	}
	if (!rc)
		return d;
	fail("RAM disk", &e);
	disk_close(d);
	return NULL;
}

static bool populate(struct disk *d, uint64_t off)
{
	CLEANUP_DISK struct disk *slice = NULL;
	struct p2h_error e = {0};
	struct fs *fs = NULL;
	bool ok;

	if (disk_slice_open(d, off, BOOTIMAGE_FS, &slice, &e) || fs_ext_open(slice, FS_WRITE, 1700000000, &fs, &e))
		return fail("file system", &e);
	ok = put_tree(fs);
	return (fs_close(fs, &e) == 0 || fail("file system", &e)) && ok;
}

static bool make_images(void)
{
	CLEANUP_FREE char *empty = malloc(BOOTIMAGE_FS);
	const char *tmp = getenv("TMPDIR");
	CLEANUP_DISK struct disk *flat = NULL, *part = NULL;
	struct p2h_error e = {0};
	uint8_t mbr[512];

	snprintf(made.dir, sizeof made.dir, "%.40s/bootimage-XXXXXX", tmp ? tmp : "/tmp");
	made.part = malloc(BOOTIMAGE_PART + BOOTIMAGE_FS);
	made.flat = malloc(BOOTIMAGE_FS);
	if (!mkdtemp(made.dir) || !empty || !made.part || !made.flat || !bootimage_mkfs(BOOTIMAGE_UUID, "root", empty, BOOTIMAGE_FS))
		return fail("setup", NULL);
	flat = disk_from(empty, BOOTIMAGE_FS);
	if (!flat || !populate(flat, 0) || disk_read(flat, empty, 0, BOOTIMAGE_FS, &e))
		return fail("tree", &e);
	if (!core_flat(flat) || disk_read(flat, made.flat, 0, BOOTIMAGE_FS, &e))
		return fail("flat", &e);
	memset(made.part, 0, BOOTIMAGE_PART);
	memcpy(made.part + BOOTIMAGE_PART, empty, BOOTIMAGE_FS);
	part = disk_from(made.part, BOOTIMAGE_PART + BOOTIMAGE_FS);
	if (!part || mbr_make(0x12345678, BOOTIMAGE_PART, BOOTIMAGE_FS, mbr, &e) || disk_write(part, mbr, 0, 512, &e))
		return fail("partition table", &e);
	return bootimage_core(part, BOOTIMAGE_CORE_MODULES, "/boot/grub", BOOTIMAGE_CORE_CONFIG) &&
	       disk_read(part, made.part, 0, BOOTIMAGE_PART + BOOTIMAGE_FS, &e) == 0;
}

int bootimage_teardown(void **state)
{
	static const char *const files[] = {"early.cfg", "core.img", "fs"};
	char path[96];

	(void)state;
	for (size_t i = 0; *made.dir && i < sizeof files / sizeof *files; i++) {
		snprintf(path, sizeof path, "%s/%s", made.dir, files[i]);
		unlink(path);
	}
	if (*made.dir)
		rmdir(made.dir);
	free(made.part);
	free(made.flat);
	made.part = made.flat = NULL;
	return 0;
}

int bootimage_setup(void **state)
{
	if (!bootimage_possible() || make_images())
		return 0;
	bootimage_teardown(state); /* cmocka does not tear down what was not set up */
	return -1;
}

struct disk *bootimage_open(bool flat)
{
	return flat ? disk_from(made.flat, BOOTIMAGE_FS) : disk_from(made.part, BOOTIMAGE_PART + BOOTIMAGE_FS);
}
