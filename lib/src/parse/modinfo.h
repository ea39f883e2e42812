/* modinfo.h - what a kernel module says of itself: the section .modinfo of an ELF file (Linux include/linux/moduleparam.h) */
#ifndef P2H_PARSE_MODINFO_H
#define P2H_PARSE_MODINFO_H

#include "base/buf.h"
#include "base/error.h"

/*
 * Appends the values of all `key=` entries to *ret, in their order. A module without the section has none. P2H_NOTFOUND when it is no ELF
 * file, P2H_UNSUPPORTED for a big-endian one, P2H_CORRUPT when its headers or the section lie outside the file.
 */
int modinfo_values(const void *data, size_t len, const char *key, struct strlist *ret, struct p2h_error *err);

#endif
