/* buf.h - a growing byte buffer, a list of strings, a list of byte ranges. Zero-initialised ones are empty and valid. */
#ifndef P2H_BASE_BUF_H
#define P2H_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Bytes. data[len] is always NUL once anything was appended (the NUL is not counted). A failed allocation sets `failed`;
 * later appends do nothing, so that a long build-up is checked once, at its end.
 */
struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};
void buf_done(struct buf *b);
void buf_clear(struct buf *b); /* length 0, memory kept */
void buf_append(struct buf *b, const void *data, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes room for len more bytes and returns where they go (caller fills, then adds to b->len); NULL: no memory. */
char *buf_reserve(struct buf *b, size_t len);
/* The text, owned by the caller, b is empty after; NULL if an append failed. Never NULL otherwise ("" when empty). */
char *buf_take(struct buf *b);

/* Is the text somewhere in it? */
bool buf_contains(const struct buf *b, const char *text);

/* Does text end with `end`, and have something before it? */
bool text_ends_with(const char *text, const char *end);

/* Strings, each owned by the list. */
struct strlist {
	char **item;
	size_t len, cap;
	bool failed;
};
void strlist_done(struct strlist *l);
void strlist_add(struct strlist *l, const char *text); /* copies; sets failed on no memory */
void strlist_addf(struct strlist *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool strlist_has(const struct strlist *l, const char *text);
void strlist_sort(struct strlist *l); /* by strcmp */
/* Splits at runs of the given bytes; empty words are left out. */
void strlist_split(struct strlist *l, const char *text, const char *separators);

/* Byte ranges, kept sorted, disjoint and merged when added in ascending order. */
struct range {
	uint64_t off, len;
};
struct ranges {
	struct range *item;
	size_t len, cap;
	bool failed;
};
void ranges_done(struct ranges *r);
void ranges_add(struct ranges *r, uint64_t off, uint64_t len); /* off must not be below the end of the last range */
uint64_t ranges_total(const struct ranges *r);
/* First byte at or after off that lies in a range, or UINT64_MAX; *ret_end: the end of that range. */
uint64_t ranges_next(const struct ranges *r, uint64_t off, uint64_t *ret_end);

#endif
