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
	rc = job->source ? job_name_disks(job, job->source, err) : error_nomem(err);
	if (!rc)
		rc = run_stage(job, job_open_all, &opened, err);
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
	struct disk *(*view)(const struct job_disk *) = job->appliance ? job_view : job_bare; /* what lies below is read faster */
	struct disk *source = view(&job->disk[0]);
	int rc = disk_read(source, sector, 0, sizeof(sector), err);

	if (rc || sector[510] != 0x55 || sector[511] != 0xaa)
		return rc;
	job_link(job, view);
	rc = verify_disk(source, (int)job->guest->root_number, job->targets, &job->before, err);
	job_link(job, job_view);
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

static int check_devices(const struct p2h_job *job, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < job->disks; i++) {
		const struct job_disk *d = &job->disk[i];

		if (job_output_is_device(d))
			rc = commit_check_device(d->output, d->disk->size + job_shift(job, i), job->options.force, err);
	}
	return rc;
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
	return check_devices(job, err);
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
	job->changed_bytes = 0;
	for (size_t i = 0; i < job->disks; i++) {
		CLEANUP(ranges_done) struct ranges changes = {0};
		int rc = transaction_changes(job->disk[i].transaction, &changes, err);

		if (rc)
			return rc;
		job->disk[i].changed_bytes = ranges_total(&changes);
		job->changed_bytes += job->disk[i].changed_bytes;
	}
	return 0;
}

static int open_transaction(struct p2h_job *job, size_t i, struct p2h_error *err)
{
	struct job_disk *d = &job->disk[i];
	struct disk *under = d->disk;
	int rc = 0;

	if (job_shift(job, i)) {
		rc = disk_shifted_open(d->disk, job_shift(job, i), &job->shifted, err);
		under = job->shifted;
	}
	if (!rc)
		rc = transaction_open(under, MEMORY_BUDGET, NULL, &d->transaction, err);
	return rc ? rc : job_recovery_apply(job, i, err);
}

static int apply(struct p2h_job *job, struct p2h_error *err)
{
	struct apply_context c = {.facts = &job->facts, .plan = &job->plan, .donor = job->donor ? job->donor : job->guest,
				  .progress = tree_progress, .progress_arg = job};
	int rc = job_step(job, "converting", err);

	for (size_t i = 0; !rc && i < job->disks; i++)
		rc = open_transaction(job, i, err);
	if (rc)
		return rc;
	job_link(job, job_result);
	c.disk = job_result(&job->disk[0]);
	rc = job_appliance_show(job, true, err);
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

static int verify(struct p2h_job *job, struct p2h_error *err)
{
	int rc = job_step(job, "verifying the result", err);

	if (!rc)
		rc = verify_disk_knowing(job_result(&job->disk[0]), job_result_root(job), job->targets, &job->facts.donor.initramfs.holds,
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

int p2h_commit(struct p2h_job *job, struct p2h_error *err)
{
	int rc = job_step(job, "writing the output", err);

	if (job->outcome != P2H_OUTCOME_READY)
		return error_set(err, P2H_USAGE, "only a verified result can be committed");
	for (size_t i = 0; i < job->disks; i++)
		if (!job->disk[i].output && !job->options.in_place)
			return error_set(err, P2H_USAGE, "%s: no output: name one, or ask for in place", job->disk[i].name);
	if (!rc)
		rc = job_write(job, err);
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
	if (job->disks && job->disk[job->disks - 1].transaction)
		job_appliance_show(job, false, NULL);
	for (size_t i = 0; i < job->disks; i++)
		transaction_close(TAKE(job->disk[i].transaction));
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

static void describe_disk(const struct p2h_job *job, const struct job_disk *d, struct report_disk *ret)
{
	bool in_place = job->options.in_place;

	*ret = (struct report_disk){
		.name = d->name, .device = d->device, .format = d->disk->format ? d->disk->format : "raw", .size = d->disk->size,
		.output = in_place ? d->name : d->output ? d->output : "", .output_format = d->output ? job_output_format(job, d) : "",
		.changed_bytes = job->applied ? &d->changed_bytes : NULL,
	};
}

int p2h_report(struct p2h_job *job, enum p2h_format format, char **ret, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	CLEANUP_FREE struct report_disk *disk = calloc(job->disks, sizeof(*disk));
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
		.output_format = o->output ? job_output_format(job, &job->disk[0]) : "",
		.disk = disk,
		.disks = job->disks - 1,
		.warnings = &job->warnings,
	};
	int rc;

	if (!disk)
		return error_nomem(err);
	for (size_t i = 1; i < job->disks; i++)
		describe_disk(job, &job->disk[i], &disk[i - 1]);
	rc = format == P2H_JSON ? report_json(&in, &text, err) : report_text(&in, &text, err);
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
	job_appliance_end(job); /* before what its drives show */
	forget_plan(job);
	facts_done(&job->facts);
	verify_report_done(&job->before);
	job_recover_done(job);
	for (size_t i = 0; i < job->disks; i++)
		job_disk_done(&job->disk[i]);
	job_disk_done(&job->donor_disk);
	free(job->disk);
	strlist_done(&job->warnings);
	free(job->source);
	free(job);
}
