/* scan.h - what the text parsers share: lines of bytes that need no terminating NUL, and growing arrays */
#ifndef P2H_PARSE_SCAN_H
#define P2H_PARSE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* No real file comes near; more than this is damage or malice, and must not cost memory without limit. */
#define SCAN_MAX_ENTRIES 100000u

/* One line. A zero-initialised one stands before the first. */
struct scan_line {
	const char *at;
	size_t len;    /* up to the first NUL byte: the C programs that read these files see no more of the line */
	size_t full;   /* without its line end (LF or CRLF) */
	size_t off;    /* place of `at` in the text */
	size_t next;   /* place of the line after it */
	size_t number; /* 1 is the first */
};

static inline bool scan_line_next(const char *text, size_t len, struct scan_line *l)
{
	const char *end, *nul;

	if (l->next >= len)
		return false;
	l->off = l->next;
	l->at = text + l->off;
	end = memchr(l->at, '\n', len - l->off);
	l->full = end ? (size_t)(end - l->at) : len - l->off;
	l->next = l->off + l->full + (end ? 1 : 0);
	if (l->full && l->at[l->full - 1] == '\r')
		l->full--;
	nul = memchr(l->at, '\0', l->full);
	l->len = nul ? (size_t)(nul - l->at) : l->full;
	l->number++;
	return true;
}

static inline bool scan_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* How many of the first len bytes are blank; are not. */
static inline size_t scan_blanks(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && scan_is_blank(at[n]))
		n++;
	return n;
}

static inline size_t scan_word(const char *at, size_t len)
{
	size_t n = 0;

	while (n < len && !scan_is_blank(at[n]))
		n++;
	return n;
}

/* Length without blanks at the end. */
static inline size_t scan_trim(const char *at, size_t len)
{
	while (len && scan_is_blank(at[len - 1]))
		len--;
	return len;
}

/* The array with room for one more item, doubled when it is full; NULL: no memory, and the array is as it was. */
static inline void *scan_room(void *item, size_t len, size_t *cap, size_t size)
{
	size_t want = *cap ? *cap * 2 : 16;
	void *bigger;

	if (len < *cap)
		return item;
	bigger = reallocarray(item, want, size);
	if (bigger)
		*cap = want;
	return bigger;
}

#endif
