/* pvonly.c - the guest's kernels that boot paravirtual only, and the packages that bring them back */
#include <fnmatch.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/settings.h"

#define SYSCONFIG "/etc/sysconfig/kernel"
#define LEFT_ALONE "it stays where it is, but not in the boot menu"

static bool is_release_of(const struct facts_package *package, const char *release)
{
	return !strncmp(package->name, "linux-image-", 12) && !strcmp(package->name + 12, release);
}

/* Packages without a version in their name that pull in the newest PV kernel. */
static bool is_pv_meta(const char *name)
{
	static const char *const start[] = {"linux-image-xen-", "linux-image-2.6-xen-", "linux-xen", "linux-image-ec2", "linux-ec2"};

	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
		if (!strncmp(name, start[i], strlen(start[i])))
			return true;
	return false;
}

static const char *rpm_package(const char *release)
{
	if (strstr(release, "xenU"))
		return "kernel-xenU";
	if (text_ends_with(release, "xen"))
		return "kernel-xen";
	return text_ends_with(release, "-ec2") ? "kernel-ec2" : NULL;
}

static const char *advice_dpkg(struct planner *p, const struct facts_kernel *k, bool *ret_back)
{
	CLEANUP(buf_done) struct buf names = {0};
	const struct facts_lasting *l = &p->facts->lasting;

	for (size_t i = 0; i < l->packages; i++) {
		const struct facts_package *one = &l->package[i];

		if (!is_release_of(one, k->release) && !is_pv_meta(one->name))
			continue;
		buf_printf(&names, "%s%s%s", names.len ? ", " : "", one->name, one->hold ? " (on hold)" : "");
		*ret_back |= !one->hold;
	}
	if (names.failed)
		p->arena->failed = true;
	if (!names.len || names.failed)
		return LEFT_ALONE;
	return *ret_back ? arena_printf(p->arena, LEFT_ALONE "; its packages would bring it back: remove %s", names.data)
			 : arena_printf(p->arena, LEFT_ALONE ", and upgrades leave it alone: %s", names.data);
}

/* Does one of the words, which may be patterns, name the package? */
static bool names_package(struct planner *p, const char *text, size_t len, const char *package)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	const char *copy = arena_memdup(p->arena, text, len);
	bool found = false;

	strlist_split(&words, copy ? copy : "", " \t,");
	for (size_t i = 0; i < words.len; i++)
		found |= !fnmatch(words.item[i], package, 0);
	p->arena->failed |= words.failed;
	return found;
}

static bool starts(const struct line *l, const char *with)
{
	return l->len > strlen(with) && !memcmp(l->text, with, strlen(with));
}

/* yum.conf(5), dnf.conf(5): exclude= or excludepkgs=, which may go on on indented lines; zypper's locks(5): solvable_name. NULL: no file does. */
static const char *excluded_by(struct planner *p, const char *package)
{
	static const char *const file[] = {"/etc/yum.conf", "/etc/dnf/dnf.conf", "/etc/zypp/locks"};

	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		size_t len, at = 0;
		const char *text = planner_text(p, file[i], &len);
		struct line l = {0};
		bool goes_on = false;

		while (text && next_line(text, len, &at, &l)) {
			const char *value = memchr(l.text, i == 2 ? ':' : '=', l.len);

			if (!(goes_on && l.len && is_blank(l.text[0])))
				goes_on = value && (starts(&l, "exclude") || starts(&l, "solvable_name"));
			else
				value = l.text - 1;
			if (goes_on && names_package(p, value + 1, (size_t)(l.text + l.len - value) - 1, package))
				return file[i];
		}
	}
	return NULL;
}

/* What to do about it; *ret_back: upgrades of its packages would bring it back. */
static const char *advice(struct planner *p, const struct facts_kernel *k, bool *ret_back)
{
	const char *rpm = rpm_package(k->release), *file;

	*ret_back = false;
	if (p->facts->lasting.dpkg)
		return advice_dpkg(p, k, ret_back);
	if (!rpm)
		return LEFT_ALONE;
	file = excluded_by(p, rpm);
	if (file)
		return arena_printf(p->arena, LEFT_ALONE "; by its name package %s brings it, which %s keeps out", rpm, file);
	*ret_back = true;
	return arena_printf(p->arena, LEFT_ALONE "; by its name package %s brings it: put exclude=%s into /etc/yum.conf, or lock it with zypper", rpm, rpm);
}

static void rewrite_default_kernel(struct planner *p)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, SYSCONFIG, &len);
	struct line l = {0};
	struct setting s;

	while (text && next_line(text, len, &at, &l)) {
		const char *value;

		if (!setting_read(&l, "DEFAULTKERNEL", &s) || !s.simple ||
		    !(value = arena_memdup(p->arena, l.text + s.value, s.len)) || (strcmp(value, "kernel-xen") && strcmp(value, "kernel-xenU"))) {
			buf_append(&out, l.text, l.whole);
			continue;
		}
		buf_append(&out, l.text, s.value);
		buf_puts(&out, "kernel");
		buf_append(&out, l.text + s.value + s.len, l.whole - s.value - s.len);
	}
	if (text)
		planner_write_buf(p, SYSCONFIG, &out, 0644, "an upgrade of the PV kernel must not make it the default again");
}

/* Such a kernel does no harm as long as nothing brings it back. */
void rule_kernel_pv_only(struct planner *p)
{
	const struct facts_kernels *k = &p->facts->kernels;

	for (size_t i = 0; i < k->len; i++) {
		const struct facts_kernel *one = &k->item[i];
		bool back = false;
		const char *todo;

		if (!strcmp(one->release, p->plan->kernel) || (one->hvm && *one->initrd))
			continue;
		todo = one->hvm ? LEFT_ALONE : advice(p, one, &back);
		p->severity = back ? SEVERITY_BOOT : SEVERITY_INFO;
		planner_tell(p, one->image, one->hvm ? "it has no initramfs, so that it could not find the root by UUID" : one->why_not, todo);
	}
	p->severity = SEVERITY_BOOT;
	rewrite_default_kernel(p);
}
