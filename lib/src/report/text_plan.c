/* text_plan.c - findings, changed files, and what stays as it is, in the text report */
#include <string.h>

#include "base/cleanup.h"
#include "report/text.h"

#define PATHS_SHOWN 8u

/* The worst first; among equals those that block, then the plan's order. */
static int compare_findings(const void *a, const void *b)
{
	const struct finding *const x = *(const struct finding *const *)a, *const y = *(const struct finding *const *)b;

	if (x->severity != y->severity)
		return x->severity < y->severity ? -1 : 1;
	if (x->blocks != y->blocks)
		return x->blocks ? -1 : 1;
	return x < y ? -1 : x > y;
}

static bool rule_acts(const struct plan *p, const char *rule)
{
	for (size_t i = 0; i < p->actions; i++)
		if (!strcmp(p->action[i].rule, rule))
			return true;
	return false;
}

/* The paths that a finding's rule changes. */
static void append_paths(struct buf *b, const struct plan *p, const char *rule)
{
	CLEANUP(strlist_done) struct strlist paths = {0};
	CLEANUP(buf_done) struct buf text = {0};
	size_t more = 0;

	for (size_t i = 0; i < p->actions; i++) {
		const char *path = *or_empty(p->action[i].path) ? p->action[i].path : "the disk";

		if (strcmp(p->action[i].rule, rule) || strlist_has(&paths, path))
			continue;
		if (paths.len < PATHS_SHOWN)
			strlist_add(&paths, path);
		else
			more++;
	}
	append_joined(&text, &paths, ", ");
	if (more)
		buf_printf(&text, ", and %zu more", more);
	b->failed |= paths.failed || text.failed;
	if (!b->failed && text.len)
		text_line(b, "      changes: %s", text.data);
}

int text_findings(struct buf *b, const struct plan *p, struct p2h_error *err)
{
	CLEANUP_FREE const struct finding **sorted = calloc(p->findings + 1, sizeof(*sorted));
	size_t blocking = 0;

	if (!sorted)
		return error_nomem(err);
	for (size_t i = 0; i < p->findings; i++) {
		sorted[i] = &p->finding[i];
		blocking += p->finding[i].blocks;
	}
	qsort(sorted, p->findings, sizeof(*sorted), compare_findings);
	if (!p->findings)
		text_section(b, "Findings: none");
	else if (!blocking)
		text_section(b, "Findings: %zu, none blocks", p->findings);
	else
		text_section(b, "Findings: %zu, %zu block", p->findings, blocking);
	for (size_t i = 0; i < p->findings; i++) {
		const struct finding *f = sorted[i];

		text_line(b, "  [%s%s] %s: %s", severity_name(f->severity), f->blocks ? ", BLOCKS" : "", f->rule, or_empty(f->text));
		if (*or_empty(f->evidence))
			text_line(b, "      seen: %s", f->evidence);
		if (*or_empty(f->advice))
			text_line(b, "      do: %s", f->advice);
		append_paths(b, p, f->rule);
	}
	return 0;
}

static int append_change(struct buf *b, const struct change *c, struct p2h_error *err)
{
	const struct file_state *before = &c->before, *after = &c->after;

	/* Lines that patch(1) skips: the rest of this section can be fed to it. */
	buf_puts(b, "\n");
	for (size_t i = 0; i < c->actions; i++)
		text_line(b, "# %s: %s (%s)", c->action[i]->rule, or_empty(c->action[i]->reason), severity_name(c->action[i]->severity));
	if (before->kind == FILE_NONE && after->kind == FILE_TEXT)
		text_line(b, "# new file, mode %04o%s", (unsigned)c->mode, after->len ? "" : ", empty");
	if (before->kind == FILE_LINK && after->kind == FILE_LINK)
		text_line(b, "link %s -> %s (was -> %s)", c->path, after->data, before->data);
	else if (before->kind == FILE_LINK)
		text_line(b, "removed link %s -> %s", c->path, before->data);
	else if (after->kind == FILE_LINK && before->kind == FILE_NONE)
		text_line(b, "new link %s -> %s", c->path, after->data);
	if (before->kind == FILE_TEXT || after->kind == FILE_TEXT) {
		int rc = change_diff(c->path, before, after, b, err);

		if (rc)
			return rc;
	}
	if (after->kind == FILE_LINK && before->kind == FILE_TEXT)
		text_line(b, "new link %s -> %s", c->path, after->data);
	return 0;
}

int text_files(struct buf *b, const struct changes *changes, struct p2h_error *err)
{
	int rc = 0;

	text_section(b, "Changed files: %zu", changes->len);
	for (size_t i = 0; i < changes->len && !rc; i++)
		rc = append_change(b, &changes->item[i], err);
	return rc;
}

void text_nodes(struct buf *b, const struct plan *p)
{
	if (find_action(p, ACTION_DIRECTORY) || find_action(p, ACTION_NODE))
		text_section(b, "Directories and device nodes");
	for (size_t i = 0; i < p->actions; i++) {
		const struct action *a = &p->action[i];

		if (a->kind == ACTION_DIRECTORY)
			text_line(b, "  new directory %s: %s (%s)", a->path, or_empty(a->reason), a->rule);
		else if (a->kind == ACTION_NODE)
			text_line(b, "  new %s device %s (%u, %u), mode %04o: %s (%s)", a->block ? "block" : "character", a->path, a->major, a->minor,
				  (unsigned)a->mode, or_empty(a->reason), a->rule);
	}
}

static bool is_changed(const struct changes *changes, const char *path)
{
	for (size_t i = 0; i < changes->len; i++)
		if (!strcmp(changes->item[i].path, path))
			return true;
	return false;
}

static void append_old_kernels(struct buf *b, const struct report_input *in)
{
	const struct facts_kernels *k = &in->facts->kernels;

	for (size_t i = 0; i < k->len; i++) {
		if (!strcmp(or_empty(k->item[i].release), or_empty(in->plan->kernel)))
			continue;
		if (k->item[i].hvm && *or_empty(k->item[i].initrd))
			text_line(b, "  kernel %s stays, and can be chosen in the menu", or_empty(k->item[i].release));
		else
			text_line(b, "  kernel %s stays, but not in the menu: %s", or_empty(k->item[i].release),
				  k->item[i].hvm ? "it has no initramfs" : or_empty(k->item[i].why_not));
	}
}

void text_left_alone(struct buf *b, const struct report_input *in, const struct changes *changes)
{
	static const char *const old_menus[] = {"/boot/grub/grub.conf", "/boot/grub/menu.lst"};
	const struct facts *f = in->facts;
	const struct plan *p = in->plan;
	size_t start;

	text_section(b, "Left alone on purpose");
	start = b->len;
	append_old_kernels(b, in);
	for (size_t i = 0; i < sizeof(old_menus) / sizeof(*old_menus); i++)
		if (known_file(f, old_menus[i]) && !is_changed(changes, old_menus[i]))
			text_line(b, "  %s stays: GRUB 2 does not read it", old_menus[i]);
	for (size_t i = 0; i < f->volumes.len; i++) {
		const struct volume *v = &f->volumes.item[i];
		char place[160];

		volume_describe(v, place, sizeof(place));
		if (v->number && v->number != f->root_number && v->number != f->boot_number)
			text_line(b, "  %s (%s)", place, *v->content ? v->content : "no signature");
	}
	for (size_t i = 0; i < f->unmounted.len; i++)
		text_line(b, "  %s: cannot be read here", f->unmounted.item[i]);
	for (size_t i = 0; i < p->findings; i++)
		if (!p->finding[i].blocks && !rule_acts(p, p->finding[i].rule))
			text_line(b, "  %s: %s", p->finding[i].rule,
				  *or_empty(p->finding[i].evidence) ? p->finding[i].evidence : or_empty(p->finding[i].text));
	if (b->len == start)
		text_line(b, "  nothing");
}
