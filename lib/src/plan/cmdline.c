/* cmdline.c - the kernel command line: what the old one said, without what is for PV only */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/grubcfg.h"
#include "parse/menulst.h"
#include "parse/textconf.h"
#include "plan/planner.h"

/* How a word is compared: as a whole, or by what it starts with (a name with its '='). */
struct word {
	const char *text;
	bool nitro_kvm_only; /* harmful only there */
};

static const struct word drop[] = {
	{"root=", false},         {"ro", false},         {"rw", false},           {"BOOT_IMAGE=", false},
	{"initrd=", false},       {"console=hvc", false}, {"console=xvc", false},
	{"xencons=", false},    {"acpi=off", false},     {"noapic", false},
	{"nolapic", false},       {"swiotlb=", false},    {"resume=", false},      {"clocksource=xen", true},
	{"independent_wallclock", false}, {"independent_wallclock=", false},
	{"xen_blkfront.sda_is_xvda=", false}, {"acpi=ht", false}, {"acpi=noirq", false}, {"pci=noacpi", false}, {"pci=off", false},
	{"earlyprintk=xen", false}, {"earlycon=xen", false},      {"xen_emul_unplug=", false}, {"xen_nopv", false}, {"nopv", false},
};

static bool is_dropped(const struct planner *p, const char *text)
{
	for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++) {
		size_t n = strlen(drop[i].text);
		char last = drop[i].text[n - 1];
		bool prefix = last == '=' || !strncmp(drop[i].text, "console=", 8);

		if (drop[i].nitro_kvm_only && !(p->targets & (P2H_TARGET_NITRO | P2H_TARGET_KVM)))
			continue;
		if (prefix ? !strncmp(text, drop[i].text, n) : !strcmp(text, drop[i].text))
			return true;
	}
	return false;
}

/* ip= that names the PV network card: what a domU's configuration adds. ip=dhcp says nothing of the machine. */
static bool names_card(const char *text)
{
	const char *field = strncmp(text, "ip=", 3) ? NULL : text + 3;

	for (; field; field = strchr(field, ':') ? strchr(field, ':') + 1 : NULL)
		if (!strncmp(field, "eth", 3))
			return true;
	return false;
}

/* resume= of a device that is in the image still works; by UUID it is kept. */
static bool keeps_resume(const struct planner *p, const char *text)
{
	return !strncmp(text, "resume=UUID=", 12) && volumes_find(&p->facts->volumes, text + 7);
}

static const char *from_menulst(struct planner *p, const char *path)
{
	CLEANUP(menulst_done) struct menulst m = {0};
	size_t len;
	const char *text = planner_text(p, path, &len);

	if (!text || menulst_parse(text, len, &m, NULL) || m.default_entry >= m.len || !m.item[m.default_entry].kernel[0])
		return NULL;
	return arena_strdup(p->arena, m.item[m.default_entry].args);
}

static const char *from_grubcfg(struct planner *p, const char *path)
{
	CLEANUP(grubcfg_done) struct grubcfg g = {0};
	const struct facts_file *f = facts_file(p->facts, path), *env = facts_file(p->facts, "/boot/grub/grubenv");

	if (!f || grubcfg_parse(f->text, f->len, env && env->len ? env->text : NULL, &g, NULL) || g.default_entry >= g.len ||
	    !g.item[g.default_entry].linux_path[0])
		return NULL;
	return arena_strdup(p->arena, g.item[g.default_entry].args);
}

static const char *from_defaults(struct planner *p)
{
	static const char *const name[] = {"GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"};
	const struct facts_file *f = facts_file(p->facts, "/etc/default/grub");
	CLEANUP(buf_done) struct buf words = {0};

	for (size_t i = 0; f && i < 2; i++) {
		CLEANUP_FREE char *value = assignment_get(f->text, f->len, name[i], NULL);

		if (value)
			buf_printf(&words, "%s ", value);
	}
	return f && words.len ? arena_strdup(p->arena, words.data) : NULL;
}

/* PV-GRUB reads menu.lst, pygrub prefers grub.cfg only where there is no menu.lst: so does this. */
static const char *old_cmdline(struct planner *p)
{
	static const char *const menu[] = {"/boot/grub/menu.lst", "/boot/grub/grub.conf"};
	static const char *const cfg[] = {"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"};
	const char *found = NULL;

	for (size_t i = 0; i < 2 && !found; i++)
		found = from_menulst(p, menu[i]);
	for (size_t i = 0; i < 2 && !found; i++)
		found = from_grubcfg(p, cfg[i]);
	return found ? found : from_defaults(p);
}

size_t cmdline_word_len(const char *text)
{
	bool quoted = false;
	size_t n = 0;

	for (; text[n] && (quoted || (text[n] != ' ' && text[n] != '\t')); n++)
		if (text[n] == '"')
			quoted = !quoted;
	return n;
}

static void split_words(struct strlist *l, const char *text)
{
	for (;;) {
		size_t n;

		text += strspn(text, " \t");
		n = cmdline_word_len(text);
		if (!n)
			return;
		strlist_addf(l, "%.*s", (int)n, text);
		text += n;
	}
}

/* Our own words in an old grub.cfg are made anew: kept, they would stand twice. */
static bool is_ours(const char *text)
{
	static const char *const ours[] = {"net.ifnames=0", "biosdevname=0", "nvme.io_timeout=", "nvme_core.io_timeout="};

	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!strncmp(text, ours[i], strlen(ours[i])))
			return true;
	return false;
}

void rule_param_pv(struct planner *p)
{
	CLEANUP(strlist_done) struct strlist words = {0};
	const char *old = old_cmdline(p);

	if (!old)
		return;
	p->plan->cmdline_before = old;
	split_words(&words, old);
	for (size_t i = 0; i < words.len; i++) {
		const char *w = words.item[i];

		if ((is_dropped(p, w) && !keeps_resume(p, w)) || names_card(w)) {
			strlist_add(&p->plan->dropped, w);
		} else if (!is_ours(w)) {
			strlist_add(&p->plan->kept, w);
			planner_cmdline(p, w);
		}
	}
	if (words.failed)
		p->arena->failed = true;
}

/* The parameter moved with the core of the driver into a module of its own (4.6), and took more than a byte (4.15). */
void rule_nvme_timeout(struct planner *p)
{
	if (has_target(p, P2H_TARGET_NITRO))
		planner_cmdline(p, kernel_before(p, 4, 6) ? "nvme.io_timeout=255" : kernel_before(p, 4, 15) ? "nvme_core.io_timeout=255" :
												  "nvme_core.io_timeout=4294967295");
}

static bool is_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	return !strcmp(text, word) || (!strchr(word, '=') && !strncmp(text, word, n) && text[n] == '=');
}

void plan_drop_word(struct plan *plan, const char *word)
{
	size_t to = 0;

	for (size_t i = 0; i < plan->words; i++)
		if (!is_word(plan->word[i].text, word))
			plan->word[to++] = plan->word[i];
	plan->words = to;
	to = 0;
	for (size_t i = 0; i < plan->kept.len; i++) {
		char *old = plan->kept.item[i];

		if (is_word(old, word)) {
			strlist_add(&plan->dropped, old);
			free(old);
		} else {
			plan->kept.item[to++] = old;
		}
	}
	plan->kept.len = to;
}

static bool has_parameter(const struct plan *plan, const char *word)
{
	for (size_t i = 0; i < plan->words; i++)
		if (!strcmp(plan->word[i].text, word))
			return true;
	return false;
}

void rule_user_cmdline(struct planner *p)
{
	for (const char *const *w = p->options->cmdline_remove; w && *w; w++)
		plan_drop_word(p->plan, *w);
	for (const char *const *w = p->options->cmdline_add; w && *w; w++)
		if (!has_parameter(p->plan, *w))
			planner_cmdline(p, *w);
}

bool cmdline_unwanted(const struct planner *p, const char *word)
{
	for (const char *const *w = p->options->cmdline_remove; w && *w; w++)
		if (is_word(word, *w))
			return true;
	return (is_dropped(p, word) && !keeps_resume(p, word)) || cmdline_blocks_driver(p, word);
}
