/* kimage_test.c - kernel images made by hand: headers as boot.rst draws them */
#include <archive.h>
#include <archive_entry.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/le.h"
#include "parse/kimage.h"

/* Setup code of 3 sectors and a version string at 0x300, 4 sectors in all. */
static void make_bzimage(uint8_t image[2048], uint16_t protocol, uint16_t xloadflags, const char *version)
{
	memset(image, 0, 2048);
	image[0x1f1] = 3;
	le32_put(image + 0x1f4, 0x10100);
	le16_put(image + 0x1fe, 0xaa55);
	memcpy(image + 0x202, "HdrS", 4);
	le16_put(image + 0x206, protocol);
	le16_put(image + 0x20e, 0x100);
	le16_put(image + 0x236, xloadflags);
	memcpy(image + 0x300, version, strlen(version));
}

static void bzimages(void **state)
{
	static const struct {
		uint16_t protocol, xloadflags;
		const char *version, *release;
		bool known, wide;
		uint64_t size;
	} rows[] = {
	    {0x20f, 0x3f, "6.1.0-18-cloud-amd64 (debian-kernel@lists.debian.org) #1", "6.1.0-18-cloud-amd64", true, true, 0x101800},
	    {0x20c, 0x02, "3.8.0-i686 x", "3.8.0-i686", true, false, 0x101800},
	    {0x20b, 0x3f, "2.6.32-5-xen-amd64", "2.6.32-5-xen-amd64", false, false, 0x101800},
	    {0x203, 0x00, "2.6.9\n", "2.6.9", false, false, 0x1800},
	    {0x20f, 0x01, "", "", true, true, 0x101800},
	    {0x20f, 0x01, "\xff", "", true, true, 0x101800},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint8_t image[2048];
		struct kimage k;

		make_bzimage(image, rows[i].protocol, rows[i].xloadflags, rows[i].version);
		assert_int_equal(kimage_parse(image, sizeof(image), 0x101800, &k, NULL), 0);
		assert_int_equal(k.kind, KIMAGE_BZIMAGE);
		assert_int_equal(k.protocol, rows[i].protocol);
		assert_int_equal(k.is_64bit_known, rows[i].known);
		assert_int_equal(k.is_64bit, rows[i].wide);
		assert_int_equal(k.expected_size, rows[i].size);
		assert_string_equal(k.release, rows[i].release);
	}
}

static void version_out_of_place(void **state)
{
	uint8_t image[2048];
	struct kimage k;
	char longest[100];

	(void)state;
	make_bzimage(image, 0x20f, 1, "6.1");
	le16_put(image + 0x20e, 0x600); /* behind the setup code */
	assert_int_equal(kimage_parse(image, sizeof(image), sizeof(image), &k, NULL), 0);
	assert_string_equal(k.release, "");
	image[0x1f1] = 0; /* 4 sectors: now it would be within, but not within the data */
	assert_int_equal(kimage_parse(image, sizeof(image), sizeof(image), &k, NULL), 0);
	assert_string_equal(k.release, "");
	assert_int_equal(k.expected_size, 5 * 512 + 0x101000);
	memset(longest, 'v', sizeof(longest));
	longest[99] = '\0';
	make_bzimage(image, 0x20f, 1, longest);
	assert_int_equal(kimage_parse(image, sizeof(image), sizeof(image), &k, NULL), 0);
	assert_int_equal(strlen(k.release), 64);
}

/* Packs data with gzip; returns the length. */
static size_t pack(const void *data, size_t len, uint8_t *out, size_t size)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	assert_int_equal(archive_write_add_filter_gzip(a), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	archive_write_set_bytes_in_last_block(a, 1);
	assert_int_equal(archive_write_open_memory(a, out, size, &used), ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, data, len), (la_ssize_t)len);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
	return used;
}

static void elf_kernels(void **state)
{
	static const char vmlinux[] = "\x7f" "ELF\x01\x01\x01\0\0\0\0\0\0\0\0\0 ... Linux version 2.6.18-xenU (gcc) #1";
	uint8_t packed[16384];
	struct kimage k;
	size_t len;

	(void)state;
	assert_int_equal(kimage_parse(vmlinux, sizeof(vmlinux), sizeof(vmlinux), &k, NULL), 0);
	assert_int_equal(k.kind, KIMAGE_ELF);
	assert_true(k.is_64bit_known);
	assert_false(k.is_64bit);
	assert_string_equal(k.release, "2.6.18-xenU");
	len = pack(vmlinux, sizeof(vmlinux), packed, sizeof(packed));
	assert_int_equal(kimage_parse(packed, len, len, &k, NULL), 0);
	assert_int_equal(k.kind, KIMAGE_ELF);
	assert_string_equal(k.release, "2.6.18-xenU");
	len = pack("hello, world, this is no kernel", 32, packed, sizeof(packed));
	assert_int_equal(kimage_parse(packed, len, len, &k, NULL), P2H_CORRUPT);
}

static void no_kernels(void **state)
{
	uint8_t image[2048];
	struct p2h_error err = {0};
	struct kimage k;

	(void)state;
	make_bzimage(image, 0x20f, 1, "6.1");
	assert_int_equal(kimage_parse(image, 0x20f, sizeof(image), &k, &err), P2H_CORRUPT);
	assert_true(err.msg[0]);
	assert_int_equal(kimage_parse(image, sizeof(image), 0x20f, &k, NULL), P2H_CORRUPT);
	image[0x1ff] = 0;
	assert_int_equal(kimage_parse(image, sizeof(image), sizeof(image), &k, NULL), P2H_CORRUPT);
	assert_int_equal(k.release[0], 0);
	assert_int_equal(kimage_parse("", 0, 0, &k, NULL), P2H_CORRUPT);
	assert_int_equal(kimage_parse("\x1f\x8b\x08", 3, 3, &k, NULL), P2H_CORRUPT);
	assert_int_equal(kimage_parse("\xfd" "7zXZ", 5, 5, &k, NULL), P2H_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bzimages),
	    cmocka_unit_test(version_out_of_place),
	    cmocka_unit_test(elf_kernels),
	    cmocka_unit_test(no_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
