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
/* Is a volume with this content (libblkid's TYPE) for the appliance to read? */
bool appliance_takes(const struct appliance_options *options, const char *content);
bool appliance_drive_takes(const struct appliance_drive *drive, const char *content);
bool appliance_is_started(const struct appliance_drive *drive);

/*
 * From now on the drive is [off, off + its size) of another disk: a transaction that takes the place of another, with the same file systems in the same
 * places. Nothing on it may be open for writing (P2H_BUSY). What is open for reading stays, and reads the new disk.
 */
int appliance_show(struct appliance_drive *drive, struct disk *d, uint64_t off, struct p2h_error *err);

/*
 * The file system of a partition (0: of the whole drive) with the appliance's kernel. Several may have it open; what one writes (FS_WRITE, one at a
 * time) the others see. Errors: P2H_TOOL, the module, libguestfs or its appliance is not there or does not start (the message says
 * what to install); P2H_UNSUPPORTED, the appliance's kernel cannot mount it.
 */
int fs_guestfs_open(struct appliance_drive *drive, unsigned number, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err);

#endif
