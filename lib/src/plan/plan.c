#include "plan/plan.h"

#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

const char *severity_name(enum severity s)
{
	static const char *const name[] = {"boot", "login", "network", "security", "degraded", "info"};

	return name[s];
}

const struct rule *rule_find(const char *id)
{
	for (const struct rule *r = rule_table; r->id; r++)
		if (!strcmp(r->id, id))
			return r;
	return NULL;
}

static bool listed(const char *const *list, const char *id)
{
	for (; list && *list; list++)
		if (!strcmp(*list, id))
			return true;
	return false;
}

int plan_check_rules(const struct p2h_options *o, struct p2h_error *err)
{
	for (const char *const *id = o->skip; id && *id; id++)
		if (!rule_find(*id))
			return error_set(err, P2H_USAGE, "--skip %s: no such rule: `pv2hvm rules` lists them", *id);
	for (const char *const *id = o->allow; id && *id; id++)
		if (!rule_find(*id))
			return error_set(err, P2H_USAGE, "--allow %s: no such rule: `pv2hvm rules` lists them", *id);
	return 0;
}

static int check_layout(const struct facts *f, const struct p2h_options *o, struct p2h_error *err)
{
	if (f->volumes.table == TABLE_NONE && o->layout == P2H_LAYOUT_KEEP)
		return error_set(err, P2H_USAGE, "--layout keep: the image has no partition table to keep: use partition or flat");
	if (f->volumes.table != TABLE_NONE && (o->layout == P2H_LAYOUT_PARTITION || o->layout == P2H_LAYOUT_FLAT))
		return error_set(err, P2H_USAGE, "--layout: the image is partitioned already: use keep or auto");
	return 0;
}

static bool same_words(const char *a, const char *b)
{
	CLEANUP(strlist_done) struct strlist x = {0}, y = {0};
	bool same;

	strlist_split(&x, a, " ");
	strlist_split(&y, b, " ");
	strlist_sort(&x);
	strlist_sort(&y);
	same = !x.failed && !y.failed && x.len == y.len;
	for (size_t i = 0; same && i < x.len; i++)
		same = !strcmp(x.item[i], y.item[i]);
	return same;
}

/* A grub.cfg of ours says the same in another order: words that were added behind the rules' own (--cmdline-add) are now old ones. */
static bool is_reordered(const struct plan *p, const struct facts *f, const char *line)
{
	const struct facts_file *cfg = facts_file(f, "/boot/grub/grub.cfg");

	return cfg && memmem(cfg->text, cfg->len, "--id pv2hvm-", 12) && same_words(line, p->cmdline_before);
}

static void planner_done(struct planner *p)
{
	buf_done(&p->other_menus);
}

static int make_cmdline(struct plan *p, const struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf line = {0};

	buf_printf(&line, "root=%s ro", p->root);
	for (size_t i = 0; i < p->words; i++)
		buf_printf(&line, " %s", p->word[i].text);
	if (line.failed)
		return error_nomem(err);
	p->cmdline = is_reordered(p, f, line.data) ? p->cmdline_before : arena_strdup(&p->arena, line.data);
	return 0;
}

int plan_make(const struct facts *facts, const struct p2h_options *options, struct plan *ret, struct p2h_error *err)
{
	CLEANUP(plan_done) struct plan plan = {.layout_reason = "", .kernel = "", .cmdline = "", .cmdline_before = "", .blocked_by = ""};
	CLEANUP(planner_done) struct planner p = {.facts = facts, .options = options, .plan = &plan, .arena = &plan.arena};
	int rc = check_layout(facts, options, err);

	if (rc)
		return rc;
	p.targets = options->targets ? options->targets : P2H_TARGET_XEN_HVM | P2H_TARGET_NITRO;
	plan.root = arena_printf(&plan.arena, "UUID=%s", facts->root_uuid);
	plan.kernel = facts->donor.chosen.release ? facts->donor.chosen.release : "";
	for (const struct rule *r = rule_table; r->id && !rc; r++) {
		p.rule = r;
		p.severity = r->severity;
		if (r->run == rule_grub_cfg)
			rc = make_cmdline(&plan, facts, err);
		if (!rc && !listed(options->skip, r->id))
			r->run(&p);
		if (plan.arena.failed)
			rc = error_nomem(err);
	}
	if (!rc && (p.other_menus.failed || plan.kept.failed || plan.dropped.failed))
		rc = error_nomem(err);
	if (rc)
		return rc;
	*ret = plan;
	plan = (struct plan){0};
	return 0;
}

unsigned plan_number_after(const struct plan *p, unsigned number)
{
	return p->shift && number < VOLUME_MAPPED ? 1 : number;
}

void plan_done(struct plan *p)
{
	strlist_done(&p->kept);
	strlist_done(&p->dropped);
	arena_done(&p->arena);
	*p = (struct plan){0};
}
