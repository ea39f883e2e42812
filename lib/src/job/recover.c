/*
 * recover.c - a source that was copied while it was mounted
 *
 * What journals hold goes into a transaction of its own, over which guest and facts are read. The conversion's transaction lies over
 * the source itself (or the shifted source) and gets the same blocks first: so a commit compares with, and its undo journal keeps,
 * what the source really holds.
 */
#include <string.h>

#include "base/cleanup.h"
#include "fs/recover.h"
#include "job/job.h"

#define MEMORY_BUDGET (16 * 1024 * 1024u)
#define CHUNK (1024 * 1024u)

struct disk *job_view(const struct p2h_job *job)
{
	return job->recovered ? transaction_disk(job->recovered) : job->source_disk;
}

static int keep(struct p2h_job *job, unsigned number, const struct fs_recovery *r, struct p2h_error *err)
{
	struct facts_recovery *more = reallocarray(job->recovery, job->recoveries + 1, sizeof(*more));
	char *words;

	if (!more)
		return error_nomem(err);
	job->recovery = more;
	words = strdup(r->words);
	if (!words)
		return error_nomem(err);
	more[job->recoveries++] = (struct facts_recovery){
		.number = number, .needs_recovery = r->needs_recovery, .has_errors = r->has_errors,
		.replayed = r->replayed, .repaired = r->repaired, .words = words,
	};
	return 0;
}

static int recover_volume(struct p2h_job *job, const struct volume *v, struct p2h_error *err)
{
	CLEANUP_DISK struct disk *slice = NULL;
	struct fs_recovery r;
	bool dirty = false;
	int rc = volume_open(job_view(job), v, &slice, err);

	if (!rc)
		rc = fs_ext_dirty(slice, &dirty, err);
	if (rc || !dirty)
		return rc;
	if (!job->recovered) {
		rc = transaction_open(job->source_disk, MEMORY_BUDGET, NULL, &job->recovered, err);
		if (rc)
			return rc;
	}
	disk_close(TAKE(slice));
	rc = volume_open(job_view(job), v, &slice, err);
	if (!rc)
		rc = fs_ext_recover(slice, job->options.repair, &r, err);
	return rc ? rc : keep(job, v->number, &r, err);
}

int job_recover(struct p2h_job *job, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes volumes = {0};
	int rc = volumes_probe(job->source_disk, &volumes, err);

	for (size_t i = 0; !rc && i < volumes.len; i++) {
		const struct volume *v = &volumes.item[i];

		if (strncmp(v->content, "ext", 3))
			continue;
		rc = recover_volume(job, v, err);
		if (rc)
			error_prefix(err, rc, "%s: recovery of volume %u", job->source, v->number);
	}
	return rc;
}

void job_recover_done(struct p2h_job *job)
{
	for (size_t i = 0; i < job->recoveries; i++)
		free((char *)job->recovery[i].words);
	free(job->recovery);
	transaction_close(job->recovered);
}

int job_recovery_facts(struct p2h_job *job, struct p2h_error *err)
{
	struct facts *f = &job->facts;

	if (!job->recoveries)
		return 0;
	f->recovery = arena_alloc(&f->arena, job->recoveries * sizeof(*f->recovery));
	if (!f->recovery)
		return error_nomem(err);
	for (size_t i = 0; i < job->recoveries; i++) {
		struct facts_recovery *r = &f->recovery[i];

		*r = job->recovery[i];
		r->words = arena_strdup(&f->arena, r->words);
		if (!r->words)
			return error_nomem(err);
		f->recoveries++;
		if (r->number != f->root_number)
			continue;
		f->needs_recovery |= r->needs_recovery;
		f->has_errors |= r->has_errors;
	}
	return 0;
}

static int copy_range(struct p2h_job *job, const struct range *range, char *buf, struct p2h_error *err)
{
	for (uint64_t at = 0; at < range->len; at += CHUNK) {
		size_t n = range->len - at < CHUNK ? (size_t)(range->len - at) : CHUNK;
		int rc = disk_read(transaction_disk(job->recovered), buf, range->off + at, n, err);

		if (!rc)
			rc = disk_write(transaction_disk(job->transaction), buf, job->plan.shift + range->off + at, n, err);
		if (rc)
			return rc;
	}
	return 0;
}

int job_recovery_apply(struct p2h_job *job, struct p2h_error *err)
{
	CLEANUP(ranges_done) struct ranges changes = {0};
	CLEANUP_FREE char *buf = NULL;
	int rc;

	if (!job->recovered)
		return 0;
	buf = malloc(CHUNK);
	rc = buf ? transaction_changes(job->recovered, &changes, err) : error_nomem(err);
	for (size_t i = 0; !rc && i < changes.len; i++)
		rc = copy_range(job, &changes.item[i], buf, err);
	return rc;
}
