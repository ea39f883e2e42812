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
	bool replayed, repaired;
	char words[400];     /* what e2fsck said of what could not be done, or of what it repaired; "" if nothing */
};

/* Is there an ext file system that fs_ext_recover has work with? Only its superblock is read. */
int fs_ext_dirty(struct disk *volume, bool *ret, struct p2h_error *err);

/*
 * Replays the journal. When the file system is marked as damaged then, it is checked, and with `repair` what can be repaired safely
 * (e2fsck -p) is. Returns 0 also when e2fsck gives up: `words` say why, and the volume is as it was before that step. The
 * same volume always gives the same bytes. Errors: P2H_IO, P2H_NOMEM, P2H_NOSPACE, P2H_TOOL (no e2fsck).
 */
int fs_ext_recover(struct disk *volume, bool repair, struct fs_recovery *ret, struct p2h_error *err);

#endif
