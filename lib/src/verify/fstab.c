/* Mounts at boot: what would stop it. */
#include "parse/fstab.h"
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define FSTAB_LIMIT (1u << 20)

static bool in_list(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(word, *list))
			return true;
	return false;
}

/* File systems without a device in this image. */
static bool needs_no_device(const struct fstab_entry *e)
{
	static const char *const types[] = {
		"proc",	     "sysfs",	 "tmpfs",    "devpts",	   "devtmpfs", "ramfs",	   "cgroup",  "cgroup2", "debugfs",
		"usbfs",     "usbdevfs", "mqueue",   "binfmt_misc", "securityfs", "configfs", "tracefs", "pstore", "hugetlbfs",
		"rpc_pipefs", "nfsd",	 "none",     "nfs",	   "nfs4",     "cifs",	   "smbfs",   "smb3",	 "ncpfs",
		"afs",	     "glusterfs", "ceph",    "lustre",	   "9p",       "sshfs",	   "davfs",   "fuse",	 "overlay",
		"aufs",	     "autofs",	 "efivarfs", "fusectl",	   "selinuxfs", "ignore",  "gfs",     "gfs2",	 "ocfs2",  NULL,
	};

	return in_list(e->text[FSTAB_TYPE], types) || !strncmp(e->text[FSTAB_TYPE], "fuse.", 5) ||
	       fstab_has_option(e->text[FSTAB_OPTIONS], "_netdev") || fstab_has_option(e->text[FSTAB_OPTIONS], "bind") ||
	       fstab_has_option(e->text[FSTAB_OPTIONS], "rbind") || fstab_has_option(e->text[FSTAB_OPTIONS], "loop");
}

/* Does this guest's init go on without the device? */
static bool may_be_absent(const struct verify *v, const struct fstab_entry *e)
{
	const char *options = e->text[FSTAB_OPTIONS];

	return fstab_has_option(options, "noauto") || fstab_has_option(options, "nofail") ||
	       (v->init.kind != INIT_SYSTEMD && fstab_has_option(options, "nobootwait"));
}

/* Only mountall (Ubuntu's upstart) waits at each mount; other inits before systemd stop in fsck or just complain. */
static bool waits_for_devices(struct verify *v)
{
	return v->init.kind == INIT_SYSTEMD || (v->init.kind == INIT_UPSTART && (fs_exists(v->guest->fs, "/sbin/mountall") ||
										fs_exists(v->guest->fs, "/etc/init/mountall.conf")));
}

static void judge_absent(struct judgement *j, const struct fstab_entry *e, const char *why)
{
	struct verify *v = j->v;
	bool swap = !strcmp(e->text[FSTAB_TYPE], "swap");

	if (swap)
		judge(j, VERIFY_WARN, "/etc/fstab line %zu (swap): %s", e->line, why);
	else if (waits_for_devices(v))
		judge(j, VERIFY_FAIL, "/etc/fstab line %zu (%s): %s, and init waits for it", e->line, e->text[FSTAB_FILE], why);
	else if (strcmp(e->text[FSTAB_PASSNO], "0") && v->init.kind != INIT_BUSYBOX)
		judge(j, VERIFY_FAIL, "/etc/fstab line %zu (%s): %s, and fsck of it stops the boot", e->line, e->text[FSTAB_FILE],
		      why);
	else
		judge(j, VERIFY_WARN, "/etc/fstab line %zu (%s): %s", e->line, e->text[FSTAB_FILE], why);
}

static void judge_root_line(struct judgement *j, const struct fstab_entry *e)
{
	static const char *const stand_ins[] = {"/dev/root", "rootfs", "none", "overlay", NULL};
	const char *spec = e->text[FSTAB_SPEC];
	const struct volume *volume = NULL;
	struct verify *v = j->v;
	/* busybox has no fsck that stops, and remounts by the mount point alone. */
	enum verify_result wrong = v->init.kind == INIT_BUSYBOX ? VERIFY_WARN : VERIFY_FAIL;
	char why[320] = "";
	enum device_fit fit;

	if (in_list(spec, stand_ins))
		return;
	fit = device_find(v, spec, &volume, why, sizeof why);
	if (fit == DEVICE_OPAQUE)
		judge(j, VERIFY_WARN, "/etc/fstab line %zu (/): %s", e->line, why);
	else if (fit != DEVICE_FITS)
		judge(j, wrong, "/etc/fstab line %zu (/): %s", e->line, why);
	else if (volume->number != v->root->number)
		judge(j, wrong, "/etc/fstab line %zu (/): %s is volume %u, the system is on volume %u", e->line, spec,
		      volume->number, v->root->number);
}

/* A volume that is there, but which the kernel that boots cannot mount. */
static void judge_driver(struct judgement *j, const struct fstab_entry *e)
{
	static const char *const types[] = {"xfs", "btrfs", "jfs", "reiserfs", "vfat", "ext4", NULL};
	const char *type = e->text[FSTAB_TYPE];
	struct verify *v = j->v;
	char why[160];

	if (!v->kernel_ok || !v->dep_ok || !in_list(type, types) || module_builtin(v, type) ||
	    kmodules_find(&v->modules, type))
		return;
	snprintf(why, sizeof why, "%s has no %s", v->kernel.release, type);
	judge_absent(j, e, why);
}

static void judge_line(struct judgement *j, const struct fstab_entry *e)
{
	const char *spec = e->text[FSTAB_SPEC];
	const struct volume *volume = NULL;
	struct verify *v = j->v;
	char why[320] = "";

	if (needs_no_device(e) || may_be_absent(v, e))
		return;
	if (*spec == '/' && strncmp(spec, "/dev/", 5)) {
		if (!fs_exists(v->guest->fs, spec)) {
			snprintf(why, sizeof why, "there is no %.250s", spec);
			judge_absent(j, e, why);
		}
		return;
	}
	if (*spec != '/' && !strchr(spec, '='))
		return; /* a stand-in name of a file system that is not in our list */
	switch (device_find(v, spec, &volume, why, sizeof why)) {
	case DEVICE_FITS:
		judge_driver(j, e);
		break;
	case DEVICE_OPAQUE:
	case DEVICE_AMBIGUOUS:
		judge(j, VERIFY_WARN, "/etc/fstab line %zu (%s): %s", e->line, e->text[FSTAB_FILE], why);
		break;
	default:
		judge_absent(j, e, why);
	}
}

void step_fstab(struct verify *v)
{
	CLEANUP(fstab_done) struct fstab table = {0};
	CLEANUP(buf_done) struct buf text = {0};
	struct judgement j = {.v = v};
	struct p2h_error e = {0};
	int rc = fs_read(v->guest->fs, "/etc/fstab", FSTAB_LIMIT, &text, &e);

	if (rc == 0)
		rc = fstab_parse(text.data ? text.data : "", text.len, &table, &e);
	if (rc == P2H_NOTFOUND)
		judge(&j, VERIFY_PASS, "there is no /etc/fstab");
	else if (rc)
		judge_error(&j, &e, "/etc/fstab");
	for (size_t i = 0; rc == 0 && i < table.len; i++) {
		if (!strcmp(table.item[i].text[FSTAB_FILE], "/"))
			judge_root_line(&j, &table.item[i]);
		else
			judge_line(&j, &table.item[i]);
	}
	if (table.odd)
		judge(&j, VERIFY_WARN, "%zu lines of /etc/fstab have fewer than three fields", table.odd);
	judge(&j, VERIFY_PASS, "%zu lines, nothing in them stops the boot", table.len);
	judgement_add(&j, "fstab", "mounts at boot");
}
