/* elf.h - what the program loader and the dynamic loader would read of an ELF file (System V gABI; glibc's abi-tag note) */
#ifndef P2H_PARSE_ELF_H
#define P2H_PARSE_ELF_H

#include "base/buf.h"
#include "base/error.h"

struct elf_facts {
	unsigned bits;           /* 32 or 64 */
	uint16_t machine;        /* EM_386 3, EM_X86_64 62, ... */
	uint16_t type;           /* ET_EXEC 2, ET_DYN 3, ET_REL 1 */
	char *interp;            /* PT_INTERP, "" when static */
	struct strlist needed;   /* DT_NEEDED */
	char *soname;            /* "" if none */
	bool has_abi_tag;        /* .note.ABI-tag (NT_GNU_ABI_TAG) for Linux */
	unsigned abi_min[3];     /* earliest kernel */
};
/* P2H_NOTFOUND when it is no ELF file; big-endian is P2H_UNSUPPORTED. */
int elf_parse(const void *data, size_t len, struct elf_facts *ret, struct p2h_error *err);
void elf_done(struct elf_facts *e);

#endif
