/* ext_scratch.h - some blocks of a volume in a sparse file, for e2fsck to work on, and its changes back to the volume */
#ifndef P2H_FS_EXT_SCRATCH_H
#define P2H_FS_EXT_SCRATCH_H

#include "fs/ext.h"
#include "fs/recover.h"

/* A set of block numbers below `blocks`. A page not there is empty. */
struct blockset {
	uint64_t blocks;
	uint8_t **page;
};
int blockset_init(struct blockset *s, uint64_t blocks, struct p2h_error *err);
void blockset_done(struct blockset *s);
bool blockset_has(const struct blockset *s, uint64_t block);
int blockset_add(struct blockset *s, uint64_t block, uint64_t count, struct p2h_error *err); /* what lies past the end is left out */
void blockset_remove(struct blockset *s, uint64_t block, uint64_t count);
/* The first run of members at or after `block`; false: none. */
bool blockset_next(const struct blockset *s, uint64_t block, uint64_t *ret_start, uint64_t *ret_count);

/* All copies of superblock and group descriptors. */
int blockset_add_superblocks(struct blockset *s, ext2_filsys e2, struct p2h_error *err);

struct ext_scratch {
	struct disk *volume; /* borrowed */
	uint32_t block_size;
	int fd;
	struct blockset set; /* what is copied */
};
int ext_scratch_open(struct disk *volume, uint32_t block_size, struct ext_scratch *ret, struct p2h_error *err);
void ext_scratch_done(struct ext_scratch *s);
int ext_scratch_fill(struct ext_scratch *s, struct p2h_error *err);
/* Opens one with the blocks that the function names, filled. flags: for ext_open_bare. */
int ext_scratch_make(struct disk *volume, int (*blocks)(struct ext *, struct blockset *, struct p2h_error *), int flags, struct ext_scratch *ret,
		     struct p2h_error *err);
/* What e2fsck and debugfs call the file. */
void ext_scratch_name(const struct ext_scratch *s, char *ret, size_t size);
/* The superblock as it is in the scratch file. */
int ext_scratch_super(struct ext_scratch *s, struct ext2_super_block *ret, struct p2h_error *err);
/* Writes every block that e2fsck has changed to the volume. */
int ext_scratch_take(struct ext_scratch *s, struct p2h_error *err);

/* ext_replay.c: what a replay reads and writes: superblocks, the journal, every block that it names */
int ext_replay_blocks(struct ext *e, struct blockset *s, struct p2h_error *err);

/* ext_metadata.c: whatever is allocated, but the content of regular files; never less than e2fsck looks at */
int ext_metadata_blocks(struct ext *e, struct blockset *s, struct p2h_error *err);
/* The same for e2fsck -n, which needs neither the journal's content nor the parts of inode tables that were never used. */
int ext_check_blocks(struct ext *e, struct blockset *s, struct p2h_error *err);

/* ext_recover.c: what is wrong with the volume goes to the report (0); what is wrong with this host ends the job (the code). */
int ext_in_words(int code, const struct p2h_error *err, struct fs_recovery *ret);
bool ext_is_ext(const struct ext2_super_block *sb);
int64_t ext_last_write(const struct ext2_super_block *sb);

/* The file system without a look at its state (ext_scratch.c). To be closed, without writing anything, by ext_close_bare. */
int ext_open_bare(struct disk *volume, int flags, struct ext *ret, struct p2h_error *err);
void ext_close_bare(struct ext *e);

/*
 * ext_fsck.c: runs e2fsck on a file, with these options (at most two words) and the clock at `now`. words: the first lines of what it
 * says, as one, without the file's name, its questions and anything that a terminal would take for a command.
 */
int ext_fsck(const char *name, const char *const *options, int64_t now, char *words, size_t size, int *ret_status, struct p2h_error *err);
/* The same in two parts: it runs beside the caller. Its end, or ext_fsck_kill, must follow. P2H_REFUSED: stop (may be NULL) has said yes. */
struct ext_fsck {
	pid_t pid;
	int out;
};
struct ext_fsck_stop {
	bool (*fn)(void *arg);
	void *arg;
};
int ext_fsck_start(const char *name, const char *const *options, int64_t now, struct ext_fsck *ret, struct p2h_error *err);
int ext_fsck_end(struct ext_fsck *f, const char *name, const struct ext_fsck_stop *stop, char *words, size_t size, int *ret_status,
		 struct p2h_error *err);
void ext_fsck_kill(struct ext_fsck *f);
/* Leaves out of the words what e2fsck says that it did: for a run whose result is not taken. */
void ext_fsck_drop_deeds(char *words);
/* Replays the journal by debugfs and does nothing else. *ret_done false: it could not be, and the file is of no use any more. */
int ext_fsck_replay(const char *name, bool *ret_done, struct p2h_error *err);

#endif
