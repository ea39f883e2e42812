/*
 * allocfault.c - for LD_PRELOAD: the ALLOC_AT-th memory allocation of the process fails, whoever asks for it
 *
 * ALLOC_LOG: a file that gets the number of allocations when the process ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static long calls, at = -1;

static int hit(void)
{
	if (at < 0)
		at = getenv("ALLOC_AT") ? atol(getenv("ALLOC_AT")) : 0;
	if (__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) != at)
		return 0;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return hit() ? NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return hit() ? NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return hit() ? NULL : __libc_realloc(old, size);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = hit() ? NULL : __libc_memalign(align, size);

	if (p)
		*ret = p;
	return p ? 0 : ENOMEM;
}

void *aligned_alloc(size_t align, size_t size)
{
	return hit() ? NULL : __libc_memalign(align, size);
}

__attribute__((destructor)) static void tell(void)
{
	const char *log = getenv("ALLOC_LOG");
	int fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

	if (fd >= 0) {
		dprintf(fd, "%ld\n", calls);
		close(fd);
	}
}
