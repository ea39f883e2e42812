/*
 * facts.h - everything the plan needs to know of guest, donor and host tools, as plain data
 *
 * Filled by inspect/, read by plan/ and report/. Nothing in it points into an image; strings belong to the arena and are
 * never NULL unless said so.
 */
#ifndef P2H_INSPECT_FACTS_H
#define P2H_INSPECT_FACTS_H

#include "base/arena.h"
#include "inspect/facts_abi.h"
#include "inspect/facts_firmware.h"
#include "inspect/facts_foreign.h"
#include "inspect/facts_initramfs.h"
#include "inspect/facts_kernel.h"
#include "inspect/facts_lasting.h"
#include "inspect/facts_nodes.h"
#include "inspect/facts_offer.h"
#include "inspect/facts_security.h"
#include "inspect/facts_selinux.h"
#include "inspect/guest.h"

enum init_kind { INIT_UNKNOWN, INIT_SYSTEMD, INIT_UPSTART, INIT_SYSVINIT, INIT_BUSYBOX };

/* A small file that rules look at. */
struct facts_file {
	const char *path;
	bool is_link;
	const char *target; /* of a link, else "" */
	const char *text;   /* of a regular file (also behind a link), with a NUL behind it; "" if unreadable */
	size_t len;
	uint32_t mode;      /* permission bits */
	bool too_large;     /* was not read, which is only done where rules just look at the text */
};

struct facts_kernel {
	const char *release;
	const char *image;      /* /boot/vmlinuz-... */
	const char *config;     /* "" if absent, as the following ones */
	const char *system_map;
	const char *initrd;
	const char *modules;    /* directory with every link resolved */
	bool hvm;               /* a BIOS boot loader can start it and it is no PV-only kernel */
	bool is_64bit;
	const char *why_not;    /* when !hvm */
};

struct facts_kernels {
	struct facts_kernel *item;
	size_t len;
};

struct facts_donor {
	bool given;
	const char *name;           /* as the user named it */
	const char *os_name;
	struct facts_kernels kernels;
	struct facts_kernel chosen; /* release "" when none fits; why_not says why */
	bool from_guest;            /* --kernel guest */
	struct facts_tree boot, modules;
	struct facts_readable readable;
	struct facts_initramfs initramfs; /* chosen's */
	struct facts_firmware firmware;
	const char *config;         /* chosen's configuration, a text; "" when it has none: ask with donor_config */
	size_t config_len;
};

/* What GRUB 2 on this host gives, made for this guest. */
struct facts_host {
	const char *grub_version;
	const char *platform_dir;    /* of the host: .../i386-pc */
	struct strlist platform;     /* names of the files to be copied */
	uint64_t platform_blocks;
	const uint8_t *boot_img;     /* 512 bytes */
	const uint8_t *core;         /* padded to whole sectors */
	size_t core_len;
};

/* A line of fstab whose device is a volume of the guest. */
struct facts_mount {
	const char *path;
	unsigned number; /* the volume's */
};

/* What was found of a volume before anything was read (a journal that was not replayed, damage), and done about it. */
struct facts_recovery {
	unsigned number;
	bool needs_recovery, has_errors; /* as found */
	bool checked, damaged;           /* e2fsck has looked at all of it, and finds errors */
	bool replayed, repaired;
	const char *words;               /* e2fsck's, on what could not be done or what was repaired; "" if none */
};

/* What boots today. */
struct facts_boot {
	const char *sector0;      /* "empty", "GRUB 2", "GRUB legacy", "unknown boot code" */
	bool current;             /* boot sector, core image, platform directory are what would be written */
	uint64_t gap_sectors;     /* free sectors from sector 1 to the first partition, 0 without a table */
	uint64_t bios_boot_off, bios_boot_len; /* GPT BIOS boot partition, bytes; 0 if none */
};

struct facts {
	struct arena arena;
	const char *source, *format; /* as the user named it; QEMU's name */
	uint64_t disk_size;
	struct volumes volumes;
	unsigned root_number, boot_number;
	const char *root_uuid, *root_label, *root_type;
	const struct volume *root_volume, *boot_volume, *usr_volume; /* of `volumes` */
	const char *root_subvolume;  /* btrfs: from the top of its volume, "" elsewhere */
	bool root_is_default;        /* btrfs: a mount without subvol= gives the root */
	const char *boot_uuid;
	const char *boot_type;       /* libblkid's TYPE */
	const char *boot_prefix;     /* of GRUB inside boot's file system: "/boot/grub", "/grub", "/@/boot/grub" */
	const char *boot_path;       /* prefix of kernel paths inside boot's file system: "/boot", "", "/@/boot" */
	unsigned luks_version;       /* of the encrypted volume that holds /boot; 0: none, or it lies in layers itself */
	struct fs_space space, boot_space;
	uint32_t block_size, inode_size;
	struct strlist features;
	bool needs_recovery, has_errors, not_clean; /* the root, as the source has it */
	bool checked, damaged;       /* e2fsck has looked at all of the root, and finds errors (marked or not) */
	struct facts_recovery *recovery;
	size_t recoveries;
	int64_t clock;               /* when the root file system was last written: the time that changes get */
	struct strlist unmounted;
	struct facts_mount *mount;   /* "/" first, then as in fstab */
	size_t mounts;

	const char *os_id, *os_version, *os_name;
	enum init_kind init;
	const char *init_path;
	unsigned systemd_version;    /* 0 if unknown or another init */
	bool mount_knows_nofail;
	bool fstab_knows_timeout;    /* x-systemd.device-timeout=, which older systemd hands on to mount, and mount to the kernel */
	unsigned bits;               /* of /sbin/init: 32, 64, 0 unknown */
	bool has_udev, has_run;      /* has_run: a directory /run */
	struct facts_abi abi;
	struct facts_nodes nodes[NODES_PLACES];
	struct facts_modprobe modprobe;
	struct facts_foreign *foreign; /* in the order in which they were found */
	size_t foreigns;
	struct facts_file *file;     /* sorted by path */
	size_t files;
	struct facts_kernels kernels;
	struct facts_boot boot;
	struct facts_lasting lasting;
	bool can_shift;              /* in place: the source is a regular file whose file system has INSERT_RANGE */
	struct strlist services;     /* what starts at boot: names of init scripts and of systemd's services, sorted */
	struct facts_security security;
	struct facts_cloudinit cloudinit;
	struct facts_selinux selinux;
	struct facts_mentions mentions;
	struct facts_donor donor;
	struct facts_offer offer;    /* of the donor's chosen kernel */
	struct facts_host host;
};

/*
 * Reads guest and donor (NULL: none) and builds the core image with the host's grub-mkimage (not when donor is NULL and the kernel is
 * not the guest's: then only the guest is described). The guest may be read-only.
 */
int facts_read(struct guest *guest, const char *source_name, struct guest *donor, const char *donor_name,
	       const char *kernel, struct facts *ret, struct p2h_error *err);
void facts_done(struct facts *f);

const struct facts_file *facts_file(const struct facts *f, const char *path); /* NULL if absent */
const char *init_name(enum init_kind kind);
/* Is a kernel release ("5.10.0-8-amd64") older than that version? false where it does not begin with one. */
bool release_before(const char *release, unsigned major, unsigned minor);
/* CONFIG_name of the chosen kernel: as kconfig_get, '?' when its configuration is not known. */
char donor_config(const struct facts_donor *d, const char *name);
/* Does it say "# CONFIG_name is not set"? An option that a kernel does not know, or no longer, is not mentioned at all. */
bool donor_config_off(const struct facts_donor *d, const char *name);

/* UNKNOWN: it is no module, and neither modules.builtin nor a configuration says whether it is built in. */
enum offer { OFFER_NO, OFFER_UNKNOWN, OFFER_MODULE, OFFER_BUILTIN };
/* The chosen kernel's module, by name or alias; config: the option that builds it in, without "CONFIG_", or NULL. */
enum offer donor_offers(const struct facts *f, const char *module, const char *config);

#endif
