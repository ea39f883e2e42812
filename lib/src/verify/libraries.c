/* Shared libraries as the dynamic loader finds them (ld.so(8)): for init, and for the C library's version. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define LIBRARY_LIMIT (32u << 20)
#define LIBRARY_BYTES_LIMIT (512u << 20) /* of all libraries that are looked into */
#define CACHE_LIMIT (4u << 20)
#define LD_CONF_LIMIT 200u
#define CLOSURE_LIMIT 256u

static char *library_in(struct verify *v, const char *dir, const char *soname, unsigned bits, struct elf_facts *ret)
{
	CLEANUP(elf_done) struct elf_facts facts = {0};
	CLEANUP(buf_done) struct buf file = {0};
	CLEANUP_FREE char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, soname) < 0) {
		path = NULL;
		v->nomem = true;
		return NULL;
	}
	if (v->library_bytes > LIBRARY_BYTES_LIMIT || !fs_exists(v->guest->fs, path) ||
	    fs_read(v->guest->fs, path, LIBRARY_LIMIT, &file, NULL))
		return NULL;
	v->library_bytes += file.len;
	if (elf_parse(file.data ? file.data : "", file.len, &facts, NULL) || facts.bits != bits)
		return NULL;
	if (ret) {
		*ret = facts;
		facts = (struct elf_facts){0};
	}
	return TAKE(path);
}

static void add_lines(struct verify *v, const char *path, struct strlist *ret)
{
	CLEANUP(strlist_done) struct strlist lines = {0};
	CLEANUP(buf_done) struct buf text = {0};

	if (v->library_bytes > LIBRARY_BYTES_LIMIT || !guest_text(v, path, &text) || !text.len)
		return;
	v->library_bytes += text.len;
	strlist_split(&lines, text.data, " \t\r\n");
	for (size_t i = 0; i < lines.len && ret->len < LD_CONF_LIMIT; i++)
		if (lines.item[i][0] == '/')
			strlist_add(ret, lines.item[i]);
	v->nomem |= lines.failed || ret->failed;
}

/* Directories that ld.so.conf and ld.so.conf.d add, one a line. A path behind "include" is no directory and does no harm. */
static void configured_dirs(struct verify *v, struct strlist *ret)
{
	CLEANUP(strlist_done) struct strlist names = {0};

	add_lines(v, "/etc/ld.so.conf", ret);
	if (fs_list(v->guest->fs, "/etc/ld.so.conf.d", &names, NULL))
		return;
	for (size_t i = 0; i < names.len && i < LD_CONF_LIMIT; i++) {
		char path[300];

		snprintf(path, sizeof path, "/etc/ld.so.conf.d/%.255s", names.item[i]);
		add_lines(v, path, ret);
	}
}

/* ld.so.cache ends with its strings, among them the path of each library. */
static char *library_cached(struct verify *v, const char *soname, unsigned bits, struct elf_facts *ret)
{
	CLEANUP(buf_done) struct buf cache = {0};
	size_t len = strlen(soname) + 1; /* with the NUL */
	const char *at, *end;

	if (v->library_bytes > LIBRARY_BYTES_LIMIT || fs_read(v->guest->fs, "/etc/ld.so.cache", CACHE_LIMIT, &cache, NULL) || !cache.len)
		return NULL;
	v->library_bytes += cache.len;
	end = cache.data + cache.len;
	for (at = cache.data; (at = memmem(at, (size_t)(end - at), soname, len)); at += len) {
		CLEANUP_FREE char *dir = NULL;
		const char *start = at, *slash = at - 1;
		char *found;

		while (start > cache.data && start[-1])
			start--;
		if (start == at || *start != '/' || *slash != '/')
			continue;
		dir = strndup(start, (size_t)(slash - start));
		if (!dir) {
			v->nomem = true;
			return NULL;
		}
		found = library_in(v, dir, soname, bits, ret);
		if (found)
			return found;
	}
	return NULL;
}

char *library_find(struct verify *v, const char *soname, unsigned bits, struct elf_facts *ret)
{
	static const char *const usual[] = {
		"/lib64", "/usr/lib64", "/lib", "/usr/lib", "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
		"/lib/i386-linux-gnu", "/usr/lib/i386-linux-gnu", "/lib/i686/cmov", "/lib32", "/usr/lib32",
		"/lib/systemd", "/usr/lib/systemd", "/usr/local/lib",
	};
	CLEANUP(strlist_done) struct strlist more = {0};
	char *found;

	if (strchr(soname, '/'))
		return NULL;
	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
		found = library_in(v, usual[i], soname, bits, ret);
		if (found)
			return found;
	}
	configured_dirs(v, &more);
	for (size_t i = 0; i < more.len; i++) {
		found = library_in(v, more.item[i], soname, bits, ret);
		if (found)
			return found;
	}
	return library_cached(v, soname, bits, ret);
}

/* ---- all that init needs ---- */

/* Where a program's or library's own search path, if it has one, leads to. */
static char *library_by_runpath(struct verify *v, const char *runpath, const char *origin, const char *soname, unsigned bits,
				struct elf_facts *ret)
{
	CLEANUP(strlist_done) struct strlist dirs = {0};
	const char *slash = strrchr(origin, '/');

	strlist_split(&dirs, runpath, ":");
	for (size_t i = 0; i < dirs.len; i++) {
		const char *dir = dirs.item[i], *rest = NULL;
		CLEANUP_FREE char *full = NULL;
		char *found;

		if (!strncmp(dir, "$ORIGIN", 7))
			rest = dir + 7;
		else if (!strncmp(dir, "${ORIGIN}", 9))
			rest = dir + 9;
		if (asprintf(&full, "%.*s%s", rest && slash ? (int)(slash - origin) : 0, origin, rest ? rest : dir) < 0) {
			full = NULL;
			v->nomem = true;
			return NULL;
		}
		found = library_in(v, full, soname, bits, ret);
		if (found)
			return found;
	}
	v->nomem |= dirs.failed;
	return NULL;
}

/* What has been found so far: names to look each up once, of whom and where it searches. */
struct closure {
	struct strlist soname, by, runpath;
};

static void closure_done(struct closure *c)
{
	strlist_done(&c->soname);
	strlist_done(&c->by);
	strlist_done(&c->runpath);
}

static bool closure_has(const struct closure *c, const char *soname)
{
	for (size_t i = 0; i < c->soname.len; i++)
		if (!strcmp(c->soname.item[i], soname))
			return true;
	return false;
}

static void closure_add(struct verify *v, struct closure *c, const struct elf_facts *elf, const char *by)
{
	for (size_t i = 0; i < elf->needed.len && c->soname.len < CLOSURE_LIMIT; i++) {
		if (closure_has(c, elf->needed.item[i]))
			continue;
		strlist_add(&c->soname, elf->needed.item[i]);
		strlist_add(&c->by, by);
		strlist_add(&c->runpath, elf->runpath);
	}
	v->nomem |= c->soname.failed || c->by.failed || c->runpath.failed;
}

void judge_libraries(struct judgement *j)
{
	struct verify *v = j->v;
	CLEANUP(closure_done) struct closure c = {0};

	closure_add(v, &c, &v->init.elf, v->init.real);
	for (size_t i = 0; i < c.soname.len && !v->nomem; i++) {
		CLEANUP(elf_done) struct elf_facts facts = {0};
		const char *soname = c.soname.item[i], *by = c.by.item[i];
		CLEANUP_FREE char *path = library_by_runpath(v, c.runpath.item[i], by, soname, v->init.elf.bits, &facts);

		/* DT_RPATH, which older programs have, also counts for the libraries of libraries. */
		if (!path)
			path = library_by_runpath(v, v->init.elf.runpath, v->init.real, soname, v->init.elf.bits, &facts);
		if (!path)
			path = library_find(v, soname, v->init.elf.bits, &facts);
		if (path)
			closure_add(v, &c, &facts, path);
		else if (v->library_bytes > LIBRARY_BYTES_LIMIT || strchr(soname, '/'))
			judge(j, VERIFY_WARN, "%s needs %s, which was not looked for", by, soname);
		else
			judge(j, VERIFY_FAIL, "%s needs %s, which is where no loader looks, or damaged", by, soname);
	}
}
