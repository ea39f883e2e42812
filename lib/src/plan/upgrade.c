/* upgrade.c - what later upgrades of kernels and boot loader in the guest make of the boot files */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubenv.h"
#include "plan/settings.h"

#define CONFIG_DAT "/var/cache/debconf/config.dat"
#define DEFAULT_GRUB "/etc/default/grub"
#define GRUBENV "/boot/grub/grubenv"

static const struct facts_package *package(const struct facts *f, const char *name)
{
	for (size_t i = 0; i < f->lasting.packages; i++)
		if (!strcmp(f->lasting.package[i].name, name))
			return &f->lasting.package[i];
	return NULL;
}

/* One question of debconf's database: lines "Field: value" up to an empty one. */
struct question {
	size_t start, end;         /* of the stanza */
	size_t value, value_whole; /* the line "Value:"; whole 0: not answered */
	size_t flags, flags_whole;
	size_t behind;             /* where a line goes that is missing: behind "Template:" */
};

static bool is_field(const struct line *l, const char *field, const char *value)
{
	size_t n = strlen(field);

	if (l->len < n || memcmp(l->text, field, n))
		return false;
	return !value || (l->len == n + 1 + strlen(value) && l->text[n] == ' ' && !memcmp(l->text + n + 1, value, strlen(value)));
}

static bool find_question(const char *text, size_t len, const char *name, struct question *q)
{
	size_t at = 0;
	struct line l = {0};
	bool inside = false;

	*q = (struct question){0};
	while (next_line(text, len, &at, &l)) {
		size_t off = (size_t)(l.text - text);

		if (!l.len && inside)
			break;
		if (is_field(&l, "Name:", name)) {
			inside = true;
			q->start = off;
		}
		if (!inside)
			continue;
		q->end = at;
		if (is_field(&l, "Template:", NULL))
			q->behind = at;
		if (is_field(&l, "Value:", NULL)) {
			q->value = off;
			q->value_whole = l.whole;
		}
		if (is_field(&l, "Flags:", NULL)) {
			q->flags = off;
			q->flags_whole = l.whole;
		}
	}
	return inside && q->behind;
}

/* The database with this answer, marked as seen, so that nobody is asked. */
static void put_answer(const char *text, size_t len, const char *name, const char *value, struct buf *out)
{
	struct question q;
	size_t from, to;

	if (!find_question(text, len, name, &q)) {
		buf_append(out, text, len);
		return;
	}
	from = q.value_whole ? q.value : q.behind;
	to = from + q.value_whole;
	buf_append(out, text, from);
	buf_printf(out, "Value: %s\n", value);
	if (!q.flags_whole) {
		buf_append(out, text + to, q.end - to);
		buf_puts(out, "Flags: seen\n");
		to = q.end;
	} else if (q.flags > to && !memmem(text + q.flags, q.flags_whole, "seen", 4)) {
		buf_append(out, text + to, q.flags - to);
		buf_puts(out, "Flags: seen\n");
		to = q.flags + q.flags_whole;
	}
	buf_append(out, text + to, len - to);
}

static void answer(struct planner *p, const char *name, const char *value, const char *reason)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len;
	const char *text = planner_text(p, CONFIG_DAT, &len);

	if (!text)
		return;
	put_answer(text, len, name, value, &out);
	planner_write_buf(p, CONFIG_DAT, &out, 0600, reason);
}

/* A generated file of lines "(hd0) /dev/xvda", which GRUB's tools make anew. */
static bool names_kernel_devices(struct planner *p, const char *path)
{
	size_t len, at = 0;
	const char *text = planner_text(p, path, &len);
	struct line l = {0};
	bool any = false;

	while (text && next_line(text, len, &at, &l)) {
		const char *device = memmem(l.text, l.len, "/dev/", 5);

		if (!l.len || l.text[0] == '#')
			continue;
		if (l.text[0] != '(' || !device || memmem(l.text, l.len, "/dev/disk/", 10))
			return false;
		any = true;
	}
	return any;
}

void rule_grub_pc_debconf(struct planner *p)
{
	static const char *const map[] = {"/boot/grub/device.map", "/boot/grub2/device.map"};

	for (size_t i = 0; i < 2; i++)
		if (names_kernel_devices(p, map[i]))
			planner_remove(p, map[i], "it names disks of the old machine; GRUB's tools find the new ones by themselves");
	if (!package(p->facts, "grub-pc"))
		return;
	answer(p, "grub-pc/install_devices", "", "an upgrade of grub-pc leaves the boot loader alone: its disk was one of the old machine");
	answer(p, "grub-pc/install_devices_empty", "true", "and does not ask, or fail where it cannot");
}

/* --- the default entry of the menu that the guest's update-grub writes */

/* The kernels are sorted as GRUB's tools do, newest first; the chosen one of a donor is not among them. */
static const char *newer_kernel(const struct facts *f, const char *chosen)
{
	const struct facts_kernels *k = &f->kernels;

	return k->len && strverscmp(k->item[0].release, chosen) > 0 ? k->item[0].image : NULL;
}

static const char *menu_id(struct planner *p, bool *ret_known)
{
	const struct facts *f = p->facts;
	const struct facts_file *script = facts_file(f, "/etc/grub.d/10_linux"), *config = facts_file(f, DEFAULT_GRUB);
	const char *entry = arena_printf(p->arena, "gnulinux-%s-advanced-%s", p->plan->kernel, f->root_uuid);
	size_t at = 0;
	struct line l = {0};
	struct setting s;

	*ret_known = script && memmem(script->text, script->len, "gnulinux-$version-$type-", 24) &&
		     memmem(script->text, script->len, "gnulinux-advanced-", 18);
	while (config && next_line(config->text, config->len, &at, &l))
		if (setting_read(&l, "GRUB_DISABLE_SUBMENU", &s) && s.len && (l.text[s.value] == 'y' || l.text[s.value] == 't'))
			return entry;
	return arena_printf(p->arena, "gnulinux-advanced-%s>%s", f->root_uuid, entry);
}

/* GRUB_DEFAULT's value, "" if it is not set or not one that is understood. */
static const char *grub_default(struct planner *p)
{
	size_t len, at = 0;
	const char *text = planner_text(p, DEFAULT_GRUB, &len), *value = "";
	struct line l = {0};
	struct setting s;

	while (text && next_line(text, len, &at, &l))
		if (setting_read(&l, "GRUB_DEFAULT", &s))
			value = s.simple ? arena_memdup(p->arena, l.text + s.value, s.len) : "";
	return value ? value : "";
}

/* A choice that was made for the old menu. */
static void forget_saved_entry(struct planner *p)
{
	static const char *const name[] = {"saved_entry", "next_entry", "prev_saved_entry"};

	for (size_t i = 0; i < 3; i++) {
		CLEANUP(buf_done) struct buf out = {0};
		size_t len, value_len;
		const char *text = planner_text(p, GRUBENV, &len);

		if (text && grubenv_get(text, len, name[i], &value_len) && value_len && grubenv_set(text, len, name[i], NULL, &out))
			planner_write_buf(p, GRUBENV, &out, 0644, "it was chosen for the old menu");
	}
}

void rule_default_entry(struct planner *p)
{
	const struct facts *f = p->facts;
	const char *newer, *id, *now = grub_default(p);
	bool known = false;

	if (!*p->plan->kernel || !*f->lasting.grub_mkconfig || !planner_exists(p, DEFAULT_GRUB))
		return;
	newer = newer_kernel(f, p->plan->kernel);
	if (newer) {
		id = menu_id(p, &known);
		if (known && id) {
			setting_put(p, DEFAULT_GRUB, "GRUB_DEFAULT", id, "the next update-grub must not put a newer kernel first that was never tried here");
			planner_tell(p, newer, "it sorts above the kernel that boots by default now",
				     "GRUB_DEFAULT names the chosen kernel; set it to 0 once the newer one has been tried from the menu");
		} else {
			planner_tell(p, newer, "it sorts above the kernel that boots by default now, and the next update-grub makes it the default",
				     "try it from the menu first, or remove its package");
		}
		return;
	}
	if (!strcmp(now, "saved"))
		forget_saved_entry(p);
	else if (*now && strcmp(now, "0"))
		setting_put(p, DEFAULT_GRUB, "GRUB_DEFAULT", "0", "it chose an entry of the old menu; the first one is the kernel that boots now");
}

/* --- links */

static const struct facts_kernel *kernel_of(const struct facts *f, const char *path)
{
	for (size_t i = 0; *path && i < f->kernels.len; i++)
		if (!strcmp(f->kernels.item[i].image, path) || !strcmp(f->kernels.item[i].initrd, path))
			return &f->kernels.item[i];
	return NULL;
}

void rule_boot_links(struct planner *p)
{
	const struct facts_lasting *l = &p->facts->lasting;

	for (size_t i = 0; i < l->links; i++) {
		const struct facts_boot_link *link = &l->link[i];
		const struct facts_kernel *k = kernel_of(p->facts, link->real);
		const char *evidence = arena_printf(p->arena, "%s -> %s", link->path, link->target);

		if (!evidence)
			return;
		if (k && !k->hvm)
			planner_tell(p, evidence, "it leads to a kernel that boots paravirtual only",
				     "nothing that is installed now reads it; the next kernel package sets it anew");
		else if (!*link->real)
			planner_tell(p, evidence, "it leads nowhere", "nothing that is installed now reads it; the next kernel package sets it anew");
	}
}
