#include "parse/grubrun.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define GRUBENV_SIZE 1024u

bool grubrun_is_top(const struct grubrun *p)
{
	return p->entry == GRUBMENU_NONE && p->parent == GRUBMENU_NONE;
}

int grubrun_replace_text(struct grubrun *p, char **text, const char *value)
{
	char *copy;
	int code = grubscript_spend(&p->spent, strlen(value), p->err);

	if (code)
		return code;
	copy = strdup(value);
	if (!copy)
		return error_nomem(p->err);
	free(*text);
	*text = copy;
	return 0;
}

int grubrun_assign(struct grubrun *p, const char *assignment, bool unknown)
{
	const char *equals = strchr(assignment, '=');
	CLEANUP_FREE char *name = NULL;

	if (!equals || equals == assignment)
		return 0;
	name = strndup(assignment, (size_t)(equals - assignment));
	if (!name)
		return error_nomem(p->err);
	if (!strcmp(name, "default") && grubrun_is_top(p) && !unknown) {
		int code = grubrun_replace_text(p, &p->g.default_value, equals + 1);

		if (code)
			return code;
	}
	return grubscript_set(&p->vars, name, unknown ? NULL : equals + 1, p->err);
}

static int run_set(struct grubrun *p, const struct strlist *w, bool unknown)
{
	p->status = GRUBTEST_TRUE;
	return w->len > 1 ? grubrun_assign(p, w->item[1], unknown) : 0;
}

static int run_unset(struct grubrun *p, const struct strlist *w, bool unknown)
{
	(void)unknown;
	return w->len > 1 ? grubscript_unset(&p->vars, w->item[1], p->err) : 0;
}

/* The names of "read VAR" are unknown from then on. */
static int run_read(struct grubrun *p, const struct strlist *w, bool unknown)
{
	(void)unknown;
	return w->len > 1 ? grubscript_set(&p->vars, w->item[1], NULL, p->err) : 0;
}

static int run_true(struct grubrun *p, const struct strlist *w, bool unknown)
{
	(void)unknown;
	p->status = strcmp(w->item[0], "true") ? GRUBTEST_FALSE : GRUBTEST_TRUE;
	return 0;
}

static int run_test(struct grubrun *p, const struct strlist *w, bool unknown)
{
	size_t words = w->len - 1;

	if (!strcmp(w->item[0], "[") && words && !strcmp(w->item[w->len - 1], "]"))
		words--;
	p->status = grubtest_eval(w->item + 1, words, unknown, p->grubenv != NULL);
	return 0;
}

/* One setting of the environment block: backslash quotes the next character, which may be a newline. Returns its length. */
static size_t read_setting(const char *at, size_t len, struct buf *out)
{
	size_t i = 0;

	for (; i < len && at[i] != '\n'; i++) {
		if (at[i] == '\\' && i + 1 < len)
			i++;
		buf_append(out, at + i, 1);
	}
	return i < len ? i + 1 : i;
}

/* Without names all settings are loaded, else those named. */
static int run_load_env(struct grubrun *p, const struct strlist *w, bool unknown)
{
	size_t len = p->grubenv ? strnlen(p->grubenv, GRUBENV_SIZE) : 0;
	struct strlist wanted = {0}; /* borrows the words behind the options */
	int code = grubscript_spend(&p->spent, GRUBENV_SIZE * 64, p->err);

	(void)unknown;
	for (size_t i = 1; i < w->len && !wanted.len; i++) {
		if (!strcmp(w->item[i], "-f") || !strcmp(w->item[i], "--file")) {
			const char *slash = ++i < w->len ? strrchr(w->item[i], '/') : NULL;

			if (slash && strcmp(slash, "/grubenv") != 0)
				return 0; /* not the environment block that we were given */
		} else if (w->item[i][0] != '-') {
			wanted = (struct strlist){.item = w->item + i, .len = w->len - i};
		}
	}
	for (size_t pos = 0; pos < len && !code;) {
		CLEANUP(buf_done) struct buf setting = {0};
		CLEANUP_FREE char *name = NULL;
		bool comment = p->grubenv[pos] == '#';

		pos += read_setting(p->grubenv + pos, len - pos, &setting);
		if (setting.failed)
			return error_nomem(p->err);
		if (comment || !setting.len)
			continue;
		name = strndup(setting.data, strcspn(setting.data, "="));
		if (!name)
			return error_nomem(p->err);
		if (!wanted.len || strlist_has(&wanted, name))
			code = grubrun_assign(p, setting.data, false);
	}
	return code;
}

/* Is this option one whose value is the next word? "--hint=x" is not. */
static bool takes_value(const char *option, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(option, *list))
			return true;
	return false;
}

/* "search --no-floppy --fs-uuid --set=root --hint... UUID"; the variable that takes the device is unknown from then on. */
static int run_search(struct grubrun *p, const struct strlist *w, bool unknown)
{
	static const char *const valued[] = {"--hint",          "-h",          "--hint-bios", "--hint-efi",
					     "--hint-baremetal", "--hint-ieee1275", "--hint-arc",  NULL};
	bool by_uuid = !strcmp(w->item[0], "search.fs_uuid"), set = false;
	const char *name = NULL, *variable = "root";
	int code;

	(void)unknown;
	for (size_t i = 1; i < w->len; i++) {
		const char *word = w->item[i];

		if (!strcmp(word, "--fs-uuid") || !strcmp(word, "-u") || !strcmp(word, "--fs_uuid"))
			by_uuid = true;
		else if (!strncmp(word, "--set=", 6))
			variable = word + 6;
		else if (takes_value(word, valued))
			i++;
		else if (word[0] != '-' && !name)
			name = word;
		set |= !strncmp(word, "--set", 5) || !strcmp(word, "-s");
	}
	if (name && by_uuid) {
		code = grubscript_set(&p->vars, GRUBRUN_UUID, name, p->err);
		if (code)
			return code;
	}
	return set || by_uuid ? grubscript_set(&p->vars, variable, NULL, p->err) : 0;
}

/* "(hd0,msdos1)/boot/vmlinuz", "($root)/boot/vmlinuz" -> "/boot/vmlinuz" */
static const char *without_device(const char *path)
{
	const char *end = *path == '(' ? strchr(path, ')') : NULL;

	return end ? end + 1 : path;
}

static int run_linux(struct grubrun *p, const struct strlist *w, bool unknown)
{
	CLEANUP(buf_done) struct buf args = {0};
	struct grubcfg_entry *e;
	int code;

	(void)unknown;
	if (p->entry == GRUBMENU_NONE || w->len < 2)
		return 0;
	buf_puts(&args, "");
	for (size_t i = 2; i < w->len; i++) {
		const char *quote = strpbrk(w->item[i], " \t") ? "\"" : "";

		if (args.len)
			buf_puts(&args, " ");
		buf_puts(&args, quote);
		buf_puts(&args, w->item[i]);
		buf_puts(&args, quote);
	}
	if (args.failed)
		return error_nomem(p->err);
	e = &p->g.item[p->entry];
	code = grubrun_replace_text(p, &e->linux_path, without_device(w->item[1]));
	return code ? code : grubrun_replace_text(p, &e->args, args.data);
}

static int run_initrd(struct grubrun *p, const struct strlist *w, bool unknown)
{
	struct strlist *list;

	(void)unknown;
	if (p->entry == GRUBMENU_NONE)
		return 0;
	list = &p->g.item[p->entry].initrd;
	strlist_done(list);
	for (size_t i = 1; i < w->len; i++)
		strlist_add(list, without_device(w->item[i]));
	return list->failed ? error_nomem(p->err) : 0;
}

static int run_terminal_output(struct grubrun *p, const struct strlist *w, bool unknown)
{
	struct strlist *list = &p->g.terminal_output;

	(void)unknown;
	if (!grubrun_is_top(p))
		return 0;
	strlist_done(list);
	for (size_t i = 1; i < w->len; i++)
		strlist_add(list, w->item[i]);
	return list->failed ? error_nomem(p->err) : 0;
}

static const struct {
	const char *name;
	int (*run)(struct grubrun *p, const struct strlist *w, bool unknown);
} command_table[] = {
    {"set", run_set},
    {"unset", run_unset},
    {"read", run_read},
    {"read_file", run_read},
    {"true", run_true},
    {"false", run_true},
    {"[", run_test},
    {"test", run_test},
    {"load_env", run_load_env},
    {"search", run_search},
    {"search.fs_uuid", run_search},
    {"linux", run_linux},
    {"linux16", run_linux},
    {"linuxefi", run_linux},
    {"initrd", run_initrd},
    {"initrd16", run_initrd},
    {"initrdefi", run_initrd},
    {"terminal_output", run_terminal_output},
};

/* Any other command: "regexp --set=1:name ..." and the like leave a result that cannot be known. */
static int run_other(struct grubrun *p, const struct strlist *w)
{
	int code = 0;

	for (size_t i = 1; i < w->len && !code; i++) {
		const char *name = strncmp(w->item[i], "--set=", 6) ? NULL : w->item[i] + 6;
		const char *colon = name ? strchr(name, ':') : NULL;

		if (name)
			code = grubscript_set(&p->vars, colon ? colon + 1 : name, NULL, p->err);
	}
	return code;
}

int grubrun_command(struct grubrun *p, const struct strlist *w, bool unknown)
{
	p->status = GRUBTEST_UNKNOWN;
	for (size_t i = 0; i < sizeof(command_table) / sizeof(*command_table); i++)
		if (!strcmp(command_table[i].name, w->item[0]))
			return command_table[i].run(p, w, unknown);
	return run_other(p, w);
}
