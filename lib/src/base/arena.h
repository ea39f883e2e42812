/* arena.h - memory of one lifetime: facts and plans are many small strings that go together */
#ifndef P2H_BASE_ARENA_H
#define P2H_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Zero-initialised is empty and valid. Without memory every function sets `failed`, so that a long build-up is checked once, at its
 * end. What makes text gives "" then, which can be looked at until that check comes; the others give NULL.
 */
struct arena {
	struct arena_chunk *chunk;
	bool failed;
};
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for any type */
char *arena_strdup(struct arena *a, const char *text);
char *arena_memdup(struct arena *a, const void *data, size_t len); /* a NUL behind it */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* One more item at the end of an array that the arena holds; NULL: no memory. */
void *arena_push(struct arena *a, void *array_of_items, size_t *len, size_t item);

#endif
