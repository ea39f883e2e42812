/* fuzz_menulst.c - input: a menu.lst */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/menulst.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(menulst_done) struct menulst m = {0};
	struct p2h_error err;

	if (menulst_parse((const char *)data, size, &m, &err))
		return 0;
	if (m.len ? m.default_entry >= m.len : m.default_entry != 0)
		abort();
	for (size_t i = 0; i < m.len; i++) {
		const struct menulst_entry *e = &m.item[i];

		if (!e->title || !e->root || !e->kernel || !e->args || !e->initrd || strstr(e->args, "  "))
			abort();
		if (!e->line || (i && e->line <= m.item[i - 1].line))
			abort();
	}
	return 0;
}
