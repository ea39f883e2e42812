/* payload.h - inside disk/: the bytes of changed blocks, in memory up to a budget, in an unlinked file beyond it */
#ifndef P2H_DISK_PAYLOAD_H
#define P2H_DISK_PAYLOAD_H

#include "base/buf.h"
#include "base/error.h"

#define PAYLOAD_BLOCK 4096u

struct payload {
	uint32_t used, memory_blocks; /* blocks below memory_blocks live in chunks */
	char **chunk;
	size_t chunks;
	int fd; /* spill file, -1: none yet */
	char *dir;
	uint32_t *free; /* numbers given back */
	size_t free_len, free_cap;
};

int payload_init(struct payload *p, size_t budget, const char *dir, struct p2h_error *err);
void payload_done(struct payload *p);
/* A number for a new block. */
int payload_take(struct payload *p, uint32_t *ret, struct p2h_error *err);
void payload_give(struct payload *p, uint32_t number);
/* `count` blocks with successive numbers; the buffer holds count whole blocks. */
int payload_write(struct payload *p, uint32_t number, uint32_t count, const char *data, struct p2h_error *err);
int payload_read(struct payload *p, uint32_t number, uint32_t count, char *data, struct p2h_error *err);

#endif
