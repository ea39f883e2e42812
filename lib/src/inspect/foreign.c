/*
 * foreign.c - modules that did not come with the guest's kernels
 *
 * They lie beside kernel/ (extra, updates, weak-updates, misc, a vendor's directory), where dkms, kmod packages and vendors put them; or in kernel/
 * where dpkg knows the kernel's package and that does not list them. rpm's database is not read: there the directory decides.
 */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "inspect/tree.h"
#include "parse/kmodules.h"

#define MAX_FOREIGN 4096
#define MAX_LIST (4 * 1024 * 1024u)
#define MAX_SCRIPT (1024 * 1024u)
#define MAX_USES 3 /* named */

struct find {
	struct facts *f;
	const char *top;
	const struct strlist *owned; /* NULL: nothing below kernel/ can be told */
};

static bool known(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->foreigns; i++)
		if (!strcmp(f->foreign[i].name, name))
			return true;
	return false;
}

static int compare_strings(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

static int look_at(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	const struct find *find = arg;
	struct facts *f = find->f;
	size_t len = kmodule_plain_len(relative, strlen(relative));
	CLEANUP(buf_done) struct buf path = {0};
	struct facts_foreign *one;
	char name[64];

	if (S_ISDIR(st->mode) || !strchr(relative, '/') || len < 4 || memcmp(relative + len - 3, ".ko", 3))
		return 0;
	buf_printf(&path, "%s/%s", find->top, relative);
	if (path.failed)
		return error_nomem(err);
	if (!strncmp(relative, "kernel/", 7) &&
	    (!find->owned || bsearch(path.data, find->owned->item, find->owned->len, sizeof(char *), compare_strings)))
		return 0;
	kmodule_name(relative, name, sizeof(name));
	if (f->foreigns == MAX_FOREIGN || known(f, name))
		return 0;
	one = arena_push(&f->arena, &f->foreign, &f->foreigns, sizeof(*one));
	if (!one)
		return error_nomem(err);
	*one = (struct facts_foreign){arena_strdup(&f->arena, name), arena_strdup(&f->arena, path.data), ""};
	return 0;
}

/* What dpkg's kernel packages put into a modules directory; false if no package did. */
static bool read_owned(struct fs *fs, const char *release, struct strlist *ret)
{
	static const char *const package[] = {"linux-image-", "linux-modules-", "linux-modules-extra-", "linux-image-unsigned-"};
	bool any = false;

	for (size_t i = 0; i < sizeof(package) / sizeof(package[0]); i++) {
		CLEANUP(buf_done) struct buf path = {0}, text = {0};

		buf_printf(&path, "/var/lib/dpkg/info/%s%s.list", package[i], release);
		if (path.failed || fs_read(fs, path.data, MAX_LIST, &text, NULL) || !text.len)
			continue;
		any = true;
		for (char *save = NULL, *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
			strlist_add(ret, strncmp(line, "/usr/lib/", 9) ? line : line + 4);
	}
	if (any && !ret->failed)
		strlist_sort(ret);
	return any && !ret->failed;
}

static int find_all(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist releases = {0};
	int rc = fs_is_dir(fs, "/lib/modules") ? fs_list(fs, "/lib/modules", &releases, err) : 0;

	for (size_t i = 0; !rc && i < releases.len; i++) {
		CLEANUP(strlist_done) struct strlist owned = {0};
		CLEANUP(buf_done) struct buf top = {0};
		struct find find = {.f = f};

		buf_printf(&top, "/lib/modules/%s", releases.item[i]);
		if (top.failed)
			return error_nomem(err);
		find.top = top.data;
		find.owned = read_owned(fs, releases.item[i], &owned) ? &owned : NULL;
		if (fs_is_dir(fs, top.data))
			rc = tree_walk(fs, top.data, look_at, &find, err);
	}
	return rc;
}

/* --- what loads them --- */

static bool is_name_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Does a line name the module, '-' or '_', also as a file? */
static bool line_names(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	for (size_t at = 0; at + n <= len; at++) {
		size_t i = 0;

		if (at && is_name_byte(line[at - 1]))
			continue;
		while (i < n && (line[at + i] == name[i] || (name[i] == '_' && line[at + i] == '-')))
			i++;
		if (i == n && (at + n == len || !is_name_byte(line[at + n])))
			return true;
	}
	return false;
}

static bool line_has(const char *line, size_t len, const char *word)
{
	return memmem(line, len, word, strlen(word)) != NULL;
}

static void note_use(struct facts *f, struct facts_foreign *one, const char *path, size_t number)
{
	size_t uses = *one->used_by != '\0';

	for (const char *c = one->used_by; *c; c++)
		uses += *c == ',';
	if (uses < MAX_USES)
		one->used_by = arena_printf(&f->arena, "%s%s%s line %zu", one->used_by, *one->used_by ? ", " : "", path, number);
	if (!one->used_by)
		one->used_by = ""; /* the arena says so */
}

static void read_users(struct facts *f, const char *path, bool script, const char *text, size_t len)
{
	size_t number = 0;

	for (size_t at = 0; at < len;) {
		const char *line = text + at, *nl = memchr(line, '\n', len - at), *hash;
		size_t n = nl ? (size_t)(nl - line) : len - at;

		at += n + 1;
		number++;
		hash = memchr(line, '#', n);
		if (hash)
			n = (size_t)(hash - line);
		if (script ? !line_has(line, n, "modprobe") && !line_has(line, n, "insmod") : line_has(line, n, "blacklist"))
			continue;
		for (size_t i = 0; n && i < f->foreigns; i++)
			if (line_names(line, n, f->foreign[i].name))
				note_use(f, &f->foreign[i], path, number);
	}
}

static int read_user(struct fs *fs, struct facts *f, const char *path, bool script, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct fs_stat st;
	int rc;

	if (fs_stat(fs, path, &st, NULL) || !S_ISREG(st.mode))
		return 0;
	rc = fs_read(fs, path, MAX_SCRIPT, &text, err);
	if (!rc && text.len)
		read_users(f, path, script, text.data, text.len);
	return rc == P2H_IO || rc == P2H_NOMEM ? rc : 0;
}

int read_foreign(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const struct {
		const char *path;
		bool script;
	} user[] = {
		{"/etc/init.d", true},          {"/etc/initramfs-tools/modules", false}, {"/etc/modprobe.conf", false}, {"/etc/modprobe.d", false},
		{"/etc/modules", false},        {"/etc/modules-load.d", false},          {"/etc/rc.d/rc.local", true},  {"/etc/rc.local", true},
		{"/etc/sysconfig/kernel", false}, {"/etc/sysconfig/modules", true},      {"/etc/systemd/system", true},
	};
	int rc = find_all(fs, f, err);

	for (size_t i = 0; !rc && f->foreigns && i < sizeof(user) / sizeof(user[0]); i++) {
		CLEANUP(strlist_done) struct strlist names = {0};

		if (!fs_is_dir(fs, user[i].path)) {
			rc = read_user(fs, f, user[i].path, user[i].script, err);
			continue;
		}
		rc = fs_list(fs, user[i].path, &names, err);
		for (size_t k = 0; !rc && k < names.len; k++) {
			CLEANUP(buf_done) struct buf path = {0};

			buf_printf(&path, "%s/%s", user[i].path, names.item[k]);
			rc = path.failed ? error_nomem(err) : read_user(fs, f, path.data, user[i].script, err);
		}
	}
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}
