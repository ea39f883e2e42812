/* parts.h - the parts of apply_plan; for apply/ only */
#ifndef P2H_APPLY_PARTS_H
#define P2H_APPLY_PARTS_H

#include "apply/apply.h"

/* files.c */
int make_parent(struct fs *fs, const char *path, int64_t now, struct p2h_error *err);
int apply_file(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err);
int apply_link(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err);
int apply_node(struct fs *fs, const struct action *a, int64_t now, struct p2h_error *err);
int apply_remove(struct fs *fs, const struct action *a, struct p2h_error *err);
int apply_initramfs(struct fs *fs, const struct action *a, struct p2h_error *err);
int make_directories(struct fs *fs, const char *path, int64_t now, struct p2h_error *err); /* path and what is above it */
void new_meta(struct fs_meta *ret, uint32_t mode, int64_t now);

/* tree.c: the donor's kernel files and modules, and its firmware */
int apply_tree(const struct apply_context *c, struct fs *guest, struct p2h_error *err);
int apply_firmware(const struct apply_context *c, struct fs *guest, const struct action *a, struct p2h_error *err);

/* label.c: SELinux labels for what is new */
int apply_labels(const struct apply_context *c, struct fs *guest, struct p2h_error *err);

/* grub.c: first what lies in the file system, then (after it is closed) what lies below it */
int apply_platform(const struct apply_context *c, struct fs *guest, struct p2h_error *err);
int apply_boot_loader(const struct apply_context *c, const struct action *a, const struct ranges *inode5, struct p2h_error *err);

#endif
