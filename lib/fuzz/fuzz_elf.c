/* fuzz_elf.c - input: an ELF file */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void layout(const uint8_t *data, size_t size)
{
	struct elf_layout l;
	struct elf_part names;

	if (elf_layout_parse(data, size, size, &l, NULL))
		return;
	for (size_t i = 0; i < l.loads; i++)
		if (l.load[i].off > size || l.load[i].len > size - l.load[i].off)
			abort();
	if (l.dynamic.len && elf_names(&l, data + l.dynamic.off, (size_t)l.dynamic.len, &names) && (names.off > size || names.len > size - names.off))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct p2h_error err;

	layout(data, size);
	if (elf_parse(data, size, &e, &err)) {
		if (e.interp || e.soname || e.runpath || e.needed.len)
			abort();
		return 0;
	}
	if ((e.bits != 32 && e.bits != 64) || !e.interp || !e.soname || !e.runpath || strlen(e.interp) > size ||
	    strlen(e.soname) > size || strlen(e.runpath) > size)
		abort();
	return 0;
}
