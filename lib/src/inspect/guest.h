/*
 * guest.h - an image opened as a Linux system: its root file system with the others of the image mounted on it
 *
 * Used by inspect (source and donor), by apply and by verify (the result).
 */
#ifndef P2H_INSPECT_GUEST_H
#define P2H_INSPECT_GUEST_H

#include "fs/fs.h"
#include "volume/volume.h"

struct guest {
	struct disk *disk;          /* the machine's first, borrowed; NULL for a directory */
	struct volumes volumes;     /* empty for a directory */
	unsigned root_number;       /* number of the volume that holds the root */
	unsigned boot_number;       /* of the one that holds /boot; often the same */
	unsigned usr_number;        /* of the one that holds /usr, likewise */
	char *root_subvolume;       /* btrfs: the root's path from the top of its volume; NULL: no btrfs */
	bool root_is_default;       /* btrfs: that subvolume is what a mount without subvol= gives */
	char *boot_subvolume;       /* likewise of /boot, where that is a file system or subvolume of its own */
	bool layers_known;          /* volumes has what lies in layers */
	struct strlist mounts;      /* mount points of the other volumes that were mounted */
	struct strlist unmounted;   /* "/var on 3 (xfs)": in fstab and in the image, but not readable by an engine here */
	struct strlist candidates;  /* "1: ext4, Debian GNU/Linux 11": every volume that looks like a root */
	struct disk **slice;        /* one per volume opened */
	size_t slices;
	struct fs *fs;              /* the whole tree */
};

#define GUEST_WRITE 1u /* open for change: file systems must be clean */
#define GUEST_DONOR 2u /* /boot and /lib/modules are enough to be a root */

/*
 * d with the disks behind it is the machine. Finds the root file system by content: /etc/fstab, /sbin/init (or its link), /lib/modules. root_number -1: the only one that
 * fits, P2H_REFUSED with the list when several do. P2H_UNSUPPORTED names a file system that no engine reads; P2H_NOTFOUND: no
 * Linux root inside. now: the clock for changes, see fs_ext_open.
 */
int guest_open(struct disk *d, int root_number, unsigned flags, int64_t now, struct guest **ret, struct p2h_error *err);
int guest_open_dir(const char *host_path, struct guest **ret, struct p2h_error *err);
/* Writes out what is pending. g is gone also when it fails. NULL is allowed. */
int guest_close(struct guest *g, struct p2h_error *err);
void cleanup_guest(struct guest **g);
#define CLEANUP_GUEST __attribute__((cleanup(cleanup_guest)))

const struct volume *guest_root_volume(const struct guest *g); /* NULL for a directory */

/* Does libguestfs' appliance read this volume of the guest? */
bool guest_in_appliance(const struct guest *g, const struct volume *v);
/* One of its volumes alone, for reading, as GRUB sees it: a btrfs from its top. */
int guest_open_top(struct guest *g, const struct volume *v, struct fs **ret, struct p2h_error *err);

/* File systems' own free space on one of its disks (see struct volume), as ranges of it; what lies in no known file system counts as used. */
int guest_free_ranges(struct guest *g, unsigned disk, struct ranges *ret, struct p2h_error *err);

#endif
