/* Any bytes as a core image, read and patched; what patching writes must read back. */
#include <stdlib.h>
#include <string.h>

#include "parse/grubimg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void patch(const uint8_t *data, size_t size)
{
	size_t len = size & ~(size_t)511;
	struct ranges where = {0}, list = {0};
	uint8_t *core = malloc(len), sector[512];

	if (!core)
		abort();
	memcpy(core, data, len);
	for (size_t i = 0; i < 3; i++)
		ranges_add(&where, 512 * (1 + i * 100 + data[i]), 512 * (size_t)(1 + data[i + 3]));
	if (!grub_core_patch(core, len, &where, NULL) && grub_core_blocklist(core, &list, NULL))
		abort();
	if (!grub_boot_sector_make(data, core, 1, sector, NULL) && !grub_is_boot_sector(sector))
		abort();
	ranges_done(&where);
	ranges_done(&list);
	free(core);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct grub_core core = {0};
	struct ranges list = {0};

	if (size >= 512) {
		if (!grub_core_blocklist(data, &list, NULL) && !list.len)
			abort();
		patch(data, size);
	}
	if (!grub_core_parse(data, size, &core, NULL) && (!core.prefix || !core.config))
		abort();
	ranges_done(&list);
	grub_core_done(&core);
	return 0;
}
