/* changes.c - the plan's actions put together: one change a path, from its first state to its last; the disk's new layout */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/diff.h"
#include "report/parts.h"

void layout_after(const struct facts *f, const struct plan *p, struct volume room[2], struct volumes *ret)
{
	const struct action *table = find_action(p, ACTION_TABLE);

	*ret = f->volumes;
	if (p->layout != P2H_LAYOUT_PARTITION || f->volumes.table != TABLE_NONE)
		return;
	room[1] = f->volumes.len ? f->volumes.item[0] : (struct volume){.len = f->disk_size};
	room[1].number = 1;
	room[1].off = table ? table->start : p->shift;
	room[1].len = table ? table->len : f->disk_size;
	room[1].active = true;
	snprintf(room[1].type, sizeof(room[1].type), "83");
	room[0] = (struct volume){.len = f->disk_size + p->shift};
	*ret = (struct volumes){.table = TABLE_MBR, .sector_size = REPORT_SECTOR, .item = room, .len = 2};
	if (table) {
		snprintf(ret->table_id, sizeof(ret->table_id), "0x%08x", table->table_id);
		snprintf(room[1].part_uuid, sizeof(room[1].part_uuid), "%08x-01", table->table_id);
	}
}

bool is_file_action(const struct action *a)
{
	return a->kind == ACTION_FILE || a->kind == ACTION_LINK || a->kind == ACTION_REMOVE;
}

/* What stands there before the first action: the guest's own file, where the action itself does not carry it. */
static struct file_state first_state(const struct facts *f, const struct action *a)
{
	const struct facts_file *file = known_file(f, a->path);

	if (!a->existed)
		return (struct file_state){FILE_NONE, "", 0};
	if (file && file->is_link && a->kind != ACTION_FILE) /* a write goes through a link */
		return (struct file_state){FILE_LINK, or_empty(file->target), strlen(or_empty(file->target))};
	if (a->kind == ACTION_LINK && file)
		return (struct file_state){FILE_TEXT, or_empty(file->text), file->len};
	return (struct file_state){a->kind == ACTION_LINK ? FILE_LINK : FILE_TEXT, or_empty(a->before), a->before_len};
}

static struct file_state last_state(const struct action *a)
{
	if (a->kind == ACTION_REMOVE)
		return (struct file_state){FILE_NONE, "", 0};
	return (struct file_state){a->kind == ACTION_LINK ? FILE_LINK : FILE_TEXT, or_empty(a->after), a->after_len};
}

void action_states(const struct facts *f, const struct action *previous, const struct action *a,
		   struct file_state *ret_before, struct file_state *ret_after)
{
	*ret_before = previous ? last_state(previous) : first_state(f, a);
	*ret_after = last_state(a);
}

static bool same_state(const struct file_state *a, const struct file_state *b)
{
	return a->kind == b->kind && a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

/* By path; actions on the same path keep their order, which is that of their place in the plan. */
static int compare_actions(const void *a, const void *b)
{
	const struct action *const x = *(const struct action *const *)a, *const y = *(const struct action *const *)b;
	int order = strcmp(x->path, y->path);

	if (order)
		return order;
	return x < y ? -1 : x > y;
}

int changes_collect(const struct facts *f, const struct plan *p, struct changes *ret, struct p2h_error *err)
{
	CLEANUP(changes_done) struct changes all = {0};
	size_t n = 0;

	all.action = calloc(p->actions + 1, sizeof(*all.action));
	all.item = calloc(p->actions + 1, sizeof(*all.item));
	if (!all.action || !all.item)
		return error_nomem(err);
	for (size_t i = 0; i < p->actions; i++)
		if (is_file_action(&p->action[i]))
			all.action[n++] = &p->action[i];
	qsort(all.action, n, sizeof(*all.action), compare_actions);
	for (size_t i = 0, end; i < n; i = end) {
		struct change c = {.path = all.action[i]->path, .action = all.action + i};

		for (end = i + 1; end < n && !strcmp(all.action[end]->path, c.path);)
			end++;
		c.actions = end - i;
		c.before = first_state(f, all.action[i]);
		c.after = last_state(all.action[end - 1]);
		c.mode = all.action[i]->mode;
		if (!same_state(&c.before, &c.after))
			all.item[all.len++] = c;
	}
	*ret = all;
	all = (struct changes){0};
	return 0;
}

void changes_done(struct changes *c)
{
	free(c->action);
	free(c->item);
	*c = (struct changes){0};
}

int change_diff(const char *path, const struct file_state *before, const struct file_state *after, struct buf *ret,
		struct p2h_error *err)
{
	return diff_unified(path, before->kind == FILE_TEXT ? before->data : NULL, before->len,
			    after->kind == FILE_TEXT ? after->data : NULL, after->len, ret, err);
}
