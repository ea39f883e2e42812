/* bootloader.c - the host's GRUB 2 made for this guest, and what stands in the guest's boot sector today */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hostfile.h"
#include "base/le.h"
#include "base/run.h"
#include "inspect/parts.h"
#include "parse/grubimg.h"

#define MAX_CORE (4 * 1024 * 1024u)
#define PACKAGES "grub-pc-bin and grub-common (or grub2-pc-modules and grub2-tools)"

static const char *const platform_dirs[] = {"/usr/lib/grub/i386-pc", "/usr/share/grub2/i386-pc", "/usr/lib/grub2/i386-pc"};
static const char *const mkimage_names[] = {"grub-mkimage", "grub2-mkimage"};

/* All that it takes to find the root, read grub.cfg and start Linux lies in the core: no module is loaded from a disk before the menu. */
static const char *const core_modules[] = {"biosdisk", "part_msdos", "part_gpt", "ext2", "search", "search_fs_uuid", "normal",
					   "configfile", "linux", "serial", "terminal", "test", "echo", "sleep"};
#define CORE_MODULES (sizeof(core_modules) / sizeof(core_modules[0]))
#define MAX_MODULES (CORE_MODULES + 16)

static int write_host_file(const char *path, const struct buf *data, struct p2h_error *err)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return error_sys(err, errno, "%s", path);
	if (write(fd, data->data, data->len) != (ssize_t)data->len)
		return error_sys(err, errno ? errno : EIO, "%s", path);
	return 0;
}

/* What grub-install copies: modules, their lists, and modinfo.sh. */
static int list_platform(struct facts *f, struct p2h_error *err)
{
	struct facts_host *h = &f->host;
	DIR *dir = opendir(h->platform_dir);
	struct dirent *e;

	if (!dir)
		return error_sys(err, errno, "%s", h->platform_dir);
	while ((e = readdir(dir))) {
		struct stat st;

		if (!text_ends_with(e->d_name, ".mod") && !text_ends_with(e->d_name, ".lst") && strcmp(e->d_name, "modinfo.sh"))
			continue;
		if (fstatat(dirfd(dir), e->d_name, &st, 0) || !S_ISREG(st.st_mode))
			continue;
		strlist_add(&h->platform, e->d_name);
		h->platform_blocks += ((uint64_t)st.st_size + f->boot_space.block_size - 1) / f->boot_space.block_size;
		if ((uint64_t)st.st_size > 12u * f->boot_space.block_size)
			h->platform_blocks += 2;
	}
	closedir(dir);
	strlist_sort(&h->platform);
	if (h->platform.failed)
		return error_nomem(err);
	return h->platform.len ? 0 : error_set(err, P2H_TOOL, "%s is empty: install %s", h->platform_dir, PACKAGES);
}

static int find_host(struct facts *f, struct p2h_error *err)
{
	for (size_t i = 0; i < sizeof(platform_dirs) / sizeof(platform_dirs[0]); i++) {
		CLEANUP(buf_done) struct buf path = {0};

		buf_printf(&path, "%s/kernel.img", platform_dirs[i]);
		if (path.failed)
			return error_nomem(err);
		if (!access(path.data, R_OK)) {
			f->host.platform_dir = platform_dirs[i];
			return list_platform(f, err);
		}
	}
	return error_set(err, P2H_TOOL, "GRUB 2 for BIOS is not installed on this host: install %s", PACKAGES);
}

static int run_mkimage(const char *const *argv_tail, size_t tail, struct buf *out, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; i < 2; i++) {
		const char *argv[16 + MAX_MODULES] = {mkimage_names[i]};

		memcpy(argv + 1, argv_tail, tail * sizeof(*argv));
		rc = run_program(argv, PACKAGES, out, NULL, err);
		if (!rc)
			return 0;
		if (access("/usr/bin/grub-mkimage", X_OK) == 0)
			break; /* it is there and failed: the other name would only hide why */
	}
	return rc;
}

/* The volume with /boot, and what lies between it and the disk. LUKS: ciphers and hashes that cryptsetup has had as its defaults. */
static size_t list_modules(const struct facts *f, const char **ret)
{
	static const char *const luks[] = {"cryptodisk", "luks", "gcry_rijndael", "gcry_sha1", "gcry_sha256", "gcry_sha512"};
	const struct volume *v = f->boot_volume;
	size_t n = CORE_MODULES;

	memcpy(ret, core_modules, sizeof(core_modules));
	if (!strcmp(f->boot_type, "xfs") || !strcmp(f->boot_type, "btrfs"))
		ret[n++] = f->boot_type;
	if (v->layers & VOLUME_LVM)
		ret[n++] = "lvm";
	if (v->layers & VOLUME_RAID) {
		ret[n++] = "mdraid1x";
		ret[n++] = "mdraid09";
	}
	if (!strcmp(v->raid, "raid4") || !strcmp(v->raid, "raid5"))
		ret[n++] = "raid5rec";
	if (!strcmp(v->raid, "raid6"))
		ret[n++] = "raid6rec";
	for (size_t i = 0; v->layers & VOLUME_LUKS && i < sizeof(luks) / sizeof(luks[0]); i++)
		ret[n++] = luks[i];
	return n;
}

/* cryptomount wants the UUID without dashes; GRUB asks for the passphrase. */
static void put_unlock(struct buf *cfg, const struct facts *f)
{
	if (!(f->boot_volume->layers & VOLUME_LUKS))
		return;
	buf_puts(cfg, "cryptomount -u ");
	for (const char *c = f->boot_volume->luks; *c; c++)
		if (*c != '-')
			buf_append(cfg, c, 1);
	buf_puts(cfg, "\n");
}

static int make_core(struct facts *f, const char *dir, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf cfg = {0}, cfg_path = {0}, core_path = {0}, core = {0};
	const char *argv[16 + MAX_MODULES];
	size_t n = 0;
	int rc;

	put_unlock(&cfg, f);
	buf_printf(&cfg, "search.fs_uuid %s root\nset prefix=($root)%s\n", f->boot_uuid, f->boot_prefix);
	buf_printf(&cfg_path, "%s/embedded.cfg", dir);
	buf_printf(&core_path, "%s/core.img", dir);
	if (cfg.failed || cfg_path.failed || core_path.failed)
		return error_nomem(err);
	rc = write_host_file(cfg_path.data, &cfg, err);
	if (rc)
		return rc;
	argv[n++] = "--format=i386-pc";
	argv[n++] = "-d";
	argv[n++] = f->host.platform_dir;
	argv[n++] = "-c";
	argv[n++] = cfg_path.data;
	argv[n++] = "-p";
	argv[n++] = f->boot_prefix;
	argv[n++] = "-o";
	argv[n++] = core_path.data;
	n += list_modules(f, argv + n);
	rc = run_mkimage(argv, n, NULL, err);
	if (!rc)
		rc = hostfile_read(core_path.data, MAX_CORE, &core, err);
	unlink(core_path.data);
	unlink(cfg_path.data);
	if (rc)
		return rc;
	f->host.core_len = (core.len + GRUB_SECTOR - 1) / GRUB_SECTOR * GRUB_SECTOR;
	f->host.core = arena_alloc(&f->arena, f->host.core_len);
	if (!f->host.core)
		return error_nomem(err);
	memcpy((uint8_t *)f->host.core, core.data, core.len);
	return 0;
}

static int read_boot_img(struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf path = {0}, img = {0};
	int rc;

	buf_printf(&path, "%s/boot.img", f->host.platform_dir);
	if (path.failed)
		return error_nomem(err);
	rc = hostfile_read(path.data, 65536, &img, err);
	if (rc)
		return rc;
	if (img.len != GRUB_SECTOR || !grub_is_boot_sector((const uint8_t *)img.data))
		return error_set(err, P2H_TOOL, "%s is not GRUB's boot sector", path.data);
	f->host.boot_img = (const uint8_t *)arena_memdup(&f->arena, img.data, img.len);
	return f->arena.failed ? error_nomem(err) : 0;
}

static int make_host(struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf version = {0};
	const char *const ask[] = {"--version"};
	const char *tmp = getenv("TMPDIR");
	char dir[256], *word;
	int rc;

	snprintf(dir, sizeof(dir), "%s/pv2hvm-XXXXXX", tmp && *tmp == '/' && strlen(tmp) < 200 ? tmp : "/tmp");
	rc = find_host(f, err);
	if (!rc)
		rc = read_boot_img(f, err);
	if (!rc)
		rc = run_mkimage(ask, 1, &version, err);
	if (rc)
		return rc;
	version.data[strcspn(version.data, "\n")] = '\0';
	word = strrchr(version.data, ' ');
	f->host.grub_version = arena_strdup(&f->arena, word ? word + 1 : version.data);
	if (!mkdtemp(dir))
		return error_sys(err, errno, "cannot make a directory in %s", tmp ? tmp : "/tmp");
	rc = make_core(f, dir, err);
	rmdir(dir);
	return rc;
}

static void describe_sector0(struct facts *f, const uint8_t s[512])
{
	static const uint8_t zero[440];

	if (grub_is_boot_sector(s))
		f->boot.sector0 = "GRUB 2";
	else if (!memcmp(s, zero, sizeof(zero)))
		f->boot.sector0 = "no boot code";
	else if (memmem(s, 440, "GRUB ", 5))
		f->boot.sector0 = "GRUB legacy";
	else
		f->boot.sector0 = "unknown boot code";
}

static void measure_gap(struct facts *f)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 1; i < f->volumes.len; i++) {
		const struct volume *v = &f->volumes.item[i];

		if (volume_is_elsewhere(v))
			continue;
		if (v->off < first)
			first = v->off;
		if (f->volumes.table == TABLE_GPT && !strcmp(v->type, VOLUME_GPT_BIOS_BOOT)) {
			f->boot.bios_boot_off = v->off;
			f->boot.bios_boot_len = v->len;
		}
	}
	if (f->volumes.table == TABLE_MBR && first != UINT64_MAX && first > GRUB_SECTOR)
		f->boot.gap_sectors = first / GRUB_SECTOR - 1;
}

/* Is the core image that the boot sector leads to the one that would be written, at its present place? */
static bool core_is_current(struct disk *d, const struct facts *f, const uint8_t sector0[512])
{
	CLEANUP(ranges_done) struct ranges where = {0}, rest = {0};
	CLEANUP_FREE uint8_t *want = malloc(f->host.core_len), *have = malloc(f->host.core_len);
	uint64_t at = grub_boot_sector_kernel(sector0);
	uint8_t made[512], first[512];
	size_t done = 0;

	if (!want || !have)
		error_note_nomem();
	if (!want || !have || at >= d->size / GRUB_SECTOR || disk_read(d, first, at * GRUB_SECTOR, GRUB_SECTOR, NULL) ||
	    grub_core_blocklist(first, &rest, NULL))
		return false;
	ranges_add(&where, at * GRUB_SECTOR, GRUB_SECTOR);
	for (size_t i = 0; i < rest.len; i++)
		ranges_add(&where, rest.item[i].off, rest.item[i].len);
	if (where.failed || ranges_total(&where) < f->host.core_len)
		return false;
	for (size_t i = 0; i < where.len && done < f->host.core_len; i++) {
		uint64_t n = where.item[i].len;

		if (n > f->host.core_len - done)
			n = f->host.core_len - done;
		if (disk_read(d, have + done, where.item[i].off, (size_t)n, NULL))
			return false;
		done += (size_t)n;
	}
	memcpy(want, f->host.core, f->host.core_len);
	return !grub_core_patch(want, f->host.core_len, &where, NULL) && !memcmp(want, have, f->host.core_len) &&
	       !grub_boot_sector_make(f->host.boot_img, sector0, at, made, NULL) && !memcmp(made, sector0, GRUB_SECTOR);
}

static bool platform_is_current(struct fs *fs, const struct facts *f)
{
	for (size_t i = 0; i < f->host.platform.len; i++) {
		CLEANUP(buf_done) struct buf host_path = {0}, guest_path = {0}, host = {0}, guest = {0};

		buf_printf(&host_path, "%s/%s", f->host.platform_dir, f->host.platform.item[i]);
		buf_printf(&guest_path, "/boot/grub/i386-pc/%s", f->host.platform.item[i]);
		if (host_path.failed || guest_path.failed || hostfile_read(host_path.data, MAX_CORE, &host, NULL) ||
		    fs_read(fs, guest_path.data, MAX_CORE, &guest, NULL))
			return false;
		if (host.len != guest.len || (host.len && memcmp(host.data, guest.data, host.len)))
			return false;
	}
	return true;
}

int read_bootloader(struct guest *guest, struct facts *f, bool make, struct p2h_error *err)
{
	uint8_t sector0[512];
	int rc;

	f->host.grub_version = f->host.platform_dir = "";
	rc = disk_read(guest->disk, sector0, 0, sizeof(sector0), err);
	if (rc)
		return rc;
	describe_sector0(f, sector0);
	measure_gap(f);
	if (!make)
		return 0;
	rc = make_host(f, err);
	if (rc)
		return rc;
	f->boot.current = grub_is_boot_sector(sector0) && core_is_current(guest->disk, f, sector0) && platform_is_current(guest->fs, f);
	return 0;
}
