/* The initramfs and what it can drive: initramfs, initramfs-drivers. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* Kernels unpack only what they were configured for. */
static void judge_packing(struct judgement *j, const char *path, const struct buf *file)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *name, *option;
	} kinds[] = {
		{"\x1f\x8b", 2, "gzip", "RD_GZIP"},     {"\xfd" "7zXZ", 5, "xz", "RD_XZ"},
		{"\x28\xb5\x2f\xfd", 4, "zstd", "RD_ZSTD"}, {"\x02\x21\x4c\x18", 4, "lz4", "RD_LZ4"},
		{"BZh", 3, "bzip2", "RD_BZIP2"},        {"\x5d\x00\x00", 3, "lzma", "RD_LZMA"},
		{"\x89LZO", 4, "lzo", "RD_LZO"},
	};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (file->len > kinds[i].len && !memcmp(file->data, kinds[i].magic, kinds[i].len) &&
		    kernel_config(j->v, kinds[i].option) == 'n')
			judge(j, VERIFY_FAIL, "%s is packed with %s, and %s is built without CONFIG_%s", path, kinds[i].name,
			      j->v->kernel.release, kinds[i].option);
}

static void add_all(struct strlist *to, const struct strlist *from)
{
	for (size_t i = 0; i < from->len; i++)
		strlist_add(to, from->item[i]);
	to->failed |= from->failed;
}

/* What udev's rule files mean for the names of network interfaces, when the card's driver is loaded here. */
static bool renames_net(const struct initramfs *i)
{
	for (size_t k = 0; k < i->members.len; k++)
		if (text_ends_with(i->members.item[k], "/80-net-setup-link.rules") ||
		    text_ends_with(i->members.item[k], "/80-net-name-slot.rules"))
			return true;
	return false;
}

/* Does one of the commands in a unit mount something on the new root's /run? */
static bool has_run_mount(const char *text)
{
	static const char place[] = " /sysroot/run";

	for (const char *at = strstr(text, "mount "); at; at = strstr(at + 1, "mount ")) {
		size_t len = strcspn(at, "&;|'\"\n");
		const char *found = memmem(at, len, place, strlen(place));

		if (found && (found + strlen(place) == at + len || found[strlen(place)] == ' '))
			return true;
	}
	return false;
}

/* Before systemd switches to it, as its own stays behind then. */
static bool mounts_run(const struct initramfs *i)
{
	for (size_t k = 0; k < i->conf_name.len && k < i->conf_text.len; k++)
		if (strstr(i->conf_name.item[k], "/initrd-switch-root.service.d/") && has_run_mount(i->conf_text.item[k]))
			return true;
	return false;
}

/* "modprobe.blacklist=a,b" on the command line. */
static bool blocked_by_cmdline(const struct verify *v, const char *module)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	char given[256], name[64];

	if (!cmdline_get(v, "modprobe.blacklist", given, sizeof given))
		return false;
	strlist_split(&names, given, ",");
	for (size_t i = 0; i < names.len; i++) {
		kmodule_name(names.item[i], name, sizeof name);
		if (!strcmp(name, module))
			return true;
	}
	return false;
}

/* Drivers that are there and are not loaded. */
static void note_blocked(struct verify *v, const struct initramfs *i)
{
	static const char *const drivers[] = {"xen_blkfront", "xen_platform_pci", "nvme", "virtio_blk", "virtio_pci", "xen_netfront", "ena",
					      "virtio_net"};

	for (size_t d = 0; d < sizeof drivers / sizeof *drivers; d++) {
		bool blocked = blocked_by_cmdline(v, drivers[d]);

		for (size_t k = 0; k < i->conf_name.len && k < i->conf_text.len; k++)
			blocked |= !strncmp(i->conf_name.item[k], "etc/modprobe.d/", 15) && modprobe_blocks(i->conf_text.item[k], drivers[d]);
		if (blocked)
			strlist_add(&v->initrd_blocked, drivers[d]);
	}
	v->nomem |= v->initrd_blocked.failed;
}

/* Those that may have to put the root together. */
static void note_programs(struct verify *v, const struct initramfs *i)
{
	static const char *const program[] = {"lvm", "mdadm", "cryptsetup"};

	for (size_t p = 0; p < sizeof program / sizeof *program; p++)
		if (initramfs_has_program(i, program[p]))
			strlist_add(&v->initrd_programs, program[p]);
	if (initramfs_has_member(i, "usr/lib/systemd/systemd-cryptsetup"))
		strlist_add(&v->initrd_programs, "usr/lib/systemd/systemd-cryptsetup");
	v->nomem |= v->initrd_programs.failed;
}

/* Reads one initrd file; adds its module names and versions. */
static bool judge_file(struct judgement *j, const char *name, struct strlist *versions, bool *init)
{
	struct verify *v = j->v;
	CLEANUP_FREE char *path = grub_path(v, name);
	CLEANUP(initramfs_done) struct initramfs parsed = {0};
	CLEANUP(buf_done) struct buf file = {0};
	const struct initramfs *i = &parsed;
	struct p2h_error e = {0}, damage = {0};
	int rc;

	if (!path)
		return false;
	rc = fs_read(v->boot.fs, path, INITRAMFS_FILE_MAX, &file, &e);
	if (!rc && v->known && initramfs_is_of(v->known, file.data, file.len))
		i = v->known;
	else if (!rc)
		rc = initramfs_parse_sound(file.data ? file.data : "", file.len, &parsed, &damage, &e);
	if (rc) {
		judge_error(j, &e, path);
		return false;
	}
	if (damage.code)
		judge(j, VERIFY_WARN, "%s: the kernel stops unpacking behind the first archives: %s", path, damage.msg);
	judge_packing(j, path, &file);
	judge_identity(j, i);
	note_blocked(v, i);
	note_programs(v, i);
	add_all(&v->initrd_modules, &i->modules);
	add_all(&v->initrd_unlisted, &i->unlisted);
	add_all(versions, &i->versions);
	v->nomem |= v->initrd_modules.failed || v->initrd_unlisted.failed || versions->failed;
	*init |= i->init;
	v->initrd_systemd |= i->systemd;
	v->initrd_new_run |= mounts_run(i);
	v->initrd_renames_net |= renames_net(i);
	judge(j, VERIFY_PASS, "%s: %zu archives, %zu modules", path, i->archives, i->modules.len);
	return true;
}

static void judge_initrds(struct judgement *j)
{
	struct verify *v = j->v;
	CLEANUP(strlist_done) struct strlist versions = {0};
	const struct strlist *files = &v->entry->initrd;
	bool init = false, readable = true;

	for (size_t i = 0; i < files->len && !v->nomem; i++)
		readable &= judge_file(j, files->item[i], &versions, &init);
	if (!readable || v->nomem)
		return;
	v->initrd_ok = true;
	strlist_sort(&v->initrd_modules);
	strlist_sort(&v->initrd_unlisted);
	if (!init && !cmdline_get(v, "rdinit", (char[64]){0}, 64))
		judge(j, VERIFY_FAIL, "no /init in %s", files->item[files->len - 1]);
	if (v->initrd_modules.len && !strlist_has(&versions, v->kernel.release))
		judge(j, VERIFY_FAIL, "its modules are for %s, the kernel is %s", versions.len ? versions.item[0] : "no version",
		      v->kernel.release);
}

static void judge_partition_id(struct judgement *j)
{
	const struct verify *v = j->v;
	bool mbr = v->volumes.table == TABLE_MBR;
	const char *option = mbr ? "MSDOS_PARTITION" : "EFI_PARTITION";

	if (mbr && kernel_older(v, 3, 10, 0))
		judge(j, VERIFY_FAIL, "no initramfs, and kernels before 3.10 do not know the partitions of an MBR by PARTUUID=");
	if (kernel_config(v, option) == 'n')
		judge(j, VERIFY_FAIL, "no initramfs, and the kernel is built without CONFIG_%s", option);
}

/* Without an initramfs the kernel itself finds the root: it knows device names and PARTUUID=, and does not wait. */
static void judge_none(struct judgement *j)
{
	struct verify *v = j->v;
	char root[256] = "";

	cmdline_get(v, "root", root, sizeof root);
	if (!strncmp(root, "PARTUUID=", 9))
		judge_partition_id(j);
	if (!strncmp(root, "UUID=", 5) || !strncmp(root, "LABEL=", 6) || !strncmp(root, "/dev/disk/", 10))
		judge(j, VERIFY_FAIL, "no initramfs, and the kernel alone does not know root=%s", root);
	else if (!cmdline_has(v, "rootwait") && !cmdline_get(v, "rootdelay", (char[16]){0}, 16))
		judge(j, VERIFY_WARN, "no initramfs and no rootwait: a disk that appears late is missed");
	if (kernel_config(v, "DEVTMPFS_MOUNT") == 'n' && !fs_exists(v->guest->fs, "/dev/console"))
		judge(j, VERIFY_WARN, "no initramfs, a kernel without CONFIG_DEVTMPFS_MOUNT, and no /dev/console: init starts without a console");
	judge(j, VERIFY_PASS, "none; root=%s", root);
}

void step_initramfs(struct verify *v)
{
	static const char what[] = "the initramfs of the default entry";
	struct judgement j = {.v = v};

	if (!v->entry || !v->boot.volume || !v->kernel_ok) {
		verify_skip(v, "initramfs", what, "there is no kernel");
		return;
	}
	v->initrd_given = v->entry->initrd.len > 0;
	if (v->initrd_given) {
		judge_initrds(&j);
	} else {
		judge_none(&j);
		v->initrd_ok = true;
	}
	judgement_add(&j, "initramfs", what);
}

/* ---- initramfs-drivers ---- */

static bool in_initrd(const struct verify *v, const char *name)
{
	struct initramfs all = {.modules = v->initrd_modules, .unlisted = v->initrd_unlisted};

	return initramfs_loads_module(&all, name);
}

/* Is the driver usable before the root is mounted? why: the reason if it is not. */
static bool driver_ready(const struct verify *v, const char *name, char *why, size_t size)
{
	const struct kmodule *m;

	if (module_builtin(v, name))
		return true;
	if (!in_initrd(v, name)) {
		snprintf(why, size, "%s%s", name, strlist_has(&v->initrd_modules, name) ? " in its modules.dep, by which modprobe finds it" : "");
		return false;
	}
	if (strlist_has(&v->initrd_blocked, name)) {
		snprintf(why, size, "%s that is not blacklisted", name);
		return false;
	}
	m = v->dep_ok ? kmodules_find(&v->modules, name) : NULL;
	for (size_t i = 0; m && i < m->deps.len; i++) {
		char dep[64];

		kmodule_name(m->deps.item[i], dep, sizeof dep);
		if (module_builtin(v, dep) || in_initrd(v, dep))
			continue;
		snprintf(why, size, "%s (for %s)", dep, name);
		return false;
	}
	return true;
}

static void judge_driver(struct judgement *j, const char *name, const char *for_what)
{
	const char *parameter = module_builtin(j->v, name) ? NULL : cmdline_blocks(j->v, name);
	char why[160];

	if (parameter)
		judge(j, VERIFY_FAIL, "the command line keeps %s from being loaded: %s, which %s needs", name, parameter, for_what);
	if (driver_ready(j->v, name, why, sizeof why))
		judge(j, VERIFY_PASS, "%s", name);
	else
		judge(j, VERIFY_FAIL, "%s has no %s, which %s needs", j->v->initrd_given ? "the initramfs" : "the kernel", why,
		      for_what);
}

static void judge_xen(struct judgement *j)
{
	struct verify *v = j->v;

	judge_driver(j, "xen_blkfront", "xen-hvm");
	/* A module in some kernels; elsewhere part of PVHVM support and in no list. */
	if (v->dep_ok && kmodules_find(&v->modules, "xen_platform_pci"))
		judge_driver(j, "xen_platform_pci", "xen-hvm");
	else if (v->config.len && !module_builtin(v, "xen_platform_pci") && kernel_config(v, "XEN_PVHVM") != 'y' &&
		 kernel_config(v, "XEN_PVHVM_GUEST") != 'y')
		judge(j, VERIFY_FAIL, "%s is built without Xen PVHVM support, which xen-hvm needs", v->kernel.release);
}

/* ext4.ko serves the older ones where the kernel is configured so, and today's always serve ext3. */
static bool ext4_serves(const struct verify *v, const char *type)
{
	if (!v->config.len)
		return true;
	if (kernel_config(v, "EXT4_USE_FOR_EXT23") == 'y')
		return true;
	if (!strcmp(type, "ext3"))
		return !kernel_older(v, 4, 3, 0);
	return kernel_config(v, "EXT4_USE_FOR_EXT2") == 'y';
}

/* The file system's own driver, or the newer one that serves it where that one is not there. */
static const char *serving_driver(const struct verify *v, const char *type)
{
	char why[160];

	return (!strcmp(type, "ext2") || !strcmp(type, "ext3")) && !driver_ready(v, type, why, sizeof why) && ext4_serves(v, type) ? "ext4" : type;
}

static void judge_root_driver(struct judgement *j)
{
	struct verify *v = j->v;
	const struct fs_info *info = fs_info(v->guest->fs);
	const char *type = serving_driver(v, *v->root->content ? v->root->content : info->type);

	judge_driver(j, type, "the root file system");
	/* Loaded by a soft dependency, which modules.dep does not show. */
	if (!strcmp(type, "ext4") && strlist_has(&info->features, "metadata_csum") && v->dep_ok &&
	    kmodules_find(&v->modules, "crc32c_generic") && !module_builtin(v, "crc32c_intel") && !in_initrd(v, "crc32c_generic") &&
	    !in_initrd(v, "crc32c_intel"))
		judge(j, VERIFY_FAIL, "the initramfs has no crc32c_generic, which the root file system (metadata_csum) needs");
}

/* What puts the root together before it is mounted: modules, and programs of these names. */
static void judge_layers(struct judgement *j, const struct volume *volume)
{
	static const struct {
		unsigned layer;
		const char *module, *program, *other, *what;
	} layer[] = {
		{VOLUME_LVM, "dm_mod", "lvm", NULL, "the volume group"},
		{VOLUME_RAID, NULL, "mdadm", NULL, "the array"},
		{VOLUME_LUKS, "dm_crypt", "cryptsetup", "usr/lib/systemd/systemd-cryptsetup", "the encrypted volume"},
	};
	struct verify *v = j->v;

	for (size_t i = 0; i < sizeof layer / sizeof *layer; i++) {
		if (!(volume->layers & layer[i].layer))
			continue;
		if (layer[i].module)
			judge_driver(j, layer[i].module, layer[i].what);
		if (!strlist_has(&v->initrd_programs, layer[i].program) && !(layer[i].other && strlist_has(&v->initrd_programs, layer[i].other)))
			judge(j, VERIFY_FAIL, "the initramfs has no %s, which %s needs", layer[i].program, layer[i].what);
	}
	if (!strncmp(volume->raid, "raid", 4))
		judge_driver(j, strchr("456", volume->raid[4]) && !volume->raid[5] ? "raid456" : volume->raid, "the array");
}

/* An initramfs mounts /usr before init starts; without one the system itself does. */
static void judge_usr(struct judgement *j)
{
	struct verify *v = j->v;
	const struct volume *usr = volumes_number(&v->volumes, v->guest->usr_number);
	char why[160];

	if (!v->initrd_given || !usr || usr == v->root)
		return;
	judge_layers(j, usr);
	if (!driver_ready(v, serving_driver(v, usr->content), why, sizeof why))
		judge(j, VERIFY_FAIL, "the initramfs has no %s, which /usr needs", usr->content);
}

void step_initramfs_drivers(struct verify *v)
{
	static const char what[] = "drivers for the root disk before it is mounted";
	struct judgement j = {.v = v};

	if (!v->kernel_ok || !v->initrd_ok) {
		verify_skip(v, "initramfs-drivers", what, v->kernel_ok ? "the initramfs is not readable" : "there is no kernel");
		return;
	}
	if (v->targets & TARGET_XEN_HVM)
		judge_xen(&j);
	if (v->targets & TARGET_NITRO)
		judge_driver(&j, "nvme", "nitro");
	if (v->targets & TARGET_KVM) {
		judge_driver(&j, "virtio_blk", "kvm");
		judge_driver(&j, "virtio_pci", "kvm");
	}
	judge_layers(&j, v->root);
	judge_root_driver(&j);
	judge_usr(&j);
	judgement_add(&j, "initramfs-drivers", what);
}
