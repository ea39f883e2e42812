/* modules.c - the donor's modules under the guest's own tools */
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

const struct facts_tree *planner_modules(const struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;

	return p->plan->readable_modules ? &d->readable.tree : &d->modules;
}

static const char *modprobe_name(enum modprobe_kind kind)
{
	static const char *const name[] = {"none", "unknown", "busybox", "module-init-tools", "kmod"};

	return name[kind];
}

/* ".ko.xz, .ko.zst" */
static const char *packing_names(struct planner *p, const struct facts_readable *r)
{
	CLEANUP(buf_done) struct buf names = {0};

	for (const char *const *packing = r->packing; *packing; packing++)
		buf_printf(&names, "%s.ko.%s", names.len ? ", " : "", *packing);
	p->arena->failed |= names.failed;
	return names.len ? arena_strdup(p->arena, names.data) : "";
}

static unsigned long long mib(uint64_t bytes)
{
	return (bytes + (1u << 20) - 1) >> 20;
}

void rule_ko_compression(struct planner *p)
{
	const struct facts_modprobe *m = &p->facts->modprobe;
	const struct facts_donor *d = &p->facts->donor;
	const struct facts_readable *r = &d->readable;
	const char *names = packing_names(p, r);

	if (!r->differs)
		return;
	if (*r->problem) {
		planner_block(p, r->problem, arena_printf(p->arena, "the guest's %s (%s) cannot read %s, and this one cannot be unpacked", m->path,
							  modprobe_name(m->kind), names),
			      "choose another donor; allowed, the modules are copied as they are");
		return;
	}
	p->plan->readable_modules = true;
	if (*r->packing)
		planner_tell(p, arena_printf(p->arena, "%s%s%s (%s)", m->path, *m->library ? " or " : "", m->library, modprobe_name(m->kind)),
			     arena_printf(p->arena, "the guest cannot load the donor's modules, which are %s", names),
			     arena_printf(p->arena, "they are stored decompressed: %llu MiB instead of %llu MiB, with modules.dep and its index for that",
					  mib(r->tree.bytes), mib(d->modules.bytes)));
	if (m->absolute_paths)
		planner_tell(p, arena_printf(p->arena, "%s (%s)", m->path, modprobe_name(m->kind)),
			     "this modprobe knows no modules.dep.bin and may not find modules by the relative paths that today's depmod writes",
			     "modules.dep is written with whole paths");
}
