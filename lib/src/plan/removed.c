/* removed.c - system calls and files that Linux had once */
#include "base/cleanup.h"
#include "plan/planner.h"

#define NAMED 4 /* paths of a finding */

static const char *users(struct planner *p, size_t gone)
{
	const struct facts_abi *abi = &p->facts->abi;
	CLEANUP(buf_done) struct buf list = {0};
	size_t n = 0;

	for (size_t i = 0; i < abi->calls; i++) {
		if (abi->call[i].gone != gone || ++n > NAMED)
			continue;
		buf_printf(&list, "%s%s", n > 1 ? ", " : "", abi->call[i].path);
		if (abi->call[i].line)
			buf_printf(&list, ":%zu", abi->call[i].line);
	}
	if (n > NAMED)
		buf_printf(&list, " and %zu more", n - NAMED);
	if (list.failed)
		p->arena->failed = true;
	return n && !list.failed ? arena_strdup(p->arena, list.data) : NULL;
}

void rule_removed_calls(struct planner *p)
{
	for (size_t i = 0; i < ABI_GONE; i++) {
		const struct abi_gone *gone = &abi_gone[i];
		const char *who = users(p, i);

		if (!who || !*p->plan->kernel || kernel_before(p, gone->major, gone->minor))
			continue;
		planner_tell(p, who, arena_printf(p->arena, gone->is_file ? "names %s, which the new kernel does not have" :
							    "imports the system call %s, which the new kernel does not have", gone->name),
			     gone->what);
	}
}
