/* fuzz_elf.c - input: an ELF file */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct p2h_error err;

	if (elf_parse(data, size, &e, &err)) {
		if (e.interp || e.soname || e.needed.len)
			abort();
		return 0;
	}
	if ((e.bits != 32 && e.bits != 64) || !e.interp || !e.soname || strlen(e.interp) > size || strlen(e.soname) > size)
		abort();
	return 0;
}
