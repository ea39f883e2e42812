/* verifycheck.h - the tests of verify/: images that are broken in one place, and the one step that must see it */
#ifndef P2H_TEST_VERIFYCHECK_H
#define P2H_TEST_VERIFYCHECK_H

#include "support/bootimage.h"
#include "verify/verify.h"

#define VERIFY_ALL (TARGET_XEN_HVM | TARGET_NITRO | TARGET_KVM)
#define BOOTIMAGE_SUPERBLOCK (BOOTIMAGE_PART + 1024u)
#define MENU "/boot/grub/grub.cfg"

struct verify_row {
	const char *name;
	void (*files)(struct fs *fs);    /* how it is broken: by its files or by its bytes, or not at all */
	void (*bytes)(struct disk *d);
	unsigned targets;                /* 0: all */
	enum verify_result result;       /* of the step; VERIFY_PASS: no step says anything else */
	const char *id;                  /* the only step that fails, or the one that warns */
	const char *says;                /* part of its evidence, NULL: anything */
	bool flat;
};

void verify_check_tools(void);

/* Fails the test, with the whole report, for each row that is not judged as it says. */
void verify_check_rows(const struct verify_row *row, size_t len);
bool verify_row_holds(const struct verify_row *row, const struct verify_report *r);
void verify_print(const char *name, const struct verify_report *r);

/* ---- ways to break an image; each fails the test when it cannot ---- */

extern const struct fs_meta verify_meta;
void edit_put(struct fs *fs, const char *path, const char *text);
void edit_put_buf(struct fs *fs, const char *path, struct buf *b); /* empties b */
void edit_replace(struct fs *fs, const char *path, const char *from, const char *to);
void edit_append(struct fs *fs, const char *path, const char *text);
void edit_cut(struct fs *fs, const char *path, size_t drop); /* the last bytes */
void edit_remove(struct fs *fs, const char *path);
void edit_bytes(struct disk *d, uint64_t off, const void *data, size_t len);
void edit_bits(struct disk *d, uint64_t off, uint32_t bits); /* sets them in a 32-bit field */

#endif
