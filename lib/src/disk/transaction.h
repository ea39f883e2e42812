/*
 * transaction.h - copy-on-write over a disk: nothing below is written until a commit
 *
 * All of a conversion is done on the transaction's disk; dropping the transaction drops the conversion. Changed blocks
 * (4096 bytes) are held in memory up to a budget and in an unlinked spill file beyond it.
 */
#ifndef P2H_DISK_TRANSACTION_H
#define P2H_DISK_TRANSACTION_H

#include "disk/disk.h"

#define TRANSACTION_BLOCK 4096u

struct transaction;

/* `under` is borrowed and only read. spill_dir: where the spill file goes, NULL is $TMPDIR or /var/tmp. */
int transaction_open(struct disk *under, size_t memory_budget, const char *spill_dir, struct transaction **ret,
		     struct p2h_error *err);
void transaction_close(struct transaction *t); /* NULL is allowed */

/* The writable view; owned by the transaction. Its size is that of `under`. */
struct disk *transaction_disk(struct transaction *t);

/* The disk that was given at opening. */
struct disk *transaction_under(struct transaction *t);

/* The byte ranges that differ from `under` in fact, sorted (whole blocks, the last one cut at the disk's end). */
int transaction_changes(struct transaction *t, struct ranges *ret, struct p2h_error *err);

#endif
