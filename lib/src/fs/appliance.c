#include "fs/appliance.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/serve.h"
#include "fs/appliance_mount.h"
#include "base/kvm.h"

#define MODULE_NAME "libpv2hvm-guestfs.so"
#define MAX_DRIVES 26u /* /dev/sda to /dev/sdz */

struct appliance_drive {
	struct appliance *appliance;
	char letter;
	struct disk *disk; /* what it shows: from off on, size bytes */
	uint64_t off, size;
	struct disk_server *server; /* once it was started */
	char socket[64];
};

struct appliance {
	struct appliance_options options;
	void *module;
	const struct appliance_module *calls;
	void *handle; /* the module's; NULL: not started */
	bool failed;
	struct p2h_error failure; /* of the start, told again to whoever asks next */
	struct appliance_drive *drive[MAX_DRIVES];
	unsigned drives;
	struct appliance_mount *mounts;
	char dir[32]; /* of the sockets */
};

int appliance_new(const struct appliance_options *options, struct appliance **ret, struct p2h_error *err)
{
	struct appliance *a = calloc(1, sizeof(*a));

	if (!a)
		return error_nomem(err);
	a->options = *options;
	*ret = a;
	return 0;
}

int appliance_add(struct appliance *a, struct disk *d, struct appliance_drive **ret, struct p2h_error *err)
{
	struct appliance_drive *drive;

	if (a->handle || a->failed)
		return error_set(err, P2H_USAGE, "%s: the appliance was started without it", d->name);
	if (a->drives == MAX_DRIVES)
		return error_set(err, P2H_UNSUPPORTED, "%s: an appliance has no more than %u drives", d->name, MAX_DRIVES);
	drive = calloc(1, sizeof(*drive));
	if (!drive)
		return error_nomem(err);
	*drive = (struct appliance_drive){.appliance = a, .letter = (char)('a' + a->drives), .disk = d, .size = d->size};
	a->drive[a->drives++] = drive;
	*ret = drive;
	return 0;
}

bool appliance_takes(const struct appliance_options *options, const char *content)
{
	return !strcmp(content, "xfs") || (options->all && !strncmp(content, "ext", 3));
}

bool appliance_drive_takes(const struct appliance_drive *drive, const char *content)
{
	return appliance_takes(&drive->appliance->options, content);
}

bool appliance_is_started(const struct appliance_drive *drive)
{
	return drive->appliance->handle != NULL;
}

/* ---- start and end ---- */

static void pass_log(void *arg, const char *text, size_t len)
{
	const struct appliance_options *o = arg;

	if (o->log)
		o->log(o->arg, text, len);
}

static int load(struct appliance *a, struct p2h_error *err)
{
	appliance_module_get get;
	const char *why;

	a->module = dlopen(a->options.module ? a->options.module : MODULE_NAME, RTLD_NOW | RTLD_LOCAL);
	if (!a->module) {
		why = dlerror();
		if (why && strstr(why, "libguestfs.so"))
			return error_set(err, P2H_TOOL, "libguestfs is needed to read it: install the package libguestfs0 (%s)", why);
		return error_set(err, P2H_TOOL, "%s is needed to read it: this pv2hvm was built or installed without it (libguestfs-dev at the build; %s)",
				 MODULE_NAME, why ? why : "not found");
	}
	*(void **)&get = dlsym(a->module, APPLIANCE_MODULE_SYMBOL);
	a->calls = get ? get() : NULL;
	if (!a->calls || a->calls->abi != APPLIANCE_MODULE_ABI)
		return error_set(err, P2H_TOOL, "%s is of another version: install the one that came with this pv2hvm", MODULE_NAME);
	return 0;
}

static int serve_drives(struct appliance *a, struct p2h_error *err)
{
	snprintf(a->dir, sizeof(a->dir), "/tmp/pv2hvm-nbd-XXXXXX"); /* not $TMPDIR: a socket's name must be short */
	if (!mkdtemp(a->dir)) {
		a->dir[0] = '\0';
		return error_sys(err, errno, "/tmp: cannot make a directory for sockets");
	}
	for (unsigned i = 0; i < a->drives; i++) {
		struct appliance_drive *d = a->drive[i];
		int rc;

		snprintf(d->socket, sizeof(d->socket), "%s/%c", a->dir, d->letter);
		rc = disk_serve(d->disk, d->socket, &d->server, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int boot(struct appliance *a, struct p2h_error *err)
{
	const char *socket[MAX_DRIVES + 1] = {NULL};
	struct appliance_setup setup = {.socket = socket, .kvm_works = kvm_works, .log = pass_log, .log_arg = &a->options};
	int errnum;

	for (unsigned i = 0; i < a->drives; i++)
		socket[i] = a->drive[i]->socket;
	errnum = a->calls->start(&setup, &a->handle);
	if (errnum == ENOMEM)
		return error_nomem(err);
	if (!errnum)
		return 0;
	return error_set(err, P2H_TOOL, "libguestfs' appliance does not start: %s (-v shows what it said; libguestfs-test-tool may tell more)",
			 a->calls->message(a->handle));
}

static int start(struct appliance *a, struct p2h_error *err)
{
	int rc;

	if (a->handle && !a->failed)
		return 0;
	if (a->failed) {
		if (err)
			*err = a->failure;
		return a->failure.code;
	}
	rc = load(a, &a->failure);
	if (!rc && a->options.starting)
		a->options.starting(a->options.arg);
	if (!rc)
		rc = serve_drives(a, &a->failure);
	if (!rc)
		rc = boot(a, &a->failure);
	a->failed = rc != 0;
	if (rc && err)
		*err = a->failure;
	return rc;
}

void appliance_close(struct appliance *a)
{
	struct appliance_mount *next;

	if (!a)
		return;
	if (a->handle)
		a->calls->stop(a->handle);
	for (struct appliance_mount *m = a->mounts; m; m = next) {
		next = m->next;
		dircache_free(m->cache);
		free(m);
	}
	for (unsigned i = 0; i < a->drives; i++) {
		disk_server_stop(a->drive[i]->server);
		free(a->drive[i]);
	}
	if (a->dir[0])
		rmdir(a->dir);
	if (a->module)
		dlclose(a->module);
	free(a);
}

/* ---- mounts ---- */

const struct appliance_module *appliance_calls(const struct appliance_mount *m, void **ret_handle)
{
	*ret_handle = m->drive->appliance->handle;
	return m->drive->appliance->calls;
}

/* What a disk of ours could not do is why the appliance could not: that is the better message. */
int appliance_failed(const struct appliance_mount *m, int errnum, const char *path, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	int rc = disk_server_failed(m->drive->server, err);

	if (rc)
		return error_prefix(err, rc, "%s", path);
	if (errnum == EIO)
		return error_set(err, P2H_IO, "%s: %s", path, a->calls->message(a->handle));
	return error_sys(err, errnum, "%s", path);
}

static int mount_for(struct appliance_mount *m, bool write, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	bool xfs = !strcmp(m->content.type, "xfs");
	char options[64];
	int errnum;

	/* A donor may have the UUID of the guest, when both were made from one image. */
	snprintf(options, sizeof(options), "%s,noatime%s", write ? "rw" : "ro", xfs ? ",nouuid" : "");
	errnum = a->calls->mount(a->handle, m->device, options, m->where);
	if (!errnum) {
		m->mounted = true;
		m->writing = write;
		return 0;
	}
	if (disk_server_failed(m->drive->server, err))
		return error_prefix(err, P2H_IO, "%s", m->content.type);
	return error_set(err, P2H_UNSUPPORTED, "%s: libguestfs cannot mount it: %s", m->content.type, a->calls->message(a->handle));
}

static int unmount(struct appliance_mount *m, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	int errnum = m->mounted ? a->calls->umount(a->handle, m->where) : 0;

	m->mounted = m->writing = false;
	dircache_clear(m->cache);
	return errnum ? appliance_failed(m, errnum, m->where, err) : 0;
}

static int source_list(void *arg, const char *path, struct dircache *c, struct p2h_error *err);
static int source_lstat(void *arg, const char *path, struct fs_stat *ret, struct p2h_error *err);
static int source_readlink(void *arg, const char *path, char **ret, struct p2h_error *err);

static int new_mount(struct appliance_drive *drive, unsigned number, struct appliance_mount **ret, struct p2h_error *err)
{
	struct appliance *a = drive->appliance;
	CLEANUP_FREE struct appliance_mount *m = calloc(1, sizeof(*m));
	struct dircache_source source = {.list = source_list, .lstat = source_lstat, .readlink = source_readlink, .arg = m};
	int errnum;

	if (!m)
		return error_nomem(err);
	m->drive = drive;
	m->number = number;
	if (number)
		snprintf(m->device, sizeof(m->device), "/dev/sd%c%u", drive->letter, number);
	else
		snprintf(m->device, sizeof(m->device), "/dev/sd%c", drive->letter);
	snprintf(m->where, sizeof(m->where), "/p2h-%c%u", drive->letter, number);
	errnum = a->calls->content(a->handle, m->device, &m->content);
	if (errnum)
		return appliance_failed(m, errnum, m->device, err);
	m->cache = dircache_new(&source);
	if (!m->cache)
		return error_nomem(err);
	m->next = a->mounts;
	a->mounts = m;
	*ret = TAKE(m);
	return 0;
}

static struct appliance_mount *find_mount(const struct appliance_drive *drive, unsigned number)
{
	struct appliance_mount *m = drive->appliance->mounts;

	while (m && (m->drive != drive || m->number != number))
		m = m->next;
	return m;
}

int appliance_mount_get(struct appliance_drive *drive, unsigned number, bool write, struct appliance_mount **ret, struct p2h_error *err)
{
	struct appliance_mount *m = NULL;
	int rc = start(drive->appliance, err);

	if (!rc) {
		m = find_mount(drive, number);
		rc = m ? 0 : new_mount(drive, number, &m, err);
	}
	if (rc)
		return rc;
	if (m->writing && write)
		return error_set(err, P2H_BUSY, "%s: open for writing already", m->device);
	if (m->mounted && write)
		rc = unmount(m, err);
	if (!rc && !m->mounted)
		rc = mount_for(m, write, err);
	if (rc)
		return rc;
	m->users++;
	*ret = m;
	return 0;
}

/* It stays mounted for reading: whoever looks for a root comes back. */
int appliance_mount_put(struct appliance_mount *m, bool wrote, struct p2h_error *err)
{
	int rc = wrote ? unmount(m, err) : 0;

	m->users--;
	return rc || !wrote || !m->users ? rc : mount_for(m, false, err);
}

/* The kernel of the appliance forgets what it knew of a drive when nothing of it is mounted. */
static int unmount_drive(struct appliance_drive *drive, struct p2h_error *err)
{
	for (struct appliance_mount *m = drive->appliance->mounts; m; m = m->next) {
		int rc = 0;

		if (m->drive != drive)
			continue;
		rc = m->writing ? error_set(err, P2H_BUSY, "%s: open for writing", m->device) : unmount(m, err);
		if (rc)
			return rc;
	}
	return 0;
}

int appliance_show(struct appliance_drive *drive, struct disk *d, uint64_t off, struct p2h_error *err)
{
	int rc;

	if (off > d->size || drive->size > d->size - off)
		return error_set(err, P2H_USAGE, "%s: smaller than the drive that it is to be", d->name);
	rc = unmount_drive(drive, err);
	if (rc)
		return rc;
	drive->disk = d;
	drive->off = off;
	if (drive->server)
		disk_server_point(drive->server, d, off);
	for (struct appliance_mount *m = drive->appliance->mounts; m && !rc; m = m->next)
		if (m->drive == drive && m->users)
			rc = mount_for(m, false, err);
	return rc;
}

/* ---- what a mount's cache asks ---- */

static void guest_path(const struct appliance_mount *m, const char *path, char *ret, size_t size)
{
	snprintf(ret, size, "%s%s", m->where, path);
}

static void add_name(void *arg, const char *name, const struct fs_stat *st)
{
	dircache_add(arg, name, st);
}

static int source_list(void *arg, const char *path, struct dircache *c, struct p2h_error *err)
{
	struct appliance_mount *m = arg;
	char there[FS_PATH_MAX + 32];
	void *handle;
	const struct appliance_module *calls = appliance_calls(m, &handle);
	int errnum;

	guest_path(m, path, there, sizeof(there));
	errnum = calls->list(handle, there, add_name, c);
	return errnum ? appliance_failed(m, errnum, path, err) : 0;
}

static int source_lstat(void *arg, const char *path, struct fs_stat *ret, struct p2h_error *err)
{
	struct appliance_mount *m = arg;
	char there[FS_PATH_MAX + 32];
	void *handle;
	const struct appliance_module *calls = appliance_calls(m, &handle);
	int errnum;

	guest_path(m, path, there, sizeof(there));
	errnum = calls->lstat(handle, there, ret);
	return errnum ? appliance_failed(m, errnum, path, err) : 0;
}

static int source_readlink(void *arg, const char *path, char **ret, struct p2h_error *err)
{
	struct appliance_mount *m = arg;
	char there[FS_PATH_MAX + 32];
	void *handle;
	const struct appliance_module *calls = appliance_calls(m, &handle);
	int errnum;

	guest_path(m, path, there, sizeof(there));
	errnum = calls->readlink(handle, there, ret);
	if (!errnum && strlen(*ret) >= FS_PATH_MAX) {
		free(TAKE(*ret));
		return error_set(err, P2H_CORRUPT, "%s: a symbolic link of more than %u bytes", path, FS_PATH_MAX - 1);
	}
	return errnum ? appliance_failed(m, errnum, path, err) : 0;
}
