#include "volume/volume.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "volume/probe.h"

void volumes_done(struct volumes *v)
{
	free(v->item);
	*v = (struct volumes){0};
}

const struct volume *volumes_number(const struct volumes *v, unsigned number)
{
	for (size_t i = 0; i < v->len; i++)
		if (v->item[i].number == number)
			return &v->item[i];
	return NULL;
}

int volumes_copy(const struct volumes *from, struct volumes *ret, struct p2h_error *err)
{
	*ret = *from;
	ret->item = calloc(from->len + 1, sizeof(*ret->item));
	if (!ret->item) {
		*ret = (struct volumes){0};
		return error_nomem(err);
	}
	if (from->len)
		memcpy(ret->item, from->item, from->len * sizeof(*ret->item));
	return 0;
}

/* Partitions with something in them are what the kernel will see, whatever superblock an earlier use left on the whole disk. */
static bool table_is_used(const struct volumes *v)
{
	for (size_t i = 1; i < v->len; i++)
		if (v->item[i].content[0])
			return true;
	return false;
}

static int probe_disk(struct disk *d, struct volumes *ret, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes found = {0};
	struct volume *whole;
	int rc;

	found.item = calloc(1, sizeof(*found.item));
	if (!found.item)
		return error_nomem(err);
	found.len = 1;
	found.sector_size = 512;
	found.item[0].len = d->size;
	rc = probe_signature(d, &found.item[0], err);
	if (rc)
		return rc;
	rc = probe_table(d, &found, err);
	for (size_t i = 1; !rc && i < found.len; i++)
		rc = probe_signature(d, &found.item[i], err);
	whole = &found.item[0];
	if (whole->content[0] && (rc == P2H_CORRUPT || (!rc && !table_is_used(&found)))) {
		/* A file system on the whole disk, with a boot sector that only looks like a table. */
		found.table = TABLE_NONE;
		found.table_id[0] = '\0';
		found.len = 1;
		rc = 0;
	} else if (found.table != TABLE_NONE) {
		whole->content[0] = whole->uuid[0] = whole->label[0] = '\0';
	}
	if (rc)
		return rc;
	*ret = found;
	found = (struct volumes){0};
	return 0;
}

#define NUMBERS 1000u /* of each further disk, from VOLUME_FURTHER on */

unsigned volume_number_on(unsigned disk, unsigned partition)
{
	return disk ? VOLUME_FURTHER + NUMBERS * (disk - 1) + partition : partition;
}

unsigned volume_partition(const struct volume *v)
{
	return v->number % NUMBERS;
}

/* What a further disk holds, behind what is there already. */
static int add_further(struct volumes *all, struct disk *d, unsigned disk, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes more = {0};
	const char *between = isdigit((unsigned char)d->device[strlen(d->device) - 1]) ? "p" : "";
	struct volume *bigger;
	int rc = disk > VOLUME_DISKS ? error_set(err, P2H_UNSUPPORTED, "%s: more than %u further disks", d->name, VOLUME_DISKS) : probe_disk(d, &more, err);

	if (rc)
		return rc;
	bigger = reallocarray(all->item, all->len + more.len, sizeof(*bigger));
	if (!bigger)
		return error_nomem(err);
	all->item = bigger;
	for (size_t i = more.table == TABLE_NONE ? 0 : 1; i < more.len; i++) {
		struct volume *v = &bigger[all->len++];

		*v = more.item[i];
		v->disk = disk;
		if (v->number)
			snprintf(v->device, sizeof(v->device), "%.100s%s%u", d->device, between, v->number);
		else
			snprintf(v->device, sizeof(v->device), "%.100s", d->device);
		v->number = volume_number_on(disk, v->number);
	}
	return 0;
}

int volumes_probe(struct disk *d, struct volumes *ret, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes found = {0};
	unsigned disk = 0;
	int rc = probe_disk(d, &found, err);

	while (!rc && (d = d->next))
		rc = add_further(&found, d, ++disk, err);
	if (rc)
		return rc;
	*ret = found;
	found = (struct volumes){0};
	return 0;
}

bool volume_is_mapped(const struct volume *v)
{
	return v->number >= VOLUME_MAPPED && v->number < VOLUME_FURTHER;
}

bool volume_is_elsewhere(const struct volume *v)
{
	return v->number >= VOLUME_MAPPED;
}

bool volume_is_layer(const struct volume *v)
{
	return !strcmp(v->content, "LVM2_member") || !strcmp(v->content, "linux_raid_member") || !strcmp(v->content, "crypto_LUKS");
}

void volume_describe(const struct volume *v, char *buf, size_t size)
{
	if (volume_is_elsewhere(v))
		snprintf(buf, size, "%s", v->device);
	else if (v->number)
		snprintf(buf, size, "partition %u", v->number);
	else
		snprintf(buf, size, "the whole disk");
}

struct disk *volume_disk(struct disk *d, const struct volume *v)
{
	for (unsigned i = 0; i < v->disk && d->next; i++)
		d = d->next;
	return d;
}

int volume_open(struct disk *d, const struct volume *v, struct disk **ret, struct p2h_error *err)
{
	return disk_slice_open(volume_disk(d, v), v->off, v->len, ret, err);
}

/* The letter of a disk in the names that kernels gave one bus after another ("/dev/xvdb1", "/dev/sdb1" -> 'b'), and what follows it; 0: another name. */
static char disk_letter(const char *device, const char **ret_rest)
{
	static const char *const stem[] = {"/dev/xvd", "/dev/sd", "/dev/hd", "/dev/vd"};

	for (size_t i = 0; i < sizeof(stem) / sizeof(stem[0]); i++) {
		size_t n = strlen(stem[i]);

		if (strncmp(device, stem[i], n) || device[n] < 'a' || device[n] > 'z')
			continue;
		*ret_rest = device + n + 1;
		return device[n];
	}
	return 0;
}

bool volume_is_disk_name(const char *device)
{
	unsigned controller, name_space;
	const char *rest;
	char letter = disk_letter(device, &rest), end;

	if (letter)
		return !*rest && letter != 'a';
	return sscanf(device, "/dev/nvme%2un%1u%c", &controller, &name_space, &end) == 2 && controller > 0;
}

/* By the name that it was given, else by its letter: an old kernel's /dev/sdf is the next one's /dev/xvdf. A whole disk may have been attached as xvdf1. */
static const struct volume *find_further(const struct volumes *v, const char *device)
{
	const char *rest, *own_rest;
	char letter = disk_letter(device, &rest);

	for (int pass = 0; pass < 3; pass++)
		for (size_t i = 0; i < v->len; i++) {
			const struct volume *one = &v->item[i];

			if (one->number < VOLUME_FURTHER)
				continue;
			if (pass == 0 ? !strcmp(one->device, device)
				      : letter && disk_letter(one->device, &own_rest) == letter &&
						(pass == 1 ? !strcmp(own_rest, rest) : !*own_rest && !strcmp(rest, "1")))
				return one;
		}
	return NULL;
}

/* "/dev/xvda3", "/dev/sda3", "/dev/hda3", "/dev/vda3", "/dev/nvme0n1p3" -> 3, "/dev/xvda" -> 0; another disk or no disk: -1. */
static int device_number(const char *device)
{
	static const char *const stem[] = {"/dev/xvda", "/dev/sda", "/dev/hda", "/dev/vda", "/dev/xvde", "/dev/nvme0n1"};

	for (size_t i = 0; i < sizeof(stem) / sizeof(stem[0]); i++) {
		size_t n = strlen(stem[i]);
		const char *digits = device + n;

		if (strncmp(device, stem[i], n))
			continue;
		if (!strcmp(stem[i], "/dev/nvme0n1") && *digits == 'p')
			digits++;
		if (!*digits)
			return 0;
		if (strspn(digits, "0123456789") != strlen(digits) || strlen(digits) > 3)
			return -1;
		return atoi(digits);
	}
	return -1;
}

static const struct volume *find_by_tag(const struct volumes *v, const char *tag, const char *value)
{
	CLEANUP_FREE char *bare = strdup(value);
	const struct volume *found = NULL;
	size_t n;

	if (!bare) {
		error_note_nomem();
		return NULL;
	}
	n = strlen(bare); /* UUID="..." is allowed in fstab */
	if (n >= 2 && bare[0] == '"' && bare[n - 1] == '"') {
		memmove(bare, bare + 1, n - 2);
		bare[n - 2] = '\0';
	}
	if (!*bare)
		return NULL;
	for (size_t i = 0; i < v->len; i++) {
		const struct volume *one = &v->item[i];
		bool same = !strcmp(tag, "LABEL") ? !strcmp(one->label, bare)
			  : !strcmp(tag, "PARTLABEL") ? !strcmp(one->part_label, bare)
			  : !strcmp(tag, "UUID")      ? !strcasecmp(one->uuid, bare)
						      : !strcasecmp(one->part_uuid, bare);

		if (!same)
			continue;
		if (found)
			return NULL; /* two of the same name: which one is meant cannot be said */
		found = one;
	}
	return found;
}

/* device-mapper's name of a logical volume "/dev/VG/LV": VG-LV, where a '-' of their own stands twice. */
static bool is_mapper_name(const char *name, const char *lv)
{
	const char *slash;

	if (strncmp(lv, "/dev/", 5) || !(slash = strchr(lv + 5, '/')))
		return false;
	for (const char *c = lv + 5; *c; c++) {
		if (c == slash ? *name++ != '-' : *name++ != *c)
			return false;
		if (c != slash && *c == '-' && *name++ != '-')
			return false;
	}
	return !*name;
}

static bool is_same_array(const char *a, const char *b)
{
	static const char *const dir[] = {"/dev/md/", "/dev/md"};

	for (size_t i = 0; i < 2; i++)
		if (!strncmp(a, dir[i], strlen(dir[i])))
			return !strncmp(b, "/dev/md", 7) && !strcmp(a + strlen(dir[i]), b + (b[7] == '/' ? 8 : 7));
	return false;
}

static const struct volume *find_mapped(const struct volumes *v, const char *device)
{
	for (size_t i = 0; i < v->len; i++) {
		const struct volume *one = &v->item[i];

		if (!volume_is_mapped(one))
			continue;
		if (!strcmp(one->device, device) || is_same_array(one->device, device) ||
		    (one->layers & VOLUME_LVM && !strncmp(device, "/dev/mapper/", 12) && is_mapper_name(device + 12, one->device)))
			return one;
	}
	return NULL;
}

const struct volume *volumes_find(const struct volumes *v, const char *device)
{
	static const char *const tag[] = {"UUID", "LABEL", "PARTUUID", "PARTLABEL"};
	static const char *const dir[] = {"/dev/disk/by-uuid/", "/dev/disk/by-label/", "/dev/disk/by-partuuid/", "/dev/disk/by-partlabel/"};
	const struct volume *further;
	int number;

	for (size_t i = 0; i < sizeof(tag) / sizeof(tag[0]); i++) {
		size_t n = strlen(tag[i]);

		if (!strncmp(device, tag[i], n) && device[n] == '=')
			return find_by_tag(v, tag[i], device + n + 1);
		if (!strncmp(device, dir[i], strlen(dir[i])))
			return find_by_tag(v, tag[i], device + strlen(dir[i]));
	}
	further = find_further(v, device);
	if (further)
		return further;
	number = device_number(device);
	if (number < 0)
		return find_mapped(v, device);
	/* A file system on the whole volume was attached as /dev/xvda1 or /dev/sda1, as EC2 does it, or as the whole device. */
	if (v->table == TABLE_NONE)
		return number <= 1 && v->len ? &v->item[0] : NULL;
	return number ? volumes_number(v, (unsigned)number) : NULL;
}
