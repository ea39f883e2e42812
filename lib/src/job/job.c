#include "job/job.h"

#include <string.h>

#include "apply/apply.h"
#include "base/cleanup.h"

#define STEPS 5
#define MEMORY_BUDGET (56 * 1024 * 1024u)

bool job_progress(struct p2h_job *job, const char *what, uint64_t done, uint64_t total)
{
	const struct p2h_options *o = &job->options;

	if (o->progress && o->progress(o->progress_arg, job->step, STEPS, what, done, total))
		job->stopped = true;
	return job->stopped;
}

int job_step(struct p2h_job *job, const char *what, struct p2h_error *err)
{
	job->step++;
	return job_progress(job, what, 0, 0) ? error_set(err, P2H_REFUSED, "interrupted") : 0;
}

/*
 * One stage. An allocation that failed may have been taken for an answer somewhere below, even for a reason to refuse: then the stage
 * has failed, and what it found (*ret_have) is not believed.
 */
static int run_stage(struct p2h_job *job, int (*stage)(struct p2h_job *, struct p2h_error *), bool *ret_have, struct p2h_error *err)
{
	int rc;

	error_forget_nomem();
	rc = stage(job, err);
	if (!error_noted_nomem())
		return rc;
	*ret_have = false;
	job->outcome = P2H_OUTCOME_OPEN;
	return rc == P2H_NOMEM ? rc : error_prefix(err, error_nomem(err), "%s", job->source);
}

int p2h_open(const char *source, const struct p2h_options *options, struct p2h_job **ret, struct p2h_error *err)
{
	struct p2h_job *job = calloc(1, sizeof(*job));
	bool opened = true;
	int rc;

	if (!job)
		return error_nomem(err);
	job->options = *options;
	job->targets = options->targets ? options->targets : P2H_TARGET_XEN_HVM | P2H_TARGET_NITRO;
	job->verb = "inspect";
	job->source = strdup(source);
	rc = job->source ? run_stage(job, job_open_all, &opened, err) : error_nomem(err);
	if (rc) {
		p2h_close(job);
		return rc;
	}
	*ret = job;
	return 0;
}

/* Only an image with a boot sector can boot; for the others there is no need to look further. */
static int verify_before(struct p2h_job *job, struct p2h_error *err)
{
	uint8_t sector[512];
	struct disk *source = job->drive ? job_view(job) : job->source_disk; /* what lies below is read faster */
	int rc = disk_read(source, sector, 0, sizeof(sector), err);

	if (rc || sector[510] != 0x55 || sector[511] != 0xaa)
		return rc;
	rc = verify_disk(source, (int)job->guest->root_number, job->targets, &job->before, err);
	if (rc)
		return rc;
	job->have_before = true;
	if (job->before.passed)
		job->outcome = P2H_OUTCOME_NOTHING;
	return 0;
}

static int inspect(struct p2h_job *job, struct p2h_error *err)
{
	int rc = job_step(job, "reading guest and donor", err);

	if (!rc)
		rc = facts_read(job->guest, job->source, job->donor, job->options.donor, job->options.kernel, &job->facts, err);
	if (!rc)
		rc = job_recovery_facts(job, err);
	if (rc)
		return rc;
	job->have_facts = true;
	job->facts.can_shift = job->options.in_place && !strcmp(job->facts.format, "raw") && commit_can_shift(job->source);
	return verify_before(job, err);
}

static int inspect_beside_check(struct p2h_job *job, struct p2h_error *err)
{
	int rc = run_stage(job, inspect, &job->have_facts, err);

	job->have_before &= job->have_facts;
	return rc;
}

int p2h_inspect(struct p2h_job *job, struct p2h_error *err)
{
	int rc = inspect_beside_check(job, err);

	return rc ? rc : job_check_end(job, err);
}

static int plan(struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	int rc;

	if (!job->donor && !(o->kernel && !strcmp(o->kernel, "guest")))
		return error_set(err, P2H_USAGE, "a donor is needed: --donor IMAGE, DEVICE or DIRECTORY (or --kernel guest)");
	job->verb = "convert";
	rc = plan_make(&job->facts, o, &job->plan, err);
	if (rc)
		return rc;
	job->have_plan = true;
	if (job->plan.blocked) {
		job->outcome = P2H_OUTCOME_REFUSED;
		return error_set(err, P2H_REFUSED, "%s: refused: %s", job->source, job->plan.blocked_by);
	}
	if (o->in_place && job->plan.shift && !job->facts.can_shift)
		return error_set(err, P2H_UNSUPPORTED, "%s: nothing can be inserted in front of it in place: use --layout flat, or write a new output",
				 job->source);
	if (job_output_is_device(job))
		return commit_check_device(o->output, job->facts.disk_size + job->plan.shift, o->force, err);
	return 0;
}

int p2h_plan(struct p2h_job *job, struct p2h_error *err)
{
	return run_stage(job, plan, &job->have_plan, err);
}

static int tree_progress(void *arg, uint64_t done, uint64_t total)
{
	return job_progress(arg, "converting", done, total);
}

static int measure_changes(struct p2h_job *job, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges changes = {0};
	int rc = transaction_changes(job->transaction, &changes, err);

	job->changed_bytes = ranges_total(&changes);
	return rc;
}

static int apply(struct p2h_job *job, struct p2h_error *err)
{
	struct disk *under = job->source_disk;
	struct apply_context c = {.facts = &job->facts, .plan = &job->plan, .donor = job->donor ? job->donor : job->guest,
				  .progress = tree_progress, .progress_arg = job};
	int rc = job_step(job, "converting", err);

	if (!rc && job->plan.shift) {
		rc = disk_shifted_open(job->source_disk, job->plan.shift, &job->shifted, err);
		under = job->shifted;
	}
	if (!rc)
		rc = transaction_open(under, MEMORY_BUDGET, NULL, &job->transaction, err);
	if (rc)
		return rc;
	c.disk = transaction_disk(job->transaction);
	rc = job_recovery_apply(job, err);
	if (!rc)
		rc = job_appliance_show(job, job->transaction, err);
	if (!rc)
		rc = apply_plan(&c, &job->space_after, err);
	if (!rc)
		rc = measure_changes(job, err);
	if (rc)
		return error_prefix(err, rc, "%s", job->source);
	job->applied = true;
	return 0;
}

int p2h_apply(struct p2h_job *job, struct p2h_error *err)
{
	return run_stage(job, apply, &job->applied, err);
}

static int result_root(const struct p2h_job *job)
{
	return (int)plan_number_after(&job->plan, job->facts.root_number);
}

static int verify(struct p2h_job *job, struct p2h_error *err)
{
	int rc = job_step(job, "verifying the result", err);

	if (!rc)
		rc = verify_disk_knowing(transaction_disk(job->transaction), result_root(job), job->targets, &job->facts.donor.initramfs.holds,
					 &job->after, err);
	if (rc)
		return rc;
	job->have_after = true;
	for (size_t i = 0; !job->after.passed && i < job->after.len; i++) {
		const struct verify_step *s = &job->after.item[i];

		if (s->result != VERIFY_FAIL)
			continue;
		job->outcome = P2H_OUTCOME_UNFIT;
		return error_set(err, P2H_VERIFY, "%s: the result would not boot: %s: %s", job->source, s->id, s->evidence);
	}
	job->outcome = P2H_OUTCOME_READY;
	return 0;
}

int p2h_verify(struct p2h_job *job, struct p2h_error *err)
{
	return run_stage(job, verify, &job->have_after, err);
}

static int commit_step(void *arg, uint64_t done, uint64_t total)
{
	return job_progress(arg, "writing the output", done, total);
}

/* What the user says, else what the new file's name says, else the source's format. */
static const char *output_format(const struct p2h_job *job)
{
	const char *own = job->facts.format, *dot = job->options.output ? strrchr(job->options.output, '.') : NULL;

	if (job->options.output_format)
		return job->options.output_format;
	if (dot && (!strcmp(dot, ".qcow2") || !strcmp(dot, ".raw")))
		return dot + 1;
	return own && (!strcmp(own, "raw") || !strcmp(own, "qcow2")) ? own : "qcow2";
}

static int free_ranges(struct p2h_job *job, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = NULL;
	int rc;

	error_forget_nomem();
	rc = guest_open(transaction_disk(job->transaction), result_root(job), 0, 0, &g, err);
	if (!rc)
		rc = guest_free_ranges(g, ret, err);
	return rc || !error_noted_nomem() ? rc : error_nomem(err);
}

int p2h_commit(struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	CLEANUP(ranges_done) struct ranges unused = {0};
	struct commit_options c = {.format = output_format(job), .free = &unused, .force = o->force, .progress = commit_step, .progress_arg = job};
	CLEANUP_FREE char *undo = NULL;
	int rc = job_step(job, "writing the output", err);

	if (job->outcome != P2H_OUTCOME_READY)
		return error_set(err, P2H_USAGE, "only a verified result can be committed");
	if (!o->output && !o->in_place)
		return error_set(err, P2H_USAGE, "no output: name one, or ask for in place");
	if (rc)
		return rc;
	if (o->in_place) {
		undo = job_undo_name(job->source, o);
		rc = undo ? commit_in_place(job->transaction, job->source, job->facts.format, job->plan.shift, undo, &c, err)
			  : error_nomem(err);
	} else {
		rc = free_ranges(job, &unused, err);
		if (!rc)
			rc = job_output_is_device(job) ? commit_device(job->transaction, o->output, &c, err)
						       : commit_new_file(job->transaction, o->output, &c, err);
	}
	if (!rc)
		job->outcome = P2H_OUTCOME_DONE;
	return rc;
}

static int try_out(struct p2h_job *job, struct p2h_error *err)
{
	int rc = p2h_plan(job, err);

	if (!rc)
		rc = p2h_apply(job, err);
	return rc ? rc : p2h_verify(job, err);
}

static void forget_plan(struct p2h_job *job)
{
	if (job->transaction)
		job_appliance_show(job, NULL, NULL);
	transaction_close(TAKE(job->transaction));
	disk_close(TAKE(job->shifted));
	plan_done(&job->plan);
	verify_report_done(&job->after);
	job->have_plan = job->applied = job->have_after = false;
	job->outcome = P2H_OUTCOME_OPEN;
}

/* What comes out, a refusal too, counts only if the source is what it was taken for; else all of it is done again with the check's verdict. */
static int try_out_beside_check(struct p2h_job *job, struct p2h_error *err)
{
	unsigned step = job->step;
	int rc, checked;

	job->misjudged = false;
	rc = try_out(job, err);
	checked = job_check_end(job, err);
	if (checked)
		job->outcome = P2H_OUTCOME_OPEN;
	if (checked || !job->misjudged || job->stopped)
		return checked ? checked : rc;
	forget_plan(job);
	job->step = step;
	return try_out(job, err);
}

int p2h_convert(struct p2h_job *job, bool dry_run, struct p2h_error *err)
{
	int rc = inspect_beside_check(job, err);

	job->dry_run = dry_run;
	job->verb = "convert";
	if (rc)
		return rc;
	if (job->outcome == P2H_OUTCOME_NOTHING)
		return job_check_end(job, err);
	rc = try_out_beside_check(job, err);
	return rc || dry_run ? rc : p2h_commit(job, err);
}

enum p2h_outcome p2h_outcome(const struct p2h_job *job)
{
	return job->outcome;
}

int p2h_report(struct p2h_job *job, enum p2h_format format, char **ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	const struct p2h_options *o = &job->options;
	const struct report_input in = {
		.verb = job->verb,
		.source = job->source,
		.output = o->in_place ? job->source : o->output ? o->output : "",
		.facts = job->have_facts ? &job->facts : NULL,
		.plan = job->have_plan ? &job->plan : NULL,
		.before = job->have_before ? &job->before : NULL,
		.after = job->have_after ? &job->after : NULL,
		.space_after = job->applied ? &job->space_after : NULL,
		.changed_bytes = job->applied ? &job->changed_bytes : NULL,
		.targets = job->targets,
		.outcome = job->outcome,
		.dry_run = job->dry_run,
		.in_place = o->in_place,
		.output_format = o->output ? output_format(job) : "",
		.warnings = &job->warnings,
	};
	int rc = format == P2H_JSON ? report_json(&in, &text, err) : report_text(&in, &text, err);

	if (rc)
		return rc;
	*ret = buf_take(&text);
	return *ret ? 0 : error_nomem(err);
}

const char *p2h_warning(const struct p2h_job *job, size_t i)
{
	return i < job->warnings.len ? job->warnings.item[i] : NULL;
}

void p2h_close(struct p2h_job *job)
{
	if (!job)
		return;
	guest_close(job->guest, NULL);
	guest_close(job->donor, NULL);
	appliance_close(job->appliance); /* before what its drives show */
	job->drive = NULL;
	forget_plan(job);
	facts_done(&job->facts);
	verify_report_done(&job->before);
	job_recover_done(job);
	disk_close(job->source_disk);
	disk_close(job->donor_disk);
	strlist_done(&job->warnings);
	free(job->source);
	free(job);
}
