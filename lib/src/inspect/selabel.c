#include "inspect/selabel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <selinux/label.h>

#include "base/cleanup.h"
#include "base/limited.h"

#define MAX_LABEL 255
#define STATUS_OPEN 1
#define STATUS_LOOKUP 2
#define STATUS_WRITE 3

const char *const selinux_ending[SELINUX_FILES] = {"", ".homedirs", ".local", ".subs", ".subs_dist"};

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

static int put_text(const char *path, const char *text, size_t len)
{
	CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -1 : write_all(fd, text, len);
}

/*
 * The texts lie in a directory of their own: libselinux wants a path, and would take a compiled FILE.bin beside it, whose expressions only one
 * version of PCRE can read.
 */
struct copy {
	char dir[256];
	char path[SELINUX_FILES][300];
};

static void copy_done(struct copy *c)
{
	for (size_t i = 0; i < SELINUX_FILES; i++)
		if (*c->path[i])
			unlink(c->path[i]);
	if (*c->dir)
		rmdir(c->dir);
}

static int copy_make(const struct facts_selinux *s, struct copy *c, struct p2h_error *err)
{
	const char *tmp = secure_getenv("TMPDIR");

	if (!tmp || !*tmp || strlen(tmp) > sizeof(c->dir) - 20)
		tmp = "/var/tmp";
	snprintf(c->dir, sizeof(c->dir), "%s/pv2hvm-XXXXXX", tmp);
	if (!mkdtemp(c->dir)) {
		*c->dir = '\0';
		return error_sys(err, errno, "making a directory in %s", tmp);
	}
	for (size_t i = 0; i < SELINUX_FILES; i++) {
		if (!s->file[i].len)
			continue;
		snprintf(c->path[i], sizeof(c->path[i]), "%s/file_contexts%s", c->dir, selinux_ending[i]);
		if (put_text(c->path[i], s->file[i].text, s->file[i].len))
			return error_sys(err, errno, "writing to %s", c->dir);
	}
	return 0;
}

struct job {
	const char *file;
	const struct selabel_path *path;
	size_t paths;
};

static int say_nothing(int type, const char *fmt, ...)
{
	(void)type;
	(void)fmt;
	return 0;
}

/* In the child: a label and a NUL for each path. */
static int look_up(void *arg, int fd)
{
	const struct job *j = arg;
	struct selinux_opt option = {SELABEL_OPT_PATH, j->file};
	CLEANUP(buf_done) struct buf answer = {0};
	struct selabel_handle *h;

	selinux_set_callback(SELINUX_CB_LOG, (union selinux_callback){.func_log = say_nothing});
	h = selabel_open(SELABEL_CTX_FILE, &option, 1);
	if (!h)
		return STATUS_OPEN;
	for (size_t i = 0; i < j->paths; i++) {
		char *label = NULL;

		/* ENOENT: nothing fits, or <<none>>. */
		if (selabel_lookup_raw(h, &label, j->path[i].path, (int)j->path[i].mode) && errno != ENOENT)
			return STATUS_LOOKUP;
		buf_append(&answer, label ? label : "", label ? strlen(label) + 1 : 1);
		freecon(label);
	}
	return answer.failed || write_all(fd, answer.data, answer.len) ? STATUS_WRITE : 0;
}

/* USER:ROLE:TYPE[:RANGE]: the kernel that knows the policy is not here, so only the form is looked at. */
static bool is_label(const char *label)
{
	size_t colons = 0, len = strlen(label);

	for (size_t i = 0; i < len; i++) {
		if (label[i] <= ' ' || label[i] > '~')
			return false;
		if (label[i] == ':' && (colons++ < 3) && (i == 0 || label[i - 1] == ':'))
			return false;
	}
	return len <= MAX_LABEL && colons >= 2 && label[len - 1] != ':';
}

static int take_labels(const struct buf *answer, size_t paths, struct strlist *ret, struct p2h_error *err)
{
	size_t at = 0;

	for (size_t i = 0; i < paths; i++) {
		if (at >= answer->len)
			return error_set(err, P2H_UNSUPPORTED, "the answer ends too early");
		if (answer->data[at] && !is_label(answer->data + at))
			return error_set(err, P2H_UNSUPPORTED, "\"%.60s\" is no label", answer->data + at);
		strlist_add(ret, answer->data + at);
		at += strlen(answer->data + at) + 1;
	}
	return ret->failed ? error_nomem(err) : 0;
}

int selabel_find(const struct facts_selinux *s, const struct selabel_path *path, size_t paths, unsigned seconds, struct strlist *ret,
		 struct p2h_error *err)
{
	CLEANUP(copy_done) struct copy c = {0};
	CLEANUP(buf_done) struct buf answer = {0};
	struct job job = {.path = path, .paths = paths};
	int status = 0, rc = copy_make(s, &c, err);

	if (rc)
		return rc;
	job.file = c.path[0];
	rc = limited_run(look_up, &job, seconds, paths * (MAX_LABEL + 1), &answer, &status, err);
	if (!rc && status)
		rc = error_set(err, P2H_UNSUPPORTED, status == STATUS_OPEN ? "libselinux cannot read it" : "libselinux cannot look labels up in it");
	return rc ? rc : take_labels(&answer, paths, ret, err);
}
