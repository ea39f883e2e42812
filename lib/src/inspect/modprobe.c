#include "inspect/modprobe.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define MAX_PROGRAM (32 * 1024 * 1024u)

static const char *const library_dir[] = {
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/i386-linux-gnu", "/usr/lib/i386-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
};

/*
 * kmod says in its binary what it was built with: "+ZSTD +XZ -ZLIB +LIBCRYPTO"; one that does not name ZSTD does not know it. A library has no
 * such line, but the names of the libraries that it is linked with, or loads by itself (kmod from version 34).
 */
static bool built_with(const struct buf *data, const char *feature, const char *library)
{
	char yes[16], no[16];

	snprintf(yes, sizeof(yes), "+%s", feature);
	snprintf(no, sizeof(no), "-%s", feature);
	if (buf_contains(data, yes))
		return true;
	if (buf_contains(data, no) || buf_contains(data, "+XZ") || buf_contains(data, "-XZ"))
		return false;
	return buf_contains(data, library);
}

static void read_kmod(struct facts_modprobe *m, const struct buf *data)
{
	m->xz = m->xz && built_with(data, "XZ", "liblzma.so");
	m->zst = m->zst && built_with(data, "ZSTD", "libzstd.so");
	m->gz = m->gz && built_with(data, "ZLIB", "libz.so");
}

/* busybox (archival/libarchive/open_transformer.c) complains in these words, which depend on what it was built with. */
static void read_busybox(struct facts_modprobe *m, const struct buf *data)
{
	m->gz = buf_contains(data, "no gzip");
	m->xz = buf_contains(data, "/xz magic");
	m->zst = false;
}

/*
 * Built with zlib or without; a static one has zlib's own words in it. Those before 3.5 know no modules.dep.bin; some of them open the paths in
 * modules.dep as they stand there, and all take whole ones.
 */
static void read_module_init_tools(struct facts_modprobe *m, const struct buf *data)
{
	m->xz = m->zst = false;
	m->gz = buf_contains(data, "libz.so") || buf_contains(data, "incorrect header check");
	m->absolute_paths = !buf_contains(data, "modules.dep.bin");
}

static int read_library(struct fs *fs, struct arena *a, struct facts_modprobe *m, struct p2h_error *err)
{
	for (size_t i = 0; i < sizeof(library_dir) / sizeof(library_dir[0]); i++) {
		CLEANUP(buf_done) struct buf path = {0}, data = {0};
		int rc;

		buf_printf(&path, "%s/libkmod.so.2", library_dir[i]);
		if (path.failed)
			return error_nomem(err);
		rc = fs_read(fs, path.data, MAX_PROGRAM, &data, err);
		if (rc == P2H_IO || rc == P2H_NOMEM)
			return rc;
		if (rc)
			continue;
		m->library = arena_strdup(a, path.data);
		read_kmod(m, &data);
		return 0;
	}
	return 0;
}

int read_modprobe(struct fs *fs, struct arena *a, struct facts_modprobe *ret, struct p2h_error *err)
{
	static const char *const candidate[] = {"/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe", "/usr/bin/modprobe"};
	CLEANUP_FREE char *real = NULL;
	CLEANUP(buf_done) struct buf data = {0};
	int rc = P2H_NOTFOUND;

	*ret = (struct facts_modprobe){.path = "", .library = "", .xz = true, .zst = true, .gz = true};
	for (size_t i = 0; i < sizeof(candidate) / sizeof(candidate[0]) && !real; i++)
		if (fs_realpath(fs, candidate[i], &real, NULL))
			real = NULL;
	if (!real)
		return 0;
	ret->path = arena_strdup(a, real);
	rc = fs_read(fs, real, MAX_PROGRAM, &data, err);
	if (rc == P2H_IO || rc == P2H_NOMEM)
		return rc;
	ret->kind = MODPROBE_UNKNOWN;
	if (rc || data.len < SELFMAG || memcmp(data.data, ELFMAG, SELFMAG))
		return 0; /* a script around the real one, or something else that cannot be judged */
	if (buf_contains(&data, "BusyBox v")) {
		ret->kind = MODPROBE_BUSYBOX;
		read_busybox(ret, &data);
	} else if (buf_contains(&data, "module-init-tools")) {
		ret->kind = MODPROBE_MODULE_INIT_TOOLS;
		read_module_init_tools(ret, &data);
	} else if (buf_contains(&data, "kmod")) {
		ret->kind = MODPROBE_KMOD;
		read_kmod(ret, &data);
		return read_library(fs, a, ret, err);
	}
	return a->failed ? error_nomem(err) : 0;
}

bool modprobe_reads(const struct facts_modprobe *m, const char *packing)
{
	return !strcmp(packing, "xz") ? m->xz : !strcmp(packing, "zst") ? m->zst : m->gz;
}
