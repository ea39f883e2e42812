/*
 * words.h - the plan's kernel parameters in a text that somebody else wrote; for plan/ only
 *
 * The text keeps its words and their spacing, but for those that the plan drops (for PV only, or with another value than the plan's); what it
 * lacks is added. A word with quotes, dollars or backslashes is not understood and stays.
 */
#ifndef P2H_PLAN_WORDS_H
#define P2H_PLAN_WORDS_H

#include "plan/planner.h"

/* What a text, or several that make one command line together, say. Zero-initialised: nothing. */
struct words {
	struct strlist all; /* but those that are dropped; consoles, even those */
};
void words_done(struct words *w);
void words_look(const struct planner *p, struct words *w, const char *text, size_t len);

/* The text without what the plan drops. seen: all texts of this command line. */
void words_filter(const struct planner *p, const struct words *seen, const char *text, size_t len, struct buf *out);
/* What the plan has and none of the texts says, a blank in front of each; only words that every boot loader takes as they are. */
void words_missing(const struct planner *p, const struct words *seen, struct buf *out);

/* A whole command line: root= by UUID, the rest filtered, what is missing at its end; also: what need not be added, or NULL. */
void words_line(const struct planner *p, const char *text, size_t len, const struct words *also, struct buf *out);

/* Is it a word that needs no quotes in a shell or a boot loader's menu? */
bool word_is_plain(const char *word, size_t len);

#endif
