/* modprobeconf.c - what the guest's modprobe configuration does to the drivers of the targets (modprobe.d(5), modprobe.conf(5)) */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/kmodules.h"
#include "plan/planner.h"

/* A line's words; how many there are, at most 4. */
struct words {
	const char *text[4];
	size_t len[4], count;
};

/* By target: what its disk and network card need. Linux: drivers/block, drivers/net, drivers/nvme/host, drivers/virtio. */
static const struct driver {
	unsigned target;
	const char *module;
} driver[] = {
	{P2H_TARGET_XEN_HVM, "xen_blkfront"}, {P2H_TARGET_XEN_HVM, "xen_netfront"}, {P2H_TARGET_NITRO, "nvme"},   {P2H_TARGET_NITRO, "nvme_core"},
	{P2H_TARGET_NITRO, "ena"},            {P2H_TARGET_KVM, "virtio"},           {P2H_TARGET_KVM, "virtio_blk"}, {P2H_TARGET_KVM, "virtio_net"},
	{P2H_TARGET_KVM, "virtio_pci"},       {P2H_TARGET_KVM, "virtio_ring"},
};

static void split(const struct line *l, struct words *ret)
{
	size_t at = 0;

	*ret = (struct words){0};
	while (ret->count < 4) {
		while (at < l->len && isspace((unsigned char)l->text[at]))
			at++;
		if (at == l->len || (!ret->count && l->text[at] == '#'))
			return;
		ret->text[ret->count] = l->text + at;
		while (at < l->len && !isspace((unsigned char)l->text[at]))
			at++;
		ret->len[ret->count] = (size_t)(l->text + at - ret->text[ret->count]);
		ret->count++;
	}
}

static bool word_is(const struct words *w, size_t i, const char *text)
{
	return i < w->count && w->len[i] == strlen(text) && !memcmp(w->text[i], text, w->len[i]);
}

/* Word i as the name of a module, '_' for '-'; "" if it is too long for one. */
static void name_of(const struct words *w, size_t i, char name[64])
{
	char copy[64] = "";

	if (i < w->count && w->len[i] < sizeof(copy))
		memcpy(copy, w->text[i], w->len[i]);
	kmodule_name(copy, name, 64);
}

/* A file that modprobe reads: kmod only *.conf, module-init-tools all but what package managers left behind. */
static bool is_modprobe_conf(const struct facts_file *f)
{
	const char *name = strrchr(f->path, '/') + 1, *dot = strrchr(name, '.');

	if (f->is_link || !(!strcmp(f->path, "/etc/modprobe.conf") || strstr(f->path, "/modprobe.d/")))
		return false;
	return !dot || !strcmp(dot, ".conf");
}

/* Does a target need it, or the root file system, and does it come as a module, so that what is said of it here matters? */
static bool needed(const struct planner *p, const char *name)
{
	bool wanted = !strcmp(name, p->facts->root_type) || (!strcmp(p->facts->root_type, "ext3") && !strcmp(name, "ext4"));

	for (size_t i = 0; i < sizeof(driver) / sizeof(driver[0]); i++)
		wanted |= has_target(p, driver[i].target) && !strcmp(name, driver[i].module);
	return wanted && donor_offers(p->facts, name, NULL) == OFFER_MODULE;
}

/* "blacklist ena", "install ena /bin/true": true, false and : in any directory load nothing. */
static bool blocks(const struct planner *p, const struct words *w)
{
	const char *command = w->text[2];
	size_t n = w->count > 2 ? w->len[2] : 0;
	char name[64];

	name_of(w, 1, name);
	if (!needed(p, name))
		return false;
	if (word_is(w, 0, "blacklist"))
		return true;
	return word_is(w, 0, "install") && ((n == 1 && *command == ':') || (n >= 4 && !memcmp(command + n - 4, "true", 4)) ||
					    (n >= 5 && !memcmp(command + n - 5, "false", 5)));
}

static void edit_blocked(struct planner *p, const struct line *l, struct buf *out)
{
	struct words w;

	split(l, &w);
	if (blocks(p, &w))
		buf_puts(out, "#pv2hvm: ");
	buf_append(out, l->text, l->whole);
}

/* The driver that stands for the old name: by the first of the targets that has one. "" where several could be meant. */
static const char *new_driver(const struct planner *p, bool net)
{
	if (has_target(p, P2H_TARGET_XEN_HVM))
		return net ? "xen_netfront" : "xen_blkfront";
	if (has_target(p, P2H_TARGET_NITRO) && has_target(p, P2H_TARGET_KVM))
		return "";
	return has_target(p, P2H_TARGET_NITRO) ? (net ? "ena" : "nvme") : (net ? "virtio_net" : "virtio_blk");
}

/* "eth0": 1, "scsi_hostadapter2": 2 */
static unsigned hardware_alias(const struct words *w)
{
	size_t n = w->count > 1 ? w->len[1] : 0, digits = 0;

	while (digits < n && isdigit((unsigned char)w->text[1][n - 1 - digits]))
		digits++;
	if (n - digits == 3 && digits && !memcmp(w->text[1], "eth", 3))
		return 1;
	return n - digits == 16 && !memcmp(w->text[1], "scsi_hostadapter", 16) ? 2 : 0;
}

static void edit_alias(struct planner *p, const struct line *l, struct buf *out)
{
	static const char *const old[] = {"xennet", "xenblk", "xen_netfront", "xen_blkfront", "xen_vnif", "xen_vbd"};
	const char *next;
	unsigned kind;
	struct words w;
	bool xen = false;
	char name[64];

	split(l, &w);
	name_of(&w, 2, name);
	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
		xen |= !strcmp(name, old[i]);
	kind = word_is(&w, 0, "alias") && xen ? hardware_alias(&w) : 0;
	next = kind ? new_driver(p, kind == 1) : name;
	if (!strcmp(next, name)) {
		buf_append(out, l->text, l->whole);
	} else if (!*next || donor_offers(p->facts, next, NULL) != OFFER_MODULE) {
		buf_puts(out, "#pv2hvm: ");
		buf_append(out, l->text, l->whole);
	} else {
		size_t before = (size_t)(w.text[2] - l->text);

		buf_append(out, l->text, before);
		buf_puts(out, next);
		buf_append(out, w.text[2] + w.len[2], l->whole - before - w.len[2]);
	}
}

static void edit_all(struct planner *p, void (*edit)(struct planner *, const struct line *, struct buf *), const char *reason)
{
	const struct facts *f = p->facts;

	if (!*f->donor.chosen.release)
		return;
	for (size_t i = 0; i < f->files; i++) {
		CLEANUP(buf_done) struct buf out = {0};
		struct line l = {0};
		size_t at = 0, len;
		const char *text;

		if (!is_modprobe_conf(&f->file[i]))
			continue;
		text = planner_text(p, f->file[i].path, &len);
		while (text && next_line(text, len, &at, &l))
			edit(p, &l, &out);
		planner_write_buf(p, f->file[i].path, &out, 0644, reason);
	}
}

void rule_modules_blocked(struct planner *p)
{
	edit_all(p, edit_blocked, "the target needs a driver that is kept from being loaded");
}

void rule_modprobe_alias(struct planner *p)
{
	edit_all(p, edit_alias, "the driver has another name in the new kernel");
}
