/* appliance_layers.c - arrays, volume groups, encrypted volumes and btrfs' subvolumes in libguestfs' appliance */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "base/hostfile.h"
#include "fs/appliance_mount.h"

#define MAX_DEPTH 8 /* of layers on layers */
#define MAX_KEY 8192u

void appliance_layers_done(struct appliance *a)
{
	free(a->layer);
	a->layer = NULL;
	a->layers = 0;
}

static void add_layer(void *arg, enum appliance_layer kind, const char *device, const char *below, const char *name, const char *level,
		      unsigned devices)
{
	struct appliance *a = arg;
	struct layer *bigger = reallocarray(a->layer, a->layers + 1, sizeof(*bigger)), *l;

	if (!bigger) {
		a->no_memory = true;
		return;
	}
	a->layer = bigger;
	l = &a->layer[a->layers++];
	l->kind = kind;
	snprintf(l->device, sizeof(l->device), "%s", device);
	snprintf(l->below, sizeof(l->below), "%s", below);
	snprintf(l->name, sizeof(l->name), "%s", name);
	snprintf(l->level, sizeof(l->level), "%s", level);
	l->devices = devices;
}

/* What the module told before is told again; encrypted volumes that are open stay known. */
static void forget_told(struct appliance *a)
{
	size_t to = 0;

	for (size_t i = 0; i < a->layers; i++)
		if (a->layer[i].kind == APPLIANCE_LUKS)
			a->layer[to++] = a->layer[i];
	a->layers = to;
}

static bool is_open(const struct appliance *a, const char *uuid)
{
	for (size_t i = 0; i < a->layers; i++)
		if (a->layer[i].kind == APPLIANCE_LUKS && !strcmp(a->layer[i].below, uuid))
			return true;
	return false;
}

/* ---- keys: as libguestfs' tools take them, NAME:key:PASSPHRASE and NAME:file:FILE ---- */

/* The passphrase for a volume into ret; *ret_found: there is one. A file's last line end is not part of it. */
static int find_key(const char *key, const char *device, const char *uuid, struct buf *ret, bool *ret_found, struct p2h_error *err)
{
	size_t n = strcspn(key, ":");
	int rc;

	*ret_found = (n == 3 && !strncmp(key, "all", 3)) || (strlen(device) == n && !strncmp(key, device, n)) ||
		     (*uuid && strlen(uuid) == n && !strncasecmp(key, uuid, n));
	if (!strncmp(key + n, ":key:", 5)) {
		if (*ret_found)
			buf_puts(ret, key + n + 5);
		return ret->failed ? error_nomem(err) : 0;
	}
	if (strncmp(key + n, ":file:", 6))
		return error_set(err, P2H_USAGE, "--key %.*s:...: NAME:key:PASSPHRASE or NAME:file:FILE, NAME a device, a UUID or all", (int)n, key);
	if (!*ret_found)
		return 0;
	rc = hostfile_read(key + n + 6, MAX_KEY, ret, err);
	if (!rc && ret->len && ret->data[ret->len - 1] == '\n')
		ret->data[--ret->len] = '\0';
	return rc;
}

static int unlock_with(struct appliance *a, const char *device, const char *uuid, const char *key, bool *ret_opened, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf secret = {0};
	char name[64], mapped[80];
	bool found;
	int rc = find_key(key, device, uuid, &secret, &found, err), errnum;

	if (rc || !found || !secret.len)
		return rc;
	snprintf(name, sizeof(name), "luks-%s", uuid);
	errnum = APPLIANCE_CALL(a, unlock, device, secret.data, name);
	explicit_bzero(secret.data, secret.len);
	if (errnum && !strncmp(key, "all:", 4))
		return 0; /* it need not fit all */
	if (errnum)
		return error_set(err, P2H_USAGE, "--key %.*s:...: this key does not open %s (UUID %s)", (int)strcspn(key, ":"), key, device, uuid);
	snprintf(mapped, sizeof(mapped), "/dev/mapper/%s", name);
	add_layer(a, APPLIANCE_LUKS, mapped, uuid, "", "", 0);
	*ret_opened = true;
	return 0;
}

/* An encrypted volume that is not open yet, with every key that names it. */
static int unlock(struct appliance *a, const char *device, bool *ret_opened, struct p2h_error *err)
{
	struct appliance_content content;
	bool opened = false;
	int rc = 0;

	if (APPLIANCE_CALL(a, content, device, &content) || strcmp(content.type, "crypto_LUKS") || is_open(a, content.uuid))
		return 0;
	for (const char *const *key = a->options.keys; !rc && !opened && key && *key; key++)
		rc = unlock_with(a, device, content.uuid, *key, &opened, err);
	*ret_opened |= opened;
	return rc;
}

/* ---- the layers of all drives ---- */

static int unlock_drive(struct appliance_drive *drive, bool *ret_opened, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < drive->members; i++) {
		struct appliance_place place = {.number = drive->member[i].number};
		char device[128];

		appliance_device(drive, &place, device, sizeof(device));
		rc = unlock(drive->appliance, device, ret_opened, err);
	}
	return rc;
}

static int tell_layers(struct appliance *a, struct p2h_error *err)
{
	int errnum;

	forget_told(a);
	errnum = APPLIANCE_CALL(a, layers, add_layer, a);
	if (errnum)
		return error_set(err, P2H_UNSUPPORTED, "libguestfs cannot assemble what lies in layers: %s", a->calls->message(a->handle));
	return a->no_memory ? error_nomem(err) : 0;
}

/* Until there is nothing more to unlock: a volume group may lie in an encrypted volume, and an encrypted volume in one of its own. */
static int assemble(struct appliance *a, struct p2h_error *err)
{
	int rc = 0;

	for (int depth = 0; !rc && depth < MAX_DEPTH; depth++) {
		bool opened = false;

		for (unsigned i = 0; !rc && !depth && i < a->drives; i++)
			rc = unlock_drive(a->drive[i], &opened, err);
		if (!rc)
			rc = tell_layers(a, err);
		for (size_t i = 0; !rc && i < a->layers; i++) {
			char device[128];

			memcpy(device, a->layer[i].device, sizeof(device)); /* the list may move */
			rc = unlock(a, device, &opened, err);
		}
		if (!rc && !opened)
			break;
	}
	for (size_t i = 0; i < a->layers; i++) /* "" where it has no signature */
		if (APPLIANCE_CALL(a, content, a->layer[i].device, &a->layer[i].content))
			a->layer[i].content = (struct appliance_content){0};
	return rc;
}

static bool has_member(const struct appliance_drive *drive, const char *uuid)
{
	for (size_t i = 0; i < drive->members; i++)
		if (!strcmp(drive->member[i].uuid, uuid))
			return true;
	return false;
}

/* Of all drives; what lies in layers counts as there. */
static unsigned count_members(const struct appliance *a, const char *uuid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->drives; i++)
		for (size_t k = 0; k < a->drive[i]->members; k++)
			n += !strcmp(a->drive[i]->member[k].uuid, uuid);
	for (size_t i = 0; i < a->layers; i++)
		n += !strcmp(a->layer[i].content.uuid, uuid);
	return n;
}

/* Follows a device down to the drives; false: to none of this one. */
static bool look_below(const struct appliance_drive *drive, const char *device, struct appliance_mapped *ret, int depth)
{
	const struct appliance *a = drive->appliance;
	bool here = false;

	for (size_t i = 0; i < a->layers && depth < MAX_DEPTH; i++) {
		const struct layer *l = &a->layer[i];

		if (strcmp(l->device, device))
			continue;
		ret->lvm |= l->kind == APPLIANCE_LVM;
		if (l->kind == APPLIANCE_RAID) {
			memcpy(ret->raid, l->level, sizeof(ret->raid));
			ret->missing = l->devices > count_members(a, l->below) ? l->devices - count_members(a, l->below) : 0;
		}
		ret->encrypted |= l->kind == APPLIANCE_LUKS;
		if (l->kind == APPLIANCE_LUKS && !*ret->luks)
			memcpy(ret->luks, l->below, sizeof(ret->luks));
		here |= has_member(drive, l->below);
		for (size_t k = 0; k < a->layers; k++)
			if (!strcmp(a->layer[k].content.uuid, l->below))
				here |= look_below(drive, a->layer[k].device, ret, depth + 1);
	}
	return here;
}

/* An array "host:0" is /dev/md0, "host:data" /dev/md/data (mdadm(8)); one without a name has the number that its superblock says, here too. */
static void name_mapped(const struct layer *l, struct appliance_mapped *ret)
{
	const char *name = strchr(l->name, ':') ? strchr(l->name, ':') + 1 : l->name;

	if (l->kind != APPLIANCE_RAID || !*name)
		snprintf(ret->name, sizeof(ret->name), "%s", l->device);
	else
		snprintf(ret->name, sizeof(ret->name), "/dev/md%s%.100s", strspn(name, "0123456789") == strlen(name) ? "" : "/", name);
}

static int describe(struct appliance_drive *drive, const struct layer *l, struct appliance_mapped *ret, struct p2h_error *err)
{
	struct appliance *a = drive->appliance;

	memcpy(ret->device, l->device, sizeof(ret->device));
	name_mapped(l, ret);
	if (APPLIANCE_CALL(a, size, l->device, &ret->size))
		return error_set(err, P2H_IO, "%s: %s", ret->name, a->calls->message(a->handle));
	memcpy(ret->type, l->content.type, sizeof(ret->type));
	memcpy(ret->uuid, l->content.uuid, sizeof(ret->uuid));
	memcpy(ret->label, l->content.label, sizeof(ret->label));
	return 0;
}

static int compare_mapped(const void *a, const void *b)
{
	return strcmp(((const struct appliance_mapped *)a)->device, ((const struct appliance_mapped *)b)->device);
}

static bool is_listed(const struct appliance_mapped *list, size_t len, const char *device)
{
	for (size_t i = 0; i < len; i++)
		if (!strcmp(list[i].device, device))
			return true;
	return false;
}

int appliance_mapped(struct appliance_drive *drive, struct appliance_mapped **ret, size_t *ret_len, struct p2h_error *err)
{
	struct appliance *a = drive->appliance;
	CLEANUP_FREE struct appliance_mapped *list = NULL;
	size_t len = 0;
	int rc = appliance_start(a, err);

	if (!rc && !a->assembled)
		rc = assemble(a, err);
	if (rc)
		return rc;
	a->assembled = true;
	list = calloc(a->layers + 1, sizeof(*list));
	if (!list)
		return error_nomem(err);
	for (size_t i = 0; !rc && i < a->layers; i++) {
		struct appliance_mapped *m = &list[len];

		if (is_listed(list, len, a->layer[i].device))
			continue;
		*m = (struct appliance_mapped){0};
		if (!look_below(drive, a->layer[i].device, m, 0))
			continue;
		rc = describe(drive, &a->layer[i], m, err);
		len++;
	}
	if (rc)
		return rc;
	qsort(list, len, sizeof(*list), compare_mapped);
	*ret = TAKE(list);
	*ret_len = len;
	return 0;
}

/* ---- subvolumes ---- */

struct subvolumes {
	struct strlist *paths;
	char *chosen;
};

static void add_subvolume(void *arg, const char *path, bool is_default)
{
	struct subvolumes *s = arg;

	strlist_add(s->paths, path);
	if (is_default && !s->chosen)
		s->chosen = strdup(path);
}

int appliance_subvolumes(struct appliance_drive *drive, const struct appliance_place *place, struct strlist *ret, char **ret_default,
			 struct p2h_error *err)
{
	struct appliance_place top = *place;
	struct appliance_mount *m = NULL;
	struct subvolumes s = {.paths = ret};
	int rc, rc_put;

	top.subvolume = "";
	rc = appliance_mount_get(drive, &top, false, &m, err);
	if (rc)
		return rc;
	rc = appliance_result(m, APPLIANCE_CALL(drive->appliance, subvolumes, m->where, add_subvolume, &s), m->device, err);
	rc_put = appliance_mount_put(m, false, rc ? NULL : err);
	if (!rc && !rc_put && !s.chosen)
		s.chosen = strdup("");
	if (!rc && (ret->failed || !s.chosen))
		rc = error_nomem(err);
	if (rc || rc_put) {
		free(s.chosen);
		return rc ? rc : rc_put;
	}
	strlist_sort(ret);
	*ret_default = s.chosen;
	return 0;
}
