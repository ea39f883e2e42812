/* host.h - who on this host uses an image or device */
#ifndef P2H_DISK_HOST_H
#define P2H_DISK_HOST_H

#include <stdbool.h>

#include "base/error.h"

/*
 * P2H_BUSY, with the name of the user in the message, when the image file or block device at path (or a partition or
 * holder of the device: /sys/class/block/X/{holders,...}) is mounted (also through a loop device), is active swap, or,
 * for a file, is locked the way QEMU locks images (OFD locks on bytes 100-..; writing processes hold a write share).
 * for_write false: a read-only mount is no obstacle, a read-write one is.
 */
int host_check_unused(const char *path, bool for_write, struct p2h_error *err);

/*
 * P2H_REFUSED when path is (on) a disk that the running system lives on: what /, /boot, /boot/efi or /usr are mounted from, the disks below
 * it through device-mapper, md, btrfs and loop devices, and every partition of these. Whatever does not exist is fine.
 */
int host_check_target(const char *path, struct p2h_error *err);
int host_check_target_in(const char *path, const char *mountinfo, struct p2h_error *err); /* as that file says, for tests */

/* Like host_same_disk; also when one is built on the other by device-mapper or md. */
bool host_same_storage(const char *a, const char *b);

/* Do both paths name the same file, device or disk (a partition and its whole disk count as the same)? */
bool host_same_disk(const char *a, const char *b);

#endif
