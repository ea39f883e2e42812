#include "inspect/drivers.h"

#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"
#include "parse/textconf.h"

#define MAX_INDEX (16 * 1024 * 1024u)
#define MAX_CONFIG (4 * 1024 * 1024u)

const char *const drivers_target_name[DRIVERS_TARGETS] = {"xen-hvm", "nitro", "kvm"};

struct need {
	size_t target;
	const char *module, *config;
};

/*
 * xen-hvm: xen-platform-pci unplugs the emulated IDE disk, so that xen-blkfront has to be there; the latter is told by the kernel's xenbus.
 * Linux: drivers/xen/platform-pci.c, drivers/block/xen-blkfront.c, drivers/nvme/host, drivers/block/virtio_blk.c.
 */
static const struct need need[] = {
	{0, "xen_blkfront", "XEN_BLKDEV_FRONTEND"},
	{1, "nvme", "BLK_DEV_NVME"},
	{2, "virtio_pci", "VIRTIO_PCI"},
	{2, "virtio_blk", "VIRTIO_BLK"},
};

struct kernel_parts {
	const struct initramfs *initramfs;
	struct kmodules dep;
	struct strlist builtin;
	struct buf config;
};

static void kernel_parts_done(struct kernel_parts *k)
{
	kmodules_done(&k->dep);
	strlist_done(&k->builtin);
	buf_done(&k->config);
}

static int read_optional(struct fs *fs, const char *dir, const char *name, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf path = {0};
	int rc;

	buf_printf(&path, "%s/%s", dir, name);
	if (path.failed)
		return error_nomem(err);
	rc = fs_read(fs, path.data, MAX_INDEX, ret, err);
	return rc == P2H_NOTFOUND ? 0 : rc;
}

static int load(struct fs *fs, const char *modules, const char *config, struct kernel_parts *k, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf dep = {0}, builtin = {0};
	int rc = 0;

	if (*modules) {
		rc = read_optional(fs, modules, "modules.dep", &dep, err);
		if (!rc)
			rc = read_optional(fs, modules, "modules.builtin", &builtin, err);
	}
	if (!rc && *config)
		rc = fs_read(fs, config, MAX_CONFIG, &k->config, err);
	if (!rc)
		rc = kmodules_parse_dep(dep.data, dep.len, &k->dep, err);
	if (!rc)
		rc = kmodules_parse_builtin(builtin.data, builtin.len, &k->builtin, err);
	return rc;
}

static bool is_builtin(const struct kernel_parts *k, const char *module, const char *config)
{
	return strlist_has(&k->builtin, module) ||
	       (k->config.len && config && kconfig_get(k->config.data, k->config.len, config) == 'y');
}

static bool in_initramfs(const struct kernel_parts *k, const char *module)
{
	return k->initramfs && initramfs_has_module(k->initramfs, module);
}

/* The module itself and all that modules.dep says it needs (that list is transitive already). */
static void check_module(const struct kernel_parts *k, const char *module, const char *config, struct strlist *missing)
{
	const struct kmodule *m;

	if (is_builtin(k, module, config))
		return;
	if (!in_initramfs(k, module)) {
		strlist_add(missing, module);
		return;
	}
	m = kmodules_find(&k->dep, module);
	for (size_t i = 0; m && i < m->deps.len; i++) {
		char name[64];

		kmodule_name(m->deps.item[i], name, sizeof(name));
		if (!is_builtin(k, name, NULL) && !in_initramfs(k, name) && !strlist_has(missing, name))
			strlist_add(missing, name);
	}
}

/* ext4 serves ext2 and ext3 too where the kernel was built that way; today's kernels have no ext3 module at all. */
static void check_root_type(const struct kernel_parts *k, const char *type, struct strlist *missing)
{
	bool ext4_serves = !k->config.len || kconfig_get(k->config.data, k->config.len, "EXT4_USE_FOR_EXT2") == 'y';

	if (strcmp(type, "ext4") && (in_initramfs(k, type) || is_builtin(k, type, NULL)))
		return;
	if (!strcmp(type, "ext4") || !strcmp(type, "ext3") || (!strcmp(type, "ext2") && ext4_serves))
		check_module(k, "ext4", "EXT4_FS", missing);
	else
		check_module(k, type, NULL, missing);
}

int drivers_missing(struct fs *fs, const char *modules, const char *config, const struct initramfs *initramfs, size_t target,
		    const char *root_type, struct strlist *missing, struct p2h_error *err)
{
	CLEANUP(kernel_parts_done) struct kernel_parts k = {.initramfs = initramfs};
	int rc = load(fs, modules, config, &k, err);

	if (rc)
		return rc;
	for (size_t i = 0; i < sizeof(need) / sizeof(need[0]); i++)
		if (need[i].target == target)
			check_module(&k, need[i].module, need[i].config, missing);
	check_root_type(&k, root_type, missing);
	return missing->failed ? error_nomem(err) : 0;
}
