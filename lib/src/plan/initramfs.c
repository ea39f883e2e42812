/* initramfs.c - an initramfs that lacks the targets' drivers is completed by an archive behind it; one that is too large is told of */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "parse/kmodindex.h"
#include "parse/kmodules.h"
#include "plan/archive.h"

#define SMALL_INSTANCE (512u << 20)
#define SMALL_RESERVE (128u << 20) /* kernel, page tables, the first programs */

static void put_names(struct buf *out, const struct strlist *names)
{
	for (size_t i = 0; i < names->len; i++)
		buf_printf(out, "%s%s", i ? ", " : "", names->item[i]);
}

/* Where it has them all, but not in its index, there is another thing to say. */
static const char *where_not(const struct facts_initramfs *i, const struct strlist *names)
{
	bool unlisted = true;

	for (size_t n = 0; n < names->len; n++)
		unlisted &= initramfs_has_module(&i->holds, names->item[n]);
	return unlisted ? "which the initramfs has, but not in the modules.dep by which it finds modules"
			: "which neither the initramfs nor the kernel has";
}

static bool is_wanted(const struct planner *p, const struct facts_module *m)
{
	return (m->targets & p->targets) != 0;
}

/* --- the index: what the archive had, and what is added, both with the paths that they have there ---------------------------- */

struct path_table {
	struct kmodules held; /* of the archive: name and path below its modules directory */
	const struct planner *p;
};

static bool map_path(void *ctx, const char *path, struct buf *ret)
{
	const struct path_table *t = ctx;
	const struct facts_initramfs *i = &t->p->facts->donor.initramfs;
	const struct kmodule *held;
	char name[64];

	kmodule_name(path, name, sizeof(name));
	held = kmodules_find(&t->held, name);
	if (held) {
		buf_puts(ret, held->path);
		return true;
	}
	for (size_t n = 0; n < i->modules; n++)
		if (is_wanted(t->p, &i->module[n]) && !strcmp(i->module[n].name, name)) {
			buf_puts(ret, i->module[n].path);
			return true;
		}
	return false;
}

/* The archive's own modules, as if they were a modules.dep. */
static int held_modules(const struct facts_initramfs *i, struct kmodules *ret)
{
	CLEANUP(buf_done) struct buf text = {0};
	size_t n = strlen(i->modules_dir);

	for (size_t m = 0; m < i->holds.members.len; m++) {
		const char *path = i->holds.members.item[m];

		if (!strncmp(path, i->modules_dir, n) && path[n] == '/' && strstr(path, ".ko"))
			buf_printf(&text, "%s:\n", path + n + 1);
	}
	return text.failed ? P2H_NOMEM : kmodules_parse_dep(text.data, text.len, ret, NULL);
}

static void put_index(struct archive *a, const char *name, const struct buf *data)
{
	CLEANUP(buf_done) struct buf path = {0};

	buf_printf(&path, "%s/%s", a->p->facts->donor.initramfs.modules_dir, name);
	if (path.failed)
		a->data.failed = true;
	else
		archive_file(a, path.data, data->len ? data->data : "", data->len, "the index, for all its modules");
}

/* Both forms of each: busybox and old modprobes read the text, kmod the other. */
static int add_index(struct archive *a)
{
	const struct facts_initramfs *i = &a->p->facts->donor.initramfs;
	CLEANUP(kmodules_done) struct kmodules held = {0};
	CLEANUP(buf_done) struct buf dep = {0}, dep_bin = {0}, alias = {0}, alias_bin = {0};
	struct path_table table = {.p = a->p};
	int rc = held_modules(i, &held);

	table.held = held;
	if (!rc)
		rc = kmodindex_rewrite_dep(i->dep, strlen(i->dep), map_path, &table, &dep, &dep_bin, NULL);
	if (!rc)
		rc = kmodindex_rewrite_alias(i->alias, strlen(i->alias), dep.data ? dep.data : "", dep.len, &alias, &alias_bin, NULL);
	if (rc)
		return rc;
	put_index(a, "modules.dep", &dep);
	put_index(a, "modules.dep.bin", &dep_bin);
	put_index(a, "modules.alias", &alias);
	put_index(a, "modules.alias.bin", &alias_bin);
	return 0;
}

/* --- what loads them ------------------------------------------------------------------------------------------------------------ */

/* The drivers themselves; modprobe loads what they need. */
static void put_drivers(const struct planner *p, struct buf *out, const char *before, const char *between, const char *after)
{
	const struct facts_initramfs *i = &p->facts->donor.initramfs;
	CLEANUP(strlist_done) struct strlist names = {0};

	for (size_t t = 0; t < DRIVERS_TARGETS; t++)
		for (size_t n = 0; has_target(p, 1u << t) && n < i->missing[t].len; n++)
			if (!strlist_has(&names, i->missing[t].item[n]))
				strlist_add(&names, i->missing[t].item[n]);
	out->failed |= names.failed;
	for (size_t n = 0; n < names.len; n++)
		buf_printf(out, "%s%s%s", n ? between : before, names.item[n], n + 1 < names.len ? "" : after);
}

static void put_old(struct buf *out, const char *text)
{
	size_t n = text ? strlen(text) : 0;

	buf_puts(out, n ? text : "");
	if (n && text[n - 1] != '\n')
		buf_puts(out, "\n");
}

/*
 * initramfs-tools' load_modules reads conf/modules (scripts/functions). dracut: systemd-modules-load where it is inside, else rd.driver.pre, which
 * dracut-pre-udev and its init look for in etc/cmdline.d too. mkinitcpio's init sources config and runs modprobe for $MODULES.
 */
static void add_loading(struct archive *a)
{
	const struct initramfs *holds = &a->p->facts->donor.initramfs.holds;
	CLEANUP(buf_done) struct buf text = {0};
	const char *path;

	if (holds->kind == INITRAMFS_TOOLS) {
		path = "conf/modules";
		put_old(&text, initramfs_conf(holds, path));
		put_drivers(a->p, &text, "", "\n", "\n");
	} else if (holds->kind == INITRAMFS_MKINITCPIO) {
		path = "config";
		put_old(&text, initramfs_conf(holds, path));
		put_drivers(a->p, &text, "MODULES=\"$MODULES ", " ", "\"\n");
	} else if (initramfs_has_member(holds, "usr/lib/systemd/systemd-modules-load") ||
		   initramfs_has_member(holds, "lib/systemd/systemd-modules-load")) {
		path = "etc/modules-load.d/pv2hvm.conf";
		put_drivers(a->p, &text, "", "\n", "\n");
	} else {
		path = "etc/cmdline.d/pv2hvm.conf";
		put_drivers(a->p, &text, "rd.driver.pre=", ",", "\n");
	}
	if (text.failed)
		a->data.failed = true;
	else
		archive_file(a, path, text.data, text.len, "loads them before the root is looked for");
}

/* --- the rules ------------------------------------------------------------------------------------------------------------------- */

static int compare_modules(const void *a, const void *b)
{
	return strcmp((*(const struct facts_module *const *)a)->path, (*(const struct facts_module *const *)b)->path);
}

static void add_modules(struct archive *a)
{
	const struct facts_initramfs *i = &a->p->facts->donor.initramfs;
	CLEANUP_FREE const struct facts_module **sorted = calloc(i->modules + 1, sizeof(*sorted));
	size_t len = 0;

	if (!sorted) {
		a->data.failed = true;
		return;
	}
	for (size_t n = 0; n < i->modules; n++)
		if (is_wanted(a->p, &i->module[n]))
			sorted[len++] = &i->module[n];
	qsort(sorted, len, sizeof(*sorted), compare_modules);
	for (size_t n = 0; n < len; n++) {
		CLEANUP(buf_done) struct buf path = {0}, why = {0};

		buf_printf(&path, "%s/%s", i->modules_dir, sorted[n]->path);
		buf_printf(&why, strcmp(sorted[n]->name, sorted[n]->needed) ? "%s needs it" : "missing driver", sorted[n]->needed);
		if (path.failed || why.failed)
			a->data.failed = true;
		else
			archive_file(a, path.data, sorted[n]->data, sorted[n]->len, why.data);
	}
}

static void complete(struct planner *p, const struct strlist *names)
{
	struct archive a = {.p = p};
	CLEANUP(buf_done) struct buf reason = {0};
	int rc;

	buf_puts(&reason, "the drivers that it lacks, from the kernel's own modules: ");
	put_names(&reason, names);
	add_modules(&a);
	rc = add_index(&a);
	add_loading(&a);
	if (rc == P2H_NOMEM || reason.failed)
		p->arena->failed = true;
	else if (rc)
		planner_block(p, p->facts->donor.chosen.modules, "its modules have names or aliases that no index can hold",
			      "take another donor");
	else
		archive_append(&a, reason.data);
	archive_done(&a);
}

void rule_initramfs_drivers(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct facts_initramfs *i = &d->initramfs;
	CLEANUP(strlist_done) struct strlist all = {0};

	if (!*d->chosen.release || i->none)
		return;
	if (!i->read) {
		planner_block(p, d->chosen.initrd, i->error, "rebuild it on the donor, or choose another kernel with --kernel");
		return;
	}
	for (size_t t = 0; t < DRIVERS_TARGETS; t++) {
		CLEANUP(buf_done) struct buf names = {0};

		if (!has_target(p, 1u << t) || !i->missing[t].len)
			continue;
		put_names(&names, &i->missing[t]);
		for (size_t n = 0; n < i->missing[t].len; n++)
			if (!strlist_has(&all, i->missing[t].item[n]))
				strlist_add(&all, i->missing[t].item[n]);
		p->arena->failed |= names.failed || all.failed;
		if (p->arena->failed)
			return;
		if (i->cannot[t])
			planner_block(p, d->chosen.initrd,
				      arena_printf(p->arena, "target %s needs %s, which neither the initramfs nor the kernel has, and which cannot be added: %s",
						   drivers_target_name[t], names.data, i->cannot[t]),
				      "rebuild the donor's initramfs with all drivers (MODULES=most; dracut --no-hostonly), or leave the target out with --target");
		else
			planner_tell(p, d->chosen.initrd,
				     arena_printf(p->arena, "target %s needs %s, %s", drivers_target_name[t], names.data, where_not(i, &i->missing[t])),
				     "an archive with these modules is appended to the initramfs");
	}
	for (size_t t = 0; t < DRIVERS_TARGETS; t++)
		if (has_target(p, 1u << t) && i->cannot[t])
			return;
	if (all.len)
		complete(p, &all);
}

void rule_initramfs_size(struct planner *p)
{
	const struct facts_initramfs *i = &p->facts->donor.initramfs;
	uint64_t size = i->holds.length + i->holds.unpacked;

	for (size_t n = 0; n < p->plan->actions; n++)
		if (p->plan->action[n].kind == ACTION_INITRAMFS)
			size += 2 * p->plan->action[n].after_len;
	if (!i->read || size <= SMALL_INSTANCE - SMALL_RESERVE)
		return;
	planner_tell(p, p->facts->donor.chosen.initrd,
		     arena_printf(p->arena, "packed and unpacked it takes %llu MiB of memory while the kernel starts: too much for an instance with %u MiB",
				  (unsigned long long)(size >> 20), SMALL_INSTANCE >> 20),
		     "use an instance type with more memory, or a donor with a smaller initramfs (MODULES=most without firmware, MODULES=list)");
}
