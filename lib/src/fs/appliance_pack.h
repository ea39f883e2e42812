/*
 * appliance_pack.h - inside fs/: new files, directories and links on their way into the appliance
 *
 * One call of libguestfs takes milliseconds, and a file several of them. So what is new is gathered in a tar archive, which is unpacked there as a whole
 * before anything else is asked of the file system; packed by gzip, as libguestfs takes a MiB of it in half a second where the machine is emulated. Until
 * then the mount's cache knows what is in it.
 */
#ifndef P2H_FS_APPLIANCE_PACK_H
#define P2H_FS_APPLIANCE_PACK_H

#include "fs/appliance_mount.h"

#define PACK_FILE_MAX (1u << 20) /* larger files are worth calls of their own */

struct pack;

/* `st` is what the new inode will have: type and permission bits, owner, times, size. target: of a symbolic link; fd: a regular file's content. */
int pack_add(struct appliance_mount *m, const char *path, const struct fs_stat *st, const char *target, int fd, struct p2h_error *err);
/* Unpacks what there is. To be called before any other call about this mount that is not answered by its cache. */
int pack_flush(struct appliance_mount *m, struct p2h_error *err);
void pack_free(struct pack *p); /* NULL is allowed; what is in it is lost */

#endif
