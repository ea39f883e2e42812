/* textconf.h - the small text formats: os-release(5), inittab(5), kernel configuration, kernel-img.conf(5), shell-like assignments */
#ifndef P2H_PARSE_TEXTCONF_H
#define P2H_PARSE_TEXTCONF_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Value of NAME in a file of shell-like assignments (os-release, /etc/default/grub, /etc/selinux/config): the last one counts, quotes and
 * backslashes removed, "export " allowed. NULL with err untouched when it is not set; NULL with P2H_NOMEM in *code otherwise (code may be NULL).
 */
char *assignment_get(const char *text, size_t len, const char *name, int *code);

/* inittab lines "id:runlevels:action:process". */
struct inittab_entry {
	size_t line;
	size_t off, len;  /* the whole line without its line end */
	char *id, *runlevels, *action, *process;
};
struct inittab {
	struct inittab_entry *item;
	size_t len;
};
int inittab_parse(const char *text, size_t len, struct inittab *ret, struct p2h_error *err);
void inittab_done(struct inittab *t);

/*
 * 'y', 'm', 's' (a string or number) or 'n' ("is not set" or absent) for CONFIG_name; name without "CONFIG_".
 * A newcomer's note: a missing /boot/config-* means nothing is known; callers decide.
 */
char kconfig_get(const char *text, size_t len, const char *name);

/* kernel-img.conf: lines "name = value", the value one word, names in any case. A zero-initialised setting stands before the first. */
struct kernelimg_setting {
	const char *name;
	size_t name_len;
	size_t line;        /* 1 is the first */
	size_t start, next; /* the whole line, with its end, in the text */
	size_t value, len;  /* the value, in the text */
};
bool kernelimg_next(const char *text, size_t len, struct kernelimg_setting *s);
bool kernelimg_is(const struct kernelimg_setting *s, const char *name);

#endif
