/* facts_selinux.h - SELinux in the guest */
#ifndef P2H_INSPECT_FACTS_SELINUX_H
#define P2H_INSPECT_FACTS_SELINUX_H

#include <stdbool.h>
#include <stddef.h>

enum selinux_mode { SELINUX_OFF, SELINUX_PERMISSIVE, SELINUX_ENFORCING };

#define SELINUX_FILES 5

/* The texts that say which label a path has: file_contexts, and the same with these endings. */
extern const char *const selinux_ending[SELINUX_FILES]; /* "", ".homedirs", ".local", ".subs", ".subs_dist" */

struct facts_selinux {
	enum selinux_mode mode;     /* as /etc/selinux/config has it; OFF also where there is no policy */
	const char *type;           /* "targeted", "default"; "" if off */
	const char *contexts;       /* path of file_contexts */
	struct {
		const char *text;
		size_t len;
	} file[SELINUX_FILES];
	const char *unusable;       /* why labels cannot be looked up, NULL: they can */
};

#endif
