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

/*
 * By target: what its disk and network card need, and the function that starts it, for initcall_blacklist=. Linux: drivers/block, drivers/net,
 * drivers/nvme/host, drivers/virtio.
 */
static const struct driver {
	unsigned target;
	const char *module, *start;
} driver[] = {
	{P2H_TARGET_XEN_HVM, "xen_blkfront", "xlblk_init"}, {P2H_TARGET_XEN_HVM, "xen_netfront", "netif_init"},
	{P2H_TARGET_NITRO, "nvme", "nvme_init"},            {P2H_TARGET_NITRO, "nvme_core", "nvme_core_init"},
	{P2H_TARGET_NITRO, "ena", "ena_init"},              {P2H_TARGET_KVM, "virtio", "virtio_init"},
	{P2H_TARGET_KVM, "virtio_blk", "virtio_blk_init"},  {P2H_TARGET_KVM, "virtio_net", "virtio_net_driver_init"},
	{P2H_TARGET_KVM, "virtio_pci", "virtio_pci_driver_init"}, {P2H_TARGET_KVM, "virtio_ring", NULL},
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

static bool starts_needed(const struct planner *p, const char *function)
{
	for (size_t i = 0; i < sizeof(driver) / sizeof(driver[0]); i++)
		if (has_target(p, driver[i].target) && driver[i].start && !strcmp(function, driver[i].start))
			return true;
	return !strcmp(function, "ext4_init_fs") && !strncmp(p->facts->root_type, "ext", 3);
}

/*
 * Parameters that name what is not to be loaded, with commas between (kernel-parameters.txt, modprobe(8), dracut.cmdline(7), where rdblacklist= is the
 * old name).
 */
static const char *const list_parameter[] = {"modprobe.blacklist=", "module_blacklist=", "rd.driver.blacklist=", "rdblacklist=",
					     "initcall_blacklist="};

/* Writes the word without what is needed to *out, nothing where all of it is. false: it names nothing that is. */
static bool without_needed(const struct planner *p, const char *word, struct buf *out)
{
	bool removed = false, calls = !strncmp(word, "initcall_", 9);
	size_t name = 0;

	for (size_t i = 0; i < sizeof(list_parameter) / sizeof(list_parameter[0]); i++)
		if (!strncmp(word, list_parameter[i], strlen(list_parameter[i])))
			name = strlen(list_parameter[i]);
	for (const char *at = word + name; name && *at; at += *at == ',') {
		size_t n = strcspn(at, ",");
		char item[64] = "", module[64];

		if (n < sizeof(item))
			memcpy(item, at, n);
		kmodule_name(item, module, sizeof(module));
		if (*item && (calls ? starts_needed(p, item) : needed(p, module)))
			removed = true;
		else if (n)
			buf_printf(out, "%.*s%.*s", (int)(out->len ? 1 : name), out->len ? "," : word, (int)n, at);
		at += n;
	}
	return removed;
}

bool cmdline_blocks_driver(const struct planner *p, const char *word)
{
	CLEANUP(buf_done) struct buf rest = {0};

	return without_needed(p, word, &rest);
}

static void edit_cmdline(struct planner *p)
{
	for (size_t i = 0; i < p->plan->words;) {
		CLEANUP(buf_done) struct buf rest = {0};
		const char *word = p->plan->word[i].text;

		if (!without_needed(p, word, &rest)) {
			i++;
			continue;
		}
		planner_tell(p, word, "this kernel parameter keeps a driver from being loaded that a target needs",
			     rest.len ? "that driver is taken out of it" : "it is dropped");
		plan_drop_word(p->plan, word);
		if (rest.len)
			planner_cmdline(p, rest.data);
		p->arena->failed |= rest.failed;
	}
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
	if (*p->facts->donor.chosen.release)
		edit_cmdline(p);
}

void rule_modprobe_alias(struct planner *p)
{
	edit_all(p, edit_alias, "the driver has another name in the new kernel");
}
