#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "parse/kimage.h"
#include "parse/textconf.h"

#define HEAD 65536u
#define MAX_CONFIG (4 * 1024 * 1024u)
#define MAX_KERNELS 256

static const char *first_existing(struct fs *fs, struct arena *a, const char *const *format, const char *release)
{
	for (; *format; format++) {
		struct fs_stat st;
		CLEANUP(buf_done) struct buf path = {0};
		const char *mark = strchr(*format, '@');

		buf_append(&path, *format, (size_t)(mark - *format));
		buf_printf(&path, "%s%s", release, mark + 1);
		if (!path.failed && !fs_stat(fs, path.data, &st, NULL) && S_ISREG(st.mode) && st.size)
			return arena_strdup(a, path.data);
	}
	return "";
}

/* SUSE: /boot/vmlinuz-xen -> vmlinuz-2.6.32.12-0.7-xen, which is listed under its own name. */
static bool is_second_name(struct fs *fs, const char *path, const struct strlist *names)
{
	CLEANUP_FREE char *target = NULL;

	return !fs_readlink(fs, path, &target, NULL) && strlist_has(names, target);
}

/* Kernels of classic Xen (XenLinux) and those built without any of the hardware a full virtual machine has. */
static const char *pv_only(struct fs *fs, const struct facts_kernel *k)
{
	CLEANUP(buf_done) struct buf config = {0};
	size_t n = strlen(k->release);

	if (*k->config && !fs_read(fs, k->config, MAX_CONFIG, &config, NULL)) {
		if (kconfig_get(config.data, config.len, "XEN_UNPRIVILEGED_GUEST") != 'n' ||
		    kconfig_get(config.data, config.len, "X86_XEN") != 'n' ||
		    kconfig_get(config.data, config.len, "X86_64_XEN") != 'n')
			return "a classic Xen kernel: boots paravirtual only";
		return NULL;
	}
	if (strstr(k->release, "xenU") || (n > 3 && !strcmp(k->release + n - 3, "xen")) || strstr(k->release, "-ec2"))
		return "a Xen kernel by its name, and no configuration says otherwise";
	return NULL;
}

static int read_one(struct fs *fs, struct arena *a, const char *image, const char *release, struct facts_kernel *k,
		    struct p2h_error *err)
{
	static const char *const initrd[] = {"/boot/initrd.img-@", "/boot/initramfs-@.img", "/boot/initrd-@.img", "/boot/initrd-@", NULL};
	static const char *const config[] = {"/boot/config-@", "/lib/modules/@/config", NULL};
	static const char *const map[] = {"/boot/System.map-@", "/lib/modules/@/System.map", NULL};
	CLEANUP_FREE char *head = malloc(HEAD), *modules = NULL;
	CLEANUP(buf_done) struct buf dir = {0};
	struct fs_file *file = NULL;
	struct kimage image_facts;
	struct fs_stat st;
	size_t got = 0;
	int rc;

	*k = (struct facts_kernel){.image = arena_strdup(a, image), .release = arena_strdup(a, release), .modules = ""};
	k->initrd = first_existing(fs, a, initrd, release);
	k->config = first_existing(fs, a, config, release);
	k->system_map = first_existing(fs, a, map, release);
	buf_printf(&dir, "/lib/modules/%s", release);
	if (!head || dir.failed || a->failed)
		return error_nomem(err);
	if (fs_is_dir(fs, dir.data) && !fs_realpath(fs, dir.data, &modules, NULL))
		k->modules = arena_strdup(a, modules);
	rc = fs_stat(fs, image, &st, err);
	if (!rc)
		rc = fs_open(fs, image, &file, err);
	if (!rc)
		rc = fs_pread(file, head, 0, HEAD, &got, err);
	if (!rc)
		rc = fs_file_close(file, err);
	else
		fs_file_close(file, NULL);
	if (rc)
		return error_prefix(err, rc, "%s", image);
	rc = kimage_parse(head, got, st.size, &image_facts, err);
	if (rc == P2H_NOMEM)
		return rc;
	if (rc) {
		k->why_not = "not a Linux kernel image";
	} else if (image_facts.kind == KIMAGE_ELF) {
		k->why_not = "an ELF image without boot header: boots paravirtual only";
	} else if (image_facts.expected_size > st.size) {
		k->why_not = "the image is cut short";
	} else {
		k->is_64bit = image_facts.is_64bit_known ? image_facts.is_64bit : strstr(release, "64") != NULL;
		k->why_not = pv_only(fs, k);
		k->hvm = !k->why_not;
	}
	return a->failed ? error_nomem(err) : 0;
}

static int newest_first(const void *a, const void *b)
{
	return strverscmp(((const struct facts_kernel *)b)->release, ((const struct facts_kernel *)a)->release);
}

int read_kernels(struct fs *fs, struct arena *a, struct facts_kernels *ret, struct p2h_error *err)
{
	static const char *const prefix[] = {"vmlinuz-", "vmlinux-", "kernel-"};
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc;

	if (!fs_is_dir(fs, "/boot"))
		return 0;
	rc = fs_list(fs, "/boot", &names, err);
	for (size_t i = 0; !rc && i < names.len; i++) {
		const char *name = names.item[i];

		for (size_t p = 0; !rc && p < 3; p++) {
			size_t n = strlen(prefix[p]);
			CLEANUP(buf_done) struct buf path = {0};
			struct facts_kernel *k;
			struct fs_stat st;

			if (strncmp(name, prefix[p], n) || !name[n] || strstr(name, "rescue"))
				continue;
			buf_printf(&path, "/boot/%s", name);
			if (path.failed)
				return error_nomem(err);
			if (fs_stat(fs, path.data, &st, NULL) || !S_ISREG(st.mode) || is_second_name(fs, path.data, &names))
				continue;
			if (ret->len == MAX_KERNELS)
				return error_set(err, P2H_UNSUPPORTED, "/boot: more than %d kernels", MAX_KERNELS);
			k = arena_push(a, &ret->item, &ret->len, sizeof(*k));
			if (!k)
				return error_nomem(err);
			rc = read_one(fs, a, path.data, name + n, k, err);
		}
	}
	if (!rc && ret->len)
		qsort(ret->item, ret->len, sizeof(*ret->item), newest_first);
	return rc;
}

bool release_before(const char *release, unsigned major, unsigned minor)
{
	unsigned a, b;

	return sscanf(release, "%u.%u", &a, &b) == 2 && (a != major ? a < major : b < minor);
}
