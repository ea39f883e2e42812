/* lasting.c - what in the guest will change its boot files later */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "parse/dpkgstatus.h"
#include "parse/textconf.h"

#define STATUS "/var/lib/dpkg/status"
#define MAX_STATUS (64 * 1024 * 1024u) /* a few MiB on a full desktop */
#define CONFIG_DAT "/var/cache/debconf/config.dat"
#define MAX_CONFIG_DAT (8 * 1024 * 1024u)

static bool wanted(const char *name)
{
	static const char *const whole[] = {"grub", "grub-pc", "grub2", "grub-legacy", "grub-legacy-ec2", "pv-grub-menu", "lilo", "extlinux"};
	static const char *const start[] = {"linux-image", "linux-ec2", "linux-xen", "linux-virtual"};

	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (!strcmp(name, whole[i]))
			return true;
	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
		if (!strncmp(name, start[i], strlen(start[i])))
			return true;
	return false;
}

/* A database that cannot be read is as good as none: it is only there to name packages. */
static int read_packages(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	CLEANUP(dpkg_packages_done) struct dpkg_packages found = {0};
	CLEANUP(buf_done) struct buf text = {0};
	struct facts_lasting *l = &f->lasting;
	int rc = fs_read(fs, STATUS, MAX_STATUS, &text, err);

	if (!rc)
		rc = dpkg_status_parse(text.len ? text.data : "", text.len, wanted, &found, err);
	if (rc)
		return rc == P2H_IO || rc == P2H_NOMEM ? rc : 0;
	l->dpkg = true;
	for (size_t i = 0; i < found.len; i++) {
		struct facts_package *p = arena_push(&f->arena, &l->package, &l->packages, sizeof(*p));

		if (p)
			*p = (struct facts_package){arena_strdup(&f->arena, found.item[i].name), arena_strdup(&f->arena, found.item[i].version),
						    found.item[i].hold};
	}
	return 0;
}

static int read_links(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const path[] = {"/boot/initrd", "/boot/initrd.img", "/boot/vmlinuz", "/initrd.img", "/vmlinuz"};

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		CLEANUP_FREE char *target = NULL, *real = NULL;
		struct facts_boot_link *link;
		struct fs_stat st;
		int rc;

		if (fs_lstat(fs, path[i], &st, NULL) || !S_ISLNK(st.mode))
			continue;
		rc = fs_readlink(fs, path[i], &target, err);
		if (rc)
			return rc;
		rc = fs_realpath(fs, path[i], &real, NULL);
		link = arena_push(&f->arena, &f->lasting.link, &f->lasting.links, sizeof(*link));
		if (link)
			*link = (struct facts_boot_link){path[i], arena_strdup(&f->arena, target), rc ? "" : arena_strdup(&f->arena, real)};
	}
	return 0;
}

static const char *first_there(struct fs *fs, const char *const *path)
{
	for (; *path; path++)
		if (fs_exists(fs, *path))
			return *path;
	return "";
}

/*
 * Debian's GRUB legacy depends on grub-common, which has grub-mkconfig but runs it for nobody; update-grub2 comes with the packages that make
 * GRUB 2 the guest's boot loader. Where dpkg is not, the tool itself is the sign; as grub2-mkconfig it writes below /boot/grub2.
 */
static void find_tools(struct fs *fs, struct facts *f)
{
	static const char *const mkconfig[] = {"/usr/sbin/grub-mkconfig", "/usr/bin/grub-mkconfig", "/sbin/grub-mkconfig", NULL};
	static const char *const update2[] = {"/usr/sbin/update-grub2", NULL};
	static const char *const grub2[] = {"/usr/sbin/grub2-mkconfig", "/sbin/grub2-mkconfig", NULL};
	static const char *const menu[] = {"/usr/sbin/update-grub-legacy-ec2", "/usr/sbin/update-menu-lst", "/sbin/grubby", "/usr/sbin/grubby",
					   "/sbin/update-bootloader", "/usr/sbin/update-bootloader", "/usr/sbin/update-grub", "/sbin/update-grub",
					   NULL};
	struct facts_lasting *l = &f->lasting;

	l->grub_mkconfig = first_there(fs, l->dpkg ? update2 : mkconfig);
	l->menu_tool = *l->grub_mkconfig || *first_there(fs, grub2) ? "" : first_there(fs, menu);
}

static bool is_program(struct fs *fs, const char *path)
{
	struct fs_stat st;

	return !fs_stat(fs, path, &st, NULL) && S_ISREG(st.mode) && st.mode & 0111;
}

static const char *find_program(struct fs *fs, struct arena *a, const char *program)
{
	static const char *const dir[] = {"/bin", "/sbin", "/usr/bin", "/usr/sbin"};
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;

	if (*program == '/' && is_program(fs, program))
		return program;
	for (size_t i = 0; *name && i < sizeof(dir) / sizeof(dir[0]); i++) {
		const char *path = arena_printf(a, "%s/%s", dir[i], name);

		if (path && is_program(fs, path))
			return path;
	}
	return "";
}

/* kernel-img.conf(5): what is not there makes the package's script fail. */
static void find_hooks(struct fs *fs, struct facts *f)
{
	static const char *const name[] = {"preinst_hook", "postinst_hook", "prerm_hook", "postrm_hook"};
	const struct facts_file *conf = facts_file(f, "/etc/kernel-img.conf");
	struct kernelimg_setting s = {0};

	while (conf && kernelimg_next(conf->text, conf->len, &s)) {
		const char *program;
		struct facts_hook *hook;
		size_t i = 0;

		while (i < 4 && !kernelimg_is(&s, name[i]))
			i++;
		if (i == 4 || !s.len)
			continue;
		program = arena_memdup(&f->arena, conf->text + s.value, s.len);
		hook = arena_push(&f->arena, &f->lasting.hook, &f->lasting.hooks, sizeof(*hook));
		if (program && hook)
			*hook = (struct facts_hook){s.line, program, find_program(fs, &f->arena, program)};
	}
}

int read_lasting(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	int rc = read_packages(fs, f, err);

	if (!rc)
		rc = read_links(fs, f, err);
	if (rc)
		return rc;
	find_tools(fs, f);
	find_hooks(fs, f);
	for (size_t i = 0; i < f->lasting.packages; i++)
		if (!strcmp(f->lasting.package[i].name, "grub-pc"))
			return add_large_file(fs, f, CONFIG_DAT, MAX_CONFIG_DAT, err);
	return f->arena.failed ? error_nomem(err) : 0;
}
