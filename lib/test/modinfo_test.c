/* modinfo_test.c - what modules say of themselves: files made by hand */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/modinfo.h"

struct file64 {
	Elf64_Ehdr header;
	Elf64_Shdr section[3]; /* none, names, .modinfo */
	char names[32];
	char info[80];
};

struct file32 {
	Elf32_Ehdr header;
	Elf32_Shdr section[3];
	char names[32];
	char info[80];
};

static const char names[] = "\0.modinfo-not\0.modinfo";
static const char info[] = "license=GPL\0\0firmware=a.fw\0firmwares=no\0firmware\0firmware=\0firmware=b/c";

#define MAKE(f, wide) do { \
	memset((f), 0, sizeof(*(f))); \
	memcpy((f)->header.e_ident, "\x7f" "ELF", 4); \
	(f)->header.e_ident[EI_CLASS] = (wide) ? ELFCLASS64 : ELFCLASS32; \
	(f)->header.e_ident[EI_DATA] = ELFDATA2LSB; \
	(f)->header.e_type = ET_REL; \
	(f)->header.e_shoff = (uint32_t)((uint8_t *)(f)->section - (uint8_t *)(f)); \
	(f)->header.e_shentsize = sizeof((f)->section[0]); \
	(f)->header.e_shnum = 3; \
	(f)->header.e_shstrndx = 1; \
	(f)->section[1].sh_type = SHT_STRTAB; \
	(f)->section[1].sh_offset = (uint32_t)((uint8_t *)(f)->names - (uint8_t *)(f)); \
	(f)->section[1].sh_size = sizeof(names); \
	(f)->section[2].sh_name = 14; \
	(f)->section[2].sh_type = SHT_PROGBITS; \
	(f)->section[2].sh_offset = (uint32_t)((uint8_t *)(f)->info - (uint8_t *)(f)); \
	(f)->section[2].sh_size = sizeof(info) - 1; /* the last entry has no NUL */ \
	memcpy((f)->names, names, sizeof(names)); \
	memcpy((f)->info, info, sizeof(info)); \
} while (0)

/* The values joined by commas, or the code. */
static void expect(const void *data, size_t len, int code, const char *joined)
{
	CLEANUP(strlist_done) struct strlist values = {0};
	CLEANUP(buf_done) struct buf text = {0};

	assert_int_equal(modinfo_values(data, len, "firmware", &values, NULL), code);
	for (size_t i = 0; i < values.len; i++)
		buf_printf(&text, "%s%s", i ? "," : "", values.item[i]);
	assert_string_equal(text.data ? text.data : "", joined);
}

static void both_widths(void **state)
{
	struct file64 wide;
	struct file32 narrow;

	(void)state;
	MAKE(&wide, true);
	MAKE(&narrow, false);
	expect(&wide, sizeof(wide), 0, "a.fw,,b/c");
	expect(&narrow, sizeof(narrow), 0, "a.fw,,b/c");
}

static void no_section(void **state)
{
	struct file64 f;

	(void)state;
	MAKE(&f, true);
	f.section[2].sh_name = 1; /* .modinfo-not */
	expect(&f, sizeof(f), 0, "");
	MAKE(&f, true);
	f.section[2].sh_type = SHT_NOBITS;
	expect(&f, sizeof(f), 0, "");
	MAKE(&f, true);
	f.header.e_shnum = 0;
	expect(&f, sizeof(f), 0, "");
}

static void damage(void **state)
{
	struct file64 f;

	(void)state;
	MAKE(&f, true);
	expect("text", 4, P2H_NOTFOUND, "");
	expect("", 0, P2H_NOTFOUND, "");
	expect(&f, sizeof(Elf64_Ehdr) - 1, P2H_CORRUPT, "");
	expect(&f, sizeof(Elf64_Ehdr), P2H_CORRUPT, "");
	f.header.e_ident[EI_DATA] = ELFDATA2MSB;
	expect(&f, sizeof(f), P2H_UNSUPPORTED, "");
	MAKE(&f, true);
	f.header.e_shoff = UINT64_MAX;
	expect(&f, sizeof(f), P2H_CORRUPT, "");
	MAKE(&f, true);
	f.header.e_shentsize = 8;
	expect(&f, sizeof(f), P2H_CORRUPT, "");
	MAKE(&f, true);
	f.header.e_shstrndx = 3;
	expect(&f, sizeof(f), P2H_CORRUPT, "");
	MAKE(&f, true);
	f.section[1].sh_size = UINT64_MAX;
	expect(&f, sizeof(f), P2H_CORRUPT, "");
	MAKE(&f, true);
	f.section[2].sh_offset = sizeof(f);
	expect(&f, sizeof(f), P2H_CORRUPT, "");
	MAKE(&f, true);
	f.section[2].sh_name = UINT32_MAX;
	expect(&f, sizeof(f), 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(both_widths), cmocka_unit_test(no_section), cmocka_unit_test(damage)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
