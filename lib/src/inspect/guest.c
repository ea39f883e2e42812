#include "inspect/guest.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/appliance.h"
#include "parse/fstab.h"
#include "parse/textconf.h"

#define MAX_FSTAB (1024 * 1024u)
#define MAX_SLICES 64

static bool is_ext(const struct volume *v)
{
	return !strcmp(v->content, "ext2") || !strcmp(v->content, "ext3") || !strcmp(v->content, "ext4") ||
	       !strcmp(v->content, "ext4dev");
}

/* libblkid does not know a file system that is larger than its volume: what is left of a copy that was cut short. */
static bool has_ext_magic(struct disk *d, const struct volume *v)
{
	uint8_t magic[2];

	return !v->content[0] && v->len >= 2048 && !disk_read(d, magic, v->off + 1024 + 56, 2, NULL) && le16_get(magic) == 0xef53;
}

/* By libguestfs' appliance, which takes its time to start. */
static bool in_appliance(const struct guest *g, const struct volume *v)
{
	return g->disk->drive && appliance_drive_takes(g->disk->drive, v->content);
}

static bool is_readable(const struct guest *g, const struct volume *v)
{
	return is_ext(v) || has_ext_magic(g->disk, v) || in_appliance(g, v);
}

static void describe_volume(const struct volume *v, char *text, size_t size)
{
	if (v->number)
		snprintf(text, size, "partition %u", v->number);
	else
		snprintf(text, size, "the whole disk");
}

/* Opens the file system of a volume; its slice is kept in g. */
static int open_volume(struct guest *g, const struct volume *v, unsigned flags, int64_t now, struct fs **ret,
		       struct p2h_error *err)
{
	struct disk *slice = NULL;
	char what[32];
	int rc;

	describe_volume(v, what, sizeof(what));
	if (g->slices == MAX_SLICES)
		return error_set(err, P2H_UNSUPPORTED, "%s: more than %d file systems", g->disk->name, MAX_SLICES);
	rc = volume_open(g->disk, v, &slice, err);
	if (rc)
		return rc;
	g->slice[g->slices++] = slice;
	if (in_appliance(g, v))
		rc = fs_guestfs_open(g->disk->drive, v->off == g->disk->drive_off ? 0 : v->number, flags, now, ret, err);
	else
		rc = fs_ext_open(slice, flags, now, ret, err);
	return rc ? error_prefix(err, rc, "%s: %s", g->disk->name, what) : 0;
}

static bool present(struct fs *fs, const char *path)
{
	struct fs_stat st;

	return !fs_lstat(fs, path, &st, NULL);
}

static bool looks_like_root(struct fs *fs, unsigned flags)
{
	bool init = present(fs, "/sbin/init") || present(fs, "/lib/systemd/systemd") || present(fs, "/init");

	if (flags & GUEST_DONOR)
		return fs_is_dir(fs, "/lib/modules") && (init || fs_is_dir(fs, "/boot"));
	return fs_is_dir(fs, "/etc") && (init || (present(fs, "/etc/fstab") && fs_is_dir(fs, "/lib/modules")));
}

static char *distribution(struct fs *fs)
{
	static const char *const path[] = {"/etc/os-release", "/usr/lib/os-release", "/etc/redhat-release", "/etc/issue"};

	for (size_t i = 0; i < 4; i++) {
		CLEANUP(buf_done) struct buf text = {0};

		if (fs_read(fs, path[i], 65536, &text, NULL) || !text.len)
			continue;
		if (i < 2)
			return assignment_get(text.data, text.len, "PRETTY_NAME", NULL);
		text.data[strcspn(text.data, "\r\n\\")] = '\0';
		return strdup(text.data);
	}
	return NULL;
}

/* Looks into every readable volume, those that need the appliance or the others. */
static int look_for_root(struct guest *g, int wanted, bool by_appliance, unsigned flags, int64_t now, const struct volume **ret, struct p2h_error *err)
{
	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		CLEANUP_FREE char *name = NULL;
		struct fs *fs = NULL;
		int rc;

		if (!is_readable(g, v) || in_appliance(g, v) != by_appliance || (wanted >= 0 && v->number != (unsigned)wanted))
			continue;
		rc = open_volume(g, v, 0, now, &fs, err);
		if (rc) {
			if (g->volumes.len == 1 || wanted >= 0 || rc == P2H_NOMEM || rc == P2H_TOOL)
				return rc;
			continue; /* a damaged neighbour is no reason to give up */
		}
		if (looks_like_root(fs, flags)) {
			*ret = v;
			name = distribution(fs);
			strlist_addf(&g->candidates, "%u: %s, %s", v->number, v->content, name ? name : "unknown distribution");
		}
		rc = fs_close(fs, err);
		if (rc)
			return rc;
	}
	return g->candidates.failed ? error_nomem(err) : 0;
}

/* Which volume is the root? The appliance is asked only where no file system without it has one. */
static int find_root(struct guest *g, int wanted, unsigned flags, int64_t now, const struct volume **ret, struct p2h_error *err)
{
	struct buf list = {0};
	CLEANUP_FREE char *text = NULL;
	int rc = look_for_root(g, wanted, false, flags, now, ret, err);

	if (!rc && !g->candidates.len)
		rc = look_for_root(g, wanted, true, flags, now, ret, err);
	if (rc || g->candidates.len == 1)
		return rc;
	if (g->candidates.len > 1) {
		for (size_t i = 0; i < g->candidates.len; i++)
			buf_printf(&list, "%s%s", i ? "; " : "", g->candidates.item[i]);
		text = buf_take(&list);
		return error_set(err, P2H_REFUSED, "%s: %zu file systems look like a root, choose one with --root N (%s)",
				 g->disk->name, g->candidates.len, text ? text : "");
	}
	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		char what[32];

		if (!v->content[0] || is_readable(g, v) || !strcmp(v->content, "swap") || (wanted >= 0 && v->number != (unsigned)wanted))
			continue;
		describe_volume(v, what, sizeof(what));
		if (!strcmp(v->content, "xfs"))
			return error_set(err, P2H_UNSUPPORTED, "%s: %s holds xfs, which libext2fs cannot read: use --engine auto", g->disk->name, what);
		return error_set(err, P2H_UNSUPPORTED, "%s: %s holds %s, which this version cannot read (ext2, ext3, ext4 and XFS it can)",
				 g->disk->name, what, v->content);
	}
	if (wanted >= 0)
		return error_set(err, P2H_NOTFOUND, "%s: no Linux root file system on --root %d", g->disk->name, wanted);
	return error_set(err, P2H_NOTFOUND, "%s: no Linux root file system found inside (%s)", g->disk->name,
			 g->volumes.table != TABLE_NONE ? "no partition has /etc and /sbin/init"
			 : g->volumes.item[0].content[0] ? "no /etc and /sbin/init in its file system"
							 : "no partition table and no file system signature");
}

/* Only what a conversion changes is opened for writing. */
static unsigned mount_flags(const char *path, unsigned flags)
{
	return (flags & GUEST_WRITE) && (!strcmp(path, "/boot") || !strcmp(path, "/usr") || !strcmp(path, "/etc")) ? FS_WRITE : 0;
}

/* The appliance is not started for what does not matter to the conversion. */
static bool is_worth_mounting(const struct guest *g, const struct volume *v, const char *path)
{
	if (!in_appliance(g, v))
		return is_ext(v);
	return appliance_is_started(g->disk->drive) || !strcmp(path, "/boot") || !strcmp(path, "/usr") || !strcmp(path, "/etc");
}

static int mount_one(struct guest *g, const struct volume *v, const char *path, unsigned flags, int64_t now, struct p2h_error *err)
{
	struct fs *fs = NULL;
	int rc;

	if (!is_worth_mounting(g, v, path) || !fs_is_dir(g->fs, path)) {
		strlist_addf(&g->unmounted, "%s on %u (%s)", path, v->number, v->content[0] ? v->content : "unknown");
		return g->unmounted.failed ? error_nomem(err) : 0;
	}
	rc = open_volume(g, v, mount_flags(path, flags), now, &fs, err);
	if (rc)
		return rc;
	rc = fs_mount_add(g->fs, path, fs, err);
	if (rc) {
		cleanup_fs(&fs);
		return rc;
	}
	strlist_add(&g->mounts, path);
	if (!strcmp(path, "/boot"))
		g->boot_number = v->number;
	return g->mounts.failed ? error_nomem(err) : 0;
}

/* The other volumes of the image, where fstab puts them. */
static int mount_others(struct guest *g, unsigned flags, int64_t now, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(fstab_done) struct fstab table = {0};
	int rc = fs_read(g->fs, "/etc/fstab", MAX_FSTAB, &text, err);

	if (rc == P2H_NOTFOUND)
		return 0;
	if (!rc)
		rc = fstab_parse(text.data, text.len, &table, err);
	if (rc)
		return rc;
	for (size_t i = 0; !rc && i < table.len; i++) {
		const struct fstab_entry *e = &table.item[i];
		const char *path = e->text[FSTAB_FILE];
		const struct volume *v = volumes_find(&g->volumes, e->text[FSTAB_SPEC]);

		if (path[0] != '/' || !path[1] || !v || v->number == g->root_number || strlist_has(&g->mounts, path))
			continue;
		rc = mount_one(g, v, path, flags, now, err);
	}
	return rc;
}

static int attach_root(struct guest *g, struct fs *root, struct p2h_error *err)
{
	int rc = fs_mount_open(root, &g->fs, err);

	if (rc)
		cleanup_fs(&root);
	return rc;
}

int guest_open(struct disk *d, int root_number, unsigned flags, int64_t now, struct guest **ret, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = calloc(1, sizeof(*g));
	const struct volume *v = NULL;
	struct fs *root = NULL;
	int rc;

	if (!g)
		return error_nomem(err);
	g->disk = d;
	g->slice = calloc(MAX_SLICES, sizeof(*g->slice));
	if (!g->slice)
		return error_nomem(err);
	rc = volumes_probe(d, &g->volumes, err);
	if (!rc)
		rc = find_root(g, root_number, flags, now, &v, err);
	if (!rc)
		rc = open_volume(g, v, flags & GUEST_WRITE ? FS_WRITE : 0, now, &root, err);
	if (rc)
		return rc;
	g->root_number = g->boot_number = v->number;
	rc = attach_root(g, root, err);
	if (!rc && g->volumes.table != TABLE_NONE)
		rc = mount_others(g, flags, now, err);
	if (rc)
		return rc;
	*ret = TAKE(g);
	return 0;
}

int guest_open_dir(const char *host_path, struct guest **ret, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = calloc(1, sizeof(*g));
	struct fs *root = NULL;
	int rc;

	if (!g)
		return error_nomem(err);
	rc = fs_dir_open(host_path, &root, err);
	if (!rc)
		rc = attach_root(g, root, err);
	if (rc)
		return rc;
	*ret = TAKE(g);
	return 0;
}

int guest_close(struct guest *g, struct p2h_error *err)
{
	int rc = 0;

	if (!g)
		return 0;
	if (g->fs)
		rc = fs_close(g->fs, err);
	for (size_t i = 0; g->slice && i < g->slices; i++)
		disk_close(g->slice[i]);
	free(g->slice);
	strlist_done(&g->mounts);
	strlist_done(&g->unmounted);
	strlist_done(&g->candidates);
	volumes_done(&g->volumes);
	free(g);
	return rc;
}

void cleanup_guest(struct guest **g)
{
	guest_close(*g, NULL);
	*g = NULL;
}

static const struct volume *volume_by_number(const struct guest *g, unsigned number)
{
	for (size_t i = 0; i < g->volumes.len; i++)
		if (g->volumes.item[i].number == number)
			return &g->volumes.item[i];
	return NULL;
}

const struct volume *guest_root_volume(const struct guest *g)
{
	return volume_by_number(g, g->root_number);
}

const struct volume *guest_boot_volume(const struct guest *g)
{
	return volume_by_number(g, g->boot_number);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

int guest_free_ranges(struct guest *g, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges all = {0};

	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		struct fs *fs = NULL;
		int rc;

		if (!is_ext(v))
			continue;
		rc = open_volume(g, v, 0, 0, &fs, err);
		if (rc)
			return rc;
		/* A journal that was not replayed may still change what is free. */
		if (!fs_info(fs)->needs_recovery && !fs_info(fs)->has_errors)
			rc = fs_free_ranges(fs, v->off, &all, err);
		if (!rc)
			rc = fs_close(fs, err);
		else
			cleanup_fs(&fs);
		if (rc)
			return rc;
	}
	if (all.failed)
		return error_nomem(err);
	/* Partitions need not lie in the order of their numbers. */
	if (all.len)
		qsort(all.item, all.len, sizeof(*all.item), compare_ranges);
	for (size_t i = 0; i < all.len; i++)
		ranges_add(ret, all.item[i].off, all.item[i].len);
	return ret->failed ? error_nomem(err) : 0;
}
