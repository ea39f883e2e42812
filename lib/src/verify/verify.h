/*
 * verify.h - would this image boot as HVM through a BIOS? Read statically, step by step, the way the machine would go
 *
 * sector 0 -> core image -> grub.cfg -> kernel -> initramfs has the target's drivers -> root= -> init runs on that kernel -> fstab -> console
 * -> modules -> network names. Each step says pass or fail with its evidence; a step that cannot be judged because an earlier one failed is
 * `skip`, one that does not stop the boot is `warn`.
 */
#ifndef P2H_VERIFY_VERIFY_H
#define P2H_VERIFY_VERIFY_H

#include "disk/disk.h"

#define TARGET_XEN_HVM P2H_TARGET_XEN_HVM
#define TARGET_NITRO P2H_TARGET_NITRO
#define TARGET_KVM P2H_TARGET_KVM

enum verify_result { VERIFY_PASS, VERIFY_FAIL, VERIFY_WARN, VERIFY_SKIP };

struct verify_step {
	const char *id;   /* stable: "boot-sector", "partition-table", "core-image", "core-modules", "core-config", "grub-cfg", "kernel", "kernel-arch",
	                     "initramfs", "initramfs-drivers", "root", "file-system", "init", "libc", "fstab", "console", "modules", "network", ... */
	const char *what; /* one phrase: what the step looks at */
	enum verify_result result;
	char *evidence;   /* one line */
};
struct verify_report {
	struct verify_step *item;
	size_t len;
	bool passed;      /* no step failed */
	char *kernel;     /* release that boots by default, "" if unknown */
	char *cmdline;    /* its command line, "" if unknown */
	char *root_uuid;  /* "" if unknown */
};

/* root_number as for guest_open. A result "would not boot" is not an error: 0 is returned and passed is false. */
int verify_disk(struct disk *d, int root_number, unsigned targets, struct verify_report *ret, struct p2h_error *err);

/* The same; an initramfs of the very bytes that `known` (may be NULL) was parsed from is not unpacked once more. */
struct initramfs;
int verify_disk_knowing(struct disk *d, int root_number, unsigned targets, const struct initramfs *known, struct verify_report *ret,
			struct p2h_error *err);
void verify_report_done(struct verify_report *r);

#endif
