/* disks.c - the disks of a job in their several states */
#include "job/job.h"

struct disk *job_bare(const struct job_disk *d)
{
	return d->disk;
}

struct disk *job_view(const struct job_disk *d)
{
	return d->recovered ? transaction_disk(d->recovered) : d->disk;
}

struct disk *job_result(const struct job_disk *d)
{
	return transaction_disk(d->transaction);
}

void job_link(struct p2h_job *job, struct disk *(*view)(const struct job_disk *))
{
	for (size_t i = 0; i < job->disks; i++) {
		struct disk *d = view(&job->disk[i]);

		d->device = i ? job->disk[i].device : NULL;
		d->next = i + 1 < job->disks ? view(&job->disk[i + 1]) : NULL;
	}
}

uint64_t job_shift(const struct p2h_job *job, size_t i)
{
	return i ? 0 : job->plan.shift;
}

int job_result_root(const struct p2h_job *job)
{
	return (int)plan_number_after(&job->plan, job->facts.root_number);
}

void job_disk_done(struct job_disk *d)
{
	transaction_close(d->transaction);
	transaction_close(d->recovered);
	disk_close(d->disk);
}
