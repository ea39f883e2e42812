/* fstab.c - /etc/fstab on a machine with other disks */
#include <string.h>

#include "base/cleanup.h"
#include "parse/fstab.h"
#include "plan/planner.h"

#define FSTAB "/etc/fstab"
#define WAIT "x-systemd.device-timeout=10s"

/* Changes to be made, with the strings they need. */
struct edits {
	struct fstab_change *item;
	size_t len;
};

struct view {
	const char *text;
	size_t len;
	struct fstab table;
	struct edits edits;
};

static void view_done(struct view *v)
{
	fstab_done(&v->table);
}

static bool view_open(struct planner *p, struct view *v)
{
	v->text = planner_text(p, FSTAB, &v->len);
	if (!v->text)
		return false;
	if (fstab_parse(v->text, v->len, &v->table, NULL)) {
		p->arena->failed = true;
		return false;
	}
	return true;
}

static void change(struct planner *p, struct view *v, size_t entry, enum fstab_field field, const char *value)
{
	struct fstab_change *c = arena_push(p->arena, &v->edits.item, &v->edits.len, sizeof(*c));

	if (c && value)
		*c = (struct fstab_change){entry, field, value};
	else
		p->arena->failed = true;
}

static void view_write(struct planner *p, struct view *v, const char *reason)
{
	CLEANUP(buf_done) struct buf text = {0};

	if (p->arena->failed || !v->edits.len)
		return;
	if (fstab_edit(v->text, v->len, &v->table, v->edits.item, v->edits.len, &text, NULL))
		p->arena->failed = true;
	else
		planner_write_buf(p, FSTAB, &text, 0644, reason);
}

static bool is_device(const char *spec)
{
	static const char *const start[] = {"/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL="};

	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
		if (!strncmp(spec, start[i], strlen(start[i])))
			return true;
	return false;
}

/* Things under /dev that are no disk, and types whose first field is not read. */
static bool is_pseudo(const struct fstab_entry *e)
{
	static const char *const type[] = {"proc", "sysfs", "tmpfs", "devpts", "devtmpfs", "ramfs", "usbfs", "cgroup", "cgroup2", "debugfs",
					   "securityfs", "nfs", "nfs4", "cifs", "smbfs", "9p", "overlay", "binfmt_misc", "mqueue", "hugetlbfs"};
	const char *spec = e->text[FSTAB_SPEC];

	for (size_t i = 0; i < sizeof(type) / sizeof(type[0]); i++)
		if (!strcmp(e->text[FSTAB_TYPE], type[i]))
			return true;
	/* Disks that come over the network are mounted apart, when it is there, and stop no boot. */
	return !is_device(spec) || fstab_has_option(e->text[FSTAB_OPTIONS], "_netdev") || !strcmp(spec, "/dev/shm") ||
	       !strcmp(spec, "/dev/pts") || !strncmp(spec, "/dev/loop", 9);
}

/* A bare kernel name, which depends on the bus. */
static bool is_kernel_name(const char *spec)
{
	return !strncmp(spec, "/dev/", 5) && strncmp(spec, "/dev/disk/", 10) && strncmp(spec, "/dev/mapper/", 12);
}

/* Volume groups and encrypted volumes have the names that they were given, on any machine. An array's may change. */
static bool keeps_name(const struct volume *v)
{
	return v->layers & (VOLUME_LVM | VOLUME_LUKS) && strncmp(v->device, "/dev/md", 7);
}

static bool is_root(const struct fstab_entry *e)
{
	return !strcmp(e->text[FSTAB_FILE], "/");
}

void rule_fstab_root(struct planner *p)
{
	CLEANUP(view_done) struct view v = {0};
	const struct facts *f = p->facts;

	if (!view_open(p, &v))
		return;
	for (size_t i = 0; i < v.table.len; i++) {
		const struct fstab_entry *e = &v.table.item[i];
		const char *spec = e->text[FSTAB_SPEC];
		const struct volume *found = volumes_find(&f->volumes, spec);

		if (!is_root(e) || is_pseudo(e))
			continue;
		if (found && found->number == f->root_number && (!is_kernel_name(spec) || keeps_name(found)))
			continue; /* a label or UUID that works is kept */
		change(p, &v, i, FSTAB_SPEC, arena_printf(p->arena, "UUID=%s", f->root_uuid));
	}
	view_write(p, &v, "the root by UUID");
}

void rule_fstab_here(struct planner *p)
{
	CLEANUP(view_done) struct view v = {0};

	if (!view_open(p, &v))
		return;
	for (size_t i = 0; i < v.table.len; i++) {
		const struct fstab_entry *e = &v.table.item[i];
		const struct volume *found = volumes_find(&p->facts->volumes, e->text[FSTAB_SPEC]);

		if (!found || is_root(e) || is_pseudo(e) || !is_kernel_name(e->text[FSTAB_SPEC]) || keeps_name(found))
			continue;
		if (*found->uuid)
			change(p, &v, i, FSTAB_SPEC, arena_printf(p->arena, "UUID=%s", found->uuid));
		else if (*found->part_uuid)
			change(p, &v, i, FSTAB_SPEC, arena_printf(p->arena, "PARTUUID=%s", found->part_uuid));
		else
			planner_tell(p, arena_printf(p->arena, FSTAB ":%zu: %s", e->line, e->text[FSTAB_SPEC]),
				     "this device has neither UUID nor partition UUID", "its line is left alone");
	}
	view_write(p, &v, "devices in the image by UUID");
}

/* Ubuntu's upstart: it alone waits for each mount, and knows `nobootwait`. Red Hat's runs fsck and mount from a script, as sysvinit does. */
static bool has_mountall(const struct planner *p)
{
	return p->facts->init == INIT_UPSTART && facts_file(p->facts, "/etc/init/mountall.conf");
}

/* The others go on after a mount that fails. */
static bool stops_at_mounts(const struct planner *p)
{
	return p->facts->init == INIT_SYSTEMD || has_mountall(p);
}

/* The options without `nobootwait` (which only mountall knows), and with what makes the mount optional. */
static const char *optional(struct planner *p, const char *type, const char *options, bool is_disk)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	CLEANUP(buf_done) struct buf text = {0};
	bool mountall = has_mountall(p);
	const char *add = "";

	strlist_split(&words, options, ",");
	for (size_t i = 0; i < words.len; i++)
		if (mountall || strcmp(words.item[i], "nobootwait"))
			buf_printf(&text, "%s%s", text.len ? "," : "", words.item[i]);
	if (mountall) {
		add = fstab_has_option(options, "nobootwait") || !strcmp(type, "swap") ? "" : "nobootwait"; /* it waits for no swap */
	} else if (p->facts->init == INIT_SYSTEMD) {
		if (!fstab_has_option(options, "nofail"))
			add = is_disk && p->facts->fstab_knows_timeout && !fstab_has_option(options, "x-systemd.device-timeout")
				      ? "nofail," WAIT : "nofail";
	} else if (!fstab_has_option(options, "nofail")) {
		add = p->facts->mount_knows_nofail ? "nofail" : "noauto";
	}
	if (*add)
		buf_printf(&text, "%s%s", text.len ? "," : "", add);
	if (!text.len)
		buf_puts(&text, "defaults");
	if (words.failed || text.failed) {
		p->arena->failed = true;
		return options;
	}
	return arena_strdup(p->arena, text.data);
}

/* The device is not in the image, and not meant to be mounted by hand. */
static bool is_missing(const struct planner *p, const struct fstab_entry *e)
{
	return !is_root(e) && !is_pseudo(e) && !fstab_has_option(e->text[FSTAB_OPTIONS], "noauto") &&
	       !volumes_find(&p->facts->volumes, e->text[FSTAB_SPEC]);
}

/* A directory or swap file that lies on a device that is missing ("/mnt/tmp /tmp none bind"): that mount's line, or NULL. */
static const struct fstab_entry *missing_below(const struct planner *p, const struct fstab *t, const struct fstab_entry *e)
{
	const char *spec = e->text[FSTAB_SPEC];

	if (*spec != '/' || !strncmp(spec, "/dev/", 5) || fstab_has_option(e->text[FSTAB_OPTIONS], "noauto"))
		return NULL;
	for (size_t i = 0; i < t->len; i++) {
		const char *dir = t->item[i].text[FSTAB_FILE];
		size_t n = strlen(dir);

		if (*dir == '/' && is_missing(p, &t->item[i]) && !strncmp(spec, dir, n) && (!spec[n] || spec[n] == '/'))
			return &t->item[i];
	}
	return NULL;
}

void rule_fstab_missing(struct planner *p)
{
	/* These skip the check of a disk that is absent and optional. So does fsck -A, but only util-linux' from 2.17 on, and not that of e2fsprogs. */
	bool any_pass = stops_at_mounts(p);
	CLEANUP(view_done) struct view v = {0};

	if (!view_open(p, &v))
		return;
	for (size_t i = 0; i < v.table.len; i++) {
		const struct fstab_entry *e = &v.table.item[i];
		const char *options = e->text[FSTAB_OPTIONS], *now;
		const struct fstab_entry *on = missing_below(p, &v.table, e);
		bool same;

		if (!on && !is_missing(p, e))
			continue;
		now = optional(p, e->text[FSTAB_TYPE], options, !on);
		if (!now)
			return;
		same = !strcmp(now, options);
		if (same && (any_pass || !strcmp(e->text[FSTAB_PASSNO], "0")))
			continue; /* optional already */
		if (!same)
			change(p, &v, i, FSTAB_OPTIONS, now);
		if (strcmp(e->text[FSTAB_PASSNO], "0"))
			change(p, &v, i, FSTAB_PASSNO, "0");
		planner_tell(p, arena_printf(p->arena, FSTAB ":%zu: %s on %s", e->line, e->text[FSTAB_SPEC], e->text[FSTAB_FILE]),
			     on ? arena_printf(p->arena, "it lies on %s, which is not in the image and may not exist on the new machine",
					       on->text[FSTAB_SPEC])
				: "this device is not in the image and may not exist on the new machine",
			     "the boot does not wait for it; attach one, or delete the line");
	}
	view_write(p, &v, "devices that are not in the image must not stop the boot");
}

void make_xenfs_optional(struct planner *p)
{
	CLEANUP(view_done) struct view v = {0};

	if (!view_open(p, &v))
		return;
	for (size_t i = 0; i < v.table.len; i++) {
		const struct fstab_entry *e = &v.table.item[i];
		const char *options = e->text[FSTAB_OPTIONS], *now;

		if (strcmp(e->text[FSTAB_TYPE], "xenfs") || fstab_has_option(options, "noauto"))
			continue;
		now = optional(p, "xenfs", options, false);
		if (now && strcmp(now, options))
			change(p, &v, i, FSTAB_OPTIONS, now);
	}
	if (!stops_at_mounts(p))
		p->severity = SEVERITY_DEGRADED;
	view_write(p, &v, "there is no xenfs without Xen");
}
