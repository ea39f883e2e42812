/*
 * appliance_module.h - what libpv2hvm-guestfs.so gives to the library: libguestfs' calls in the terms of fs.h
 *
 * The module is loaded when an image needs it (appliance.c), so that all else works without libguestfs. It knows nothing of caches,
 * transactions or rules, and calls nothing of the library. Calls return 0 or an errno value, and `message` tells what was said of the
 * last one that failed. Paths are those of the appliance: a file system's mount point with the path inside it.
 */
#ifndef P2H_FS_APPLIANCE_MODULE_H
#define P2H_FS_APPLIANCE_MODULE_H

#include "fs/fs.h"

#define APPLIANCE_MODULE_ABI 3u
#define APPLIANCE_MODULE_SYMBOL "p2h_appliance_module"

struct appliance_setup {
	const char *const *socket; /* a drive each, served by NBD there; NULL at the end */
	bool (*kvm_works)(void); /* asked where nobody has decided that it is not used (LIBGUESTFS_BACKEND_SETTINGS=force_tcg) */
	/* What the appliance says: its console and libguestfs' own messages, in pieces. */
	void (*log)(void *arg, const char *text, size_t len);
	void *log_arg;
};

/* What a device holds; strings that do not fit are cut. */
struct appliance_content {
	char type[32], uuid[40], label[256];
};

enum appliance_layer { APPLIANCE_LVM, APPLIANCE_RAID, APPLIANCE_LUKS };

typedef void (*appliance_add_name)(void *arg, const char *name, const struct fs_stat *st);
typedef void (*appliance_add_xattr)(void *arg, const char *name, const void *value, size_t len);
/*
 * `device` lies on what has this UUID (libblkid's): a logical volume on each physical volume of its group, an array on its members, with name and level as
 * their superblock says ("host:0", "raid1"; "" elsewhere), which is made for so many devices (0 elsewhere). Not on devices by name: the appliance's kernel may number drives in another order.
 */
typedef void (*appliance_add_layer)(void *arg, enum appliance_layer layer, const char *device, const char *below, const char *name, const char *level,
				    unsigned devices);
typedef void (*appliance_add_subvolume)(void *arg, const char *path, bool is_default);

struct appliance_module {
	unsigned abi;
	/* *ret is set also when it fails, for `message`, unless that is ENOMEM; `stop` frees it. Drives are /dev/sda, /dev/sdb, ... in the order given. */
	int (*start)(const struct appliance_setup *setup, void **ret);
	int (*stop)(void *a); /* what is mounted is unmounted first; a is gone also when it fails */
	const char *(*message)(void *a);

	int (*content)(void *a, const char *device, struct appliance_content *ret);
	/* Activates volume groups; arrays were assembled at the start. Encrypted volumes are not told of: who unlocked them knows. */
	int (*layers)(void *a, appliance_add_layer add, void *arg);
	int (*unlock)(void *a, const char *device, const char *key, const char *name); /* as /dev/mapper/NAME; EACCES: not its key */
	int (*size)(void *a, const char *device, uint64_t *ret); /* bytes */
	int (*subvolumes)(void *a, const char *where, appliance_add_subvolume add, void *arg); /* of the btrfs that is mounted there */
	int (*mount)(void *a, const char *device, const char *options, const char *where); /* makes the mount point if need be */
	int (*umount)(void *a, const char *where);
	int (*space)(void *a, const char *path, struct fs_space *ret);

	int (*list)(void *a, const char *path, appliance_add_name add, void *arg); /* without "." and "..", any order */
	int (*lstat)(void *a, const char *path, struct fs_stat *ret);
	int (*readlink)(void *a, const char *path, char **ret); /* free() */
	int (*xattrs)(void *a, const char *path, appliance_add_xattr add, void *arg); /* of a link itself */
	/* At most len bytes; fewer only at the end. len is at most APPLIANCE_PIECE. */
	int (*pread)(void *a, const char *path, void *buf, uint64_t off, size_t len, size_t *ret_got);

	/* A regular file's content, in ascending pieces of at most APPLIANCE_PIECE. At 0 a new one is made, an existing one emptied first. */
	int (*write)(void *a, const char *path, const void *buf, uint64_t off, size_t len);
	/* A tar archive packed by gzip, from its beginning, into a directory; times of last access are not set. */
	int (*unpack)(void *a, int fd, const char *where);
	int (*mknod)(void *a, const char *path, uint32_t mode, uint32_t major, uint32_t minor);
	int (*link)(void *a, const char *existing, const char *path);
	int (*rename)(void *a, const char *from, const char *to);
	int (*unlink)(void *a, const char *path, bool is_directory);
	/* Owner, permission bits and times; permission bits of a link stay. */
	int (*set_meta)(void *a, const char *path, const struct fs_meta *meta, bool is_link);
	int (*set_xattr)(void *a, const char *path, const char *name, const void *value, size_t len);
};

#define APPLIANCE_PIECE (2u << 20) /* a message of libguestfs holds 4 MiB */

/* What the shared object exports under APPLIANCE_MODULE_SYMBOL. */
typedef const struct appliance_module *(*appliance_module_get)(void);

#endif
