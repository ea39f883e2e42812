/*
 * grubscript.h - words and variables of GRUB 2's script language (GRUB manual, "Shell-like scripting"; grub-core/script/yylex.l)
 *
 * Nothing is executed here: grubcfg.c does what little is to be done.
 */
#ifndef P2H_PARSE_GRUBSCRIPT_H
#define P2H_PARSE_GRUBSCRIPT_H

#include "base/buf.h"
#include "base/error.h"

enum grubscript_token {
	GRUBSCRIPT_END,
	GRUBSCRIPT_WORD,
	GRUBSCRIPT_SEPARATOR, /* newline ; | & */
	GRUBSCRIPT_OPEN,      /* { */
	GRUBSCRIPT_CLOSE,     /* } */
};

/* A word as it is written, quotes and all; points into the text. */
struct grubscript_word {
	const char *at;
	size_t len, line;
};

/* A reader's place in the text; zero-initialised but for text, len and line = 1. */
struct grubscript_reader {
	const char *text;
	size_t len, pos, line;
};
enum grubscript_token grubscript_next(struct grubscript_reader *r, struct grubscript_word *ret);

/*
 * Variables. A value of NULL is one that cannot be known from the file. `log` keeps what later settings replaced, so that those of
 * a menu entry end with it.
 */
struct grubscript_var {
	char *name, *value;
};
struct grubscript_vars {
	struct grubscript_var *item;
	size_t len, cap;
	struct grubscript_change {
		char *name, *old;
		bool was_set;
	} *log;
	size_t logged, log_cap;
};
int grubscript_set(struct grubscript_vars *v, const char *name, const char *value, struct p2h_error *err);
int grubscript_unset(struct grubscript_vars *v, const char *name, struct p2h_error *err);
/* Takes back all settings but the first `mark` of the log. */
int grubscript_undo(struct grubscript_vars *v, size_t mark, struct p2h_error *err);
/* NULL: unknown. A variable that was never set is "", as in GRUB, but for those that GRUB itself sets. */
const char *grubscript_get(const struct grubscript_vars *v, const char *name);
void grubscript_vars_done(struct grubscript_vars *v);

/*
 * The words that a written word stands for (none, one, or more if an unquoted variable holds blanks), appended to *ret. Unknown
 * variables are left as they are written, and *unknown becomes true. *spent counts the bytes of all expansions: over 64 MiB are
 * P2H_UNSUPPORTED, for a short text can stand for an endless one.
 */
int grubscript_expand(const struct grubscript_word *w, const struct grubscript_vars *v, size_t *spent, struct strlist *ret,
		      bool *unknown, struct p2h_error *err);

/* Adds to *spent and checks it. */
int grubscript_spend(size_t *spent, size_t bytes, struct p2h_error *err);

#endif
