/* fuzz_kimage.c - input: a kernel image */
#include <stdlib.h>
#include <string.h>

#include "parse/kimage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct p2h_error err;
	struct kimage k;

	if (kimage_parse(data, size, size, &k, &err))
		return 0;
	if (strnlen(k.release, sizeof(k.release)) == sizeof(k.release) || strpbrk(k.release, " \n\t"))
		abort();
	if (k.kind == KIMAGE_BZIMAGE && k.expected_size < 1024)
		abort();
	return 0;
}
