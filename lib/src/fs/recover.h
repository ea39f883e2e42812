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

/*
 * Reads only. Is there an ext file system that must be recovered (needs_recovery, has_errors, has_orphans)? If not, and `whole`: what does e2fsck
 * say of it? That is read in place where the volume lies in a raw file or on a device, else on a scratch file.
 */
int fs_ext_look(struct disk *volume, bool whole, struct fs_recovery *ret, struct p2h_error *err);

#define FS_RECOVER_CHECK 1u  /* look for damage that is not marked, too */
#define FS_RECOVER_REPAIR 2u /* what is damaged: repair what is safe (e2fsck -p) */

/*
 * Replays the journal and clears the list of orphans, as the kernel would. A file system that is marked as damaged then is checked, others where the flags say so; the safe repairs are done
 * where they say so. Returns 0 also when e2fsck gives up: `words` say why, and the volume is as it was before that step. The
 * same volume always gives the same bytes. Errors: P2H_IO, P2H_NOMEM, P2H_NOSPACE, P2H_TOOL (no e2fsck).
 */
int fs_ext_recover(struct disk *volume, unsigned flags, struct fs_recovery *ret, struct p2h_error *err);

#endif
