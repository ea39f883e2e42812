#include "parse/modinfo.h"

#include <elf.h>
#include <string.h>

#include "base/le.h"

#define MAX_ENTRY 65536u /* bytes; a longer one is passed over */

struct module_file {
	const uint8_t *data;
	size_t len;
	bool wide; /* 64 bit */
	uint64_t headers;
	size_t count, size, names;
};

struct section {
	uint32_t name, type;
	uint64_t off, len;
};

#define FIELD(f, at, type, name) \
	((f)->wide ? le64_get((at) + offsetof(Elf64_##type, name)) : le32_get((at) + offsetof(Elf32_##type, name)))
#define SHORT(f, name) \
	le16_get((f)->data + ((f)->wide ? offsetof(Elf64_Ehdr, name) : offsetof(Elf32_Ehdr, name)))

static int open_module(struct module_file *f, struct p2h_error *err)
{
	if (f->len < SELFMAG || memcmp(f->data, ELFMAG, SELFMAG))
		return error_set(err, P2H_NOTFOUND, "not an ELF file");
	f->wide = f->len > EI_CLASS && f->data[EI_CLASS] == ELFCLASS64;
	if (f->len < (f->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr)))
		return error_set(err, P2H_CORRUPT, "ELF header is cut short");
	if (f->data[EI_DATA] != ELFDATA2LSB)
		return error_set(err, P2H_UNSUPPORTED, "ELF file that is not little-endian");
	f->headers = FIELD(f, f->data, Ehdr, e_shoff);
	f->size = SHORT(f, e_shentsize);
	f->count = SHORT(f, e_shnum);
	f->names = SHORT(f, e_shstrndx);
	if (f->count && (f->size < (f->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)) || f->names >= f->count ||
			 !range_ok(f->headers, (uint64_t)f->count * f->size, f->len)))
		return error_set(err, P2H_CORRUPT, "ELF section headers are outside the file");
	return 0;
}

static struct section section_at(const struct module_file *f, size_t i)
{
	const uint8_t *at = f->data + f->headers + (uint64_t)i * f->size;

	/* The first two fields are the same in both. */
	return (struct section){le32_get(at), le32_get(at + 4), FIELD(f, at, Shdr, sh_offset), FIELD(f, at, Shdr, sh_size)};
}

static bool is_named(const struct module_file *f, const struct section *names, uint32_t name, const char *wanted)
{
	size_t size = strlen(wanted) + 1;

	return range_ok(name, size, names->len) && !memcmp(f->data + names->off + name, wanted, size);
}

/* Entries end with a NUL; more of them may stand between two. The last one may lack it. */
static void read_entries(const char *text, size_t len, const char *key, struct strlist *ret)
{
	size_t key_len = strlen(key);

	for (const char *end = text + len; text < end;) {
		size_t n = strnlen(text, (size_t)(end - text));

		if (n > key_len && n <= MAX_ENTRY && !memcmp(text, key, key_len) && text[key_len] == '=')
			strlist_addf(ret, "%.*s", (int)(n - key_len - 1), text + key_len + 1);
		text += n + 1;
	}
}

int modinfo_values(const void *data, size_t len, const char *key, struct strlist *ret, struct p2h_error *err)
{
	struct module_file f = {.data = data, .len = len};
	struct section names;
	int rc = open_module(&f, err);

	if (rc || !f.count)
		return rc;
	names = section_at(&f, f.names);
	if (!range_ok(names.off, names.len, len))
		return error_set(err, P2H_CORRUPT, "ELF section names are outside the file");
	for (size_t i = 0; i < f.count; i++) {
		struct section s = section_at(&f, i);

		if (s.type == SHT_NOBITS || !is_named(&f, &names, s.name, ".modinfo"))
			continue;
		if (!range_ok(s.off, s.len, len))
			return error_set(err, P2H_CORRUPT, "ELF section .modinfo is outside the file");
		read_entries((const char *)f.data + s.off, (size_t)s.len, key, ret);
		break;
	}
	return ret->failed ? error_nomem(err) : 0;
}
