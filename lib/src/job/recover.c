/*
 * recover.c - a source that was copied while it was mounted, or is damaged; a donor that was copied while it was mounted
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
		.number = number, .needs_recovery = r->needs_recovery, .has_errors = r->has_errors, .checked = r->checked,
		.damaged = r->damaged, .replayed = r->replayed, .repaired = r->repaired, .words = words,
	};
	return 0;
}

static bool must_recover(const struct fs_recovery *r)
{
	return r->needs_recovery || r->has_errors || r->has_orphans;
}

static int check_now(struct disk *slice, struct fs_recovery *ret, struct p2h_error *err)
{
	struct fs_check *check = NULL;
	int rc = fs_check_start(slice, &check, ret, err);

	return rc || !check ? rc : fs_check_end(check, NULL, NULL, ret, err);
}

/* Over a transaction only where something must be changed: what lies below is read faster. */
static int recover_volume(struct job_disk *d, const struct volume *v, unsigned flags, struct fs_recovery *ret, struct p2h_error *err)
{
	CLEANUP_DISK struct disk *slice = NULL;
	int rc = volume_open(job_view(d), v, &slice, err);

	if (!rc)
		rc = fs_ext_look(slice, ret, err);
	if (!rc && flags & FS_RECOVER_CHECK && !must_recover(ret))
		rc = check_now(slice, ret, err);
	if (rc || !(must_recover(ret) || (ret->damaged && flags & FS_RECOVER_REPAIR)))
		return rc;
	if (!d->recovered) {
		rc = transaction_open(d->disk, MEMORY_BUDGET, NULL, &d->recovered, err);
		if (rc)
			return rc;
	}
	disk_close(TAKE(slice));
	rc = volume_open(job_view(d), v, &slice, err);
	return rc ? rc : fs_ext_recover(slice, flags, ret, err);
}

/* A repair needs the verdict at once. */
static int recover_source(struct p2h_job *job, size_t i, const struct volume *v, struct p2h_error *err)
{
	struct job_disk *d = &job->disk[i];
	unsigned number = volume_number_on((unsigned)i, v->number);
	unsigned flags = !job->options.repair ? 0 : job->options.no_check ? FS_RECOVER_REPAIR : FS_RECOVER_REPAIR | FS_RECOVER_CHECK;
	struct fs_recovery r;
	int rc = recover_volume(d, v, flags, &r, err);

	if (!rc && !flags && !job->options.no_check && !r.has_errors && (r.replayed || !r.needs_recovery))
		rc = job_check_start(job, d, v, &r, err);
	if (!rc && (r.needs_recovery || r.has_errors || r.checked))
		rc = keep(job, number, &r, err);
	return rc ? error_prefix(err, rc, "%s: recovery of volume %u", d->name, v->number) : 0;
}

int job_recover(struct p2h_job *job, size_t i, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes volumes = {0};
	int rc = volumes_probe(job->disk[i].disk, &volumes, err);

	for (size_t n = 0; !rc && n < volumes.len; n++) {
		if (strncmp(volumes.item[n].content, "ext", 3))
			continue;
		rc = job_check_end(job, err); /* one at a time: most read the same disk */
		if (!rc)
			rc = recover_source(job, i, &volumes.item[n], err);
	}
	return rc;
}

/* A journal that cannot be replayed does not stop the conversion: the kernel may still be read, and each of its files is looked at. */
int job_recover_donor(struct p2h_job *job, struct p2h_error *err)
{
	CLEANUP(volumes_done) struct volumes volumes = {0};
	int rc = volumes_probe(job->donor_disk.disk, &volumes, err);

	for (size_t i = 0; !rc && i < volumes.len; i++) {
		const struct volume *v = &volumes.item[i];
		struct fs_recovery r;

		if (strncmp(v->content, "ext", 3))
			continue;
		rc = recover_volume(&job->donor_disk, v, 0, &r, err);
		if (!rc && r.needs_recovery && !r.replayed)
			strlist_addf(&job->warnings, "donor %s: the journal of volume %u holds changes that cannot be replayed (e2fsck: %s): "
				     "its kernel is read without them", job->options.donor, v->number, r.words);
		else if (!rc && r.has_errors)
			strlist_addf(&job->warnings, "donor %s: the file system of volume %u is marked as damaged (e2fsck: %s): "
				     "its kernel is read as it is", job->options.donor, v->number, r.words);
	}
	return rc;
}

void job_recover_done(struct p2h_job *job)
{
	fs_check_kill(job->check);
	for (size_t i = 0; i < job->recoveries; i++)
		free((char *)job->recovery[i].words);
	free(job->recovery);
}

int job_recovery_facts(struct p2h_job *job, struct p2h_error *err)
{
	struct facts *f = &job->facts;

	if (!job->recoveries)
		return 0;
	f->recoveries = 0; /* it may not be the first time */
	f->recovery = arena_alloc(&f->arena, job->recoveries * sizeof(*f->recovery));
	if (!f->recovery)
		return error_nomem(err);
	for (size_t i = 0; i < job->recoveries; i++) {
		struct facts_recovery *r = &f->recovery[i];

		*r = job->recovery[i];
		r->words = arena_strdup(&f->arena, r->words);
		if (f->arena.failed)
			return error_nomem(err);
		f->recoveries++;
		if (r->number != f->root_number)
			continue;
		f->needs_recovery |= r->needs_recovery;
		f->has_errors |= r->has_errors;
		f->checked = r->checked;
		f->damaged = r->damaged;
	}
	return 0;
}

static int copy_range(const struct job_disk *d, uint64_t shift, const struct range *range, char *buf, struct p2h_error *err)
{
	for (uint64_t at = 0; at < range->len; at += CHUNK) {
		size_t n = range->len - at < CHUNK ? (size_t)(range->len - at) : CHUNK;
		int rc = disk_read(transaction_disk(d->recovered), buf, range->off + at, n, err);

		if (!rc)
			rc = disk_write(transaction_disk(d->transaction), buf, shift + range->off + at, n, err);
		if (rc)
			return rc;
	}
	return 0;
}

int job_recovery_apply(struct p2h_job *job, size_t i, struct p2h_error *err)
{
	const struct job_disk *d = &job->disk[i];
	CLEANUP(ranges_done) struct ranges changes = {0};
	CLEANUP_FREE char *buf = NULL;
	int rc;

	if (!d->recovered)
		return 0;
	buf = malloc(CHUNK);
	rc = buf ? transaction_changes(d->recovered, &changes, err) : error_nomem(err);
	for (size_t n = 0; !rc && n < changes.len; n++)
		rc = copy_range(d, job_shift(job, i), &changes.item[n], buf, err);
	return rc;
}
