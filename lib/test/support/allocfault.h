/*
 * allocfault.h - makes the n-th memory allocation fail
 *
 * For one test program. Calls from our own objects reach what stands here because the program is linked with --wrap (see
 * CMakeLists.txt), also under AddressSanitizer. Calls from everywhere, libraries included, are counted by taking the place of
 * the C library's malloc; AddressSanitizer has its own there, and so ALLOCFAULT_ALL is left out under it.
 */
#ifndef P2H_TEST_ALLOCFAULT_H
#define P2H_TEST_ALLOCFAULT_H

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/sanitized.h"

#define ALLOCFAULT_HAS_ALL !SANITIZED

enum allocfault_who {
	ALLOCFAULT_NONE,
	ALLOCFAULT_OWN, /* the n-th call in our code, of malloc or of what returns or takes memory */
	ALLOCFAULT_ALL, /* the n-th call of malloc and its like in the process */
};

static struct {
	enum allocfault_who who;
	long calls, at;
	void (*count)(void); /* sees each call that counts */
} allocfault;

static void allocfault_set(enum allocfault_who who, long at)
{
	allocfault.calls = 0;
	allocfault.at = at;
	allocfault.who = who;
}

/* Is the call to fail? */
static inline __attribute__((always_inline)) bool allocfault_hit(enum allocfault_who who)
{
	if (allocfault.who != who)
		return false;
	if (allocfault.count)
		allocfault.count();
	if (++allocfault.calls != allocfault.at)
		return false;
	errno = ENOMEM;
	return true;
}

/* ---- our own calls ---- */

#define ALLOCFAULT_WRAP(type, failure, name, params, args)      \
	type __real_##name params;                              \
	type __wrap_##name params;                              \
	type __wrap_##name params                               \
	{                                                       \
		if (allocfault_hit(ALLOCFAULT_OWN))             \
			return failure;                         \
		return __real_##name args;                      \
	}

ALLOCFAULT_WRAP(void *, NULL, malloc, (size_t size), (size))
ALLOCFAULT_WRAP(void *, NULL, calloc, (size_t n, size_t size), (n, size))
ALLOCFAULT_WRAP(void *, NULL, realloc, (void *old, size_t size), (old, size))
ALLOCFAULT_WRAP(void *, NULL, reallocarray, (void *old, size_t n, size_t size), (old, n, size))
ALLOCFAULT_WRAP(int, ENOMEM, posix_memalign, (void **ret, size_t align, size_t size), (ret, align, size))
ALLOCFAULT_WRAP(char *, NULL, strdup, (const char *text), (text))
ALLOCFAULT_WRAP(char *, NULL, strndup, (const char *text, size_t n), (text, n))
ALLOCFAULT_WRAP(char *, NULL, realpath, (const char *path, char *ret), (path, ret))
ALLOCFAULT_WRAP(int, -1, vasprintf, (char **ret, const char *fmt, va_list ap), (ret, fmt, ap))
ALLOCFAULT_WRAP(FILE *, NULL, fopen64, (const char *path, const char *mode), (path, mode))
ALLOCFAULT_WRAP(DIR *, NULL, opendir, (const char *path), (path))
ALLOCFAULT_WRAP(DIR *, NULL, fdopendir, (int fd), (fd))
ALLOCFAULT_WRAP(char *, NULL, get_current_dir_name, (void), ())
ALLOCFAULT_WRAP(ssize_t, -1, getline, (char **line, size_t *size, FILE *f), (line, size, f))
ALLOCFAULT_WRAP(ssize_t, -1, __getdelim, (char **line, size_t *size, int end, FILE *f), (line, size, end, f))

int __wrap_asprintf(char **ret, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (allocfault_hit(ALLOCFAULT_OWN))
		return -1;
	va_start(ap, fmt);
	n = __real_vasprintf(ret, fmt, ap);
	va_end(ap);
	return n;
}

/* An arena takes memory once in a while only: its functions fail at any call, as if that had been the time. */
static char allocfault_no_text[] = "";

static void *allocfault_arena(struct arena *a, void *ret)
{
	a->failed = true;
	error_note_nomem();
	return ret;
}

#define ALLOCFAULT_WRAP_ARENA(type, name, params, args) ALLOCFAULT_WRAP(type, allocfault_arena(a, NULL), name, params, args)

ALLOCFAULT_WRAP_ARENA(void *, arena_alloc, (struct arena *a, size_t size), (a, size))
ALLOCFAULT_WRAP_ARENA(char *, arena_memdup, (struct arena *a, const void *data, size_t len), (a, data, len))
ALLOCFAULT_WRAP(char *, allocfault_arena(a, allocfault_no_text), arena_strdup, (struct arena *a, const char *text), (a, text))
ALLOCFAULT_WRAP_ARENA(void *, arena_push, (struct arena *a, void *array, size_t *len, size_t item), (a, array, len, item))

char *__wrap_arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
char *__wrap_arena_printf(struct arena *a, const char *fmt, ...)
{
	char *text, *copy;
	va_list ap;
	int n;

	if (allocfault_hit(ALLOCFAULT_OWN))
		return allocfault_arena(a, allocfault_no_text);
	va_start(ap, fmt);
	n = __real_vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return allocfault_arena(a, allocfault_no_text);
	copy = __real_arena_strdup(a, text);
	free(text);
	return copy;
}

/* ---- everybody's ---- */

#if ALLOCFAULT_HAS_ALL
#define ALLOCFAULT_REPLACE(name, params, args)                                    \
	void *__libc_##name params;                                               \
	void *name params;                                                        \
	__attribute__((visibility("default"))) void *name params                  \
	{                                                                         \
		return allocfault_hit(ALLOCFAULT_ALL) ? NULL : __libc_##name args; \
	}

ALLOCFAULT_REPLACE(malloc, (size_t size), (size))
ALLOCFAULT_REPLACE(calloc, (size_t n, size_t size), (n, size))
ALLOCFAULT_REPLACE(realloc, (void *old, size_t size), (old, size))
ALLOCFAULT_REPLACE(memalign, (size_t align, size_t size), (align, size))

__attribute__((visibility("default"))) int posix_memalign(void **ret, size_t align, size_t size)
{
	void *p = memalign(align, size);

	if (p)
		*ret = p;
	return p ? 0 : ENOMEM;
}

__attribute__((visibility("default"))) void *aligned_alloc(size_t align, size_t size)
{
	return memalign(align, size);
}
#endif

#endif
