/* open.c - source, donor and output: are they what was asked for, and in nobody's use? */
#include "job/job.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "disk/host.h"

bool job_output_is_device(const struct p2h_job *job)
{
	struct stat st;

	return job->options.output && !stat(job->options.output, &st) && S_ISBLK(st.st_mode);
}

char *job_undo_name(const char *source, const struct p2h_options *options)
{
	char *name = NULL;

	if (options->undo_file)
		return strdup(options->undo_file);
	return asprintf(&name, "%s.pv2hvm-undo", source) < 0 ? NULL : name;
}

static int check_output(struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	CLEANUP_FREE char *undo = NULL;
	struct stat st;
	int rc;

	if (o->output && o->in_place)
		return error_set(err, P2H_USAGE, "--output and --in-place exclude each other");
	if (o->output_format && strcmp(o->output_format, "raw") && strcmp(o->output_format, "qcow2"))
		return error_set(err, P2H_USAGE, "--output-format %s: raw or qcow2", o->output_format);
	if (o->output && host_same_disk(job->source, o->output))
		return error_set(err, P2H_USAGE, "%s: the output is the source itself: use --in-place", o->output);
	if (o->output && o->donor && host_same_disk(o->donor, o->output))
		return error_set(err, P2H_USAGE, "%s: the output is the donor itself", o->output);
	undo = job_undo_name(job->source, o);
	if (!undo)
		return error_nomem(err);
	rc = commit_check_unfinished(job->source, undo, err);
	if (rc || job_output_is_device(job)) /* a device's size counts: checked once the plan stands */
		return rc;
	if (o->output)
		return commit_check_file(o->output, o->force, err);
	if (!o->in_place)
		return 0;
	if (!lstat(undo, &st) && !commit_is_begun(undo))
		return error_set(err, P2H_EXISTS, "%s: an undo journal is there already: put the image back with `pv2hvm undo %s`, or move the journal away",
				 undo, job->source);
	return 0;
}

/* No option allows what would overwrite the system that runs this. */
static int check_target(const struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;

	return o->output || o->in_place ? host_check_target(o->output ? o->output : job->source, err) : 0;
}

static int open_donor(struct p2h_job *job, struct p2h_error *err)
{
	const char *name = job->options.donor;
	struct appliance_drive *drive = NULL;
	struct stat st;
	int rc;

	if (!name)
		return 0;
	if (host_same_disk(job->source, name))
		return error_set(err, P2H_USAGE, "%s: source and donor are the same: the donor is another image, whose kernel is taken", name);
	if (!stat(name, &st) && S_ISDIR(st.st_mode))
		return guest_open_dir(name, &job->donor, err);
	rc = host_check_unused(name, false, err);
	if (!rc)
		rc = disk_open(name, NULL, 0, &job->donor_disk, err);
	if (!rc)
		rc = job_recover_donor(job, err);
	if (!rc)
		rc = job_appliance_add(job, job->donor_disk, &job->donor_recovered, &drive, err);
	return rc ? rc : guest_open(job_donor_view(job), -1, GUEST_DONOR, 0, &job->donor, err);
}

/* The running system's own disk may give the kernel (--donor /), but is never changed. */
static int open_source(struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	int rc = host_check_unused(job->source, o->in_place, err);

	if (!rc)
		rc = disk_open(job->source, o->input_format, 0, &job->source_disk, err);
	if (!rc)
		rc = job_recover(job, err);
	if (!rc)
		rc = job_appliance_add(job, job->source_disk, &job->recovered, &job->drive, err);
	return rc ? rc : guest_open(job_view(job), o->root_given ? o->root : -1, 0, 0, &job->guest, err);
}

int job_open_all(struct p2h_job *job, struct p2h_error *err)
{
	int rc = plan_check_rules(&job->options, err);

	if (!rc)
		rc = check_output(job, err);
	if (!rc)
		rc = check_target(job, err);
	if (!rc)
		rc = job_step(job, "opening source and donor", err);
	if (!rc)
		rc = open_source(job, err);
	if (!rc) {
		rc = open_donor(job, err);
		if (rc)
			error_prefix(err, rc, "donor");
	}
	if (!rc)
		rc = job_warn_identity(job, err);
	for (size_t i = 0; !rc && i < job->warnings.len; i++)
		escape_line(job->warnings.item[i]); /* labels, file names */
	return rc;
}
