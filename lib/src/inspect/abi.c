/* abi.c - the C library, and what init and other programs want of a kernel */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "inspect/gone.h"
#include "inspect/programs.h"
#include "parse/elf.h"

#define MAX_PROGRAM (32 * 1024 * 1024u)
#define MAX_NAMED 16 /* programs that are named; one is enough for the rule */
#define MACHINE_X86_64 62

/* Reads an ELF file and keeps its note. false: not there, no ELF file, or of another width. */
static bool read_elf(struct fs *fs, struct facts *f, const char *path, unsigned bits, struct buf *data, struct elf_facts *elf)
{
	struct abi_tag *tag;

	if (!path || !*path || fs_read(fs, path, MAX_PROGRAM, data, NULL) || elf_parse(data->data, data->len, elf, NULL) || elf->bits != bits)
		return false;
	if (!elf->has_abi_tag)
		return true;
	tag = arena_push(&f->arena, &f->abi.tag, &f->abi.tags, sizeof(*tag));
	if (tag)
		*tag = (struct abi_tag){arena_strdup(&f->arena, path), {elf->abi_min[0], elf->abi_min[1], elf->abi_min[2]}};
	return true;
}

/* "GNU C Library (Debian GLIBC 2.31-13+deb11u5) stable release version 2.31." and, older, "GNU C Library stable release version 2.5, by Roland". */
static void glibc_version(const struct buf *data, unsigned *ret)
{
	static const char banner[] = "GNU C Library ", word[] = "release version ";
	const char *at = memmem(data->data, data->len, banner, sizeof(banner) - 1);
	size_t left = at ? data->len - (size_t)(at - data->data) : 0;
	const char *version = at ? memmem(at, left < 256 ? left : 256, word, sizeof(word) - 1) : NULL;

	if (!version || sscanf(version + sizeof(word) - 1, "%3u.%3u.%3u", &ret[0], &ret[1], &ret[2]) < 2)
		memset(ret, 0, 3 * sizeof(*ret));
}

static void read_libc(struct fs *fs, struct facts *f)
{
	static const char *const place[] = {
		"/lib64", "/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/lib", "/lib/i386-linux-gnu", "/usr/lib",
		"/usr/lib/i386-linux-gnu",
	};

	for (size_t i = 0; i < sizeof(place) / sizeof(place[0]); i++) {
		CLEANUP(buf_done) struct buf data = {0};
		CLEANUP(elf_done) struct elf_facts elf = {0};
		const char *path = arena_printf(&f->arena, "%s/libc.so.6", place[i]);

		if (!read_elf(fs, f, path, f->bits, &data, &elf))
			continue;
		f->abi.libc = path;
		glibc_version(&data, f->abi.glibc);
		return;
	}
}

struct search {
	struct facts *facts;
	struct strlist calls;
};

static int visit(void *arg, const struct program *p, struct p2h_error *err)
{
	struct search *s = arg;

	gone_in_program(s->facts, p);
	if (s->facts->bits != 64 || p->layout.has_interp || p->layout.machine != MACHINE_X86_64 || s->calls.len == MAX_NAMED)
		return 0;
	if (program_calls_vsyscall(p))
		strlist_add(&s->calls, p->path);
	return s->calls.failed ? error_nomem(err) : 0;
}

static void search_done(struct search *s)
{
	strlist_done(&s->calls);
}

static int search_programs(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	CLEANUP(search_done) struct search s = {.facts = f};
	int rc = programs_walk(fs, visit, &s, &f->abi.vsyscall_cut, err);

	for (size_t i = 0; !rc && i < s.calls.len; i++) {
		const char **path = arena_push(&f->arena, &f->abi.vsyscall, &f->abi.vsyscalls, sizeof(*path));

		if (path)
			*path = arena_strdup(&f->arena, s.calls.item[i]);
	}
	return rc;
}

static bool any_exists(struct fs *fs, const char *const *path, const char **ret)
{
	for (; *path; path++)
		if (fs_exists(fs, *path)) {
			*ret = *path;
			return true;
		}
	return false;
}

static void read_udev(struct fs *fs, struct facts_abi *abi)
{
	static const char *const daemon[] = {"/sbin/udevd", "/lib/udev/udevd", "/usr/lib/udev/udevd", "/lib/systemd/systemd-udevd",
					     "/usr/lib/systemd/systemd-udevd", NULL};
	static const char *const udevadm[] = {"/sbin/udevadm", "/bin/udevadm", "/usr/bin/udevadm", "/usr/sbin/udevadm", NULL};
	static const char *const library[] = {
		"/lib64/libudev.so.1", "/lib/x86_64-linux-gnu/libudev.so.1", "/usr/lib64/libudev.so.1", "/usr/lib/x86_64-linux-gnu/libudev.so.1",
		"/lib/libudev.so.1", "/lib/i386-linux-gnu/libudev.so.1", "/usr/lib/libudev.so.1", "/usr/lib/i386-linux-gnu/libudev.so.1", NULL,
	};
	const char *found;

	any_exists(fs, daemon, &abi->udevd);
	abi->udevd_booted = *abi->udevd && program_knows(fs, (const char *const[]){abi->udevd, NULL}, "/run/systemd/system");
	abi->udevadm = any_exists(fs, udevadm, &found);
	abi->libudev1 = any_exists(fs, library, &found);
}

int read_abi(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf init = {0}, loader = {0};
	CLEANUP(elf_done) struct elf_facts elf = {0}, loader_elf = {0};
	int rc = 0;

	f->abi.libc = f->abi.udevd = "";
	read_udev(fs, &f->abi);
	if (f->bits) {
		if (read_elf(fs, f, f->init_path, f->bits, &init, &elf))
			read_elf(fs, f, elf.interp, f->bits, &loader, &loader_elf);
		read_libc(fs, f);
	}
	f->abi.multilib = f->bits == 64 && fs_exists(fs, "/lib/ld-linux.so.2");
	rc = search_programs(fs, f, err);
	if (!rc)
		rc = gone_in_scripts(fs, f, err);
	return !rc && f->arena.failed ? error_nomem(err) : rc;
}
