/*
 * initramfs.h - what an initramfs holds (kernel Documentation/driver-api/early-userspace/buffer-format.rst)
 *
 * A sequence of cpio archives (newc), each plain or compressed (gzip, xz, lzma, bzip2, lz4, lzop, zstd), with NUL padding in between:
 * early microcode cpio first, then the main one, then what was appended. Read as the kernel does, without holding what is unpacked; bounds:
 * 2 GiB unpacked, 200,000 members (then P2H_UNSUPPORTED). Truncated or damaged, or junk in between: P2H_CORRUPT.
 */
#ifndef P2H_PARSE_INITRAMFS_H
#define P2H_PARSE_INITRAMFS_H

#include "base/buf.h"
#include "base/error.h"

/* Bytes of a file that are read at most: it is held in memory whole. The largest that distributions make have half of it. */
#define INITRAMFS_FILE_MAX (256u << 20)

enum initramfs_kind {
	INITRAMFS_UNKNOWN,
	INITRAMFS_TOOLS,    /* Debian, Ubuntu */
	INITRAMFS_DRACUT,
	INITRAMFS_MKINITRD, /* Red Hat 5 and older, nash */
	INITRAMFS_MKINITCPIO,
};

struct initramfs {
	uint64_t length, crc64;   /* of the file it was parsed from */
	enum initramfs_kind kind;
	bool systemd;             /* holds usr/lib/systemd/systemd (dracut with systemd) */
	bool init;                /* holds /init */
	size_t archives;          /* how many cpio archives */
	char last_packing[8];     /* of the last one: "xz", "lz4", ..., "" for a plain one */
	uint64_t unpacked;        /* bytes of file content */
	struct strlist members;   /* paths without leading "./" or "/" */
	struct strlist modules;   /* names of all *.ko* members, with '_', sorted, distinct */
	struct strlist unlisted;  /* of these, what its modprobe does not find by the index that it reads (modules.dep, with kmod its .bin), sorted; empty
				     where it has no modprobe, or it is not known what loads modules in it */
	struct strlist versions;  /* distinct names below lib/modules/ or usr/lib/modules/ */
	struct strlist conf_name; /* small text members that carry identity: files in conf/conf.d and etc/cmdline.d, conf/param.conf, conf/initramfs.conf, cryptroot/crypttab, etc/fstab ... */
	struct strlist conf_text; /* content of each, same index, as the last archive has it; of a link its target */
	bool conf_incomplete;     /* one of them was too large, no text, or too many */
	struct strlist link_name, link_target; /* directories that are links: "lib" -> "usr/lib" */
};
int initramfs_parse(const void *data, size_t len, struct initramfs *ret, struct p2h_error *err);
/*
 * As far as the kernel gets: what is damaged behind a sound archive that holds /init ends the unpacking with a message, and the boot goes on. Then
 * 0 is returned all the same, *damage says what is wrong, and *ret has what stands in front of it. No damage: damage->code is 0.
 */
int initramfs_parse_sound(const void *data, size_t len, struct initramfs *ret, struct p2h_error *damage, struct p2h_error *err);
void initramfs_done(struct initramfs *i);
/* Was it parsed from these bytes? By length and CRC-64: for a copy of one's own making, which need not be unpacked again. */
bool initramfs_is_of(const struct initramfs *i, const void *data, size_t len);
bool initramfs_has_module(const struct initramfs *i, const char *name); /* '-' and '_' equal */
bool initramfs_loads_module(const struct initramfs *i, const char *name); /* it is there, and its modprobe finds it */
bool initramfs_has_program(const struct initramfs *i, const char *name); /* in one of the directories of $PATH */
unsigned initramfs_systemd(const struct initramfs *i); /* version of its systemd, by the library that its programs share; 0 if unknown */
bool initramfs_has_member(const struct initramfs *i, const char *path);
const char *initramfs_conf(const struct initramfs *i, const char *path); /* its text, NULL if it is not there or empty */
/* Appends path with those of its directories resolved that are links in the archive. */
void initramfs_resolve(const struct initramfs *i, const char *path, struct buf *ret);

#endif
