/* drivers.h - what each target needs before the root file system is there */
#ifndef P2H_INSPECT_DRIVERS_H
#define P2H_INSPECT_DRIVERS_H

#include "fs/fs.h"
#include "parse/initramfs.h"

#define DRIVERS_TARGETS 3
extern const char *const drivers_target_name[DRIVERS_TARGETS]; /* "xen-hvm", "nitro", "kvm" */

/*
 * Appends to missing what a target (index into drivers_target_name) needs and neither the initramfs (NULL: there is none) nor the kernel has:
 * the disk driver with the modules it depends on, and the root's file system. modules: the kernel's modules directory in fs;
 * config: path of its configuration, "" if absent.
 */
int drivers_missing(struct fs *fs, const char *modules, const char *config, const struct initramfs *initramfs, size_t target,
		    const char *root_type, struct strlist *missing, struct p2h_error *err);

#endif
