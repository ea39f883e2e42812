/* fuzz_kmodindex.c - input: a key and its NUL, then a modules.dep.bin; the same bytes are also taken for a modules.dep */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodindex.h"
#include "parse/kmodules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_up(const void *index, size_t len, const char *key)
{
	const char *value = kmodindex_find(index, len, key);

	if (value && (value < (const char *)index || value + strlen(value) >= (const char *)index + len))
		abort();
}

/* What is in modules.dep is found in the index made of it. */
static void round_trip(const char *dep, size_t len)
{
	CLEANUP(kmodules_done) struct kmodules m = {0};
	CLEANUP(buf_done) struct buf index = {0};

	if (kmodindex_make(dep, len, &index, NULL) || kmodules_parse_dep(dep, len, &m, NULL))
		return;
	for (size_t i = 0; i < m.len; i++)
		if (*m.item[i].name && !kmodindex_find(index.data, index.len, m.item[i].name))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t key = size ? strnlen((const char *)data, size) : 0;

	if (key < size)
		look_up(data + key + 1, size - key - 1, (const char *)data);
	round_trip((const char *)data, size);
	return 0;
}
