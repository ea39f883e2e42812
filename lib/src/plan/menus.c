/* menus.c - boot menus that the guest's own tools keep and that the GRUB 2 which is installed now does not read by itself */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubenv.h"
#include "parse/menulst.h"
#include "plan/words.h"

#define MENU_LST "/boot/grub/menu.lst"
#define GRUB_CONF "/boot/grub/grub.conf"
#define GRUB2_CFG "/boot/grub2/grub.cfg"
#define DEFOPTIONS "# defoptions="
#define LOADER_ENTRIES "/boot/loader/entries/"

static size_t blanks(const char *text, size_t len, size_t at)
{
	while (at < len && is_blank(text[at]))
		at++;
	return at;
}

/* Where the arguments of a line with this command start; 0: it is another line. GRUB legacy takes '=' for a blank. */
static size_t arguments(const struct line *l, const char *command, const char *separators)
{
	size_t at = blanks(l->text, l->len, 0), n = strlen(command);

	if (l->len - at <= n || memcmp(l->text + at, command, n) || !strchr(separators, l->text[at + n]))
		return 0;
	at += n;
	while (at < l->len && strchr(separators, l->text[at]))
		at++;
	return at < l->len ? at : 0;
}

/* Behind the path, the first word that is no option of the command. */
static size_t behind_path(const struct line *l, size_t at)
{
	bool option = true;

	while (option && at < l->len) {
		option = l->len - at > 2 && !memcmp(l->text + at, "--", 2);
		while (at < l->len && !is_blank(l->text[at]))
			at++;
		if (option)
			at = blanks(l->text, l->len, at);
	}
	return at;
}

/* The line with its command line made the plan's; the path before it stays. */
static void put_line(const struct planner *p, const struct line *l, size_t args, struct buf *out)
{
	buf_append(out, l->text, args);
	words_line(p, l->text + args, l->len - args, NULL, out);
	buf_append(out, l->text + l->len, l->whole - l->len);
}

/* A submenu at the end of grub.cfg; command: what reads the other menu, with the module that has it loaded from /boot/grub/i386-pc then. */
static void offer(struct planner *p, const char *title, const char *id, const char *command, const char *path)
{
	buf_printf(&p->other_menus, "\nsubmenu '%s' --id %s {\n\tsearch --no-floppy --fs-uuid --set=root %s\n\t%s %s\n}\n", title, id,
		   p->facts->boot_uuid, command, planner_grub_path(p, path));
}

/* --- GRUB legacy's menu.lst */

/* How GRUB legacy calls the volume with /boot after the conversion. */
static const char *legacy_device(struct planner *p)
{
	const struct facts *f = p->facts;

	if (p->plan->layout == P2H_LAYOUT_FLAT)
		return "(hd0)";
	if (p->plan->layout == P2H_LAYOUT_PARTITION || !f->boot_number || volume_is_elsewhere(f->boot_volume))
		return "(hd0,0)";
	return arena_printf(p->arena, "(hd0,%u)", f->boot_number - 1);
}

/* The length of a device that cannot be right any more: the whole disk where there are partitions, a partition where there are none. */
static size_t old_device(const struct planner *p, const char *text, size_t len)
{
	const char *end = memchr(text, ')', len);

	if (len < 5 || memcmp(text, "(hd0", 4) || !end)
		return 0;
	if (p->plan->layout == P2H_LAYOUT_FLAT ? text[4] != ',' : text[4] != ')')
		return 0;
	return (size_t)(end + 1 - text);
}

/* Copies from..to with a device at its start put right. */
static void put_device(struct planner *p, const char *text, size_t len, struct buf *out)
{
	size_t old = old_device(p, text, len);
	const char *now = old ? legacy_device(p) : "";

	buf_puts(out, now ? now : "");
	buf_append(out, text + old, len - old);
}

/* The arguments of a line of Debian's template, "# kopt=root=/dev/xvda1 ro", from which update-grub makes its entries; 0: another line */
static size_t template(const struct line *l, const char *name)
{
	size_t n = strlen(name);

	return l->len > n && !memcmp(l->text, name, n) ? n : 0;
}

/* What update-grub adds to the template's command line; consoles are not to be among it. */
static void read_defoptions(struct planner *p, const char *text, size_t len, struct words *ret)
{
	size_t at = 0, args;
	struct line l = {0};

	while (next_line(text, len, &at, &l))
		if ((args = template(&l, DEFOPTIONS)))
			words_look(p, ret, l.text + args, l.len - args);
	strlist_add(&ret->all, "console=");
}

static bool put_template(struct planner *p, const struct line *l, const struct words *defoptions, struct buf *out)
{
	size_t args;

	if ((args = template(l, "# kopt="))) {
		buf_append(out, l->text, args);
		words_line(p, l->text + args, l->len - args, defoptions, out);
	} else if ((args = template(l, DEFOPTIONS))) {
		buf_append(out, l->text, args);
		words_filter(p, defoptions, l->text + args, l->len - args, out);
	} else if ((args = template(l, "# groot="))) {
		buf_append(out, l->text, args);
		put_device(p, l->text + args, l->len - args, out);
	} else {
		return false;
	}
	buf_append(out, l->text + l->len, l->whole - l->len);
	return true;
}

static void put_legacy_line(struct planner *p, const struct line *l, const struct words *defoptions, struct buf *out)
{
	static const char *const with_path[] = {"root", "kernel", "initrd"};
	size_t at = 0, args, i = 0;

	if (put_template(p, l, defoptions, out))
		return;
	while (i < 3 && !(at = arguments(l, with_path[i], " \t=")))
		i++;
	if (i == 3) {
		buf_append(out, l->text, l->whole);
		return;
	}
	args = i == 1 ? behind_path(l, at) : l->len;
	buf_append(out, l->text, at);
	put_device(p, l->text + at, args - at, out);
	/* A kernel without any argument is GRUB 2's core image; Xen's are not Linux's. */
	if (blanks(l->text, l->len, args) < l->len && !memmem(l->text + at, args - at, "/xen", 4))
		put_line(p, &(struct line){l->text + args, l->len - args, l->whole - args, l->number}, 0, out);
	else
		buf_append(out, l->text + args, l->whole - args);
}

static void edit_legacy(struct planner *p, const char *path)
{
	CLEANUP(words_done) struct words defoptions = {0};
	CLEANUP(buf_done) struct buf out = {0};
	const struct facts_file *f = facts_file(p->facts, path);
	size_t len, at = 0;
	const char *text = planner_text(p, path, &len);
	struct line l = {0};

	if (!text || f->is_link)
		return;
	read_defoptions(p, text, len, &defoptions);
	while (next_line(text, len, &at, &l))
		put_legacy_line(p, &l, &defoptions, &out);
	planner_write_buf(p, path, &out, 0600, "its entries name the root by UUID, and this disk's first volume");
}

static bool could_boot(struct planner *p, const char *path)
{
	const struct facts *f = p->facts;

	for (size_t i = 0; i < f->kernels.len; i++) {
		const struct facts_kernel *k = &f->kernels.item[i];

		if (k->hvm && (!strcmp(k->image, path) || !strcmp(planner_grub_path(p, k->image), path)))
			return true;
	}
	return false;
}

/* Does the menu name a kernel that could boot, or does a tool of the guest put later ones into it? */
static bool is_alive(struct planner *p, const char *path)
{
	CLEANUP(menulst_done) struct menulst m = {0};
	size_t len;
	const char *text = planner_text(p, path, &len);

	if (!text || menulst_parse(text, len, &m, NULL))
		return false;
	for (size_t i = 0; i < m.len; i++)
		if (!m.item[i].hypervisor && *m.item[i].kernel && (*p->facts->lasting.menu_tool || could_boot(p, m.item[i].kernel)))
			return true;
	return false;
}

void rule_grub_legacy_ec2(struct planner *p)
{
	const struct facts_lasting *l = &p->facts->lasting;
	const char *path = planner_exists(p, MENU_LST) ? MENU_LST : GRUB_CONF, *how;

	if (*l->grub_mkconfig || planner_exists(p, GRUB2_CFG) || !is_alive(p, path))
		return;
	edit_legacy(p, MENU_LST);
	edit_legacy(p, GRUB_CONF);
	offer(p, "Menu of GRUB legacy (menu.lst)", "pv2hvm-menu.lst", "legacy_source", path);
	how = l->dpkg ? "to have later kernels start by default: apt-get install grub-pc on the new machine (naming its disk), then update-grub"
		      : "to have a later kernel start by default, name it in /boot/grub/grub.cfg: set default='pv2hvm-menu.lst>0' is its first entry";
	planner_tell(p, *l->menu_tool ? arena_printf(p->arena, "%s keeps %s", l->menu_tool, path) : path,
		     "later kernels go into this menu at most, which GRUB 2 offers as a submenu only",
		     how);
}

/* --- GRUB 2 below another name, and extlinux */

static bool has_blscfg(struct planner *p)
{
	size_t len;
	const char *text = planner_text(p, GRUB2_CFG, &len);

	return text && has_word(text, len, "blscfg");
}

static void edit_commands(struct planner *p, const char *path, const char *const *command, bool path_first, const char *reason)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, path, &len);
	struct line l = {0};

	while (text && next_line(text, len, &at, &l)) {
		size_t args = 0;

		for (const char *const *c = command; *c && !args; c++)
			args = arguments(&l, *c, " \t");
		if (args && path_first)
			args = behind_path(&l, args);
		if (args)
			put_line(p, &l, args, &out);
		else
			buf_append(&out, l.text, l.whole);
	}
	if (text)
		planner_write_buf(p, path, &out, 0644, reason);
}

void rule_own_menu(struct planner *p)
{
	static const char *const linux_commands[] = {"linux", "linux16", NULL}, *const append[] = {"append", "APPEND", NULL};
	static const char *const extlinux[] = {"/boot/extlinux/extlinux.conf", "/boot/extlinux.conf"};
	static const char text[] = "the guest's tools put later kernels into this menu, which is a submenu of the one that is written now";
	const char *advice;

	if (planner_exists(p, GRUB2_CFG) && !has_blscfg(p)) {
		edit_commands(p, GRUB2_CFG, linux_commands, true, "its entries name the root by UUID");
		offer(p, "Menu of the guest (" GRUB2_CFG ")", "pv2hvm-grub2", "configfile", GRUB2_CFG);
		advice = "to have them start by default: grub2-install DISK on the new machine, then grub2-mkconfig -o " GRUB2_CFG;
		planner_tell(p, GRUB2_CFG, text, advice);
	}
	for (size_t i = 0; i < 2; i++) {
		if (!planner_exists(p, extlinux[i]))
			continue;
		edit_commands(p, extlinux[i], append, false, "its entries name the root by UUID");
		offer(p, i ? "Menu of extlinux (/boot)" : "Menu of extlinux", i ? "pv2hvm-extlinux-boot" : "pv2hvm-extlinux", "syslinux_configfile",
		      extlinux[i]);
		planner_tell(p, extlinux[i], text, "extlinux itself is not started any more; name a kernel in /boot/grub/grub.cfg to have it start by default");
	}
}

/* --- boot loader specification */

static void edit_kernelopts(struct planner *p, const char *path)
{
	CLEANUP(buf_done) struct buf line = {0}, out = {0};
	size_t len, value_len;
	const char *text = planner_text(p, path, &len), *value = text ? grubenv_get(text, len, "kernelopts", &value_len) : NULL;

	if (!value || memchr(value, '\\', value_len))
		return;
	words_line(p, value, value_len, NULL, &line);
	if (line.failed || !line.len) {
		p->arena->failed |= line.failed;
		return;
	}
	if (grubenv_set(text, len, "kernelopts", line.data, &out))
		planner_write_buf(p, path, &out, 0644, "the command line of all boot loader entries");
	else
		planner_tell(p, path, "the environment block has no room for the new command line", "run grub2-editenv - set kernelopts=... on the new machine");
}

void rule_bls(struct planner *p)
{
	static const char *const env[] = {"/boot/grub2/grubenv", "/boot/grub/grubenv"}, *const cmdline = "/etc/kernel/cmdline";
	const struct facts *f = p->facts;
	const char *first = NULL;

	for (size_t i = 0; i < f->files; i++) {
		const char *path = f->file[i].path;
		CLEANUP(buf_done) struct buf out = {0};
		size_t len, at = 0;
		const char *text = planner_text(p, path, &len);
		struct line l = {0};

		if (!text || strncmp(path, LOADER_ENTRIES, strlen(LOADER_ENTRIES)))
			continue;
		first = first ? first : path;
		while (next_line(text, len, &at, &l)) {
			size_t args = arguments(&l, "options", " \t");

			/* $kernelopts and the like bring the rest */
			if (args && !memchr(l.text + args, '$', l.len - args))
				put_line(p, &l, args, &out);
			else
				buf_append(&out, l.text, l.whole);
		}
		planner_write_buf(p, path, &out, 0644, "boot loader entries carry the command line");
	}
	if (!first)
		return;
	for (size_t i = 0; i < 2; i++)
		edit_kernelopts(p, env[i]);
	if (planner_exists(p, cmdline)) {
		CLEANUP(buf_done) struct buf out = {0};
		size_t len, at = 0;
		const char *text = planner_text(p, cmdline, &len);
		struct line l = {0};

		while (next_line(text, len, &at, &l))
			if (l.len && l.number == 1)
				put_line(p, &l, 0, &out);
			else
				buf_append(&out, l.text, l.whole);
		planner_write_buf(p, cmdline, &out, 0644, "later boot loader entries get this command line");
	}
	planner_tell(p, first, "the menu that is written now does not read boot loader entries: later kernels do not appear in it",
		     "to have them start: grub2-install DISK on the new machine, then grub2-mkconfig -o " GRUB2_CFG);
}
