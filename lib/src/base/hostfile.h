/* hostfile.h - small files and directories of the host: GRUB's modules and images, sysfs, /proc */
#ifndef P2H_BASE_HOSTFILE_H
#define P2H_BASE_HOSTFILE_H

#include <dirent.h>

#include "base/buf.h"
#include "base/error.h"

/* The whole file appended to *ret; larger than max bytes: P2H_UNSUPPORTED. */
int hostfile_read(const char *path, size_t max, struct buf *ret, struct p2h_error *err);

/* The first line without its end, as much as fits. false: there is none. Takes no memory. */
bool hostfile_line(const char *path, char *ret, size_t size);

/* opendir; that there is no memory for it is noted (error.h): NULL then does not mean that there is no such directory. */
DIR *hostfile_dir(const char *path);

#endif
