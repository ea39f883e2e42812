#include "parse/grubenv.h"

#include <string.h>

static const char heading[] = "# GRUB Environment Block\n";

/* The length of a line with its end; an escaped line end belongs to the value. 0: the text ends before the line does. */
static size_t line_length(const char *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i] == '\\')
			i++;
		else if (at[i] == '\n')
			return i + 1;
	}
	return 0;
}

static bool is_block(const char *text, size_t len)
{
	return len > strlen(heading) && !memcmp(text, heading, strlen(heading));
}

/* Where the line of this name starts, or where the padding does; *ret_line: the line's length, 0 for none. */
static size_t find_line(const char *text, size_t len, const char *name, size_t *ret_line)
{
	size_t n = strlen(name), at = strlen(heading);

	*ret_line = 0;
	while (at < len && text[at] != '#') {
		size_t line = line_length(text + at, len - at);

		if (!line)
			break;
		if (line > n + 1 && !memcmp(text + at, name, n) && text[at + n] == '=') {
			*ret_line = line;
			break;
		}
		at += line;
	}
	return at;
}

const char *grubenv_get(const char *text, size_t len, const char *name, size_t *ret_len)
{
	size_t line, at, n = strlen(name) + 1;

	if (!is_block(text, len))
		return NULL;
	at = find_line(text, len, name, &line);
	if (!line)
		return NULL;
	*ret_len = line - n - 1;
	return text + at + n;
}

/* Where the padding starts: nothing but '#' follows. len + 1 if there is something else, which is left alone. */
static size_t padding(const char *text, size_t len)
{
	size_t at = len;

	while (at && text[at - 1] == '#')
		at--;
	return at && text[at - 1] == '\n' ? at : len + 1;
}

bool grubenv_set(const char *text, size_t len, const char *name, const char *value, struct buf *out)
{
	size_t line, at, end = padding(text, len);

	if (!is_block(text, len) || end > len)
		return false;
	at = find_line(text, len, name, &line);
	if (at > end)
		return false;
	buf_append(out, text, at);
	if (value)
		buf_printf(out, "%s=%s\n", name, value);
	buf_append(out, text + at + line, end - at - line);
	if (out->failed)
		return true; /* the caller sees it in out */
	if (out->len > len) {
		buf_clear(out);
		return false;
	}
	while (out->len < len && !out->failed)
		buf_puts(out, "#");
	return true;
}
