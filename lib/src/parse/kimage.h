/* kimage.h - a Linux/x86 kernel image (Documentation/arch/x86/boot.rst) */
#ifndef P2H_PARSE_KIMAGE_H
#define P2H_PARSE_KIMAGE_H

#include "base/error.h"

enum kimage_kind {
	KIMAGE_BZIMAGE, /* has the boot protocol header: a BIOS boot loader can start it */
	KIMAGE_ELF,     /* plain or compressed vmlinux: Xen PV only (kernel-xenU, ...) */
};
struct kimage {
	enum kimage_kind kind;
	bool is_64bit;            /* XLF_KERNEL_64 for protocol 2.12 on; for older ones false and is_64bit_known false */
	bool is_64bit_known;
	unsigned protocol;        /* 0x020f is 2.15 */
	uint64_t expected_size;   /* (setup_sects + 1) * 512 + syssize * 16: shorter is truncated */
	uint64_t payload, payload_size; /* where the packed kernel is in the file (protocol 2.08 on); size 0: not known */
	char release[65];         /* "6.1.0-18-cloud-amd64", first word of the version string; "" if none */
};
/* data: at least the first 64 KiB or all of the file; size: of the whole file. P2H_CORRUPT when it is neither kind. */
int kimage_parse(const void *data, size_t len, uint64_t size, struct kimage *ret, struct p2h_error *err);

#endif
