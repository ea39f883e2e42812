#include "disk/imagerefs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"

/* Layouts: QEMU's docs/interop/qcow2.txt, docs/interop/qed_spec.txt; VMware "Virtual Disk Format 5.0". */
#define QCOW_NAME_MAX 1023u
#define QCOW2_EXTENSIONS_MAX 1000
#define QCOW2_EXT_END 0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_DATA_FILE 0x44415441u
#define QCOW2_INCOMPATIBLE_DATA_FILE 4u
#define QED_BACKING 1u
#define QED_BACKING_RAW 4u
#define VDI_MAGIC 0xbeda107fu
#define VMDK_DESCRIPTOR_MAX (1u << 20)
#define VMDK_TEXT "# Disk DescriptorFile"

ssize_t pread_up_to(int fd, void *buf, size_t len, uint64_t off)
{
	size_t got = 0;

	if (off > INT64_MAX - len)
		return 0;
	while (got < len) {
		ssize_t n = pread(fd, (char *)buf + got, len - got, (off_t)(off + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		got += (size_t)n;
	}
	return (ssize_t)got;
}

const char *image_magic(const unsigned char *head, size_t len)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *format;
	} magics[] = {
		{"KDMV", 4, "vmdk"},     {"COWD", 4, "vmdk"},     {VMDK_TEXT, sizeof(VMDK_TEXT) - 1, "vmdk"},
		{"vhdxfile", 8, "vhdx"}, {"conectix", 8, "vpc"},  {"QED\0", 4, "qed"},
	};

	if (len >= 8 && !memcmp(head, "QFI\xfb", 4))
		return be32_get(head + 4) == 1 ? "qcow" : "qcow2";
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++)
		if (len >= magics[i].len && !memcmp(head, magics[i].magic, magics[i].len))
			return magics[i].format;
	if (len >= 0x44 && le32_get(head + 0x40) == VDI_MAGIC)
		return "vdi";
	return "raw";
}

static int damaged(const char *name, const char *format, struct p2h_error *err)
{
	return error_set(err, P2H_CORRUPT, "%s: begins like a %s image, but its header is damaged", name, format);
}

static int read_exact(int fd, const char *name, const char *format, void *buf, size_t len, uint64_t off,
		      struct p2h_error *err)
{
	ssize_t n = pread_up_to(fd, buf, len, off);

	if (n < 0)
		return error_sys(err, (int)-n, "%s: read", name);
	return (size_t)n == len ? 0 : damaged(name, format, err);
}

static int add_name(int fd, const char *name, const char *format, uint64_t off, uint32_t len, struct strlist *to,
		    struct p2h_error *err)
{
	char text[QCOW_NAME_MAX + 1] = "";
	int code;

	if (!len || len > QCOW_NAME_MAX)
		return damaged(name, format, err);
	code = read_exact(fd, name, format, text, len, off, err);
	if (code)
		return code;
	strlist_add(to, text);
	return to->failed ? error_nomem(err) : 0;
}

/* QEMU looks for a relative data file from where the program runs, not from where the image lies. */
static int add_data_file(int fd, const char *name, uint64_t off, uint32_t len, struct strlist *fixed,
			 struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist found = {0};
	CLEANUP_FREE char *here = NULL;
	int code = add_name(fd, name, "qcow2", off, len, &found, err);

	if (code)
		return code;
	here = get_current_dir_name();
	if (!here)
		return error_sys(err, errno, "the current directory");
	if (strchr("/", found.item[0][0]) || strchr(found.item[0], ':'))
		strlist_add(fixed, found.item[0]);
	else
		strlist_addf(fixed, "%s/%s", here, found.item[0]);
	return fixed->failed ? error_nomem(err) : 0;
}

/* Walks the header extensions: is the backing file declared raw, is there an external data file? */
static int qcow2_extensions(int fd, const char *name, uint64_t off, bool *raw_backing, struct strlist *fixed,
			    struct p2h_error *err)
{
	for (int i = 0; i < QCOW2_EXTENSIONS_MAX; i++) {
		unsigned char head[8];
		char format[4] = "";
		uint32_t len;
		int code = read_exact(fd, name, "qcow2", head, sizeof(head), off, err);

		if (code || be32_get(head) == QCOW2_EXT_END)
			return code;
		off += sizeof(head);
		len = be32_get(head + 4);
		if (be32_get(head) == QCOW2_EXT_BACKING_FORMAT && len == 3)
			code = read_exact(fd, name, "qcow2", format, len, off, err);
		else if (be32_get(head) == QCOW2_EXT_DATA_FILE)
			code = add_data_file(fd, name, off, len, fixed, err);
		if (code)
			return code;
		if (be32_get(head) == QCOW2_EXT_BACKING_FORMAT) /* of several the last counts */
			*raw_backing = !strcmp(format, "raw");
		off += ((uint64_t)len + 7) & ~UINT64_C(7);
	}
	return damaged(name, "qcow2", err);
}

static int qcow_references(int fd, const char *name, const char *format, struct strlist *probe, struct strlist *fixed,
			   struct p2h_error *err)
{
	unsigned char head[104] = {0};
	bool raw_backing = false;
	uint32_t version, header_len = 72;
	int code = read_exact(fd, name, format, head, 72, 0, err);

	if (code)
		return code;
	version = be32_get(head + 4);
	if (version > 3 || !version)
		return error_set(err, P2H_UNSUPPORTED, "%s: begins like a qcow2 image of the unknown version %u", name,
				 version);
	if (version == 3) {
		code = read_exact(fd, name, format, head, sizeof(head), 0, err);
		header_len = be32_get(head + 100);
		if (!code && (header_len < sizeof(head) || header_len > 1u << 21))
			code = damaged(name, format, err);
	}
	if (!code && version > 1)
		code = qcow2_extensions(fd, name, header_len, &raw_backing, fixed, err);
	if (!code && version == 3 && be64_get(head + 72) & QCOW2_INCOMPATIBLE_DATA_FILE && !fixed->len)
		code = damaged(name, format, err);
	if (code || !be64_get(head + 8))
		return code;
	return add_name(fd, name, format, be64_get(head + 8), be32_get(head + 16), raw_backing ? fixed : probe, err);
}

static int qed_references(int fd, const char *name, struct strlist *probe, struct strlist *fixed,
			  struct p2h_error *err)
{
	unsigned char head[64];
	uint64_t features;
	int code = read_exact(fd, name, "qed", head, sizeof(head), 0, err);

	if (code)
		return code;
	features = le64_get(head + 16);
	if (!(features & QED_BACKING))
		return 0;
	return add_name(fd, name, "qed", le32_get(head + 56), le32_get(head + 60),
			features & QED_BACKING_RAW ? fixed : probe, err);
}

/* The text from `at` to the next quote or the end of the line. */
static void add_until_quote(const char *at, struct strlist *to)
{
	size_t len = strcspn(at, "\"\r\n");

	if (len)
		strlist_addf(to, "%.*s", (int)len, at);
}

/*
 * `RW 63 FLAT "disk-flat.vmdk" 0` and `parentFileNameHint="base.vmdk"`. QEMU's scanf takes any white space between the
 * words, line ends too; so every quote that does not follow "=" is taken for the start of a name. What then comes
 * behind a closing quote is one name too many, " 0", that no file has.
 */
static int vmdk_descriptor(const char *text, struct strlist *probe, struct p2h_error *err)
{
	static const char hint[] = "parentFileNameHint", space[] = " \t\r\n\v\f";

	for (const char *at = strchr(text, '"'); at; at = strchr(at + 1, '"')) {
		const char *before = at;

		while (before > text && strchr(space, before[-1]))
			before--;
		if (before == text || before[-1] != '=')
			add_until_quote(at + 1, probe);
	}
	for (const char *at = strcasestr(text, hint); at; at = strcasestr(at + 1, hint)) {
		const char *open = strchr(at, '"');

		if (open)
			add_until_quote(open + 1, probe);
	}
	return probe->failed ? error_nomem(err) : 0;
}

static int vmdk_descriptor_at(int fd, const char *name, uint64_t off, struct strlist *probe, struct p2h_error *err)
{
	CLEANUP_FREE char *text = malloc(VMDK_DESCRIPTOR_MAX + 1);
	ssize_t n;

	if (!text)
		return error_nomem(err);
	n = pread_up_to(fd, text, VMDK_DESCRIPTOR_MAX, off);
	if (n < 0)
		return error_sys(err, (int)-n, "%s: read", name);
	text[n] = '\0'; /* the text itself ends at its first NUL, as it does for QEMU */
	return vmdk_descriptor(text, probe, err);
}

static int vmdk_references(int fd, const char *name, struct strlist *probe, struct p2h_error *err)
{
	unsigned char head[64];
	uint64_t sector;
	int code = read_exact(fd, name, "vmdk", head, sizeof(head), 0, err);

	if (code)
		return code;
	if (memcmp(head, "KDMV", 4) && memcmp(head, "COWD", 4))
		return vmdk_descriptor_at(fd, name, 0, probe, err);
	/* QEMU looks for the parent at a fixed place, and for extents where the header says. */
	code = vmdk_descriptor_at(fd, name, 512, probe, err);
	sector = le64_get(head + 28);
	if (code || memcmp(head, "KDMV", 4) || sector <= 1 || sector > INT64_MAX / 512)
		return code;
	return vmdk_descriptor_at(fd, name, sector * 512, probe, err);
}

int image_references(int fd, const char *name, const char *format, struct strlist *probe, struct strlist *fixed,
		     struct p2h_error *err)
{
	if (!strncmp(format, "qcow", 4))
		return qcow_references(fd, name, format, probe, fixed, err);
	if (!strcmp(format, "qed"))
		return qed_references(fd, name, probe, fixed, err);
	if (!strcmp(format, "vmdk"))
		return vmdk_references(fd, name, probe, err);
	return 0; /* vdi, vpc, and vhdx as QEMU reads it name no other file */
}
