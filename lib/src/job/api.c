/* api.c - public functions that need no job */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/host.h"
#include "job/job.h"

static int open_to_verify(struct p2h_job *job, struct job_disk *d, struct p2h_error *err)
{
	int rc = host_check_unused(d->name, false, err);

	if (!rc)
		rc = disk_open(d->name, job->options.input_format, 0, &d->disk, err);
	return rc ? rc : job_appliance_add(job, d, err);
}

int p2h_verify_image(const char *image, const struct p2h_options *options, enum p2h_format format, bool *ret_passed,
		     char **ret_report, struct p2h_error *err)
{
	unsigned targets = options->targets ? options->targets : P2H_TARGET_XEN_HVM | P2H_TARGET_NITRO;
	CLEANUP(verify_report_done) struct verify_report report = {0};
	CLEANUP(buf_done) struct buf text = {0};
	struct p2h_job job = {.options = *options};
	struct disk *first = NULL;
	struct report_input in = {.verb = "verify", .source = image, .output = "", .output_format = "", .after = &report, .targets = targets};
	int rc;

	error_forget_nomem();
	rc = job_name_disks(&job, image, err);
	for (size_t i = 0; !rc && i < job.disks; i++)
		rc = open_to_verify(&job, &job.disk[i], err);
	if (!rc) {
		job_link(&job, job_view);
		first = job_view(&job.disk[0]);
		rc = verify_disk(first, options->root_given ? options->root : -1, targets, &report, err);
	}
	if (!rc)
		rc = format == P2H_JSON ? report_json(&in, &text, err) : report_text(&in, &text, err);
	job_appliance_end(&job);
	for (size_t i = 0; i < job.disks; i++)
		job_disk_done(&job.disk[i]);
	free(job.disk);
	if (error_noted_nomem()) /* it may have been taken for an answer */
		return error_nomem(err);
	if (rc)
		return rc;
	*ret_passed = report.passed;
	*ret_report = buf_take(&text);
	return *ret_report ? 0 : error_nomem(err);
}

/* A further disk without a journal needed no change. */
static int undo_disk(const struct job_disk *d, const struct p2h_options *options, struct p2h_error *err)
{
	CLEANUP_FREE char *undo = job_undo_name(d, options);
	int rc;

	if (undo && d->device[0] && access(undo, F_OK))
		return 0;
	rc = undo ? host_check_unused(d->name, true, err) : error_nomem(err);
	if (!rc && error_noted_nomem())
		rc = error_nomem(err);
	return rc ? rc : commit_undo(d->name, options->input_format, undo, options->force, err);
}

int p2h_undo(const char *image, const struct p2h_options *options, struct p2h_error *err)
{
	struct p2h_job job = {.options = *options};
	int rc;

	error_forget_nomem();
	rc = job_name_disks(&job, image, err);
	for (size_t i = job.disks; !rc && i-- > 0;) /* the source's journal is the last one to go: who is interrupted runs it again */
		rc = undo_disk(&job.disk[i], options, err);
	free(job.disk);
	return rc;
}

static void put_rule(struct buf *out, const struct rule *r)
{
	buf_printf(out, "%s (%s)\n  looks for: %s\n  does:      %s\n  why:       %s\n  source:    %s\n", r->id, severity_name(r->severity),
		   r->looks, r->does, r->why, r->source);
}

int p2h_rules(const char *id, char **ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf out = {0};
	const struct rule *one = id ? rule_find(id) : NULL;

	if (id && !one)
		return error_set(err, P2H_NOTFOUND, "%s: no such rule: `pv2hvm rules` lists them", id);
	if (one)
		put_rule(&out, one);
	for (const struct rule *r = rule_table; !id && r->id; r++)
		buf_printf(&out, "%-18s %-9s %s\n", r->id, severity_name(r->severity), r->looks);
	*ret = buf_take(&out);
	return *ret ? 0 : error_nomem(err);
}

unsigned p2h_targets_parse(const char *list)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {{"xen-hvm", P2H_TARGET_XEN_HVM}, {"nitro", P2H_TARGET_NITRO}, {"kvm", P2H_TARGET_KVM}};
	unsigned targets = 0;

	for (list += strspn(list, ","); *list; list += strspn(list, ",")) {
		size_t n = strcspn(list, ","), i = 0;

		while (i < 3 && (strlen(known[i].name) != n || strncmp(list, known[i].name, n)))
			i++;
		if (i == 3)
			return 0;
		targets |= known[i].bit;
		list += n;
	}
	return targets;
}

const char *p2h_version(void)
{
	return P2H_VERSION;
}
