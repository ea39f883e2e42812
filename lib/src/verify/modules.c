/* The kernel's module tree in the guest: modules, network-driver. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/modprobe.h"
#include "parse/kmodindex.h"

#define INDEX_LIMIT (16u << 20)
#define INDEX_MAGIC "\xb0\x07\xf4\x57" /* kmod: libkmod/libkmod-index.c */
#define MODPROBE_FILES 500u

/* A module file, split for going through the tree directory by directory. */
struct module_file {
	const char *path;
	size_t dir_len;
};

void modules_load(struct verify *v)
{
	CLEANUP(buf_done) struct buf dep = {0}, builtin = {0};
	struct p2h_error e = {0};
	char path[128];
	int rc;

	if (asprintf(&v->modules_dir, "/lib/modules/%s", v->kernel.release) < 0) {
		v->modules_dir = NULL;
		v->nomem = true;
		return;
	}
	snprintf(path, sizeof path, "%s/modules.dep", v->modules_dir);
	rc = fs_read(v->guest->fs, path, INDEX_LIMIT, &dep, &e);
	if (rc == 0)
		rc = kmodules_parse_dep(dep.data ? dep.data : "", dep.len, &v->modules, &e);
	v->dep_ok = rc == 0;
	v->nomem |= rc == P2H_NOMEM;
	snprintf(path, sizeof path, "%s/modules.builtin", v->modules_dir);
	rc = fs_read(v->guest->fs, path, INDEX_LIMIT, &builtin, &e);
	if (rc == 0)
		rc = kmodules_parse_builtin(builtin.data ? builtin.data : "", builtin.len, &v->builtin, &e);
	v->builtin_ok = rc == 0;
	v->nomem |= rc == P2H_NOMEM;
}

/* The option that builds a driver in; kernels' modules.builtin does not always exist. */
static const char *driver_option(const char *name)
{
	static const char *const options[][2] = {
		{"xen_blkfront", "XEN_BLKDEV_FRONTEND"},
		{"xen_netfront", "XEN_NETDEV_FRONTEND"},
		{"xen_platform_pci", "XEN_PLATFORM_PCI"},
		{"nvme", "BLK_DEV_NVME"},
		{"virtio_blk", "VIRTIO_BLK"},
		{"virtio_pci", "VIRTIO_PCI"},
		{"virtio_net", "VIRTIO_NET"},
		{"ena", "ENA_ETHERNET"},
		{"ext4", "EXT4_FS"},
		{"ext3", "EXT3_FS"},
		{"ext2", "EXT2_FS"},
		{"xfs", "XFS_FS"},
		{"btrfs", "BTRFS_FS"},
		{"jfs", "JFS_FS"},
		{"reiserfs", "REISERFS_FS"},
		{"vfat", "VFAT_FS"},
	};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++)
		if (!strcmp(options[i][0], name))
			return options[i][1];
	return NULL;
}

bool module_builtin(const struct verify *v, const char *name)
{
	const char *option = driver_option(name);

	return strlist_has(&v->builtin, name) || (option && kernel_config(v, option) == 'y');
}

/* "blacklist ena", "install ena /bin/true": the module is there but is never loaded. ret: "blacklist", "install" or NULL. */
const char *modprobe_blocks(const char *text, const char *module)
{
	const char *found = NULL;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		char verb[16], name[64], command[64] = "", plain[64];

		if (sscanf(line, "%*[ \t]%15[a-z]%*[ \t]%63[^ \t\n]%*[ \t]%63[^ \t\n]", verb, name, command) < 2 &&
		    sscanf(line, "%15[a-z]%*[ \t]%63[^ \t\n]%*[ \t]%63[^ \t\n]", verb, name, command) < 2)
			continue;
		kmodule_name(name, plain, sizeof plain);
		if (strcmp(plain, module))
			continue;
		if (!strcmp(verb, "blacklist"))
			found = "blacklisted";
		else if (!strcmp(verb, "install") && (strstr(command, "/true") || strstr(command, "/false") ||
						      !strcmp(command, ":")))
			found = "disabled by an install line";
	}
	return found;
}

/* ---- modules ---- */

static int compare_files(const void *a, const void *b)
{
	const struct module_file *x = a, *y = b;
	size_t shorter = x->dir_len < y->dir_len ? x->dir_len : y->dir_len;
	int order = strncmp(x->path, y->path, shorter);

	if (order)
		return order;
	if (x->dir_len != y->dir_len)
		return x->dir_len < y->dir_len ? -1 : 1;
	return strcmp(x->path + x->dir_len, y->path + y->dir_len);
}

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

/* Is it a network driver of a target, which the initramfs does not bring? */
static bool needed_later(const struct verify *v, const char *file)
{
	struct initramfs initrd = {.modules = v->initrd_modules};
	char name[64];

	kmodule_name(file, name, sizeof name);
	for (size_t i = 0; i < TARGETS; i++)
		if (v->targets & target_table[i].target && !strcmp(target_table[i].net, name))
			return !initramfs_has_module(&initrd, name);
	return false;
}

/* Reads each directory once: a stat by path for thousands of modules would take longer than the rest of verify. */
static void judge_files(struct judgement *j)
{
	struct verify *v = j->v;
	CLEANUP_FREE struct module_file *file = calloc(v->modules.len + 1, sizeof *file);
	CLEANUP(strlist_done) struct strlist names = {0};
	const struct module_file *dir = NULL;
	size_t missing = 0;

	if (!file) {
		v->nomem = true;
		return;
	}
	for (size_t i = 0; i < v->modules.len; i++) {
		const char *path = v->modules.item[i].path, *slash = strrchr(path, '/');

		file[i] = (struct module_file){path, slash ? (size_t)(slash - path) + 1 : 0};
	}
	qsort(file, v->modules.len, sizeof *file, compare_files);
	for (size_t i = 0; i < v->modules.len && !v->nomem; i++) {
		const struct module_file *f = &file[i];

		if (!dir || dir->dir_len != f->dir_len || strncmp(dir->path, f->path, f->dir_len)) {
			CLEANUP_FREE char *path = NULL;

			strlist_done(&names);
			if (asprintf(&path, "%s%s%.*s", *f->path == '/' ? "" : v->modules_dir, *f->path == '/' ? "" : "/",
				     (int)f->dir_len, f->path) < 0) {
				path = NULL;
				v->nomem = true;
				return;
			}
			if (fs_list(v->guest->fs, path, &names, NULL))
				strlist_done(&names);
			v->nomem |= names.failed;
			dir = f;
		}
		if (names.len && bsearch(f->path + f->dir_len, names.item, names.len, sizeof *names.item, compare_name))
			continue;
		judge(j, needed_later(v, f->path + f->dir_len) ? VERIFY_FAIL : VERIFY_WARN, "%s/%s is missing", v->modules_dir, f->path);
		missing++;
	}
	if (missing * 2 > v->modules.len)
		judge(j, VERIFY_FAIL, "%zu of %zu modules are missing", missing, v->modules.len);
}

/* Old module-init-tools and busybox read modules.dep, kmod the .bin index beside it, which has to say the same. */
static void judge_index(struct judgement *j, const struct facts_modprobe *modprobe)
{
	struct verify *v = j->v;
	enum verify_result bad = modprobe->kind == MODPROBE_KMOD || modprobe->kind == MODPROBE_NONE ? VERIFY_FAIL : VERIFY_WARN;
	CLEANUP(buf_done) struct buf bin = {0};
	const char *unknown = NULL;
	struct p2h_error e = {0};
	char path[128];

	snprintf(path, sizeof path, "%s/modules.dep.bin", v->modules_dir);
	if (fs_read(v->guest->fs, path, INDEX_LIMIT, &bin, &e)) {
		v->nomem |= e.code == P2H_NOMEM;
		judge(j, bad, "%s is missing or unreadable: run depmod", path);
		return;
	}
	if (bin.len < 4 || memcmp(bin.data, INDEX_MAGIC, 4)) {
		judge(j, bad, "%s is no module index: run depmod", path);
		return;
	}
	for (size_t i = 0; i < v->modules.len; i++) {
		const struct kmodule *m = &v->modules.item[i];
		const char *line = kmodindex_find(bin.data, bin.len, m->name);
		size_t len = strlen(m->path), end = line ? strcspn(line, ":") : 0;

		/* Of several with one name depmod lists one. */
		if (kmodules_find(&v->modules, m->name) != m)
			continue;
		if (!line)
			unknown = m->name;
		else if (end < len || memcmp(line + end - len, m->path, len))
			judge(j, bad, "%s does not lead to %s: run depmod", path, m->path);
	}
	if (unknown)
		judge(j, VERIFY_WARN, "%s does not know all modules, %s among others: run depmod", path, unknown);
}

static void judge_compression(struct judgement *j, const struct facts_modprobe *modprobe)
{
	struct verify *v = j->v;

	for (size_t i = 0; i < v->modules.len; i++) {
		const char *path = v->modules.item[i].path, *packing = kmodule_packing(path, strlen(path));

		if (packing && !modprobe_reads(modprobe, packing)) {
			judge(j, VERIFY_WARN, "modules are compressed (.ko.%s), which the guest's %s cannot read", packing, modprobe->path);
			return;
		}
	}
}

static void judge_loading(struct judgement *j)
{
	CLEANUP(arena_done) struct arena arena = {0};
	struct facts_modprobe modprobe;
	struct p2h_error e = {0};

	if (read_modprobe(j->v->guest->fs, &arena, &modprobe, &e)) {
		judge_error(j, &e, "modprobe");
		return;
	}
	judge_index(j, &modprobe);
	judge_compression(j, &modprobe);
}

void step_modules(struct verify *v)
{
	struct judgement j = {.v = v};

	if (!v->kernel_ok) {
		verify_skip(v, "modules", "the kernel's modules", "there is no kernel");
		return;
	}
	if (kernel_config(v, "MODULES") == 'n') {
		judge(&j, VERIFY_PASS, "%s is built without modules", v->kernel.release);
	} else if (!fs_is_dir(v->guest->fs, v->modules_dir)) {
		judge(&j, VERIFY_FAIL, "there is no %s", v->modules_dir);
	} else if (!v->dep_ok) {
		judge(&j, VERIFY_FAIL, "%s/modules.dep is missing or unreadable", v->modules_dir);
	} else {
		judge_files(&j);
		judge_loading(&j);
		judge(&j, VERIFY_PASS, "%s: %zu modules, all there", v->modules_dir, v->modules.len);
	}
	judgement_add(&j, "modules", "the kernel's modules");
}

/* ---- network-driver ---- */

static void judge_blocked(struct judgement *j, const char *module)
{
	static const char *const dirs[] = {"/etc/modprobe.d", "/lib/modprobe.d", "/etc/modprobe.conf"};
	struct verify *v = j->v;
	struct initramfs initrd = {.modules = v->initrd_modules};
	bool early = initramfs_has_module(&initrd, module) && !strlist_has(&v->initrd_blocked, module);

	for (size_t d = 0; d < sizeof dirs / sizeof *dirs; d++) {
		CLEANUP(strlist_done) struct strlist names = {0};

		if (fs_is_dir(v->guest->fs, dirs[d])) {
			if (fs_list(v->guest->fs, dirs[d], &names, NULL))
				continue;
		} else {
			strlist_add(&names, "");
		}
		for (size_t i = 0; i < names.len && i < MODPROBE_FILES; i++) {
			CLEANUP(buf_done) struct buf text = {0};
			const char *how, *name = names.item[i], *dot = strrchr(name, '.');
			char path[512];

			if (dot && strcmp(dot, ".conf"))
				continue; /* what a package manager left behind; modprobe does not read it either */
			snprintf(path, sizeof path, "%s%s%.400s", dirs[d], *name ? "/" : "", name);
			if (!guest_text(v, path, &text) || !text.len)
				continue;
			how = modprobe_blocks(text.data, module);
			/* The initramfs has files of its own, and its udev loads what it finds. */
			if (how)
				judge(j, early ? VERIFY_WARN : VERIFY_FAIL, "%s is %s in %s", module, how, path);
		}
	}
}

void step_network_driver(struct verify *v)
{
	static const char what[] = "drivers for the target's network cards";
	struct judgement j = {.v = v};

	if (!v->kernel_ok || (!v->dep_ok && kernel_config(v, "MODULES") != 'n')) {
		verify_skip(v, "network-driver", what, v->kernel_ok ? "there is no modules.dep" : "there is no kernel");
		return;
	}
	for (size_t i = 0; i < TARGETS; i++) {
		const struct target_facts *t = &target_table[i];

		if (!(v->targets & t->target))
			continue;
		if (module_builtin(v, t->net)) {
			judge(&j, VERIFY_PASS, "%s (built in)", t->net);
		} else if (v->dep_ok && kmodules_find(&v->modules, t->net)) {
			judge_blocked(&j, t->net);
			if (cmdline_blocks(v, t->net))
				judge(&j, VERIFY_FAIL, "%s is kept from being loaded by %s= on the command line", t->net, cmdline_blocks(v, t->net));
			judge(&j, VERIFY_PASS, "%s", t->net);
		} else {
			judge(&j, VERIFY_FAIL, "%s has no %s, which %s needs", v->kernel.release, t->net, t->name);
		}
	}
	judgement_add(&j, "network-driver", what);
}
