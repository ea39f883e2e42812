/* initramfs_index.h - which of an initramfs' modules its own modprobe finds; for parse/ only */
#ifndef P2H_PARSE_INITRAMFS_INDEX_H
#define P2H_PARSE_INITRAMFS_INDEX_H

#include "parse/initramfs.h"

#define INITRAMFS_INDEX_MAX (16u << 20)

/* depmod's files as the last archive has them. */
struct initramfs_index {
	struct buf file[2];  /* modules.dep, modules.dep.bin */
	char dir[2][128];    /* where each lies: "usr/lib/modules/6.1.0"; "" if it is not there */
	bool too_large;
};
/* Which of the files the member is, or -1; what an earlier archive had under that name is gone. */
int initramfs_index_begin(struct initramfs_index *x, const char *path, uint64_t size);
void initramfs_index_done(struct initramfs_index *x);

/* Fills i->unlisted, all else of it being there. */
int initramfs_index_judge(struct initramfs *i, const struct initramfs_index *x, struct p2h_error *err);

#endif
