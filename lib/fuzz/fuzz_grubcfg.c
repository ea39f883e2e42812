/* fuzz_grubcfg.c - input: a byte that says how many bytes of an environment block follow (times 4; 0: there is none), then a grub.cfg */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubcfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(grubcfg_done) struct grubcfg g = {0};
	CLEANUP_FREE char *env = NULL;
	struct p2h_error err;
	size_t env_len;

	if (!size)
		return 0;
	env_len = (size_t)data[0] * 4;
	if (env_len > size - 1)
		env_len = size - 1;
	if (env_len && !(env = strndup((const char *)data + 1, env_len)))
		return 0;
	if (grubcfg_parse((const char *)data + 1 + env_len, size - 1 - env_len, env, &g, &err))
		return 0;
	if (!g.default_value || (g.len ? g.default_entry >= g.len : g.default_entry != 0 || g.default_found))
		abort();
	for (size_t i = 0; i < g.len; i++) {
		const struct grubcfg_entry *e = &g.item[i];

		if (!e->title || !e->id || !e->linux_path || !e->args || !e->search_uuid || !e->line)
			abort();
	}
	for (size_t i = 1; i < g.commands.len; i++)
		if (strcmp(g.commands.item[i - 1], g.commands.item[i]) >= 0)
			abort();
	return 0;
}
