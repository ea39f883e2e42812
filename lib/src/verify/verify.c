#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

/* The machine's way, step by step; what needs the root tree is skipped without one. */
static const struct step {
	void (*run)(struct verify *v);
	const char *id, *what; /* for skipping; NULL: runs without a root tree */
} steps[] = {
	{step_boot_sector, NULL, NULL},
	{step_partition_table, NULL, NULL},
	{step_core_image, NULL, NULL},
	{step_core_config, NULL, NULL},
	{NULL, NULL, NULL}, /* here: was a root tree found? */
	{step_grub_cfg, "grub-cfg", "the boot menu"},
	{step_kernel, "kernel", "the kernel of the default entry"},
	{step_kernel_arch, "kernel-arch", "kernel and userland fit each other"},
	{step_initramfs, "initramfs", "the initramfs of the default entry"},
	{step_initramfs_drivers, "initramfs-drivers", "drivers for the root disk before it is mounted"},
	{step_root, "root", "root= of the command line"},
	{step_file_system, "file-system", "state and features of the file systems"},
	{step_init, "init", "the first program"},
	{step_libc, "libc", "the C library accepts the kernel"},
	{step_fstab, "fstab", "mounts at boot"},
	{step_console, "console", "a login on a console that exists"},
	{step_modules, "modules", "the kernel's modules"},
	{step_network_driver, "network-driver", "drivers for the target's network cards"},
	{step_network, "network", "names of network interfaces"},
};

static void verify_done(struct verify *v)
{
	grub_view_close(&v->grub);
	grub_view_close(&v->boot);
	cleanup_guest(&v->guest);
	volumes_done(&v->volumes);
	buf_done(&v->core);
	grub_core_done(&v->image);
	grubcfg_done(&v->menu);
	buf_done(&v->config);
	kmodules_done(&v->modules);
	strlist_done(&v->builtin);
	strlist_done(&v->initrd_modules);
	strlist_done(&v->initrd_unlisted);
	strlist_done(&v->initrd_blocked);
	strlist_done(&v->initrd_programs);
	elf_done(&v->init.elf);
	free(v->init.path);
	free(v->init.real);
	free(v->prefix);
	free(v->menu_path);
	free(v->modules_dir);
}

static void step_root_tree(struct verify *v, const struct p2h_error *e)
{
	struct judgement j = {.v = v};

	if (!v->guest) {
		judge_error(&j, e, NULL);
	} else if (!v->root) {
		judge(&j, VERIFY_FAIL, "the root file system is on volume %u, which the partition table does not have",
		      v->guest->root_number);
	} else {
		judge(&j, VERIFY_PASS, "volume %u, %s %s", v->root->number, v->root->content, v->root->uuid);
		for (size_t i = 0; i < v->guest->unmounted.len; i++)
			judge(&j, VERIFY_WARN, "%s cannot be read here and was left out", v->guest->unmounted.item[i]);
	}
	judgement_add(&j, "root-tree", "a Linux system in the image");
}

static void run_steps(struct verify *v, const struct p2h_error *guest_error)
{
	for (size_t i = 0; i < sizeof steps / sizeof *steps && !v->nomem; i++) {
		const struct step *s = &steps[i];

		if (!s->run) {
			step_root_tree(v, guest_error);
			if (v->guest && v->root)
				continue;
			/* Everything below reads the guest's files; the view may borrow its tree. */
			grub_view_close(&v->grub);
			cleanup_guest(&v->guest);
			v->guest = NULL;
			continue;
		}
		if (s->id && !v->guest)
			verify_skip(v, s->id, s->what, "there is no root tree");
		else
			s->run(v);
	}
}

static int fill_strings(struct verify *v, struct p2h_error *err)
{
	struct verify_report *r = v->report;

	r->kernel = strdup(v->kernel_ok ? v->kernel.release : "");
	r->cmdline = strdup(v->entry ? v->entry->args : "");
	r->root_uuid = strdup(v->root ? v->root->uuid : "");
	if (v->nomem || !r->kernel || !r->cmdline || !r->root_uuid)
		return error_nomem(err);
	r->passed = true;
	for (size_t i = 0; i < r->len; i++)
		if (r->item[i].result == VERIFY_FAIL)
			r->passed = false;
	return 0;
}

/* What the steps start from: sector 0, the volumes, the guest's tree. */
static int verify_init(struct verify *v, int root_number, struct p2h_error *guest_error, struct p2h_error *err)
{
	int rc = disk_read(v->disk, v->sector, 0, sizeof v->sector, err);

	if (rc)
		return rc;
	v->volumes_ok = volumes_probe(v->disk, &v->volumes, &v->volumes_error) == 0;
	if (!v->volumes_ok)
		v->volumes = (struct volumes){0};
	if (guest_open(v->disk, root_number, 0, 0, &v->guest, guest_error))
		v->guest = NULL;
	if (v->guest) { /* it knows of what lies in layers, too */
		volumes_done(&v->volumes);
		rc = volumes_copy(&v->guest->volumes, &v->volumes, err);
		v->root = volumes_number(&v->volumes, v->guest->root_number);
	}
	v->nomem = v->volumes_error.code == P2H_NOMEM || (!v->guest && guest_error->code == P2H_NOMEM);
	return rc;
}

int verify_disk(struct disk *d, int root_number, unsigned targets, struct verify_report *ret, struct p2h_error *err)
{
	return verify_disk_knowing(d, root_number, targets, NULL, ret, err);
}

int verify_disk_knowing(struct disk *d, int root_number, unsigned targets, const struct initramfs *known, struct verify_report *ret,
			struct p2h_error *err)
{
	CLEANUP_DISK struct disk *watched = NULL;
	CLEANUP(verify_report_done) struct verify_report report = {0};
	CLEANUP(verify_done) struct verify v = {.targets = targets, .known = known, .report = &report};
	struct p2h_error guest_error = {0}, unreadable = {0};
	int rc;

	*ret = (struct verify_report){0};
	if (!targets || targets & ~(TARGET_XEN_HVM | TARGET_NITRO | TARGET_KVM))
		return error_set(err, P2H_USAGE, "no target to verify for");
	if (d->size < GRUB_SECTOR)
		return error_set(err, P2H_CORRUPT, "%s is shorter than a sector", d->name);
	rc = watch_open(d, &unreadable, &watched, err);
	if (rc)
		return rc;
	v.disk = watched;
	rc = verify_init(&v, root_number, &guest_error, err);
	if (rc)
		return rc;
	run_steps(&v, &guest_error);
	rc = fill_strings(&v, err);
	if (rc)
		return rc;
	if (unreadable.code) {
		if (err)
			*err = unreadable;
		return unreadable.code;
	}
	*ret = report;
	report = (struct verify_report){0};
	return 0;
}

void verify_report_done(struct verify_report *r)
{
	for (size_t i = 0; i < r->len; i++)
		free(r->item[i].evidence);
	free(r->item);
	free(r->kernel);
	free(r->cmdline);
	free(r->root_uuid);
	*r = (struct verify_report){0};
}
