#include "inspect/guest.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "fs/appliance.h"
#include "inspect/guest_layers.h"
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

/* The appliance's drive that it lies on; NULL: the appliance does not have that disk. */
static struct appliance_drive *drive_of(const struct guest *g, const struct volume *v)
{
	return volume_disk(g->disk, v)->drive;
}

/* By libguestfs' appliance, which takes its time to start. */
bool guest_in_appliance(const struct guest *g, const struct volume *v)
{
	return volume_is_mapped(v) || (drive_of(g, v) && appliance_drive_takes(drive_of(g, v), v->content));
}

static bool is_readable(const struct guest *g, const struct volume *v)
{
	if (volume_is_mapped(v))
		return is_ext(v) || appliance_drive_takes(drive_of(g, v), v->content);
	return is_ext(v) || has_ext_magic(volume_disk(g->disk, v), v) || guest_in_appliance(g, v);
}

static bool is_btrfs(const struct volume *v)
{
	return !strcmp(v->content, "btrfs");
}

static struct appliance_place place_of(const struct guest *g, const struct volume *v, const char *subvolume)
{
	const struct disk *d = volume_disk(g->disk, v);
	bool shifted = v->off == d->drive_off && d->drive_off; /* the drive begins with this partition */

	return (struct appliance_place){.number = shifted ? 0 : volume_partition(v), .device = v->mapped, .subvolume = subvolume};
}

static int open_slice(struct guest *g, const struct volume *v, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err)
{
	struct disk *slice = NULL;
	int rc;

	if (g->slices == MAX_SLICES)
		return error_set(err, P2H_UNSUPPORTED, "more than %d file systems", MAX_SLICES);
	rc = volume_open(g->disk, v, &slice, err);
	if (rc)
		return rc;
	g->slice[g->slices++] = slice; /* kept while the file system is open */
	return fs_ext_open(slice, flags, now, ret, err);
}

/* Opens the file system of a volume; subvolume: of a btrfs, NULL for the default and for others. */
static int open_volume(struct guest *g, const struct volume *v, const char *subvolume, unsigned flags, int64_t now, struct fs **ret, struct p2h_error *err)
{
	struct appliance_place place = place_of(g, v, subvolume);
	char what[160];
	int rc = guest_in_appliance(g, v) ? fs_guestfs_open(drive_of(g, v), &place, flags, now, ret, err) : open_slice(g, v, flags, now, ret, err);

	if (!rc)
		return 0;
	volume_describe(v, what, sizeof(what));
	return error_prefix(err, rc, "%s: %s", g->disk->name, what);
}

int guest_open_top(struct guest *g, const struct volume *v, struct fs **ret, struct p2h_error *err)
{
	return open_volume(g, v, is_btrfs(v) ? "" : NULL, 0, 0, ret, err);
}

/* ---- the root ---- */

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

struct root {
	unsigned number;
	char *subvolume; /* owned by whoever found it */
	bool is_default;
};

static void root_done(struct root *r)
{
	free(r->subvolume);
	*r = (struct root){0};
}

/* A file system that looks like a root is a candidate; *ret is the last one. */
static int look_into(struct guest *g, const struct volume *v, const char *subvolume, unsigned flags, int64_t now, bool *ret_found, struct p2h_error *err)
{
	CLEANUP_FREE char *name = NULL;
	struct fs *fs = NULL;
	char what[160];
	int rc = open_volume(g, v, subvolume, 0, now, &fs, err);

	*ret_found = false;
	if (rc)
		return rc;
	if (looks_like_root(fs, flags)) {
		*ret_found = true;
		name = distribution(fs);
		volume_describe(v, what, sizeof(what));
		strlist_addf(&g->candidates, "%u: %s%s%s, %s%s%s", v->number, v->content, subvolume && *subvolume ? " subvolume " : "",
			     subvolume ? subvolume : "", name ? name : "unknown distribution", volume_is_mapped(v) ? " on " : "",
			     volume_is_mapped(v) ? what : "");
	}
	rc = fs_close(fs, err);
	return rc ? rc : g->candidates.failed ? error_nomem(err) : 0;
}

/* Copies of a root, which package managers and snapper make. */
static bool is_snapshot(const char *subvolume)
{
	return strstr(subvolume, "snapshot") || strstr(subvolume, ".snapshots/");
}

/* What is mounted by default goes first: only if that is no root are the other subvolumes looked at, without snapshots. */
static int look_into_btrfs(struct guest *g, const struct volume *v, unsigned flags, int64_t now, struct root *ret, struct p2h_error *err)
{
	struct appliance_place place = place_of(g, v, NULL);
	CLEANUP(strlist_done) struct strlist paths = {0};
	CLEANUP_FREE char *by_default = NULL;
	bool found = false;
	int rc = appliance_subvolumes(drive_of(g, v), &place, &paths, &by_default, err);

	if (!rc)
		rc = look_into(g, v, by_default, flags, now, &found, err);
	if (rc)
		return rc;
	if (found) {
		root_done(ret);
		*ret = (struct root){v->number, TAKE(by_default), true};
		return 0;
	}
	for (size_t i = 0; !rc && i < paths.len; i++) {
		if (is_snapshot(paths.item[i]))
			continue;
		rc = look_into(g, v, paths.item[i], flags, now, &found, err);
		if (rc || !found)
			continue;
		root_done(ret);
		*ret = (struct root){v->number, strdup(paths.item[i]), false};
		if (!ret->subvolume)
			return error_nomem(err);
	}
	return rc;
}

/* Looks into every readable volume, those that need the appliance or the others. */
static int look_for_root(struct guest *g, int wanted, bool by_appliance, unsigned flags, int64_t now, struct root *ret, struct p2h_error *err)
{
	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		bool found = false;
		int rc;

		if (!is_readable(g, v) || guest_in_appliance(g, v) != by_appliance || (wanted >= 0 && v->number != (unsigned)wanted))
			continue;
		rc = is_btrfs(v) ? look_into_btrfs(g, v, flags, now, ret, err) : look_into(g, v, NULL, flags, now, &found, err);
		if (rc && (g->volumes.len == 1 || wanted >= 0 || rc == P2H_NOMEM || rc == P2H_TOOL))
			return rc;
		if (!rc && found) { /* a damaged neighbour is no reason to give up */
			root_done(ret);
			*ret = (struct root){.number = v->number};
		}
	}
	return 0;
}

/* Why no root was found: a volume that could not be looked into, else that there is none. */
static int explain_no_root(const struct guest *g, int wanted, struct p2h_error *err)
{
	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		bool closed = !strcmp(v->content, "crypto_LUKS");
		char what[160];

		if (!v->content[0] || is_readable(g, v) || !strcmp(v->content, "swap") || (wanted >= 0 && v->number != (unsigned)wanted))
			continue;
		volume_describe(v, what, sizeof(what));
		if (!drive_of(g, v) && (volume_is_layer(v) || !strcmp(v->content, "xfs") || is_btrfs(v)))
			return error_set(err, P2H_UNSUPPORTED, "%s: %s holds %s, which libext2fs cannot read: use --engine auto", g->disk->name, what, v->content);
		if (closed)
			return error_set(err, P2H_NOTFOUND, "%s: no Linux root file system found; %s is encrypted: give its key, --key %s:file:FILE",
					 g->disk->name, what, v->uuid);
		if (!volume_is_layer(v))
			return error_set(err, P2H_UNSUPPORTED, "%s: %s holds %s, which pv2hvm cannot read (ext2, ext3, ext4, XFS and btrfs it can)",
					 g->disk->name, what, v->content);
	}
	if (wanted >= 0)
		return error_set(err, P2H_NOTFOUND, "%s: no Linux root file system on --root %d", g->disk->name, wanted);
	return error_set(err, P2H_NOTFOUND, "%s: no Linux root file system found inside (%s)", g->disk->name,
			 g->layers_known                     ? "neither in a partition nor in a volume group or array that these disks make up: give further ones with --disk"
			 : g->volumes.table != TABLE_NONE    ? "no partition has /etc and /sbin/init"
			 : g->volumes.item[0].content[0]     ? "no /etc and /sbin/init in its file system"
							     : "no partition table and no file system signature");
}

/* Which volume is the root? The appliance is asked only where no file system without it has one. */
static int find_root(struct guest *g, int wanted, unsigned flags, int64_t now, struct root *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf list = {0};
	int rc = look_for_root(g, wanted, false, flags, now, ret, err);

	if (!rc && !g->candidates.len)
		rc = guest_find_layers(g, err);
	if (!rc && !g->candidates.len)
		rc = look_for_root(g, wanted, true, flags, now, ret, err);
	if (rc || g->candidates.len == 1)
		return rc;
	if (!g->candidates.len)
		return explain_no_root(g, wanted, err);
	for (size_t i = 0; i < g->candidates.len; i++)
		buf_printf(&list, "%s%s", i ? "; " : "", g->candidates.item[i]);
	return error_set(err, P2H_REFUSED, "%s: %zu file systems look like a root, choose one with --root N (%s)", g->disk->name, g->candidates.len,
			 list.failed ? "" : list.data);
}

/* ---- what is mounted on the root ---- */

/* What a conversion changes: only that is opened for writing. */
static bool is_changed(const char *path)
{
	return !strcmp(path, "/boot") || !strcmp(path, "/usr") || !strcmp(path, "/etc");
}

/* The appliance is not started for what does not matter to the conversion. */
static bool is_worth_mounting(const struct guest *g, const struct volume *v, const char *path)
{
	return is_readable(g, v) && (!guest_in_appliance(g, v) || appliance_is_started(drive_of(g, v)) || is_changed(path));
}

static int mount_one(struct guest *g, const struct volume *v, const char *path, const char *subvolume, unsigned flags, int64_t now, struct p2h_error *err)
{
	unsigned write = flags & GUEST_WRITE && is_changed(path) ? FS_WRITE : 0;
	struct fs *fs = NULL;
	char what[160];
	int rc;

	if (!is_worth_mounting(g, v, path) || !fs_is_dir(g->fs, path)) {
		volume_describe(v, what, sizeof(what));
		strlist_addf(&g->unmounted, "%s on %s (%s)", path, what, v->content[0] ? v->content : "unknown");
		return g->unmounted.failed ? error_nomem(err) : 0;
	}
	rc = open_volume(g, v, subvolume, write, now, &fs, err);
	if (rc)
		return rc;
	rc = fs_mount_add(g->fs, path, fs, err);
	if (rc) {
		cleanup_fs(&fs);
		return rc;
	}
	strlist_add(&g->mounts, path);
	if (!strcmp(path, "/usr"))
		g->usr_number = v->number;
	if (!strcmp(path, "/boot")) {
		g->boot_number = v->number;
		g->boot_subvolume = subvolume ? strdup(subvolume) : NULL;
	}
	return g->mounts.failed || (subvolume && !strcmp(path, "/boot") && !g->boot_subvolume) ? error_nomem(err) : 0;
}

/* "subvol=/@home" of a mount's options, without the first slash; NULL: there is none. To be freed. */
static char *subvolume_option(const char *options)
{
	CLEANUP(strlist_done) struct strlist words = {0};

	strlist_split(&words, options, ",");
	for (size_t i = 0; i < words.len; i++)
		if (!strncmp(words.item[i], "subvol=", 7))
			return strdup(words.item[i] + 7 + strspn(words.item[i] + 7, "/"));
	return NULL;
}

static int mount_entry(struct guest *g, const struct fstab_entry *e, unsigned flags, int64_t now, struct p2h_error *err)
{
	const char *path = e->text[FSTAB_FILE];
	const struct volume *v = volumes_find(&g->volumes, e->text[FSTAB_SPEC]);
	CLEANUP_FREE char *subvolume = v && is_btrfs(v) ? subvolume_option(e->text[FSTAB_OPTIONS]) : NULL;
	bool is_root = v && v->number == g->root_number && (!subvolume || !g->root_subvolume || !strcmp(subvolume, g->root_subvolume));

	if (path[0] != '/' || !path[1] || !v || is_root || strlist_has(&g->mounts, path))
		return 0;
	return mount_one(g, v, path, subvolume, flags, now, err);
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
	if (!rc && guest_misses_layers(g, &table))
		rc = guest_find_layers(g, err);
	if (!rc)
		rc = guest_name_encrypted(g, err);
	for (size_t i = 0; !rc && i < table.len; i++)
		rc = mount_entry(g, &table.item[i], flags, now, err);
	return rc;
}

static int attach_root(struct guest *g, struct fs *root, struct p2h_error *err)
{
	int rc = fs_mount_open(root, &g->fs, err);

	if (rc)
		cleanup_fs(&root);
	return rc;
}

static int open_root(struct guest *g, int wanted, unsigned flags, int64_t now, struct p2h_error *err)
{
	struct root found = {0};
	struct fs *root = NULL;
	int rc = find_root(g, wanted, flags, now, &found, err);

	if (rc) {
		root_done(&found);
		return rc;
	}
	g->root_number = g->boot_number = g->usr_number = found.number;
	g->root_subvolume = found.subvolume;
	g->root_is_default = found.is_default;
	rc = open_volume(g, guest_root_volume(g), found.subvolume, flags & GUEST_WRITE ? FS_WRITE : 0, now, &root, err);
	return rc ? rc : attach_root(g, root, err);
}

int guest_open(struct disk *d, int root_number, unsigned flags, int64_t now, struct guest **ret, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = calloc(1, sizeof(*g));
	int rc;

	if (!g)
		return error_nomem(err);
	g->disk = d;
	g->slice = calloc(MAX_SLICES, sizeof(*g->slice));
	if (!g->slice)
		return error_nomem(err);
	rc = volumes_probe(d, &g->volumes, err);
	if (!rc)
		rc = open_root(g, root_number, flags, now, err);
	if (!rc && (g->volumes.len > 1 || g->root_subvolume))
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
	free(g->root_subvolume);
	free(g->boot_subvolume);
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

const struct volume *guest_root_volume(const struct guest *g)
{
	return volumes_number(&g->volumes, g->root_number);
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

int guest_free_ranges(struct guest *g, unsigned disk, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges all = {0};

	for (size_t i = 0; i < g->volumes.len; i++) {
		const struct volume *v = &g->volumes.item[i];
		struct fs *fs = NULL;
		int rc;

		if (!is_ext(v) || v->disk != disk || guest_in_appliance(g, v))
			continue;
		rc = open_volume(g, v, NULL, 0, 0, &fs, err);
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
