#include "fs/appliance.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/kvm.h"
#include "fs/appliance_mount.h"

#define MODULE_NAME "libpv2hvm-guestfs.so"

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
	if (a->drives == APPLIANCE_DRIVES)
		return error_set(err, P2H_UNSUPPORTED, "%s: an appliance has no more than %u drives", d->name, APPLIANCE_DRIVES);
	drive = calloc(1, sizeof(*drive));
	if (!drive)
		return error_nomem(err);
	*drive = (struct appliance_drive){.appliance = a, .letter = (char)('a' + a->drives), .disk = d, .size = d->size};
	a->drive[a->drives++] = drive;
	*ret = drive;
	return 0;
}

int appliance_member(struct appliance_drive *drive, unsigned number, const char *uuid, struct p2h_error *err)
{
	struct member *bigger = reallocarray(drive->member, drive->members + 1, sizeof(*bigger));

	if (!bigger)
		return error_nomem(err);
	drive->member = bigger;
	bigger[drive->members] = (struct member){.number = number};
	snprintf(bigger[drive->members++].uuid, sizeof(bigger->uuid), "%s", uuid);
	return 0;
}

bool appliance_takes(const struct appliance_options *options, const char *content)
{
	return !strcmp(content, "xfs") || !strcmp(content, "btrfs") || (options->all && !strncmp(content, "ext", 3));
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
	const char *socket[APPLIANCE_DRIVES + 1] = {NULL};
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

int appliance_start(struct appliance *a, struct p2h_error *err)
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
	if (!a)
		return;
	if (a->handle)
		a->calls->stop(a->handle);
	appliance_mounts_done(a);
	appliance_layers_done(a);
	for (unsigned i = 0; i < a->drives; i++) {
		disk_server_stop(a->drive[i]->server);
		free(a->drive[i]->member);
		free(a->drive[i]);
	}
	if (a->dir[0])
		rmdir(a->dir);
	if (a->module)
		dlclose(a->module);
	free(a);
}

/* ---- what a drive shows ---- */

/* Does anything of the drive stand in that mount? */
static bool shows(const struct appliance_mount *m, const struct appliance_drive *drive)
{
	return m->drive == drive || m->in_layers;
}

/* The kernel of the appliance forgets what it knew of a drive when nothing of it is mounted. */
static int unmount_drive(struct appliance_drive *drive, struct p2h_error *err)
{
	for (struct appliance_mount *m = drive->appliance->mounts; m; m = m->next) {
		int rc = 0;

		if (!shows(m, drive))
			continue;
		rc = m->writing ? error_set(err, P2H_BUSY, "%s: open for writing", m->device) : appliance_do_unmount(m, err);
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
		if (shows(m, drive) && m->users)
			rc = appliance_do_mount(m, false, err);
	return rc;
}
