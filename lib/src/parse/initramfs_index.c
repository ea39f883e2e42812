#include "parse/initramfs_index.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodindex.h"
#include "parse/kmodules.h"

enum { DEP, DEP_BIN };

int initramfs_index_begin(struct initramfs_index *x, const char *path, uint64_t size)
{
	static const char *const name[] = {"modules.dep", "modules.dep.bin"};
	const char *inner = strncmp(path, "usr/", 4) ? path : path + 4, *version = inner + strlen("lib/modules/"), *slash;

	if (strncmp(inner, "lib/modules/", strlen("lib/modules/")))
		return -1;
	slash = strchr(version, '/');
	for (int n = 0; slash && n < 2; n++) {
		if (strcmp(slash + 1, name[n]))
			continue;
		buf_clear(&x->file[n]);
		snprintf(x->dir[n], sizeof(x->dir[n]), "%.*s", (int)(slash - path), path);
		x->too_large |= size > INITRAMFS_INDEX_MAX || (size_t)(slash - path) >= sizeof(x->dir[n]);
		return size > INITRAMFS_INDEX_MAX ? -1 : n;
	}
	return -1;
}

void initramfs_index_done(struct initramfs_index *x)
{
	buf_done(&x->file[DEP]);
	buf_done(&x->file[DEP_BIN]);
}

/* kmod's tool or library, which udev loads modules by too: it reads the binary index only. */
static bool has_kmod(const struct initramfs *i)
{
	for (size_t n = 0; n < i->members.len; n++) {
		const char *slash = strrchr(i->members.item[n], '/'), *name = slash ? slash + 1 : i->members.item[n];

		if (!strcmp(name, "kmod") || !strncmp(name, "libkmod.so", 10))
			return true;
	}
	return false;
}

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

/* Is the file that the index leads to in the archive? path: relative to its directory, or whole. */
static bool is_member(const struct strlist *sorted, const char *dir, const char *path, size_t len, struct buf *room)
{
	buf_clear(room);
	if (*path == '/')
		buf_append(room, path + 1, len - 1);
	else
		buf_printf(room, "%s/%.*s", dir, (int)len, path);
	return !room->failed && bsearch(room->data, sorted->item, sorted->len, sizeof(*sorted->item), compare_name);
}

static int find_unlisted(struct initramfs *i, const struct initramfs_index *x, int file, const struct strlist *members, struct p2h_error *err)
{
	CLEANUP(kmodules_done) struct kmodules dep = {0};
	CLEANUP(buf_done) struct buf room = {0};
	const struct buf *data = &x->file[file];
	int rc = 0;

	if (file == DEP)
		rc = kmodules_parse_dep(data->len ? data->data : "", data->len, &dep, err);
	for (size_t n = 0; !rc && n < i->modules.len; n++) {
		const char *name = i->modules.item[n], *path = NULL;
		const struct kmodule *m;
		size_t len = 0;

		if (file == DEP) {
			m = kmodules_find(&dep, name);
			path = m ? m->path : NULL;
			len = path ? strlen(path) : 0;
		} else if (data->len) {
			path = kmodindex_find(data->data, data->len, name);
			len = path ? strcspn(path, ":") : 0;
		}
		if (!len || !is_member(members, x->dir[file], path, len, &room))
			strlist_add(&i->unlisted, name);
	}
	return rc ? rc : i->unlisted.failed || room.failed ? error_nomem(err) : 0;
}

int initramfs_index_judge(struct initramfs *i, const struct initramfs_index *x, struct p2h_error *err)
{
	bool known = i->kind == INITRAMFS_TOOLS || i->kind == INITRAMFS_DRACUT || i->kind == INITRAMFS_MKINITCPIO;
	CLEANUP(strlist_done) struct strlist members = {0};

	if (!known || !initramfs_has_program(i, "modprobe") || i->versions.len != 1 || x->too_large)
		return 0;
	for (size_t n = 0; n < i->members.len; n++)
		strlist_add(&members, i->members.item[n]);
	strlist_sort(&members);
	return members.failed ? error_nomem(err) : find_unlisted(i, x, has_kmod(i) ? DEP_BIN : DEP, &members, err);
}
