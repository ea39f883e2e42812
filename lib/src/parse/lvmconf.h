/* lvmconf.h - lvm.conf(5): the patterns of devices/filter and devices/global_filter, with their places in the text */
#ifndef P2H_PARSE_LVMCONF_H
#define P2H_PARSE_LVMCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct lvm_pattern {
	size_t off, len; /* in the text, with its quotes */
	bool accept; /* "a|...|", else "r|...|" */
	char *regex; /* between the delimiters; NULL: it is neither, or has backslashes */
};

/* One assignment of one of both. A string by itself is a list of one; commands take the first assignment of a key. */
struct lvm_filter {
	size_t line; /* 1 is the first */
	struct lvm_pattern *item;
	size_t len, cap;
};

struct lvmconf {
	struct lvm_filter *item;
	size_t len, cap;
};

int lvmconf_parse(const char *text, size_t len, struct lvmconf *ret, struct p2h_error *err);
void lvmconf_done(struct lvmconf *c);

#endif
