/*
 * appliance.h - libguestfs' appliance: a small virtual machine that reads what libext2fs cannot (XFS, btrfs, ...)
 *
 * Its drives are disks of ours, offered to it by NBD: what it writes comes into the transaction that a drive shows. It starts when a file
 * system is opened first, once; all drives must have been added by then.
 */
#ifndef P2H_FS_APPLIANCE_H
#define P2H_FS_APPLIANCE_H

#include "fs/fs.h"

struct appliance;
struct appliance_drive;

struct appliance_options {
	const char *module; /* the shared object; NULL: libpv2hvm-guestfs.so where the dynamic loader looks */
	bool all; /* it is to read ext file systems too */
	const char *const *keys; /* of encrypted volumes: "NAME:key:PASSPHRASE" or "NAME:file:FILE"; NAME: UUID, device, or "all". NULL at the end; may be NULL */
	void (*starting)(void *arg); /* called before the start, which takes seconds; may be NULL */
	void (*log)(void *arg, const char *text, size_t len); /* what libguestfs and the appliance say, in pieces; may be NULL */
	void *arg;
};

/* Loads nothing yet. */
int appliance_new(const struct appliance_options *options, struct appliance **ret, struct p2h_error *err);
/* Unmounts and ends it; every file system on it must have been closed. NULL is allowed. */
void appliance_close(struct appliance *a);
/*
 * One more drive, of the size that d has; d is borrowed, must be writable and is written to (a journal is replayed where a file system is only read):
 * give a transaction. The drive belongs to the appliance.
 */
int appliance_add(struct appliance *a, struct disk *d, struct appliance_drive **ret, struct p2h_error *err);
/* The drive's volume of that number (0: the whole drive) is a member of a volume group or array, or encrypted. For appliance_mapped. */
int appliance_member(struct appliance_drive *drive, unsigned number, const char *uuid, struct p2h_error *err);
/* Is a volume with this content (libblkid's TYPE) for the appliance to read? */
bool appliance_takes(const struct appliance_options *options, const char *content);
bool appliance_drive_takes(const struct appliance_drive *drive, const char *content);
bool appliance_is_started(const struct appliance_drive *drive);

/*
 * From now on the drive is [off, off + its size) of another disk: a transaction that takes the place of another, with the same file systems in the same
 * places. Nothing on it may be open for writing (P2H_BUSY). What is open for reading stays, and reads the new disk.
 */
int appliance_show(struct appliance_drive *drive, struct disk *d, uint64_t off, struct p2h_error *err);

/* What lies on a drive in layers (arrays, volume groups, encrypted volumes), or holds another layer. */
struct appliance_mapped {
	char device[128];  /* in the appliance */
	char name[128];    /* in the guest, as far as that can be told from the layers themselves: "/dev/vg0/root", "/dev/md0" */
	char luks[40];     /* UUID of the encrypted volume below it, "" if there is none */
	bool lvm, encrypted; /* what lies between it and the drive */
	char raid[16];     /* likewise: "raid1", "" for no array */
	unsigned missing;  /* devices of that array that no drive has */
	char type[32], uuid[40], label[256]; /* libblkid's; "" if it has none */
	uint64_t size;     /* bytes */
};
/*
 * Assembles arrays, activates volume groups and unlocks what there are keys for, once; *ret is what lies on this drive, sorted by device, to be freed.
 * Errors as of fs_guestfs_open; P2H_USAGE: a key that is malformed, or does not fit the volume that it names.
 */
int appliance_mapped(struct appliance_drive *drive, struct appliance_mapped **ret, size_t *ret_len, struct p2h_error *err);

/* Where a file system lies. */
struct appliance_place {
	unsigned number;       /* of a partition; 0: on the drive as a whole */
	const char *device;    /* not NULL, not "": a struct appliance_mapped's device instead */
	const char *subvolume; /* of a btrfs, from its top; NULL: the one that is mounted by default */
};
/* Paths of a btrfs' subvolumes from its top, sorted, and which is mounted by default ("": the top itself); *ret_default is to be freed. */
int appliance_subvolumes(struct appliance_drive *drive, const struct appliance_place *place, struct strlist *ret, char **ret_default,
			 struct p2h_error *err);

/*
 * A file system with the appliance's kernel. Several may have it open; what one writes (FS_WRITE, one at a time) the others see. Errors: P2H_TOOL, the
 * module, libguestfs or its appliance is not there or does not start (the message says what to install); P2H_UNSUPPORTED, the appliance's kernel cannot
 * mount it.
 */
int fs_guestfs_open(struct appliance_drive *drive, const struct appliance_place *place, unsigned flags, int64_t now, struct fs **ret,
		    struct p2h_error *err);

#endif
