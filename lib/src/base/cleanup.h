/* cleanup.h - owned locals free themselves; TAKE hands one over */
#ifndef P2H_BASE_CLEANUP_H
#define P2H_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* `CLEANUP(buf_done) struct buf b = {0};` calls buf_done(&b) at the end of the scope. Always initialise. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD CLEANUP(cleanup_fd)

/* The value of a pointer variable, which becomes NULL: `*ret = TAKE(p);` */
#define TAKE(p)                          \
	({                               \
		__typeof__(p) take_ = (p); \
		(p) = NULL;              \
		take_;                   \
	})
/* The same for a file descriptor, which becomes -1. */
#define TAKE_FD(fd)            \
	({                     \
		int take_ = (fd); \
		(fd) = -1;     \
		take_;         \
	})

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#endif
