#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

/* Grows an array so that it holds `need` items; doubles, so that appending is linear. */
static bool grow(void **data, size_t *cap, size_t need, size_t item)
{
	size_t want = *cap ? *cap : 16;
	void *bigger;

	if (need <= *cap)
		return true;
	while (want < need) {
		if (want > SIZE_MAX / 2)
			return false;
		want *= 2;
	}
	bigger = reallocarray(*data, want, item);
	if (!bigger) {
		error_note_nomem();
		return false;
	}
	*data = bigger;
	*cap = want;
	return true;
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
	b->len = 0;
	if (b->data)
		b->data[0] = '\0';
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (b->failed || len >= SIZE_MAX - b->len || !grow((void **)&b->data, &b->cap, b->len + len + 1, 1)) {
		b->failed = true;
		return NULL;
	}
	b->data[b->len + len] = '\0';
	return b->data + b->len;
}

void buf_append(struct buf *b, const void *data, size_t len)
{
	char *to = buf_reserve(b, len);

	if (!to)
		return;
	if (len)
		memcpy(to, data, len);
	b->len += len;
}

void buf_puts(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	CLEANUP_FREE char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL;
		b->failed = true;
		error_note_nomem();
		return;
	}
	buf_append(b, text, (size_t)n);
}

char *buf_take(struct buf *b)
{
	char *text;

	buf_append(b, "", 0);
	if (b->failed) {
		buf_done(b);
		return NULL;
	}
	text = b->data;
	*b = (struct buf){0};
	return text;
}

bool buf_contains(const struct buf *b, const char *text)
{
	return b->len && memmem(b->data, b->len, text, strlen(text));
}

bool text_ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && !strcmp(text + n - m, end);
}

void strlist_done(struct strlist *l)
{
	for (size_t i = 0; i < l->len; i++)
		free(l->item[i]);
	free(l->item);
	*l = (struct strlist){0};
}

/* Takes over text, also on failure. */
static void strlist_take(struct strlist *l, char *text)
{
	if (!text)
		error_note_nomem();
	if (!text || l->failed || !grow((void **)&l->item, &l->cap, l->len + 1, sizeof(*l->item))) {
		free(text);
		l->failed = true;
		return;
	}
	l->item[l->len++] = text;
}

void strlist_add(struct strlist *l, const char *text)
{
	strlist_take(l, strdup(text));
}

void strlist_addf(struct strlist *l, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	strlist_take(l, n < 0 ? NULL : text);
}

bool strlist_has(const struct strlist *l, const char *text)
{
	for (size_t i = 0; i < l->len; i++)
		if (!strcmp(l->item[i], text))
			return true;
	return false;
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *l)
{
	if (l->len)
		qsort(l->item, l->len, sizeof(*l->item), compare_strings);
}

void strlist_split(struct strlist *l, const char *text, const char *separators)
{
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t n = strcspn(text, separators);

		strlist_take(l, strndup(text, n));
		text += n;
	}
}

void ranges_done(struct ranges *r)
{
	free(r->item);
	*r = (struct ranges){0};
}

void ranges_add(struct ranges *r, uint64_t off, uint64_t len)
{
	if (!len)
		return;
	if (r->len && r->item[r->len - 1].off + r->item[r->len - 1].len == off) {
		r->item[r->len - 1].len += len;
		return;
	}
	if (r->failed || !grow((void **)&r->item, &r->cap, r->len + 1, sizeof(*r->item))) {
		r->failed = true;
		return;
	}
	r->item[r->len++] = (struct range){off, len};
}

uint64_t ranges_total(const struct ranges *r)
{
	uint64_t total = 0;

	for (size_t i = 0; i < r->len; i++)
		total += r->item[i].len;
	return total;
}

uint64_t ranges_next(const struct ranges *r, uint64_t off, uint64_t *ret_end)
{
	size_t low = 0, high = r->len;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->item[mid].off + r->item[mid].len <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == r->len)
		return UINT64_MAX;
	*ret_end = r->item[low].off + r->item[low].len;
	return r->item[low].off > off ? r->item[low].off : off;
}
