/* facts_foreign.h - modules that somebody added to the guest's own kernels, and what loads them */
#ifndef P2H_INSPECT_FACTS_FOREIGN_H
#define P2H_INSPECT_FACTS_FOREIGN_H

#include <stddef.h>

struct facts_foreign {
	const char *name;    /* with '_' */
	const char *path;    /* of the file, in the first kernel that has it */
	const char *used_by; /* "/etc/init.d/drbd line 12, /etc/modules line 3"; "" if nothing that was looked at names it */
};

#endif
