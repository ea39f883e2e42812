/* appliance_mount.h - inside fs/: the appliance, its drives, and file systems mounted in it, each shared by all that have it open */
#ifndef P2H_FS_APPLIANCE_MOUNT_H
#define P2H_FS_APPLIANCE_MOUNT_H

#include "disk/serve.h"
#include "fs/appliance.h"
#include "fs/appliance_module.h"
#include "fs/dircache.h"

#define APPLIANCE_DRIVES 26u /* /dev/sda to /dev/sdz */

struct appliance_drive {
	struct appliance *appliance;
	char letter;
	struct disk *disk; /* what it shows: from off on, size bytes */
	uint64_t off, size;
	struct disk_server *server; /* once it was started */
	char socket[64];
	struct member *member;
	size_t members;
};

/* `device`, which has a content of its own, lies on what has the UUID `below`. */
struct layer {
	enum appliance_layer kind;
	char device[128], below[40], name[128], level[16];
	unsigned devices; /* of an array: how many it was made for */
	struct appliance_content content;
};

/* A partition that holds such a layer, or is encrypted. */
struct member {
	unsigned number;
	char uuid[40];
};

struct appliance {
	struct appliance_options options;
	void *module;
	const struct appliance_module *calls;
	void *handle; /* the module's; NULL: not started */
	bool failed;
	struct p2h_error failure; /* of the start, told again to whoever asks next */
	struct appliance_drive *drive[APPLIANCE_DRIVES];
	unsigned drives;
	struct appliance_mount *mounts;
	unsigned mount_count;
	struct layer *layer; /* once they were assembled */
	size_t layers;
	bool assembled, no_memory; /* no_memory: for a layer */
	char dir[32]; /* of the sockets */
};

struct appliance_mount {
	struct appliance_mount *next;
	struct appliance_drive *drive;
	char device[128], where[24]; /* "/dev/sda1", "/p2h-3" */
	char *subvolume; /* NULL: the default, or no btrfs */
	struct appliance_content content;
	unsigned users;
	bool in_layers; /* it may lie on other drives, too */
	bool mounted, writing; /* writing: one of the users does */
	struct dircache *cache;
	struct pack *pack; /* what is new, and not there yet; NULL: nothing */
};

/* Once; who asks again after a failure is told the same. */
int appliance_start(struct appliance *a, struct p2h_error *err);

/* "/dev/sda1" */
void appliance_device(const struct appliance_drive *drive, const struct appliance_place *place, char *buf, size_t size);
/* For the end: what was mounted, and what is known of layers. */
void appliance_mounts_done(struct appliance *a);
void appliance_layers_done(struct appliance *a);

int appliance_do_mount(struct appliance_mount *m, bool write, struct p2h_error *err);
int appliance_do_unmount(struct appliance_mount *m, struct p2h_error *err); /* if it is mounted */

/* Starts the appliance if need be, mounts, counts the user. P2H_BUSY: another one writes. */
int appliance_mount_get(struct appliance_drive *drive, const struct appliance_place *place, bool write, struct appliance_mount **ret, struct p2h_error *err);
/* One user less. After the writing one it is mounted for reading again: all that was written lies on the drive's disk. */
int appliance_mount_put(struct appliance_mount *m, bool wrote, struct p2h_error *err);

/* A call of the module: APPLIANCE_CALL(a, mkdir, there). */
#define APPLIANCE_CALL(a, call, ...) ((a)->calls->call((a)->handle, __VA_ARGS__))

/* A path of the file system as the appliance knows it; ret has APPLIANCE_PATH_MAX bytes. */
#define APPLIANCE_PATH_MAX (FS_PATH_MAX + 32)
void appliance_path(const struct appliance_mount *m, const char *path, char *ret);
/* 0, or the error for what a call about that path returned. */
int appliance_result(const struct appliance_mount *m, int errnum, const char *path, struct p2h_error *err);

#endif
