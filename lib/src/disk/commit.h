/*
 * commit.h - the one place that writes to the user's disks
 *
 * Three ways out of a transaction: a new image file, an existing block device, or in place with an undo journal.
 */
#ifndef P2H_DISK_COMMIT_H
#define P2H_DISK_COMMIT_H

#include "disk/transaction.h"

/* Called now and then with bytes done and total; may be NULL. A non-zero return value cancels (P2H_REFUSED, "interrupted"). */
typedef int (*commit_progress)(void *arg, uint64_t done, uint64_t total);

struct commit_options {
	const char *format;        /* new file: "raw" or "qcow2" */
	const struct ranges *free; /* bytes of the transaction's disk that hold nothing: not copied; may be NULL */
	bool force;                /* new file: replace an existing one; device: although it holds signatures */
	commit_progress progress;
	void *progress_arg;
};

/*
 * Writes the transaction's disk to a new file: under a temporary name in the same directory, fsync, rename, fsync of the
 * directory. What is zero or free stays a hole; data is cloned (FICLONERANGE) or copy_file_range()d where both sides are
 * files, else copied. On any error (and on a signal's cancellation) the temporary file is gone and an existing file unchanged.
 * Errors: P2H_EXISTS without force, P2H_NOSPACE, P2H_IO, P2H_TOOL (qemu-img/qemu-nbd missing for qcow2).
 */
int commit_new_file(struct transaction *t, const char *path, const struct commit_options *options, struct p2h_error *err);

/*
 * The same in two steps, for several files that are to be there together or not at all: all under their temporary names first, then the names.
 * commit_staged_done removes what has no name yet; with `withdraw` also a published one, unless it replaced another. NULL is allowed.
 */
struct staged_file;
int commit_stage(struct transaction *t, const char *path, const struct commit_options *options, struct staged_file **ret, struct p2h_error *err);
int commit_publish(struct staged_file *s, struct p2h_error *err);
void commit_staged_done(struct staged_file *s, bool withdraw);

/* May a new file be made there? The checks of commit_new_file that need no data: for telling before the work. */
int commit_check_file(const char *path, bool force, struct p2h_error *err);

/*
 * Writes to a block device, boot sector last, then fsync. Zeros are written only where the device does not read as
 * zeros already (BLKZEROOUT/punch hole where it can).
 * Errors: P2H_NOSPACE when it is smaller than the transaction's disk, P2H_BUSY when mounted, swap, held or not openable
 * with O_EXCL, P2H_EXISTS when it holds a signature (libblkid) and not force.
 */
int commit_device(struct transaction *t, const char *path, const struct commit_options *options, struct p2h_error *err);
int commit_check_device(const char *path, uint64_t size, bool force, struct p2h_error *err);

/*
 * Changes the source itself. source_path is opened for writing with locks (in use: P2H_BUSY). shift is 0 or the bytes
 * that a shifted disk has put in front (raw regular files only: FALLOC_FL_INSERT_RANGE; else P2H_UNSUPPORTED, nothing
 * changed). First the undo journal is written to undo_path and fsynced, then the blocks in ascending order but sector 0's
 * block last, then fsync and the journal is marked complete.
 * Errors: P2H_EXISTS when undo_path exists, P2H_NOSPACE.
 */
int commit_in_place(struct transaction *t, const char *source_path, const char *format, uint64_t shift,
		    const char *undo_path, const struct commit_options *options, struct p2h_error *err);
bool commit_can_shift(const char *source_path); /* does its file system have INSERT_RANGE? tried on a scratch file beside it */

/*
 * Is the image in the middle of a conversion in place, as the journal at undo_path says (there may be none)? P2H_STALE: it
 * is, and must be put back before anything reads it. A journal that cannot be read tells nothing: 0.
 */
int commit_check_unfinished(const char *image_path, const char *undo_path, struct p2h_error *err);

/* Is it a leftover of a conversion that ended before it had changed anything? commit_in_place takes such a file over. */
bool commit_is_begun(const char *undo_path);

/* Puts back every byte, from a complete or incomplete journal; may be run again after a crash. Removes the journal at the end. */
int commit_undo(const char *image_path, const char *format, const char *undo_path, bool force, struct p2h_error *err);

#endif
