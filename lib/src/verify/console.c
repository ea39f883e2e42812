/* A login on a console that an HVM machine has: ttyS0 or tty1. */
#include "verify/context.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"

#define FILES_LIMIT 2000u

/* Who logs in where. */
struct logins {
	bool hvm;  /* on ttyS0, tty1 or /dev/console */
	bool xen;  /* on hvc0 or xvc0 */
	char where[160];
};

/* Is the name there as a word of its own: "tty1" in "getty 38400 tty1", not in "tty10"? */
static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = strstr(text, word); at; at = strstr(at + 1, word))
		if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[len]))
			return true;
	return false;
}

static void add_login(struct logins *l, const char *text, const char *place, size_t line)
{
	if (has_word(text, "ttyS0") || has_word(text, "tty1")) {
		if (!l->hvm)
			snprintf(l->where, sizeof l->where, line ? "%.120s line %zu" : "%.120s", place, line);
		l->hvm = true;
	} else if (has_word(text, "hvc0") || has_word(text, "xvc0")) {
		l->xen = true;
	}
}

/* A comment's place in a job file does not count. */
static void add_job(struct logins *l, const char *text, const char *path)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char word[256];
		const char *start = line + strspn(line, " \t");

		snprintf(word, sizeof word, "%.*s", (int)strcspn(start, "\n"), start);
		if (*word != '#' && (strstr(word, "getty") || strstr(word, "login")))
			add_login(l, word, path, 0);
	}
}

static void scan_inittab(struct verify *v, struct logins *l)
{
	static const char *const actions[] = {"respawn", "askfirst", "once", "ondemand", "wait"};
	CLEANUP(inittab_done) struct inittab table = {0};
	CLEANUP(buf_done) struct buf text = {0};

	if (!guest_text(v, "/etc/inittab", &text) || !text.len || inittab_parse(text.data, text.len, &table, NULL))
		return;
	for (size_t i = 0; i < table.len; i++) {
		const struct inittab_entry *e = &table.item[i];
		bool runs = false;

		for (size_t k = 0; k < sizeof actions / sizeof *actions; k++)
			runs |= !strcmp(e->action, actions[k]);
		if (!runs)
			continue;
		if (strstr(e->process, "getty") || strstr(e->process, "login"))
			add_login(l, e->process, "/etc/inittab", e->line);
		if (v->init.kind != INIT_BUSYBOX)
			continue;
		/* busybox: the id is the terminal, empty for /dev/console. */
		if (*e->id || !strcmp(e->action, "wait"))
			add_login(l, e->id, "/etc/inittab", e->line);
		else
			add_login(l, "tty1", "/etc/inittab", e->line);
	}
}

static void scan_upstart(struct verify *v, struct logins *l)
{
	CLEANUP(strlist_done) struct strlist names = {0};

	if (fs_list(v->guest->fs, "/etc/init", &names, NULL))
		return;
	for (size_t i = 0; i < names.len && i < FILES_LIMIT; i++) {
		CLEANUP(buf_done) struct buf text = {0};
		char path[300];

		/* Red Hat 6: one job starts all of ACTIVE_CONSOLES. */
		if (!strcmp(names.item[i], "start-ttys.conf"))
			add_login(l, "tty1", "/etc/init/start-ttys.conf", 0);
		snprintf(path, sizeof path, "/etc/init/%.255s", names.item[i]);
		if (guest_text(v, path, &text) && text.len)
			add_job(l, text.data, path);
	}
}

/* A unit switched off by a link to /dev/null. */
static bool masked(struct verify *v, const char *unit)
{
	CLEANUP_FREE char *target = NULL;
	char path[160];

	snprintf(path, sizeof path, "/etc/systemd/system/%s", unit);
	return fs_readlink(v->guest->fs, path, &target, NULL) == 0 && !strcmp(target, "/dev/null");
}

static void scan_systemd(struct verify *v, struct logins *l)
{
	CLEANUP(strlist_done) struct strlist dirs = {0};
	bool serial = cmdline_has(v, "console=ttyS0");
	size_t seen = 0;
	char value[64];

	if (!serial)
		serial = cmdline_get(v, "console", value, sizeof value) && !strncmp(value, "ttyS0", 5);
	if (serial && !masked(v, "serial-getty@ttyS0.service"))
		add_login(l, "ttyS0", "systemd's getty generator (console=ttyS0)", 0);
	if (fs_list(v->guest->fs, "/etc/systemd/system", &dirs, NULL))
		return;
	for (size_t i = 0; i < dirs.len && i < FILES_LIMIT; i++) {
		CLEANUP(strlist_done) struct strlist units = {0};
		size_t len = strlen(dirs.item[i]);
		char path[300];

		if (len < 6 || strcmp(dirs.item[i] + len - 6, ".wants"))
			continue;
		snprintf(path, sizeof path, "/etc/systemd/system/%.255s", dirs.item[i]);
		if (fs_list(v->guest->fs, path, &units, NULL))
			continue;
		for (size_t k = 0; k < units.len && seen < FILES_LIMIT; k++, seen++)
			if (strstr(units.item[k], "getty@") && !masked(v, units.item[k]))
				add_login(l, units.item[k], path, 0);
	}
}

/* The last console= is /dev/console: init's messages and, with some inits, its only shell. */
static void judge_cmdline(struct judgement *j)
{
	char last[64];

	if (cmdline_get(j->v, "console", last, sizeof last) && (!strncmp(last, "hvc", 3) || !strncmp(last, "xvc", 3)))
		judge(j, VERIFY_WARN, "the last console= is %s, which is Xen's: nothing is seen of the boot elsewhere", last);
}

void step_console(struct verify *v)
{
	struct judgement j = {.v = v};
	struct logins l = {0};

	if (v->init.kind == INIT_SYSTEMD)
		scan_systemd(v, &l);
	else if (v->init.kind == INIT_UPSTART)
		scan_upstart(v, &l);
	else
		scan_inittab(v, &l);
	if (v->entry)
		judge_cmdline(&j);
	if (l.hvm)
		judge(&j, VERIFY_PASS, "login on ttyS0 or tty1: %s", l.where);
	else if (l.xen)
		judge(&j, VERIFY_WARN, "logins are only on hvc0, which HVM machines do not have");
	else
		judge(&j, VERIFY_WARN, "no login on ttyS0 or tty1 was found");
	judgement_add(&j, "console", "a login on a console that exists");
}
