/* facts_kernel.h - the guest's modprobe, and the kernel tree as that modprobe can read it */
#ifndef P2H_INSPECT_FACTS_KERNEL_H
#define P2H_INSPECT_FACTS_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum modprobe_kind { MODPROBE_NONE, MODPROBE_UNKNOWN, MODPROBE_BUSYBOX, MODPROBE_MODULE_INIT_TOOLS, MODPROBE_KMOD };

/* What loads modules in the guest. */
struct facts_modprobe {
	enum modprobe_kind kind;
	const char *path;        /* with links resolved, "" if there is none */
	const char *library;     /* libkmod, by which udev and systemd load modules; "" if none */
	bool xz, zst, gz;        /* reads such modules; all true where that cannot be told */
	bool absolute_paths;     /* looks modules up in modules.dep as text, with whole paths */
};

/* The kernel tree to be taken: what it costs in the guest's own block size. */
struct facts_tree {
	uint64_t files, directories, links;
	uint64_t bytes;       /* of file content */
	uint64_t blocks;      /* of the guest's root file system, directories and mapping blocks included */
	bool present;         /* the guest has the same tree already: names, sizes, modes and times agree */
};

/* A packed module of the donor. */
struct facts_packed {
	const char *path;     /* relative to the modules directory */
	uint64_t size;        /* unpacked */
};

/* The donor's modules stored so that the guest's modprobe reads them. */
struct facts_readable {
	bool differs;                /* from how the donor has them; nothing below is filled otherwise */
	const char *packing[4];      /* "xz", "zst", "gz": what has to be unpacked; ends with NULL */
	struct facts_packed *packed; /* sorted by path */
	size_t packed_len;
	const char *problem;         /* one of them cannot be unpacked; else "" */
	const char *dep, *dep_bin;   /* modules.dep and its index for them */
	size_t dep_len, dep_bin_len;
	struct facts_tree tree;
};

#endif
