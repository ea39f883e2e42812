/* Any bytes as an initramfs; cpio read in small pieces must give what cpio read at once gives. */
#include <stdlib.h>
#include <string.h>

#include "parse/cpio.h"
#include "parse/initramfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A checksum of everything the reader told. */
struct told {
	uint64_t sum;
};

static void tell(struct told *t, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		t->sum = t->sum * 31 + ((const uint8_t *)data)[i];
}

static int on_member(void *ctx, const char *name, uint32_t mode, uint64_t size, struct p2h_error *err)
{
	(void)err;
	tell(ctx, name, strlen(name) + 1);
	tell(ctx, &mode, sizeof(mode));
	tell(ctx, &size, sizeof(size));
	return 0;
}

static int on_data(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	(void)err;
	tell(ctx, data, len);
	return 0;
}

static int on_end(void *ctx, struct p2h_error *err)
{
	(void)err;
	tell(ctx, "end", 3);
	return 0;
}

static int read_pieces(const uint8_t *data, size_t size, size_t piece, uint64_t *ret_sum)
{
	static const struct cpio_ops ops = {on_member, on_data, on_end};
	struct told t = {0};
	struct cpio c = {.ops = &ops, .ctx = &t};
	int code = 0;

	for (size_t pos = 0, used = 0; !code && pos < size; pos += used) {
		size_t n = size - pos < piece ? size - pos : piece;

		code = cpio_feed(&c, data + pos, n, &used, NULL);
		if (used < n)
			break;
	}
	if (!code)
		code = cpio_finish(&c, NULL);
	*ret_sum = t.sum + c.archives;
	return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct initramfs found = {0};
	uint64_t whole, pieces;

	if (!initramfs_parse(data, size, &found, NULL)) {
		if (!found.archives || found.conf_name.len != found.conf_text.len)
			abort();
		for (size_t i = 0; i < found.modules.len; i++)
			if (!initramfs_has_module(&found, found.modules.item[i]))
				abort();
	}
	initramfs_done(&found);
	if (read_pieces(data, size, size, &whole) != read_pieces(data, size, 3, &pieces) || whole != pieces)
		abort();
	return 0;
}
