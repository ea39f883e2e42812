#include "plan/archive.h"

#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "parse/cpio.h"

static void put_directories(struct archive *a, const char *path)
{
	const struct initramfs *holds = &a->p->facts->donor.initramfs.holds;

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		CLEANUP(buf_done) struct buf dir = {0};

		buf_append(&dir, path, (size_t)(slash - path));
		if (dir.failed) {
			a->data.failed = true;
			return;
		}
		if (initramfs_has_member(holds, dir.data) || strlist_has(&a->directories, dir.data))
			continue;
		strlist_add(&a->directories, dir.data);
		cpio_put(&a->data, dir.data, S_IFDIR | 0755, NULL, 0);
	}
}

static void put(struct archive *a, const char *path, uint32_t mode, const void *data, size_t len, const char *why)
{
	struct archive_member *m = arena_push(a->p->arena, &a->member, &a->members, sizeof(*m));

	if (!m)
		return;
	*m = (struct archive_member){arena_strdup(a->p->arena, path), arena_strdup(a->p->arena, why), len};
	put_directories(a, path);
	cpio_put(&a->data, path, mode, data, len);
}

void archive_file(struct archive *a, const char *path, const void *data, size_t len, const char *why)
{
	put(a, path, S_IFREG | 0644, data, len, why);
}

void archive_link(struct archive *a, const char *path, const char *target, const char *why)
{
	put(a, path, S_IFLNK | 0777, target, strlen(target), why);
}

void archive_append(struct archive *a, const char *reason)
{
	struct planner *p = a->p;
	struct action *action;

	if (!a->members)
		return;
	cpio_put_end(&a->data);
	action = planner_action(p, ACTION_INITRAMFS, p->facts->donor.chosen.initrd, reason);
	if (!action || a->data.failed || a->directories.failed) {
		p->arena->failed = true;
		return;
	}
	action->existed = true;
	action->after = arena_memdup(p->arena, a->data.data, a->data.len);
	action->after_len = a->data.len;
	action->member = a->member;
	action->members = a->members;
}

void archive_done(struct archive *a)
{
	buf_done(&a->data);
	strlist_done(&a->directories);
}
