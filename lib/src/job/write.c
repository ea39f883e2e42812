/* write.c - the last stage: outputs of all disks, together or not at all */
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "job/job.h"

const char *job_output_format(const struct p2h_job *job, const struct job_disk *d)
{
	const char *own = d->disk->format, *dot = d->output ? strrchr(d->output, '.') : NULL;

	if (job->options.output_format)
		return job->options.output_format;
	if (dot && (!strcmp(dot, ".qcow2") || !strcmp(dot, ".raw")))
		return dot + 1;
	return own && (!strcmp(own, "raw") || !strcmp(own, "qcow2")) ? own : "qcow2";
}

static int commit_step(void *arg, uint64_t done, uint64_t total)
{
	return job_progress(arg, "writing the output", done, total);
}

/* What no file system of the result uses, by disk. */
static int free_ranges(struct p2h_job *job, struct ranges *ret, struct p2h_error *err)
{
	CLEANUP_GUEST struct guest *g = NULL;
	int rc;

	error_forget_nomem();
	rc = guest_open(job_result(&job->disk[0]), job_result_root(job), 0, 0, &g, err);
	for (size_t i = 0; !rc && i < job->disks; i++)
		rc = guest_free_ranges(g, (unsigned)i, &ret[i], err);
	return rc || !error_noted_nomem() ? rc : error_nomem(err);
}

static struct commit_options options_for(struct p2h_job *job, const struct job_disk *d, const struct ranges *unused)
{
	return (struct commit_options){.format = job_output_format(job, d), .free = unused, .force = job->options.force, .progress = commit_step,
				       .progress_arg = job};
}

/* Files get their names when everything else is written. */
static int write_new(struct p2h_job *job, const struct ranges *unused, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < job->disks; i++) {
		struct job_disk *d = &job->disk[i];
		struct commit_options c = options_for(job, d, &unused[i]);

		if (!job_output_is_device(d))
			rc = commit_stage(d->transaction, d->output, &c, &d->staged, err);
	}
	for (size_t i = job->disks; !rc && i-- > 0;) {
		struct job_disk *d = &job->disk[i];
		struct commit_options c = options_for(job, d, &unused[i]);

		if (!d->staged)
			rc = commit_device(d->transaction, d->output, &c, err);
	}
	for (size_t i = job->disks; !rc && i-- > 0;)
		if (job->disk[i].staged)
			rc = commit_publish(job->disk[i].staged, err);
	for (size_t i = 0; i < job->disks; i++)
		commit_staged_done(TAKE(job->disk[i].staged), rc != 0);
	return rc;
}

/* A disk that needed no change has no journal. */
static int put_back(const struct p2h_job *job, const struct job_disk *d, struct p2h_error *err)
{
	CLEANUP_FREE char *undo = job_undo_name(d, &job->options);

	if (!undo)
		return error_nomem(err);
	return access(undo, F_OK) ? 0 : commit_undo(d->name, d->disk->format, undo, false, err);
}

/* The one that the machine starts from comes last. What was written before is put back if a later one fails. */
static int write_in_place(struct p2h_job *job, struct p2h_error *err)
{
	for (size_t i = job->disks; i-- > 0;) {
		const struct job_disk *d = &job->disk[i];
		struct commit_options c = options_for(job, d, NULL);
		CLEANUP_FREE char *undo = job_undo_name(d, &job->options);
		int rc = undo ? commit_in_place(d->transaction, d->name, d->disk->format, job_shift(job, i), undo, &c, err) : error_nomem(err);

		for (size_t n = i + 1; rc && n < job->disks; n++)
			if (put_back(job, &job->disk[n], NULL))
				error_prefix(err, rc, "`pv2hvm undo %s` is needed, too", job->disk[n].name);
		if (rc)
			return rc;
	}
	return 0;
}

int job_write(struct p2h_job *job, struct p2h_error *err)
{
	struct ranges *unused = calloc(job->disks, sizeof(*unused));
	int rc = unused ? 0 : error_nomem(err);

	if (!rc && !job->options.in_place)
		rc = free_ranges(job, unused, err);
	job_appliance_end(job);
	if (!rc)
		rc = job->options.in_place ? write_in_place(job, err) : write_new(job, unused, err);
	for (size_t i = 0; unused && i < job->disks; i++)
		ranges_done(&unused[i]);
	free(unused);
	return rc;
}
