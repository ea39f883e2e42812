/*
 * grubimg.h - GRUB 2's i386-pc boot sector and core image
 *
 * Layouts: GRUB's include/grub/i386/pc/boot.h, grub-core/boot/i386/pc/{boot,diskboot,startup_raw,lzma_decode}.S,
 * include/grub/offsets.h, include/grub/kernel.h (module header), util/grub-mkimage.c; patching as util/setup.c does.
 */
#ifndef P2H_PARSE_GRUBIMG_H
#define P2H_PARSE_GRUBIMG_H

#include "base/buf.h"
#include "base/error.h"

#define GRUB_SECTOR 512u

/* Is this sector GRUB 2's boot.img (patched or not)? */
bool grub_is_boot_sector(const uint8_t sector[512]);

/* Absolute sector of the core image's first sector, as in the boot sector. */
uint64_t grub_boot_sector_kernel(const uint8_t sector[512]);

/*
 * Makes the boot sector to write: boot_img with BIOS parameter block area (bytes 3..0x59 for a file system at sector 0 or floppy-like BPB) and the
 * disk signature and partition table (0x1b8..0x1fd) kept from `present`, core's absolute first sector, boot drive 0xff, and the drive check
 * patched out as grub-bios-setup does for hard disks.
 */
int grub_boot_sector_make(const uint8_t boot_img[512], const uint8_t present[512], uint64_t core_sector, uint8_t ret[512],
			  struct p2h_error *err);

/*
 * Patches the blocklist in core's first sector. where: byte ranges of the disk (512-byte aligned) that will hold core in order, the first at least one
 * sector; P2H_UNSUPPORTED when there are too many pieces. core's length is a multiple of 512 (pad before).
 */
int grub_core_patch(uint8_t *core, size_t len, const struct ranges *where, struct p2h_error *err);

/* The blocklist of a core image's first sector, as byte ranges of the disk, WITHOUT the first sector itself. P2H_CORRUPT when it is none. */
int grub_core_blocklist(const uint8_t sector[512], struct ranges *ret, struct p2h_error *err);

/* What a core image holds, LZMA unpacked (liblzma raw decoder; lc 3, lp 0, pb 2, dictionary 64 KiB; no end marker, sizes in the header). */
struct grub_core {
	char *prefix;             /* OBJ_TYPE_PREFIX, "" if none */
	char *config;             /* OBJ_TYPE_CONFIG (the embedded configuration), "" if none */
	struct strlist modules;   /* names from each ELF module's .modname section */
};
int grub_core_parse(const uint8_t *core, size_t len, struct grub_core *ret, struct p2h_error *err);
void grub_core_done(struct grub_core *c);

#endif
