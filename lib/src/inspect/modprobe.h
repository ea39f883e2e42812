/* modprobe.h - what loads modules in the guest; for inspect and verify */
#ifndef P2H_INSPECT_MODPROBE_H
#define P2H_INSPECT_MODPROBE_H

#include "base/arena.h"
#include "fs/fs.h"
#include "inspect/facts_kernel.h"

/* Strings belong to the arena. */
int read_modprobe(struct fs *fs, struct arena *a, struct facts_modprobe *ret, struct p2h_error *err);
bool modprobe_reads(const struct facts_modprobe *m, const char *packing); /* as kmodule_packing says */

#endif
