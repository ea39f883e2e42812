/*
 * context.h - what the steps of verify share; private to verify/
 *
 * The steps run in the order of the boot. Each reads what earlier ones found and adds its own findings here. A pointer that is NULL
 * or a flag that is false means "not known", never "not there".
 */
#ifndef P2H_VERIFY_CONTEXT_H
#define P2H_VERIFY_CONTEXT_H

#include "inspect/guest.h"
#include "parse/elf.h"
#include "parse/grubcfg.h"
#include "parse/grubimg.h"
#include "parse/initramfs.h"
#include "parse/kimage.h"
#include "parse/kmodules.h"
#include "verify/verify.h"

/* A file system as GRUB sees it: one volume, nothing mounted in it. */
struct grub_view {
	const struct volume *volume; /* NULL: not open */
	struct disk *slice;          /* NULL where libguestfs' appliance reads it */
	struct fs *fs;
};

enum init_kind { INIT_UNKNOWN, INIT_SYSTEMD, INIT_UPSTART, INIT_SYSV, INIT_BUSYBOX };

struct init_facts {
	bool found;           /* a program that the kernel can start is there; elf is filled */
	enum init_kind kind;
	char *path;           /* what is started, "/sbin/init" */
	char *real;           /* the program behind it, links resolved; NULL if there is none */
	struct elf_facts elf; /* of init, or of the interpreter when init is a script */
	char problem[256];    /* why found is false */
};

struct verify {
	struct disk *disk;
	unsigned targets;
	const struct initramfs *known; /* may be NULL */
	struct verify_report *report;
	bool nomem;
	uint64_t library_bytes;      /* read so far while looking for shared libraries */

	uint8_t sector[GRUB_SECTOR];
	struct volumes volumes;
	bool volumes_ok;
	struct p2h_error volumes_error;
	struct guest *guest;         /* NULL: no root tree found */
	const struct volume *root;   /* the volume of `volumes` that holds it */

	bool boot_sector_ok, core_ok, config_ok;
	struct buf core;
	struct grub_core image;
	struct grub_view grub;       /* what $prefix is on */
	char *prefix;                /* $prefix without its device */
	char *menu_path;             /* of grub.cfg on that view */

	struct grubcfg menu;
	const struct grubcfg_entry *entry; /* what boots by default */
	struct grub_view boot;       /* what the entry's paths are on */

	bool kernel_ok;
	struct kimage kernel;
	struct buf config;           /* kernel configuration; empty if not known */
	char *modules_dir;           /* /lib/modules/RELEASE */
	bool dep_ok, builtin_ok;
	struct kmodules modules;
	struct strlist builtin;

	bool initrd_given, initrd_ok;
	bool initrd_systemd;         /* runs systemd, which hands over to init */
	bool initrd_new_run;         /* and gives it a /run of its own */
	bool initrd_renames_net;     /* holds udev's rule for predictable interface names */
	struct strlist initrd_modules; /* sorted */
	struct strlist initrd_unlisted; /* of these, what modprobe does not find there */
	struct strlist initrd_programs; /* "lvm", "mdadm", ...: of those that put layers together, what it holds */
	struct strlist initrd_blocked; /* drivers that its modprobe does not load by themselves */

	struct init_facts init;
};

/*
 * What one step found. Start with {.v = v}. Findings are joined with "; ": failures first, then warnings; notes appear only where
 * there is neither. Many findings of a kind are cut with their number.
 */
struct judgement {
	struct verify *v;
	struct buf text[4];   /* by enum verify_result; VERIFY_PASS holds the notes */
	unsigned count[4];
};
void judge(struct judgement *j, enum verify_result result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* A failure with an error's message, or lack of memory, which ends the verification. */
void judge_error(struct judgement *j, const struct p2h_error *e, const char *what);
enum verify_result judgement_result(const struct judgement *j);
/* Adds the step to the report and empties j. */
void judgement_add(struct judgement *j, const char *id, const char *what);
/* One line for a step that cannot be judged. */
void verify_skip(struct verify *v, const char *id, const char *what, const char *why);

/* A release name read from a kernel image, safe as a path component. */
bool release_ok(const char *release);
/* Is the kernel that boots older than major.minor.patch? false if its release is not known. */
bool kernel_older(const struct verify *v, unsigned major, unsigned minor, unsigned patch);
/* CONFIG_name of the kernel that boots: as kconfig_get, '?' when its configuration is not known. */
char kernel_config(const struct verify *v, const char *name);

/* Value of the last NAME= on the kernel's command line, copied to buf; false if there is none. */
bool cmdline_get(const struct verify *v, const char *name, char *buf, size_t size);
bool cmdline_has(const struct verify *v, const char *word);
/* The parameter of it that keeps a module from being loaded; NULL if there is none. */
const char *cmdline_blocks(const struct verify *v, const char *module);

/* The text of a guest's file appended to ret; false if it is not there or cannot be read. */
bool guest_text(struct verify *v, const char *path, struct buf *ret);

/* How the machines name a disk. */
struct target_facts {
	unsigned target;
	const char *name, *disk, *separator; /* "nitro", "nvme0n1", "p" */
	const char *net;                     /* network driver */
};
#define TARGETS 3
extern const struct target_facts target_table[TARGETS];

enum device_fit {
	DEVICE_FITS,      /* names one volume of this image on every target */
	DEVICE_RENAMED,   /* a volume of this image, but under this name not on every target */
	DEVICE_AMBIGUOUS, /* several volumes answer to it */
	DEVICE_ABSENT,    /* nothing in this image */
	DEVICE_OPAQUE,    /* LVM, md, LUKS: cannot be told from outside */
};
/* spec: /dev/..., UUID=, LABEL=, PARTUUID=. why: one phrase for the evidence when it does not fit. */
enum device_fit device_find(const struct verify *v, const char *spec, const struct volume **ret, char *why, size_t size);

/* watch.c: passes reads on to `under` (borrowed) and the disks behind it, and keeps the first that failed in *first. */
int watch_open(struct disk *under, struct p2h_error *first, struct disk **ret, struct p2h_error *err);

/* core.c */
int grub_view_open(struct verify *v, const struct volume *volume, struct grub_view *ret, struct p2h_error *err);
void grub_view_close(struct grub_view *view);
/* The path with a slash in front; NULL: no memory (flagged). Owned by the caller. */
char *grub_path(struct verify *v, const char *path);
/* Can GRUB run a command of this module: is it in core or below $prefix? */
bool grub_has_module(struct verify *v, const char *name);

/* identity.c: what the initramfs still knows of the machine where it was made. */
void judge_identity(struct judgement *j, const struct initramfs *parsed);

/* modules.c */
void modules_load(struct verify *v);
bool module_builtin(const struct verify *v, const char *name);
/* Does this modprobe configuration keep a module from being loaded for its hardware: "blacklisted", ..., or NULL. */
const char *modprobe_blocks(const char *text, const char *module);
/* init.c */
void init_find(struct verify *v); /* once, when the command line is known */

/* libraries.c: the file of a shared library where the loader looks, owned by the caller; NULL if there is none of that class. */
char *library_find(struct verify *v, const char *soname, unsigned bits, struct elf_facts *ret);
/* Are all libraries there that init needs, and those that they need? */
void judge_libraries(struct judgement *j);

/* The steps, in order. */
void step_boot_sector(struct verify *v);
void step_partition_table(struct verify *v);
void step_core_image(struct verify *v);
void step_core_config(struct verify *v); /* core-modules and core-config */
void step_grub_cfg(struct verify *v);
void step_kernel(struct verify *v);
void step_kernel_arch(struct verify *v);
void step_initramfs(struct verify *v);
void step_initramfs_drivers(struct verify *v);
void step_root(struct verify *v);
void step_file_system(struct verify *v);
void step_init(struct verify *v);
void step_libc(struct verify *v);
void step_fstab(struct verify *v);
void step_console(struct verify *v);
void step_modules(struct verify *v);
void step_network_driver(struct verify *v);
void step_network(struct verify *v);

#endif
