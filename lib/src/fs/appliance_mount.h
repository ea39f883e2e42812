/* appliance_mount.h - inside fs/: a file system mounted in the appliance, shared by all that have it open */
#ifndef P2H_FS_APPLIANCE_MOUNT_H
#define P2H_FS_APPLIANCE_MOUNT_H

#include "fs/appliance.h"
#include "fs/appliance_module.h"
#include "fs/dircache.h"

struct appliance_mount {
	struct appliance_mount *next;
	struct appliance_drive *drive;
	unsigned number;
	char device[24], where[24]; /* "/dev/sda1", "/p2h1" */
	struct appliance_content content;
	unsigned users;
	bool mounted, writing; /* writing: one of the users does */
	struct dircache *cache;
};

/* Starts the appliance if need be, mounts, counts the user. P2H_BUSY: another one writes. */
int appliance_mount_get(struct appliance_drive *drive, unsigned number, bool write, struct appliance_mount **ret, struct p2h_error *err);
/* One user less. After the writing one it is mounted for reading again: all that was written lies on the drive's disk. */
int appliance_mount_put(struct appliance_mount *m, bool wrote, struct p2h_error *err);

const struct appliance_module *appliance_calls(const struct appliance_mount *m, void **ret_handle);
/* The error for a call that returned errnum, about a path of the guest. */
int appliance_failed(const struct appliance_mount *m, int errnum, const char *path, struct p2h_error *err);

#endif
