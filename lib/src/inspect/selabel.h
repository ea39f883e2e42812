/* selabel.h - which label the guest's own policy gives a path: libselinux's look-up, on a copy of the guest's texts */
#ifndef P2H_INSPECT_SELABEL_H
#define P2H_INSPECT_SELABEL_H

#include "base/buf.h"
#include "base/error.h"
#include "inspect/facts_selinux.h"

struct selabel_path {
	const char *path; /* with every directory's link resolved */
	unsigned mode;    /* S_IFMT bits */
};

/*
 * One label for each path, appended to ret, "" where the policy gives none. The expressions are the guest's and may be made to take for ever:
 * the look-up runs in a child with so many seconds of processor time, and 1 GiB of memory. P2H_UNSUPPORTED: it did not come to an end, or
 * the texts cannot be read, or a label is none. The host's policy and whether SELinux works here make no difference.
 */
int selabel_find(const struct facts_selinux *s, const struct selabel_path *path, size_t paths, unsigned seconds, struct strlist *ret,
		 struct p2h_error *err);

#endif
