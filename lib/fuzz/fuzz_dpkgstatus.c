/* fuzz_dpkgstatus.c - dpkg's list of packages */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/dpkgstatus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool any(const char *name)
{
	return *name != '-';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(dpkg_packages_done) struct dpkg_packages found = {0};

	if (dpkg_status_parse((const char *)data, size, any, &found, NULL))
		return 0;
	for (size_t i = 0; i < found.len; i++)
		if (!found.item[i].name || !found.item[i].version || *found.item[i].name == '-' || strchr(found.item[i].name, '\n'))
			abort();
	return 0;
}
