/* job.h - one conversion from opening to commit: what the public functions hold between their calls */
#ifndef P2H_JOB_JOB_H
#define P2H_JOB_JOB_H

#include "disk/commit.h"
#include "fs/appliance.h"
#include "fs/recover.h"
#include "report/report.h"

/* One of the disks that a job reads. */
struct job_disk {
	const char *name, *output;        /* as the user named them; output: NULL for none */
	char device[32];                  /* what the guest calls it, "/dev/xvdb"; "": its first disk, or the donor */
	struct disk *disk;
	struct transaction *recovered;    /* over it: what journals held, for reading; NULL: nothing to replay, and no appliance */
	struct appliance_drive *drive;    /* shows `recovered`, and `transaction` once there is one; NULL: the appliance does not have it */
	struct transaction *transaction;  /* the conversion, over `disk`, or over job->shifted */
	uint64_t changed_bytes;           /* by the conversion */
	struct staged_file *staged;       /* its output, not in its place yet */
};

struct p2h_job {
	struct p2h_options options;
	char *source;
	unsigned targets;
	enum p2h_outcome outcome;
	const char *verb;
	bool dry_run;

	struct job_disk *disk;            /* [0] is the source; then the further disks of the guest, in the options' order */
	size_t disks;
	struct job_disk donor_disk;
	struct appliance *appliance;      /* NULL: no disk may need it */
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
	struct disk *shifted;             /* disk[0], moved by plan.shift */
	struct fs_space space_after;
	uint64_t changed_bytes;           /* of all disks */
	struct strlist warnings;
	unsigned step;
	bool stopped; /* the caller wants to */
};

/* open.c: fills job->disk from the options; nothing is opened yet. */
int job_name_disks(struct p2h_job *job, const char *source, struct p2h_error *err);
/* Opens source and donor, after checking them and the outputs. */
int job_open_all(struct p2h_job *job, struct p2h_error *err);
/* Is the output a device that is there already? */
bool job_output_is_device(const struct job_disk *d);
/* The name under which the in-place commit keeps its journal; to be freed. */
char *job_undo_name(const struct job_disk *d, const struct p2h_options *options);

/* disks.c: the disk as it is to be read. */
struct disk *job_view(const struct job_disk *d);
/* The disk as it is, and as the conversion makes it. */
struct disk *job_bare(const struct job_disk *d);
struct disk *job_result(const struct job_disk *d);
/* Makes one of these views of each disk a machine: the first one's `next` and so on. */
void job_link(struct p2h_job *job, struct disk *(*view)(const struct job_disk *));
/* How far its content is moved. */
uint64_t job_shift(const struct p2h_job *job, size_t i);
void job_disk_done(struct job_disk *d);
int job_result_root(const struct p2h_job *job); /* number of the root's volume then */

/* recover.c: checks, replays journals and repairs what is on a disk, on a transaction of its own over it. */
int job_recover(struct p2h_job *job, size_t i, struct p2h_error *err);
/* check.c: starts the look at a volume of a disk. result->checked: it is under way; its entry in job->recovery is the next one. */
int job_check_start(struct p2h_job *job, const struct job_disk *d, const struct volume *v, struct fs_recovery *result, struct p2h_error *err);
/* Waits for the verdict, if there is one to wait for, and puts it into job->recovery, the facts and `misjudged`. */
int job_check_end(struct p2h_job *job, struct p2h_error *err);
/* The donor's journals; what cannot be replayed becomes a warning. */
int job_recover_donor(struct p2h_job *job, struct p2h_error *err);
void job_recover_done(struct p2h_job *job);

/* appliance.c: makes a disk a drive of libguestfs' appliance where a volume of it is for that to read; `recovered` is then a transaction in any case. */
int job_appliance_add(struct p2h_job *job, struct job_disk *d, struct p2h_error *err);
/* The guest's drives show the conversion from now on, or what was before. */
int job_appliance_show(struct p2h_job *job, bool conversion, struct p2h_error *err);
/* Ends it, with what it still has to write (an array's superblocks); closes guest and donor, which may be read through it. */
void job_appliance_end(struct p2h_job *job);
/* Puts what was found into the facts. */
int job_recovery_facts(struct p2h_job *job, struct p2h_error *err);
/* Puts a disk's recovered blocks into its own transaction. */
int job_recovery_apply(struct p2h_job *job, size_t i, struct p2h_error *err);

/* write.c: the last stage. */
int job_write(struct p2h_job *job, struct p2h_error *err);
/* The format of a disk's new file: what the user says, else what its name says, else the disk's own. */
const char *job_output_format(const struct p2h_job *job, const struct job_disk *d);

/* Tells the progress callback; true: the caller wants to stop. */
bool job_progress(struct p2h_job *job, const char *what, uint64_t done, uint64_t total);
/* One step further for the progress callback. Non-zero: the caller wants to stop (err is filled). */
int job_step(struct p2h_job *job, const char *what, struct p2h_error *err);

/* Adds to job->warnings what else carries the source's file-system UUIDs and labels: the donor, and devices of this host where one takes part. */
int job_warn_identity(struct p2h_job *job, struct p2h_error *err);

#endif
