#include "parse/unpack_module.h"

#include <archive.h>
#include <errno.h>
#include <lzma.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

#define PIECE (128u << 10)
#define MEMORY_LIMIT (80u << 20) /* xz -9 needs 65 MiB; kernels are built with dictionaries of 1 or 2 MiB */

struct job {
	unpack_source *source;
	void *source_ctx;
	unpack_sink *sink;
	void *sink_ctx;
	uint64_t done;
	uint8_t *piece;      /* PIECE bytes of input */
	int failure;         /* of the source, seen through libarchive */
	struct p2h_error *err;
};

static int damaged(struct job *j, const char *packing)
{
	return error_set(j->err, P2H_CORRUPT, "the module is damaged, cut short or not packed with %s", packing);
}

static int pass_on(struct job *j, const void *data, size_t len)
{
	j->done += len;
	if (j->done > MODULE_MAX)
		return error_set(j->err, P2H_UNSUPPORTED, "the module is larger than %u MiB unpacked", MODULE_MAX >> 20);
	return len ? j->sink(j->sink_ctx, data, len, j->err) : 0;
}

/* --- xz: concatenated streams are one, as for xz itself --- */

static int lzma_failed(struct job *j, lzma_ret result)
{
	if (result == LZMA_MEM_ERROR)
		return error_nomem(j->err);
	if (result == LZMA_MEMLIMIT_ERROR)
		return error_set(j->err, P2H_UNSUPPORTED, "the module needs more than %u MiB of memory to be unpacked", MEMORY_LIMIT >> 20);
	return damaged(j, "xz");
}

static int unpack_xz(struct job *j)
{
	CLEANUP(lzma_end) lzma_stream stream = LZMA_STREAM_INIT;
	CLEANUP_FREE uint8_t *out = malloc(PIECE);
	lzma_ret result = lzma_stream_decoder(&stream, MEMORY_LIMIT, LZMA_CONCATENATED);
	lzma_action action = LZMA_RUN;

	if (!out)
		return error_nomem(j->err);
	while (result == LZMA_OK) {
		int rc;

		if (!stream.avail_in && action == LZMA_RUN) {
			size_t got = 0;

			rc = j->source(j->source_ctx, j->piece, PIECE, &got, j->err);
			if (rc)
				return rc;
			stream.next_in = j->piece;
			stream.avail_in = got;
			action = got ? LZMA_RUN : LZMA_FINISH;
		}
		stream.next_out = out;
		stream.avail_out = PIECE;
		result = lzma_code(&stream, action);
		rc = pass_on(j, out, PIECE - stream.avail_out);
		if (rc)
			return rc;
	}
	return result == LZMA_STREAM_END ? 0 : lzma_failed(j, result);
}

/* --- zstd and gzip: one filter of libarchive, set and not guessed; the data then is one nameless "raw" member --- */

static void archive_done(struct archive **a)
{
	archive_read_free(*a);
}

static la_ssize_t read_piece(struct archive *a, void *ctx, const void **ret)
{
	struct job *j = ctx;
	size_t got = 0;

	j->failure = j->source(j->source_ctx, j->piece, PIECE, &got, j->err);
	if (j->failure) {
		archive_set_error(a, EIO, "the source failed");
		return -1;
	}
	*ret = j->piece;
	return (la_ssize_t)got;
}

static int archive_failed(struct job *j, struct archive *a, const char *packing)
{
	if (j->failure)
		return j->failure;
	return archive_errno(a) == ENOMEM ? error_nomem(j->err) : damaged(j, packing);
}

static int unpack_archive(struct job *j, const char *packing, int filter)
{
	CLEANUP(archive_done) struct archive *a = archive_read_new();
	struct archive_entry *entry;
	const void *data;
	size_t len;
	la_int64_t off;
	int result;

	if (!a || archive_read_support_format_raw(a) != ARCHIVE_OK)
		return error_nomem(j->err);
	if (archive_read_append_filter(a, filter) != ARCHIVE_OK) /* ARCHIVE_WARN: it would run a program */
		return error_set(j->err, P2H_UNSUPPORTED, "this system's libarchive cannot read %s", packing);
	if (archive_read_open(a, j, NULL, read_piece, NULL) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return archive_failed(j, a, packing);
	while ((result = archive_read_data_block(a, &data, &len, &off)) == ARCHIVE_OK) {
		int rc = pass_on(j, data, len);

		if (rc)
			return rc;
	}
	return result == ARCHIVE_EOF ? 0 : archive_failed(j, a, packing);
}

int unpack_module(const char *packing, unpack_source *source, void *source_ctx, unpack_sink *sink, void *sink_ctx, struct p2h_error *err)
{
	CLEANUP_FREE uint8_t *piece = malloc(PIECE);
	struct job j = {source, source_ctx, sink, sink_ctx, 0, piece, 0, err};

	if (!piece)
		return error_nomem(err);
	if (!strcmp(packing, "xz"))
		return unpack_xz(&j);
	return unpack_archive(&j, packing, !strcmp(packing, "zst") ? ARCHIVE_FILTER_ZSTD : ARCHIVE_FILTER_GZIP);
}
