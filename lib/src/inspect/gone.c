#include "inspect/gone.h"

#include <string.h>

#include "base/cleanup.h"

#define MAX_DYNAMIC 65536u
#define MAX_NAMES (1u << 20)
#define MAX_SCRIPT (256 * 1024u)
#define MAX_SCRIPTS 512
#define MAX_CALLS 64

const struct abi_gone abi_gone[ABI_GONE] = {
	{"bdflush", false, 5, 15, "it did nothing for long before"},
	{"create_module", false, 2, 6, "modutils for Linux 2.4 used it"},
	{"get_kernel_syms", false, 2, 6, "modutils for Linux 2.4 used it"},
	{"nfsservctl", false, 3, 1, "nfs-utils uses the file system nfsd where it is mounted"},
	{"query_module", false, 2, 6, "modutils for Linux 2.4 used it"},
	{"sysctl", false, 5, 5, "files below /proc/sys take its place"},
	{"/dev/kmem", true, 5, 13, "nothing takes its place"},
	{"/proc/bus/usb", true, 3, 5, "/dev/bus/usb takes its place"},
	{"/proc/sys/xen", true, 2, 6, "only classic Xen kernels have it"},
};

static void add(struct facts *f, const char *path, size_t line, size_t gone)
{
	struct abi_call *call = f->abi.calls < MAX_CALLS ? arena_push(&f->arena, &f->abi.call, &f->abi.calls, sizeof(*call)) : NULL;

	if (call)
		*call = (struct abi_call){arena_strdup(&f->arena, path), line, gone};
}

/* A piece of the file, all of it or nothing. */
static bool read_part(const struct program *p, const struct elf_part *part, size_t max, struct buf *ret)
{
	size_t got = 0;
	char *to = part->len && part->len <= max ? buf_reserve(ret, (size_t)part->len) : NULL;

	if (!to || fs_pread(p->file, to, part->off, (size_t)part->len, &got, NULL) || got != part->len)
		return false;
	ret->len = got;
	return true;
}

void gone_in_program(struct facts *f, const struct program *p)
{
	CLEANUP(buf_done) struct buf dynamic = {0}, names = {0};
	struct elf_part where;

	if (!p->layout.has_interp || !read_part(p, &p->layout.dynamic, MAX_DYNAMIC, &dynamic) ||
	    !elf_names(&p->layout, dynamic.data, dynamic.len, &where) || !read_part(p, &where, MAX_NAMES, &names))
		return;
	for (size_t i = 0; i < ABI_GONE; i++) {
		size_t n = strlen(abi_gone[i].name);
		const char *at = names.data, *end = names.data + names.len;

		/* Names end with a NUL, and the first one is empty. */
		while (!abi_gone[i].is_file && (at = memmem(at, (size_t)(end - at), abi_gone[i].name, n))) {
			if (at > names.data && !at[-1] && at + n < end && !at[n]) {
				add(f, p->path, 0, i);
				break;
			}
			at++;
		}
	}
}

/* Comments and lines that only look whether the file is there are passed over. */
static bool uses(const char *line, size_t len, const char *name)
{
	size_t start = 0;

	while (start < len && (line[start] == ' ' || line[start] == '\t'))
		start++;
	return start < len && line[start] != '#' && memmem(line, len, name, strlen(name)) && !memmem(line, len, "[ -", 3) && !memmem(line, len, "test -", 6);
}

static void search_script(struct fs *fs, struct facts *f, const char *path)
{
	CLEANUP(buf_done) struct buf text = {0};
	bool found[ABI_GONE] = {false};
	struct fs_stat st;
	size_t number = 1;

	if (fs_lstat(fs, path, &st, NULL) || !S_ISREG(st.mode) || fs_read(fs, path, MAX_SCRIPT, &text, NULL))
		return;
	for (size_t at = 0, len; at < text.len; at += len + 1, number++) {
		const char *nl = memchr(text.data + at, '\n', text.len - at);

		len = nl ? (size_t)(nl - (text.data + at)) : text.len - at;
		for (size_t i = 0; i < ABI_GONE; i++)
			if (abi_gone[i].is_file && !found[i] && uses(text.data + at, len, abi_gone[i].name)) {
				found[i] = true;
				add(f, path, number, i);
			}
	}
}

int gone_in_scripts(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const file[] = {"/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.d/rc.sysinit", "/etc/init.d/boot.local"};
	static const char *const dir[] = {"/etc/init.d", "/etc/rc.d/init.d"};

	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++)
		search_script(fs, f, file[i]);
	for (size_t i = 0; i < sizeof(dir) / sizeof(dir[0]); i++) {
		CLEANUP(strlist_done) struct strlist names = {0};
		struct fs_stat st;

		if (fs_lstat(fs, dir[i], &st, NULL) || !S_ISDIR(st.mode) || fs_list(fs, dir[i], &names, NULL))
			continue;
		for (size_t k = 0; k < names.len && k < MAX_SCRIPTS; k++) {
			CLEANUP(buf_done) struct buf path = {0};

			buf_printf(&path, "%s/%s", dir[i], names.item[k]);
			if (path.failed)
				return error_nomem(err);
			if (strcmp(path.data, "/etc/init.d/boot.local"))
				search_script(fs, f, path.data);
		}
	}
	return 0;
}
