/* fstab.h - fstab(5): fields with their places in the text, so that an edit leaves every other byte alone */
#ifndef P2H_PARSE_FSTAB_H
#define P2H_PARSE_FSTAB_H

#include "base/buf.h"
#include "base/error.h"

enum fstab_field { FSTAB_SPEC, FSTAB_FILE, FSTAB_TYPE, FSTAB_OPTIONS, FSTAB_FREQ, FSTAB_PASSNO, FSTAB_FIELDS };

struct fstab_entry {
	size_t line;                  /* 1 is the first */
	size_t off[FSTAB_FIELDS];     /* place of each field in the text; a missing field has len 0 and off where it would go */
	size_t len[FSTAB_FIELDS];
	char *text[FSTAB_FIELDS];     /* \040 and friends decoded; freq and passno "0" when missing, options "defaults" */
};

/* Comments, blank lines and lines with fewer than 3 fields are not entries (the latter are counted in `odd`). CRLF is white space. */
struct fstab {
	struct fstab_entry *item;
	size_t len, odd;
};

int fstab_parse(const char *text, size_t len, struct fstab *ret, struct p2h_error *err);
void fstab_done(struct fstab *f);
bool fstab_has_option(const char *options, const char *name); /* "nofail" in "rw,nofail"; name of "name=value" too */

/*
 * One changed field. fstab_edit writes the text with the edits (sorted by place by the function) applied; the values are encoded
 * (space -> \040). Fields that were missing (freq, passno, options) are appended with the ones before them filled.
 */
struct fstab_change {
	size_t entry; /* index into fstab.item */
	enum fstab_field field;
	const char *value;
};
int fstab_edit(const char *text, size_t len, const struct fstab *f, const struct fstab_change *change, size_t changes,
	       struct buf *ret, struct p2h_error *err);

#endif
