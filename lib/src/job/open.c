/* open.c - source, further disks, donor and outputs: are they what was asked for, and in nobody's use? */
#include "job/job.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/escape.h"
#include "disk/host.h"

bool job_output_is_device(const struct job_disk *d)
{
	struct stat st;

	return d->output && !stat(d->output, &st) && S_ISBLK(st.st_mode);
}

char *job_undo_name(const struct job_disk *d, const struct p2h_options *options)
{
	char *name = NULL;

	if (!options->undo_file)
		return asprintf(&name, "%s.pv2hvm-undo", d->name) < 0 ? NULL : name;
	if (!d->device[0])
		return strdup(options->undo_file);
	return asprintf(&name, "%s-%s", options->undo_file, strrchr(d->device, '/') + 1) < 0 ? NULL : name;
}

/* ---- the disks, by name ---- */

static int name_further(struct p2h_job *job, const struct p2h_disk *from, struct p2h_error *err)
{
	struct job_disk *d = &job->disk[job->disks];

	if (from->device && !volume_is_disk_name(from->device))
		return error_set(err, P2H_USAGE, "--disk %s=%s: a whole disk's name is needed, /dev/xvdb or the like, and not the first one's", from->device, from->path);
	*d = (struct job_disk){.name = from->path, .output = from->output};
	if (from->device)
		snprintf(d->device, sizeof(d->device), "%s", from->device);
	else
		snprintf(d->device, sizeof(d->device), "/dev/xvd%c", (char)('a' + job->disks));
	for (size_t i = 0; i < job->disks; i++) {
		if (host_same_disk(job->disk[i].name, d->name))
			return error_set(err, P2H_USAGE, "%s: this disk is given twice", d->name);
		if (!strcmp(job->disk[i].device, d->device))
			return error_set(err, P2H_USAGE, "%s and %s would both be the guest's %s: name them with --disk DEVICE=FILE", job->disk[i].name, d->name,
					 d->device);
	}
	job->disks++;
	return 0;
}

int job_name_disks(struct p2h_job *job, const char *source, struct p2h_error *err)
{
	const struct p2h_disk *further = job->options.disks;
	size_t n = 0;
	int rc = 0;

	while (further && further[n].path)
		n++;
	if (n > VOLUME_DISKS)
		return error_set(err, P2H_UNSUPPORTED, "--disk: more than %u further disks", VOLUME_DISKS);
	job->disk = calloc(n + 1, sizeof(*job->disk));
	if (!job->disk)
		return error_nomem(err);
	job->disk[job->disks++] = (struct job_disk){.name = source, .output = job->options.output};
	for (size_t i = 0; !rc && i < n; i++)
		rc = name_further(job, &further[i], err);
	return rc;
}

/* ---- outputs ---- */

/* One disk's output must be no disk that is read, and no other's output. */
static int check_distinct(const struct p2h_job *job, const struct job_disk *d, struct p2h_error *err)
{
	for (size_t i = 0; i < job->disks; i++) {
		const struct job_disk *other = &job->disk[i];

		if (host_same_disk(other->name, d->output))
			return error_set(err, P2H_USAGE, i ? "%s: the output is a disk that is read" : "%s: the output is the source itself: use --in-place",
					 d->output);
		if (other < d && other->output && (!strcmp(other->output, d->output) || host_same_disk(other->output, d->output)))
			return error_set(err, P2H_USAGE, "%s: two disks cannot have the same output", d->output);
	}
	if (job->options.donor && host_same_disk(job->options.donor, d->output))
		return error_set(err, P2H_USAGE, "%s: the output is the donor itself", d->output);
	return 0;
}

static int check_output(const struct p2h_job *job, const struct job_disk *d, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	CLEANUP_FREE char *undo = job_undo_name(d, o);
	struct stat st;
	int rc = d->output ? check_distinct(job, d, err) : 0;

	if (!undo)
		return error_nomem(err);
	if (!rc)
		rc = commit_check_unfinished(d->name, undo, err);
	if (rc || job_output_is_device(d)) /* a device's size counts: checked once the plan stands */
		return rc;
	if (d->output)
		return commit_check_file(d->output, o->force, err);
	if (!o->in_place)
		return 0;
	if (!lstat(undo, &st) && !commit_is_begun(undo))
		return error_set(err, P2H_EXISTS, "%s: an undo journal is there already: put the image back with `pv2hvm undo %s`, or move the journal away",
				 undo, d->name);
	return 0;
}

static int check_outputs(const struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	int rc = 0;

	if (o->output && o->in_place)
		return error_set(err, P2H_USAGE, "--output and --in-place exclude each other");
	if (o->output_format && strcmp(o->output_format, "raw") && strcmp(o->output_format, "qcow2"))
		return error_set(err, P2H_USAGE, "--output-format %s: raw or qcow2", o->output_format);
	for (size_t i = 0; !rc && i < job->disks; i++)
		rc = check_output(job, &job->disk[i], err);
	return rc;
}

/* No option allows what would overwrite the system that runs this. */
static int check_targets(const struct p2h_job *job, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < job->disks; i++) {
		const struct job_disk *d = &job->disk[i];

		if (d->output || job->options.in_place)
			rc = host_check_target(d->output ? d->output : d->name, err);
	}
	return rc;
}

/* ---- what is read ---- */

static int open_disk(struct p2h_job *job, size_t i, struct p2h_error *err)
{
	struct job_disk *d = &job->disk[i];
	int rc = host_check_unused(d->name, job->options.in_place, err);

	if (!rc)
		rc = disk_open(d->name, job->options.input_format, 0, &d->disk, err);
	if (!rc)
		rc = job_recover(job, i, err);
	return rc ? rc : job_appliance_add(job, d, err);
}

static bool is_directory(const char *name)
{
	struct stat st;

	return name && !stat(name, &st) && S_ISDIR(st.st_mode);
}

static int open_donor(struct p2h_job *job, struct p2h_error *err)
{
	const char *name = job->options.donor;
	int rc;

	for (size_t i = 0; i < job->disks; i++)
		if (host_same_disk(job->disk[i].name, name))
			return error_set(err, P2H_USAGE, "%s: source and donor are the same: the donor is another image, whose kernel is taken", name);
	if (is_directory(name))
		return 0;
	job->donor_disk.name = name;
	rc = host_check_unused(name, false, err);
	if (!rc)
		rc = disk_open(name, NULL, 0, &job->donor_disk.disk, err);
	if (!rc)
		rc = job_recover_donor(job, err);
	return rc ? rc : job_appliance_add(job, &job->donor_disk, err);
}

/* The running system's own disk may give the kernel (--donor /), but is never changed. */
static int read_donor(struct p2h_job *job, struct p2h_error *err)
{
	const char *name = job->options.donor;

	return is_directory(name) ? guest_open_dir(name, &job->donor, err) : guest_open(job_view(&job->donor_disk), -1, GUEST_DONOR, 0, &job->donor, err);
}

static int open_source(struct p2h_job *job, struct p2h_error *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < job->disks; i++)
		rc = open_disk(job, i, err);
	return rc;
}

int job_open_all(struct p2h_job *job, struct p2h_error *err)
{
	const struct p2h_options *o = &job->options;
	int rc = plan_check_rules(o, err), rc_donor = 0;

	if (!rc)
		rc = check_outputs(job, err);
	if (!rc)
		rc = check_targets(job, err);
	if (!rc)
		rc = job_step(job, "opening source and donor", err);
	if (!rc)
		rc = open_source(job, err);
	if (!rc && o->donor)
		rc = rc_donor = open_donor(job, err);
	if (!rc) { /* reading may start the appliance, which must have all its drives then */
		job_link(job, job_view);
		rc = guest_open(job_view(&job->disk[0]), o->root_given ? o->root : -1, 0, 0, &job->guest, err);
	}
	if (!rc && o->donor)
		rc = rc_donor = read_donor(job, err);
	if (rc_donor)
		error_prefix(err, rc, "donor");
	if (!rc)
		rc = job_warn_identity(job, err);
	for (size_t i = 0; !rc && i < job->warnings.len; i++)
		escape_line(job->warnings.item[i]); /* labels, file names */
	return rc;
}
