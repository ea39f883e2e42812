/* parts.h - the parts of facts_read, one a concern; for inspect/ only */
#ifndef P2H_INSPECT_PARTS_H
#define P2H_INSPECT_PARTS_H

#include "inspect/facts.h"
#include "inspect/modprobe.h"

/* files.c: the files that rules look at. */
int read_files(struct fs *fs, struct facts *f, struct p2h_error *err);
/* One more, which may be as large as limit; a larger one is left out. After read_files. */
int add_large_file(struct fs *fs, struct facts *f, const char *path, size_t limit, struct p2h_error *err);

/* lasting.c: packages, links and tools that change boot files later. */
int read_lasting(struct fs *fs, struct facts *f, struct p2h_error *err);

/* system.c: distribution, init, width of the userland. */
int read_system(struct fs *fs, struct facts *f, struct p2h_error *err);
/* Does one of these programs (the last is NULL) hold the word as a string? */
bool program_knows(struct fs *fs, const char *const *path, const char *word);

/* services.c: what starts at boot. */
int read_services(struct fs *fs, struct facts *f, struct p2h_error *err);

/* security.c: firewall, AppArmor, cloud-init. */
int read_security(struct fs *fs, struct facts *f, struct p2h_error *err);

/* selinux.c: mode and policy. */
int read_selinux(struct fs *fs, struct facts *f, struct p2h_error *err);

/* mentions.c: disks named in scripts and settings. */
int read_mentions(struct fs *fs, struct facts *f, struct p2h_error *err);

/* offer.c: what a kernel offers. */
int read_offer(struct fs *fs, const struct facts_kernel *k, struct facts *f, struct p2h_error *err);

/* abi.c: the C library, and what programs want of a kernel; after read_system. */
int read_abi(struct fs *fs, struct facts *f, struct p2h_error *err);

/* nodes.c: device nodes on the disk. */
int read_nodes(struct fs *fs, struct facts *f, struct p2h_error *err);

/* kernels.c: every kernel in /boot, newest first. */
int read_kernels(struct fs *fs, struct arena *a, struct facts_kernels *ret, struct p2h_error *err);

/* foreign.c: modules that did not come with the guest's kernels. */
int read_foreign(struct fs *fs, struct facts *f, struct p2h_error *err);

/* readable.c: what of the donor's modules the guest's modprobe cannot read, and what it would read instead. */
int read_readable(struct fs *donor, const char *modules, const char *release, const struct facts_modprobe *modprobe, struct arena *a,
		  struct facts_readable *ret, struct p2h_error *err);

/* count.c: the chosen kernel's files in /boot and its modules, as they are and as the guest can read them. */
int count_trees(struct guest *guest, struct guest *donor, struct facts *f, struct p2h_error *err);

/* donor.c: the chosen kernel, its tree and its initramfs. */
int read_donor(struct guest *guest, struct guest *donor, const char *kernel, struct facts *f, struct p2h_error *err);

/* initramfs.c: that of the kernel chosen, a file of fs ("": it has none); the kernel's modules are in another tree where the guest has the initramfs already. */
int read_initramfs(struct fs *fs, struct fs *modules, const char *path, struct facts *f, struct p2h_error *err);

/* firmware.c: what the targets' drivers ask for, in the donor and in the guest. */
int read_firmware(struct fs *guest, struct fs *donor, struct facts *f, struct p2h_error *err);

/* bootloader.c: the host's GRUB made for this guest, and what boots the guest today. */
int read_bootloader(struct guest *guest, struct facts *f, bool make_core, struct p2h_error *err);

#endif
