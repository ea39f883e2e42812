/*
 * bootimage.h - small disk images that boot as far as verify can tell: a real GRUB core image, a real ext4, and a tree of
 * files that are right in structure but do nothing. For tests that break them in one place.
 */
#ifndef P2H_TEST_BOOTIMAGE_H
#define P2H_TEST_BOOTIMAGE_H

#include "disk/disk.h"
#include "fs/fs.h"

#define BOOTIMAGE_RELEASE "6.1.0-99-test"
#define BOOTIMAGE_UUID "5d1c7a2e-0b0a-4a0e-9f55-6b8a3c1d2e4f"
#define BOOTIMAGE_PART (1024 * 1024u)      /* where the partition starts, bytes */
#define BOOTIMAGE_FS (16 * 1024 * 1024u)   /* its size */
#define BOOTIMAGE_MODULES "/lib/modules/" BOOTIMAGE_RELEASE
#define BOOTIMAGE_KERNEL "/boot/vmlinuz-" BOOTIMAGE_RELEASE
#define BOOTIMAGE_INITRD "/boot/initrd.img-" BOOTIMAGE_RELEASE
#define BOOTIMAGE_CONFIG "/boot/config-" BOOTIMAGE_RELEASE

/* Are the programs there that make such images? */
bool bootimage_possible(void);

/* A test group's setup and teardown for cmocka; without those programs they do nothing. The setup says on stderr what failed. */
int bootimage_setup(void **state);
int bootimage_teardown(void **state);

/* A copy in RAM; the caller closes it. flat: the file system starts at sector 0, core in inode 5. NULL: failed. */
struct disk *bootimage_open(bool flat);

/*
 * donor.raw, which boots, and guest.raw, which does not yet, as files of the scratch directory (scratch.h). The guest is flat, without boot
 * code, kernel and menu, and its fstab names /dev/xvda1. flat_donor: both are a file system on the whole disk, as debugfs wants it.
 */
void bootimage_files(bool flat_donor);

/* Another core image in place of the usual one: these modules, $prefix and embedded configuration (NULL: none). */
bool bootimage_core(struct disk *d, const char *modules, const char *prefix, const char *config);
#define BOOTIMAGE_CORE_MODULES "biosdisk part_msdos part_gpt ext2 search search_fs_uuid normal linux configfile"
#define BOOTIMAGE_CORE_CONFIG "search.fs_uuid " BOOTIMAGE_UUID " root\nset prefix=($root)/boot/grub\n"

/* An empty ext4 file system into data[0 .. size - 1]. */
bool bootimage_mkfs(const char *uuid, const char *label, char *data, size_t size);

/* The pieces, appended to ret. */
struct bootimage_elf {
	unsigned bits;
	const char *interp;   /* NULL: static */
	const unsigned *abi;  /* three numbers, NULL: no tag */
	const char *needed;   /* a library; NULL: none. 64 bit only, as is the next */
	const char *runpath;  /* where that is to be looked for */
};
void bootimage_elf(struct buf *ret, const struct bootimage_elf *elf);
void bootimage_kernel(struct buf *ret, bool is_64bit);
/* newc archive, not compressed; members: paths separated by blanks, each with a few bytes. */
void bootimage_initrd(struct buf *ret, const char *members);
#define BOOTIMAGE_KO "lib/modules/" BOOTIMAGE_RELEASE "/kernel/"
#define BOOTIMAGE_INITRD_MEMBERS                                                                                      \
	"init " BOOTIMAGE_KO "xen-blkfront.ko " BOOTIMAGE_KO "nvme.ko " BOOTIMAGE_KO "nvme-core.ko " BOOTIMAGE_KO \
	"virtio_blk.ko " BOOTIMAGE_KO "virtio_pci.ko " BOOTIMAGE_KO "ext4.ko " BOOTIMAGE_KO "jbd2.ko"

#endif
