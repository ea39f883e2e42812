/* facts_initramfs.h - the initramfs of the kernel that is to boot: what it holds, what it lacks, what could be appended; part of facts.h */
#ifndef P2H_INSPECT_FACTS_INITRAMFS_H
#define P2H_INSPECT_FACTS_INITRAMFS_H

#include "parse/initramfs.h"

/* A module that can be added, as it would be stored in the archive. */
struct facts_module {
	const char *name;
	const char *path;    /* in the archive, relative to its modules directory */
	const char *needed;  /* the driver that it is needed for; its own name for a driver */
	const void *data;
	size_t len;
	unsigned targets;    /* bits P2H_TARGET_... */
};

struct facts_initramfs {
	bool none;                 /* the kernel has none: all that it needs before the root is mounted has to be built in */
	bool read;                 /* it was understood; else `error` */
	const char *error;
	const char *kind;          /* "initramfs-tools", "dracut", ... */
	struct initramfs holds;
	bool extended;             /* this is the guest's copy: the donor's bytes, and archives that an earlier conversion appended */
	struct strlist missing[3]; /* drivers that neither initramfs nor kernel has: by target xen-hvm, nitro, kvm; filled for `none` too */
	const char *sealed;        /* why nothing can be appended to it, NULL: it can */
	const char *cannot[3];     /* by target: why what is missing cannot be added, NULL: it can */
	const char *modules_dir;   /* in the archive: "usr/lib/modules/6.1.0" */
	struct facts_module *module;
	size_t modules;
	const char *dep, *alias;   /* modules.dep and modules.alias of the tree, where something is missing, else "" */
};

#endif
