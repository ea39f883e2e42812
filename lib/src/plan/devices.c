/* devices.c - disks named by their bus outside fstab, and caches that hold such names */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

/* All of them are made anew where they are needed: blkid(8), lvm.conf(5), lvmdevices(8) - without a devices file LVM looks at every disk. */
void rule_stale_caches(struct planner *p)
{
	static const char *const path[] = {"/etc/blkid.tab", "/etc/blkid/blkid.tab", "/etc/lvm/cache/.cache", "/etc/lvm/devices/system.devices"};

	for (size_t i = 0; i < sizeof(path) / sizeof(path[0]); i++) {
		const struct facts_file *file = facts_file(p->facts, path[i]);

		if (file && !file->is_link) /* Debian's is a link into /dev */
			planner_remove(p, path[i], "it names the disks of the old machine");
	}
}

/* "/dev/sda1", "/dev/xvdb", "/dev/hda": a name that depends on the bus. */
static bool is_bus_name(const char *word, size_t len)
{
	static const char *const stem[] = {"/dev/sd", "/dev/xvd", "/dev/hd"};

	for (size_t i = 0; i < sizeof(stem) / sizeof(stem[0]); i++)
		if (len > strlen(stem[i]) && !strncmp(word, stem[i], strlen(stem[i])))
			return true;
	return false;
}

/* The word number `wanted` (from 0) of a line that is no comment. */
static const char *word_of(const struct line *l, size_t wanted, size_t *ret_len)
{
	size_t i = 0;

	for (size_t n = 0;; n++) {
		size_t start;

		while (i < l->len && isspace((unsigned char)l->text[i]))
			i++;
		if (i == l->len || (n == 0 && l->text[i] == '#'))
			return NULL;
		start = i;
		while (i < l->len && !isspace((unsigned char)l->text[i]))
			i++;
		if (n == wanted) {
			*ret_len = i - start;
			return l->text + start;
		}
	}
}

/* crypttab(5): the second word. A volume with a random key has no UUID that stays, so only LUKS is rewritten. */
static void edit_crypttab(struct planner *p)
{
	CLEANUP(buf_done) struct buf out = {0};
	struct line l = {0};
	size_t len, at = 0, n = 0;
	const char *text = planner_text(p, "/etc/crypttab", &len);

	while (text && next_line(text, len, &at, &l)) {
		const char *device = word_of(&l, 1, &n);
		const char *name = device && is_bus_name(device, n) ? arena_printf(p->arena, "%.*s", (int)n, device) : NULL;
		const struct volume *found = name ? volumes_find(&p->facts->volumes, name) : NULL;

		if (found && *found->uuid && !strcmp(found->content, "crypto_LUKS")) {
			buf_append(&out, l.text, (size_t)(device - l.text));
			buf_printf(&out, "UUID=%s", found->uuid);
			buf_append(&out, device + n, l.whole - (size_t)(device + n - l.text));
			continue;
		}
		if (name)
			planner_tell(p, arena_printf(p->arena, "/etc/crypttab:%zu: %s", l.number, name),
				     "this disk has another name on the new machine, or is not there",
				     "name it by UUID or PARTUUID, or add the options nofail and noauto");
		buf_append(&out, l.text, l.whole);
	}
	if (text)
		planner_write_buf(p, "/etc/crypttab", &out, 0644, "encrypted volumes by UUID");
}

/* mdadm.conf(5): "DEVICE partitions" looks at every disk there is. */
static void edit_mdadm(struct planner *p, const char *path)
{
	CLEANUP(buf_done) struct buf out = {0};
	struct line l = {0};
	size_t len, at = 0, n = 0;
	const char *text = planner_text(p, path, &len);

	while (text && next_line(text, len, &at, &l)) {
		const char *first = word_of(&l, 0, &n);
		bool device = first && n >= 6 && !strncasecmp(first, "DEVICE", 6);
		bool named = first && (memmem(l.text, l.len, "/dev/sd", 7) || memmem(l.text, l.len, "/dev/xvd", 8) || memmem(l.text, l.len, "/dev/hd", 7));

		if (device && named) {
			buf_append(&out, l.text, (size_t)(first - l.text));
			buf_puts(&out, "DEVICE partitions");
			buf_append(&out, l.text + l.len, l.whole - l.len);
			continue;
		}
		if (named)
			planner_tell(p, arena_printf(p->arena, "%s:%zu", path, l.number), "this line names disks by the bus that they were on",
				     "leave out devices=: the array is known by its UUID");
		buf_append(&out, l.text, l.whole);
	}
	if (text)
		planner_write_buf(p, path, &out, 0644, "arrays are looked for on every disk");
}

/* One finding for a file, with all its lines. Returns how many mentions that were. */
static size_t tell_file(struct planner *p, const struct facts_mention *m, size_t left)
{
	/* A file system has a UUID of its own; a whole disk is meant where no partition is named. */
	const struct volume *found = volumes_find(&p->facts->volumes, m->device);
	CLEANUP(buf_done) struct buf where = {0};
	size_t n = 0;

	buf_printf(&where, "%s:", m->path);
	for (; n < left && !strcmp(m[n].path, m->path); n++)
		if (n < 8)
			buf_printf(&where, "%s%zu", n ? "," : "", m[n].line);
	buf_printf(&where, "%s: %s", n > 8 ? ",..." : "", m->device);
	if (where.failed)
		p->arena->failed = true;
	else
		planner_tell(p, where.data, "a disk is named by the bus that it was on",
			     found && *found->uuid && isdigit((unsigned char)m->device[strlen(m->device) - 1]) ? arena_printf(p->arena, "name it /dev/disk/by-uuid/%s", found->uuid)
						   : "see whether it is there on the new machine, and name it by UUID or label");
	return n;
}

void rule_device_names(struct planner *p)
{
	const struct facts_mentions *all = &p->facts->mentions;

	edit_crypttab(p);
	edit_mdadm(p, "/etc/mdadm.conf");
	edit_mdadm(p, "/etc/mdadm/mdadm.conf");
	for (size_t i = 0; i < all->len && !p->arena->failed;)
		i += tell_file(p, &all->item[i], all->len - i);
	if (all->cut)
		planner_tell(p, "/etc", "there are more files or mentions of disks than are looked at here",
			     "search for them: grep -rnE '/dev/(sd|xvd|hd)[a-z]' /etc");
}
