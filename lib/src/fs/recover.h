/*
 * recover.h - a file system that was copied while it was mounted, or is marked as damaged, made fit for reading and change
 *
 * e2fsprogs' own programs do the work, on a sparse scratch file without a name ($TMPDIR or /var/tmp) that holds what it looks at: for a replay the
 * superblocks, the journal and every block that the journal names; for a check all metadata, but no content of files. The
 * blocks that it changed are then written to the volume, which is a transaction's: nothing of the user's is touched.
 */
#ifndef P2H_FS_RECOVER_H
#define P2H_FS_RECOVER_H

#include "disk/disk.h"

struct fs_recovery {
	bool needs_recovery; /* found so: the journal held transactions */
	bool has_errors;     /* found so, or after the replay: marked as damaged */
	bool has_orphans;    /* files that were deleted and still open, not only in the journal */
	bool checked;        /* e2fsck -fn has looked at all of it */
	bool damaged;        /* and finds errors */
	bool replayed, repaired;
	char words[400];     /* what e2fsck said of what could not be done, of what is damaged, or of what it repaired; "" if nothing */
};

/* Reads only: is there an ext file system that must be recovered (needs_recovery, has_errors, has_orphans)? */
int fs_ext_look(struct disk *volume, struct fs_recovery *ret, struct p2h_error *err);

/*
 * Starts e2fsck -fn in a process of its own; the caller goes on, and must neither close nor change what the volume lies on before the end. It reads in
 * place where the volume lies in a raw file or on a device, else a scratch file made here. *ret stays NULL where it could not be checked:
 * its metadata cannot be read (result->words say why), or its journal lies elsewhere.
 */
struct fs_check;
int fs_check_start(struct disk *volume, struct fs_check **ret, struct fs_recovery *result, struct p2h_error *err);
/*
 * Waits for its verdict, which goes into *result (checked, damaged, words), and frees it in any case. stop (may be NULL) is asked some times a second;
 * P2H_REFUSED: it said yes, and e2fsck was ended.
 */
int fs_check_end(struct fs_check *c, bool (*stop)(void *arg), void *arg, struct fs_recovery *result, struct p2h_error *err);
void fs_check_kill(struct fs_check *c); /* NULL is allowed */

#define FS_RECOVER_CHECK 1u  /* look for damage that is not marked, too */
#define FS_RECOVER_REPAIR 2u /* what is damaged: repair what is safe (e2fsck -p) */

/*
 * Replays the journal and clears the list of orphans, as the kernel would. A file system that is marked as damaged then is checked, others where the flags say so; the safe repairs are done
 * where they say so. Returns 0 also when e2fsck gives up: `words` say why, and the volume is as it was before that step. The
 * same volume always gives the same bytes. Errors: P2H_IO, P2H_NOMEM, P2H_NOSPACE, P2H_TOOL (no e2fsck).
 */
int fs_ext_recover(struct disk *volume, unsigned flags, struct fs_recovery *ret, struct p2h_error *err);

#endif
