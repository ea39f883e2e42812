#include "parse/menulst.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

/* A stretch of a logical line. */
struct span {
	const char *at;
	size_t len;
};

/* What was seen of an entry before it is known whether its kernel is a hypervisor. */
struct draft {
	bool open;       /* a title was seen */
	size_t commands; /* GRUB drops a title without commands: the next title takes its place */
	size_t modules;
	char *module_args, *module_kernel, *module_initrd;
	struct menulst_entry e;
};

static void entry_done(struct menulst_entry *e)
{
	free(e->title);
	free(e->root);
	free(e->kernel);
	free(e->args);
	free(e->initrd);
	*e = (struct menulst_entry){0};
}

void menulst_done(struct menulst *m)
{
	for (size_t i = 0; i < m->len; i++)
		entry_done(&m->item[i]);
	free(m->item);
	*m = (struct menulst){0};
}

static void draft_done(struct draft *d)
{
	entry_done(&d->e);
	free(d->module_args);
	free(d->module_kernel);
	free(d->module_initrd);
	*d = (struct draft){0};
}

static bool set_text(char **text, struct span s)
{
	char *copy = strndup(s.at ? s.at : "", s.len);

	if (!copy)
		return false;
	free(*text);
	*text = copy;
	return true;
}

/* Takes the next word off s. */
static struct span next_word(struct span *s)
{
	size_t skip = scan_blanks(s->at, s->len);
	struct span word = {s->at + skip, scan_word(s->at + skip, s->len - skip)};

	s->at = word.at + word.len;
	s->len -= skip + word.len;
	return word;
}

/* "(hd0,0)/boot/vmlinuz" -> "/boot/vmlinuz" */
static struct span without_device(struct span path)
{
	const char *end = path.len && path.at[0] == '(' ? memchr(path.at, ')', path.len) : NULL;

	if (end) {
		path.len -= (size_t)(end + 1 - path.at);
		path.at = end + 1;
	}
	return path;
}

/* "kernel [--type=TYPE] [--no-mem-option] FILE ARGUMENTS": FILE to path, the rest with single spaces to args (may be NULL). */
static bool set_file(char **path, char **args, struct span s)
{
	CLEANUP(buf_done) struct buf joined = {0};
	struct span word;
	char *text;

	do
		word = next_word(&s);
	while (word.len > 2 && word.at[0] == '-' && word.at[1] == '-');
	if (!set_text(path, without_device(word)))
		return false;
	if (!args)
		return true;
	for (word = next_word(&s); word.len; word = next_word(&s)) {
		if (joined.len)
			buf_puts(&joined, " ");
		buf_append(&joined, word.at, word.len);
	}
	text = buf_take(&joined);
	if (!text)
		return false;
	free(*args);
	*args = text;
	return true;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* Is the kernel line's file a hypervisor, with Linux as its first module? By the names that distributions give them. */
static bool is_hypervisor(const struct draft *d)
{
	const char *name = base_name(d->e.kernel ? d->e.kernel : "");
	size_t len = strlen(name);

	if (d->modules) {
		const char *module = base_name(d->module_kernel);

		return starts_with(name, "xen") || starts_with(module, "vmlinu") || starts_with(module, "bzImage");
	}
	return starts_with(name, "xen") && (len == 3 || (len > 6 && !strcmp(name + len - 3, ".gz")) || !strcmp(name, "xen.gz"));
}

static bool fill_missing(struct menulst_entry *e)
{
	char **text[] = {&e->title, &e->root, &e->kernel, &e->args, &e->initrd};

	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++)
		if (!*text[i] && !(*text[i] = strdup("")))
			return false;
	return true;
}

/* Ends the entry at hand and adds it to the menu. */
static int close_entry(struct draft *d, struct menulst *m, size_t *cap, struct p2h_error *err)
{
	struct menulst_entry *bigger;

	if (!d->open || !d->commands) {
		draft_done(d);
		return 0;
	}
	if (m->len == SCAN_MAX_ENTRIES)
		return error_set(err, P2H_UNSUPPORTED, "line %zu: more than %u menu entries", d->e.line, SCAN_MAX_ENTRIES);
	bigger = scan_room(m->item, m->len, cap, sizeof(*m->item));
	if (!bigger)
		return error_nomem(err);
	m->item = bigger;
	if (is_hypervisor(d)) {
		d->e.hypervisor = true;
		free(d->e.kernel);
		free(d->e.args);
		d->e.kernel = TAKE(d->module_kernel);
		d->e.args = TAKE(d->module_args);
		if (d->module_initrd) {
			free(d->e.initrd);
			d->e.initrd = TAKE(d->module_initrd);
		}
	}
	if (!fill_missing(&d->e))
		return error_nomem(err);
	m->item[m->len++] = d->e;
	d->e = (struct menulst_entry){0};
	draft_done(d);
	return 0;
}

static bool is_name(struct span name, const char *text)
{
	return name.len == strlen(text) && !memcmp(name.at, text, name.len);
}

/* A decimal number, cut to INT_MAX; -1 if it is none. */
static int number_of(struct span s)
{
	int value = 0;
	size_t i = 0;

	for (; i < s.len && s.at[i] >= '0' && s.at[i] <= '9'; i++) {
		int digit = s.at[i] - '0';

		value = value > (INT_MAX - digit) / 10 ? INT_MAX : value * 10 + digit;
	}
	return i ? value : -1;
}

/* Commands above the first title. GRUB takes them only there; below, "default" is a command of an entry that fails. */
static void menu_command(struct span name, struct span rest, struct menulst *m)
{
	struct span word = next_word(&rest);
	int number = number_of(word);

	if (is_name(name, "default")) {
		m->default_saved = is_name(word, "saved");
		m->default_entry = number > 0 ? (size_t)number : 0;
	} else if (is_name(name, "timeout")) {
		m->timeout = number;
	}
}

static bool entry_command(struct span name, struct span rest, struct draft *d)
{
	struct span word;

	d->commands++;
	if (is_name(name, "kernel"))
		return set_file(&d->e.kernel, &d->e.args, rest);
	if (is_name(name, "initrd"))
		return set_file(&d->e.initrd, NULL, rest);
	if (is_name(name, "root") || is_name(name, "rootnoverify")) {
		word = next_word(&rest);
		return set_text(&d->e.root, word);
	}
	if (is_name(name, "module") || is_name(name, "modulenounzip")) {
		d->modules++;
		if (d->modules == 1)
			return set_file(&d->module_kernel, &d->module_args, rest);
		if (d->modules == 2)
			return set_file(&d->module_initrd, NULL, rest);
	}
	return true;
}

/*
 * One logical line. As GRUB legacy does, the name of a command ends at a blank or '=', and blanks and '=' in front of the
 * arguments are left out: "default=0", "default 0" and "default = 0" are the same.
 */
static int read_line(struct span s, size_t number, struct draft *d, struct menulst *m, size_t *cap, struct p2h_error *err)
{
	struct span name;
	int code;

	s.len = scan_trim(s.at, s.len);
	name.len = scan_blanks(s.at, s.len);
	s.at += name.len;
	s.len -= name.len;
	if (!s.len || s.at[0] == '#')
		return 0;
	name = (struct span){s.at, 0};
	while (name.len < s.len && !scan_is_blank(s.at[name.len]) && s.at[name.len] != '=')
		name.len++;
	s.at += name.len;
	s.len -= name.len;
	while (s.len && (scan_is_blank(*s.at) || *s.at == '=')) {
		s.at++;
		s.len--;
	}
	if (is_name(name, "title")) {
		code = close_entry(d, m, cap, err);
		if (code)
			return code;
		d->open = true;
		d->e.line = number;
		return set_text(&d->e.title, s) ? 0 : error_nomem(err);
	}
	if (!d->open) {
		menu_command(name, s, m);
		return 0;
	}
	return entry_command(name, s, d) ? 0 : error_nomem(err);
}

int menulst_parse(const char *text, size_t len, struct menulst *ret, struct p2h_error *err)
{
	CLEANUP(menulst_done) struct menulst m = {.timeout = -1};
	CLEANUP(draft_done) struct draft d = {0};
	CLEANUP(buf_done) struct buf line = {0};
	struct scan_line l = {0};
	size_t cap = 0, first = 0;
	int code;

	*ret = (struct menulst){0};
	while (scan_line_next(text, len, &l)) {
		/* A backslash at the end joins the next line, in comments too; two of them are one that is meant. */
		size_t slashes = 0;
		bool more;

		while (slashes < l.len && l.at[l.len - 1 - slashes] == '\\')
			slashes++;
		more = slashes % 2 && l.next < len;
		if (!line.len)
			first = l.number;
		buf_append(&line, l.at, more ? l.len - 1 : l.len);
		if (more) {
			buf_puts(&line, " ");
			continue;
		}
		if (line.failed)
			return error_nomem(err);
		code = read_line((struct span){line.data, line.len}, first, &d, &m, &cap, err);
		if (code)
			return code;
		buf_clear(&line);
	}
	if (line.failed)
		return error_nomem(err);
	code = close_entry(&d, &m, &cap, err);
	if (code)
		return code;
	if (m.default_saved || m.default_entry >= m.len)
		m.default_entry = 0;
	*ret = m;
	m = (struct menulst){0};
	return 0;
}
