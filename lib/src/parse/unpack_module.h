/*
 * unpack_module.h - a packed kernel module (.ko.xz, .ko.zst, .ko.gz), unpacked piece by piece from a source that is read piece by piece
 *
 * xz through liblzma, the others through libarchive's filters (never through external programs).
 */
#ifndef P2H_PARSE_UNPACK_MODULE_H
#define P2H_PARSE_UNPACK_MODULE_H

#include "parse/unpack.h"

#define MODULE_MAX (1u << 30) /* of one, unpacked */

/* Puts up to len bytes of the packed file into buf; *ret_got is 0 at its end. */
typedef int unpack_source(void *ctx, void *buf, size_t len, size_t *ret_got, struct p2h_error *err);

/*
 * packing: as kmodule_packing says. Errors of source and sink are passed on; P2H_CORRUPT: the file is damaged, cut short or packed in
 * another way; P2H_UNSUPPORTED: more than MODULE_MAX bytes, or more memory than sensible.
 */
int unpack_module(const char *packing, unpack_source *source, void *source_ctx, unpack_sink *sink, void *sink_ctx, struct p2h_error *err);

#endif
