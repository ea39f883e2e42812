/*
 * lzop files: the layout is in the kernel's lib/decompress_unlzo.c, the LZO1X stream's in its Documentation/staging/lzo.rst.
 * Few guests use it, and libarchive only reads it through the lzop program, which we do not run on a guest's data.
 */
#include <string.h>

#include "base/cleanup.h"
#include "parse/unpack.h"

#define HEADER_MIN 9u         /* the magic number, checked by the caller */
#define BLOCK_MAX (256u << 10) /* lzop's and the kernel's block size */

enum {
	FLAG_ADLER32_UNPACKED = 0x1,
	FLAG_ADLER32_PACKED = 0x2,
	FLAG_CRC32_UNPACKED = 0x100,
	FLAG_CRC32_PACKED = 0x200,
	FLAG_FILTER = 0x800,
};

/* Bytes read in order; past the end they are 0 and `failed` is set. */
struct reader {
	const uint8_t *data;
	size_t len, pos;
	bool failed;
};

static const uint8_t *take(struct reader *r, size_t n)
{
	const uint8_t *at = r->data + r->pos;

	if (r->failed || n > r->len - r->pos) {
		r->failed = true;
		return NULL;
	}
	r->pos += n;
	return at;
}

static uint8_t take_byte(struct reader *r)
{
	const uint8_t *at = take(r, 1);

	return at ? *at : 0;
}

static uint32_t take_be32(struct reader *r)
{
	const uint8_t *at = take(r, 4);

	return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3] : 0;
}

/* --- LZO1X ------------------------------------------------------------------------------------------------------------------ */

struct lzo {
	struct reader in;
	uint8_t *out;
	size_t len, made;
	unsigned literals; /* what the last instruction copied: 0 to 3 literals, or 4 for more */
};

/* A length that did not fit the instruction: zero bytes count 255 each, the next one ends it. */
static size_t long_length(struct lzo *z, size_t base)
{
	uint8_t byte;

	while (!(byte = take_byte(&z->in)) && !z->in.failed && base <= BLOCK_MAX)
		base += 255;
	return base + byte;
}

static bool copy_literals(struct lzo *z, size_t n)
{
	const uint8_t *from = take(&z->in, n);

	if (!from || n > z->len - z->made)
		return false;
	memcpy(z->out + z->made, from, n);
	z->made += n;
	return true;
}

/* Byte by byte: the source may overlap what is being written. Then up to three literals. */
static bool copy_match(struct lzo *z, size_t distance, size_t n, unsigned literals)
{
	if (distance > z->made || n > z->len - z->made)
		return false;
	for (; n; n--, z->made++)
		z->out[z->made] = z->out[z->made - distance];
	z->literals = literals;
	return copy_literals(z, literals);
}

/* Instructions 0 to 15: what they mean depends on the literals before. */
static bool short_instruction(struct lzo *z, unsigned op)
{
	size_t n;

	if (!z->literals) {
		n = 3 + (op ? op : long_length(z, 15));
		z->literals = 4;
		return copy_literals(z, n);
	}
	n = z->literals == 4 ? 3 : 2;
	return copy_match(z, ((size_t)take_byte(&z->in) << 2) + (op >> 2) + (z->literals == 4 ? 2049 : 1), n, op & 3);
}

/* Instructions 16 to 63: a 14-bit distance follows. *ret_end: it was the mark at the end of the stream. */
static bool long_instruction(struct lzo *z, unsigned op, bool *ret_end)
{
	unsigned mask = op < 32 ? 7 : 31;
	size_t n = 2 + (op & mask ? op & mask : long_length(z, mask)), distance;
	const uint8_t *at = take(&z->in, 2);

	if (!at)
		return false;
	distance = (at[0] | (size_t)at[1] << 8) >> 2;
	if (op >= 32)
		return copy_match(z, distance + 1, n, at[0] & 3);
	distance += 16384 + ((size_t)(op & 8) << 11);
	*ret_end = distance == 16384;
	return *ret_end || copy_match(z, distance, n, at[0] & 3);
}

static bool instruction(struct lzo *z, bool *ret_end)
{
	unsigned op = take_byte(&z->in);
	size_t n;

	if (z->in.failed)
		return false;
	if (op < 16)
		return short_instruction(z, op);
	if (op < 64)
		return long_instruction(z, op, ret_end);
	n = op < 128 ? 3 + (op >> 5 & 1) : 5 + (op >> 5 & 3);
	return copy_match(z, ((size_t)take_byte(&z->in) << 3) + (op >> 2 & 7) + 1, n, op & 3);
}

/* Exactly out_len bytes must come out of all of data. */
static bool lzo1x_unpack(const uint8_t *data, size_t len, uint8_t *out, size_t out_len)
{
	struct lzo z = {.in = {.data = data, .len = len}, .out = out, .len = out_len};
	bool end = false;

	if (len && data[0] > 17) { /* the stream may start with literals */
		z.in.pos = 1;
		z.literals = data[0] - 17u < 4 ? data[0] - 17u : 4;
		if (!copy_literals(&z, data[0] - 17u))
			return false;
	}
	while (!end)
		if (!instruction(&z, &end))
			return false;
	return z.made == out_len && z.in.pos == len && !z.in.failed;
}

/* --- the file ---------------------------------------------------------------------------------------------------------------- */

static bool read_header(struct reader *r, uint32_t *ret_flags)
{
	const uint8_t *version;
	bool later;

	take(r, HEADER_MIN);
	version = take(r, 4); /* of lzop, of the library */
	if (!version)
		return false;
	later = (version[0] << 8 | version[1]) >= 0x0940;
	take(r, later ? 4 : 1); /* version needed, method, level */
	*ret_flags = take_be32(r);
	if (*ret_flags & FLAG_FILTER)
		take(r, 4);
	take(r, later ? 12 : 8); /* mode, time */
	take(r, take_byte(r));   /* name */
	take(r, 4);              /* checksum */
	return !r->failed;
}

/* One block; *ret_len is 0 at the end of the file. False: damaged. */
static bool read_block(struct reader *r, uint32_t flags, uint8_t *out, uint32_t *ret_len)
{
	const uint8_t *packed;
	uint32_t len, packed_len;

	*ret_len = len = take_be32(r);
	if (r->failed || !len)
		return !r->failed;
	packed_len = take_be32(r);
	if (len > BLOCK_MAX || packed_len > len)
		return false;
	take(r, (flags & FLAG_ADLER32_UNPACKED ? 4 : 0) + (flags & FLAG_CRC32_UNPACKED ? 4 : 0));
	if (packed_len < len)
		take(r, (flags & FLAG_ADLER32_PACKED ? 4 : 0) + (flags & FLAG_CRC32_PACKED ? 4 : 0));
	packed = take(r, packed_len);
	if (!packed)
		return false;
	if (packed_len < len)
		return lzo1x_unpack(packed, packed_len, out, len);
	memcpy(out, packed, len);
	return true;
}

int unpack_lzop(const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used, struct p2h_error *err)
{
	CLEANUP_FREE uint8_t *out = malloc(BLOCK_MAX);
	struct reader r = {.data = data, .len = len};
	uint32_t flags = 0, n = 1;
	bool sound;

	if (!out)
		return error_nomem(err);
	sound = read_header(&r, &flags);
	while (sound && n) {
		int code;

		sound = read_block(&r, flags, out, &n);
		if (!sound)
			break;
		code = sink(ctx, out, n, err);
		if (code)
			return code;
	}
	if (!sound)
		return error_set(err, P2H_CORRUPT, "initramfs: the lzop stream is truncated or damaged");
	*ret_used = r.pos;
	return 0;
}
