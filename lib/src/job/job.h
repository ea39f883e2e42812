/* job.h - one conversion from opening to commit: what the public functions hold between their calls */
#ifndef P2H_JOB_JOB_H
#define P2H_JOB_JOB_H

#include "disk/commit.h"
#include "fs/appliance.h"
#include "fs/recover.h"
#include "report/report.h"

struct p2h_job {
	struct p2h_options options;
	char *source;
	unsigned targets;
	enum p2h_outcome outcome;
	const char *verb;
	bool dry_run;

	struct disk *source_disk, *donor_disk;
	struct appliance *appliance;      /* NULL: neither source nor donor may need it */
	struct appliance_drive *drive;    /* the source's: shows `recovered`, and `transaction` once there is one */
	struct transaction *recovered;    /* over the source: what journals held, for reading; NULL: nothing to replay, and no appliance */
	struct transaction *donor_recovered;
	struct facts_recovery *recovery;  /* per volume of the source that was looked at or needed it; words are its own */
	size_t recoveries;
	struct fs_check *check;           /* of the volume of recovery[check_of], which is taken for sound; NULL: its verdict is known */
	size_t check_of;
	bool misjudged;                   /* the verdict is not that it is sound: what was planned since is not to be believed */
	struct guest *guest, *donor;
	struct facts facts;
	struct verify_report before, after;
	bool have_facts, have_plan, have_before, have_after, applied;
	struct plan plan;
	struct disk *shifted;
	struct transaction *transaction;
	struct fs_space space_after;
	uint64_t changed_bytes;
	struct strlist warnings;
	unsigned step;
	bool stopped; /* the caller wants to */
};

/* open.c: opens source and donor, after checking them and the output. */
int job_open_all(struct p2h_job *job, struct p2h_error *err);
/* Is the output a device that is there already? */
bool job_output_is_device(const struct p2h_job *job);

/* recover.c: checks, replays journals and repairs, on a transaction of its own over the source. */
int job_recover(struct p2h_job *job, struct p2h_error *err);
/* check.c: starts the look at a volume. result->checked: it is under way; its entry in job->recovery is the next one. */
int job_check_start(struct p2h_job *job, const struct volume *v, struct fs_recovery *result, struct p2h_error *err);
/* Waits for the verdict, if there is one to wait for, and puts it into job->recovery, the facts and `misjudged`. */
int job_check_end(struct p2h_job *job, struct p2h_error *err);
/* The donor's journals; what cannot be replayed becomes a warning. */
int job_recover_donor(struct p2h_job *job, struct p2h_error *err);
void job_recover_done(struct p2h_job *job);

/*
 * appliance.c: makes source or donor a drive of libguestfs' appliance where a volume of it is for that to read. *t is then a transaction over it (made if
 * it was NULL), *ret its drive; both are left alone otherwise.
 */
int job_appliance_add(struct p2h_job *job, struct disk *disk, struct transaction **t, struct appliance_drive **ret, struct p2h_error *err);
/* The source's drive, if there is one, shows the conversion from now on, or (NULL) what it was before. */
int job_appliance_show(struct p2h_job *job, struct transaction *t, struct p2h_error *err);
struct disk *job_view(const struct p2h_job *job); /* the source as it is to be read */
struct disk *job_donor_view(const struct p2h_job *job); /* the donor likewise */
/* Puts what was found into the facts. */
int job_recovery_facts(struct p2h_job *job, struct p2h_error *err);
/* Puts the recovered blocks into the job's own transaction. */
int job_recovery_apply(struct p2h_job *job, struct p2h_error *err);

/* Tells the progress callback; true: the caller wants to stop. */
bool job_progress(struct p2h_job *job, const char *what, uint64_t done, uint64_t total);
/* One step further for the progress callback. Non-zero: the caller wants to stop (err is filled). */
int job_step(struct p2h_job *job, const char *what, struct p2h_error *err);

/* Adds to job->warnings what else carries the source's file-system UUIDs and labels: the donor, and devices of this host where one takes part. */
int job_warn_identity(struct p2h_job *job, struct p2h_error *err);

/* The name under which the in-place commit keeps its journal; to be freed. */
char *job_undo_name(const char *source, const struct p2h_options *options);

#endif
