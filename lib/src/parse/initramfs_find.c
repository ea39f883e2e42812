/* initramfs_find.c - looking things up in what was read of an initramfs */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/initramfs.h"

static int compare_module(const char *wanted, const char *name)
{
	while (*wanted && (*wanted == *name || (*wanted == '-' && *name == '_'))) {
		wanted++;
		name++;
	}
	return (*wanted == '-' ? '_' : (unsigned char)*wanted) - (unsigned char)*name;
}

static bool has_module(const struct strlist *sorted, const char *name)
{
	size_t low = 0, high = sorted->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int order = compare_module(name, sorted->item[mid]);

		if (!order)
			return true;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return false;
}

bool initramfs_has_module(const struct initramfs *i, const char *name)
{
	return has_module(&i->modules, name);
}

bool initramfs_loads_module(const struct initramfs *i, const char *name)
{
	return has_module(&i->modules, name) && !has_module(&i->unlisted, name);
}

bool initramfs_has_program(const struct initramfs *i, const char *name)
{
	static const char *const dir[] = {"sbin", "usr/sbin", "bin", "usr/bin"};

	for (size_t n = 0; n < sizeof(dir) / sizeof(dir[0]); n++) {
		char path[64];

		snprintf(path, sizeof(path), "%s/%s", dir[n], name);
		if (initramfs_has_member(i, path))
			return true;
	}
	return false;
}

unsigned initramfs_systemd(const struct initramfs *i)
{
	unsigned version = 0;

	for (size_t n = 0; n < i->members.len; n++) {
		const char *name = strrchr(i->members.item[n], '/');

		if (name && sscanf(name, "/libsystemd-shared-%4u", &version) == 1)
			return version;
	}
	return 0;
}

bool initramfs_has_member(const struct initramfs *i, const char *path)
{
	return strlist_has(&i->members, path);
}

const char *initramfs_conf(const struct initramfs *i, const char *path)
{
	for (size_t n = 0; n < i->conf_name.len; n++)
		if (!strcmp(i->conf_name.item[n], path))
			return i->conf_text.item[n];
	return NULL;
}

/* One link of the path is followed a round; no sound archive has more than these. */
void initramfs_resolve(const struct initramfs *i, const char *path, struct buf *ret)
{
	CLEANUP(buf_done) struct buf now = {0};

	buf_puts(&now, path);
	for (size_t round = 0, n = 0; round < 8 && n < i->link_name.len && !now.failed; round++) {
		for (n = 0; n < i->link_name.len; n++) {
			const char *link = i->link_name.item[n], *target = i->link_target.item[n], *slash = strrchr(link, '/');
			size_t len = strlen(link);
			CLEANUP(buf_done) struct buf next = {0};

			if (strncmp(now.data, link, len) || now.data[len] != '/')
				continue;
			/* Targets are absolute, or relative to where the link lies. */
			if (*target != '/' && slash)
				buf_append(&next, link, (size_t)(slash + 1 - link));
			buf_puts(&next, target + (*target == '/'));
			buf_puts(&next, now.data + len);
			buf_done(&now);
			now = next;
			next = (struct buf){0};
			break;
		}
	}
	ret->failed |= now.failed;
	buf_append(ret, now.data, now.len);
}
