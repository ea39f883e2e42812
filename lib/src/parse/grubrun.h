/* grubrun.h - the state of reading a grub.cfg, and the commands that are carried out in it (inner part of grubcfg.c) */
#ifndef P2H_PARSE_GRUBRUN_H
#define P2H_PARSE_GRUBRUN_H

#include "parse/grubcfg.h"
#include "parse/grubmenu.h"
#include "parse/grubscript.h"
#include "parse/grubtest.h"

#define GRUBRUN_MAX_DEPTH 64u

/* The last UUID searched for is kept as a variable, so that it ends with the menu entry; no sane script uses this name. */
#define GRUBRUN_UUID " uuid"

enum grubrun_kind { FRAME_IF, FRAME_LOOP, FRAME_GROUP, FRAME_SKIPPED, FRAME_SUBMENU, FRAME_ENTRY };

struct grubrun_frame {
	enum grubrun_kind kind;
	size_t line;         /* where it begins */
	bool outer_skip;     /* what skip was around it */
	bool taken;          /* if: an earlier branch is run for certain */
	size_t mark, parent; /* menus: state of the variables, the menu around */
};

struct grubrun {
	struct grubscript_reader reader;
	struct grubscript_vars vars;
	struct grubmenu menu;
	struct grubcfg g;
	size_t item_cap;
	struct grubscript_word *word; /* of the command at hand */
	size_t words, word_cap;
	struct grubrun_frame frame[GRUBRUN_MAX_DEPTH];
	size_t depth;
	bool skip;             /* read, but not run */
	bool negate, function; /* "!" or "function name" stands in front */
	enum grubtest status;  /* of the last command */
	size_t parent, entry;  /* the submenu and the entry we are in, or GRUBMENU_NONE */
	size_t spent, commands;
	const char *grubenv;
	struct p2h_error *err;
};

/* Not within a menu entry or a submenu, whose settings do not count for the menu itself. */
bool grubrun_is_top(const struct grubrun *p);
/* Replaces an owned text by a copy of value, and counts it as spent (see grubscript_expand). */
int grubrun_replace_text(struct grubrun *p, char **text, const char *value);
/* Runs one command: w holds its words (one at least) after expansion; unknown: some hold unknown variables. Sets p->status. */
int grubrun_command(struct grubrun *p, const struct strlist *w, bool unknown);
/* Carries out "name=value". */
int grubrun_assign(struct grubrun *p, const char *assignment, bool unknown);

#endif
