#include "inspect/programs.h"

#include <fnmatch.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/vsyscall.h"

#define HEAD 4096u
#define CHUNK (1u << 20)
#define MAX_PROGRAMS 8192
#define MAX_BYTES (512u << 20) /* of all together: what is in them, not their heads */

struct walk {
	struct fs *fs;
	int (*visit)(void *arg, const struct program *p, struct p2h_error *err);
	void *arg;
	uint64_t budget;
	size_t programs;
	struct strlist seen; /* directories, links resolved */
};

static void walk_done(struct walk *w)
{
	strlist_done(&w->seen);
}

static void close_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

static int visit_file(struct walk *w, const char *path, uint64_t size, struct p2h_error *err)
{
	CLEANUP(close_file) struct fs_file *file = NULL;
	struct program p = {.fs = w->fs, .path = path, .size = size, .budget = &w->budget};
	uint8_t head[HEAD];
	size_t got = 0;

	if (fs_open(w->fs, path, &file, NULL) || fs_pread(file, head, 0, sizeof(head), &got, NULL) ||
	    elf_layout_parse(head, got, size, &p.layout, NULL))
		return 0;
	p.file = file;
	return w->visit(w->arg, &p, err);
}

static int visit_directory(struct walk *w, const char *name, struct p2h_error *err)
{
	CLEANUP_FREE char *dir = NULL;
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = 0;

	if (!fs_is_dir(w->fs, name) || fs_realpath(w->fs, name, &dir, NULL) || strlist_has(&w->seen, dir))
		return 0;
	strlist_add(&w->seen, dir);
	if (w->seen.failed)
		return error_nomem(err);
	if (fs_list(w->fs, dir, &names, NULL))
		return 0;
	for (size_t i = 0; !rc && i < names.len && w->programs < MAX_PROGRAMS; i++) {
		CLEANUP(buf_done) struct buf path = {0};
		struct fs_stat st;

		buf_printf(&path, "%s/%s", dir, names.item[i]);
		if (path.failed)
			return error_nomem(err);
		if (fs_lstat(w->fs, path.data, &st, NULL) || !S_ISREG(st.mode) || !(st.mode & 0111))
			continue;
		w->programs++;
		rc = visit_file(w, path.data, st.size, err);
	}
	return rc;
}

/* /opt/NAME/bin, where packages of other vendors put theirs. */
static int visit_opt(struct walk *w, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = 0;

	if (fs_list(w->fs, "/opt", &names, NULL))
		return 0;
	for (size_t i = 0; !rc && i < names.len && w->programs < MAX_PROGRAMS; i++) {
		static const char *const below[] = {"bin", "sbin"};

		for (size_t k = 0; !rc && k < 2; k++) {
			CLEANUP(buf_done) struct buf path = {0};

			buf_printf(&path, "/opt/%s/%s", names.item[i], below[k]);
			rc = path.failed ? error_nomem(err) : visit_directory(w, path.data, err);
		}
	}
	return rc;
}

int programs_walk(struct fs *fs, int (*visit)(void *arg, const struct program *p, struct p2h_error *err), void *arg, bool *ret_cut,
		  struct p2h_error *err)
{
	static const char *const dir[] = {"/sbin", "/bin", "/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"};
	CLEANUP(walk_done) struct walk w = {.fs = fs, .visit = visit, .arg = arg, .budget = MAX_BYTES};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(dir) / sizeof(dir[0]) && w.programs < MAX_PROGRAMS; i++)
		rc = visit_directory(&w, dir[i], err);
	if (!rc)
		rc = visit_opt(&w, err);
	*ret_cut = w.programs == MAX_PROGRAMS || !w.budget;
	return rc;
}

static bool part_calls_vsyscall(const struct program *p, const struct elf_part *part, uint8_t *chunk)
{
	for (uint64_t pos = 0; pos < part->len && *p->budget; pos += CHUNK - VSYSCALL_OVERLAP) {
		size_t want = part->len - pos < CHUNK ? (size_t)(part->len - pos) : CHUNK, got = 0;

		if (fs_pread(p->file, chunk, part->off + pos, want, &got, NULL))
			return false;
		*p->budget -= got < *p->budget ? got : *p->budget;
		if (vsyscall_called(chunk, got, part->address + pos))
			return true;
		if (got < CHUNK)
			break;
	}
	return false;
}

bool program_calls_vsyscall(const struct program *p)
{
	CLEANUP_FREE uint8_t *chunk = malloc(CHUNK);

	for (size_t i = 0; chunk && i < p->layout.loads; i++)
		if (p->layout.load[i].code && part_calls_vsyscall(p, &p->layout.load[i], chunk))
			return true;
	return false;
}
