/* archive.h - an archive to be appended to the initramfs, put together by a rule; for plan/ only */
#ifndef P2H_PLAN_ARCHIVE_H
#define P2H_PLAN_ARCHIVE_H

#include "plan/planner.h"

struct archive {
	struct planner *p;
	struct buf data;                /* cpio */
	struct archive_member *member;  /* in the planner's arena; directories are not listed */
	size_t members;
	struct strlist directories;     /* made by this archive */
};

/*
 * Adds a member; why: one phrase for the report. Directories above it that the initramfs lacks come first: one that is there already must not be
 * named again, as the kernel would put the directory in the place of a link (init/initramfs.c, clean_path).
 */
void archive_file(struct archive *a, const char *path, const void *data, size_t len, const char *why);
void archive_link(struct archive *a, const char *path, const char *target, const char *why);

/* The archive as an action of the rule that runs; none if it has no member. */
void archive_append(struct archive *a, const char *reason);
void archive_done(struct archive *a);

#endif
