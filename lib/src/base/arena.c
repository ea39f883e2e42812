#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define CHUNK 32768u

static char no_text[] = "";

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	alignas(max_align_t) char data[];
};

void arena_done(struct arena *a)
{
	while (a->chunk) {
		struct arena_chunk *next = a->chunk->next;

		free(a->chunk);
		a->chunk = next;
	}
	a->failed = false;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct arena_chunk *c = a->chunk;
	size_t want;
	char *p;

	if (size > SIZE_MAX / 2) {
		a->failed = true;
		return NULL;
	}
	size = (size + align - 1) / align * align;
	if (!c || c->size - c->used < size) {
		want = size > CHUNK ? size : CHUNK;
		c = calloc(1, sizeof(*c) + want);
		if (!c) {
			a->failed = true;
			error_note_nomem();
			return NULL;
		}
		c->size = want;
		if (a->chunk && size > CHUNK) { /* a large piece must not end the chunk that is being filled */
			c->next = a->chunk->next;
			a->chunk->next = c;
		} else {
			c->next = a->chunk;
			a->chunk = c;
		}
	}
	p = c->data + c->used;
	c->used += size;
	return p;
}

char *arena_memdup(struct arena *a, const void *data, size_t len)
{
	char *p = arena_alloc(a, len + 1);

	if (p && len)
		memcpy(p, data, len);
	return p;
}

char *arena_strdup(struct arena *a, const char *text)
{
	char *p = arena_memdup(a, text, strlen(text));

	return p ? p : no_text;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *p = no_text;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		a->failed = true;
	else if ((p = arena_alloc(a, (size_t)n + 1)))
		vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p ? p : no_text;
}

void *arena_push(struct arena *a, void *array_of_items, size_t *len, size_t item)
{
	void **array = array_of_items;

	/* Full at every power of two: then it moves to twice the room. */
	if ((*len & (*len - 1)) == 0) {
		void *bigger = arena_alloc(a, (*len ? *len * 2 : 1) * item);

		if (!bigger)
			return NULL;
		if (*len)
			memcpy(bigger, *array, *len * item);
		*array = bigger;
	}
	return (char *)*array + (*len)++ * item;
}
