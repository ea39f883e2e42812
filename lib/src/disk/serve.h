/*
 * serve.h - a disk offered to another program of this machine: the NBD protocol on a Unix socket
 *
 * A thread answers; what it is asked for goes to the disk as any other access. Protocol: the NBD project's doc/proto.md, fixed newstyle
 * handshake, simple replies.
 */
#ifndef P2H_DISK_SERVE_H
#define P2H_DISK_SERVE_H

#include "disk/disk.h"

struct disk_server;

/*
 * Offers d (borrowed), for writing if it is writable, at `path`, which must not exist. One client at a time; the next one may come when it has gone.
 * Errors: P2H_IO, P2H_NOMEM, P2H_USAGE (the path is too long for a socket).
 */
int disk_serve(struct disk *d, const char *path, struct disk_server **ret, struct p2h_error *err);

/* From now on it is [off, off + the size that was offered) of another disk: the client must hold nothing of the old one. NULL: none; every access fails. */
void disk_server_point(struct disk_server *s, struct disk *d, uint64_t off);

/* The first access that failed since the last call, as the disk told it; 0: none did. A client only learns that something failed. */
int disk_server_failed(struct disk_server *s, struct p2h_error *err);

void disk_server_stop(struct disk_server *s); /* hangs up, removes the socket; NULL is allowed */

#endif
