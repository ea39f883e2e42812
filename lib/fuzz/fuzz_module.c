/* fuzz_module.c - input: how the module is packed (its first byte), then the packed module */
#include <stdlib.h>
#include <string.h>

#include "parse/unpack_module.h"

#define ENOUGH (4u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *data;
	size_t left;
};

static int read_some(void *ctx, void *buf, size_t len, size_t *ret_got, struct p2h_error *err)
{
	struct input *in = ctx;

	(void)err;
	*ret_got = in->left < len ? in->left : len;
	memcpy(buf, in->data, *ret_got);
	in->data += *ret_got;
	in->left -= *ret_got;
	return 0;
}

static int count(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	uint64_t *sum = ctx;

	for (size_t i = 0; i < len; i += 4096) /* all of it can be read */
		*sum += (uint64_t)data[i] << 32;
	*sum += len;
	return (uint32_t)*sum > ENOUGH ? error_set(err, P2H_UNSUPPORTED, "enough") : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const packing[] = {"xz", "zst", "gz"};
	struct input in = {data + 1, size - 1};
	uint64_t sum = 0;
	int rc;

	if (!size)
		return 0;
	rc = unpack_module(packing[data[0] % 3], read_some, &in, count, &sum, NULL);
	if (rc && rc != P2H_CORRUPT && rc != P2H_UNSUPPORTED && rc != P2H_NOMEM)
		abort();
	return 0;
}
