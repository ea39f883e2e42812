/* foreign.c - modules that were added to the guest's old kernel and that the new one does not have */
#include <string.h>

#include "base/cleanup.h"
#include "parse/fstab.h"
#include "plan/planner.h"

#define MAX_NAMED 12

/* A line of fstab that cannot be mounted without the module: its file system, or a device that is called like it ("/dev/drbd0"). */
static bool line_needs(const struct fstab_entry *e, const char *name)
{
	const char *spec = e->text[FSTAB_SPEC];
	size_t n = strlen(name);

	if (fstab_has_option(e->text[FSTAB_OPTIONS], "noauto") || fstab_has_option(e->text[FSTAB_OPTIONS], "nofail"))
		return false;
	return !strcmp(e->text[FSTAB_TYPE], name) || (!strncmp(spec, "/dev/", 5) && !strncmp(spec + 5, name, n) && !strchr(spec + 5 + n, '-'));
}

static bool fstab_needs(struct planner *p, const struct facts_foreign *m)
{
	CLEANUP(fstab_done) struct fstab table = {0};
	size_t len;
	const char *text = planner_text(p, "/etc/fstab", &len);

	if (!text || fstab_parse(text, len, &table, NULL))
		return false;
	for (size_t i = 0; i < table.len; i++) {
		if (!line_needs(&table.item[i], m->name))
			continue;
		planner_block(p, arena_printf(p->arena, "%s; /etc/fstab line %zu", m->path, table.item[i].line),
			      arena_printf(p->arena, "%s on %s needs the module %s, which kernel %s does not have", table.item[i].text[FSTAB_SPEC],
					   table.item[i].text[FSTAB_FILE], m->name, p->facts->donor.chosen.release),
			      "choose a donor on which this module was built for its kernel, or make the line `noauto`");
		return true;
	}
	return false;
}

void rule_modules_foreign(struct planner *p)
{
	const struct facts *f = p->facts;
	CLEANUP(buf_done) struct buf names = {0};
	const char *first = NULL;
	size_t unused = 0;

	if (!*f->donor.chosen.release || f->donor.from_guest)
		return;
	for (size_t i = 0; i < f->foreigns; i++) {
		const struct facts_foreign *m = &f->foreign[i];

		if (donor_offers(f, m->name, NULL) != OFFER_NO || fstab_needs(p, m))
			continue;
		if (*m->used_by) {
			planner_tell(p, m->path, arena_printf(p->arena, "the module %s was added to the old kernel, the new one has none; it is named in %s", m->name, m->used_by),
				     "build it for the new kernel (dkms, the vendor's package), or take out what loads it");
			continue;
		}
		if (!first)
			first = m->path;
		if (unused++ < MAX_NAMED)
			buf_printf(&names, "%s%s", names.len ? ", " : "", m->name);
	}
	p->arena->failed |= names.failed;
	if (!unused || names.failed)
		return;
	if (unused > MAX_NAMED)
		buf_printf(&names, " and %zu more", unused - MAX_NAMED);
	if (!names.failed)
		planner_tell(p, first, arena_printf(p->arena, "modules were added to the old kernel that the new one has not, and nothing names them: %s", names.data),
			     "if programs need them, build them for the new kernel");
}
