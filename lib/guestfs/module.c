/* module.c - libpv2hvm-guestfs.so: each call of appliance_module.h by libguestfs' API (guestfs(3)) */
#include <errno.h>
#include <guestfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/appliance_module.h"

#define NAMES_AT_ONCE 1000u

struct handle {
	guestfs_h *g;
	void (*log)(void *arg, const char *text, size_t len);
	void *log_arg;
	char *first_error; /* of the start: what comes after it says less */
};

static guestfs_h *g_of(void *a)
{
	return ((struct handle *)a)->g;
}

/* errno of the last call, which failed; libguestfs does not know it of every failure. */
static int failed(void *a)
{
	int n = guestfs_last_errno(g_of(a));

	return n ? n : EIO;
}

static int result(void *a, int rc)
{
	return rc ? failed(a) : 0;
}

static const char *module_message(void *a)
{
	const struct handle *h = a;
	const char *text = h->first_error ? h->first_error : guestfs_last_error(h->g);

	return text ? text : "libguestfs does not say why";
}

/* ---- the appliance ---- */

static void forward_log(guestfs_h *g, void *opaque, uint64_t event, int event_handle, int flags, const char *buf, size_t len, const uint64_t *array,
			size_t array_len)
{
	struct handle *h = opaque;

	(void)g, (void)event_handle, (void)flags, (void)array, (void)array_len;
	h->log(h->log_arg, buf, len);
	if (event != GUESTFS_EVENT_APPLIANCE && len && buf[len - 1] != '\n') /* the appliance's console comes in pieces of lines */
		h->log(h->log_arg, "\n", 1);
}

static void keep_first_error(guestfs_h *g, void *opaque, const char *msg)
{
	struct handle *h = opaque;

	(void)g;
	if (!h->first_error)
		h->first_error = strdup(msg);
}

static void forget_error(struct handle *h)
{
	free(h->first_error);
	h->first_error = NULL;
}

static int add_drive(guestfs_h *g, const char *socket)
{
	char server[256];
	char *servers[] = {server, NULL};
	struct guestfs_add_drive_opts_argv options = {
		.bitmask = GUESTFS_ADD_DRIVE_OPTS_FORMAT_BITMASK | GUESTFS_ADD_DRIVE_OPTS_PROTOCOL_BITMASK | GUESTFS_ADD_DRIVE_OPTS_SERVER_BITMASK,
		.format = "raw",
		.protocol = "nbd",
		.server = servers,
	};
	int n = snprintf(server, sizeof(server), "unix:%s", socket);

	return n < 0 || (size_t)n >= sizeof(server) ? -1 : guestfs_add_drive_opts_argv(g, "", &options);
}

/* libguestfs uses KVM wherever it can be opened; one that hangs would hang us. */
static int choose_accelerator(guestfs_h *g, const struct appliance_setup *setup)
{
	char *decided = guestfs_get_backend_setting(g, "force_tcg");

	free(decided);
	return decided || setup->kvm_works() ? 0 : guestfs_set_backend_setting(g, "force_tcg", "1");
}

/* An array that was not in step is left so for the machine itself: to copy a disk of it here would make all of the other one part of the conversion. */
static int keep_arrays_still(guestfs_h *g)
{
	const char *old = guestfs_get_append(g);
	char *append = NULL;
	int rc = asprintf(&append, "%s md_mod.start_ro=1", old ? old : "") < 0 ? -1 : guestfs_set_append(g, append);

	free(append);
	return rc;
}

/* A first write starts it all the same; this fast. */
static void slow_down_resync(guestfs_h *g)
{
	char command[] = "for f in min max; do echo 1 > /proc/sys/dev/raid/speed_limit_$f; done", *words[] = {command, NULL};

	free(guestfs_debug(g, "sh", words)); /* no md in this appliance: nothing to slow down */
}

static int configure(struct handle *h, const struct appliance_setup *setup)
{
	guestfs_h *g = h->g;

	guestfs_set_error_handler(g, keep_first_error, h);
	guestfs_set_verbose(g, 1); /* goes to the log, not to the screen */
	if (guestfs_set_event_callback(g, forward_log, GUESTFS_EVENT_APPLIANCE | GUESTFS_EVENT_LIBRARY | GUESTFS_EVENT_WARNING, 0, h) < 0 ||
	    guestfs_set_program(g, "pv2hvm") || guestfs_set_autosync(g, 1) || guestfs_set_pgroup(g, 1) ||
	    guestfs_set_backend(g, "direct") || keep_arrays_still(g) || choose_accelerator(g, setup))
		return -1;
	for (size_t i = 0; setup->socket[i]; i++)
		if (add_drive(g, setup->socket[i]))
			return -1;
	forget_error(h); /* a question that had no answer */
	if (guestfs_launch(g))
		return -1;
	guestfs_set_error_handler(g, NULL, NULL);
	slow_down_resync(g);
	forget_error(h);
	return 0;
}

static int module_start(const struct appliance_setup *setup, void **ret)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		return ENOMEM;
	h->log = setup->log;
	h->log_arg = setup->log_arg;
	h->g = guestfs_create_flags(GUESTFS_CREATE_NO_CLOSE_ON_EXIT);
	if (!h->g) {
		free(h);
		return ENOMEM;
	}
	*ret = h;
	return result(h, configure(h, setup));
}

static void free_list(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

/* An array's superblock says that it was stopped only if it was; what lies on it goes first, as far as it can. */
static void stop_arrays(guestfs_h *g)
{
	char **arrays = guestfs_list_md_devices(g), **mapped;

	if (arrays && *arrays) {
		guestfs_umount_all(g);
		guestfs_vg_activate_all(g, 0);
		mapped = guestfs_list_dm_devices(g);
		for (char **d = mapped; d && *d; d++)
			guestfs_cryptsetup_close(g, *d);
		free_list(mapped);
	}
	for (char **d = arrays; d && *d; d++)
		guestfs_md_stop(g, *d);
	free_list(arrays);
}

static int module_stop(void *a)
{
	struct handle *h = a;
	int rc;

	stop_arrays(h->g);
	rc = guestfs_shutdown(h->g) ? failed(h) : 0;
	guestfs_close(h->g);
	forget_error(h);
	free(h);
	return rc;
}

/* ---- file systems ---- */

static const char *list_value(char **pairs, const char *key)
{
	for (; pairs && pairs[0] && pairs[1]; pairs += 2)
		if (!strcmp(pairs[0], key))
			return pairs[1];
	return "";
}

/* One call of blkid instead of three by guestfs_vfs_...; but it escapes what is unusual in a label. */
static int module_content(void *a, const char *device, struct appliance_content *ret)
{
	guestfs_h *g = g_of(a);
	char **found = guestfs_blkid(g, device), *label = NULL;

	*ret = (struct appliance_content){0};
	if (!found)
		return failed(a);
	snprintf(ret->type, sizeof(ret->type), "%s", list_value(found, "TYPE"));
	snprintf(ret->uuid, sizeof(ret->uuid), "%s", list_value(found, "UUID"));
	if (strchr(list_value(found, "LABEL"), '\\'))
		label = guestfs_vfs_label(g, device);
	snprintf(ret->label, sizeof(ret->label), "%s", label ? label : list_value(found, "LABEL"));
	free(label);
	free_list(found);
	return 0;
}

/* ---- layers ---- */

/* mdadm writes a UUID as four groups with colons, libblkid with dashes at the usual places. */
static void array_uuid(const char *text, char ret[37])
{
	size_t len = 0;

	for (; *text && len < 36; text++) {
		if (*text == ':' || *text == '-')
			continue;
		if (len == 8 || len == 13 || len == 18 || len == 23)
			ret[len++] = '-';
		ret[len++] = *text;
	}
	ret[len] = '\0';
}

static int array_layer(guestfs_h *g, const char *device, appliance_add_layer add, void *arg)
{
	char **detail = guestfs_md_detail(g, device), uuid[37];

	if (!detail)
		return -1;
	array_uuid(list_value(detail, "uuid"), uuid);
	add(arg, APPLIANCE_RAID, device, uuid, list_value(detail, "devname"), list_value(detail, "level"),
	    (unsigned)strtoul(list_value(detail, "devices"), NULL, 10));
	free_list(detail);
	return 0;
}

/* "/dev/VG/LV" lies on all physical volumes of its group. */
static int volume_layers(guestfs_h *g, const char *lv, appliance_add_layer add, void *arg)
{
	char *group = strndup(lv + 5, strcspn(lv + 5, "/"));
	char **uuids = group ? guestfs_vgpvuuids(g, group) : NULL;

	for (char **u = uuids; u && *u; u++)
		add(arg, APPLIANCE_LVM, lv, *u, "", "", 0);
	free(group);
	free_list(uuids);
	return uuids ? 0 : -1;
}

static int group_layers(guestfs_h *g, appliance_add_layer add, void *arg)
{
	char lvm2[] = "lvm2", *feature[] = {lvm2, NULL}, **lvs;
	int rc;

	if (!guestfs_feature_available(g, feature))
		return 0;
	lvs = guestfs_lvm_scan(g, 1) ? NULL : guestfs_lvs(g);
	rc = lvs ? 0 : -1;
	for (char **d = lvs; !rc && *d; d++)
		rc = strncmp(*d, "/dev/", 5) ? 0 : volume_layers(g, *d, add, arg);
	free_list(lvs);
	return rc;
}

static int module_layers(void *a, appliance_add_layer add, void *arg)
{
	guestfs_h *g = g_of(a);
	char **arrays = guestfs_list_md_devices(g);
	int rc = arrays ? 0 : -1;

	for (char **d = arrays; !rc && *d; d++)
		rc = array_layer(g, *d, add, arg);
	if (!rc)
		rc = group_layers(g, add, arg);
	free_list(arrays);
	return result(a, rc);
}

/* cryptsetup does not say by errno that the key does not fit; it is the one thing that a healthy volume refuses. */
static int module_unlock(void *a, const char *device, const char *key, const char *name)
{
	return guestfs_cryptsetup_open(g_of(a), device, key, name, -1) ? EACCES : 0;
}

static int module_size(void *a, const char *device, uint64_t *ret)
{
	int64_t size = guestfs_blockdev_getsize64(g_of(a), device);

	*ret = size < 0 ? 0 : (uint64_t)size;
	return size < 0 ? failed(a) : 0;
}

static int module_subvolumes(void *a, const char *where, appliance_add_subvolume add, void *arg)
{
	guestfs_h *g = g_of(a);
	int64_t chosen = guestfs_btrfs_subvolume_get_default(g, where);
	struct guestfs_btrfssubvolume_list *list = chosen < 0 ? NULL : guestfs_btrfs_subvolume_list(g, where);

	if (!list)
		return failed(a);
	for (uint32_t i = 0; i < list->len; i++)
		add(arg, list->val[i].btrfssubvolume_path, list->val[i].btrfssubvolume_id == (uint64_t)chosen);
	guestfs_free_btrfssubvolume_list(list);
	return 0;
}

/* ---- mounts ---- */

static int module_mount(void *a, const char *device, const char *options, const char *where)
{
	guestfs_h *g = g_of(a);

	if (guestfs_mkmountpoint(g, where) && guestfs_last_errno(g) != EEXIST)
		return failed(a);
	return result(a, guestfs_mount_options(g, options, device, where));
}

/* A btrfs of which another subvolume is mounted would not be written out by it. */
static int module_umount(void *a, const char *where)
{
	return result(a, guestfs_umount_opts(g_of(a), where, -1) || guestfs_sync(g_of(a)) ? -1 : 0);
}

static int module_space(void *a, const char *path, struct fs_space *ret)
{
	struct guestfs_statvfs *st = guestfs_statvfs(g_of(a), path);

	if (!st)
		return failed(a);
	*ret = (struct fs_space){
		.block_size = (uint32_t)(st->frsize ? st->frsize : st->bsize),
		.blocks = (uint64_t)st->blocks,
		.blocks_free = (uint64_t)st->bfree,
		.inodes = (uint64_t)st->files,
		.inodes_free = (uint64_t)st->ffree,
	};
	guestfs_free_statvfs(st);
	return 0;
}

/* ---- reading ---- */

static void convert_stat(const struct guestfs_statns *st, struct fs_stat *ret)
{
	*ret = (struct fs_stat){
		.mode = (uint32_t)st->st_mode,
		.uid = (uint32_t)st->st_uid,
		.gid = (uint32_t)st->st_gid,
		.size = (uint64_t)st->st_size,
		.ino = (uint64_t)st->st_ino,
		.dev = (uint32_t)st->st_dev,
		.nlink = (uint32_t)st->st_nlink,
		.rdev_major = major((dev_t)st->st_rdev),
		.rdev_minor = minor((dev_t)st->st_rdev),
		.atime = st->st_atime_sec,
		.mtime = st->st_mtime_sec,
		.ctime = st->st_ctime_sec,
		.atime_nsec = (uint32_t)st->st_atime_nsec,
		.mtime_nsec = (uint32_t)st->st_mtime_nsec,
		.ctime_nsec = (uint32_t)st->st_ctime_nsec,
	};
}

/* A name that went away since it was listed has an inode of -1; nobody else changes this file system. */
static int stat_names(void *a, const char *path, char *const *names, appliance_add_name add, void *arg)
{
	struct guestfs_statns_list *list = guestfs_lstatnslist(g_of(a), path, names);
	uint32_t n;

	if (!list)
		return failed(a);
	for (n = 0; n < list->len && names[n]; n++) {
		struct fs_stat st;

		convert_stat(&list->val[n], &st);
		if (list->val[n].st_ino >= 0)
			add(arg, names[n], &st);
	}
	guestfs_free_statns_list(list);
	return names[n] ? EIO : 0;
}

static int module_list(void *a, const char *path, appliance_add_name add, void *arg)
{
	struct guestfs_dirent_list *entries = guestfs_readdir(g_of(a), path);
	char **names;
	uint32_t len = 0;
	int rc = 0;

	if (!entries)
		return failed(a);
	names = calloc((size_t)entries->len + 1, sizeof(*names));
	for (uint32_t i = 0; names && i < entries->len; i++)
		if (strcmp(entries->val[i].name, ".") && strcmp(entries->val[i].name, ".."))
			names[len++] = entries->val[i].name;
	for (uint32_t i = 0; names && !rc && i < len; i += NAMES_AT_ONCE) {
		char *next = len - i > NAMES_AT_ONCE ? names[i + NAMES_AT_ONCE] : NULL;

		if (next)
			names[i + NAMES_AT_ONCE] = NULL;
		rc = stat_names(a, path, names + i, add, arg);
		if (next)
			names[i + NAMES_AT_ONCE] = next;
	}
	rc = names ? rc : ENOMEM;
	free(names);
	guestfs_free_dirent_list(entries);
	return rc;
}

static int module_lstat(void *a, const char *path, struct fs_stat *ret)
{
	struct guestfs_statns *st = guestfs_lstatns(g_of(a), path);

	if (!st)
		return failed(a);
	convert_stat(st, ret);
	guestfs_free_statns(st);
	return 0;
}

static int module_readlink(void *a, const char *path, char **ret)
{
	*ret = guestfs_readlink(g_of(a), path);
	return *ret ? 0 : failed(a);
}

static int module_xattrs(void *a, const char *path, appliance_add_xattr add, void *arg)
{
	struct guestfs_xattr_list *list = guestfs_lgetxattrs(g_of(a), path);

	if (!list) /* a file system without any */
		return guestfs_last_errno(g_of(a)) == ENOTSUP ? 0 : failed(a);
	for (uint32_t i = 0; i < list->len; i++)
		add(arg, list->val[i].attrname, list->val[i].attrval, list->val[i].attrval_len);
	guestfs_free_xattr_list(list);
	return 0;
}

static int module_pread(void *a, const char *path, void *buf, uint64_t off, size_t len, size_t *ret_got)
{
	char *data = guestfs_pread(g_of(a), path, (int)len, (int64_t)off, ret_got);

	if (!data)
		return failed(a);
	if (*ret_got > len)
		*ret_got = len;
	memcpy(buf, data, *ret_got);
	free(data);
	return 0;
}

/* ---- writing ---- */

/* Not guestfs_upload, which takes a hundred times as long for a small file. */
static int module_write(void *a, const char *path, const void *buf, uint64_t off, size_t len)
{
	guestfs_h *g = g_of(a);

	if (!off)
		return result(a, guestfs_write(g, path, buf, len));
	while (len) {
		int n = guestfs_pwrite(g, path, buf, len, (int64_t)off);

		if (n <= 0)
			return n < 0 ? failed(a) : EIO;
		buf = (const char *)buf + n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int module_unpack(void *a, int fd, const char *where)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return result(a, guestfs_tar_in_opts(g_of(a), name, where, GUESTFS_TAR_IN_OPTS_COMPRESS, "gzip", -1));
}

static int module_mknod(void *a, const char *path, uint32_t mode, uint32_t major, uint32_t minor)
{
	return result(a, guestfs_mknod(g_of(a), (int)mode, (int)major, (int)minor, path));
}

static int module_link(void *a, const char *existing, const char *path)
{
	return result(a, guestfs_ln(g_of(a), existing, path));
}

static int module_rename(void *a, const char *from, const char *to)
{
	return result(a, guestfs_rename(g_of(a), from, to));
}

static int module_unlink(void *a, const char *path, bool is_directory)
{
	return result(a, is_directory ? guestfs_rmdir(g_of(a), path) : guestfs_rm(g_of(a), path));
}

static int module_set_meta(void *a, const char *path, const struct fs_meta *meta, bool is_link)
{
	guestfs_h *g = g_of(a);

	/* A change of owner clears set-user-id: permission bits come after it. */
	if (guestfs_lchown(g, (int)meta->uid, (int)meta->gid, path) || (!is_link && guestfs_chmod(g, (int)meta->mode, path)))
		return failed(a);
	return result(a, guestfs_utimens(g, path, meta->atime, meta->atime_nsec, meta->mtime, meta->mtime_nsec));
}

/* libguestfs passes the value as a string: it must end in a NUL, and nothing behind one arrives. */
static int module_set_xattr(void *a, const char *path, const char *name, const void *value, size_t len)
{
	const char *nul = len ? memchr(value, '\0', len) : NULL;
	char *text;
	int rc;

	if (nul && nul != (const char *)value + len - 1)
		return ENOTSUP;
	text = malloc(len + 1);
	if (!text)
		return ENOMEM;
	memcpy(text, value, len);
	text[len] = '\0';
	rc = result(a, guestfs_lsetxattr(g_of(a), name, text, (int)len, path));
	free(text);
	return rc;
}

static const struct appliance_module module = {
	.abi = APPLIANCE_MODULE_ABI,
	.start = module_start,
	.stop = module_stop,
	.message = module_message,
	.content = module_content,
	.layers = module_layers,
	.unlock = module_unlock,
	.size = module_size,
	.subvolumes = module_subvolumes,
	.mount = module_mount,
	.umount = module_umount,
	.space = module_space,
	.list = module_list,
	.lstat = module_lstat,
	.readlink = module_readlink,
	.xattrs = module_xattrs,
	.pread = module_pread,
	.write = module_write,
	.unpack = module_unpack,
	.mknod = module_mknod,
	.link = module_link,
	.rename = module_rename,
	.unlink = module_unlink,
	.set_meta = module_set_meta,
	.set_xattr = module_set_xattr,
};

/* APPLIANCE_MODULE_SYMBOL */
__attribute__((visibility("default"))) const struct appliance_module *p2h_appliance_module(void);
const struct appliance_module *p2h_appliance_module(void)
{
	return &module;
}
