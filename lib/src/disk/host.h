/* host.h - who on this host uses an image or device */
#ifndef P2H_DISK_HOST_H
#define P2H_DISK_HOST_H

#include "base/error.h"

/*
 * P2H_BUSY, with the name of the user in the message, when the image file or block device at path (or a partition or
 * holder of the device: /sys/class/block/X/{holders,...}) is mounted (also through a loop device), is active swap, or,
 * for a file, is locked the way QEMU locks images (OFD locks on bytes 100-..; writing processes hold a write share).
 * for_write false: a read-only mount is no obstacle, a read-write one is.
 */
int host_check_unused(const char *path, bool for_write, struct p2h_error *err);

/* Do both paths name the same file, device or disk (a partition and its whole disk count as the same)? */
bool host_same_disk(const char *a, const char *b);

#endif
