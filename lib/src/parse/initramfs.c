#include "parse/initramfs.h"

#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "parse/cpio.h"
#include "parse/initramfs_index.h"
#include "parse/unpack.h"

#define UNPACKED_MAX (UINT64_C(2) << 30)
#define MEMBERS_MAX 200000u
#define NAMES_MAX (64u << 20) /* bytes */
#define VERSIONS_MAX 64u
#define CONF_MAX 256u
#define CONF_TEXT_MAX (64u << 10)

struct reading {
	struct initramfs *into;
	struct cpio cpio;
	uint64_t fed; /* bytes given to cpio, from whatever archive */
	size_t names; /* bytes */
	size_t before_init; /* archives that had ended when /init came */
	bool tools_functions, tools_conf, dracut;
	bool mkinitcpio, config;
	bool wanted;      /* the present member's content goes to text */
	bool link;        /* and text is a link's target */
	int index_file;   /* and it is one of index, else -1 */
	struct initramfs_index index;
	const char *path; /* the present member, in into->members */
	struct buf text;
};

/* --- what a member's path tells ----------------------------------------------------------------------------------------- */

/* The rest of path after dir, which ends in '/'; NULL when it is elsewhere. */
static const char *below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	return strncmp(path, dir, len) ? NULL : path + len;
}

static const char *without_usr(const char *path)
{
	const char *rest = below(path, "usr/");

	return rest ? rest : path;
}

static bool is_one_of(const char *path, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(path, *list))
			return true;
	return false;
}

/*
 * What dracut made for one host waits for: a hook a device, with systemd a link a device below a target. The names stand here and in dracut's
 * wait_for_dev (modules.d/99base).
 */
static bool is_wait(const char *path)
{
	if (strstr(path, "/initqueue/finished/devexists-"))
		return true;
	return below(path, "etc/systemd/system/") && text_ends_with(path, ".device") && (strstr(path, ".wants/") || strstr(path, ".requires/"));
}

/* Directories that are links where /usr is merged. */
static bool is_layout(const char *path)
{
	static const char *const dirs[] = {"conf", "etc", "lib", "lib/modules", "usr", "usr/lib", "usr/lib/modules", NULL};

	return is_one_of(path, dirs);
}

/* Files that carry the identity of disks, hosts and drivers; "init" only tells something when it is a nash script. */
static bool is_conf(const char *path)
{
	static const char *const files[] = {"init", "config", "conf/param.conf", "conf/initramfs.conf", "conf/arch.conf", "conf/modules",
		"cryptroot/crypttab", "etc/cmdline", "etc/crypttab", "etc/fstab", "etc/fstab.empty", "etc/mdadm.conf",
		"etc/mdadm/mdadm.conf", "etc/hostname", "etc/initrd-release",
		"etc/systemd/system/sysroot.mount", NULL};
	static const char *const dirs[] = {"conf/conf.d/", "etc/cmdline.d/", "etc/conf.d/", "etc/modprobe.d/", "etc/modules-load.d/",
		"etc/systemd/system/initrd-switch-root.service.d/", NULL};

	if (is_one_of(path, files))
		return true;
	for (const char *const *dir = dirs; *dir; dir++)
		if (below(path, *dir))
			return true;
	return is_wait(path);
}

/* "xen-blkfront.ko.xz": adds "xen_blkfront" */
static void add_module(struct strlist *modules, const char *path)
{
	const char *name = strrchr(path, '/');
	const char *end;
	size_t from = modules->len;

	name = name ? name + 1 : path;
	end = strstr(name, ".ko");
	if (!end || end == name || (end[3] && end[3] != '.'))
		return;
	strlist_addf(modules, "%.*s", (int)(end - name), name);
	if (modules->failed)
		return;
	for (char *c = modules->item[from]; *c; c++)
		if (*c == '-')
			*c = '_';
}

/* Few in sound images; more than VERSIONS_MAX tell nothing. */
static void add_version(struct strlist *versions, const char *path, bool directory)
{
	const char *name = below(without_usr(path), "lib/modules/"), *end;
	CLEANUP_FREE char *version = NULL;

	if (!name || !*name || versions->len >= VERSIONS_MAX)
		return;
	end = strchrnul(name, '/');
	if (end == name || (!*end && !directory))
		return;
	version = strndup(name, (size_t)(end - name));
	if (!version)
		versions->failed = true;
	else if (!strlist_has(versions, version))
		strlist_add(versions, version);
}

static void classify(struct reading *r, const char *path, uint32_t mode)
{
	const char *inner = without_usr(path);

	r->tools_functions |= !strcmp(path, "scripts/functions");
	r->tools_conf |= !strcmp(path, "conf/initramfs.conf");
	r->dracut |= !strcmp(inner, "lib/dracut") || below(inner, "lib/dracut/");
	r->mkinitcpio |= !strcmp(path, "init_functions");
	r->config |= !strcmp(path, "config");
	r->into->systemd |= !strcmp(inner, "lib/systemd/systemd");
	if (!strcmp(path, "init") && !r->into->init) {
		r->into->init = true;
		r->before_init = r->cpio.archives;
	}
	if (S_ISREG(mode))
		add_module(&r->into->modules, path);
	add_version(&r->into->versions, path, S_ISDIR(mode));
}

/* --- cpio's callbacks ------------------------------------------------------------------------------------------------------ */

static bool failed(const struct reading *r)
{
	const struct initramfs *i = r->into;

	return i->members.failed || i->modules.failed || i->versions.failed || i->conf_name.failed || i->conf_text.failed || r->text.failed ||
	       i->link_name.failed || i->link_target.failed;
}

static size_t find_text(const struct strlist *l, const char *text)
{
	for (size_t n = 0; n < l->len; n++)
		if (!strcmp(l->item[n], text))
			return n;
	return SIZE_MAX;
}

static void drop_item(struct strlist *l, size_t n)
{
	free(l->item[n]);
	memmove(&l->item[n], &l->item[n + 1], (l->len - n - 1) * sizeof(*l->item));
	l->len--;
}

/* What an earlier archive said under this name holds no longer. */
static void forget(struct strlist *names, struct strlist *texts, const char *path)
{
	size_t n = find_text(names, path);

	if (n == SIZE_MAX)
		return;
	drop_item(names, n);
	drop_item(texts, n);
}

static void want_content(struct reading *r, uint32_t mode, uint64_t size)
{
	bool conf = is_conf(r->path), layout = is_layout(r->path);

	buf_clear(&r->text);
	if (conf)
		forget(&r->into->conf_name, &r->into->conf_text, r->path);
	if (layout)
		forget(&r->into->link_name, &r->into->link_target, r->path);
	r->link = S_ISLNK(mode);
	r->wanted = size && size <= CONF_TEXT_MAX && ((S_ISREG(mode) && conf) || (r->link && (layout || is_wait(r->path))));
	if (conf && S_ISREG(mode) && size > CONF_TEXT_MAX && strcmp(r->path, "init"))
		r->into->conf_incomplete = true;
}

static int on_member(void *ctx, const char *name, uint32_t mode, uint64_t size, struct p2h_error *err)
{
	struct reading *r = ctx;
	struct initramfs *i = r->into;

	while (*name == '/' || (name[0] == '.' && (name[1] == '/' || !name[1])))
		name++;
	r->wanted = false;
	r->index_file = -1;
	r->path = NULL;
	i->unpacked += size;
	if (i->unpacked > UNPACKED_MAX)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: more than 2 GiB of content");
	if (!*name)
		return 0;
	r->names += strlen(name) + 1;
	if (i->members.len >= MEMBERS_MAX || r->names > NAMES_MAX)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: more than %zu members", i->members.len);
	strlist_add(&i->members, name);
	if (i->members.failed)
		return error_nomem(err);
	r->path = i->members.item[i->members.len - 1];
	classify(r, r->path, mode);
	want_content(r, mode, size);
	if (S_ISREG(mode))
		r->index_file = initramfs_index_begin(&r->index, r->path, size);
	return failed(r) ? error_nomem(err) : 0;
}

static int on_data(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	struct reading *r = ctx;
	struct buf *to = r->wanted ? &r->text : r->index_file >= 0 ? &r->index.file[r->index_file] : NULL;

	if (!to)
		return 0;
	buf_append(to, data, len);
	return to->failed ? error_nomem(err) : 0;
}

static int keep_text(struct reading *r, struct strlist *names, struct strlist *texts, struct p2h_error *err)
{
	if (names->len >= CONF_MAX) {
		r->into->conf_incomplete = true;
		return 0;
	}
	strlist_add(names, r->path);
	strlist_add(texts, r->text.data);
	return failed(r) ? error_nomem(err) : 0;
}

static int on_end(void *ctx, struct p2h_error *err)
{
	struct reading *r = ctx;

	if (!r->wanted)
		return 0;
	if (strlen(r->text.data) != r->text.len) {
		r->into->conf_incomplete |= strcmp(r->path, "init") != 0;
		return 0;
	}
	if (!strcmp(r->path, "init")) {
		const char *line_end = strchrnul(r->text.data, '\n');
		const char *nash = strstr(r->text.data, "nash");

		if (strncmp(r->text.data, "#!", 2) || !nash || nash >= line_end)
			return 0;
		r->into->kind = INITRAMFS_MKINITRD;
	}
	if (r->link && is_layout(r->path))
		return keep_text(r, &r->into->link_name, &r->into->link_target, err);
	return keep_text(r, &r->into->conf_name, &r->into->conf_text, err);
}

/* --- the sequence of archives --------------------------------------------------------------------------------------------- */

static int feed(struct reading *r, const uint8_t *data, size_t len, size_t *ret_used, struct p2h_error *err)
{
	int code;

	/* Counts NUL padding as well, which would otherwise be a bomb without content. */
	if (len > UNPACKED_MAX - r->fed)
		return error_set(err, P2H_UNSUPPORTED, "initramfs: more than 2 GiB unpacked");
	code = cpio_feed(&r->cpio, data, len, ret_used, err);
	r->fed += *ret_used;
	return code;
}

static int on_unpacked(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	size_t used = 0;
	int code = feed(ctx, data, len, &used, err);

	if (!code && used < len)
		return error_set(err, P2H_CORRUPT, "initramfs: a compressed stream that is not a cpio archive");
	return code;
}

static int read_compressed(struct reading *r, const uint8_t *data, size_t len, size_t *ret_used, struct p2h_error *err)
{
	size_t before = r->cpio.archives;
	int code;

	r->cpio.aligned = false;
	snprintf(r->into->last_packing, sizeof(r->into->last_packing), "%s", unpack_name(data, len));
	code = unpack_stream(data, len, on_unpacked, r, ret_used, err);
	if (!code)
		code = cpio_finish(&r->cpio, err);
	if (!code && r->cpio.archives == before)
		return error_set(err, P2H_CORRUPT, "initramfs: a compressed stream without a cpio archive");
	return code;
}

/* Uncompressed archives and padding, as far as they reach. */
static int read_plain(struct reading *r, const uint8_t *data, size_t pos, size_t len, size_t *ret_used, struct p2h_error *err)
{
	size_t before = r->cpio.archives;
	int code;

	r->cpio.aligned = true;
	r->cpio.pos = pos;
	code = feed(r, data + pos, len - pos, ret_used, err);
	if (r->cpio.archives > before)
		r->into->last_packing[0] = '\0';
	return code;
}

static int read_all(struct reading *r, const uint8_t *data, size_t len, struct p2h_error *err)
{
	size_t pos = 0, used;
	int code = 0;

	while (!code && pos < len) {
		used = 0;
		code = read_plain(r, data, pos, len, &used, err);
		pos += used;
		if (code || pos == len)
			break;
		used = 0;
		code = read_compressed(r, data + pos, len - pos, &used, err);
		pos += used;
	}
	if (!code)
		code = cpio_finish(&r->cpio, err);
	if (!code && !r->cpio.archives)
		return error_set(err, P2H_CORRUPT, "initramfs: no cpio archive in %zu bytes", len);
	return code;
}

static void sort_distinct(struct strlist *l)
{
	size_t to = 0;

	strlist_sort(l);
	for (size_t i = 0; i < l->len; i++) {
		if (to && !strcmp(l->item[to - 1], l->item[i]))
			free(l->item[i]);
		else
			l->item[to++] = l->item[i];
	}
	l->len = to;
}

/* tolerated (may be NULL): gets the damage behind a sound archive with /init, which then is no error. */
static int parse(const void *data, size_t len, struct initramfs *ret, struct p2h_error *tolerated, struct p2h_error *err)
{
	static const struct cpio_ops ops = {on_member, on_data, on_end};
	CLEANUP(initramfs_done) struct initramfs made = {0};
	struct reading r = {.into = &made};
	int code;

	r.cpio.ops = &ops;
	r.cpio.ctx = &r;
	code = read_all(&r, data, len, err);
	buf_done(&r.text);
	if (code == P2H_CORRUPT && tolerated && made.init && r.cpio.archives > r.before_init) {
		*tolerated = *err;
		code = 0;
	}
	if (r.tools_functions && r.tools_conf)
		made.kind = INITRAMFS_TOOLS;
	else if (r.dracut)
		made.kind = INITRAMFS_DRACUT;
	else if (r.mkinitcpio && r.config)
		made.kind = INITRAMFS_MKINITCPIO;
	made.archives = r.cpio.archives;
	sort_distinct(&made.modules);
	sort_distinct(&made.versions);
	if (!code)
		code = initramfs_index_judge(&made, &r.index, err);
	initramfs_index_done(&r.index);
	if (code)
		return code;
	made.length = len;
	made.crc64 = lzma_crc64(data, len, 0);
	*ret = made;
	made = (struct initramfs){0};
	return 0;
}

int initramfs_parse(const void *data, size_t len, struct initramfs *ret, struct p2h_error *err)
{
	return parse(data, len, ret, NULL, err);
}

int initramfs_parse_sound(const void *data, size_t len, struct initramfs *ret, struct p2h_error *damage, struct p2h_error *err)
{
	*damage = (struct p2h_error){0};
	return parse(data, len, ret, damage, err);
}

bool initramfs_is_of(const struct initramfs *i, const void *data, size_t len)
{
	return i->length == len && len && i->crc64 == lzma_crc64(data, len, 0);
}

void initramfs_done(struct initramfs *i)
{
	strlist_done(&i->members);
	strlist_done(&i->modules);
	strlist_done(&i->versions);
	strlist_done(&i->unlisted);
	strlist_done(&i->conf_name);
	strlist_done(&i->conf_text);
	strlist_done(&i->link_name);
	strlist_done(&i->link_target);
	*i = (struct initramfs){0};
}
