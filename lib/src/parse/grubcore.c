/* What is inside a core image: the decompressor's fields, the LZMA stream, kernel.img, and the objects behind it. */
#include <lzma.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "parse/grubimg.h"

/* The decompressor's fields, from the core's second sector on (include/grub/offsets.h) */
#define FIELD_COMPRESSED 0x08
#define FIELD_UNCOMPRESSED 0x0c
#define FIELD_NO_RS_LENGTH 0x14
#define DECOMPRESSOR_MAX 0xe00u
#define UNPACKED_MAX (16u << 20)
#define OBJECTS_MAX 4096

#define MODULE_MAGIC "mimg"
#define MODULE_INFO_SIZE 12u  /* magic, offset of the first object, size of all with this header */
#define OBJECT_HEADER_SIZE 8u /* type, size with this header (include/grub/kernel.h) */
enum { OBJECT_ELF = 0, OBJECT_CONFIG = 2, OBJECT_PREFIX = 3 };

struct image {
	const uint8_t *data;
	size_t len;
};

/* Unpacks into out[out_len]; the number of bytes made goes to *ret_made. A stream without end marker: full is the end. */
static lzma_ret unpack(const uint8_t *in, size_t in_len, uint8_t *out, size_t out_len, size_t *ret_made)
{
	lzma_options_lzma options = {.dict_size = 1 << 16, .lc = 3, .lp = 0, .pb = 2};
	const lzma_filter filters[] = {{LZMA_FILTER_LZMA1, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	lzma_stream stream = LZMA_STREAM_INIT;
	lzma_ret result;

	*ret_made = 0;
	result = lzma_raw_decoder(&stream, filters);
	if (result != LZMA_OK)
		return result;
	stream.next_in = in;
	stream.avail_in = in_len;
	stream.next_out = out;
	stream.avail_out = out_len;
	while (result == LZMA_OK && stream.avail_out)
		result = lzma_code(&stream, LZMA_RUN);
	*ret_made = out_len - stream.avail_out;
	lzma_end(&stream);
	return result;
}

/* Where kernel.img ends and the modules begin: an information header that reaches exactly to the end. */
static bool find_modules(const uint8_t *data, size_t len, size_t *ret_pos)
{
	size_t pos = 0;

	while (range_ok(pos, MODULE_INFO_SIZE, len)) {
		const uint8_t *at = memmem(data + pos, len - pos, MODULE_MAGIC, 4);

		if (!at)
			return false;
		pos = (size_t)(at - data);
		if (range_ok(pos, MODULE_INFO_SIZE, len) && le32_get(at + 4) >= MODULE_INFO_SIZE && le32_get(at + 4) <= len - pos &&
		    le32_get(at + 8) == len - pos) {
			*ret_pos = pos;
			return true;
		}
		pos++;
	}
	return false;
}

/*
 * The decompressor's own length is in none of its fields: it ends at one of a few hundred multiples of 16, and only one of them starts
 * a stream of the declared size with the modules' header in it. Every stream starts with a zero byte, and a wrong start fails within a
 * few bytes; what hostile data may cost is bounded all the same.
 */
static int unpack_core(const uint8_t *core, size_t len, uint8_t *out, size_t out_len, size_t *ret_modules, struct p2h_error *err)
{
	const uint8_t *fields = core + GRUB_SECTOR;
	size_t packed = le32_get(fields + FIELD_COMPRESSED), budget = 4 * out_len, made;

	for (size_t start = (le16_get(fields + FIELD_NO_RS_LENGTH) + 15u) & ~15u; start <= DECOMPRESSOR_MAX; start += 16) {
		if (!range_ok(GRUB_SECTOR + start, packed, len))
			break;
		if (fields[start])
			continue;
		if (unpack(fields + start, packed, out, out_len, &made) == LZMA_MEM_ERROR)
			return error_nomem(err);
		if (made == out_len && find_modules(out, out_len, ret_modules))
			return 0;
		if (made >= budget)
			break;
		budget -= made;
	}
	return error_set(err, P2H_CORRUPT, "the GRUB core image cannot be unpacked");
}

/* Section `index` of a 32-bit ELF file as a piece of it. */
static bool elf_section(const struct image *elf, uint32_t index, uint32_t *ret_name, struct image *ret)
{
	uint64_t header = (uint64_t)le32_get(elf->data + 32) + (uint64_t)index * le16_get(elf->data + 46);
	uint32_t off, len;

	if (le16_get(elf->data + 46) < 40 || !range_ok(header, 40, elf->len))
		return false;
	off = le32_get(elf->data + header + 16);
	len = le32_get(elf->data + header + 20);
	*ret_name = le32_get(elf->data + header);
	*ret = (struct image){elf->data, 0};
	if (le32_get(elf->data + header + 4) == 8 /* SHT_NOBITS */)
		return true;
	if (!range_ok(off, len, elf->len))
		return false;
	*ret = (struct image){elf->data + off, len};
	return true;
}

/* Adds the name that a module's .modname section gives. */
static bool add_module(const struct image *elf, struct strlist *names)
{
	static const char wanted[] = ".modname";
	struct image strings, section;
	uint32_t name;

	if (elf->len < 52 || memcmp(elf->data, "\177ELF\1\1", 6) || !elf_section(elf, le16_get(elf->data + 50), &name, &strings))
		return false;
	for (uint32_t i = 0; i < le16_get(elf->data + 48); i++) {
		if (!elf_section(elf, i, &name, &section))
			return false;
		if (!range_ok(name, sizeof(wanted), strings.len) || memcmp(strings.data + name, wanted, sizeof(wanted)))
			continue;
		if (!memchr(section.data, '\0', section.len))
			return false;
		strlist_add(names, (const char *)section.data);
		return true;
	}
	return false;
}

static int add_object(uint32_t type, const struct image *body, struct grub_core *core, struct p2h_error *err)
{
	char **text = type == OBJECT_CONFIG ? &core->config : &core->prefix;

	switch (type) {
	case OBJECT_ELF:
		if (!add_module(body, &core->modules))
			return error_set(err, P2H_CORRUPT, "a module in the GRUB core image is damaged");
		return core->modules.failed ? error_nomem(err) : 0;
	case OBJECT_CONFIG:
	case OBJECT_PREFIX:
		free(*text);
		*text = strndup((const char *)body->data, body->len);
		return *text ? 0 : error_nomem(err);
	default: /* a memory disk, a public key, ... */
		return 0;
	}
}

static int add_objects(const struct image *info, struct grub_core *core, struct p2h_error *err)
{
	size_t pos = le32_get(info->data + 4);

	for (unsigned n = 0; pos < info->len; n++) {
		uint32_t size;

		if (n >= OBJECTS_MAX || !range_ok(pos, OBJECT_HEADER_SIZE, info->len))
			return error_set(err, P2H_CORRUPT, "the module list of the GRUB core image is damaged");
		size = le32_get(info->data + pos + 4);
		if (size < OBJECT_HEADER_SIZE || !range_ok(pos, size, info->len))
			return error_set(err, P2H_CORRUPT, "the module list of the GRUB core image is damaged");
		struct image body = {info->data + pos + OBJECT_HEADER_SIZE, size - OBJECT_HEADER_SIZE};
		int code = add_object(le32_get(info->data + pos), &body, core, err);

		if (code)
			return code;
		pos += ((size_t)size + 3) & ~(size_t)3;
	}
	return 0;
}

static int fill_missing(struct grub_core *core, struct p2h_error *err)
{
	if (!core->prefix)
		core->prefix = strdup("");
	if (!core->config)
		core->config = strdup("");
	return core->prefix && core->config ? 0 : error_nomem(err);
}

int grub_core_parse(const uint8_t *core, size_t len, struct grub_core *ret, struct p2h_error *err)
{
	CLEANUP(grub_core_done) struct grub_core made = {0};
	CLEANUP_FREE uint8_t *out = NULL;
	size_t modules = 0, out_len;
	int code;

	if (len < 2 * GRUB_SECTOR)
		return error_set(err, P2H_CORRUPT, "%zu bytes are too few for a GRUB core image", len);
	out_len = le32_get(core + GRUB_SECTOR + FIELD_UNCOMPRESSED);
	if (!out_len || out_len > UNPACKED_MAX || !le32_get(core + GRUB_SECTOR + FIELD_COMPRESSED))
		return error_set(err, P2H_CORRUPT, "not a GRUB core image for i386-pc");
	out = malloc(out_len);
	if (!out)
		return error_nomem(err);
	code = unpack_core(core, len, out, out_len, &modules, err);
	if (code)
		return code;
	struct image info = {out + modules, out_len - modules};

	code = add_objects(&info, &made, err);
	if (!code)
		code = fill_missing(&made, err);
	if (code)
		return code;
	*ret = made;
	made = (struct grub_core){0};
	return 0;
}

void grub_core_done(struct grub_core *c)
{
	free(c->prefix);
	free(c->config);
	strlist_done(&c->modules);
	*c = (struct grub_core){0};
}
