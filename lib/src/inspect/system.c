#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "parse/elf.h"
#include "parse/textconf.h"

#define MAX_PROGRAM (32 * 1024 * 1024u)

const char *init_name(enum init_kind kind)
{
	static const char *const name[] = {"unknown init", "systemd", "upstart", "sysvinit", "busybox"};

	return name[kind];
}

static const char *assignment(struct facts *f, const struct facts_file *file, const char *name)
{
	CLEANUP_FREE char *value = file ? assignment_get(file->text, file->len, name, NULL) : NULL;

	return value ? arena_strdup(&f->arena, value) : "";
}

/* "CentOS release 5.11 (Final)", and SUSE's line "VERSION = 11" */
static const char *older_version(struct facts *f, const char *text)
{
	static const char *const before[] = {"VERSION = ", "release "};

	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		const char *at = strstr(text, before[i]);

		if (at) {
			at += strlen(before[i]);
			return arena_printf(&f->arena, "%.*s", (int)strspn(at, "0123456789."), at);
		}
	}
	return "";
}

/* Which of Red Hat's relatives, or SUSE's, says so in its first words; with the name that it has in os-release(5). */
static const char *derivative(const char *name, const char *otherwise)
{
	static const struct {
		const char *start, *id;
	} known[] = {{"CentOS", "centos"}, {"Scientific Linux", "scientific"}, {"Oracle", "ol"}, {"Enterprise Linux", "ol"}, {"Fedora", "fedora"},
		     {"openSUSE", "opensuse"}};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strncmp(name, known[i].start, strlen(known[i].start)))
			return known[i].id;
	return otherwise;
}

/* Distributions from before os-release. Red Hat's lsb-release names no distribution; Debian's derivatives have a debian_version too. */
static bool read_older_release(struct fs *fs, struct facts *f)
{
	static const struct {
		const char *path, *id;
	} old[] = {{"/etc/fedora-release", "fedora"}, {"/etc/redhat-release", "rhel"}, {"/etc/SuSE-release", "sles"},
		   {"/etc/system-release", "amzn"}};
	CLEANUP(buf_done) struct buf lsb = {0};

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		CLEANUP(buf_done) struct buf text = {0};

		if (fs_read(fs, old[i].path, 4096, &text, NULL) || !text.len)
			continue;
		f->os_version = older_version(f, text.data);
		text.data[strcspn(text.data, "\r\n")] = '\0';
		f->os_name = arena_strdup(&f->arena, text.data);
		f->os_id = derivative(text.data, old[i].id);
		return true;
	}
	if (!fs_read(fs, "/etc/lsb-release", 4096, &lsb, NULL) && lsb.len) {
		struct facts_file file = {.text = lsb.data, .len = lsb.len};

		f->os_name = assignment(f, &file, "DISTRIB_DESCRIPTION");
		f->os_version = assignment(f, &file, "DISTRIB_RELEASE");
		f->os_id = assignment(f, &file, "DISTRIB_ID");
	}
	return f->os_name && *f->os_name;
}

static void read_distribution(struct fs *fs, struct facts *f)
{
	const struct facts_file *file = facts_file(f, "/etc/os-release");
	CLEANUP(buf_done) struct buf text = {0};

	if (!file || !file->len)
		file = facts_file(f, "/usr/lib/os-release");
	f->os_id = assignment(f, file, "ID");
	f->os_version = assignment(f, file, "VERSION_ID");
	f->os_name = assignment(f, file, "PRETTY_NAME");
	if (f->os_name && *f->os_name)
		return;
	if (read_older_release(fs, f))
		return;
	if (!fs_read(fs, "/etc/debian_version", 4096, &text, NULL)) {
		text.data[strcspn(text.data, "\r\n")] = '\0';
		f->os_name = arena_printf(&f->arena, "Debian %s", text.data);
		f->os_id = "debian";
		f->os_version = arena_strdup(&f->arena, text.data);
	}
}

/* systemd names its version in the shared library's file name (libsystemd-shared-247.so); older ones keep it in the binary only. */
static unsigned systemd_version(struct fs *fs)
{
	static const char *const dir[] = {"/lib/systemd", "/usr/lib/systemd", "/usr/lib/x86_64-linux-gnu/systemd",
					  "/usr/lib/i386-linux-gnu/systemd", "/usr/lib64/systemd"};
	unsigned version = 0;

	for (size_t i = 0; i < sizeof(dir) / sizeof(dir[0]) && !version; i++) {
		CLEANUP(strlist_done) struct strlist names = {0};

		if (fs_list(fs, dir[i], &names, NULL))
			continue;
		for (size_t k = 0; k < names.len && !version; k++)
			if (sscanf(names.item[k], "libsystemd-shared-%u", &version) != 1)
				version = 0;
	}
	return version;
}

/* systemd greets with its version: "systemd 219 running in system mode", a distribution's own version behind a '-' or '.' in newer ones. */
static unsigned systemd_in_program(const struct buf *program)
{
	static const char name[] = "systemd ", greeting[] = " running in ";
	const char *at = program->data, *end = at ? at + program->len : NULL;
	unsigned version = 0;

	while (at && !version && (at = memmem(at, (size_t)(end - at), name, sizeof(name) - 1))) {
		size_t len;

		at += sizeof(name) - 1;
		len = strnlen(at, (size_t)(end - at));
		if (memmem(at, len < 80 ? len : 80, greeting, sizeof(greeting) - 1) && sscanf(at, "%4u", &version) != 1)
			version = 0;
	}
	return version;
}

bool program_knows(struct fs *fs, const char *const *path, const char *word)
{
	for (; *path; path++) {
		CLEANUP(buf_done) struct buf data = {0};

		if (!fs_read(fs, *path, MAX_PROGRAM, &data, NULL) && buf_contains(&data, word))
			return true;
	}
	return false;
}

static enum init_kind kind_of_init(struct fs *fs, const char *path, const struct buf *program)
{
	if (strstr(path, "systemd"))
		return INIT_SYSTEMD;
	if (strstr(path, "busybox") || buf_contains(program, "BusyBox v"))
		return INIT_BUSYBOX;
	if (buf_contains(program, "upstart") || buf_contains(program, "Upstart"))
		return INIT_UPSTART;
	return fs_exists(fs, "/etc/inittab") ? INIT_SYSVINIT : INIT_UNKNOWN;
}

static int read_init(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const candidate[] = {"/sbin/init", "/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/init"};

	for (size_t i = 0; i < sizeof(candidate) / sizeof(candidate[0]); i++) {
		CLEANUP_FREE char *real = NULL;
		CLEANUP(buf_done) struct buf program = {0};
		CLEANUP(elf_done) struct elf_facts elf = {0};
		int rc = fs_realpath(fs, candidate[i], &real, NULL);

		if (rc)
			continue;
		rc = fs_read(fs, real, MAX_PROGRAM, &program, err);
		if (rc == P2H_IO || rc == P2H_NOMEM)
			return rc;
		f->init_path = arena_strdup(&f->arena, real);
		f->init = kind_of_init(fs, real, &program);
		if (f->init == INIT_SYSTEMD)
			f->systemd_version = systemd_in_program(&program);
		if (!elf_parse(program.data, program.len, &elf, NULL))
			f->bits = elf.bits;
		return 0;
	}
	return 0;
}

int read_system(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const mount_programs[] = {
		"/bin/mount", "/usr/bin/mount",
		"/lib/x86_64-linux-gnu/libmount.so.1", "/usr/lib/x86_64-linux-gnu/libmount.so.1",
		"/lib/i386-linux-gnu/libmount.so.1", "/usr/lib/i386-linux-gnu/libmount.so.1",
		"/lib64/libmount.so.1", "/usr/lib64/libmount.so.1", "/lib/libmount.so.1", "/usr/lib/libmount.so.1", NULL,
	};
	static const char *const fstab_programs[] = {
		"/lib/systemd/system-generators/systemd-fstab-generator", "/usr/lib/systemd/system-generators/systemd-fstab-generator", NULL,
	};
	int rc;

	f->init_path = "";
	read_distribution(fs, f);
	rc = read_init(fs, f, err);
	if (rc)
		return rc;
	if (f->init == INIT_SYSTEMD && !f->systemd_version)
		f->systemd_version = systemd_version(fs);
	/* The option is compiled into mount, libmount or busybox as a string. */
	f->mount_knows_nofail = program_knows(fs, mount_programs, "nofail");
	/* From 231 on the word is in a shared library, which has the version in its name. */
	f->fstab_knows_timeout = f->systemd_version >= 231 || program_knows(fs, fstab_programs, "x-systemd.device-timeout");
	f->has_run = fs_is_dir(fs, "/run");
	f->has_udev = fs_is_dir(fs, "/etc/udev") || fs_is_dir(fs, "/lib/udev");
	return f->arena.failed ? error_nomem(err) : 0;
}
