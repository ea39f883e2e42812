/* limited.h - a function that may not come to an end, in a process of its own */
#ifndef P2H_BASE_LIMITED_H
#define P2H_BASE_LIMITED_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Runs fn in a child of this process: `seconds` of processor time, 1 GiB of data, no core file. What it writes to the descriptor that it gets is
 * appended to out, `most` bytes at most. It returns 0 or a status for *ret_status (1 to 126). P2H_UNSUPPORTED: it was ended by a
 * limit or crashed.
 */
int limited_run(int (*fn)(void *arg, int fd), void *arg, unsigned seconds, size_t most, struct buf *out, int *ret_status,
		struct p2h_error *err);

#endif
