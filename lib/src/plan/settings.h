/*
 * settings.h - kernel parameters in files of shell assignments such as /etc/default/grub; for plan/ only
 *
 * A line that is not one assignment of a plain or quoted value (an expression, a value over several lines) is left as it is.
 */
#ifndef P2H_PLAN_SETTINGS_H
#define P2H_PLAN_SETTINGS_H

#include "plan/planner.h"

/* NAME=value on one line. */
struct setting {
	size_t value, len; /* place of the value in the line, quotes not counted */
	char quote;        /* '"', '\'' or 0 */
	bool simple;       /* the value is understood */
	bool adds;         /* the value starts from the variable's own: NAME="$NAME ..." */
};
bool setting_read(const struct line *l, const char *name, struct setting *ret);

/*
 * Variables that make one command line together, set in files that are read one after the other. What the plan's command line has and they
 * do not is added to the last assignment of name[0], or as a line at the end of the first file.
 */
struct settings {
	const char *const *file;
	size_t files;
	const char *const *name;
	size_t names;
};
/* Is the variable set in the file, to a value that is understood and starts so? start NULL: to whatever. */
bool setting_stands(struct planner *p, const char *file, const char *name, const char *start);

/* NAME=value: in every plain assignment of it, or as a line at the end. The value may have no quote and needs none but for '>'. */
void setting_put(struct planner *p, const char *file, const char *name, const char *value, const char *reason);

void settings_edit(struct planner *p, const struct settings *s, const char *reason);

#endif
