#include "inspect/drivers.h"

#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"
#include "parse/unpack.h"

#define MAX_CONFIG (4 * 1024 * 1024u)

const char *const drivers_target_name[DRIVERS_TARGETS] = {"xen-hvm", "nitro", "kvm"};

struct need {
	size_t target;
	const char *module, *config;
	bool if_module; /* only where it is a module: elsewhere part of something else, and in no list */
};

/*
 * xen-hvm: xen-platform-pci unplugs the emulated IDE disk, so that xen-blkfront has to be there; the latter is told by the kernel's xenbus.
 * Linux: drivers/xen/platform-pci.c, drivers/block/xen-blkfront.c, drivers/nvme/host, drivers/block/virtio_blk.c.
 */
static const struct need need[] = {
	{0, "xen_blkfront", "XEN_BLKDEV_FRONTEND", false},
	{0, "xen_platform_pci", "XEN_PLATFORM_PCI", true},
	{1, "nvme", "BLK_DEV_NVME", false},
	{2, "virtio_pci", "VIRTIO_PCI", false},
	{2, "virtio_blk", "VIRTIO_BLK", false},
};

/*
 * Linux: drivers/net/xen-netfront.c, drivers/net/ethernet/amazon/ena, drivers/net/virtio_net.c. On Xen the card of every instance is
 * a vif as long as enhanced networking (ixgbevf) was not switched on for it, and a PV guest could not have it.
 */
const struct network_driver drivers_network[DRIVERS_TARGETS] = {
	{"xen_netfront", "XEN_NETDEV_FRONTEND"},
	{"ena", "ENA_ETHERNET"},
	{"virtio_net", "VIRTIO_NET"},
};

void kernel_drivers_done(struct kernel_drivers *k)
{
	kmodules_done(&k->dep);
	strlist_done(&k->builtin);
	buf_done(&k->dep_text);
	buf_done(&k->config);
}

int kernel_index_read(struct fs *fs, const char *dir, const char *name, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf path = {0};
	int rc;

	buf_printf(&path, "%s/%s", dir, name);
	if (path.failed)
		return error_nomem(err);
	rc = fs_read(fs, path.data, KERNEL_INDEX_MAX, ret, err);
	return rc == P2H_NOTFOUND ? 0 : rc;
}

int kernel_drivers_load(struct fs *fs, const char *modules, const char *config, struct kernel_drivers *ret, struct p2h_error *err)
{
	CLEANUP(kernel_drivers_done) struct kernel_drivers k = {0};
	CLEANUP(buf_done) struct buf builtin = {0};
	int rc = 0;

	if (*modules) {
		rc = kernel_index_read(fs, modules, "modules.dep", &k.dep_text, err);
		if (!rc)
			rc = kernel_index_read(fs, modules, "modules.builtin", &builtin, err);
	}
	if (!rc && *config)
		rc = fs_read(fs, config, MAX_CONFIG, &k.config, err);
	if (!rc)
		rc = kmodules_parse_dep(k.dep_text.data, k.dep_text.len, &k.dep, err);
	if (!rc)
		rc = kmodules_parse_builtin(builtin.data, builtin.len, &k.builtin, err);
	if (rc)
		return rc;
	*ret = k;
	k = (struct kernel_drivers){0};
	return 0;
}

struct unpacked {
	struct buf *to;
	size_t max;
};

static int collect(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err)
{
	const struct unpacked *u = ctx;

	if (len > u->max || u->to->len > u->max - len)
		return error_set(err, P2H_UNSUPPORTED, "more than %zu MiB unpacked", u->max >> 20);
	buf_append(u->to, data, len);
	return u->to->failed ? error_nomem(err) : 0;
}

int kernel_module_read(struct fs *fs, const char *modules, const char *path, bool unpack, size_t max, struct buf *ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf whole = {0}, file = {0};
	struct unpacked u = {ret, max};
	size_t used;
	int rc;

	buf_printf(&file, "%s/%s", modules, path);
	if (file.failed)
		return error_nomem(err);
	if (!unpack)
		return fs_read(fs, file.data, max, ret, err);
	rc = fs_read(fs, file.data, max, &whole, err);
	if (!rc)
		rc = unpack_stream((const uint8_t *)whole.data, whole.len, collect, &u, &used, err);
	return rc ? error_prefix(err, rc, "%s", file.data) : 0;
}

static bool is_builtin(const struct kernel_drivers *k, const char *module, const char *config)
{
	return strlist_has(&k->builtin, module) ||
	       (k->config.len && config && kconfig_get(k->config.data, k->config.len, config) == 'y');
}

static bool is_there(const struct kernel_drivers *k, const struct initramfs *i, const char *module, const char *config)
{
	return is_builtin(k, module, config) || (i && initramfs_loads_module(i, module));
}

bool driver_ready(const struct kernel_drivers *k, const struct initramfs *initramfs, const char *module)
{
	return is_there(k, initramfs, module, NULL);
}

static void add_missing(struct strlist *missing, const char *module)
{
	if (!strlist_has(missing, module))
		strlist_add(missing, module);
}

/* The module itself and all that modules.dep says it needs (that list is transitive already). */
static void check_module(const struct kernel_drivers *k, const struct initramfs *i, const char *module, const char *config,
			 struct strlist *missing)
{
	const struct kmodule *m;

	if (is_builtin(k, module, config))
		return;
	if (!is_there(k, i, module, NULL)) {
		add_missing(missing, module);
		return;
	}
	m = kmodules_find(&k->dep, module);
	for (size_t n = 0; m && n < m->deps.len; n++) {
		char name[64];

		kmodule_name(m->deps.item[n], name, sizeof(name));
		if (!is_there(k, i, name, NULL))
			add_missing(missing, name);
	}
}

/*
 * ext4 serves ext2 and ext3 too where the kernel was built that way; today's kernels have no ext3 module at all. Its checksums come from a soft
 * dependency, which modules.dep does not show.
 */
static void check_root_type(const struct kernel_drivers *k, const struct initramfs *i, const char *type, const struct strlist *features,
			    struct strlist *missing)
{
	bool ext4_serves = !k->config.len || kconfig_get(k->config.data, k->config.len, "EXT4_USE_FOR_EXT2") == 'y';

	if (strcmp(type, "ext4") && is_there(k, i, type, NULL))
		return;
	if (strcmp(type, "ext4") && strcmp(type, "ext3") && (strcmp(type, "ext2") || !ext4_serves)) {
		check_module(k, i, type, NULL, missing);
		return;
	}
	check_module(k, i, "ext4", "EXT4_FS", missing);
	if (strlist_has(features, "metadata_csum") && kmodules_find(&k->dep, "crc32c_generic") &&
	    !is_there(k, i, "crc32c_generic", NULL) && !is_there(k, i, "crc32c_intel", NULL))
		add_missing(missing, "crc32c_generic");
}

/* Linux: drivers/md; the modules have aliases of other names, by which udev and mdadm load them. */
static void check_layers(const struct kernel_drivers *k, const struct initramfs *i, const struct volume *v, struct strlist *missing)
{
	static const struct {
		const char *level, *module, *config;
	} raid[] = {
		{"raid0", "raid0", "MD_RAID0"},      {"raid1", "raid1", "MD_RAID1"},      {"raid10", "raid10", "MD_RAID10"},
		{"raid4", "raid456", "MD_RAID456"},  {"raid5", "raid456", "MD_RAID456"},  {"raid6", "raid456", "MD_RAID456"},
		{"linear", "linear", "MD_LINEAR"},
	};

	if (v->layers & (VOLUME_LVM | VOLUME_LUKS))
		check_module(k, i, "dm_mod", "BLK_DEV_DM", missing);
	if (v->layers & VOLUME_LUKS)
		check_module(k, i, "dm_crypt", "DM_CRYPT", missing);
	for (size_t n = 0; v->layers & VOLUME_RAID && n < sizeof(raid) / sizeof(raid[0]); n++)
		if (!strcmp(v->raid, raid[n].level))
			check_module(k, i, raid[n].module, raid[n].config, missing);
}

int drivers_missing(const struct kernel_drivers *k, const struct initramfs *initramfs, size_t target, const struct drivers_root *root,
		    struct strlist *missing, struct p2h_error *err)
{
	const struct strlist unknown = {0};

	for (size_t n = 0; n < sizeof(need) / sizeof(need[0]); n++)
		if (need[n].target == target && (!need[n].if_module || kmodules_find(&k->dep, need[n].module)))
			check_module(k, initramfs, need[n].module, need[n].config, missing);
	if (root->volume)
		check_layers(k, initramfs, root->volume, missing);
	check_root_type(k, initramfs, root->type, root->features, missing);
	if (initramfs && root->usr && root->usr != root->volume) {
		check_layers(k, initramfs, root->usr, missing);
		check_root_type(k, initramfs, root->usr->content, &unknown, missing);
	}
	return missing->failed ? error_nomem(err) : 0;
}

int drivers_used(size_t target, const char *root_type, struct strlist *ret, struct p2h_error *err)
{
	for (size_t n = 0; n < sizeof(need) / sizeof(need[0]); n++)
		if (need[n].target == target)
			strlist_add(ret, need[n].module);
	strlist_add(ret, drivers_network[target].module);
	strlist_add(ret, strncmp(root_type, "ext", 3) ? root_type : "ext4");
	return ret->failed ? error_nomem(err) : 0;
}
