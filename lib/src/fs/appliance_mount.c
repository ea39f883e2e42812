#include "fs/appliance_mount.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/appliance_pack.h"

void appliance_path(const struct appliance_mount *m, const char *path, char *ret)
{
	snprintf(ret, APPLIANCE_PATH_MAX, "%s%s", m->where, path);
}

/* What a disk of ours could not do is why the appliance could not: that is the better message. */
int appliance_result(const struct appliance_mount *m, int errnum, const char *path, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	int rc = errnum ? disk_server_failed(m->drive->server, err) : 0;

	if (!errnum)
		return 0;
	if (rc)
		return error_prefix(err, rc, "%s", path);
	if (errnum == EIO)
		return error_set(err, P2H_IO, "%s: %s", path, a->calls->message(a->handle));
	return error_sys(err, errnum, "%s", path);
}

int appliance_do_mount(struct appliance_mount *m, bool write, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	bool xfs = !strcmp(m->content.type, "xfs");
	char options[FS_PATH_MAX + 64];
	int errnum;

	/* A donor may have the UUID of the guest, when both were made from one image. */
	snprintf(options, sizeof(options), "%s,noatime%s%s%s", write ? "rw" : "ro", xfs ? ",nouuid" : "", m->subvolume ? ",subvol=/" : "",
		 m->subvolume ? m->subvolume : "");
	errnum = APPLIANCE_CALL(a, mount, m->device, options, m->where);
	if (!errnum) {
		m->mounted = true;
		m->writing = write;
		return 0;
	}
	if (disk_server_failed(m->drive->server, err))
		return error_prefix(err, P2H_IO, "%s", m->content.type);
	return error_set(err, P2H_UNSUPPORTED, "%s: libguestfs cannot mount it: %s", m->content.type, a->calls->message(a->handle));
}

int appliance_do_unmount(struct appliance_mount *m, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	int rc = pack_flush(m, err), errnum = m->mounted ? APPLIANCE_CALL(a, umount, m->where) : 0;

	m->mounted = m->writing = false;
	dircache_clear(m->cache);
	return rc ? rc : appliance_result(m, errnum, m->where, err);
}

static int source_list(void *arg, const char *path, struct dircache *c, struct p2h_error *err);
static int source_lstat(void *arg, const char *path, struct fs_stat *ret, struct p2h_error *err);
static int source_readlink(void *arg, const char *path, char **ret, struct p2h_error *err);

void appliance_device(const struct appliance_drive *drive, const struct appliance_place *place, char *buf, size_t size)
{
	if (place->device && *place->device)
		snprintf(buf, size, "%s", place->device);
	else if (place->number)
		snprintf(buf, size, "/dev/sd%c%u", drive->letter, place->number);
	else
		snprintf(buf, size, "/dev/sd%c", drive->letter);
}

static void free_mount(struct appliance_mount *m)
{
	pack_free(m->pack);
	dircache_free(m->cache);
	free(m->subvolume);
	free(m);
}

void appliance_mounts_done(struct appliance *a)
{
	while (a->mounts) {
		struct appliance_mount *m = a->mounts;

		a->mounts = m->next;
		free_mount(m);
	}
}

static int fill_mount(struct appliance_mount *m, const struct appliance_place *place, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	struct dircache_source source = {.list = source_list, .lstat = source_lstat, .readlink = source_readlink, .arg = m};
	int rc;

	appliance_device(m->drive, place, m->device, sizeof(m->device));
	m->in_layers = place->device && *place->device;
	snprintf(m->where, sizeof(m->where), "/p2h-%u", a->mount_count++);
	rc = appliance_result(m, APPLIANCE_CALL(a, content, m->device, &m->content), m->device, err);
	if (rc)
		return rc;
	m->subvolume = place->subvolume ? strdup(place->subvolume) : NULL;
	m->cache = dircache_new(&source);
	return m->cache && (m->subvolume || !place->subvolume) ? 0 : error_nomem(err);
}

static int new_mount(struct appliance_drive *drive, const struct appliance_place *place, struct appliance_mount **ret, struct p2h_error *err)
{
	struct appliance_mount *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return error_nomem(err);
	m->drive = drive;
	rc = fill_mount(m, place, err);
	if (rc) {
		free_mount(m);
		return rc;
	}
	m->next = drive->appliance->mounts;
	drive->appliance->mounts = m;
	*ret = m;
	return 0;
}

static bool is_at(const struct appliance_mount *m, const char *device, const char *subvolume)
{
	return !strcmp(m->device, device) && !m->subvolume == !subvolume && (!subvolume || !strcmp(m->subvolume, subvolume));
}

static struct appliance_mount *find_mount(const struct appliance_drive *drive, const struct appliance_place *place)
{
	struct appliance_mount *m = drive->appliance->mounts;
	char device[128];

	appliance_device(drive, place, device, sizeof(device));
	while (m && (m->drive != drive || !is_at(m, device, place->subvolume)))
		m = m->next;
	return m;
}

int appliance_mount_get(struct appliance_drive *drive, const struct appliance_place *place, bool write, struct appliance_mount **ret, struct p2h_error *err)
{
	struct appliance_mount *m = NULL;
	int rc = appliance_start(drive->appliance, err);

	if (!rc) {
		m = find_mount(drive, place);
		rc = m ? 0 : new_mount(drive, place, &m, err);
	}
	if (rc)
		return rc;
	if (m->writing && write)
		return error_set(err, P2H_BUSY, "%s: open for writing already", m->device);
	if (m->mounted && write)
		rc = appliance_do_unmount(m, err);
	if (!rc && !m->mounted)
		rc = appliance_do_mount(m, write, err);
	if (rc)
		return rc;
	m->users++;
	*ret = m;
	return 0;
}

/* It stays mounted for reading: whoever looks for a root comes back. */
int appliance_mount_put(struct appliance_mount *m, bool wrote, struct p2h_error *err)
{
	int rc = wrote ? appliance_do_unmount(m, err) : 0;

	m->users--;
	return rc || !wrote || !m->users ? rc : appliance_do_mount(m, false, err);
}

/* ---- what a mount's cache asks ---- */

static void add_name(void *arg, const char *name, const struct fs_stat *st)
{
	dircache_add(arg, name, st);
}

static int source_list(void *arg, const char *path, struct dircache *c, struct p2h_error *err)
{
	const struct appliance_mount *m = arg;
	char there[APPLIANCE_PATH_MAX];

	appliance_path(m, path, there);
	return appliance_result(m, APPLIANCE_CALL(m->drive->appliance, list, there, add_name, c), path, err);
}

static int source_lstat(void *arg, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	const struct appliance_mount *m = arg;
	char there[APPLIANCE_PATH_MAX];

	appliance_path(m, path, there);
	return appliance_result(m, APPLIANCE_CALL(m->drive->appliance, lstat, there, ret), path, err);
}

static int source_readlink(void *arg, const char *path, char **ret, struct p2h_error *err)
{
	const struct appliance_mount *m = arg;
	char there[APPLIANCE_PATH_MAX];
	int rc;

	appliance_path(m, path, there);
	rc = appliance_result(m, APPLIANCE_CALL(m->drive->appliance, readlink, there, ret), path, err);
	if (!rc && strlen(*ret) >= FS_PATH_MAX) {
		free(TAKE(*ret));
		rc = error_set(err, P2H_CORRUPT, "%s: a symbolic link of more than %u bytes", path, FS_PATH_MAX - 1);
	}
	return rc;
}
