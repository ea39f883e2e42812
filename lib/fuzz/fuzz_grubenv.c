/* fuzz_grubenv.c - GRUB's environment block: what is set is read again, what was there stays, and so does the size */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubenv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set(const char *text, size_t size, const char *value)
{
	CLEANUP(buf_done) struct buf out = {0};
	const char *again;
	size_t len = 0;

	if (!grubenv_set(text, size, "saved_entry", value, &out)) {
		if (out.len)
			abort();
		return;
	}
	if (out.failed)
		return;
	if (out.len != size)
		abort();
	again = grubenv_get(out.data, out.len, "saved_entry", &len);
	if (value && (!again || len != strlen(value) || memcmp(again, value, len)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t len = 0;
	const char *value = grubenv_get(text, size, "saved_entry", &len);

	if (value && (value < text || value + len > text + size))
		abort();
	set(text, size, NULL);
	set(text, size, "gnulinux-6.1");
	return 0;
}
