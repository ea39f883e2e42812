/* Questions that several steps ask: of the kernel, its command line, the guest's files, device names. */
#include "verify/context.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "parse/textconf.h"

#define TEXT_LIMIT (1u << 20)

const struct target_facts target_table[TARGETS] = {
	{TARGET_XEN_HVM, "xen-hvm", "xvda", "", "xen_netfront"},
	{TARGET_NITRO, "nitro", "nvme0n1", "p", "ena"},
	{TARGET_KVM, "kvm", "vda", "", "virtio_net"},
};

bool release_ok(const char *release)
{
	if (!*release || *release == '.')
		return false;
	for (const char *c = release; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._-+~:", *c))
			return false;
	return true;
}

bool kernel_older(const struct verify *v, unsigned major, unsigned minor, unsigned patch)
{
	unsigned have[3] = {0};

	if (!v->kernel_ok || sscanf(v->kernel.release, "%5u.%5u.%5u", &have[0], &have[1], &have[2]) < 2)
		return false;
	if (have[0] != major)
		return have[0] < major;
	return have[1] != minor ? have[1] < minor : have[2] < patch;
}

char kernel_config(const struct verify *v, const char *name)
{
	return v->config.len ? kconfig_get(v->config.data, v->config.len, name) : '?';
}

bool cmdline_get(const struct verify *v, const char *name, char *buf, size_t size)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	size_t len = strlen(name);
	bool found = false;

	if (!v->entry)
		return false;
	strlist_split(&words, v->entry->args, " \t");
	for (size_t i = 0; i < words.len; i++) {
		const char *word = words.item[i] + (words.item[i][0] == '"');

		if (strncmp(word, name, len) || word[len] != '=')
			continue;
		word += len + 1;
		word += *word == '"';
		snprintf(buf, size, "%s", word);
		buf[strcspn(buf, "\"")] = '\0';
		found = true;
	}
	return found;
}

bool cmdline_has(const struct verify *v, const char *word)
{
	CLEANUP(strlist_done) struct strlist words = {0};

	if (v->entry)
		strlist_split(&words, v->entry->args, " \t");
	return strlist_has(&words, word);
}

const char *cmdline_blocks(const struct verify *v, const char *module)
{
	static const char *const parameter[] = {"modprobe.blacklist", "module_blacklist", "rd.driver.blacklist", "rdblacklist"};
	CLEANUP(strlist_done) struct strlist words = {0};

	if (v->entry)
		strlist_split(&words, v->entry->args, " \t");
	for (size_t i = 0; i < words.len; i++)
		for (size_t k = 0; k < sizeof parameter / sizeof *parameter; k++) {
			CLEANUP(strlist_done) struct strlist names = {0};
			size_t len = strlen(parameter[k]);

			if (strncmp(words.item[i], parameter[k], len) || words.item[i][len] != '=')
				continue;
			strlist_split(&names, words.item[i] + len + 1, ",");
			for (size_t n = 0; n < names.len; n++) {
				char name[64];

				kmodule_name(names.item[n], name, sizeof name);
				if (!strcmp(name, module))
					return parameter[k];
			}
		}
	return NULL;
}

bool guest_text(struct verify *v, const char *path, struct buf *ret)
{
	struct p2h_error e = {0};

	if (fs_read(v->guest->fs, path, TEXT_LIMIT, ret, &e) == 0)
		return true;
	if (e.code == P2H_NOMEM)
		v->nomem = true;
	return false;
}

/* udev's links by UUID, label and so on say the same as the tags. */
static void device_as_tag(const char *spec, char *buf, size_t size)
{
	static const char *const links[][2] = {
		{"/dev/disk/by-uuid/", "UUID="},
		{"/dev/disk/by-label/", "LABEL="},
		{"/dev/disk/by-partuuid/", "PARTUUID="},
		{"/dev/disk/by-partlabel/", "PARTLABEL="},
	};

	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (!strncmp(spec, links[i][0], strlen(links[i][0]))) {
			snprintf(buf, size, "%s%s", links[i][1], spec + strlen(links[i][0]));
			return;
		}
	snprintf(buf, size, "%s", spec);
}

static unsigned count_tag(const struct verify *v, const char *tag)
{
	const char *value = strchr(tag, '=') + 1;
	unsigned n = 0;

	for (size_t i = 0; i < v->volumes.len; i++) {
		const struct volume *o = &v->volumes.item[i];

		if (!strncmp(tag, "LABEL=", 6))
			n += !strcmp(o->label, value);
		else if (!strncmp(tag, "UUID=", 5))
			n += !strcasecmp(o->uuid, value);
	}
	return n;
}

static bool is_layered(const struct verify *v)
{
	for (size_t i = 0; !v->guest->layers_known && i < v->volumes.len; i++)
		if (volume_is_layer(&v->volumes.item[i]))
			return true;
	return false;
}

static void volume_device(const struct target_facts *t, const struct volume *volume, char *buf, size_t size)
{
	if (volume->number)
		snprintf(buf, size, "/dev/%s%s%u", t->disk, t->separator, volume->number);
	else
		snprintf(buf, size, "/dev/%s", t->disk);
}

static const struct volume *volume_called(const struct verify *v, const struct target_facts *t, const char *name)
{
	char here[64];

	for (size_t i = 0; i < v->volumes.len; i++) {
		volume_device(t, &v->volumes.item[i], here, sizeof here);
		if (!volume_is_elsewhere(&v->volumes.item[i]) && !strcmp(here, name))
			return &v->volumes.item[i];
	}
	return NULL;
}

/* Which name a further disk gets depends on its bus, and on NVMe on the order in which they answer; Xen's are told by the host. */
static bool keeps_name(const struct target_facts *t, const struct volume *further, const char *name)
{
	return t->target == TARGET_XEN_HVM && !strncmp(name, "/dev/xvd", 8) && !strcmp(name, further->device);
}

static enum device_fit device_by_name(const struct verify *v, const char *name, const struct volume **ret, char *why,
				      size_t size)
{
	const struct volume *wanted = volumes_find(&v->volumes, name);
	char here[64];

	for (size_t i = 0; i < TARGETS; i++)
		if (v->targets & target_table[i].target && volume_called(v, &target_table[i], name))
			wanted = volume_called(v, &target_table[i], name);
	if (!wanted) {
		snprintf(why, size, "there is no %s in this image", name);
		return strchr(name + 5, '/') || !strncmp(name, "/dev/md", 7) || !strncmp(name, "/dev/dm-", 8)
			       ? is_layered(v) ? DEVICE_OPAQUE : DEVICE_ABSENT
			       : DEVICE_ABSENT;
	}
	*ret = wanted;
	for (size_t i = 0; !volume_is_mapped(wanted) && i < TARGETS; i++) {
		const struct target_facts *t = &target_table[i];

		if (!(v->targets & t->target) || volume_called(v, t, name) == wanted)
			continue;
		if (volume_is_elsewhere(wanted)) {
			if (keeps_name(t, wanted, name))
				continue;
			snprintf(why, size, "%s has another name on %s: use UUID=%s", name, t->name, wanted->uuid);
			return DEVICE_RENAMED;
		}
		volume_device(t, wanted, here, sizeof here);
		snprintf(why, size, "%s is %s on %s: use UUID=%s", name, here, t->name, wanted->uuid);
		return DEVICE_RENAMED;
	}
	return DEVICE_FITS;
}

enum device_fit device_find(const struct verify *v, const char *spec, const struct volume **ret, char *why, size_t size)
{
	char tag[512];
	unsigned n;

	*ret = NULL;
	device_as_tag(spec, tag, sizeof tag);
	if (!strncmp(tag, "/dev/", 5))
		return device_by_name(v, tag, ret, why, size);
	if (!strchr(tag, '=')) {
		snprintf(why, size, "%s is no device", tag);
		return DEVICE_ABSENT;
	}
	*ret = volumes_find(&v->volumes, tag);
	if (!*ret) {
		snprintf(why, size, "%s is not in this image", tag);
		return is_layered(v) ? DEVICE_OPAQUE : DEVICE_ABSENT;
	}
	n = count_tag(v, tag);
	if (n > 1) {
		snprintf(why, size, "%u volumes answer to %s", n, tag);
		return DEVICE_AMBIGUOUS;
	}
	return DEVICE_FITS;
}
