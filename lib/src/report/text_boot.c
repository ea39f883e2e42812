/* text_boot.c - the way from the BIOS to the kernel in the text report, as planned and as verified */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/text.h"

static void append_words(struct buf *b, const char *name, const struct strlist *list)
{
	CLEANUP(buf_done) struct buf words = {0};

	append_joined(&words, list, " ");
	b->failed |= words.failed;
	if (!b->failed)
		text_line(b, "          %-12s %s", name, words.len ? words.data : "(none)");
}

/* The kernel that boots today, as far as it is known, with the reason why it cannot boot as HVM. */
static void append_before(struct buf *b, const struct report_input *in)
{
	const struct facts *f = in->facts;
	const struct verify_step *failed = in->before ? first_failed(in->before) : NULL;

	text_line(b, "  before  %-12s %s", "boot sector", or_empty(f->boot.sector0));
	if (in->before && *or_empty(in->before->kernel))
		text_line(b, "          %-12s %s", "kernel", in->before->kernel);
	text_line(b, "          %-12s %s", "command line", *or_empty(in->plan->cmdline_before) ? in->plan->cmdline_before : "(unknown)");
	if (failed)
		text_line(b, "          %-12s no: %s: %s", "boots as HVM", failed->id, or_empty(failed->evidence));
	else if (in->before)
		text_line(b, "          %-12s yes", "boots as HVM");
}

static void append_loader(struct buf *b, const struct facts *f, const struct action *a)
{
	unsigned long long first = a->place_off / REPORT_SECTOR, sectors = a->place_len / REPORT_SECTOR;
	unsigned long long last = sectors ? first + sectors - 1 : first;
	CLEANUP(buf_done) struct buf place = {0};

	if (a->place == PLACE_GAP)
		buf_printf(&place, "gap before the first partition, sectors %llu-%llu", first, last);
	else if (a->place == PLACE_BIOS_BOOT)
		buf_printf(&place, "BIOS boot partition, sectors %llu-%llu", first, last);
	else
		buf_puts(&place, "inode 5 of the root file system");
	b->failed |= place.failed;
	if (b->failed)
		return;
	text_line(b, "  after   %-12s GRUB %s, %s (%s)", "boot loader", or_empty(f->host.grub_version), place.data, a->rule);
	text_line(b, "          %-12s /boot/grub/i386-pc, %zu files", "platform", f->host.platform.len);
}

void text_boot_path(struct buf *b, const struct report_input *in)
{
	const struct plan *p = in->plan;
	const struct action *loader = find_action(p, ACTION_BOOT_LOADER);

	text_section(b, "Boot path");
	append_before(b, in);
	if (loader)
		append_loader(b, in->facts, loader);
	else
		text_line(b, "  after   %-12s %s", "boot loader", "as before");
	text_line(b, "          %-12s %s", "kernel", *or_empty(p->kernel) ? p->kernel : "(none)");
	text_line(b, "          %-12s %s", "command line", *or_empty(p->cmdline) ? p->cmdline : "(none)");
	append_words(b, "kept", &p->kept);
	append_words(b, "dropped", &p->dropped);
}

/* What is appended to the initramfs, and why. */
static void append_archives(struct buf *b, const struct plan *p)
{
	for (size_t i = 0; i < p->actions; i++) {
		const struct action *a = &p->action[i];
		CLEANUP(buf_done) struct buf bytes = {0};

		if (a->kind != ACTION_INITRAMFS)
			continue;
		append_bytes_exact(&bytes, a->after_len);
		b->failed |= bytes.failed;
		if (b->failed)
			return;
		text_line(b, "  appended to %s: %s, %s (%s)", a->path, bytes.data, or_empty(a->reason), a->rule);
		for (size_t m = 0; m < a->members; m++)
			text_line(b, "    %s, %llu bytes: %s", a->member[m].path, (unsigned long long)a->member[m].size, a->member[m].why);
	}
}

static void append_firmware(struct buf *b, const struct plan *p)
{
	for (size_t i = 0; i < p->actions; i++) {
		const struct action *a = &p->action[i];

		if (a->kind == ACTION_FIRMWARE)
			text_line(b, "  %s, %llu bytes: %s (%s)", a->path, (unsigned long long)a->bytes, or_empty(a->reason), a->rule);
	}
}

void text_kernel_tree(struct buf *b, const struct report_input *in)
{
	const struct facts_donor *d = &in->facts->donor;
	const struct facts_tree *modules = in->plan->readable_modules ? &d->readable.tree : &d->modules;
	const struct action *a = find_action(in->plan, ACTION_TREE);
	CLEANUP(buf_done) struct buf bytes = {0};

	text_section(b, "Kernel tree");
	if (!a) {
		text_line(b, "  nothing to copy%s", !*or_empty(d->chosen.release) ? ": no kernel fits" :
			  d->from_guest ? ": the guest's own kernel boots" : d->boot.present && modules->present ? ": the guest has it already" : "");
		append_firmware(b, in->plan);
		append_archives(b, in->plan);
		return;
	}
	append_bytes_exact(&bytes, a->bytes);
	b->failed |= bytes.failed;
	if (!b->failed)
		text_line(b, "  %s from %s: %llu files, %s, into /boot and /lib/modules/%s", or_empty(d->chosen.release),
			  or_empty(d->name), (unsigned long long)a->files, bytes.data, or_empty(d->chosen.release));
	append_firmware(b, in->plan);
	append_archives(b, in->plan);
}

void text_steps(struct buf *b, const struct verify_report *r)
{
	static const char *const sign[] = {[VERIFY_PASS] = "[pass]", [VERIFY_FAIL] = "[FAIL]", [VERIFY_WARN] = "[warn]",
					   [VERIFY_SKIP] = "[skip]"};
	size_t wide = 0;

	for (size_t i = 0; i < r->len; i++)
		wide = strlen(r->item[i].id) > wide ? strlen(r->item[i].id) : wide;
	for (size_t i = 0; i < r->len; i++) {
		const struct verify_step *s = &r->item[i];
		const char *evidence = or_empty(s->evidence);

		text_line(b, "  %s %-*s  %s%s%s", sign[s->result], (int)wide, s->id, s->what, *evidence ? ": " : "", evidence);
	}
}

void text_verdict(struct buf *b, const struct verify_report *r, unsigned targets)
{
	const struct verify_step *failed = first_failed(r);
	CLEANUP(buf_done) struct buf names = {0};

	append_targets(&names, targets, ", ");
	b->failed |= names.failed;
	if (b->failed)
		return;
	if (r->passed)
		text_line(b, "verdict: boots as HVM on %s", names.data);
	else if (failed)
		text_line(b, "verdict: would not boot: %s: %s", failed->id, or_empty(failed->evidence));
	else
		text_line(b, "verdict: would not boot");
}
