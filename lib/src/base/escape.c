#include "base/escape.h"

#include <string.h>

/* Length of the well-formed UTF-8 sequence at p (no overlong form, no surrogate), 0 if there is none. */
static size_t utf8_decode(const unsigned char *p, size_t len, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n;
	uint32_t c;

	if (p[0] < 0x80) {
		*ret = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || len < n)
		return 0;
	c = p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return n;
}

/* What a terminal acts on, or what makes a line look like something else than it is. */
static bool is_hidden(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} hidden[] = {
		{0, 8},           {0xa, 0x1f},      {0x7f, 0x9f},     {0xad, 0xad},     {0x61c, 0x61c},
		{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xe0000, 0xe007f},
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return false;
}

void escape_append(struct buf *b, const char *text, size_t len)
{
	size_t plain = 0;

	for (size_t i = 0; i < len;) {
		const unsigned char *p = (const unsigned char *)text + i;
		uint32_t c = 0;
		size_t n = utf8_decode(p, len - i, &c);

		if (n && !is_hidden(c)) {
			i += n;
			continue;
		}
		buf_append(b, text + plain, i - plain);
		for (size_t k = 0; k < (n ? n : 1); k++)
			buf_printf(b, "\\x%02X", p[k]);
		i += n ? n : 1;
		plain = i;
	}
	buf_append(b, text + plain, len - plain);
}

void escape_line(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len;) {
		unsigned char *p = (unsigned char *)text + i;
		uint32_t c = 0;
		size_t n = utf8_decode(p, len - i, &c);

		if (!n || is_hidden(c) || c == '\t')
			memset(p, '?', n ? n : 1);
		i += n ? n : 1;
	}
}
