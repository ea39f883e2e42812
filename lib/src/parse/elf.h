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
	char *runpath;           /* where the loader looks for the needed ones first: DT_RUNPATH, else DT_RPATH; "" if neither */
	bool has_abi_tag;        /* .note.ABI-tag (NT_GNU_ABI_TAG) for Linux */
	unsigned abi_min[3];     /* earliest kernel */
};
/* P2H_NOTFOUND when it is no ELF file; big-endian is P2H_UNSUPPORTED. */
int elf_parse(const void *data, size_t len, struct elf_facts *ret, struct p2h_error *err);
void elf_done(struct elf_facts *e);

/* A stretch of the file and the address that it is loaded at. */
struct elf_part {
	uint64_t off, len, address;
	bool code; /* may be executed */
};
#define ELF_LOADS 16

/* What can be told of a program from its first bytes alone, however large it is. */
struct elf_layout {
	unsigned bits;
	uint16_t machine, type;
	bool has_interp;         /* the dynamic loader starts it */
	struct elf_part load[ELF_LOADS]; /* the first ones that lie inside the file */
	size_t loads;
	struct elf_part dynamic; /* len 0: none */
};
/* head: the file's first bytes, with all program headers; size: of the whole file. Errors as elf_parse. */
int elf_layout_parse(const void *head, size_t len, uint64_t size, struct elf_layout *ret, struct p2h_error *err);
/* Where the names stand that the program's dynamic section (its bytes, perhaps cut short) needs; false if it does not say, or not inside the file. */
bool elf_names(const struct elf_layout *l, const void *dynamic, size_t len, struct elf_part *ret);

#endif
