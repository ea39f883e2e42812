/* json.c - the report for programs; docs/report.schema.json describes it */
#include "report/json.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "inspect/drivers.h"

void json_put(struct json_writer *w, json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new(object, key, value))
		w->failed = true;
}

void json_add(struct json_writer *w, json_t *array, json_t *value)
{
	if (json_array_append_new(array, value))
		w->failed = true;
}

static json_t *escaped(const char *text)
{
	CLEANUP(buf_done) struct buf b = {0};

	text = or_empty(text);
	escape_append(&b, text, strlen(text));
	return b.failed ? NULL : json_stringn(b.len ? b.data : "", b.len);
}

void json_put_text(struct json_writer *w, json_t *object, const char *key, const char *text)
{
	json_put(w, object, key, escaped(text));
}

void json_put_number(struct json_writer *w, json_t *object, const char *key, uint64_t number)
{
	json_put(w, object, key, json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number));
}

void json_put_bool(struct json_writer *w, json_t *object, const char *key, bool value)
{
	json_put(w, object, key, json_boolean(value));
}

void json_put_list(struct json_writer *w, json_t *object, const char *key, const struct strlist *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->len; i++)
		json_add(w, array, escaped(list->item[i]));
	json_put(w, object, key, array);
}

static json_t *verification(struct json_writer *w, const struct verify_report *r)
{
	json_t *object = json_object(), *steps = json_array();

	json_put_bool(w, object, "passed", r->passed);
	json_put_text(w, object, "kernel", r->kernel);
	json_put_text(w, object, "cmdline", r->cmdline);
	json_put_text(w, object, "root_uuid", r->root_uuid);
	for (size_t i = 0; i < r->len; i++) {
		json_t *step = json_object();

		json_put_text(w, step, "id", r->item[i].id);
		json_put_text(w, step, "what", r->item[i].what);
		json_put_text(w, step, "result", result_name(r->item[i].result));
		json_put_text(w, step, "evidence", r->item[i].evidence);
		json_add(w, steps, step);
	}
	json_put(w, object, "steps", steps);
	return object;
}

static void put_head(struct json_writer *w, json_t *root, const struct report_input *in)
{
	json_t *program = json_object(), *targets = json_array();

	json_put_number(w, root, "schema_version", REPORT_SCHEMA_VERSION);
	json_put_text(w, program, "name", "pv2hvm");
	json_put_text(w, program, "version", P2H_VERSION);
	json_put(w, root, "program", program);
	json_put_text(w, root, "verb", in->verb);
	json_put_text(w, root, "verdict", verdict_name(in));
	json_put_bool(w, root, "dry_run", in->dry_run);
	for (size_t i = 0; i < DRIVERS_TARGETS; i++)
		if (has_target_index(in->targets, i))
			json_add(w, targets, escaped(drivers_target_name[i]));
	json_put(w, root, "targets", targets);
	if (in->warnings)
		json_put_list(w, root, "warnings", in->warnings);
	else
		json_put(w, root, "warnings", json_array());
}

static void put_output(struct json_writer *w, json_t *root, const struct report_input *in)
{
	json_t *output;

	if (!in->in_place && !*or_empty(in->output))
		return;
	output = json_object();
	json_put_text(w, output, "name", in->in_place ? in->source : in->output);
	json_put_text(w, output, "format", in->output_format);
	json_put_bool(w, output, "in_place", in->in_place);
	json_put(w, root, "output", output);
}

static void put_disks(struct json_writer *w, json_t *root, const struct report_input *in)
{
	json_t *disks = json_array();

	for (size_t i = 0; i < in->disks; i++) {
		const struct report_disk *d = &in->disk[i];
		json_t *object = json_object();

		json_put_text(w, object, "name", d->name);
		json_put_text(w, object, "device", d->device);
		json_put_text(w, object, "format", d->format);
		json_put_number(w, object, "size", d->size);
		json_put_text(w, object, "output", d->output);
		json_put_text(w, object, "output_format", d->output_format);
		if (d->changed_bytes)
			json_put_number(w, object, "changed_bytes", *d->changed_bytes);
		json_add(w, disks, object);
	}
	json_put(w, root, "disks", disks);
}

static void put_space(struct json_writer *w, json_t *root, const struct report_input *in)
{
	json_t *space;

	if (!in->facts && !in->space_after)
		return;
	space = json_object();
	if (in->facts) {
		json_put(w, space, "before", json_space(w, &in->facts->space));
		if (in->facts->boot_number != in->facts->root_number)
			json_put(w, space, "boot_before", json_space(w, &in->facts->boot_space));
	}
	if (in->space_after)
		json_put(w, space, "after", json_space(w, in->space_after));
	json_put(w, root, "space", space);
}

static void put_parts(struct json_writer *w, json_t *root, const struct report_input *in)
{
	const struct verify_report *image = image_verification(in);
	json_t *verify = json_object();

	if (in->facts) {
		json_put(w, root, "source", json_source(w, in->facts));
		json_put(w, root, "guest", json_guest(w, in->facts));
		if (in->facts->donor.given || in->facts->donor.from_guest)
			json_put(w, root, "donor", json_donor(w, &in->facts->donor));
		if (*or_empty(in->facts->host.grub_version))
			json_put(w, root, "host", json_host(w, &in->facts->host));
	} else if (in->source) {
		json_t *source = json_object();

		json_put_text(w, source, "name", in->source);
		json_put(w, root, "source", source);
	}
	if (in->plan) {
		json_put(w, root, "findings", json_findings(w, in->plan));
		json_put(w, root, "plan", json_plan(w, in->facts, in->plan));
		if (in->facts)
			json_put(w, root, "layout_after", json_layout_after(w, in->facts, in->plan));
	}
	put_output(w, root, in);
	if (in->disks)
		put_disks(w, root, in);
	put_space(w, root, in);
	if (in->changed_bytes)
		json_put_number(w, root, "changed_bytes", *in->changed_bytes);
	if (image)
		json_put(w, verify, "before", verification(w, image));
	if (in->after && in->after != image)
		json_put(w, verify, "after", verification(w, in->after));
	json_put(w, root, "verify", verify);
}

static int append_dump(const char *text, size_t len, void *arg)
{
	struct buf *b = arg;

	buf_append(b, text, len);
	return b->failed ? -1 : 0;
}

int report_json(const struct report_input *in, struct buf *ret, struct p2h_error *err)
{
	struct json_writer w = {0};
	json_t *root = json_object();

	put_head(&w, root, in);
	put_parts(&w, root, in);
	if (w.failed || json_dump_callback(root, append_dump, ret, JSON_SORT_KEYS | JSON_INDENT(2)))
		ret->failed = true;
	json_decref(root);
	buf_puts(ret, "\n");
	return ret->failed ? error_nomem(err) : 0;
}
