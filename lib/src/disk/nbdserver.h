/* nbdserver.h - inside disk/: a private qemu-nbd */
#ifndef P2H_DISK_NBDSERVER_H
#define P2H_DISK_NBDSERVER_H

#include <sys/types.h>

#include "base/error.h"

struct nbd_server {
	pid_t pid;
	int text_fd;     /* what it says on standard error, a memfd */
	int socket;      /* connected to it; the taker sets it to -1 */
	char *image;     /* the option string it was given */
};
#define NBD_SERVER_INIT {.pid = -1, .text_fd = -1, .socket = -1}

int nbd_server_start(struct nbd_server *s, const char *path, const char *format, bool is_device, bool writes,
		     struct p2h_error *err);
/* Sets the error from what a server that does not serve has said. Ends it first. */
int nbd_server_failure(struct nbd_server *s, const char *path, struct p2h_error *err);
/* After the connection is closed: waits until it has ended. Returns false when it did not end well. */
bool nbd_server_wait(struct nbd_server *s);
void nbd_server_done(struct nbd_server *s); /* ends it if it runs */

#endif
