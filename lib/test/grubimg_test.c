#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <lzma.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/grubimg.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof(*(a)))
#define PLATFORM "/usr/lib/grub/i386-pc"
#define MARKER "pv2hvm-core-runs"

/* --- made-up images with everything the code looks at ---------------------------------------------------------------- */

static void fake_boot(uint8_t sector[512])
{
	for (unsigned i = 0; i < 512; i++)
		sector[i] = (uint8_t)(i * 7 + 1);
	memcpy(sector, "\xeb\x63\x90", 3);
	memset(sector + 3, 0, 0x57);
	le16_put(sector + 0x5a, 0x8000);
	le64_put(sector + 0x5c, 1);
	sector[0x64] = 0xff;
	memcpy(sector + 0x66, "\xeb\x05", 2);
	memcpy(sector + 0x180, "GRUB \0Geom\0Hard Disk\0Read\0 Error", 33);
	le16_put(sector + 0x1fe, 0xaa55);
}

/* diskboot.img: code up to 0x148, then room for 14 entries and the end of the list */
static void fake_diskboot(uint8_t *sector, uint16_t sectors)
{
	memset(sector, 0, 512);
	memset(sector, 0xc3, 0x148);
	le64_put(sector + 0x1f4, 2);
	le16_put(sector + 0x1fc, sectors);
	le16_put(sector + 0x1fe, 0x820);
}

static void add_object(struct buf *b, uint32_t type, const void *data, size_t len)
{
	uint8_t header[8];

	le32_put(header, type);
	le32_put(header + 4, (uint32_t)len + 8);
	buf_append(b, header, 8);
	buf_append(b, data, len);
	while (b->len % 4)
		buf_append(b, "", 1);
}

/* An ELF file of three sections: none, .modname, .shstrtab */
static void add_module(struct buf *b, const char *name)
{
	static const char strings[] = "\0.modname\0.shstrtab";
	uint8_t elf[52 + 3 * 40 + 64 + sizeof(strings)] = {0}, *section = elf + 52;
	const uint32_t name_at = 52 + 3 * 40, strings_at = name_at + 64;

	memcpy(elf, "\177ELF\1\1\1", 7);
	le32_put(elf + 32, 52);
	le16_put(elf + 46, 40);
	le16_put(elf + 48, 3);
	le16_put(elf + 50, 2);
	le32_put(section + 40, 1);
	le32_put(section + 40 + 4, 1);
	le32_put(section + 40 + 16, name_at);
	le32_put(section + 40 + 20, (uint32_t)strlen(name) + 1);
	le32_put(section + 80, 10);
	le32_put(section + 80 + 4, 3);
	le32_put(section + 80 + 16, strings_at);
	le32_put(section + 80 + 20, sizeof(strings));
	memcpy(elf + name_at, name, strlen(name));
	memcpy(elf + strings_at, strings, sizeof(strings));
	add_object(b, 0, elf, sizeof(elf));
}

/* Puts an information header in front of the objects and a kernel in front of that; `stray` makes the kernel hold the magic too. */
static void finish_kernel(struct buf *objects, bool stray)
{
	struct buf whole = {0};
	uint8_t info[12];

	for (unsigned i = 0; i < 3000; i++)
		buf_append(&whole, &(uint8_t){(uint8_t)(i * i >> 3)}, 1);
	if (stray)
		buf_append(&whole, "mimg\x0c\0\0\0\x40\0\0\0", 12);
	memcpy(info, "mimg", 4);
	le32_put(info + 4, 12);
	le32_put(info + 8, (uint32_t)objects->len + 12);
	buf_append(&whole, info, 12);
	buf_append(&whole, objects->data, objects->len);
	assert_false(whole.failed);
	buf_done(objects);
	*objects = whole;
}

/* First sector, a decompressor of `decompressor` bytes, the packed kernel */
static void make_core(const struct buf *kernel, size_t decompressor, struct buf *ret)
{
	lzma_options_lzma options;
	const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	uint8_t head[4096] = {0}, packed[65536];
	size_t packed_len = 0;

	assert_false(lzma_lzma_preset(&options, 6));
	options.dict_size = 1 << 16;
	assert_int_equal(lzma_raw_buffer_encode(filters, NULL, (const uint8_t *)kernel->data, kernel->len, packed, &packed_len,
						 sizeof(packed)), LZMA_OK);
	fake_diskboot(head, 16);
	memset(head + 512 + 0x40, 0x90, decompressor - 0x40 - 0x40);
	le32_put(head + 512 + 8, (uint32_t)packed_len);
	le32_put(head + 512 + 12, (uint32_t)kernel->len);
	le16_put(head + 512 + 0x14, 0x75b);
	buf_append(ret, head, 512 + decompressor);
	buf_append(ret, packed, packed_len);
	assert_false(ret->failed);
}

static void make_default_core(struct buf *ret, bool stray)
{
	CLEANUP(buf_done) struct buf kernel = {0};

	add_module(&kernel, "biosdisk");
	add_module(&kernel, "ext2");
	add_object(&kernel, 1, "some memory disk", 16);
	add_object(&kernel, 2, "echo hello\n\0", 12);
	add_object(&kernel, 3, "/boot/grub\0\0", 12);
	add_module(&kernel, "part_msdos");
	finish_kernel(&kernel, stray);
	make_core(&kernel, 0xb20, ret);
}

/* --- boot sector ------------------------------------------------------------------------------------------------------ */

static void test_is_boot_sector(void **state)
{
	static const struct {
		const char *what;
		unsigned at, value;
		bool expected;
	} rows[] = {
		{"as it is", 0, 0xeb, true},
		{"another installation's sector", 0x5c, 0x34, true},
		{"no jump", 0, 0xfa, false},
		{"stage1 of GRUB Legacy", 1, 0x48, false},
		{"another load address", 0x5b, 0x20, false},
		{"no signature", 0x1ff, 0, false},
		{"other strings", 0x184, 'x', false},
	};
	uint8_t sector[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		fake_boot(sector);
		sector[rows[i].at] = (uint8_t)rows[i].value;
		if (grub_is_boot_sector(sector) != rows[i].expected)
			fail_msg("%s", rows[i].what);
	}
	memset(sector, 0, sizeof(sector));
	assert_false(grub_is_boot_sector(sector));
}

static void test_boot_sector_make(void **state)
{
	uint8_t boot[512], present[512], made[512], again[512];
	struct p2h_error err = {0};

	(void)state;
	fake_boot(boot);
	memset(present, 0xa5, sizeof(present));
	assert_int_equal(grub_boot_sector_make(boot, present, 0x123456789a, made, &err), 0);
	assert_true(grub_is_boot_sector(made));
	assert_int_equal(grub_boot_sector_kernel(made), 0x123456789a);
	assert_int_equal(made[0x64], 0xff);
	assert_memory_equal(made + 0x66, "\x90\x90", 2);
	assert_memory_equal(made, boot, 3);
	assert_memory_equal(made + 3, present + 3, 0x57);
	assert_memory_equal(made + 0x5a, boot + 0x5a, 2);
	assert_memory_equal(made + 0x68, boot + 0x68, 0x1b8 - 0x68);
	assert_memory_equal(made + 0x1b8, present + 0x1b8, 0x46);
	assert_memory_equal(made + 0x1fe, boot + 0x1fe, 2);
	/* A second installation, over and from the first, changes nothing. */
	assert_int_equal(grub_boot_sector_make(boot, made, 0x123456789a, again, &err), 0);
	assert_memory_equal(again, made, 512);
	assert_int_equal(grub_boot_sector_make(made, made, 0x123456789a, again, &err), 0);
	assert_memory_equal(again, made, 512);
}

static void test_boot_sector_refused(void **state)
{
	uint8_t boot[512], present[512] = {0}, made[512] = {0x77};
	struct p2h_error err = {0};

	(void)state;
	fake_boot(boot);
	assert_int_equal(grub_boot_sector_make(boot, present, 0, made, &err), P2H_USAGE);
	boot[0x66] = 0x74;
	assert_int_equal(grub_boot_sector_make(boot, present, 1, made, &err), P2H_UNSUPPORTED);
	assert_int_equal(grub_boot_sector_make(present, present, 1, made, &err), P2H_UNSUPPORTED);
	assert_int_equal(grub_boot_sector_make(present, present, 1, made, NULL), P2H_UNSUPPORTED);
	assert_int_equal(made[0], 0x77);
}

/* --- block list -------------------------------------------------------------------------------------------------------- */

struct piece {
	uint64_t sector, count;
};

static void ranges_fill(struct ranges *r, const struct piece *piece, size_t n)
{
	for (size_t i = 0; i < n && piece[i].count; i++)
		ranges_add(r, piece[i].sector * 512, piece[i].count * 512);
	assert_false(r->failed);
}

static void test_core_patch(void **state)
{
	static const struct {
		struct piece where[4], list[4];
	} rows[] = {
		/* the core of 20 sectors in one piece, exactly and with room to spare */
		{{{1, 20}}, {{2, 19}}},
		{{{1, 2047}}, {{2, 19}}},
		{{{0x200000000, 20}}, {{0x200000001, 19}}},
		/* the first sector alone; with others; the last piece partly needed, or not at all */
		{{{8, 1}, {100, 19}}, {{100, 19}}},
		{{{8, 8}, {100, 8}, {200, 8}}, {{9, 7}, {100, 8}, {200, 4}}},
		{{{8, 8}, {100, 12}, {200, 8}}, {{9, 7}, {100, 12}}},
	};
	struct p2h_error err = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(ranges_done) struct ranges where = {0};
		CLEANUP(ranges_done) struct ranges expected = {0};
		CLEANUP(ranges_done) struct ranges list = {0};
		CLEANUP_FREE uint8_t *core = calloc(20, 512);

		assert_non_null(core);
		fake_diskboot(core, 19);
		memset(core + 512, 0x11, 19 * 512);
		le32_put(core + 512 + 0x10, 4711);
		ranges_fill(&where, rows[i].where, 4);
		ranges_fill(&expected, rows[i].list, 4);
		assert_int_equal(grub_core_patch(core, 20 * 512, &where, &err), 0);
		assert_int_equal(le32_get(core + 512 + 0x10), 0);
		assert_int_equal(core[0x147], 0xc3);
		assert_int_equal(le16_get(core + 0x1fe), 0x820);
		assert_int_equal(grub_core_blocklist(core, &list, &err), 0);
		assert_int_equal(list.len, expected.len);
		assert_memory_equal(list.item, expected.item, list.len * sizeof(*list.item));
		/* Patching again leaves nothing of the former list. */
		CLEANUP(ranges_done) struct ranges gap = {0};
		ranges_add(&gap, 512, 20 * 512);
		assert_int_equal(grub_core_patch(core, 20 * 512, &gap, &err), 0);
		for (unsigned at = 0x148; at < 0x1f4; at++)
			assert_int_equal(core[at], 0);
	}
}

/* The second entry's segment follows from the sectors before it. */
static void test_core_patch_segments(void **state)
{
	CLEANUP(ranges_done) struct ranges where = {0};
	uint8_t core[20 * 512] = {0};

	(void)state;
	fake_diskboot(core, 19);
	ranges_add(&where, 8 * 512, 4 * 512);
	ranges_add(&where, 100 * 512, 30 * 512);
	assert_int_equal(grub_core_patch(core, sizeof(core), &where, NULL), 0);
	assert_int_equal(le64_get(core + 0x1e8), 100);
	assert_int_equal(le16_get(core + 0x1f0), 16);
	assert_int_equal(le16_get(core + 0x1f2), 0x820 + 3 * 0x20);
}

static void test_core_patch_many_pieces(void **state)
{
	struct p2h_error err = {0};

	(void)state;
	/* Entries from 0x1f4 down to 0x158 leave the one at 0x14c for the end of the list. */
	for (unsigned pieces = 13; pieces <= 15; pieces++) {
		CLEANUP(ranges_done) struct ranges where = {0};
		CLEANUP(ranges_done) struct ranges list = {0};
		uint8_t core[20 * 512] = {0}, before[20 * 512];

		fake_diskboot(core, 19);
		memcpy(before, core, sizeof(core));
		ranges_add(&where, 512, 512);
		for (unsigned i = 0; i < pieces; i++)
			ranges_add(&where, (100 + i * 10) * 512, (i + 1 == pieces ? 20 : 1) * 512);
		if (pieces <= 14) {
			assert_int_equal(grub_core_patch(core, sizeof(core), &where, &err), 0);
			assert_int_equal(grub_core_blocklist(core, &list, &err), 0);
			assert_int_equal(list.len, pieces);
			assert_int_equal(core[0x147], 0xc3);
		} else {
			assert_int_equal(grub_core_patch(core, sizeof(core), &where, &err), P2H_UNSUPPORTED);
			assert_memory_equal(core, before, sizeof(core));
		}
	}
}

static void test_core_patch_refused(void **state)
{
	static const struct {
		const char *what;
		size_t len;
		uint64_t off, room;
		int expected;
	} rows[] = {
		{"not whole sectors", 1000, 512, 4096, P2H_USAGE},
		{"too short", 512, 512, 4096, P2H_USAGE},
		{"no room", 20 * 512, 512, 19 * 512, P2H_NOSPACE},
		{"place not aligned", 20 * 512, 513, 40 * 512, P2H_USAGE},
		{"place beyond the end of numbers", 20 * 512, UINT64_MAX - 511, 40 * 512, P2H_USAGE},
		{"too large", 889 * 512, 512, 2047 * 512, P2H_UNSUPPORTED},
	};
	CLEANUP_FREE uint8_t *core = calloc(900, 512);
	struct p2h_error err = {0};

	(void)state;
	assert_non_null(core);
	fake_diskboot(core, 19);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(ranges_done) struct ranges where = {0};

		ranges_add(&where, rows[i].off, rows[i].room);
		if (grub_core_patch(core, rows[i].len, &where, &err) != rows[i].expected)
			fail_msg("%s: %s", rows[i].what, err.msg);
	}
	memset(core + 0x1f4, 0, 12);
	CLEANUP(ranges_done) struct ranges where = {0};
	ranges_add(&where, 512, 40 * 512);
	assert_int_equal(grub_core_patch(core, 20 * 512, &where, &err), P2H_UNSUPPORTED);
}

static void test_blocklist_corrupt(void **state)
{
	static const struct {
		const char *what;
		unsigned at;
		uint16_t value;
		int expected;
	} rows[] = {
		{"as it is", 0x1fc, 19, 0},
		{"empty", 0x1fc, 0, P2H_CORRUPT},
		{"first entry goes elsewhere", 0x1fe, 0x800, P2H_CORRUPT},
		{"too much for memory", 0x1fc, 0xffff, P2H_CORRUPT},
		{"starts at the boot sector", 0x1f4, 0, P2H_CORRUPT},
		{"beyond the end of numbers", 0x1fa, 0xffff, P2H_CORRUPT},
		{"a broken second entry", 0x1f0, 3, P2H_CORRUPT},
	};
	struct p2h_error err = {0};
	uint8_t sector[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(ranges_done) struct ranges list = {0};

		fake_diskboot(sector, 19);
		le16_put(sector + rows[i].at, rows[i].value);
		if (grub_core_blocklist(sector, &list, &err) != rows[i].expected)
			fail_msg("%s: %s", rows[i].what, err.msg);
	}
	memset(sector, 0xff, sizeof(sector));
	assert_int_equal(grub_core_blocklist(sector, &(struct ranges){0}, &err), P2H_CORRUPT);
}

/* --- content ------------------------------------------------------------------------------------------------------------ */

static void test_core_parse(void **state)
{
	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		CLEANUP(grub_core_done) struct grub_core found = {0};
		CLEANUP(buf_done) struct buf core = {0};
		struct p2h_error err = {0};

		make_default_core(&core, variant & 1);
		if (variant & 2) /* read from a gap, with what is behind it */
			for (unsigned i = 0; i < 5000; i++)
				buf_append(&core, &(uint8_t){(uint8_t)(i * 13)}, 1);
		if (grub_core_parse((uint8_t *)core.data, core.len, &found, &err))
			fail_msg("%s", err.msg);
		assert_string_equal(found.prefix, "/boot/grub");
		assert_string_equal(found.config, "echo hello\n");
		assert_int_equal(found.modules.len, 3);
		assert_string_equal(found.modules.item[0], "biosdisk");
		assert_string_equal(found.modules.item[1], "ext2");
		assert_string_equal(found.modules.item[2], "part_msdos");
	}
}

static void test_core_parse_empty(void **state)
{
	CLEANUP(grub_core_done) struct grub_core found = {0};
	CLEANUP(buf_done) struct buf core = {0};
	CLEANUP(buf_done) struct buf kernel = {0};

	(void)state;
	finish_kernel(&kernel, false);
	make_core(&kernel, 0xe00, &core);
	assert_int_equal(grub_core_parse((uint8_t *)core.data, core.len, &found, NULL), 0);
	assert_string_equal(found.prefix, "");
	assert_string_equal(found.config, "");
	assert_int_equal(found.modules.len, 0);
}

static void test_core_parse_corrupt(void **state)
{
	CLEANUP(buf_done) struct buf core = {0};
	struct grub_core found = {0};
	struct p2h_error err = {0};

	(void)state;
	make_default_core(&core, false);
	for (size_t len = 0; len + 16 < core.len; len += 97)
		assert_int_equal(grub_core_parse((uint8_t *)core.data, len, &found, &err), P2H_CORRUPT);
	core.data[512 + 0xb20 + 20] ^= 0x55;
	assert_int_equal(grub_core_parse((uint8_t *)core.data, core.len, &found, &err), P2H_CORRUPT);
	core.data[512 + 0xb20 + 20] ^= 0x55;
	le32_put(core.data + 512 + 12, 0xffffffff);
	assert_int_equal(grub_core_parse((uint8_t *)core.data, core.len, &found, &err), P2H_CORRUPT);
}

static void test_core_parse_bad_objects(void **state)
{
	struct p2h_error err = {0};

	(void)state;
	for (unsigned variant = 0; variant < 4; variant++) {
		CLEANUP(grub_core_done) struct grub_core found = {0};
		CLEANUP(buf_done) struct buf core = {0};
		CLEANUP(buf_done) struct buf kernel = {0};

		add_module(&kernel, "biosdisk");
		if (variant == 0)
			le32_put(kernel.data + 4, 7); /* shorter than its header */
		else if (variant == 1)
			le32_put(kernel.data + 4, 0x10000); /* longer than everything */
		else if (variant == 2)
			le16_put(kernel.data + 8 + 50, 9); /* section names in a section that is not there */
		else
			kernel.data[8] = 0; /* no ELF file */
		finish_kernel(&kernel, false);
		make_core(&kernel, 0xb20, &core);
		assert_int_equal(grub_core_parse((uint8_t *)core.data, core.len, &found, &err), P2H_CORRUPT);
	}
}

/* --- the real thing ------------------------------------------------------------------------------------------------------ */

struct scratch {
	char dir[64];
};

static int scratch_make(void **state)
{
	static struct scratch s;

	strcpy(s.dir, "/tmp/p2h-grubimg-XXXXXX");
	*state = &s;
	return mkdtemp(s.dir) ? 0 : -1;
}

static int scratch_remove(void **state)
{
	CLEANUP(buf_done) struct buf command = {0};

	buf_printf(&command, "rm -rf '%s'", ((struct scratch *)*state)->dir);
	return system(command.data);
}

static void read_file(const char *path, struct buf *ret)
{
	FILE *f = fopen(path, "rb");
	char *to;

	assert_non_null(f);
	to = buf_reserve(ret, 4 << 20);
	assert_non_null(to);
	ret->len += fread(to, 1, 4 << 20, f);
	fclose(f);
}

/* A core image that tells the serial port that it runs, then switches the machine off. */
static void make_real_core(const struct scratch *s, struct buf *ret)
{
	CLEANUP(buf_done) struct buf command = {0};
	struct stat st;

	if (stat(PLATFORM "/boot.img", &st) || system("command -v grub-mkimage >/dev/null 2>&1")) {
		print_message("grub-mkimage or " PLATFORM " is not installed\n");
		skip();
	}
	buf_printf(&command,
		   "cd '%s' && printf 'serial --unit=0\\nterminal_output serial\\necho " MARKER "\\nhalt\\n' >early.cfg && "
		   "grub-mkimage -d " PLATFORM " -O i386-pc -p /boot/grub -c early.cfg -o core.img biosdisk part_msdos ext2 normal linux "
		   "serial terminal echo halt",
		   s->dir);
	assert_int_equal(system(command.data), 0);
	buf_clear(&command);
	buf_printf(&command, "%s/core.img", s->dir);
	read_file(command.data, ret);
	while (ret->len % 512)
		buf_append(ret, "", 1);
	assert_false(ret->failed);
}

static void test_real_core(void **state)
{
	static const char *const modules[] = {"biosdisk", "part_msdos", "ext2", "normal", "linux", "serial", "echo", "halt"};
	CLEANUP(grub_core_done) struct grub_core found = {0};
	CLEANUP(ranges_done) struct ranges list = {0};
	CLEANUP(buf_done) struct buf core = {0};
	struct p2h_error err = {0};

	make_real_core(*state, &core);
	if (grub_core_parse((uint8_t *)core.data, core.len, &found, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(found.prefix, "/boot/grub");
	assert_non_null(strstr(found.config, "echo " MARKER "\n"));
	for (size_t i = 0; i < ARRAY_LEN(modules); i++)
		assert_true(strlist_has(&found.modules, modules[i]));
	assert_int_equal(grub_core_blocklist((uint8_t *)core.data, &list, &err), 0);
	assert_int_equal(list.len, 1);
	assert_int_equal(list.item[0].off, 1024);
	assert_int_equal(list.item[0].len, core.len - 512);
}

/* Writes a disk whose core lies in the given pieces. */
static void write_disk(const char *path, const struct buf *core, const struct ranges *where)
{
	uint8_t present[512] = {0}, sector[512];
	CLEANUP(buf_done) struct buf boot = {0};
	struct p2h_error err = {0};
	size_t done = 0;
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	read_file(PLATFORM "/boot.img", &boot);
	if (grub_boot_sector_make((uint8_t *)boot.data, present, where->item[0].off / 512, sector, &err) ||
	    grub_core_patch((uint8_t *)core->data, core->len, where, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(fwrite(sector, 1, 512, f), 512);
	for (size_t i = 0; i < where->len && done < core->len; i++) {
		size_t n = where->item[i].len < core->len - done ? where->item[i].len : core->len - done;

		assert_int_equal(fseek(f, (long)where->item[i].off, SEEK_SET), 0);
		assert_int_equal(fwrite(core->data + done, 1, n, f), n);
		done += n;
	}
	assert_int_equal(done, core->len);
	assert_int_equal(fseek(f, (8 << 20) - 1, SEEK_SET), 0);
	assert_int_equal(fwrite("", 1, 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

/* Boots what grub_boot_sector_make and grub_core_patch made: in the gap, and in four pieces. */
static void test_real_boot(void **state)
{
	static const struct piece rows[][4] = {{{1, 2047}}, {{4000, 1}, {5000, 100}, {6001, 128}, {7003, 800}}};
	const struct scratch *s = *state;
	CLEANUP(buf_done) struct buf core = {0};

	make_real_core(s, &core);
	if (system("command -v qemu-system-x86_64 >/dev/null 2>&1")) {
		print_message("qemu-system-x86_64 is not installed\n");
		skip();
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(ranges_done) struct ranges where = {0};
		CLEANUP(buf_done) struct buf command = {0};
		CLEANUP(buf_done) struct buf console = {0};
		CLEANUP(buf_done) struct buf path = {0};

		ranges_fill(&where, rows[i], 4);
		buf_printf(&path, "%s/disk", s->dir);
		write_disk(path.data, &core, &where);
		buf_printf(&command,
			   "timeout 120 qemu-system-x86_64 -accel tcg -cpu qemu64,-cx16 -m 128 -display none -monitor none -nodefaults -no-reboot "
			   "-serial 'file:%s/console' -drive 'file=%s,format=raw,if=virtio' </dev/null >/dev/null 2>&1",
			   s->dir, path.data);
		assert_int_equal(system(command.data), 0);
		buf_clear(&path);
		buf_printf(&path, "%s/console", s->dir);
		read_file(path.data, &console);
		assert_non_null(memmem(console.data, console.len, MARKER, strlen(MARKER)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_boot_sector),
		cmocka_unit_test(test_boot_sector_make),
		cmocka_unit_test(test_boot_sector_refused),
		cmocka_unit_test(test_core_patch),
		cmocka_unit_test(test_core_patch_segments),
		cmocka_unit_test(test_core_patch_many_pieces),
		cmocka_unit_test(test_core_patch_refused),
		cmocka_unit_test(test_blocklist_corrupt),
		cmocka_unit_test(test_core_parse),
		cmocka_unit_test(test_core_parse_empty),
		cmocka_unit_test(test_core_parse_corrupt),
		cmocka_unit_test(test_core_parse_bad_objects),
		cmocka_unit_test_setup_teardown(test_real_core, scratch_make, scratch_remove),
		cmocka_unit_test_setup_teardown(test_real_boot, scratch_make, scratch_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
