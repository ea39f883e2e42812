/* appliance.c - which disks of a job libguestfs' appliance gets, and what it sees of the conversion */
#include "job/job.h"

#include <string.h>

#include "base/cleanup.h"

#define MEMORY_BUDGET (16 * 1024 * 1024u)

static void tell_start(void *arg)
{
	job_progress(arg, "starting libguestfs' appliance", 0, 0);
}

static void pass_log(void *arg, const char *text, size_t len)
{
	const struct p2h_job *job = arg;

	if (job->options.log)
		job->options.log(job->options.log_arg, text, len);
}

static bool takes_any(const struct appliance_options *o, const struct volumes *volumes)
{
	for (size_t i = 0; i < volumes->len; i++)
		if (appliance_takes(o, volumes->item[i].content) || volume_is_layer(&volumes->item[i]))
			return true;
	return false;
}

static int tell_members(struct appliance_drive *drive, const struct volumes *volumes, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < volumes->len; i++)
		if (volume_is_layer(&volumes->item[i]))
			rc = appliance_member(drive, volumes->item[i].number, volumes->item[i].uuid, err);
	return rc;
}

int job_appliance_add(struct p2h_job *job, struct job_disk *d, struct p2h_error *err)
{
	const struct appliance_options o = {.all = job->options.engine == P2H_ENGINE_GUESTFS, .keys = job->options.keys,
					    .starting = tell_start, .log = pass_log, .arg = job};
	CLEANUP(volumes_done) struct volumes volumes = {0};
	int rc = job->options.engine == P2H_ENGINE_EXT ? 0 : volumes_probe(d->disk, &volumes, err);

	if (rc || !takes_any(&o, &volumes))
		return rc;
	if (!job->appliance)
		rc = appliance_new(&o, &job->appliance, err);
	if (!rc && !d->recovered)
		rc = transaction_open(d->disk, MEMORY_BUDGET, NULL, &d->recovered, err);
	if (!rc)
		rc = appliance_add(job->appliance, job_view(d), &d->drive, err);
	if (!rc)
		rc = tell_members(d->drive, &volumes, err);
	if (!rc)
		job_view(d)->drive = d->drive;
	return rc;
}

int job_appliance_show(struct p2h_job *job, bool conversion, struct p2h_error *err)
{
	for (size_t i = 0; i < job->disks; i++) {
		const struct job_disk *d = &job->disk[i];
		struct disk *view = conversion ? job_result(d) : job_view(d);
		uint64_t off = conversion ? job_shift(job, i) : 0;
		int rc = d->drive ? appliance_show(d->drive, view, off, err) : 0;

		if (rc)
			return rc;
		view->drive = d->drive;
		view->drive_off = off;
	}
	return 0;
}

void job_appliance_end(struct p2h_job *job)
{
	guest_close(TAKE(job->guest), NULL);
	guest_close(TAKE(job->donor), NULL);
	appliance_close(TAKE(job->appliance));
	for (size_t i = 0; i < job->disks; i++) {
		struct job_disk *d = &job->disk[i];

		d->drive = NULL;
		if (d->recovered)
			job_view(d)->drive = NULL;
		if (d->transaction)
			job_result(d)->drive = NULL;
	}
}
