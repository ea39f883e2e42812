/*
 * disk.h - a block device as an object
 *
 * Everything above reads and writes images through `struct disk`. Back-ends stack: a transaction lies over a shifted
 * disk over a raw file. The functions here are the checking front: range, permission and overflow are checked once,
 * here, and a back-end may rely on it. A call transfers the whole length or fails.
 */
#ifndef P2H_DISK_DISK_H
#define P2H_DISK_DISK_H

#include "base/buf.h"
#include "base/error.h"

struct disk;
struct appliance_drive;

/* A run of bytes that are all stored, or all known to read as zeros without being stored. */
struct disk_extent {
	uint64_t len; /* from the asked offset, > 0, never past the end of the disk */
	bool zero;
};

/* All callbacks are required. off and len have been checked; len is > 0. */
struct disk_ops {
	int (*read)(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err);
	int (*write)(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err);
	int (*zero)(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err); /* may leave a hole */
	int (*flush)(struct disk *d, struct p2h_error *err); /* to stable storage */
	int (*extent)(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err);
	void (*close)(struct disk *d); /* frees d, not a disk below it */
};

struct disk {
	const struct disk_ops *ops;
	uint64_t size; /* bytes */
	bool writable;
	int fd;              /* a raw file or block device that holds the same bytes at fd_offset, else -1 */
	uint64_t fd_offset;
	struct appliance_drive *drive; /* libguestfs' appliance (fs/appliance.h) has the same bytes as a drive, */
	uint64_t drive_off;            /* from here on; NULL: it has not */
	struct disk *next;   /* the next disk of the same machine, borrowed; NULL: there is none */
	const char *device;  /* what the guest calls it, "/dev/xvdb", borrowed; NULL: it is the machine's first */
	const char *format;  /* "raw", "qcow2", ... as QEMU names it; static or owned by the back-end */
	char name[256];      /* for messages; printable */
};

/* `ops`, size and name filled, fd -1. For back-ends. */
void disk_init(struct disk *d, const struct disk_ops *ops, uint64_t size, bool writable, const char *name);

int disk_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err);
int disk_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err);
int disk_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err);
int disk_flush(struct disk *d, struct p2h_error *err);
int disk_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err);
void disk_close(struct disk *d); /* NULL is allowed */
void cleanup_disk(struct disk **d);
#define CLEANUP_DISK __attribute__((cleanup(cleanup_disk)))

/* ---- openers: the caller owns *ret; a disk that lies over another only borrows it, and is closed first ---- */

#define DISK_WRITE 1u /* else read-only */

/*
 * Opens an image file or block device. format NULL: detected from its content; else QEMU's format name. A raw file or
 * block device is used directly, any other format through a private qemu-nbd, which lives as long as the disk.
 * Detection: the magic of qcow2, vmdk, vhdx, vdi (and vhd, qed); everything else is raw. A guest can write a qcow2
 * header into its own raw disk: so a detected non-raw image whose backing file name leaves the image's own directory
 * (absolute path outside, "..", or a protocol such as nbd: or json:) is refused unless `format` says qcow2, as is a
 * block device that claims to hold anything but raw.
 * Errors: P2H_NOTFOUND, P2H_UNSUPPORTED (directory, socket, ...), P2H_CORRUPT (empty file, damaged header, backing
 * file missing), P2H_BUSY (with DISK_WRITE: locked by another process), P2H_TOOL (qemu-nbd missing).
 */
int disk_open(const char *path, const char *format, unsigned flags, struct disk **ret, struct p2h_error *err);

/* [off, off + len) of another disk: a partition. */
int disk_slice_open(struct disk *under, uint64_t off, uint64_t len, struct disk **ret, struct p2h_error *err);

/* `shift` bytes of zeros in front of another disk, read-only below `shift`: put a transaction over it to write there. */
int disk_shifted_open(struct disk *under, uint64_t shift, struct disk **ret, struct p2h_error *err);

/* A RAM disk of zeros, sparse: for tests and probing windows. */
int disk_mem_open(uint64_t size, struct disk **ret, struct p2h_error *err);

/*
 * Passes everything through to `under` until the n-th call of a kind (0: never), which fails with sys_errno EIO, as do
 * all later ones of that kind. Counts are in `calls`, readable by the test.
 */
enum disk_fault_kind { DISK_FAULT_READ, DISK_FAULT_WRITE, DISK_FAULT_FLUSH, DISK_FAULT_KINDS };
struct disk_fault_plan {
	uint64_t fail_at[DISK_FAULT_KINDS]; /* 1 is the first call */
	uint64_t calls[DISK_FAULT_KINDS];
};
int disk_fault_open(struct disk *under, struct disk_fault_plan *plan, struct disk **ret, struct p2h_error *err);

#endif
