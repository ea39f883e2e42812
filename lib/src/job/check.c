/*
 * check.c - e2fsck's look at the source, beside the conversion
 *
 * Damage that is not marked is rare: the source is taken for sound, and who goes on with it asks for the verdict before anything of it counts.
 */
#include <string.h>

#include "base/cleanup.h"
#include "job/job.h"

int job_check_start(struct p2h_job *job, const struct job_disk *d, const struct volume *v, struct fs_recovery *result, struct p2h_error *err)
{
	CLEANUP_DISK struct disk *slice = NULL;
	int rc = volume_open(job_view(d), v, &slice, err);

	if (!rc)
		rc = fs_check_start(slice, &job->check, result, err);
	result->checked = job->check;
	job->check_of = job->recoveries;
	return rc;
}

static bool stop(void *arg)
{
	return job_progress(arg, "waiting for e2fsck", 0, 0);
}

int job_check_end(struct p2h_job *job, struct p2h_error *err)
{
	struct fs_recovery found = {0};
	struct facts_recovery *r;
	char *words;
	int rc, facts_rc;

	if (!job->check)
		return 0;
	r = &job->recovery[job->check_of];
	rc = fs_check_end(TAKE(job->check), stop, job, &found, err);
	if (!rc && !found.damaged)
		return 0;
	if (rc)
		error_prefix(err, rc, "%s: recovery of volume %u", job->source, r->number);
	r->checked = found.checked;
	r->damaged = found.damaged;
	words = strdup(found.words);
	if (!words)
		return error_nomem(err);
	free((char *)r->words);
	r->words = words;
	job->misjudged = true;
	facts_rc = job->have_facts ? job_recovery_facts(job, rc ? NULL : err) : 0;
	return rc ? rc : facts_rc;
}
