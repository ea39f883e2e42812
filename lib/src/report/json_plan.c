/* json_plan.c - findings and actions in the JSON report */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/json.h"

json_t *json_findings(struct json_writer *w, const struct plan *p)
{
	json_t *array = json_array();

	for (size_t i = 0; i < p->findings; i++) {
		const struct finding *f = &p->finding[i];
		json_t *object = json_object();

		json_put_text(w, object, "rule", f->rule);
		json_put_text(w, object, "severity", severity_name(f->severity));
		json_put_bool(w, object, "blocks", f->blocks);
		json_put_text(w, object, "evidence", f->evidence);
		json_put_text(w, object, "text", f->text);
		json_put_text(w, object, "advice", f->advice);
		json_add(w, array, object);
	}
	return array;
}

static const char *kind_name(enum action_kind kind)
{
	switch (kind) {
	case ACTION_TABLE:
		return "table";
	case ACTION_FILE:
		return "file";
	case ACTION_LINK:
		return "link";
	case ACTION_REMOVE:
		return "remove";
	case ACTION_DIRECTORY:
		return "directory";
	case ACTION_NODE:
		return "node";
	case ACTION_TREE:
		return "tree";
	case ACTION_FIRMWARE:
		return "firmware";
	case ACTION_INITRAMFS:
		return "initramfs";
	case ACTION_LABEL:
		return "label";
	case ACTION_BOOT_LOADER:
		break;
	}
	return "boot-loader";
}

/* The action before this one on the same path. */
static const struct action *previous_action(const struct plan *p, const struct action *a)
{
	for (size_t i = (size_t)(a - p->action); i--;)
		if (is_file_action(&p->action[i]) && !strcmp(p->action[i].path, a->path))
			return &p->action[i];
	return NULL;
}

static void put_diff(struct json_writer *w, json_t *object, const char *path, const struct file_state *before,
		     const struct file_state *after)
{
	CLEANUP(buf_done) struct buf diff = {0};

	if (change_diff(path, before, after, &diff, NULL))
		w->failed = true;
	else /* escaped already, but for its newlines */
		json_put(w, object, "diff", json_stringn(diff.len ? diff.data : "", diff.len));
}

static void put_mode(struct json_writer *w, json_t *object, const struct action *a)
{
	char mode[16];

	snprintf(mode, sizeof(mode), "%04o", (unsigned)a->mode);
	json_put_text(w, object, "mode", mode);
}

static void put_file(struct json_writer *w, json_t *object, const struct facts *f, const struct plan *p, const struct action *a)
{
	struct file_state before, after;

	action_states(f, previous_action(p, a), a, &before, &after);
	json_put_bool(w, object, "existed", before.kind != FILE_NONE);
	if (before.kind == FILE_LINK)
		json_put_text(w, object, "target_before", before.data);
	if (after.kind == FILE_LINK)
		json_put_text(w, object, "target", after.data);
	if (before.kind == FILE_TEXT || after.kind == FILE_TEXT)
		put_diff(w, object, a->path, &before, &after);
	if (before.kind == FILE_NONE && after.kind == FILE_TEXT)
		put_mode(w, object, a);
}

static void put_sectors(struct json_writer *w, json_t *object, uint64_t off, uint64_t len)
{
	json_put_number(w, object, "start_sector", off / REPORT_SECTOR);
	json_put_number(w, object, "sectors", len / REPORT_SECTOR);
}

static json_t *members(struct json_writer *w, const struct action *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->members; i++) {
		json_t *member = json_object();

		json_put_text(w, member, "path", a->member[i].path);
		json_put_number(w, member, "bytes", a->member[i].size);
		json_put_text(w, member, "why", a->member[i].why);
		json_add(w, list, member);
	}
	return list;
}

static json_t *action(struct json_writer *w, const struct facts *f, const struct plan *p, const struct action *a)
{
	json_t *object = json_object();
	char id[16];

	json_put_text(w, object, "kind", kind_name(a->kind));
	json_put_text(w, object, "rule", a->rule);
	json_put_text(w, object, "severity", severity_name(a->severity));
	json_put_text(w, object, "reason", a->reason);
	json_put_text(w, object, "path", a->path);
	switch (a->kind) {
	case ACTION_TABLE:
		snprintf(id, sizeof(id), "0x%08x", a->table_id);
		json_put_text(w, object, "table_id", id);
		put_sectors(w, object, a->start, a->len);
		break;
	case ACTION_FILE:
	case ACTION_LINK:
	case ACTION_REMOVE:
		put_file(w, object, f, p, a);
		break;
	case ACTION_NODE:
		json_put_text(w, object, "type", a->block ? "block" : "character");
		json_put_number(w, object, "major", a->major);
		json_put_number(w, object, "minor", a->minor);
		put_mode(w, object, a);
		break;
	case ACTION_TREE:
		json_put_number(w, object, "files", a->files);
		json_put_number(w, object, "bytes", a->bytes);
		break;
	case ACTION_FIRMWARE:
		json_put_number(w, object, "bytes", a->bytes);
		break;
	case ACTION_INITRAMFS:
		json_put_number(w, object, "bytes", a->after_len);
		json_put(w, object, "members", members(w, a));
		break;
	case ACTION_BOOT_LOADER:
		json_put_text(w, object, "place", place_name(a->place));
		if (a->place != PLACE_INODE5)
			put_sectors(w, object, a->place_off, a->place_len);
		break;
	case ACTION_DIRECTORY:
	case ACTION_LABEL:
		break;
	}
	return object;
}

static json_t *words(struct json_writer *w, const struct plan *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->words; i++) {
		json_t *word = json_object();

		json_put_text(w, word, "word", p->word[i].text);
		json_put_text(w, word, "rule", p->word[i].rule);
		json_add(w, list, word);
	}
	return list;
}

json_t *json_plan(struct json_writer *w, const struct facts *f, const struct plan *p)
{
	json_t *object = json_object(), *needed = json_object(), *actions = json_array();

	json_put_text(w, object, "layout", layout_name(p->layout));
	json_put_text(w, object, "layout_reason", p->layout_reason);
	json_put_number(w, object, "shift", p->shift);
	json_put_text(w, object, "kernel", p->kernel);
	json_put_text(w, object, "cmdline", p->cmdline);
	json_put_text(w, object, "cmdline_before", p->cmdline_before);
	json_put(w, object, "parameters", words(w, p));
	json_put_list(w, object, "kept", &p->kept);
	json_put_list(w, object, "dropped", &p->dropped);
	json_put_bool(w, object, "blocked", p->blocked);
	json_put_text(w, object, "blocked_by", p->blocked_by);
	json_put_number(w, needed, "blocks", p->blocks_needed);
	json_put_number(w, needed, "inodes", p->inodes_needed);
	json_put(w, object, "needed", needed);
	for (size_t i = 0; i < p->actions; i++)
		json_add(w, actions, action(w, f, p, &p->action[i]));
	json_put(w, object, "actions", actions);
	return object;
}

json_t *json_layout_after(struct json_writer *w, const struct facts *f, const struct plan *p)
{
	json_t *object = json_object();
	struct volume room[2];
	struct volumes after;

	layout_after(f, p, room, &after);
	json_put_number(w, object, "size", f->disk_size + p->shift);
	json_put_text(w, object, "table", table_name(after.table));
	json_put_text(w, object, "table_id", after.table_id);
	json_put(w, object, "partitions", json_volumes(w, &after, 1));
	return object;
}
