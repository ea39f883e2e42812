/* features.h - ext4 features that stop a mount for writing, and the kernel that brought them (Documentation/filesystems/ext4, e2fsprogs' ext4(5)) */
#ifndef P2H_FS_FEATURES_H
#define P2H_FS_FEATURES_H

struct fs_feature {
	const char *name;        /* e2fsprogs' */
	unsigned major, minor;   /* the first Linux that knows it */
	const char *option;      /* without CONFIG_: what a kernel must have been built with to mount it (fs/ext4/super.c, ext4_feature_set_ok); NULL: nothing */
};
extern const struct fs_feature fs_feature_since[]; /* ends with name NULL */

#endif
