#include "parse/elf.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"

#define MAX_HEADERS 65536u /* bytes of program headers; Linux runs no file with more */
#define MAX_STRING 4096u
#define MAX_NEEDED 4096u
#define MAX_NOTES 4096u
#define NOTE_LINUX 0u      /* ELF_NOTE_OS_LINUX */

/* The file, and what differs between 32 and 64 bit. */
struct elf_file {
	const uint8_t *data;
	size_t len;
	bool wide;
	uint64_t headers;
	size_t count, size;
};

struct segment {
	uint32_t type, flags;
	uint64_t offset, address, size, align;
};

/* The dynamic section's answers, before the string table is found. */
struct dynamic {
	uint64_t strings, strings_size, soname, runpath;
	bool has_strings, has_soname, has_runpath, has_rpath;
	size_t needed;
	uint64_t *name; /* offsets of DT_NEEDED names in the string table */
};

void elf_done(struct elf_facts *e)
{
	free(e->interp);
	free(e->soname);
	free(e->runpath);
	strlist_done(&e->needed);
	*e = (struct elf_facts){0};
}

static void dynamic_done(struct dynamic *d)
{
	free(d->name);
}

static uint64_t word_at(const struct elf_file *f, uint64_t off)
{
	return f->wide ? le64_get(f->data + off) : le32_get(f->data + off);
}

/* Program header i; the table was checked when the file was opened. */
static struct segment segment_at(const struct elf_file *f, size_t i)
{
	uint64_t at = f->headers + (uint64_t)i * f->size;
	struct segment s = {.type = le32_get(f->data + at)};

	if (f->wide) {
		s.flags = le32_get(f->data + at + offsetof(Elf64_Phdr, p_flags));
		s.offset = le64_get(f->data + at + offsetof(Elf64_Phdr, p_offset));
		s.address = le64_get(f->data + at + offsetof(Elf64_Phdr, p_vaddr));
		s.size = le64_get(f->data + at + offsetof(Elf64_Phdr, p_filesz));
		s.align = le64_get(f->data + at + offsetof(Elf64_Phdr, p_align));
	} else {
		s.flags = le32_get(f->data + at + offsetof(Elf32_Phdr, p_flags));
		s.offset = le32_get(f->data + at + offsetof(Elf32_Phdr, p_offset));
		s.address = le32_get(f->data + at + offsetof(Elf32_Phdr, p_vaddr));
		s.size = le32_get(f->data + at + offsetof(Elf32_Phdr, p_filesz));
		s.align = le32_get(f->data + at + offsetof(Elf32_Phdr, p_align));
	}
	return s;
}

static int read_header(struct elf_file *f, struct elf_facts *e, struct p2h_error *err)
{
	size_t need;

	if (f->len < SELFMAG || memcmp(f->data, ELFMAG, SELFMAG))
		return error_set(err, P2H_NOTFOUND, "not an ELF file");
	if (f->len < EI_NIDENT || (f->data[EI_CLASS] != ELFCLASS32 && f->data[EI_CLASS] != ELFCLASS64))
		return error_set(err, P2H_CORRUPT, "ELF file of an unknown class, or cut short");
	if (f->data[EI_DATA] != ELFDATA2LSB)
		return error_set(err, P2H_UNSUPPORTED, "ELF file that is not little-endian");
	f->wide = f->data[EI_CLASS] == ELFCLASS64;
	need = f->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr);
	if (f->len < need)
		return error_set(err, P2H_CORRUPT, "ELF header is cut short");
	e->bits = f->wide ? 64 : 32;
	e->type = le16_get(f->data + offsetof(Elf64_Ehdr, e_type));
	e->machine = le16_get(f->data + offsetof(Elf64_Ehdr, e_machine));
	f->headers = word_at(f, f->wide ? offsetof(Elf64_Ehdr, e_phoff) : offsetof(Elf32_Ehdr, e_phoff));
	f->size = le16_get(f->data + (f->wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize)));
	f->count = le16_get(f->data + (f->wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum)));
	if (!f->count)
		return 0;
	if (f->size < (f->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)) || f->count * f->size > MAX_HEADERS ||
	    !range_ok(f->headers, (uint64_t)f->count * f->size, f->len))
		return error_set(err, P2H_CORRUPT, "ELF program headers are outside the file");
	return 0;
}

static int check_segment(const struct elf_file *f, const struct segment *s, const char *what, struct p2h_error *err)
{
	if (range_ok(s->offset, s->size, f->len))
		return 0;
	return error_set(err, P2H_CORRUPT, "ELF %s is outside the file", what);
}

/* A copy of the string at off, which must end before `end`. */
static int copy_string(const struct elf_file *f, uint64_t off, uint64_t end, const char *what, char **ret, struct p2h_error *err)
{
	size_t room = off < end ? (size_t)(end - off) : 0;
	const uint8_t *at = f->data + off;

	if (room > MAX_STRING)
		room = MAX_STRING;
	if (!room || !memchr(at, '\0', room))
		return error_set(err, P2H_CORRUPT, "ELF %s does not end, or is outside the file", what);
	*ret = strdup((const char *)at);
	return *ret ? 0 : error_nomem(err);
}

/* Where the byte that is loaded at `address` stands in the file, and how far its segment goes on. */
static bool address_to_offset(const struct elf_file *f, uint64_t address, uint64_t *off, uint64_t *end)
{
	for (size_t i = 0; i < f->count; i++) {
		struct segment s = segment_at(f, i);

		if (s.type != PT_LOAD || address < s.address || address - s.address >= s.size ||
		    !range_ok(s.offset, s.size, f->len))
			continue;
		*off = s.offset + (address - s.address);
		*end = s.offset + s.size;
		return true;
	}
	return false;
}

static int read_dynamic(const struct elf_file *f, const struct segment *s, struct dynamic *d, struct p2h_error *err)
{
	size_t word = f->wide ? 8 : 4;
	int code = check_segment(f, s, "dynamic section", err);

	if (code)
		return code;
	d->name = reallocarray(NULL, MAX_NEEDED, sizeof(*d->name));
	if (!d->name)
		return error_nomem(err);
	for (uint64_t pos = 0; s->size - pos >= 2 * word; pos += 2 * word) {
		uint64_t tag = word_at(f, s->offset + pos), value = word_at(f, s->offset + pos + word);

		if (tag == DT_NULL)
			break;
		if (tag == DT_STRTAB) {
			d->strings = value;
			d->has_strings = true;
		} else if (tag == DT_STRSZ) {
			d->strings_size = value;
		} else if (tag == DT_SONAME) {
			d->soname = value;
			d->has_soname = true;
		} else if (tag == DT_RUNPATH) {
			d->runpath = value;
			d->has_runpath = true;
		} else if (tag == DT_RPATH) {
			d->runpath = d->has_runpath ? d->runpath : value;
			d->has_rpath = true;
		} else if (tag == DT_NEEDED) {
			if (d->needed == MAX_NEEDED)
				return error_set(err, P2H_UNSUPPORTED, "ELF file needs more than %u libraries", MAX_NEEDED);
			d->name[d->needed++] = value;
		}
	}
	return 0;
}

/* One of the strings that the dynamic section names; the one that was there before goes. */
static int read_name(const struct elf_file *f, uint64_t at, uint64_t off, uint64_t end, const char *what, char **ret,
		     struct p2h_error *err)
{
	free(*ret);
	*ret = NULL;
	return copy_string(f, at < end - off ? off + at : end, end, what, ret, err);
}

static int read_names(const struct elf_file *f, const struct segment *s, struct elf_facts *e, struct p2h_error *err)
{
	CLEANUP(dynamic_done) struct dynamic d = {0};
	uint64_t off, end;
	int code = read_dynamic(f, s, &d, err);

	if (code || (!d.needed && !d.has_soname && !d.has_runpath && !d.has_rpath))
		return code;
	if (!d.has_strings || !address_to_offset(f, d.strings, &off, &end))
		return error_set(err, P2H_CORRUPT, "ELF dynamic string table is outside the file");
	if (d.strings_size && d.strings_size < end - off)
		end = off + d.strings_size;
	for (size_t i = 0; i < d.needed && !code; i++) {
		CLEANUP_FREE char *name = NULL;

		code = read_name(f, d.name[i], off, end, "name of a needed library", &name, err);
		if (!code)
			strlist_add(&e->needed, name);
		if (e->needed.failed)
			return error_nomem(err);
	}
	if (!code && d.has_soname)
		code = read_name(f, d.soname, off, end, "soname", &e->soname, err);
	if (!code && (d.has_runpath || d.has_rpath))
		code = read_name(f, d.runpath, off, end, "path to libraries", &e->runpath, err);
	return code;
}

/* Looks for NT_GNU_ABI_TAG: four words, the system and the earliest kernel. Broken notes are passed over, as by ld.so. */
static void read_notes(const struct elf_file *f, const struct segment *s, size_t *notes, struct elf_facts *e)
{
	uint64_t align = s->align == 8 ? 8 : 4, pos = 0;

	if (!range_ok(s->offset, s->size, f->len))
		return;
	while (s->size - pos >= 12 && ++*notes <= MAX_NOTES) {
		const uint8_t *at = f->data + s->offset + pos;
		uint64_t name = le32_get(at), desc = le32_get(at + 4);
		uint64_t desc_off = (12 + name + align - 1) / align * align;
		uint64_t next = desc_off + (desc + align - 1) / align * align;

		if (!range_ok(desc_off, desc, s->size - pos))
			return;
		if (le32_get(at + 8) == NT_GNU_ABI_TAG && name == 4 && !memcmp(at + 12, "GNU", 4) && desc >= 16 &&
		    le32_get(at + desc_off) == NOTE_LINUX) {
			e->has_abi_tag = true;
			for (size_t i = 0; i < 3; i++)
				e->abi_min[i] = le32_get(at + desc_off + 4 + 4 * i);
			return;
		}
		if (next > s->size - pos)
			return;
		pos += next;
	}
}

int elf_parse(const void *data, size_t len, struct elf_facts *ret, struct p2h_error *err)
{
	CLEANUP(elf_done) struct elf_facts e = {0};
	struct elf_file f = {.data = data, .len = len};
	bool dynamic = false;
	size_t notes = 0;
	int code;

	*ret = (struct elf_facts){0};
	code = read_header(&f, &e, err);
	for (size_t i = 0; i < f.count && !code; i++) {
		struct segment s = segment_at(&f, i);

		if (s.type == PT_INTERP && !e.interp) {
			code = check_segment(&f, &s, "interpreter", err);
			if (!code)
				code = copy_string(&f, s.offset, s.offset + s.size, "interpreter", &e.interp, err);
		} else if (s.type == PT_DYNAMIC && !dynamic) {
			dynamic = true;
			code = read_names(&f, &s, &e, err);
		} else if (s.type == PT_NOTE && !e.has_abi_tag) {
			read_notes(&f, &s, &notes, &e);
		}
	}
	if (code)
		return code;
	if (!e.interp)
		e.interp = strdup("");
	if (!e.soname)
		e.soname = strdup("");
	if (!e.runpath)
		e.runpath = strdup("");
	if (!e.interp || !e.soname || !e.runpath)
		return error_nomem(err);
	*ret = e;
	e = (struct elf_facts){0};
	return 0;
}

int elf_layout_parse(const void *head, size_t len, uint64_t size, struct elf_layout *ret, struct p2h_error *err)
{
	struct elf_layout l = {0};
	struct elf_facts e = {0};
	struct elf_file f = {.data = head, .len = len};
	int code = read_header(&f, &e, err);

	*ret = (struct elf_layout){0};
	if (code)
		return code;
	l.bits = e.bits;
	l.machine = e.machine;
	l.type = e.type;
	for (size_t i = 0; i < f.count; i++) {
		struct segment s = segment_at(&f, i);
		struct elf_part part = {s.offset, s.size, s.address, (s.flags & PF_X) != 0};

		l.has_interp |= s.type == PT_INTERP;
		if (!s.size || !range_ok(s.offset, s.size, size))
			continue;
		if (s.type == PT_DYNAMIC && !l.dynamic.len)
			l.dynamic = part;
		else if (s.type == PT_LOAD && l.loads < ELF_LOADS)
			l.load[l.loads++] = part;
	}
	*ret = l;
	return 0;
}

bool elf_names(const struct elf_layout *l, const void *dynamic, size_t len, struct elf_part *ret)
{
	struct elf_file f = {.data = dynamic, .len = len, .wide = l->bits == 64};
	size_t word = f.wide ? 8 : 4;
	uint64_t strings = 0, size = 0;

	for (size_t pos = 0; pos + 2 * word <= len; pos += 2 * word) {
		uint64_t tag = word_at(&f, pos), value = word_at(&f, pos + word);

		if (tag == DT_NULL)
			break;
		if (tag == DT_STRTAB)
			strings = value;
		else if (tag == DT_STRSZ)
			size = value;
	}
	for (size_t i = 0; i < l->loads && strings && size; i++) {
		const struct elf_part *p = &l->load[i];

		if (strings < p->address || !range_ok(strings - p->address, size, p->len))
			continue;
		*ret = (struct elf_part){p->off + (strings - p->address), size, strings, false};
		return true;
	}
	return false;
}
