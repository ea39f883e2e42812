#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/cpio.h"
#include "parse/initramfs.h"
#include "parse/kmodindex.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
enum { REG = 0100644, DIR_ = 0040755, LINK = 0120777 };

/* --- building archives ---------------------------------------------------------------------------------------------------- */

static void pad_to(struct buf *b, size_t start, size_t multiple)
{
	while ((b->len - start) % multiple)
		buf_append(b, "", 1);
}

static void add_bytes(struct buf *b, const char *name, unsigned mode, const void *data, size_t len)
{
	size_t start = b->len;

	buf_printf(b, "070701%08x%08x%08x%08x%08x%08x%08zx%08x%08x%08x%08x%08zx%08x", 1, mode, 0, 0, 1, 0, len, 0, 0, 0, 0, strlen(name) + 1, 0);
	buf_append(b, name, strlen(name) + 1);
	pad_to(b, start, 4);
	buf_append(b, data, len);
	pad_to(b, start, 4);
}

static void add(struct buf *b, const char *name, const char *text)
{
	add_bytes(b, name, REG, text, strlen(text));
}

static void add_trailer(struct buf *b)
{
	add_bytes(b, "TRAILER!!!", 0, "", 0);
}

/* An archive of one module, which tells what is read of it, and something bulky that compresses. */
static void make_archive(struct buf *b, const char *module, size_t bulk)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(buf_done) struct buf path = {0};
	uint32_t x = 1;

	while (text.len < bulk) {
		x = x * 1664525 + 1013904223;
		buf_printf(&text, "%x is one of many numbers, %x is another one; ", x >> 20, x >> 24);
	}
	buf_printf(&path, "lib/modules/5.10.0/%s.ko", module);
	add(b, path.data, "\177ELF");
	if (bulk)
		add(b, "bulk", text.data);
	add_trailer(b);
	assert_false(b->failed);
}

/* --- compressing: with libarchive where it can, by hand where it cannot, so that every method is always tested ---------- */

enum method { PLAIN, GZIP, BZIP2, XZ, LZMA, ZSTD, LZ4, LZOP, METHODS };
static const char *const method_name[] = {"plain", "gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "lzop"};

static void filter_with_libarchive(const struct buf *in, int filter, struct buf *ret)
{
	struct archive *a = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t room = in->len + 65536, used = 0;
	char *to = buf_reserve(ret, room);

	assert_non_null(to);
	assert_int_equal(archive_write_set_format_raw(a), ARCHIVE_OK);
	assert_int_equal(archive_write_add_filter(a, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_per_block(a, 1), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, to, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, REG & 0170000);
	assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(a, in->data, in->len), (int)in->len);
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	ret->len += used;
	archive_entry_free(entry);
	archive_write_free(a);
}

/* lz4's legacy frame with one block of nothing but literals */
static void store_lz4(const struct buf *in, struct buf *ret)
{
	CLEANUP(buf_done) struct buf block = {0};
	size_t left = in->len - 15;
	uint8_t number[4];

	assert_in_range(in->len, 15, 4 << 20);
	buf_append(&block, "\xf0", 1);
	for (; left >= 255; left -= 255)
		buf_append(&block, "\xff", 1);
	buf_append(&block, &(uint8_t){(uint8_t)left}, 1);
	buf_append(&block, in->data, in->len);
	buf_append(ret, "\x02\x21\x4c\x18", 4);
	le32_put(number, (uint32_t)block.len);
	buf_append(ret, number, 4);
	buf_append(ret, block.data, block.len);
}

static void add_be32(struct buf *b, size_t value)
{
	buf_append(b, (uint8_t[]){(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value}, 4);
}

/* lzop with stored blocks of up to 1000 bytes */
static void store_lzop(const struct buf *in, struct buf *ret)
{
	buf_append(ret, "\x89LZO\0\r\n\x1a\n" "\x10\x40\x20\xa0\x09\x40\x03\x09" "\0\0\0\x01" "\0\0\0\0\0\0\0\0\0\0\0\0" "\4name\0\0\0\0", 42);
	for (size_t pos = 0; pos < in->len; pos += 1000) {
		size_t n = in->len - pos < 1000 ? in->len - pos : 1000;

		add_be32(ret, n);
		add_be32(ret, n);
		add_be32(ret, 0); /* checksum */
		buf_append(ret, in->data + pos, n);
	}
	add_be32(ret, 0);
}

static void compress(enum method method, const struct buf *in, struct buf *ret)
{
	static const int filters[] = {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_BZIP2, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_LZMA,
		ARCHIVE_FILTER_ZSTD};

	if (method == PLAIN) {
		pad_to(ret, 0, 4);
		buf_append(ret, in->data, in->len);
	} else if (method == LZ4) {
		store_lz4(in, ret);
	} else if (method == LZOP) {
		store_lzop(in, ret);
	} else {
		filter_with_libarchive(in, filters[method], ret);
	}
	assert_false(ret->failed);
}

static void add_archive(struct buf *ret, enum method method, const char *module, size_t bulk)
{
	CLEANUP(buf_done) struct buf archive = {0};

	make_archive(&archive, module, bulk);
	compress(method, &archive, ret);
}

static void parse(const struct buf *b, struct initramfs *ret)
{
	struct p2h_error err = {0};

	if (initramfs_parse(b->data, b->len, ret, &err))
		fail_msg("%s", err.msg);
}

static void assert_code(const struct buf *b, int expected)
{
	struct initramfs found = {0};
	struct p2h_error err = {0};

	assert_int_equal(initramfs_parse(b->data, b->len, &found, &err), expected);
	assert_int_equal(err.code, expected);
	assert_int_equal(found.members.len, expected ? 0 : 1);
	initramfs_done(&found);
}

/* --- tests --------------------------------------------------------------------------------------------------------------- */

/* Every method followed by every method, with and without padding: the end of each stream is found. */
static void check_sequence(enum method first, const struct buf *first_stream, enum method second, size_t padding)
{
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf b = {0};
	struct p2h_error err = {0};

	buf_append(&b, first_stream->data, first_stream->len);
	for (size_t n = 0; n < padding; n++)
		buf_append(&b, "", 1);
	add_archive(&b, second, "second", 500);
	pad_to(&b, 0, 512);
	add_archive(&b, PLAIN, "third", 0);
	if (initramfs_parse(b.data, b.len, &found, &err))
		fail_msg("%s, %s: %s", method_name[first], method_name[second], err.msg);
	assert_int_equal(found.archives, 3);
	assert_int_equal(found.members.len, 5);
	assert_int_equal(found.modules.len, 3);
	assert_string_equal(found.modules.item[0], "first");
	assert_string_equal(found.modules.item[1], "second");
	assert_string_equal(found.modules.item[2], "third");
	assert_in_range(found.unpacked, 30500, 31000);
}

static void test_sequences(void **state)
{
	(void)state;
	for (enum method first = PLAIN; first < METHODS; first++) {
		CLEANUP(buf_done) struct buf stream = {0};

		add_archive(&stream, first, "first", 30000);
		for (enum method second = PLAIN; second < METHODS; second++) {
			check_sequence(first, &stream, second, 0);
			check_sequence(first, &stream, second, 509);
		}
	}
}

/* One compressed stream may hold several archives. */
static void test_nested(void **state)
{
	(void)state;
	for (enum method m = PLAIN; m < METHODS; m++) {
		CLEANUP(initramfs_done) struct initramfs found = {0};
		CLEANUP(buf_done) struct buf inside = {0};
		CLEANUP(buf_done) struct buf b = {0};

		make_archive(&inside, "one", 0);
		pad_to(&inside, 0, 512);
		make_archive(&inside, "two", 100000);
		make_archive(&inside, "three", 0);
		pad_to(&inside, 0, 1024);
		add_archive(&b, PLAIN, "early", 0);
		compress(m, &inside, &b);
		parse(&b, &found);
		assert_int_equal(found.archives, 4);
		assert_int_equal(found.modules.len, 4);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (enum method m = PLAIN; m < METHODS; m++) {
		CLEANUP(buf_done) struct buf b = {0};
		size_t len;

		add_archive(&b, m, "only", 3000);
		for (len = b.len - 1; len > 0; len -= len > b.len - 40 ? 1 : len < 40 ? 1 : 37) {
			CLEANUP(buf_done) struct buf cut = {0};
			struct initramfs found = {0};

			buf_append(&cut, b.data, len);
			if (initramfs_parse(cut.data, cut.len, &found, NULL) != P2H_CORRUPT)
				fail_msg("%s: %zu of %zu bytes are accepted", method_name[m], len, b.len);
			if (len == 1)
				break;
		}
	}
}

static void test_damaged_streams(void **state)
{
	(void)state;
	for (enum method m = GZIP; m < METHODS; m++) {
		CLEANUP(buf_done) struct buf b = {0};

		add_archive(&b, m, "only", 300000);
		for (size_t at = b.len / 8; at < b.len; at += b.len / 8) {
			struct initramfs found = {0};
			struct p2h_error err = {0};
			int code;

			memset(b.data + at, 0xff, b.len - at < 40 ? b.len - at : 40);
			code = initramfs_parse(b.data, b.len, &found, &err);
			/* Stored content is not read, so its damage does not show; what was compressed cannot be unpacked. */
			if (m < LZ4 && code != P2H_CORRUPT)
				fail_msg("%s: damage at %zu is accepted", method_name[m], at);
			if (!code)
				initramfs_done(&found);
		}
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		const char *bytes;
		int expected;
	} rows[] = {
		{"as it is", 0, "", 0},
		{"crc variant", 5, "2", 0},
		{"capital digits", 14, "0000A1FF", 0},
		{"odc", 0, "070707", P2H_CORRUPT},
		{"unknown start", 0, "1", P2H_CORRUPT},
		{"not a digit", 14, "0000x000", P2H_CORRUPT},
		{"no name", 94, "00000000", P2H_CORRUPT},
		{"long name", 94, "00001001", P2H_CORRUPT},
		{"longest name runs over the end", 94, "00001000", P2H_CORRUPT},
		{"content runs over the end", 54, "00000fff", P2H_CORRUPT},
		{"content beyond every limit", 54, "ffffffff", P2H_UNSUPPORTED},
		{"content shorter than it is", 54, "00000000", P2H_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct initramfs found = {0};
		CLEANUP(buf_done) struct buf b = {0};
		struct p2h_error err = {0};

		add(&b, "a", "content");
		add_trailer(&b);
		memcpy(b.data + rows[i].at, rows[i].bytes, strlen(rows[i].bytes));
		if (initramfs_parse(b.data, b.len, &found, &err) != rows[i].expected)
			fail_msg("%s: %s", rows[i].what, err.msg);
		initramfs_done(&found);
	}
}

static void test_junk(void **state)
{
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	assert_code(&b, P2H_CORRUPT);
	buf_append(&b, "\0\0\0\0\0\0\0\0", 8);
	assert_code(&b, P2H_CORRUPT);
	buf_clear(&b);
	buf_puts(&b, "#!/bin/sh\n");
	assert_code(&b, P2H_CORRUPT);
	/* after a sound archive; an archive at an odd place, which the kernel does not find */
	buf_clear(&b);
	add_archive(&b, PLAIN, "a", 0);
	buf_puts(&b, "junk");
	assert_code(&b, P2H_CORRUPT);
	b.len -= 3;
	b.data[b.len - 1] = 0;
	buf_puts(&b, "070701");
	assert_code(&b, P2H_CORRUPT);
	/* a compressed stream of something else, of nothing, of an archive and something else */
	for (enum method m = GZIP; m < METHODS; m++) {
		static const char *const texts[] = {"this is no archive", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"};

		for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
			CLEANUP(buf_done) struct buf inside = {0};

			buf_append(&inside, texts[i], 16);
			buf_clear(&b);
			compress(m, &inside, &b);
			assert_code(&b, P2H_CORRUPT);
			buf_clear(&b);
			buf_clear(&inside);
			make_archive(&inside, "a", 0);
			buf_puts(&inside, "junk");
			compress(m, &inside, &b);
			assert_code(&b, P2H_CORRUPT);
		}
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *members[4], *init;
		enum initramfs_kind kind;
		bool systemd;
	} rows[] = {
		{{"scripts/functions", "conf/initramfs.conf"}, "#!/bin/sh\n", INITRAMFS_TOOLS, false},
		{{"scripts/functions"}, "#!/bin/sh\n", INITRAMFS_UNKNOWN, false},
		{{"usr/lib/dracut/hooks/cmdline/x.sh", "usr/lib/systemd/systemd"}, "", INITRAMFS_DRACUT, true},
		{{"./lib/dracut/modules.txt", "lib/systemd/systemd"}, "", INITRAMFS_DRACUT, true},
		{{"lib/dracutish/x"}, "", INITRAMFS_UNKNOWN, false},
		{{"init_functions", "config"}, "#!/usr/bin/ash\n", INITRAMFS_MKINITCPIO, false},
		{{"lib/ext3.ko"}, "#!/bin/nash\n\nmkrootdev -t ext3 /dev/root\n", INITRAMFS_MKINITRD, false},
		{{"lib/ext3.ko"}, "#!/bin/sh\necho nash\n", INITRAMFS_UNKNOWN, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(initramfs_done) struct initramfs found = {0};
		CLEANUP(buf_done) struct buf b = {0};

		for (size_t n = 0; rows[i].members[n]; n++)
			add(&b, rows[i].members[n], "x");
		add(&b, "/init", rows[i].init);
		add_trailer(&b);
		parse(&b, &found);
		assert_int_equal(found.kind, rows[i].kind);
		assert_int_equal(found.systemd, rows[i].systemd);
		assert_true(found.init);
		assert_true(strlist_has(&found.members, "init"));
		/* The script is identity (it names the root device) only for mkinitrd. */
		assert_int_equal(strlist_has(&found.conf_name, "init"), rows[i].kind == INITRAMFS_MKINITRD);
	}
}

static void test_modules(void **state)
{
	static const char *const expected[] = {"ext3", "snd_hda_intel", "virtio_blk", "xen_blkfront", "zstd_mod"};
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	add_bytes(&b, ".", DIR_, "", 0);
	add_bytes(&b, "./usr/lib/modules/6.1.0-9", DIR_, "", 0);
	add(&b, "usr/lib/modules/6.1.0-9/kernel/xen-blkfront.ko.xz", "x");
	add(&b, "usr/lib/modules/6.1.0-9/kernel/zstd-mod.ko.zst", "x");
	add(&b, "lib/modules/5.10.0-8/kernel/snd-hda-intel.ko", "x");
	add(&b, "lib/modules/5.10.0-8/kernel/virtio_blk.ko.gz", "x");
	add(&b, "lib/modules/5.10.0-8/kernel/readme.koala", "x");
	add(&b, "lib/modules/5.10.0-8/kernel/.ko", "x");
	add(&b, "lib/modules/stray-file", "x");
	add_bytes(&b, "lib/modules/5.10.0-8/kernel/linked.ko", LINK, "x", 1);
	add(&b, "lib/ext3.ko", "x");
	add_trailer(&b);
	add(&b, "lib/modules/5.10.0-8/kernel/virtio_blk.ko", "x");
	add_trailer(&b);
	parse(&b, &found);
	assert_int_equal(found.modules.len, ARRAY_LEN(expected));
	for (size_t i = 0; i < ARRAY_LEN(expected); i++)
		assert_string_equal(found.modules.item[i], expected[i]);
	assert_int_equal(found.versions.len, 2);
	assert_string_equal(found.versions.item[0], "5.10.0-8");
	assert_string_equal(found.versions.item[1], "6.1.0-9");
	assert_true(initramfs_has_module(&found, "xen-blkfront"));
	assert_true(initramfs_has_module(&found, "xen_blkfront"));
	assert_true(initramfs_has_module(&found, "snd-hda_intel"));
	assert_true(initramfs_has_module(&found, "ext3"));
	assert_false(initramfs_has_module(&found, "ext"));
	assert_false(initramfs_has_module(&found, "ext33"));
	assert_false(initramfs_has_module(&found, ""));
	assert_false(initramfs_has_module(&(struct initramfs){0}, "ext3"));
	assert_false(found.init);
}

/* What its own modprobe finds: by modules.dep, or, with kmod, by the binary form alone; the last archive's index counts. */
static void test_index(void **state)
{
	static const char dep[] = "kernel/nvme.ko: kernel/nvme-core.ko\nkernel/nvme-core.ko:\nkernel/gone.ko:\n";
	static const struct {
		bool tools, modprobe, kmod, text, bin, stale;
		const char *unlisted;
	} rows[] = {
		{true, true, false, true, false, false, "ext4"},   {true, true, false, false, true, false, "ext4 nvme nvme_core"},
		{true, true, true, true, true, false, "ext4"},     {true, true, true, true, false, false, "ext4 nvme nvme_core"},
		{true, true, false, true, false, true, "ext4 nvme nvme_core"}, {true, false, false, true, false, false, ""},
		{false, true, false, true, false, false, ""},
	};

	(void)state;
	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		CLEANUP(buf_done) struct buf b = {0}, bin = {0};
		CLEANUP(initramfs_done) struct initramfs i = {0};
		CLEANUP(strlist_done) struct strlist expected = {0};

		add(&b, "init", "#!/bin/sh\n");
		if (rows[n].tools) {
			add(&b, "scripts/functions", "# functions\n");
			add(&b, "conf/initramfs.conf", "MODULES=most\n");
		}
		if (rows[n].modprobe)
			add(&b, "sbin/modprobe", "#!/bin/sh\n");
		if (rows[n].kmod)
			add(&b, "usr/lib/x86_64-linux-gnu/libkmod.so.2", "ELF");
		add(&b, "usr/lib/modules/6.1/kernel/nvme.ko", "ELF");
		add(&b, "usr/lib/modules/6.1/kernel/nvme-core.ko", "ELF");
		add(&b, "usr/lib/modules/6.1/kernel/ext4.ko", "ELF");
		if (rows[n].text)
			add(&b, "usr/lib/modules/6.1/modules.dep", dep);
		assert_int_equal(kmodindex_make(dep, strlen(dep), &bin, NULL), 0);
		if (rows[n].bin)
			add_bytes(&b, "usr/lib/modules/6.1/modules.dep.bin", REG, bin.data, bin.len);
		add_trailer(&b);
		if (rows[n].stale) {
			add(&b, "usr/lib/modules/6.1/modules.dep", "kernel/other/nvme.ko:\n");
			add_trailer(&b);
		}
		parse(&b, &i);
		strlist_split(&expected, rows[n].unlisted, " ");
		assert_int_equal(i.unlisted.len, expected.len);
		for (size_t k = 0; k < expected.len; k++) {
			assert_string_equal(i.unlisted.item[k], expected.item[k]);
			assert_true(initramfs_has_module(&i, expected.item[k]));
			assert_false(initramfs_loads_module(&i, expected.item[k]));
		}
	}
}

static const char *conf(const struct initramfs *i, const char *name)
{
	assert_int_equal(i->conf_name.len, i->conf_text.len);
	for (size_t n = 0; n < i->conf_name.len; n++)
		if (!strcmp(i->conf_name.item[n], name))
			return i->conf_text.item[n];
	return NULL;
}

static void test_conf(void **state)
{
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf large = {0};
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	while (large.len < 65536)
		buf_puts(&large, "large\n");
	add(&b, "conf/param.conf", "ROOT=/dev/xvda1\n");
	add(&b, "conf/conf.d/resume", "RESUME=none\n");
	add(&b, "etc/cmdline.d/10.conf", "root=UUID=1\n");
	add(&b, "cryptroot/crypttab", "");
	add(&b, "etc/crypttab", large.data);
	add(&b, "etc/passwd", "root::\n");
	add_bytes(&b, "etc/fstab", REG, "a\0b", 3);
	add_bytes(&b, "etc/hostname", LINK, "target", 6);
	add_trailer(&b);
	add(&b, "conf/param.conf", "ROOT=/dev/nvme0n1p1\n");
	add_trailer(&b);
	parse(&b, &found);
	assert_int_equal(found.conf_name.len, 3);
	assert_string_equal(conf(&found, "conf/param.conf"), "ROOT=/dev/nvme0n1p1\n");
	assert_string_equal(conf(&found, "conf/conf.d/resume"), "RESUME=none\n");
	assert_string_equal(conf(&found, "etc/cmdline.d/10.conf"), "root=UUID=1\n");
}

/* The kernel unpacks later archives over earlier ones. */
static void test_overlaid(void **state)
{
	static const char wait[] = "etc/systemd/system/initrd.target.wants/dev-sda1.device";
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf b = {0}, path = {0};

	(void)state;
	add(&b, "conf/param.conf", "ROOT=/dev/sda1\n");
	add(&b, "etc/hostname", "old\n");
	add_bytes(&b, wait, LINK, "../dev-sda1.device", 18);
	add_bytes(&b, "lib", LINK, "usr/lib", 7);
	add_bytes(&b, "usr/lib/modules", LINK, "/m", 2);
	add_trailer(&b);
	cpio_put(&b, "conf/param.conf", REG, "", 0);
	cpio_put(&b, "etc/hostname", REG, "new\n", 4);
	cpio_put(&b, wait, LINK, "/dev/null", 9);
	cpio_put_end(&b);
	parse(&b, &found);
	assert_int_equal(found.archives, 2);
	assert_string_equal(found.last_packing, "");
	assert_null(initramfs_conf(&found, "conf/param.conf"));
	assert_string_equal(initramfs_conf(&found, "etc/hostname"), "new\n");
	assert_string_equal(initramfs_conf(&found, wait), "/dev/null");
	assert_true(initramfs_has_member(&found, "conf/param.conf"));
	assert_false(initramfs_has_member(&found, "conf"));
	initramfs_resolve(&found, "lib/modules/6.1/kernel", &path);
	assert_string_equal(path.data, "m/6.1/kernel");
	buf_clear(&path);
	initramfs_resolve(&found, "libexec/x", &path);
	assert_string_equal(path.data, "libexec/x");
}

/* A link to itself ends. */
static void test_endless_link(void **state)
{
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf b = {0}, path = {0};

	(void)state;
	add_bytes(&b, "lib", LINK, "lib", 3);
	add_trailer(&b);
	parse(&b, &found);
	initramfs_resolve(&found, "lib/modules", &path);
	assert_string_equal(path.data, "lib/modules");
}

/* What the writer makes is what libarchive reads. */
static void test_writer(void **state)
{
	static const struct {
		const char *name;
		unsigned mode;
		const char *data;
	} rows[] = {{"etc", DIR_, ""}, {"etc/a", REG, "abc"}, {"etc/empty", REG, ""}, {"etc/long-name", LINK, "../elsewhere"}};
	CLEANUP(buf_done) struct buf b = {0};
	struct archive *a = archive_read_new();
	struct archive_entry *entry;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		cpio_put(&b, rows[i].name, rows[i].mode, rows[i].data, strlen(rows[i].data));
	cpio_put_end(&b);
	assert_int_equal(b.len % 512, 0);
	archive_read_support_format_cpio(a);
	assert_int_equal(archive_read_open_memory(a, b.data, b.len), ARCHIVE_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_OK);
		assert_string_equal(archive_entry_pathname(entry), rows[i].name);
		assert_int_equal(archive_entry_mode(entry), rows[i].mode);
		assert_int_equal(archive_entry_uid(entry), 0);
		if (rows[i].mode == LINK)
			assert_string_equal(archive_entry_symlink(entry), rows[i].data);
		if (rows[i].mode == REG) {
			char text[16] = "";

			assert_int_equal(archive_read_data(a, text, sizeof(text) - 1), strlen(rows[i].data));
			assert_string_equal(text, rows[i].data);
		}
	}
	assert_int_equal(archive_read_next_header(a, &entry), ARCHIVE_EOF);
	archive_read_free(a);
}

static void test_conf_limit(void **state)
{
	CLEANUP(initramfs_done) struct initramfs found = {0};
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		CLEANUP(buf_done) struct buf path = {0};

		buf_printf(&path, "conf/conf.d/%u", i);
		add(&b, path.data, "x");
	}
	add_trailer(&b);
	parse(&b, &found);
	assert_int_equal(found.members.len, 300);
	assert_int_equal(found.conf_name.len, 256);
}

static void test_member_limit(void **state)
{
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	for (unsigned i = 0; i < 200000; i++)
		add_bytes(&b, "m", REG, "", 0);
	add_trailer(&b);
	CLEANUP(initramfs_done) struct initramfs found = {0};
	parse(&b, &found);
	assert_int_equal(found.members.len, 200000);
	add_bytes(&b, "m", REG, "", 0);
	assert_code(&b, P2H_UNSUPPORTED);
}

/* 16385 blocks of zstd, each one byte repeated 131072 times: more than 2 GiB out of 64 KiB, as padding behind a sound archive */
static void test_padding_bomb(void **state)
{
	CLEANUP(buf_done) struct buf inside = {0};
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	buf_append(&b, "\x28\xb5\x2f\xfd\x00\x38", 6);
	make_archive(&inside, "a", 0);
	buf_append(&b, (uint8_t[]){(uint8_t)(inside.len << 3), (uint8_t)(inside.len >> 5), 0}, 3);
	buf_append(&b, inside.data, inside.len);
	for (unsigned i = 0; i < 16385; i++)
		buf_append(&b, (uint8_t[]){0x02 | (i == 16384), 0, 0x10, 0}, 4);
	assert_code(&b, P2H_UNSUPPORTED);
	/* With little padding the hand-made frame is sound. */
	b.len = 6 + 3 + inside.len;
	buf_append(&b, "\x03\0\x10\0", 4);
	assert_code(&b, 0);
}

/* The dictionary that the header asks for is not allocated. */
static void test_memory_bomb(void **state)
{
	CLEANUP(buf_done) struct buf b = {0};

	(void)state;
	add_archive(&b, LZMA, "a", 0);
	assert_code(&b, 0);
	le32_put(b.data + 1, 0x80000000);
	assert_code(&b, P2H_UNSUPPORTED);
}

/* What another implementation writes. */
static void test_libarchive_newc(void **state)
{
	CLEANUP(initramfs_done) struct initramfs found = {0};
	struct archive *a = archive_write_new();
	CLEANUP(buf_done) struct buf b = {0};
	size_t used = 0;

	(void)state;
	assert_non_null(buf_reserve(&b, 1 << 20));
	assert_int_equal(archive_write_set_format_cpio_newc(a), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(a, b.data, 1 << 20, &used), ARCHIVE_OK);
	for (unsigned i = 0; i < 50; i++) {
		struct archive_entry *entry = archive_entry_new();
		char name[128], text[300];

		snprintf(name, sizeof(name), "lib/modules/1/%.*s%u.ko", (int)i, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", i);
		memset(text, 'x', sizeof(text));
		archive_entry_set_pathname(entry, name);
		archive_entry_set_mode(entry, REG);
		archive_entry_set_size(entry, i);
		assert_int_equal(archive_write_header(a, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(a, text, i), i);
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_close(a), ARCHIVE_OK);
	archive_write_free(a);
	b.len = used;
	parse(&b, &found);
	assert_int_equal(found.members.len, 50);
	assert_int_equal(found.modules.len, 50);
	assert_int_equal(found.unpacked, 49 * 50 / 2);
	assert_int_equal(found.archives, 1);
}

static void run_filter(const char *command, const struct buf *in, struct buf *ret)
{
	CLEANUP(buf_done) struct buf line = {0};
	char path[] = "/tmp/p2h-initramfs-XXXXXX";
	int fd = mkstemp(path);
	char *to = buf_reserve(ret, in->len * 2);
	FILE *f;

	assert_true(fd >= 0);
	assert_non_null(to);
	assert_int_equal(write(fd, in->data, in->len), (ssize_t)in->len);
	close(fd);
	buf_printf(&line, "%s <%s", command, path);
	f = popen(line.data, "r");
	assert_non_null(f);
	ret->len += fread(to, 1, in->len * 2, f);
	assert_int_equal(pclose(f), 0);
	unlink(path);
}

/* The programs that mkinitramfs and dracut call, as they call them; several blocks each where the format has blocks. */
static void test_programs(void **state)
{
	static const struct {
		const char *program, *arguments;
		size_t bulk;
	} rows[] = {
		{"gzip", "-n -9", 1 << 20},
		{"bzip2", "-9", 2 << 20},
		{"xz", "-8 --check=crc32", 1 << 20},
		{"xz", "--format=lzma -9", 1 << 20},
		{"lz4", "-9 -l", 9 << 20}, /* blocks of 8 MiB */
		{"lz4", "-1 -l", 1 << 20},
		{"lzop", "-1", 1 << 20},
		{"lzop", "-9", 1 << 20},
		{"lzop", "-C -9", 1 << 20},
		{"zstd", "-q -15", 1 << 20},
		{"zstd", "-q -1 -T0 --no-check", 1 << 20},
	};
	unsigned tried = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(initramfs_done) struct initramfs found = {0};
		CLEANUP(buf_done) struct buf command = {0};
		CLEANUP(buf_done) struct buf archive = {0};
		CLEANUP(buf_done) struct buf b = {0};
		struct p2h_error err = {0};

		buf_printf(&command, "command -v %s >/dev/null", rows[i].program);
		if (system(command.data)) {
			print_message("%s is not installed\n", rows[i].program);
			continue;
		}
		buf_clear(&command);
		buf_printf(&command, "%s %s -c", rows[i].program, rows[i].arguments);
		make_archive(&archive, "first", rows[i].bulk);
		pad_to(&archive, 0, 512);
		run_filter(command.data, &archive, &b);
		assert_in_range(b.len, 1000, archive.len - 1000);
		add_archive(&b, GZIP, "second", 100);
		add_archive(&b, PLAIN, "third", 100);
		if (initramfs_parse(b.data, b.len, &found, &err))
			fail_msg("%s: %s", command.data, err.msg);
		assert_int_equal(found.archives, 3);
		assert_int_equal(found.modules.len, 3);
		assert_in_range(found.unpacked, rows[i].bulk, rows[i].bulk + 1000);
		tried++;
	}
	if (!tried)
		skip();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences),
		cmocka_unit_test(test_nested),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_damaged_streams),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_junk),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_modules),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_conf),
		cmocka_unit_test(test_overlaid),
		cmocka_unit_test(test_endless_link),
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_conf_limit),
		cmocka_unit_test(test_member_limit),
		cmocka_unit_test(test_padding_bomb),
		cmocka_unit_test(test_memory_bomb),
		cmocka_unit_test(test_libarchive_newc),
		cmocka_unit_test(test_programs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
