/* hostfile.h - small files of the host: GRUB's modules and images */
#ifndef P2H_BASE_HOSTFILE_H
#define P2H_BASE_HOSTFILE_H

#include "base/buf.h"
#include "base/error.h"

/* The whole file appended to *ret; larger than max bytes: P2H_UNSUPPORTED. */
int hostfile_read(const char *path, size_t max, struct buf *ret, struct p2h_error *err);

#endif
