/* fuzz_modinfo.c - input: a kernel module */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/modinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(strlist_done) struct strlist values = {0};
	size_t sum = 0;

	if (modinfo_values(data, size, "firmware", &values, NULL) && values.len)
		abort();
	for (size_t i = 0; i < values.len; i++)
		sum += strlen(values.item[i]) + strlen("firmware=");
	if (sum > size)
		abort();
	return 0;
}
