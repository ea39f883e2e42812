/* diff.h - unified diffs of text files */
#ifndef P2H_REPORT_DIFF_H
#define P2H_REPORT_DIFF_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Appends the unified diff of a file (its path in the guest) with three lines of context; nothing when the two are equal. before NULL: the
 * file is new; after NULL: it is removed ("/dev/null"). Lines are escaped as by escape_append. The script is the shortest one, unless the two
 * differ so much that looking for it costs too much: then everything between their common first and last lines is replaced.
 */
int diff_unified(const char *path, const char *before, size_t before_len, const char *after, size_t after_len,
		 struct buf *ret, struct p2h_error *err);

#endif
