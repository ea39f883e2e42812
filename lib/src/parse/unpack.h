/*
 * unpack.h - the compressed streams that the kernel accepts in an initramfs, unpacked piece by piece
 *
 * gzip, bzip2, zstd and lz4 through libarchive's filters (never through external programs), xz and lzma through liblzma, lzop by our
 * own code, as libarchive only has it as a program.
 */
#ifndef P2H_PARSE_UNPACK_H
#define P2H_PARSE_UNPACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Takes a piece of the unpacked stream; an error ends the unpacking and is passed on. */
typedef int unpack_sink(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err);

/*
 * Unpacks the stream that starts at data; *ret_used (> 0): how many bytes it takes up, other data may follow.
 * P2H_CORRUPT when it is damaged or truncated, or when no known stream starts here; P2H_UNSUPPORTED when it is well-formed but asks for
 * more memory than sensible, or libarchive was built without the format.
 */
int unpack_stream(const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used, struct p2h_error *err);

/* "gzip", "xz", ...: what a stream that starts so is packed with, "" if nothing known. */
const char *unpack_name(const uint8_t *data, size_t len);

/* The same for lzop (unpack_lzop.c); data starts with its magic number. */
int unpack_lzop(const uint8_t *data, size_t len, unpack_sink *sink, void *ctx, size_t *ret_used, struct p2h_error *err);

#endif
