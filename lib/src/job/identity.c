/* identity.c - who else carries the identity of the source: all is read by device here, but a machine that mounts by UUID would be confused */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/hostfile.h"
#include "disk/host.h"
#include "job/job.h"

#define DEVICES_MAX 512 /* of the host, looked into */

static bool is_device(const char *path)
{
	struct stat st;

	return path && !stat(path, &st) && S_ISBLK(st.st_mode);
}

/* The volume of the source with that UUID (label: that label); NULL: none. */
static const struct volume *same_in_source(const struct p2h_job *job, const struct volume *other, bool label)
{
	const struct volumes *own = &job->guest->volumes;
	const char *wanted = label ? other->label : other->uuid;

	for (size_t i = 0; *wanted && i < own->len; i++)
		if (!strcmp(label ? own->item[i].label : own->item[i].uuid, wanted))
			return &own->item[i];
	return NULL;
}

static void warn_donor(struct p2h_job *job)
{
	const struct volumes *v = &job->donor->volumes;

	for (size_t i = 0; i < v->len; i++) {
		if (same_in_source(job, &v->item[i], false))
			strlist_addf(&job->warnings, "%s has the same file-system UUID (%s) as the source: do not attach both to one machine that mounts by UUID",
				     job->options.donor, v->item[i].uuid);
		if (same_in_source(job, &v->item[i], true))
			strlist_addf(&job->warnings, "%s has the same label (%s) as the source: do not attach both to one machine that mounts by label",
				     job->options.donor, v->item[i].label);
	}
}

static bool file_says(const char *path, const char *text)
{
	char line[32];

	return hostfile_line(path, line, sizeof(line)) && !strcmp(line, text);
}

/* Not there (a drive without a medium, an unused loop device), or an open would wait for as long as somebody keeps it suspended. */
static bool is_unreadable(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "/sys/class/block/%s/size", name);
	if (file_says(path, "0"))
		return true;
	snprintf(path, sizeof(path), "/sys/class/block/%s/dm/suspended", name);
	return file_says(path, "1");
}

static bool is_ours(const struct p2h_job *job, const char *path)
{
	const struct p2h_options *o = &job->options;

	for (size_t i = 0; i < job->disks; i++)
		if (host_same_storage(job->disk[i].name, path) || (job_output_is_device(&job->disk[i]) && host_same_storage(job->disk[i].output, path)))
			return true;
	return is_device(o->donor) && host_same_storage(o->donor, path);
}

static void warn_device(struct p2h_job *job, const char *path)
{
	struct volume v;

	if (volume_probe_path(path, &v, NULL))
		return;
	if (same_in_source(job, &v, false))
		strlist_addf(&job->warnings, "UUID=%s of the source is also on %s of this host: mount neither by UUID here", v.uuid, path);
	if (same_in_source(job, &v, true))
		strlist_addf(&job->warnings, "LABEL=%s of the source is also on %s of this host: mount neither by label here", v.label, path);
}

static void warn_host(struct p2h_job *job)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	DIR *dir = hostfile_dir("/sys/class/block");
	struct dirent *e;

	while (dir && names.len < DEVICES_MAX && (e = readdir(dir)))
		if (*e->d_name != '.' && !is_unreadable(e->d_name))
			strlist_add(&names, e->d_name);
	if (dir)
		closedir(dir);
	strlist_sort(&names);
	for (size_t i = 0; i < names.len; i++) {
		char path[300];

		snprintf(path, sizeof(path), "/dev/%.255s", names.item[i]);
		if (is_device(path) && !is_ours(job, path))
			warn_device(job, path);
	}
}

int job_warn_identity(struct p2h_job *job, struct p2h_error *err)
{
	bool any = is_device(job->options.donor);

	if (job->donor && job->donor_disk.disk)
		warn_donor(job);
	for (size_t i = 0; i < job->disks; i++)
		any |= is_device(job->disk[i].name) || job_output_is_device(&job->disk[i]);
	if (any)
		warn_host(job);
	for (size_t i = 0; i < job->disks; i++)
		if (is_device(job->disk[i].name) && job_output_is_device(&job->disk[i]))
			strlist_addf(&job->warnings, "%s will have the same file-system UUID as %s: do not leave both attached to a machine that mounts by UUID",
				     job->disk[i].output, job->disk[i].name);
	return job->warnings.failed ? error_nomem(err) : 0;
}
