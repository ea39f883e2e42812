#include "inspect/guest_layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fs/appliance.h"
#include "parse/textconf.h"

#define MAX_CRYPTTAB (1024 * 1024u)

/* Is there anything in layers that the appliance could assemble? */
static bool has_layers(const struct guest *g)
{
	for (size_t i = 0; i < g->volumes.len; i++)
		if (volume_is_layer(&g->volumes.item[i]) && volume_disk(g->disk, &g->volumes.item[i])->drive)
			return true;
	return false;
}

/* What lies on several disks is told of each. */
static bool is_mapped_already(const struct guest *g, const char *mapped)
{
	for (size_t i = 0; i < g->volumes.len; i++)
		if (!strcmp(g->volumes.item[i].mapped, mapped))
			return true;
	return false;
}

static int add_mapped(struct guest *g, unsigned disk, const struct appliance_mapped *m, struct p2h_error *err)
{
	struct volume *bigger, *v;

	if (is_mapped_already(g, m->device))
		return 0;
	bigger = reallocarray(g->volumes.item, g->volumes.len + 1, sizeof(*bigger));
	if (!bigger)
		return error_nomem(err);
	g->volumes.item = bigger;
	v = &bigger[g->volumes.len];
	*v = (struct volume){.number = VOLUME_MAPPED, .disk = disk, .len = m->size};
	v->missing = m->missing;
	v->layers = (m->lvm ? VOLUME_LVM : 0) | (*m->raid ? VOLUME_RAID : 0) | (m->encrypted ? VOLUME_LUKS : 0);
	for (size_t i = 0; i < g->volumes.len; i++)
		v->number += volume_is_mapped(&bigger[i]);
	g->volumes.len++;
	snprintf(v->device, sizeof(v->device), "%s", m->name);
	snprintf(v->mapped, sizeof(v->mapped), "%s", m->device);
	snprintf(v->luks, sizeof(v->luks), "%s", m->luks);
	snprintf(v->raid, sizeof(v->raid), "%s", m->raid);
	snprintf(v->content, sizeof(v->content), "%s", m->type);
	snprintf(v->uuid, sizeof(v->uuid), "%s", m->uuid);
	snprintf(v->label, sizeof(v->label), "%.*s", (int)sizeof(v->label) - 1, m->label);
	return 0;
}

static int find_layers_on(struct guest *g, struct disk *d, unsigned disk, struct p2h_error *err)
{
	CLEANUP_FREE struct appliance_mapped *list = NULL;
	size_t len = 0;
	int rc = d->drive ? appliance_mapped(d->drive, &list, &len, err) : 0;

	if (rc)
		return error_prefix(err, rc, "%s", d->name);
	for (size_t i = 0; !rc && i < len; i++)
		rc = add_mapped(g, disk, &list[i], err);
	return rc;
}

int guest_find_layers(struct guest *g, struct p2h_error *err)
{
	unsigned disk = 0;
	int rc = 0;

	if (g->layers_known || !has_layers(g))
		return 0;
	g->layers_known = true;
	for (struct disk *d = g->disk; !rc && d; d = d->next)
		rc = find_layers_on(g, d, disk++, err);
	return rc;
}

/* crypttab(5): name and device */
int guest_name_encrypted(struct guest *g, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP(strlist_done) struct strlist lines = {0};
	int rc = g->layers_known ? fs_read(g->fs, "/etc/crypttab", MAX_CRYPTTAB, &text, err) : P2H_NOTFOUND;

	if (rc || !text.len)
		return rc == P2H_NOTFOUND ? 0 : rc;
	strlist_split(&lines, text.data, "\n");
	for (size_t i = 0; i < lines.len; i++) {
		CLEANUP(strlist_done) struct strlist words = {0};
		const struct volume *holder;

		strlist_split(&words, lines.item[i], " \t\r");
		holder = words.len > 1 && words.item[0][0] != '#' ? volumes_find(&g->volumes, words.item[1]) : NULL;
		for (size_t n = 0; holder && n < g->volumes.len; n++) {
			struct volume *v = &g->volumes.item[n];

			if (!strcmp(v->luks, holder->uuid) && !strncmp(v->mapped, "/dev/mapper/luks-", 17))
				snprintf(v->device, sizeof(v->device), "/dev/mapper/%.110s", words.item[0]);
		}
		lines.failed |= words.failed;
	}
	return lines.failed ? error_nomem(err) : 0;
}

/* "/dev/vg0/var", "/dev/mapper/...", "/dev/disk/by-uuid/...", "/dev/md0"; not the kernel's name of a disk. */
static bool may_be_mapped(const char *spec)
{
	if (strncmp(spec, "/dev/", 5))
		return !strncmp(spec, "UUID=", 5) || !strncmp(spec, "LABEL=", 6);
	return strchr(spec + 5, '/') || !strncmp(spec + 5, "md", 2);
}

bool guest_misses_layers(const struct guest *g, const struct fstab *table)
{
	if (g->layers_known || !has_layers(g))
		return false;
	for (size_t i = 0; i < table->len; i++) {
		const char *spec = table->item[i].text[FSTAB_SPEC];

		if (may_be_mapped(spec) && !volumes_find(&g->volumes, spec))
			return true;
	}
	return false;
}
