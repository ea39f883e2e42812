/* count.c - what the donor's kernel tree takes up in the guest, and whether it is there already */
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "inspect/readable.h"
#include "inspect/tree.h"

#define PIECE (1024 * 1024u)

struct count {
	struct fs *donor, *guest;
	const char *from, *to;
	uint32_t block;
	const struct facts_readable *readable; /* NULL: as it is */
	struct facts_tree *tree;
};

static bool same_link(const struct count *c, const char *from, const char *to)
{
	CLEANUP_FREE char *a = NULL, *b = NULL;
	size_t len;

	if (fs_readlink(c->donor, from, &a, NULL) || fs_readlink(c->guest, to, &b, NULL))
		return false;
	len = stored_target_len(c->readable, a);
	return strlen(b) == len && !memcmp(a, b, len);
}

static bool same_entry(const struct count *c, const char *from, const char *to, const struct fs_stat *st, uint64_t size)
{
	struct fs_stat there;

	if (fs_lstat(c->guest, to, &there, NULL) || there.mode != st->mode)
		return false;
	if (S_ISLNK(st->mode))
		return same_link(c, from, to);
	return !S_ISREG(st->mode) || (there.size == size && there.mtime == st->mtime);
}

static void count_entry(const struct count *c, const struct fs_stat *st, uint64_t size)
{
	uint64_t blocks = (size + c->block - 1) / c->block;

	if (S_ISDIR(st->mode)) {
		c->tree->directories++;
		c->tree->blocks += blocks ? blocks : 1;
	} else if (S_ISLNK(st->mode)) {
		c->tree->links++;
		c->tree->blocks += size >= 60 ? 1 : 0;
	} else {
		c->tree->files++;
		c->tree->bytes += size;
		/* Indirect blocks of a block map: one a quarter of the block size in blocks, and their own parents. */
		c->tree->blocks += blocks + (blocks > 12 ? blocks / (c->block / 4) + 3 : 0);
	}
}

static int count_one(void *arg, const char *relative, const struct fs_stat *st, struct p2h_error *err)
{
	const struct count *c = arg;
	CLEANUP(buf_done) struct buf from = {0}, to = {0};
	struct stored s;

	stored_as(c->readable, relative, st, &s);
	count_entry(c, st, s.size);
	if (!c->tree->present)
		return 0;
	buf_printf(&from, "%s/%s", c->from, relative);
	buf_printf(&to, "%s/%.*s", c->to, (int)s.path_len, relative);
	if (from.failed || to.failed)
		return error_nomem(err);
	c->tree->present = same_entry(c, from.data, to.data, st, s.size);
	return 0;
}

static void cleanup_file(struct fs_file **f)
{
	fs_file_close(*f, NULL);
}

/* Does the guest's file begin with the donor's whole content? */
static int starts_with(struct fs *guest, struct fs *donor, const char *path, uint64_t size, bool *ret, struct p2h_error *err)
{
	CLEANUP(cleanup_file) struct fs_file *a = NULL, *b = NULL;
	CLEANUP_FREE char *piece = malloc(2 * PIECE);
	int rc = piece ? fs_open(donor, path, &a, err) : error_nomem(err);

	if (!rc)
		rc = fs_open(guest, path, &b, err);
	*ret = true;
	for (uint64_t off = 0; !rc && *ret && off < size; off += PIECE) {
		size_t want = size - off < PIECE ? (size_t)(size - off) : PIECE, got = 0, got_too = 0;

		rc = fs_pread(a, piece, off, want, &got, err);
		if (!rc)
			rc = fs_pread(b, piece + PIECE, off, want, &got_too, err);
		*ret = !rc && got == want && got_too == want && !memcmp(piece, piece + PIECE, want);
	}
	return rc;
}

/* The guest's copy of the initramfs with archives that an earlier conversion appended: as good as the donor's own. */
static int look_for_extended(struct fs *guest, struct fs *donor, const char *path, bool *ret, struct p2h_error *err)
{
	struct fs_stat from, there;
	int rc = fs_stat(donor, path, &from, err);

	*ret = false;
	if (rc || fs_lstat(guest, path, &there, NULL) || !S_ISREG(there.mode) || there.size <= from.size || there.mtime != from.mtime)
		return rc;
	return starts_with(guest, donor, path, from.size, ret, err);
}

static int count_boot(struct guest *guest, struct guest *donor, struct facts *f, struct p2h_error *err)
{
	const struct facts_kernel *k = &f->donor.chosen;
	const char *const boot[] = {k->image, k->initrd, k->config, k->system_map};
	struct count one = {donor->fs, guest->fs, "", "", f->boot_space.block_size, NULL, &f->donor.boot};

	f->donor.boot.present = true;
	for (size_t i = 0; i < 4; i++) {
		struct fs_stat st;
		int rc;

		/* A config or map that lies in the modules directory comes with it. */
		if (strncmp(boot[i], "/boot/", 6))
			continue;
		rc = fs_stat(donor->fs, boot[i], &st, err);
		if (!rc && boot[i] == k->initrd && f->donor.boot.present && !f->donor.from_guest)
			rc = look_for_extended(guest->fs, donor->fs, k->initrd, &f->donor.initramfs.extended, err);
		if (!rc)
			rc = count_one(&one, boot[i] + 1, &st, err);
		if (rc)
			return rc;
		f->donor.boot.present |= boot[i] == k->initrd && f->donor.initramfs.extended;
	}
	return 0;
}

int count_trees(struct guest *guest, struct guest *donor, struct facts *f, struct p2h_error *err)
{
	struct facts_readable *readable = &f->donor.readable;
	const struct facts_kernel *k = &f->donor.chosen;
	CLEANUP(buf_done) struct buf to = {0};
	struct count c = {donor->fs, guest->fs, k->modules, NULL, f->block_size, NULL, &f->donor.modules};
	int rc = count_boot(guest, donor, f, err);

	buf_printf(&to, "/lib/modules/%s", k->release);
	if (to.failed)
		return error_nomem(err);
	c.to = to.data;
	c.tree->present = true;
	if (!rc)
		rc = tree_walk(donor->fs, k->modules, count_one, &c, err);
	if (!rc && readable->differs && !*readable->problem) {
		c.readable = readable;
		c.tree = &readable->tree;
		c.tree->present = true;
		rc = tree_walk(donor->fs, k->modules, count_one, &c, err);
	}
	/* Where anything is copied, the donor's initramfs comes along. */
	f->donor.initramfs.extended &= f->donor.boot.present && c.tree->present;
	return rc;
}
