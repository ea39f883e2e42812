#include <string.h>

#include "base/le.h"
#include "parse/kmodindex.h"

#define MAGIC 0xb007f457u
#define VERSION_MAJOR 2u
#define ROOT_AT 8u
#define HEADER 12u
#define HAS_PREFIX 0x80000000u
#define HAS_VALUES 0x40000000u
#define HAS_CHILDREN 0x20000000u
#define PLACE 0x0fffffffu

/* Does the key go on with the node's own characters? *at and *key move behind them. */
static bool follow_prefix(const uint8_t *data, size_t len, size_t *at, const char **key)
{
	for (; range_ok(*at, 1, len); ++*at) {
		if (!data[*at]) {
			++*at;
			return true;
		}
		if ((char)data[*at] != **key)
			return false;
		++*key;
	}
	return false;
}

const char *kmodindex_find(const void *bytes, size_t len, const char *key)
{
	const uint8_t *data = bytes;
	uint32_t node;

	if (len < HEADER || be32_get(data) != MAGIC || be32_get(data + 4) >> 16 != VERSION_MAJOR)
		return NULL;
	for (node = be32_get(data + ROOT_AT); node & PLACE;) {
		size_t at = node & PLACE;
		uint32_t next = 0;

		if ((node & HAS_PREFIX) && !follow_prefix(data, len, &at, &key))
			return NULL;
		if (node & HAS_CHILDREN) {
			size_t first, last, c = (unsigned char)*key;

			if (!range_ok(at, 2, len))
				return NULL;
			first = data[at];
			last = data[at + 1];
			if (last < first || !range_ok(at + 2, 4 * (last - first + 1), len))
				return NULL;
			if (*key && c >= first && c <= last)
				next = be32_get(data + at + 2 + 4 * (c - first));
			at += 2 + 4 * (last - first + 1);
		}
		if (!*key)
			return node & HAS_VALUES && range_ok(at, 9, len) && be32_get(data + at) && memchr(data + at + 8, '\0', len - at - 8)
				       ? (const char *)data + at + 8
				       : NULL;
		node = next;
		key++; /* each step takes a character, so that no loop in the file goes on for ever */
	}
	return NULL;
}
