#include "parse/unpack.h"

#include <archive.h>
#include <errno.h>
#include <lzma.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"

#define PIECE (256u << 10)
#define MEMORY_LIMIT (128u << 20) /* xz -9 and lzma -9 need 65 MiB */

#define LZ4_MAGIC 0x184c2102u
#define LZ4_BLOCK_MAX (8u << 20)
#define LZ4_PACKED_MAX (LZ4_BLOCK_MAX + LZ4_BLOCK_MAX / 255 + 16) /* incompressible data grows */

enum method { METHOD_GZIP, METHOD_BZIP2, METHOD_XZ, METHOD_LZMA, METHOD_LZ4, METHOD_LZOP, METHOD_ZSTD };

static const struct magic {
	enum method method;
	const char *name;
	uint8_t len;
	const char *bytes;
	int filter; /* libarchive's number */
} magics[] = {
	{METHOD_GZIP, "gzip", 3, "\x1f\x8b\x08", ARCHIVE_FILTER_GZIP},
	{METHOD_BZIP2, "bzip2", 3, "BZh", ARCHIVE_FILTER_BZIP2},
	{METHOD_XZ, "xz", 6, "\xfd" "7zXZ\0", ARCHIVE_FILTER_XZ},
	{METHOD_LZMA, "lzma", 3, "\x5d\0\0", ARCHIVE_FILTER_LZMA},
	{METHOD_LZ4, "lz4", 4, "\x02\x21\x4c\x18", ARCHIVE_FILTER_LZ4},
	{METHOD_LZOP, "lzop", 9, "\x89LZO\0\r\n\x1a\n", ARCHIVE_FILTER_LZOP},
	{METHOD_ZSTD, "zstd", 4, "\x28\xb5\x2f\xfd", ARCHIVE_FILTER_ZSTD},
};

static const struct magic *find_magic(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++)
		if (len >= magics[i].len && !memcmp(data, magics[i].bytes, magics[i].len))
			return &magics[i];
	return NULL;
}

const char *unpack_name(const uint8_t *data, size_t len)
{
	const struct magic *magic = find_magic(data, len);

	return magic ? magic->name : "";
}

static int truncated(const char *name, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "initramfs: the %s stream is truncated or damaged", name);
}

/* --- where a stream ends: libarchive's lz4 and zstd filters read on to the end of the data and fail on what follows --- */

static bool lz4_length(const uint8_t *data, size_t len, size_t *ret)
{
	size_t pos = 4;

	while (range_ok(pos, 4, len)) {
		uint32_t packed = le32_get(data + pos);

		if (packed == LZ4_MAGIC) { /* another stream appended, which continues this one */
			pos += 4;
			continue;
		}
		/* Padding, or what follows. Only the start of a gzip stream is also a possible block length (559903). */
		if (!packed || packed > LZ4_PACKED_MAX || !memcmp(data + pos, "\x1f\x8b\x08", 3))
			break;
		if (!range_ok(pos + 4, packed, len))
			return false;
		pos += 4 + (size_t)packed;
	}
	*ret = pos;
	return pos > 4;
}

/* RFC 8878, 3.1.1 */
static bool zstd_length(const uint8_t *data, size_t len, size_t *ret)
{
	static const uint8_t dictionary_size[] = {0, 1, 2, 4}, content_size[] = {0, 2, 4, 8};
	uint8_t descriptor;
	size_t pos = 5;
	bool last = false, single;

	if (len < pos)
		return false;
	descriptor = data[4];
	single = descriptor & 0x20;
	pos += dictionary_size[descriptor & 3] + content_size[descriptor >> 6];
	pos += single ? descriptor >> 6 == 0 : 1;
	while (!last) {
		uint32_t block, size;

		if (!range_ok(pos, 3, len))
			return false;
		block = data[pos] | (uint32_t)data[pos + 1] << 8 | (uint32_t)data[pos + 2] << 16;
		last = block & 1;
		size = (block >> 1 & 3) == 1 ? 1 : block >> 3; /* a repeated byte, else so many bytes */
		if (!range_ok(pos + 3, size, len))
			return false;
		pos += 3 + (size_t)size;
	}
	if (descriptor & 4)
		pos += 4;
	*ret = pos;
	return pos <= len;
}

/* --- libarchive: one filter, set and not guessed; the data then is one nameless "raw" member ---------------------------- */

static void archive_done(struct archive **a)
{
	archive_read_free(*a);
}

static int archive_failed(struct archive *a, const char *name, struct p2h_error *err)
{
	if (archive_errno(a) == ENOMEM)
		return error_nomem(err);
	return error_set(err, P2H_CORRUPT, "initramfs: %s stream: %s", name,
			 archive_error_string(a) ? archive_error_string(a) : "damaged");
}

static int archive_pump(struct archive *a, const char *name, unpack_sink *sink, void *ctx, struct p2h_error *err)
{
	struct archive_entry *entry;
	const void *piece;
	size_t len;
	la_int64_t off;
	int result, code;

	result = archive_read_next_header(a, &entry);
	if (result == ARCHIVE_EOF) /* nothing inside */
		return 0;
	if (result != ARCHIVE_OK)
		return archive_failed(a, name, err);
	while ((result = archive_read_data_block(a, &piece, &len, &off)) == ARCHIVE_OK) {
		code = sink(ctx, piece, len, err);
		if (code)
			return code;
	}
	return result == ARCHIVE_EOF ? 0 : archive_failed(a, name, err);
}

static int unpack_archive(const struct magic *magic, const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used,
			  struct p2h_error *err)
{
	CLEANUP(archive_done) struct archive *a = archive_read_new();
	la_int64_t used;
	int code;

	if (!a || archive_read_support_format_raw(a) != ARCHIVE_OK || archive_read_support_format_empty(a) != ARCHIVE_OK)
		return error_nomem(err);
	/* ARCHIVE_WARN: it would run a program. */
	if (archive_read_append_filter(a, magic->filter) != ARCHIVE_OK)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: this system's libarchive cannot read %s", magic->name);
	if (archive_read_open_memory(a, data, len) != ARCHIVE_OK)
		return archive_failed(a, magic->name, err);
	code = archive_pump(a, magic->name, sink, ctx, err);
	if (code)
		return code;
	used = archive_filter_bytes(a, -1);
	if (used <= 0 || (uint64_t)used > len)
		return truncated(magic->name, err);
	*ret_used = (size_t)used;
	return 0;
}

/* --- liblzma -------------------------------------------------------------------------------------------------------------- */

static int lzma_failed(lzma_ret result, const char *name, struct p2h_error *err)
{
	if (result == LZMA_MEM_ERROR)
		return error_nomem(err);
	if (result == LZMA_MEMLIMIT_ERROR)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: the %s stream needs more than %u MiB of memory", name,
				 MEMORY_LIMIT >> 20);
	if (result == LZMA_OPTIONS_ERROR)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: the %s stream uses features that liblzma does not know", name);
	return truncated(name, err);
}

static int lzma_pump(lzma_stream *stream, const char *name, unpack_sink *sink, void *ctx, struct p2h_error *err)
{
	CLEANUP_FREE uint8_t *piece = malloc(PIECE);
	lzma_ret result = LZMA_OK;

	if (!piece)
		return error_nomem(err);
	while (result == LZMA_OK) {
		int code;

		stream->next_out = piece;
		stream->avail_out = PIECE;
		result = lzma_code(stream, LZMA_FINISH);
		if (result != LZMA_OK && result != LZMA_STREAM_END)
			return lzma_failed(result, name, err);
		code = sink(ctx, piece, PIECE - stream->avail_out, err);
		if (code)
			return code;
	}
	return 0;
}

static int unpack_lzma(const struct magic *magic, const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used,
		       struct p2h_error *err)
{
	CLEANUP(lzma_end) lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret result;
	int code;

	result = magic->method == METHOD_XZ ? lzma_stream_decoder(&stream, MEMORY_LIMIT, 0) : lzma_alone_decoder(&stream, MEMORY_LIMIT);
	if (result != LZMA_OK)
		return lzma_failed(result, magic->name, err);
	stream.next_in = data;
	stream.avail_in = len;
	code = lzma_pump(&stream, magic->name, sink, ctx, err);
	if (code)
		return code;
	*ret_used = len - stream.avail_in;
	return 0;
}

int unpack_stream(const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used, struct p2h_error *err)
{
	const struct magic *magic = find_magic(data, len);

	if (!magic)
		return error_set(err, P2H_CORRUPT, "initramfs: neither a cpio archive nor a compressed one");
	switch (magic->method) {
	case METHOD_XZ:
	case METHOD_LZMA:
		return unpack_lzma(magic, data, len, sink, ctx, ret_used, err);
	case METHOD_LZOP:
		return unpack_lzop(data, len, sink, ctx, ret_used, err);
	case METHOD_LZ4:
		if (!lz4_length(data, len, &len))
			return truncated(magic->name, err);
		break;
	case METHOD_ZSTD:
		if (!zstd_length(data, len, &len))
			return truncated(magic->name, err);
		break;
	case METHOD_GZIP:
	case METHOD_BZIP2:
	default:
		break;
	}
	return unpack_archive(magic, data, len, sink, ctx, ret_used, err);
}
