#include <fnmatch.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"

#define MAX_TEXT (1024 * 1024u)       /* of one file */
#define MAX_ALL_TEXT (16 * 1024 * 1024u) /* of all together */
#define MAX_FILES 1024 /* files, and directories on the way to them */

/* In each component * and ? are as in the shell; a component without them is taken as it is. */
static const char *const pattern[] = {
	"/boot/extlinux.conf",
	"/boot/extlinux/extlinux.conf",
	"/boot/grub/device.map",
	"/boot/grub/grub.cfg",
	"/boot/grub/grub.conf",
	"/boot/grub/grubenv",
	"/boot/grub/menu.lst",
	"/boot/grub2/device.map",
	"/boot/grub2/grub.cfg",
	"/boot/grub2/grubenv",
	"/boot/loader/entries/*.conf",
	"/etc/NetworkManager/system-connections/*",
	"/etc/cgconfig.conf",
	"/etc/crypttab",
	"/etc/default/extlinux",
	"/etc/default/grub",
	"/etc/default/grub.d/*.cfg",
	"/etc/dracut.conf",
	"/etc/dracut.conf.d/*.conf",
	"/etc/event.d/*",
	"/etc/fstab",
	"/etc/init/*.conf",
	"/etc/initramfs-tools/modules",
	"/etc/inittab",
	"/etc/kernel-img.conf",
	"/etc/kernel/cmdline",
	"/etc/lvm/lvm.conf",
	"/etc/lvm/lvmlocal.conf",
	"/etc/mdadm.conf",
	"/etc/mdadm/mdadm.conf",
	"/etc/mkinitcpio.conf",
	"/etc/modprobe.conf",
	"/etc/modprobe.d/*",
	"/etc/modprobe.preload",
	"/etc/modules",
	"/etc/modules-load.d/*.conf",
	"/etc/netplan/*.yaml",
	"/etc/network/interfaces",
	"/etc/network/interfaces.d/*",
	"/etc/os-release",
	"/etc/rc.d/rc.modules",
	"/etc/rc.modules",
	"/etc/securetty",
	"/etc/sysconfig/bootloader",
	"/etc/sysconfig/init",
	"/etc/sysconfig/kernel",
	"/etc/sysconfig/modules/*.modules",
	"/etc/sysconfig/network-scripts/ifcfg-*",
	"/etc/sysconfig/network/ifcfg-*",
	"/etc/sysctl.conf",
	"/etc/sysctl.d/*.conf",
	"/etc/systemd/network/*",
	"/etc/systemd/system/*.wants/*getty*",
	"/etc/udev/rules.d/*net_persistent_names*.rules",
	"/etc/udev/rules.d/*persistent-net*.rules",
	"/lib/modprobe.d/*.conf",
	"/usr/lib/os-release",
};

/* The same for files that rules only look at, or remove: one that is too large is there, but without its text. */
static const char *const looked_at[] = {
	"/etc/blkid.tab",
	"/etc/blkid/blkid.tab",
	"/etc/cloud/cloud.cfg",
	"/etc/cloud/cloud.cfg.d/*.cfg",
	"/etc/dnf/dnf.conf",
	"/etc/firewalld/firewalld.conf",
	"/etc/grub.d/*",
	"/etc/ip6tables.rules",
	"/etc/iptables.rules",
	"/etc/iptables.up.rules",
	"/etc/iptables/*",
	"/etc/lilo.conf",
	"/etc/lvm/cache/.cache",
	"/etc/lvm/devices/system.devices",
	"/etc/network/if-pre-up.d/*",
	"/etc/network/if-up.d/*",
	"/etc/rc.d/rc.local",
	"/etc/rc.local",
	"/etc/sysconfig/ip6tables",
	"/etc/sysconfig/iptables",
	"/etc/ufw/*.rules",
	"/etc/ufw/ufw.conf",
	"/etc/yum.conf",
	"/etc/zypp/locks",
	"/lib/ufw/user*.rules",
};

struct budget {
	size_t text, matches;
	bool may_pass_over;
};

static int add_file(struct fs *fs, struct facts *f, const char *path, size_t limit, struct budget *spent, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct facts_file *file;
	struct fs_stat st;
	int rc = fs_lstat(fs, path, &st, err);

	if (rc == P2H_NOTFOUND)
		return 0;
	if (rc)
		return rc;
	if (!S_ISREG(st.mode) && !S_ISLNK(st.mode))
		return 0;
	file = arena_push(&f->arena, &f->file, &f->files, sizeof(*file));
	if (!file)
		return error_nomem(err);
	*file = (struct facts_file){.path = arena_strdup(&f->arena, path), .target = "", .text = ""};
	if (S_ISLNK(st.mode)) {
		CLEANUP_FREE char *target = NULL;

		rc = fs_readlink(fs, path, &target, err);
		if (rc)
			return rc;
		file->is_link = true;
		file->target = arena_strdup(&f->arena, target);
		if (fs_stat(fs, path, &st, NULL) || !S_ISREG(st.mode))
			return 0; /* dangling: the link itself is the fact */
	}
	file->mode = st.mode & 07777;
	file->too_large = spent->may_pass_over && (st.size > MAX_TEXT || spent->text + st.size > MAX_ALL_TEXT);
	if (file->too_large)
		return 0;
	/* Not to be passed over: a rule that takes a large fstab for an empty one would write a new one in its place. */
	rc = fs_read(fs, path, limit, &text, err);
	if (rc)
		return rc;
	spent->text += text.len;
	if (spent->text > MAX_ALL_TEXT)
		return error_set(err, P2H_UNSUPPORTED, "%s: with it, configuration files have more than %u MiB", path, MAX_ALL_TEXT >> 20);
	file->text = arena_memdup(&f->arena, text.data, text.len);
	file->len = text.len;
	return f->arena.failed ? error_nomem(err) : 0;
}

/* Walks the components of the pattern that are left; base is what was matched so far. */
static int match(struct fs *fs, struct facts *f, const char *base, const char *rest, struct budget *spent, struct p2h_error *err)
{
	const char *slash = strchr(rest + 1, '/');
	size_t n = slash ? (size_t)(slash - rest) : strlen(rest);
	CLEANUP_FREE char *component = strndup(rest + 1, n - 1);
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = 0;

	if (!component)
		return error_nomem(err);
	if (strpbrk(component, "*?")) {
		rc = fs_is_dir(fs, *base ? base : "/") ? fs_list(fs, *base ? base : "/", &names, err) : 0;
	} else {
		strlist_add(&names, component);
		rc = names.failed ? error_nomem(err) : 0;
	}
	for (size_t i = 0; !rc && i < names.len; i++) {
		CLEANUP(buf_done) struct buf path = {0};

		if (fnmatch(component, names.item[i], FNM_PERIOD))
			continue;
		if (++spent->matches > MAX_FILES)
			return error_set(err, P2H_UNSUPPORTED, "%s: with it, more than %d configuration files", base, MAX_FILES);
		buf_printf(&path, "%s/%s", base, names.item[i]);
		if (path.failed)
			return error_nomem(err);
		if (!slash)
			rc = add_file(fs, f, path.data, MAX_TEXT, spent, err);
		else if (fs_is_dir(fs, path.data))
			rc = match(fs, f, path.data, slash, spent, err);
	}
	return rc;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp(((const struct facts_file *)a)->path, ((const struct facts_file *)b)->path);
}

int read_files(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	struct budget spent = {0};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(pattern) / sizeof(pattern[0]); i++)
		rc = match(fs, f, "", pattern[i], &spent, err);
	spent.may_pass_over = true;
	for (size_t i = 0; !rc && i < sizeof(looked_at) / sizeof(looked_at[0]); i++)
		rc = match(fs, f, "", looked_at[i], &spent, err);
	if (!rc && f->files)
		qsort(f->file, f->files, sizeof(*f->file), compare_files);
	return rc;
}

int add_large_file(struct fs *fs, struct facts *f, const char *path, size_t limit, struct p2h_error *err)
{
	struct budget spent = {0};
	struct fs_stat st;
	int rc;

	if (fs_stat(fs, path, &st, NULL) || !S_ISREG(st.mode) || st.size > limit)
		return 0;
	rc = add_file(fs, f, path, limit, &spent, err);
	if (!rc)
		qsort(f->file, f->files, sizeof(*f->file), compare_files);
	return rc;
}

const struct facts_file *facts_file(const struct facts *f, const char *path)
{
	struct facts_file key = {.path = path};

	return f->files ? bsearch(&key, f->file, f->files, sizeof(*f->file), compare_files) : NULL;
}
