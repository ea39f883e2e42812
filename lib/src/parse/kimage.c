#include "parse/kimage.h"

#include <archive.h>
#include <archive_entry.h>
#include <elf.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"

/* Places in the first two sectors (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header"). */
#define SETUP_SECTS 0x1f1
#define SYSSIZE 0x1f4
#define BOOT_FLAG 0x1fe
#define HEADER_MAGIC 0x202
#define VERSION 0x206
#define KERNEL_VERSION 0x20e
#define XLOADFLAGS 0x236
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define XLF_KERNEL_64 0x0001u

/* Printable characters up to a blank: what uname -r will say. */
static void copy_release(const uint8_t *at, size_t len, struct kimage *k)
{
	size_t n = 0;

	while (n < len && n < sizeof(k->release) - 1 && at[n] > ' ' && at[n] < 0x7f) {
		k->release[n] = (char)at[n];
		n++;
	}
	k->release[n] = '\0';
}

static void read_setup_header(const uint8_t *data, size_t len, struct kimage *k)
{
	uint64_t sectors = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4; /* 0 means 4, for the oldest kernels */
	uint64_t setup = (sectors + 1) * 512, version;

	k->kind = KIMAGE_BZIMAGE;
	k->protocol = le16_get(data + VERSION);
	/* Before protocol 2.04 only the low half of syssize was set. */
	k->expected_size = setup + (uint64_t)(k->protocol >= 0x204 ? le32_get(data + SYSSIZE) : le16_get(data + SYSSIZE)) * 16;
	if (k->protocol >= 0x20c && len >= XLOADFLAGS + 2) {
		k->is_64bit_known = true;
		k->is_64bit = le16_get(data + XLOADFLAGS) & XLF_KERNEL_64;
	}
	if (k->protocol >= 0x208 && len >= PAYLOAD_LENGTH + 4) {
		k->payload = setup + le32_get(data + PAYLOAD_OFFSET);
		k->payload_size = le32_get(data + PAYLOAD_LENGTH);
	}
	version = le16_get(data + KERNEL_VERSION);
	if (version && version + 0x200 < setup && version + 0x200 < len)
		copy_release(data + version + 0x200, len - version - 0x200, k);
}

static bool read_elf(const uint8_t *data, size_t len, struct kimage *k)
{
	static const char banner[] = "Linux version ";
	const uint8_t *at;

	if (len < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG))
		return false;
	k->kind = KIMAGE_ELF;
	k->is_64bit_known = data[EI_CLASS] == ELFCLASS32 || data[EI_CLASS] == ELFCLASS64;
	k->is_64bit = data[EI_CLASS] == ELFCLASS64;
	at = memmem(data, len, banner, sizeof(banner) - 1);
	if (at) {
		at += sizeof(banner) - 1;
		copy_release(at, len - (size_t)(at - data), k);
	}
	return true;
}

static void archive_cleanup(struct archive **a)
{
	if (*a)
		archive_read_free(*a);
}

/* The first bytes of a gzip stream, all that is unpacked; returns how many there are. */
static size_t gunzip_start(const void *data, size_t len, uint8_t *out, size_t size)
{
	CLEANUP(archive_cleanup) struct archive *a = archive_read_new();
	struct archive_entry *entry;
	size_t have = 0;
	la_ssize_t n;

	if (!a || archive_read_support_filter_gzip(a) != ARCHIVE_OK || archive_read_support_format_raw(a) != ARCHIVE_OK ||
	    archive_read_open_memory(a, data, len) != ARCHIVE_OK || archive_read_next_header(a, &entry) != ARCHIVE_OK)
		return 0;
	while (have < size) {
		n = archive_read_data(a, out + have, size - have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	return have;
}

int kimage_parse(const void *data, size_t len, uint64_t size, struct kimage *ret, struct p2h_error *err)
{
	struct kimage k = {0};
	const uint8_t *bytes = data;
	uint8_t start[4096];

	*ret = (struct kimage){0};
	if (len > size)
		len = (size_t)size;
	if (len >= KERNEL_VERSION + 2 && !memcmp(bytes + HEADER_MAGIC, "HdrS", 4) && le16_get(bytes + BOOT_FLAG) == 0xaa55) {
		read_setup_header(bytes, len, &k);
	} else if (len > 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) {
		/* Xen's domain builder unpacks gzip; a boot loader on a BIOS does not. */
		if (!read_elf(start, gunzip_start(data, len, start, sizeof(start)), &k))
			return error_set(err, P2H_CORRUPT, "not a Linux kernel: compressed with gzip, and no ELF file within");
	} else if (!read_elf(bytes, len, &k)) {
		return error_set(err, P2H_CORRUPT, "not a Linux kernel: neither a boot protocol header nor an ELF file");
	}
	*ret = k;
	return 0;
}
