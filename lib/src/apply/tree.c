/* tree.c - the donor's kernel comes into the guest */
#include <string.h>

#include "apply/parts.h"
#include "base/cleanup.h"
#include "inspect/readable.h"
#include "inspect/tree.h"
#include "parse/unpack_module.h"

#define PIECE (1024 * 1024u)

struct copy {
	const struct apply_context *c;
	struct fs *guest;
	const char *from, *to;
	const struct facts_readable *readable; /* NULL: modules are copied as they are */
	char *piece;
	uint64_t done, total;
};

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

static int advance(struct copy *k, uint64_t len, struct p2h_error *err)
{
	k->done += len;
	if (k->c->progress && k->c->progress(k->c->progress_arg, k->done, k->total))
		return error_set(err, P2H_REFUSED, "interrupted");
	return 0;
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
		if (!rc)
			rc = advance(k, want, err);
		if (rc)
			return rc;
		off += want;
	}
	return 0;
}

struct unpacking {
	struct copy *k;
	struct fs_file *out;
	uint64_t off, size;
};

static int write_piece(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	struct unpacking *u = ctx;
	int rc;

	if (len > u->size - u->off)
		return error_set(err, P2H_IO, "it changed while it was read");
	rc = fs_pwrite(u->out, data, u->off, len, err);
	u->off += len;
	return rc ? rc : advance(u->k, len, err);
}

static int unpack_content(struct copy *k, struct fs_file *in, struct fs_file *out, const struct stored *s, struct p2h_error *err)
{
	struct unpacking u = {k, out, 0, s->size};
	struct stored_input input = {in, 0};
	int rc = unpack_module(s->text, stored_read, &input, write_piece, &u, err);

	if (!rc && u.off != s->size)
		rc = error_set(err, P2H_IO, "it changed while it was read");
	return rc;
}

static int write_text(struct copy *k, struct fs_file *out, const struct stored *s, struct p2h_error *err)
{
	int rc = s->size ? fs_pwrite(out, s->text, 0, (size_t)s->size, err) : 0;

	return rc ? rc : advance(k, s->size, err);
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

static int copy_file(struct copy *k, const char *from, const char *to, const struct fs_stat *st, const struct stored *how, struct p2h_error *err)
{
	CLEANUP(cleanup_file) struct fs_file *in = NULL, *out = NULL;
	struct fs_meta meta;
	int rc = fs_open(k->c->donor->fs, from, &in, err);

	kernel_meta(&meta, st);
	if (!rc)
		rc = fs_create(k->guest, to, &meta, how->size, &out, err);
	if (rc)
		return rc;
	switch (how->how) {
	case STORED_COPY:
		rc = copy_content(k, in, out, from, how->size, err);
		break;
	case STORED_UNPACKED:
		rc = unpack_content(k, in, out, how, err);
		break;
	case STORED_TEXT:
		rc = write_text(k, out, how, err);
		break;
	}
	return rc ? rc : fs_file_close(TAKE(out), err);
}

static int copy_link(struct copy *k, const char *from, const char *to, const struct fs_stat *st, struct p2h_error *err)
{
	CLEANUP_FREE char *target = NULL;
	struct fs_meta meta;
	int rc = fs_readlink(k->c->donor->fs, from, &target, err);

	kernel_meta(&meta, st);
	if (rc)
		return rc;
	target[stored_target_len(k->readable, target)] = '\0';
	return fs_symlink(k->guest, target, to, &meta, err);
}

static int copy_entry(struct copy *k, const char *from, const char *to, const struct fs_stat *st, const struct stored *how, struct p2h_error *err)
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
		return copy_file(k, from, to, st, how, err);
	if (S_ISLNK(st->mode))
		return copy_link(k, from, to, st, err);
	kernel_meta(&meta, st);
	return fs_mkdir(k->guest, to, &meta, err);
}

static int copy_one(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	struct copy *k = arg;
	CLEANUP(buf_done) struct buf from = {0}, to = {0};
	struct stored how;
	bool kept;
	int rc = 0;

	stored_as(k->readable, relative, st, &how);
	buf_printf(&from, "%s/%s", k->from, relative);
	buf_printf(&to, "%s/%s", k->to, relative);
	if (from.failed || to.failed)
		return error_nomem(err);
	/* A packed copy of an earlier conversion would only take up room. */
	if (how.path_len < strlen(relative))
		rc = clear_name(k->guest, to.data, false, &kept, err);
	to.data[strlen(k->to) + 1 + how.path_len] = '\0';
	if (!rc)
		rc = copy_entry(k, from.data, to.data, st, &how, err);
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
	const struct facts_readable *readable = c->plan->readable_modules ? &d->readable : NULL;
	struct copy k = {.c = c, .guest = guest, .piece = piece, .total = d->boot.bytes + (readable ? readable->tree.bytes : d->modules.bytes)};
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
	k.readable = readable;
	return rc ? rc : tree_walk(c->donor->fs, k.from, copy_one, &k, err);
}

/* It is small beside the tree, and not counted as progress. */
int apply_firmware(const struct apply_context *c, struct fs *guest, const struct action *a, struct p2h_error *err)
{
	CLEANUP_FREE char *piece = malloc(PIECE);
	struct apply_context quiet = *c;
	struct copy k = {.c = &quiet, .guest = guest, .piece = piece};
	struct stored how = {.how = STORED_COPY, .size = a->bytes};
	struct fs_stat st;
	int rc;

	quiet.progress = NULL;
	if (!piece)
		return error_nomem(err);
	rc = fs_lstat(c->donor->fs, a->after, &st, err);
	if (!rc && (!S_ISREG(st.mode) || st.size != a->bytes))
		rc = error_set(err, P2H_IO, "it changed while it was read");
	if (!rc)
		rc = make_parent(guest, a->path, c->facts->clock, err);
	if (!rc)
		rc = copy_entry(&k, a->after, a->path, &st, &how, err);
	return rc ? error_prefix(err, rc, "copying %s", a->after) : 0;
}
