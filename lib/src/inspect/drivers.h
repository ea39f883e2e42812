/* drivers.h - what each target needs before the root file system is there */
#ifndef P2H_INSPECT_DRIVERS_H
#define P2H_INSPECT_DRIVERS_H

#include "fs/fs.h"
#include "parse/initramfs.h"
#include "parse/kmodules.h"
#include "volume/volume.h"

#define DRIVERS_TARGETS 3
extern const char *const drivers_target_name[DRIVERS_TARGETS]; /* "xen-hvm", "nitro", "kvm" */

/* One of depmod's files in a modules directory, of at most so many bytes, into ret; absent: nothing. */
#define KERNEL_INDEX_MAX (16 * 1024 * 1024u)
int kernel_index_read(struct fs *fs, const char *dir, const char *name, struct buf *ret, struct p2h_error *err);

/* What is known of a kernel: its modules.dep, what is built in, its configuration. */
struct kernel_drivers {
	struct kmodules dep;
	struct strlist builtin;
	struct buf dep_text, config;
};
/* modules: the kernel's modules directory in fs, "" if none; config: path of its configuration, "" if absent. */
int kernel_drivers_load(struct fs *fs, const char *modules, const char *config, struct kernel_drivers *ret, struct p2h_error *err);
void kernel_drivers_done(struct kernel_drivers *k);

/* A module's file, path as in modules.dep, unpacked where asked for; appended to *ret. More than max bytes: P2H_UNSUPPORTED. */
int kernel_module_read(struct fs *fs, const char *modules, const char *path, bool unpack, size_t max, struct buf *ret, struct p2h_error *err);

/* Is the module there before the root is mounted? initramfs: NULL for none. */
bool driver_ready(const struct kernel_drivers *k, const struct initramfs *initramfs, const char *module);

/* The root, as far as drivers are concerned. */
struct drivers_root {
	const char *type;               /* of its file system */
	const struct strlist *features; /* likewise */
	const struct volume *volume;    /* for its layers; NULL: none */
	const struct volume *usr;       /* /usr, which an initramfs mounts with the root; NULL, or the same: no volume of its own */
};

/*
 * Appends to missing what a target (index into drivers_target_name) needs and neither the initramfs (NULL: there is none) nor the kernel has:
 * the disk driver with the modules it depends on, what the root's layers need, and its file system.
 */
int drivers_missing(const struct kernel_drivers *k, const struct initramfs *initramfs, size_t target, const struct drivers_root *root,
		    struct strlist *missing, struct p2h_error *err);

/* The network card's driver, by target; config: the option that builds it in, without "CONFIG_". */
struct network_driver {
	const char *module, *config;
};
extern const struct network_driver drivers_network[DRIVERS_TARGETS];

/* Appends the names of the disk, network and root file system drivers of a target, whether they are modules or not. */
int drivers_used(size_t target, const char *root_type, struct strlist *ret, struct p2h_error *err);

#endif
