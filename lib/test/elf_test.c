/* elf_test.c - ELF files made by hand, and those of this machine */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "parse/elf.h"

#define BASE 0x400000u /* where the handmade files are loaded */

/* A file of one loaded segment: interpreter, two notes, a dynamic section and its strings. */
struct file64 {
	Elf64_Ehdr header;
	Elf64_Phdr segment[4];
	char interp[32];
	struct {
		Elf64_Nhdr other;
		char other_name[4], other_desc[4];
		Elf64_Nhdr tag;
		char tag_name[4];
		uint32_t tag_desc[4];
	} notes;
	Elf64_Dyn dynamic[7];
	char strings[64];
};

struct file32 {
	Elf32_Ehdr header;
	Elf32_Phdr segment[2];
	Elf32_Dyn dynamic[3];
	char strings[16];
};

static void make64(struct file64 *f)
{
	static const char strings[] = "\0libc.so.6\0libm.so.6\0libown.so.1\0$ORIGIN/own:/opt/lib";

	memset(f, 0, sizeof(*f));
	memcpy(f->header.e_ident, "\x7f" "ELF\2\1\1", 7);
	f->header.e_type = ET_DYN;
	f->header.e_machine = EM_X86_64;
	f->header.e_phoff = offsetof(struct file64, segment);
	f->header.e_phentsize = sizeof(Elf64_Phdr);
	f->header.e_phnum = 4;
	f->segment[0] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = offsetof(struct file64, interp), .p_filesz = 28};
	f->segment[1] = (Elf64_Phdr){.p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = sizeof(*f)};
	f->segment[2] = (Elf64_Phdr){.p_type = PT_NOTE, .p_align = 4, .p_offset = offsetof(struct file64, notes),
				     .p_filesz = sizeof(f->notes)};
	f->segment[3] = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_offset = offsetof(struct file64, dynamic),
				     .p_filesz = sizeof(f->dynamic)};
	strcpy(f->interp, "/lib64/ld-linux-x86-64.so.2");
	f->notes.other = (Elf64_Nhdr){4, 4, NT_GNU_BUILD_ID};
	memcpy(f->notes.other_name, "GNU", 4);
	f->notes.tag = (Elf64_Nhdr){4, 16, NT_GNU_ABI_TAG};
	memcpy(f->notes.tag_name, "GNU", 4);
	memcpy(f->notes.tag_desc, (uint32_t[4]){0, 2, 6, 32}, 16);
	f->dynamic[0] = (Elf64_Dyn){DT_NEEDED, {1}};
	f->dynamic[1] = (Elf64_Dyn){DT_NEEDED, {11}};
	f->dynamic[2] = (Elf64_Dyn){DT_SONAME, {21}};
	f->dynamic[3] = (Elf64_Dyn){DT_STRTAB, {BASE + offsetof(struct file64, strings)}};
	f->dynamic[4] = (Elf64_Dyn){DT_STRSZ, {sizeof(strings)}};
	f->dynamic[5] = (Elf64_Dyn){DT_RUNPATH, {33}};
	memcpy(f->strings, strings, sizeof(strings));
}

static void handmade_64bit(void **state)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct file64 f;

	(void)state;
	make64(&f);
	assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
	assert_int_equal(e.bits, 64);
	assert_int_equal(e.machine, 62);
	assert_int_equal(e.type, 3);
	assert_string_equal(e.interp, "/lib64/ld-linux-x86-64.so.2");
	assert_int_equal(e.needed.len, 2);
	assert_string_equal(e.needed.item[0], "libc.so.6");
	assert_string_equal(e.needed.item[1], "libm.so.6");
	assert_string_equal(e.soname, "libown.so.1");
	assert_string_equal(e.runpath, "$ORIGIN/own:/opt/lib");
	assert_true(e.has_abi_tag);
	assert_int_equal(e.abi_min[0], 2);
	assert_int_equal(e.abi_min[1], 6);
	assert_int_equal(e.abi_min[2], 32);
}

static void handmade_32bit(void **state)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct file32 f = {0};

	(void)state;
	memcpy(f.header.e_ident, "\x7f" "ELF\1\1\1", 7);
	f.header.e_type = ET_EXEC;
	f.header.e_machine = EM_386;
	f.header.e_phoff = offsetof(struct file32, segment);
	f.header.e_phentsize = sizeof(Elf32_Phdr);
	f.header.e_phnum = 2;
	f.segment[0] = (Elf32_Phdr){.p_type = PT_LOAD, .p_vaddr = BASE, .p_filesz = sizeof(f)};
	f.segment[1] = (Elf32_Phdr){.p_type = PT_DYNAMIC, .p_offset = offsetof(struct file32, dynamic),
				    .p_filesz = sizeof(f.dynamic)};
	f.dynamic[0] = (Elf32_Dyn){DT_NEEDED, {1}};
	f.dynamic[1] = (Elf32_Dyn){DT_STRTAB, {BASE + offsetof(struct file32, strings)}};
	memcpy(f.strings, "\0libc.so.6", 11);
	assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
	assert_int_equal(e.bits, 32);
	assert_int_equal(e.machine, 3);
	assert_int_equal(e.needed.len, 1);
	assert_string_equal(e.needed.item[0], "libc.so.6");
	assert_string_equal(e.interp, "");
	assert_string_equal(e.soname, "");
	assert_string_equal(e.runpath, "");
	assert_false(e.has_abi_tag);
}

/* The loader heeds DT_RPATH only where there is no DT_RUNPATH, whichever comes first. */
static void old_and_new_path(void **state)
{
	static const int64_t rows[][2] = {{DT_RUNPATH, DT_RPATH}, {DT_RPATH, DT_RUNPATH}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		CLEANUP(elf_done) struct elf_facts e = {0};
		struct file64 f;

		make64(&f);
		f.dynamic[1] = (Elf64_Dyn){rows[i][0], {rows[i][0] == DT_RUNPATH ? 33 : 11}};
		f.dynamic[5] = (Elf64_Dyn){rows[i][1], {rows[i][1] == DT_RUNPATH ? 33 : 11}};
		assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
		assert_string_equal(e.runpath, "$ORIGIN/own:/opt/lib");
		elf_done(&e);
		f.dynamic[i ? 5 : 1].d_tag = DT_DEBUG;
		assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
		assert_string_equal(e.runpath, "libm.so.6");
	}
}

/* One broken thing each. */
static void not_elf(struct file64 *f) { f->header.e_ident[0] = 'x'; }
static void big_endian(struct file64 *f) { f->header.e_ident[EI_DATA] = ELFDATA2MSB; }
static void unknown_class(struct file64 *f) { f->header.e_ident[EI_CLASS] = 3; }
static void headers_outside(struct file64 *f) { f->header.e_phoff = UINT64_MAX - 8; }
static void headers_small(struct file64 *f) { f->header.e_phentsize = 8; }
static void headers_many(struct file64 *f) { f->header.e_phnum = 60000; }
static void interp_outside(struct file64 *f) { f->segment[0].p_offset = UINT64_MAX; }
static void interp_open(struct file64 *f) { f->segment[0].p_filesz = 10; }
static void dynamic_outside(struct file64 *f) { f->segment[3].p_filesz = 1 << 20; }
static void strings_outside(struct file64 *f) { f->dynamic[3].d_un.d_ptr = 8; }
static void strings_missing(struct file64 *f) { f->dynamic[3].d_tag = DT_DEBUG; }
static void name_outside(struct file64 *f) { f->dynamic[0].d_un.d_val = UINT64_MAX - 3; }
static void name_open(struct file64 *f) { f->dynamic[4].d_un.d_val = 5; }
static void path_outside(struct file64 *f) { f->dynamic[5].d_un.d_val = 1 << 20; }
static void segment_outside(struct file64 *f) { f->segment[1].p_offset = UINT64_MAX - 100; }

static void broken(void **state)
{
	static const struct {
		void (*breaks)(struct file64 *f);
		int code;
	} rows[] = {
	    {not_elf, P2H_NOTFOUND},	     {big_endian, P2H_UNSUPPORTED}, {unknown_class, P2H_CORRUPT},
	    {headers_outside, P2H_CORRUPT}, {headers_small, P2H_CORRUPT},  {headers_many, P2H_CORRUPT},
	    {interp_outside, P2H_CORRUPT},  {interp_open, P2H_CORRUPT},	   {dynamic_outside, P2H_CORRUPT},
	    {strings_outside, P2H_CORRUPT}, {strings_missing, P2H_CORRUPT}, {name_outside, P2H_CORRUPT},
	    {name_open, P2H_CORRUPT},	     {segment_outside, P2H_CORRUPT}, {path_outside, P2H_CORRUPT},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct p2h_error err = {0};
		struct elf_facts e;
		struct file64 f;

		make64(&f);
		rows[i].breaks(&f);
		assert_int_equal(elf_parse(&f, sizeof(f), &e, &err), rows[i].code);
		assert_true(err.msg[0]);
		assert_null(e.interp);
		assert_null(e.needed.item);
	}
}

static void cut_anywhere(void **state)
{
	struct file64 whole;

	(void)state;
	make64(&whole);
	for (size_t len = 0; len < sizeof(whole); len++) {
		/* memory of exactly this size, for the sanitizer to guard */
		CLEANUP_FREE uint8_t *cut = malloc(len ? len : 1);
		CLEANUP(elf_done) struct elf_facts e = {0};

		assert_non_null(cut);
		memcpy(cut, &whole, len);
		assert_int_equal(elf_parse(cut, len, &e, NULL), len < 4 ? P2H_NOTFOUND : P2H_CORRUPT);
	}
}

static void notes_of_others(void **state)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct file64 f;

	(void)state;
	make64(&f);
	f.notes.tag_desc[0] = 1; /* the Hurd */
	assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
	assert_false(e.has_abi_tag);
	elf_done(&e);
	make64(&f);
	f.notes.other.n_descsz = UINT32_MAX;
	assert_int_equal(elf_parse(&f, sizeof(f), &e, NULL), 0);
	assert_false(e.has_abi_tag);
}

static bool read_host_file(const char *path, struct buf *out)
{
	FILE *file = fopen(path, "rb");
	char part[65536];
	size_t n;

	if (!file)
		return false;
	while ((n = fread(part, 1, sizeof(part), file)) > 0)
		buf_append(out, part, n);
	fclose(file);
	return !out->failed;
}

static void this_machine(void **state)
{
	CLEANUP(elf_done) struct elf_facts ls = {0}, libc = {0};
	CLEANUP(buf_done) struct buf program = {0}, library = {0};

	(void)state;
	if (!read_host_file("/bin/ls", &program) || !read_host_file("/lib/x86_64-linux-gnu/libc.so.6", &library))
		skip();
	assert_int_equal(elf_parse(program.data, program.len, &ls, NULL), 0);
	assert_int_equal(ls.machine, 62);
	assert_string_equal(ls.interp, "/lib64/ld-linux-x86-64.so.2");
	assert_true(strlist_has(&ls.needed, "libc.so.6"));
	assert_int_equal(elf_parse(library.data, library.len, &libc, NULL), 0);
	assert_string_equal(libc.soname, "libc.so.6");
	assert_true(libc.has_abi_tag);
	assert_in_range(libc.abi_min[0], 2, 6);
}

/* The names that a program needs, found by way of its layout and its dynamic section as large programs are looked into. */
static void layout_of_this_machine(void **state)
{
	CLEANUP(buf_done) struct buf program = {0};
	struct elf_layout l;
	struct elf_part names;

	(void)state;
	if (!read_host_file("/bin/ls", &program))
		skip();
	assert_int_equal(elf_layout_parse(program.data, 4096, program.len, &l, NULL), 0);
	assert_int_equal(l.bits, 64);
	assert_true(l.has_interp);
	assert_true(l.loads >= 2);
	assert_true(elf_names(&l, program.data + l.dynamic.off, (size_t)l.dynamic.len, &names));
	assert_non_null(memmem(program.data + names.off, (size_t)names.len, "\0malloc", 8));
	assert_false(elf_names(&l, program.data + l.dynamic.off, 16, &names));
	assert_int_equal(elf_layout_parse(program.data, 64, program.len, &l, NULL), P2H_CORRUPT);
	assert_int_equal(elf_layout_parse("#!/bin/sh", 9, 9, &l, NULL), P2H_NOTFOUND);
}

static void layout_of_code(void **state)
{
	struct file64 f;
	struct elf_layout l;

	(void)state;
	make64(&f);
	f.segment[1].p_flags = PF_R | PF_X;
	assert_int_equal(elf_layout_parse(&f, sizeof(f), sizeof(f), &l, NULL), 0);
	assert_int_equal(l.loads, 1);
	assert_true(l.load[0].code);
	assert_int_equal(l.load[0].address, BASE);
	f.segment[1].p_filesz = sizeof(f) + 1; /* outside the file: not to be read */
	assert_int_equal(elf_layout_parse(&f, sizeof(f), sizeof(f), &l, NULL), 0);
	assert_int_equal(l.loads, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(handmade_64bit), cmocka_unit_test(handmade_32bit),
	    cmocka_unit_test(old_and_new_path),  cmocka_unit_test(broken),
	    cmocka_unit_test(cut_anywhere),	  cmocka_unit_test(notes_of_others), cmocka_unit_test(this_machine),
	    cmocka_unit_test(layout_of_this_machine), cmocka_unit_test(layout_of_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
