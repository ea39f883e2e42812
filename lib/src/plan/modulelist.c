/* modulelist.c - modules that the guest's configuration names, and that the new kernel has under another name or not at all */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"
#include "plan/planner.h"

enum list_form {
	FORM_LINES, /* a module a line, options behind it */
	FORM_WORDS, /* NAME="a b", NAME+=" a b ", NAME=(a b): words of some variables */
	FORM_SCRIPT /* modprobe NAME */
};

static const struct list_file {
	const char *start;
	enum list_form form;
} list_file[] = {
	{"/etc/modules", FORM_LINES},
	{"/etc/modules-load.d/", FORM_LINES},
	{"/etc/initramfs-tools/modules", FORM_LINES},
	{"/etc/modprobe.preload", FORM_LINES},
	{"/etc/dracut.conf", FORM_WORDS},
	{"/etc/mkinitcpio.conf", FORM_WORDS},
	{"/etc/sysconfig/kernel", FORM_WORDS},
	{"/etc/sysconfig/modules/", FORM_SCRIPT},
	{"/etc/rc.modules", FORM_SCRIPT},
	{"/etc/rc.d/rc.modules", FORM_SCRIPT},
	{"/etc/rc.local", FORM_SCRIPT},
	{"/etc/rc.d/rc.local", FORM_SCRIPT},
};

/* dracut.conf(5), mkinitcpio.conf(5), SUSE's /etc/sysconfig/kernel */
static const char *const variable[] = {"add_drivers", "force_drivers", "drivers", "MODULES", "INITRD_MODULES", "DOMU_INITRD_MODULES",
				       "MODULES_LOADED_ON_BOOT"};

/* Linux renamed these; those with an empty name were XenLinux's and have no successor in a guest. */
static const struct renamed {
	const char *from, *to;
} renamed[] = {
	{"autofs4", "autofs"},
	{"blkbk", ""},
	{"blktap", ""},
	{"evtchn", "xen_evtchn"},
	{"ext3", "ext4"},
	{"gntdev", "xen_gntdev"},
	{"ip_conntrack", "nf_conntrack"},
	{"ip_conntrack_ftp", "nf_conntrack_ftp"},
	{"ip_nat_ftp", "nf_nat_ftp"},
	{"netbk", ""},
	{"netloop", ""},
	{"nf_conntrack_ipv4", "nf_conntrack"},
	{"nf_conntrack_ipv6", "nf_conntrack"},
	{"usbbk", ""},
	{"xen_vbd", "xen_blkfront"},
	{"xen_vnif", "xen_netfront"},
	{"xenblk", "xen_blkfront"},
	{"xenbus_be", ""},
	{"xennet", "xen_netfront"},
};

struct at {
	struct planner *p;
	const struct facts_file *file;
	size_t line;
};

/* Is there a module, built in or not, that modprobe finds by this name? Without a list of what is built in there may be one. */
static bool offered(const struct planner *p, const char *name)
{
	return donor_offers(p->facts, name, NULL) != OFFER_NO;
}

/* What becomes of a name: itself, another one, "" (it goes). Tells of one that is missing. */
static const char *successor(const struct at *at, const char *name)
{
	struct planner *p = at->p;

	if (!*name || offered(p, name))
		return name;
	for (size_t i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++) {
		if (strcmp(renamed[i].from, name))
			continue;
		if (!*renamed[i].to || offered(p, renamed[i].to))
			return renamed[i].to;
	}
	planner_tell(p, arena_printf(p->arena, "%s line %zu: %s", at->file->path, at->line, name),
		     arena_printf(p->arena, "kernel %s has no module of this name", p->facts->donor.chosen.release),
		     "it is not loaded; remove the line if it is not needed, or choose a donor that has the module");
	return name;
}

static size_t word_end(const char *text, size_t len, size_t from)
{
	while (from < len && (isalnum((unsigned char)text[from]) || text[from] == '_' || text[from] == '-'))
		from++;
	return from;
}

/* A name of text as modules are called; false if no module can be called so ("#", "$x", a path). */
static bool get_name(const char *text, size_t len, char *name, size_t size)
{
	char copy[64];

	if (!len || len >= sizeof(copy) || word_end(text, len, 0) != len)
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	kmodule_name(copy, name, size);
	return true;
}

static void edit_line(const struct at *at, const struct line *l, struct buf *out)
{
	size_t start = 0, end;
	const char *next;
	char name[64];

	while (start < l->len && isspace((unsigned char)l->text[start]))
		start++;
	for (end = start; end < l->len && !isspace((unsigned char)l->text[end]); end++)
		;
	if (!get_name(l->text + start, end - start, name, sizeof(name)) || (next = successor(at, name)) == name) {
		buf_append(out, l->text, l->whole);
		return;
	}
	if (!*next) {
		buf_puts(out, "#pv2hvm: ");
		buf_append(out, l->text, l->whole);
		return;
	}
	buf_append(out, l->text, start);
	buf_puts(out, next);
	buf_append(out, l->text + end, l->whole - end);
}

/* Where the value of one of the variables starts, or 0. */
static size_t value_start(const struct line *l)
{
	size_t start = 0;

	while (start < l->len && isspace((unsigned char)l->text[start]))
		start++;
	for (size_t i = 0; i < sizeof(variable) / sizeof(variable[0]); i++) {
		size_t n = strlen(variable[i]), end = start + n;

		if (end >= l->len || memcmp(l->text + start, variable[i], n))
			continue;
		end += l->text[end] == '+';
		if (end < l->len && l->text[end] == '=')
			return end + 1;
	}
	return 0;
}

static void edit_words(const struct at *at, const struct line *l, struct buf *out)
{
	size_t pos = value_start(l);

	buf_append(out, l->text, pos);
	while (pos && pos < l->len && l->text[pos] != '#') {
		size_t end = word_end(l->text, l->len, pos);
		char name[64];
		const char *next;

		if (end == pos) {
			buf_append(out, l->text + pos++, 1);
			continue;
		}
		/* "$OLD", "a.b": no list of plain names */
		if (get_name(l->text + pos, end - pos, name, sizeof(name)) && !strchr("$./{", l->text[pos - 1]) &&
		    (next = successor(at, name)) != name)
			buf_puts(out, next);
		else
			buf_append(out, l->text + pos, end - pos);
		pos = end;
	}
	buf_append(out, l->text + pos, l->whole - pos);
}

/* "modprobe NAME", with options before the name: only told of. */
static void read_script(const struct at *at, const struct line *l)
{
	const char *end = l->text + l->len, *hash = memchr(l->text, '#', l->len), *c;
	char name[64];

	c = memmem(l->text, (size_t)((hash ? hash : end) - l->text), "modprobe ", 9);
	if (!c || (c > l->text && (isalnum((unsigned char)c[-1]) || c[-1] == '_' || c[-1] == '-')))
		return;
	c += 9;
	for (;;) {
		size_t n = 0;

		while (c < end && is_blank(*c))
			c++;
		while (c + n < end && !strchr(" \t;&|<>", c[n]))
			n++;
		if (n && *c == '-') {
			if (n > 1 && (c[1] == 'r' || (n > 2 && !strncmp(c, "--remove", n))))
				return;
			c += n;
			continue;
		}
		if (get_name(c, n, name, sizeof(name)))
			successor(at, name);
		return;
	}
}

static void read_list(struct planner *p, const struct facts_file *file, enum list_form form)
{
	CLEANUP(buf_done) struct buf out = {0};
	struct line l = {0};
	size_t at = 0, len;
	const char *text = planner_text(p, file->path, &len);

	while (text && next_line(text, len, &at, &l)) {
		const struct at here = {p, file, l.number};

		if (form == FORM_LINES)
			edit_line(&here, &l, &out);
		else if (form == FORM_WORDS)
			edit_words(&here, &l, &out);
		else
			read_script(&here, &l);
	}
	if (form != FORM_SCRIPT)
		planner_write_buf(p, file->path, &out, 0644, "modules have other names in the new kernel, or are not needed any more");
}

/* The longest entry that fits: a directory by its start, a file by its name. */
static const struct list_file *form_of(const char *path)
{
	for (size_t i = 0; i < sizeof(list_file) / sizeof(list_file[0]); i++) {
		const char *start = list_file[i].start;
		size_t n = strlen(start);

		if (start[n - 1] == '/' ? !strncmp(path, start, n) : !strcmp(path, start))
			return &list_file[i];
	}
	return !strncmp(path, "/etc/dracut.conf.d/", 19) ? form_of("/etc/dracut.conf") : NULL;
}

void rule_modules_listed(struct planner *p)
{
	const struct facts *f = p->facts;

	if (!*f->donor.chosen.release || !f->offer.modules.len)
		return;
	for (size_t i = 0; i < f->files; i++) {
		const struct list_file *l = f->file[i].is_link ? NULL : form_of(f->file[i].path);

		if (l)
			read_list(p, &f->file[i], l->form);
	}
}
