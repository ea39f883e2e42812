/* console.c - who lets people log in, and on which terminal */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"
#include "plan/planner.h"

#define INITTAB "/etc/inittab"

static const char *const pv_tty[] = {"hvc0", "xvc0"};

/* The PV console that a text names, or NULL. */
static const char *pv_console(const char *text, size_t len)
{
	for (size_t i = 0; i < 2; i++)
		if (has_word(text, len, pv_tty[i]))
			return pv_tty[i];
	return NULL;
}

static bool is_speed(const char *word, size_t len)
{
	static const char *const speed[] = {"9600", "19200", "38400", "57600", "115200", "38400,9600", "9600,38400"};

	for (size_t i = 0; i < sizeof(speed) / sizeof(speed[0]); i++)
		if (strlen(speed[i]) == len && !strncmp(speed[i], word, len))
			return true;
	return false;
}

/* Copies text with whole words `from` replaced by `to`. */
static void replace_word(struct buf *out, const char *text, size_t len, const char *from, const char *to)
{
	size_t n = strlen(from);

	for (size_t i = 0; i < len;) {
		bool starts = !i || !isalnum((unsigned char)text[i - 1]);

		if (starts && len - i >= n && !memcmp(text + i, from, n) && (len - i == n || !isalnum((unsigned char)text[i + n]))) {
			buf_puts(out, to);
			i += n;
		} else {
			buf_append(out, text + i++, 1);
		}
	}
}

/* Do these know -L? mgetty, fgetty and others of the name do not. */
static bool is_getty(const char *word, size_t len)
{
	static const char *const name[] = {"getty", "agetty", "smart_agetty"};
	const char *slash = memrchr(word, '/', len), *base = slash ? slash + 1 : word;
	size_t n = len - (size_t)(base - word);

	for (size_t i = 0; i < 3; i++)
		if (strlen(name[i]) == n && !strncmp(base, name[i], n))
			return true;
	return false;
}

/*
 * A getty's command for a serial line: the terminal, 115200 baud like the kernel's console, and -L (no modem) for getty and agetty, which would
 * wait for a carrier. mingetty cannot serve a serial line: agetty takes its place, without mingetty's options.
 */
static void serial_command(struct buf *out, const char *command, size_t len, const char *from)
{
	CLEANUP(buf_done) struct buf renamed = {0};
	bool local = has_word(command, len, "-L"), mini = false;
	const char *p, *end;

	replace_word(&renamed, command, len, from, "ttyS0");
	if (renamed.failed) {
		out->failed = true;
		return;
	}
	for (p = renamed.data, end = p + renamed.len; p < end;) {
		size_t n = strcspn(p, " \t"), gap = strspn(p + n, " \t");

		if (mini && !has_word(p, n, "ttyS0")) {
			p += n + gap;
			continue;
		}
		if (is_speed(p, n)) {
			buf_puts(out, "115200");
		} else if (n >= 8 && !strncmp(p + n - 8, "mingetty", 8)) {
			buf_append(out, p, n - 8);
			buf_puts(out, "agetty -L 115200");
			mini = true;
		} else {
			buf_append(out, p, n);
			if (!local && is_getty(p, n))
				buf_puts(out, " -L");
		}
		buf_append(out, p + n, gap);
		p += n + gap;
	}
}

static bool active_on(const struct inittab *t, const char *tty)
{
	for (size_t i = 0; i < t->len; i++) {
		const struct inittab_entry *e = &t->item[i];

		if (strcmp(e->action, "off") && (!strcmp(e->id, tty) || has_word(e->process, strlen(e->process), tty)))
			return true;
	}
	return false;
}

/* Does anything look like a login? sulogin is for the single user only. */
static bool has_login(const struct inittab *t)
{
	for (size_t i = 0; i < t->len; i++) {
		const char *process = t->item[i].process;

		if (strcmp(t->item[i].action, "off") &&
		    (strstr(process, "getty") || pv_console(process, strlen(process)) || (strstr(process, "login") && !strstr(process, "sulogin"))))
			return true;
	}
	return false;
}

static bool id_taken(const struct inittab *t, const char *id)
{
	for (size_t i = 0; i < t->len; i++)
		if (!strcmp(t->item[i].id, id))
			return true;
	return false;
}

/* busybox's first field names the terminal; elsewhere it is an id of up to four bytes that must be unique. */
static const char *entry_id(const struct planner *p, const struct inittab *t, const char *tty)
{
	static const char *const serial[] = {"S0", "T0", "s0", "y0"}, *const video[] = {"1", "v1", "t1", "w1"};
	const char *const *choice = strcmp(tty, "ttyS0") ? video : serial;

	if (p->facts->init == INIT_BUSYBOX)
		return tty;
	for (size_t i = 0; i < 4; i++)
		if (!id_taken(t, choice[i]))
			return choice[i];
	return choice[3];
}

static void add_serial_line(struct planner *p, struct buf *out, const struct inittab *t, const struct inittab_entry *e, const char *from)
{
	buf_printf(out, "%s:%s:%s:", entry_id(p, t, "ttyS0"), e->runlevels, !strcmp(e->action, "off") ? "respawn" : e->action);
	serial_command(out, e->process, strlen(e->process), from);
}

static void add_video_line(struct planner *p, struct buf *out, const struct inittab *t, const struct inittab_entry *e, const char *from)
{
	buf_printf(out, "%s:%s:%s:", entry_id(p, t, "tty1"), e->runlevels, e->action);
	replace_word(out, e->process, strlen(e->process), from, "tty1");
}

/* The first login line, as a model of how this guest writes one; *ret_tty is the terminal in it. */
static const struct inittab_entry *model_line(const struct inittab *t, const char **ret_tty)
{
	static const char *const tty[] = {"hvc0", "xvc0", "tty1", "tty2"};

	for (size_t k = 0; k < 4; k++)
		for (size_t i = 0; i < t->len; i++)
			if (strstr(t->item[i].process, "getty") && has_word(t->item[i].process, strlen(t->item[i].process), tty[k])) {
				*ret_tty = tty[k];
				return &t->item[i];
			}
	return NULL;
}

static const struct inittab_entry *entry_of_line(const struct inittab *t, size_t line)
{
	for (size_t i = 0; i < t->len; i++)
		if (t->item[i].line == line)
			return &t->item[i];
	return NULL;
}

void rule_getty_inittab(struct planner *p)
{
	CLEANUP(inittab_done) struct inittab table = {0};
	CLEANUP(buf_done) struct buf out = {0};
	const struct inittab_entry *model;
	const char *tty = NULL;
	size_t len, at = 0;
	struct line l = {0};
	bool serial, video;
	const char *text = planner_text(p, INITTAB, &len);

	if (!text || (p->facts->init != INIT_SYSVINIT && p->facts->init != INIT_BUSYBOX))
		return;
	if (inittab_parse(text, len, &table, NULL)) {
		p->arena->failed = true;
		return;
	}
	serial = active_on(&table, "ttyS0") || active_on(&table, "console");
	video = active_on(&table, "tty1");
	model = model_line(&table, &tty);
	if (!serial && !model && !has_login(&table)) {
		p->severity = SEVERITY_INFO;
		planner_tell(p, INITTAB, "no terminal had a login, and none gets one: the guest is reached by network only, as before",
			     "add a line for a getty on ttyS0 if there is to be one");
		return;
	}
	if (!serial && !model) {
		planner_tell(p, INITTAB, "no login program that could serve as a model", "nobody can log in on the serial console");
		return;
	}
	while (next_line(text, len, &at, &l)) {
		const struct inittab_entry *e = entry_of_line(&table, l.number);
		const char *old = e && strcmp(e->action, "off") ? pv_console(l.text, l.len) : NULL;

		if (!old) {
			buf_append(&out, l.text, l.whole);
			continue;
		}
		if (serial) {
			buf_puts(&out, "#");
			buf_append(&out, l.text, l.len);
		} else {
			add_serial_line(p, &out, &table, e, old);
			serial = true;
		}
		buf_append(&out, l.text + l.len, l.whole - l.len);
	}
	if (out.len && out.data[out.len - 1] != '\n' && model && (!serial || !video))
		buf_puts(&out, line_end(text, len));
	if (!serial) {
		add_serial_line(p, &out, &table, model, tty);
		buf_puts(&out, line_end(text, len));
	}
	if (!video && model) {
		add_video_line(p, &out, &table, model, tty);
		buf_puts(&out, line_end(text, len));
	}
	planner_write_buf(p, INITTAB, &out, 0644, "login on ttyS0 and tty1");
}

/* A job a file: "/etc/init/hvc0.conf"; before upstart 0.6 "/etc/event.d/hvc0". */
static bool is_job(const struct facts_file *file)
{
	return !strncmp(file->path, "/etc/init/", 10) || !strncmp(file->path, "/etc/event.d/", 13);
}

/* Is the word in a line that is no comment? `whole`: not as a part of another word. */
static bool says(const struct facts_file *file, const char *word, bool whole)
{
	size_t at = 0;
	struct line l = {0};

	while (next_line(file->text, file->len, &at, &l)) {
		const char *start = l.text;

		while (start < l.text + l.len && isspace((unsigned char)*start))
			start++;
		if (start == l.text + l.len || *start == '#')
			continue;
		if (whole ? has_word(l.text, l.len, word) : memmem(l.text, l.len, word, strlen(word)) != NULL)
			return true;
	}
	return false;
}

static bool serves(const struct facts_file *file, const char *tty)
{
	return is_job(file) && says(file, "getty", false) && says(file, tty, true);
}

/* A job for ttyS0 beside the model, which serves another terminal. */
static void add_serial_job(struct planner *p, const struct facts_file *model, const char *tty, const char *reason)
{
	CLEANUP(buf_done) struct buf job = {0};
	const char *path = strncmp(model->path, "/etc/init/", 10) ? "/etc/event.d/ttyS0" : "/etc/init/ttyS0.conf";
	size_t at = 0;
	struct line l = {0};

	while (next_line(model->text, model->len, &at, &l)) {
		if (memmem(l.text, l.len, "exec", 4) && memmem(l.text, l.len, "getty", 5))
			serial_command(&job, l.text, l.len, tty);
		else
			replace_word(&job, l.text, l.len, tty, "ttyS0");
		buf_append(&job, l.text + l.len, l.whole - l.len);
	}
	planner_write_buf(p, path, &job, model->mode, reason);
}

/* Red Hat 6 starts a login on each of ACTIVE_CONSOLES; its job serial.conf sees to the last console= of the command line. */
static void edit_active_consoles(struct planner *p)
{
	static const char path[] = "/etc/sysconfig/init", name[] = "ACTIVE_CONSOLES";
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	struct line l = {0};
	const char *text = planner_text(p, path, &len);

	while (text && next_line(text, len, &at, &l)) {
		CLEANUP(buf_done) struct buf without = {0}, line = {0};
		CLEANUP_FREE char *value = assignment_get(l.text, l.len, name, NULL);

		if (!value || !pv_console(value, strlen(value))) {
			buf_append(&out, l.text, l.whole);
			continue;
		}
		replace_word(&without, l.text, l.len, "/dev/hvc0", "");
		replace_word(&line, without.failed ? "" : without.data, without.len, "/dev/xvc0", "");
		free(value);
		value = line.len ? assignment_get(line.data, line.len, name, NULL) : NULL;
		if (value && value[strspn(value, " \t")])
			buf_append(&out, line.data, line.len);
		else
			buf_printf(&out, "%s=/dev/tty[1-6]", name);
		buf_append(&out, l.text + l.len, l.whole - l.len);
	}
	if (text)
		planner_write_buf(p, path, &out, 0644, "no login on a console that does not exist any more");
}

void rule_getty_upstart(struct planner *p)
{
	const struct facts *f = p->facts;
	bool serial = planner_exists(p, "/etc/init/serial.conf"); /* Red Hat 6: for every active console */
	const struct facts_file *model = NULL;

	if (f->init != INIT_UPSTART)
		return;
	edit_active_consoles(p);
	for (size_t i = 0; i < f->files; i++) {
		serial |= serves(&f->file[i], "ttyS0");
		if (!model && serves(&f->file[i], "tty1"))
			model = &f->file[i];
	}
	for (size_t i = 0; i < f->files; i++) {
		for (size_t k = 0; k < 2; k++) {
			if (!serves(&f->file[i], pv_tty[k]))
				continue;
			if (!serial)
				add_serial_job(p, &f->file[i], pv_tty[k], "the job of the PV console, on ttyS0");
			serial = true;
			planner_remove(p, f->file[i].path, "its terminal does not exist any more");
		}
	}
	if (!serial && model)
		add_serial_job(p, model, "tty1", "a login on ttyS0, after the model of tty1's");
	else if (!serial)
		planner_tell(p, "/etc/init", "no job that could serve as a model for a login", "nobody can log in on the serial console");
}

void rule_getty_systemd(struct planner *p)
{
	static const char serial[] = "/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service";
	const struct facts *f = p->facts;
	const char *dir = NULL;

	if (f->init != INIT_SYSTEMD)
		return;
	for (size_t i = 0; i < f->files; i++) {
		const struct facts_file *file = &f->file[i];

		if (strncmp(file->path, "/etc/systemd/system/", 20) || !file->is_link || !strstr(file->path, "getty@") ||
		    !pv_console(file->path, strlen(file->path)))
			continue;
		dir = !strncmp(file->target, "/usr/", 5) ? "/usr/lib/systemd/system" : "/lib/systemd/system";
		planner_remove(p, file->path, "its terminal does not exist any more");
	}
	if (dir && !planner_exists(p, serial))
		planner_link(p, serial, arena_printf(p->arena, "%s/serial-getty@.service", dir), "a login on ttyS0 in its place");
}

void rule_securetty(struct planner *p)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	struct line l = {0};
	bool any = false;
	const char *text = planner_text(p, "/etc/securetty", &len);

	if (!text)
		return;
	while (next_line(text, len, &at, &l)) {
		if (l.len >= 5 && !strncmp(l.text, "ttyS0", 5) && (l.len == 5 || isspace((unsigned char)l.text[5])))
			return;
		any |= l.len && *l.text != '#';
	}
	if (!any)
		return; /* root may log in nowhere: somebody's will */
	buf_append(&out, text, len);
	if (len && text[len - 1] != '\n')
		buf_puts(&out, line_end(text, len));
	buf_printf(&out, "ttyS0%s", line_end(text, len));
	planner_write_buf(p, "/etc/securetty", &out, 0644, "root may log in on ttyS0");
}

static bool is_console(const char *word, const char *tty)
{
	size_t n = strlen(tty);

	return !strncmp(word, "console=", 8) && !strncmp(word + 8, tty, n) && (!word[8 + n] || word[8 + n] == ',');
}

/* What the old command line says of tty0 and ttyS0 is kept (a speed), behind its other words; ttyS0 comes last. */
void rule_console_order(struct planner *p)
{
	struct plan *plan = p->plan;
	struct cmdline_word video = {NULL, NULL}, serial = video;
	bool right = false;
	size_t to = 0;

	for (size_t i = 0; i < plan->words; i++) {
		struct cmdline_word w = plan->word[i];

		if (!strncmp(w.text, "console=", 8))
			right = is_console(w.text, "ttyS0");
		if (is_console(w.text, "tty0"))
			video = w;
		else if (is_console(w.text, "ttyS0"))
			serial = w;
		else
			plan->word[to++] = w;
	}
	plan->words = to;
	if (video.text || !right)
		planner_cmdline(p, video.text ? video.text : "console=tty0");
	planner_cmdline(p, serial.text ? serial.text : "console=ttyS0,115200n8");
	for (; right && to < plan->words; to++)
		plan->word[to].rule = serial.rule;
}
