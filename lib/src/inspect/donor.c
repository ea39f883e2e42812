#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "inspect/parts.h"
#include "parse/textconf.h"

#define MAX_CONFIG (4 * 1024 * 1024u)

/* A kernel without initramfs: what it would need as modules for the target that needs least. NULL: nothing, for one target at least. */
static const char *not_built_in(struct facts *f, struct fs *fs, const struct facts_kernel *k)
{
	CLEANUP(kernel_drivers_done) struct kernel_drivers drivers = {0};
	CLEANUP(buf_done) struct buf names = {0};
	CLEANUP(strlist_done) struct strlist least = {0};
	struct drivers_root root = {f->root_type, &f->features, f->root_volume, f->usr_volume};

	if (kernel_drivers_load(fs, k->modules, k->config, &drivers, NULL))
		return "what is built in cannot be read";
	for (size_t t = 0; t < DRIVERS_TARGETS; t++) {
		CLEANUP(strlist_done) struct strlist missing = {0};

		if (drivers_missing(&drivers, NULL, t, &root, &missing, NULL))
			break;
		if (!missing.len)
			return NULL;
		if (least.len && least.len <= missing.len)
			continue;
		strlist_done(&least);
		least = missing;
		missing = (struct strlist){0};
	}
	for (size_t i = 0; i < least.len; i++)
		buf_printf(&names, "%s%s", i ? ", " : "", least.item[i]);
	f->arena.failed |= names.failed || !least.len;
	return arena_printf(&f->arena, "%s %s not built in", names.failed || !names.len ? "" : names.data, least.len > 1 ? "are" : "is");
}

/* Can this kernel be taken? NULL: yes; else why not. */
static const char *unfit(struct facts *f, struct fs *fs, const struct facts_kernel *k)
{
	CLEANUP(buf_done) struct buf dep = {0};
	struct arena *a = &f->arena;

	if (!k->hvm)
		return k->why_not;
	if (!*k->initrd) {
		const char *why = not_built_in(f, fs, k);

		if (why)
			return arena_printf(a, "it has no initramfs in /boot, and %s", why);
	}
	if (!*k->modules)
		return arena_printf(a, "its modules are missing: no /lib/modules/%s", k->release);
	buf_printf(&dep, "%s/modules.dep", k->modules);
	if (dep.failed || !fs_exists(fs, dep.data))
		return arena_printf(a, "its modules have no index: no /lib/modules/%s/modules.dep", k->release);
	return NULL;
}

static void choose(struct facts *f, struct fs *fs, const char *wanted)
{
	struct facts_donor *d = &f->donor;
	const char *where = d->from_guest ? "the guest" : "the donor";
	const char *why = NULL;

	d->chosen = (struct facts_kernel){.release = "", .image = "", .initrd = "", .config = "", .system_map = "", .modules = ""};
	for (size_t i = 0; i < d->kernels.len; i++) {
		const struct facts_kernel *k = &d->kernels.item[i];
		const char *no;

		if (wanted && strcmp(k->release, wanted))
			continue;
		no = unfit(f, fs, k);
		if (!no) {
			d->chosen = *k;
			return;
		}
		if (!why)
			why = arena_printf(&f->arena, "kernel %s of %s cannot be used: %s", k->release, where, no);
	}
	if (why)
		d->chosen.why_not = why;
	else if (wanted)
		d->chosen.why_not = arena_printf(&f->arena, "%s has no kernel %s in /boot", where, wanted);
	else
		d->chosen.why_not = arena_printf(&f->arena, "%s has no kernel (/boot/vmlinuz-*)", where);
}

static void read_config(struct guest *donor, struct facts *f)
{
	CLEANUP(buf_done) struct buf config = {0};

	if (!*f->donor.chosen.config || fs_read(donor->fs, f->donor.chosen.config, MAX_CONFIG, &config, NULL))
		return;
	f->donor.config = arena_memdup(&f->arena, config.data, config.len);
	f->donor.config_len = config.len;
}

char donor_config(const struct facts_donor *d, const char *name)
{
	return d->config_len ? kconfig_get(d->config, d->config_len, name) : '?';
}

bool donor_config_off(const struct facts_donor *d, const char *name)
{
	char line[80];
	int n = snprintf(line, sizeof(line), "# CONFIG_%s is not set\n", name);

	return n > 0 && (size_t)n < sizeof(line) && d->config_len && memmem(d->config, d->config_len, line, (size_t)n) != NULL;
}

int read_donor(struct guest *guest, struct guest *donor, const char *kernel, struct facts *f, struct p2h_error *err)
{
	struct facts_donor *d = &f->donor;
	CLEANUP(buf_done) struct buf text = {0};
	int rc = 0;

	d->given = true;
	d->initramfs.error = d->initramfs.kind = d->initramfs.modules_dir = d->initramfs.dep = d->initramfs.alias = "";
	d->os_name = d->config = "";
	d->from_guest = donor == guest;
	if (d->from_guest)
		d->kernels = f->kernels;
	else
		rc = read_kernels(donor->fs, &f->arena, &d->kernels, err);
	if (rc)
		return error_prefix(err, rc, "donor");
	if (kernel && (!strcmp(kernel, "donor") || !strcmp(kernel, "guest")))
		kernel = NULL;
	if (!fs_read(donor->fs, "/etc/os-release", 65536, &text, NULL)) {
		CLEANUP_FREE char *name = assignment_get(text.data, text.len, "PRETTY_NAME", NULL);

		d->os_name = arena_strdup(&f->arena, name ? name : "");
	}
	choose(f, donor->fs, kernel);
	if (f->arena.failed)
		return error_nomem(err);
	if (!*d->chosen.release)
		return 0;
	read_config(donor, f);
	if (!d->from_guest)
		rc = read_readable(donor->fs, d->chosen.modules, d->chosen.release, &f->modprobe, &f->arena, &d->readable, err);
	if (!rc)
		rc = count_trees(guest, donor, f, err);
	if (!rc)
		rc = read_offer(donor->fs, &d->chosen, f, err);
	if (!rc)
		rc = read_initramfs(d->initramfs.extended ? guest->fs : donor->fs, donor->fs, d->chosen.initrd, f, err);
	if (!rc && !d->from_guest)
		rc = read_firmware(guest->fs, donor->fs, f, err);
	return rc ? error_prefix(err, rc, "donor") : 0;
}
