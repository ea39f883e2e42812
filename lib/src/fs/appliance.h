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
	void (*starting)(void *arg); /* called before the start, which takes seconds; may be NULL */
	void *arg;
};

/* Loads nothing yet. */
int appliance_new(const struct appliance_options *options, struct appliance **ret, struct p2h_error *err);
/* Unmounts and ends it; every file system on it must have been closed. NULL is allowed. */
void appliance_close(struct appliance *a);
/* What it said so far (at most the last 256 KiB), for whoever looks for a fault; "" if it was not started. Lives until the next call. */
const char *appliance_log(struct appliance *a);

/*
 * One more drive, of the size that d has; d is borrowed, must be writable and is written to (a journal is replayed where a file system is only read):
 * give a transaction. The drive belongs to the appliance.
 */
int appliance_add(struct appliance *a, struct disk *d, struct appliance_drive **ret, struct p2h_error *err);
/*
 * From now on the drive is [off, off + its size) of another disk, with the same content at the moment: a transaction that takes the place of another.
 * Nothing on it may be open for writing. What is open for reading stays, and reads the new disk.
 */
int appliance_show(struct appliance_drive *drive, struct disk *d, uint64_t off, struct p2h_error *err);

/*
 * The file system of a partition (0: of the whole drive) with the appliance's kernel. Several may have it open; what one writes (FS_WRITE, one at a
 * time) the others see. Errors: P2H_TOOL, the module, libguestfs or its appliance is not there or does not start (the message says
 * what to install); P2H_UNSUPPORTED, the appliance's kernel cannot mount it.
 */
int fs_guestfs_open(struct appliance_drive *drive, unsigned number, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err);

#endif
