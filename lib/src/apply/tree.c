/* tree.c - the donor's kernel comes into the guest */
#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"
#include "inspect/tree.h"

#define PIECE (1024 * 1024u)

struct copy {
	const struct apply_context *c;
	struct fs *guest;
	const char *from, *to;
	char *piece;
	uint64_t done, total;
};

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

static int copy_content(struct copy *k, struct fs_file *in, struct fs_file *out, const char *path, uint64_t size, struct p2h_error *err)
{
	for (uint64_t off = 0; off < size;) {
		size_t want = size - off < PIECE ? (size_t)(size - off) : PIECE, got = 0;
		int rc = fs_pread(in, k->piece, off, want, &got, err);

		if (!rc && got != want)
			rc = error_set(err, P2H_IO, "%s changed while it was read", path);
		if (!rc)
			rc = fs_pwrite(out, k->piece, off, want, err);
		if (rc)
			return rc;
		off += want;
		k->done += want;
		if (k->c->progress && k->c->progress(k->c->progress_arg, k->done, k->total))
			return error_set(err, P2H_REFUSED, "interrupted");
	}
	return 0;
}

/* What is there under the name and is no directory to be kept goes first. */
static int clear_name(struct fs *guest, const char *to, bool want_dir, bool *ret_kept, struct p2h_error *err)
{
	struct fs_stat there;
	int rc = fs_lstat(guest, to, &there, err);

	*ret_kept = false;
	if (rc == P2H_NOTFOUND)
		return 0;
	if (rc)
		return rc;
	if (want_dir && S_ISDIR(there.mode)) {
		*ret_kept = true;
		return 0;
	}
	return fs_unlink(guest, to, err);
}

/* Kernel files belong to root, whoever owns the donor's copy, and none of them is setuid. */
static void kernel_meta(struct fs_meta *ret, const struct fs_stat *st)
{
	fs_meta_from_stat(ret, st);
	ret->uid = ret->gid = 0;
	ret->mode &= 0777;
	ret->atime = ret->mtime;
	ret->atime_nsec = ret->mtime_nsec;
}

static int copy_file(struct copy *k, const char *from, const char *to, const struct fs_stat *st, struct p2h_error *err)
{
	CLEANUP(cleanup_file) struct fs_file *in = NULL, *out = NULL;
	struct fs_meta meta;
	int rc = fs_open(k->c->donor->fs, from, &in, err);

	kernel_meta(&meta, st);
	if (!rc)
		rc = fs_create(k->guest, to, &meta, st->size, &out, err);
	if (!rc)
		rc = copy_content(k, in, out, from, st->size, err);
	return rc ? rc : fs_file_close(TAKE(out), err);
}

static int copy_link(struct copy *k, const char *from, const char *to, const struct fs_stat *st, struct p2h_error *err)
{
	CLEANUP_FREE char *target = NULL;
	struct fs_meta meta;
	int rc = fs_readlink(k->c->donor->fs, from, &target, err);

	kernel_meta(&meta, st);
	return rc ? rc : fs_symlink(k->guest, target, to, &meta, err);
}

static int copy_entry(struct copy *k, const char *from, const char *to, const struct fs_stat *st, struct p2h_error *err)
{
	struct fs_meta meta;
	bool kept = false;
	int rc;

	if (!S_ISREG(st->mode) && !S_ISDIR(st->mode) && !S_ISLNK(st->mode))
		return error_set(err, P2H_UNSUPPORTED, "donor: %s is a device, pipe or socket: a kernel tree has none", from);
	rc = clear_name(k->guest, to, S_ISDIR(st->mode), &kept, err);
	if (rc || kept)
		return rc;
	if (S_ISREG(st->mode))
		return copy_file(k, from, to, st, err);
	if (S_ISLNK(st->mode))
		return copy_link(k, from, to, st, err);
	kernel_meta(&meta, st);
	return fs_mkdir(k->guest, to, &meta, err);
}

static int copy_one(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	struct copy *k = arg;
	CLEANUP(buf_done) struct buf from = {0}, to = {0};
	int rc;

	buf_printf(&from, "%s/%s", k->from, relative);
	buf_printf(&to, "%s/%s", k->to, relative);
	if (from.failed || to.failed)
		return error_nomem(err);
	rc = copy_entry(k, from.data, to.data, st, err);
	return rc ? error_prefix(err, rc, "copying %s", from.data) : 0;
}

static int copy_boot(struct copy *k, struct p2h_error *err)
{
	const struct facts_kernel *chosen = &k->c->facts->donor.chosen;
	const char *const path[] = {chosen->image, chosen->initrd, chosen->config, chosen->system_map};

	k->from = k->to = "";
	for (size_t i = 0; i < 4; i++) {
		struct fs_stat st;
		int rc;

		if (strncmp(path[i], "/boot/", 6))
			continue;
		rc = fs_stat(k->c->donor->fs, path[i], &st, err);
		if (!rc)
			rc = copy_one(k, path[i] + 1, &st, err);
		if (rc)
			return rc;
	}
	return 0;
}

int apply_tree(const struct apply_context *c, struct fs *guest, struct p2h_error *err)
{
	const struct facts_donor *d = &c->facts->donor;
	CLEANUP_FREE char *piece = malloc(PIECE);
	CLEANUP(buf_done) struct buf to = {0};
	struct copy k = {.c = c, .guest = guest, .piece = piece, .total = d->boot.bytes + d->modules.bytes};
	int rc;

	buf_printf(&to, "/lib/modules/%s", d->chosen.release);
	if (!piece || to.failed)
		return error_nomem(err);
	rc = make_directories(guest, "/boot", c->facts->clock, err);
	if (!rc)
		rc = make_directories(guest, to.data, c->facts->clock, err);
	if (!rc)
		rc = copy_boot(&k, err);
	k.from = d->chosen.modules;
	k.to = to.data;
	return rc ? rc : tree_walk(c->donor->fs, k.from, copy_one, &k, err);
}
