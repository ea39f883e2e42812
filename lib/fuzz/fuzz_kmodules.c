/* fuzz_kmodules.c - input: a modules.dep and modules.builtin at once */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(kmodules_done) struct kmodules m = {0};
	CLEANUP(strlist_done) struct strlist builtin = {0};

	if (!kmodules_parse_dep((const char *)data, size, &m, NULL)) {
		for (size_t i = 0; i < m.len; i++) {
			const struct kmodule *k = kmodules_find(&m, m.item[i].name);
			char name[16];

			/* Of several with one name the first is found. */
			if (!k || k > &m.item[i] || strcmp(k->name, m.item[i].name) || strpbrk(k->name, "-/."))
				abort();
			kmodule_name(m.item[i].path, name, sizeof(name));
			if (strncmp(name, m.item[i].name, sizeof(name) - 1))
				abort();
		}
	}
	kmodules_parse_builtin((const char *)data, size, &builtin, NULL);
	for (size_t i = 0; i < builtin.len; i++)
		if (strpbrk(builtin.item[i], "-/."))
			abort();
	return 0;
}
