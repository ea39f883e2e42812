/* programs.h - the programs of the guest's usual directories, one after the other */
#ifndef P2H_INSPECT_PROGRAMS_H
#define P2H_INSPECT_PROGRAMS_H

#include "fs/fs.h"
#include "parse/elf.h"

struct program {
	struct fs *fs;
	const char *path;
	struct fs_file *file;
	uint64_t size;
	struct elf_layout layout;
	uint64_t *budget; /* bytes that may still be read, of all programs together */
};

/*
 * Calls visit for every ELF program in /sbin, /bin, /usr/sbin, /usr/bin (on a system where /bin is a link to it), /usr/local and /opt, each file
 * once. Files that cannot be read or are no ELF programs are passed over. *ret_cut: limits on files or bytes ended the walk. visit returns 0 to go on.
 */
int programs_walk(struct fs *fs, int (*visit)(void *arg, const struct program *p, struct p2h_error *err), void *arg, bool *ret_cut,
		  struct p2h_error *err);

/* Calls the vsyscall page from its own code? Only asked of programs without a dynamic loader. false too when the budget is used up. */
bool program_calls_vsyscall(const struct program *p);

#endif
