/* firmware.c - the firmware that the targets' drivers name, and who has it */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "inspect/parts.h"
#include "parse/modinfo.h"

#define MAX_MODULE (64 * 1024 * 1024u)
#define MAX_NAME 256u
#define MAX_BLOBS 1000u

struct look {
	struct fs *guest, *donor;
	struct facts *f;
	struct kernel_drivers drivers;
	unsigned target;        /* bit */
	const char *top;        /* the donor's /lib/firmware with every link resolved, "" if it has none */
};

/* Relative, without "..", no pattern, nothing that could not be shown. */
static bool plain_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len >= MAX_NAME || *name == '/' || name[len - 1] == '/' || strstr(name, "//") || strpbrk(name, "*?[\\"))
		return false;
	for (const char *c = name; *c; c++)
		if (!isgraph((unsigned char)*c))
			return false;
	for (const char *part = name; part; part = strchr(part, '/')) {
		part += *part == '/';
		if (*part == '.' && (!part[1] || part[1] == '/' || (part[1] == '.' && (!part[2] || part[2] == '/'))))
			return false;
	}
	return true;
}

/* FW_LOADER_COMPRESS alone meant xz until Linux 5.19. */
static bool kernel_reads(const struct facts_donor *d, const char *suffix)
{
	if (!*suffix || donor_config(d, "FW_LOADER_COMPRESS") == '?')
		return true;
	if (!strcmp(suffix, ".zst"))
		return donor_config(d, "FW_LOADER_COMPRESS_ZSTD") == 'y';
	return donor_config(d, "FW_LOADER_COMPRESS") == 'y' && !donor_config_off(d, "FW_LOADER_COMPRESS_XZ");
}

/* Where the kernel looks, in its order, until fn has found what it wants. */
static bool each_place(const struct look *l, const char *name, bool (*fn)(const struct look *l, const char *path, struct facts_blob *b),
		       struct facts_blob *b)
{
	static const char *const suffix[] = {"", ".zst", ".xz"};
	const char *const release = l->f->donor.chosen.release;
	const struct { const char *dir, *release; } place[] = {{"updates/", release}, {"updates", ""}, {"", release}, {"", ""}};

	for (size_t s = 0; s < 3; s++)
		for (size_t n = 0; n < 4 && kernel_reads(&l->f->donor, suffix[s]); n++) {
			CLEANUP(buf_done) struct buf path = {0};
			const char *slash = *place[n].dir || *place[n].release ? "/" : "";

			buf_printf(&path, "/lib/firmware/%s%s%s%s%s", place[n].dir, place[n].release, slash, name, suffix[s]);
			if (!path.failed && fn(l, path.data, b))
				return true;
		}
	return false;
}

static bool in_guest(const struct look *l, const char *path, struct facts_blob *b)
{
	struct fs_stat st;

	(void)b;
	return !fs_stat(l->guest, path, &st, NULL) && S_ISREG(st.mode);
}

/* linux-firmware has many links, all of them within its directory; others are not followed. */
static bool in_donor(const struct look *l, const char *path, struct facts_blob *b)
{
	CLEANUP_FREE char *real = NULL;
	size_t top = strlen(l->top);
	struct fs_stat st;

	if (!top || fs_realpath(l->donor, path, &real, NULL) || strncmp(real, l->top, top) || real[top] != '/' ||
	    fs_lstat(l->donor, real, &st, NULL) || !S_ISREG(st.mode))
		return false;
	b->from = arena_strdup(&l->f->arena, real);
	b->to = arena_strdup(&l->f->arena, path);
	b->size = st.size;
	return true;
}

static int add_blob(struct look *l, const char *name, const char *module, struct p2h_error *err)
{
	struct facts_firmware *all = &l->f->donor.firmware;
	struct facts_blob *b;

	for (size_t i = 0; i < all->len; i++)
		if (!strcmp(all->item[i].name, name)) {
			all->item[i].targets |= l->target;
			return 0;
		}
	if (!plain_name(name) || all->len >= MAX_BLOBS)
		return 0;
	b = arena_push(&l->f->arena, &all->item, &all->len, sizeof(*b));
	if (!b)
		return error_nomem(err);
	*b = (struct facts_blob){.name = arena_strdup(&l->f->arena, name), .module = arena_strdup(&l->f->arena, module), .targets = l->target,
				 .from = "", .to = ""};
	b->there = each_place(l, name, in_guest, b);
	if (!b->there)
		each_place(l, name, in_donor, b);
	return 0;
}

/* A module that cannot be read says nothing; other rules speak of it. */
static int look_at_module(struct look *l, const char *path, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	CLEANUP(buf_done) struct buf data = {0};
	struct p2h_error why = {0};
	char module[64];
	int rc = kernel_module_read(l->donor, l->f->donor.chosen.modules, path, kmodule_packing(path, strlen(path)) != NULL, MAX_MODULE, &data,
				    &why);

	if (!rc)
		rc = modinfo_values(data.data, data.len, "firmware", &names, &why);
	if (rc == P2H_NOMEM || rc == P2H_IO) {
		if (err)
			*err = why;
		return rc;
	}
	kmodule_name(path, module, sizeof(module));
	for (size_t i = 0; i < names.len && !(rc = add_blob(l, names.item[i], module, err));)
		i++;
	return rc == P2H_NOMEM ? rc : 0;
}

static int look_at_target(struct look *l, size_t target, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist used = {0};
	int rc = drivers_used(target, l->f->root_type, &used, err);

	l->target = 1u << target;
	for (size_t i = 0; !rc && i < used.len; i++) {
		const struct kmodule *m = kmodules_find(&l->drivers.dep, used.item[i]);

		if (!m)
			continue;
		rc = look_at_module(l, m->path, err);
		for (size_t n = 0; !rc && n < m->deps.len; n++)
			rc = look_at_module(l, m->deps.item[n], err);
	}
	return rc;
}

int read_firmware(struct fs *guest, struct fs *donor, struct facts *f, struct p2h_error *err)
{
	struct look l = {.guest = guest, .donor = donor, .f = f, .top = ""};
	CLEANUP_FREE char *top = NULL;
	int rc = kernel_drivers_load(donor, f->donor.chosen.modules, f->donor.chosen.config, &l.drivers, err);

	if (!rc && fs_is_dir(donor, "/lib/firmware"))
		rc = fs_realpath(donor, "/lib/firmware", &top, err);
	l.top = top ? top : "";
	for (size_t t = 0; !rc && t < DRIVERS_TARGETS; t++)
		rc = look_at_target(&l, t, err);
	kernel_drivers_done(&l.drivers);
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}
