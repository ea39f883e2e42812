/* initramfs.c - what the initramfs of the chosen kernel lacks, and the modules that could be added to it */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "inspect/parts.h"
#include "pv2hvm.h"

#define MAX_MODULES (64 * 1024 * 1024u) /* bytes of all modules to be added, unpacked */
#define SOFT_DEPTH 4 /* soft dependencies of soft dependencies */
#define MAX_NAMES 1000 /* looked up for one target; real ones are a dozen */

struct completing {
	struct fs *fs;
	struct facts *f;
	struct facts_initramfs *i;
	const struct kernel_drivers *drivers;
	struct strlist softdep, alias; /* lines */
	unsigned names;      /* looked up so far for this target */
	size_t target;       /* index */
	const char *needed;  /* the driver at hand */
	size_t bytes;        /* of all modules so far */
};

/* "xz" of "kernel/fs/ext4/ext4.ko.xz", NULL for a plain one */
static const char *packing(const char *path)
{
	const char *ko = strstr(path, ".ko.");

	return ko ? ko + 4 : NULL;
}

/* Does some module of the archive have this suffix? */
static bool has_packed(const struct initramfs *holds, const char *suffix)
{
	CLEANUP(buf_done) struct buf end = {0};

	buf_printf(&end, ".ko.%s", suffix);
	for (size_t n = 0; n < holds->members.len; n++)
		if (!end.failed && text_ends_with(holds->members.item[n], end.data))
			return true;
	return false;
}

/* The first reason stays; why lives in the arena. */
static void cannot(struct completing *c, const char *why)
{
	if (!c->i->cannot[c->target])
		c->i->cannot[c->target] = why;
}

static struct facts_module *find_module(struct facts_initramfs *i, const char *name)
{
	for (size_t n = 0; n < i->modules; n++)
		if (!strcmp(i->module[n].name, name))
			return &i->module[n];
	return NULL;
}

/* path: in the tree. What cannot be read cannot be added, which the plan tells; only lack of memory and damaged disks end everything. */
static int add_file(struct completing *c, const char *path, struct p2h_error *err)
{
	const char *suffix = packing(path);
	bool unpack = suffix && !has_packed(&c->i->holds, suffix); /* the archive's kmod reads what it has already */
	CLEANUP(buf_done) struct buf data = {0};
	struct facts_module *m;
	struct p2h_error why = {0};
	char name[64];
	int rc;

	kmodule_name(path, name, sizeof(name));
	if (driver_ready(c->drivers, &c->i->holds, name))
		return 0;
	m = find_module(c->i, name);
	if (m) {
		m->targets |= 1u << c->target;
		return 0;
	}
	rc = kernel_module_read(c->fs, c->f->donor.chosen.modules, path, unpack, MAX_MODULES, &data, &why);
	if (!rc && (c->bytes += data.len) > MAX_MODULES)
		rc = error_set(&why, P2H_UNSUPPORTED, "%s: with it, more than %u MiB of modules", path, MAX_MODULES >> 20);
	if (rc == P2H_NOMEM || rc == P2H_IO) {
		if (err)
			*err = why;
		return rc;
	}
	if (rc) {
		cannot(c, arena_strdup(&c->f->arena, why.msg));
		return 0;
	}
	m = arena_push(&c->f->arena, &c->i->module, &c->i->modules, sizeof(*m));
	if (!m)
		return error_nomem(err);
	*m = (struct facts_module){.name = arena_strdup(&c->f->arena, name), .needed = c->needed, .targets = 1u << c->target, .len = data.len};
	m->path = unpack ? arena_printf(&c->f->arena, "%.*s", (int)(suffix - 1 - path), path) : arena_strdup(&c->f->arena, path);
	m->data = arena_memdup(&c->f->arena, data.len ? data.data : "", data.len);
	return c->f->arena.failed ? error_nomem(err) : 0;
}

static int add_soft(struct completing *c, const char *name, unsigned depth, struct p2h_error *err);

/* A module of the tree with all that it needs. */
static int add_with_needs(struct completing *c, const struct kmodule *m, unsigned depth, struct p2h_error *err)
{
	int rc = 0;

	if (++c->names > MAX_NAMES) {
		cannot(c, arena_printf(&c->f->arena, "the modules that %s needs have no end", c->needed));
		return 0;
	}
	for (size_t n = m->deps.len; !rc && n-- && c->names <= MAX_NAMES;) {
		char name[64];

		kmodule_name(m->deps.item[n], name, sizeof(name));
		rc = add_file(c, m->deps.item[n], err);
		if (!rc)
			rc = add_soft(c, name, depth, err);
	}
	if (!rc)
		rc = add_file(c, m->path, err);
	return rc ? rc : add_soft(c, m->name, depth, err);
}

/* The rest of a line that starts with these two words and a blank, NULL: it does not. */
static const char *after_words(const char *line, const char *first, const char *second)
{
	size_t a = strlen(first), b = strlen(second);

	return !strncmp(line, first, a) && line[a] == ' ' && !strncmp(line + a + 1, second, b) && line[a + 1 + b] == ' ' ? line + a + b + 2 : NULL;
}

/* What modprobe would load for a name: the module, else all that have it as an alias. */
static int add_named(struct completing *c, const char *name, unsigned depth, struct p2h_error *err)
{
	const struct kmodule *m = kmodules_find(&c->drivers->dep, name);
	int rc = 0;

	if (m)
		return add_with_needs(c, m, depth, err);
	for (size_t n = 0; !rc && n < c->alias.len; n++) {
		const char *module = after_words(c->alias.item[n], "alias", name);

		m = module ? kmodules_find(&c->drivers->dep, module) : NULL;
		if (m)
			rc = add_with_needs(c, m, depth, err);
	}
	return rc;
}

/* modules.softdep: "softdep ext4 pre: crc32c" */
static int add_soft(struct completing *c, const char *name, unsigned depth, struct p2h_error *err)
{
	int rc = 0;

	for (size_t n = 0; !rc && n < c->softdep.len && depth < SOFT_DEPTH; n++) {
		const char *rest = after_words(c->softdep.item[n], "softdep", name);
		CLEANUP(strlist_done) struct strlist words = {0};
		bool taken = false;

		if (!rest)
			continue;
		strlist_split(&words, rest, " \t");
		if (words.failed)
			return error_nomem(err);
		for (size_t w = 0; !rc && w < words.len; w++) {
			if (words.item[w][strlen(words.item[w]) - 1] == ':')
				taken = !strcmp(words.item[w], "pre:");
			else if (taken)
				rc = add_named(c, words.item[w], depth + 1, err);
		}
	}
	return rc;
}

static int add_missing(struct completing *c, struct p2h_error *err)
{
	const struct strlist *missing = &c->i->missing[c->target];
	int rc = 0;

	c->names = 0;
	for (size_t n = 0; !rc && n < missing->len; n++) {
		const struct kmodule *m = kmodules_find(&c->drivers->dep, missing->item[n]);

		c->needed = missing->item[n];
		if (m)
			rc = add_with_needs(c, m, 0, err);
		else
			cannot(c, arena_printf(&c->f->arena, "the kernel's modules have no %s either", missing->item[n]));
	}
	return rc;
}

/* --- whether anything can be appended ---------------------------------------------------------------------------------------- */

/*
 * The kernel unpacks archives one after the other, each packed in its own way, with NUL bytes between (Documentation/driver-api/early-userspace/
 * buffer-format.rst). Two formats do not say where they end: lz4's old frame, which takes what follows for its next block unless it is NUL and the kernel
 * 5.14 or newer (lib/decompress_unlz4.c), and lzma, of which the kernel may leave the last bytes.
 */
static const char *why_sealed(struct facts *f, const struct initramfs *holds)
{
	if (!strcmp(holds->last_packing, "lzma"))
		return "it is packed with lzma, behind which the kernel does not look for a further archive reliably";
	if (!strcmp(holds->last_packing, "lz4") && release_before(f->donor.chosen.release, 5, 14))
		return "it is packed with lz4, behind which kernels before 5.14 cannot read a further archive";
	if (holds->length > INITRAMFS_FILE_MAX - MAX_MODULES - 2 * KERNEL_INDEX_MAX)
		return "it is too large for anything more";
	return NULL;
}

/* Modules of the archive that the tree does not have would be lost from the new index. */
static const char *unknown_module(const struct completing *c)
{
	const struct initramfs *holds = &c->i->holds;

	for (size_t n = 0; n < holds->modules.len; n++)
		if (!kmodules_find(&c->drivers->dep, holds->modules.item[n]))
			return holds->modules.item[n];
	return NULL;
}

/* Why modules cannot be added whatever they are; NULL: they can. */
static const char *why_closed(struct completing *c)
{
	const struct initramfs *holds = &c->i->holds;
	const char *unknown = unknown_module(c);

	if (c->i->sealed)
		return c->i->sealed;
	if (holds->kind == INITRAMFS_UNKNOWN || holds->kind == INITRAMFS_MKINITRD)
		return arena_printf(&c->f->arena, "nothing is known of what would load a module in it (%s)", c->i->kind);
	if (!initramfs_has_program(holds, "modprobe"))
		return "it has no modprobe";
	if (unknown)
		return arena_printf(&c->f->arena, "it has a module that the kernel's modules do not have: %s", unknown);
	return NULL;
}

/* --- the whole ----------------------------------------------------------------------------------------------------------------- */

/* "usr/lib/modules/6.1.0" as the archive has it, else where its /lib leads. */
static void find_modules_dir(struct facts *f, struct facts_initramfs *i)
{
	static const char *const lib[] = {"", "usr/"};
	CLEANUP(buf_done) struct buf dir = {0}, real = {0};

	for (size_t n = 0; n < 2; n++) {
		buf_clear(&dir);
		buf_printf(&dir, "%slib/modules/%s/", lib[n], f->donor.chosen.release);
		for (size_t m = 0; !dir.failed && m < i->holds.members.len; m++)
			if (!strncmp(i->holds.members.item[m], dir.data, dir.len)) {
				i->modules_dir = arena_printf(&f->arena, "%.*s", (int)dir.len - 1, dir.data);
				return;
			}
	}
	buf_clear(&dir);
	buf_printf(&dir, "lib/modules/%s", f->donor.chosen.release);
	initramfs_resolve(&i->holds, dir.failed ? "" : dir.data, &real);
	i->modules_dir = real.failed || dir.failed ? NULL : arena_strdup(&f->arena, real.data);
	f->arena.failed |= !i->modules_dir;
}

static int read_indexes(struct completing *c, struct p2h_error *err)
{
	struct facts *f = c->f;
	CLEANUP(buf_done) struct buf alias = {0}, softdep = {0};
	int rc = kernel_index_read(c->fs, f->donor.chosen.modules, "modules.softdep", &softdep, err);

	if (!rc)
		rc = kernel_index_read(c->fs, f->donor.chosen.modules, "modules.alias", &alias, err);
	if (rc)
		return rc;
	strlist_split(&c->softdep, softdep.len ? softdep.data : "", "\n");
	strlist_split(&c->alias, alias.len ? alias.data : "", "\n");
	c->i->dep = arena_strdup(&f->arena, c->drivers->dep_text.len ? c->drivers->dep_text.data : "");
	c->i->alias = arena_strdup(&f->arena, alias.len ? alias.data : "");
	return c->softdep.failed || c->alias.failed || f->arena.failed ? error_nomem(err) : 0;
}

static int complete(struct fs *fs, struct facts *f, const struct kernel_drivers *drivers, struct p2h_error *err)
{
	struct facts_initramfs *i = &f->donor.initramfs;
	struct completing c = {.fs = fs, .f = f, .i = i, .drivers = drivers};
	const char *closed = why_closed(&c);
	int rc = read_indexes(&c, err);

	find_modules_dir(f, i);
	for (c.target = 0; !rc && c.target < DRIVERS_TARGETS; c.target++) {
		if (closed && i->missing[c.target].len)
			i->cannot[c.target] = closed;
		else
			rc = add_missing(&c, err);
	}
	strlist_done(&c.softdep);
	strlist_done(&c.alias);
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}

static int find_missing(struct facts *f, const struct kernel_drivers *drivers, const struct initramfs *holds, bool *ret_lacks, struct p2h_error *err)
{
	struct facts_initramfs *i = &f->donor.initramfs;
	struct drivers_root root = {f->root_type, &f->features, f->root_volume, f->usr_volume};
	int rc = 0;

	*ret_lacks = false;
	for (size_t t = 0; !rc && t < DRIVERS_TARGETS; t++) {
		rc = drivers_missing(drivers, holds, t, &root, &i->missing[t], err);
		*ret_lacks |= i->missing[t].len != 0;
	}
	return rc;
}

static int read_none(struct fs *modules, struct facts *f, struct p2h_error *err)
{
	CLEANUP(kernel_drivers_done) struct kernel_drivers drivers = {0};
	int rc = kernel_drivers_load(modules, f->donor.chosen.modules, f->donor.chosen.config, &drivers, err);
	bool lacks;

	f->donor.initramfs.none = true;
	f->donor.initramfs.error = "none";
	return rc ? rc : find_missing(f, &drivers, NULL, &lacks, err);
}

int read_initramfs(struct fs *fs, struct fs *modules, const char *path, struct facts *f, struct p2h_error *err)
{
	static const char *const kind[] = {"unknown", "initramfs-tools", "dracut", "mkinitrd", "mkinitcpio"};
	struct facts_donor *d = &f->donor;
	struct facts_initramfs *i = &d->initramfs;
	CLEANUP(kernel_drivers_done) struct kernel_drivers drivers = {0};
	CLEANUP(buf_done) struct buf data = {0};
	struct p2h_error why = {0};
	bool lacks = false;
	int rc;

	if (!*path)
		return read_none(modules, f, err);
	rc = fs_read(fs, path, INITRAMFS_FILE_MAX, &data, err);
	if (rc)
		return rc;
	rc = initramfs_parse(data.data, data.len, &i->holds, &why);
	buf_done(&data);
	if (rc == P2H_NOMEM)
		return error_nomem(err);
	if (rc) {
		i->error = arena_strdup(&f->arena, why.msg);
		return 0;
	}
	i->read = true;
	i->kind = kind[i->holds.kind];
	i->sealed = why_sealed(f, &i->holds);
	rc = kernel_drivers_load(modules, d->chosen.modules, d->chosen.config, &drivers, err);
	if (!rc)
		rc = find_missing(f, &drivers, &i->holds, &lacks, err);
	return rc || !lacks ? rc : complete(modules, f, &drivers, err);
}
