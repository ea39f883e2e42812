#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "disk/backends.h"
#include "disk/copy.h"
#include "disk/host.h"

static int check_directory(const char *path, struct p2h_error *err)
{
	CLEANUP_FREE char *copy = strdup(path);
	const char *dir;

	if (!copy)
		return error_nomem(err);
	dir = dirname(copy);
	if (access(dir, W_OK | X_OK))
		return error_sys(err, errno, "%s: cannot make a file in %s", path, dir);
	return 0;
}

int commit_check_file(const char *path, bool force, struct p2h_error *err)
{
	struct stat st;

	if (lstat(path, &st)) {
		if (errno != ENOENT)
			return error_sys(err, errno, "%s", path);
		return check_directory(path, err);
	}
	if (S_ISLNK(st.st_mode) && stat(path, &st))
		return error_set(err, P2H_EXISTS, "%s: is a symbolic link to nothing", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, P2H_EXISTS, "%s: exists and is not a regular file", path);
	if (!force)
		return error_set(err, P2H_EXISTS, "%s: exists already: --force replaces it", path);
	if (st.st_size) { /* an empty file, as mktemp leaves it, has no users */
		int code = host_check_unused(path, true, err);

		if (code)
			return code;
	}
	return check_directory(path, err);
}

/* A name in the directory of `path` that is not there yet, as an empty file. */
static int make_temporary(const char *path, char **ret, int *ret_fd, struct p2h_error *err)
{
	CLEANUP_FREE char *copy = strdup(path);
	const char *dir;

	if (!copy)
		return error_nomem(err);
	dir = dirname(copy);
	for (int tries = 0; tries < 100; tries++) {
		CLEANUP_FREE char *name = NULL;
		uint64_t number;
		int fd;

		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			number = (uint64_t)getpid() * 1000 + (uint64_t)tries;
		if (asprintf(&name, "%s/.pv2hvm-%016" PRIx64, dir, number) < 0) {
			name = NULL;
			return error_nomem(err);
		}
		/* not mkstemp: the mode is to be what the user's umask makes it */
		fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
		if (fd >= 0) {
			*ret = TAKE(name);
			*ret_fd = fd;
			return 0;
		}
		if (errno != EEXIST)
			return error_sys(err, errno, "%s: cannot make a file in %s", path, dir);
	}
	return error_set(err, P2H_EXISTS, "%s: no temporary name is free in %s", path, dir);
}

static int prepare_raw(int fd, const char *path, uint64_t size, struct p2h_error *err)
{
	return ftruncate(fd, (off_t)size) ? error_sys(err, errno, "%s", path) : 0;
}

static int prepare_qcow2(const char *temporary, uint64_t size, struct p2h_error *err)
{
	char bytes[24];
	CLEANUP_FREE char *name = NULL;
	const char *argv[] = {"qemu-img", "create", "-q", "-f", "qcow2", NULL, bytes, NULL};

	/* a name without a slash in front of a colon would be a protocol */
	if (asprintf(&name, "%s%s", *temporary == '/' ? "" : "./", temporary) < 0) {
		name = NULL;
		return error_nomem(err);
	}
	argv[5] = name;
	snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
	return run_program(argv, "qemu-utils", NULL, NULL, err);
}

static int fill(struct transaction *t, const char *temporary, const char *format, const struct commit_options *options,
		struct p2h_error *err)
{
	CLEANUP_DISK struct disk *to = NULL;
	CLEANUP(copy_done) struct copy c = {0};
	int code = disk_open(temporary, format, DISK_WRITE, &to, err);

	if (!code)
		code = copy_init(&c, t, to, true, options, err);
	if (!code)
		code = copy_range(&c, 0, transaction_disk(t)->size, err);
	return code ? code : disk_flush(to, err);
}

static int write_temporary(struct transaction *t, int fd, const char *temporary, const char *path,
			   const struct commit_options *options, struct p2h_error *err)
{
	uint64_t size = transaction_disk(t)->size;
	int code;

	if (!strcmp(options->format, "raw"))
		code = prepare_raw(fd, path, size, err);
	else if (!strcmp(options->format, "qcow2"))
		code = prepare_qcow2(temporary, size, err);
	else
		code = error_set(err, P2H_UNSUPPORTED, "cannot write images of format '%s'", options->format);
	if (!code)
		code = fill(t, temporary, options->format, options, err);
	if (!code && fsync(fd))
		code = error_sys(err, errno, "%s: flush to disk", path);
	return code;
}

/* Gives the file its name. Without force nothing that came to be there meanwhile is replaced. */
static int publish(const char *temporary, const char *path, bool force, struct p2h_error *err)
{
	int failed = renameat2(AT_FDCWD, temporary, AT_FDCWD, path, force ? 0 : RENAME_NOREPLACE);

	if (failed && !force && (errno == EINVAL || errno == ENOSYS)) { /* a file system without NOREPLACE */
		failed = link(temporary, path);
		if (!failed)
			unlink(temporary);
	}
	if (failed && errno == EEXIST)
		return error_set(err, P2H_EXISTS, "%s: exists already: --force replaces it", path);
	return failed ? error_sys(err, errno, "%s", path) : 0;
}

/* Replacing the source itself would be a conversion in place without an undo journal. */
static int refuse_source(struct transaction *t, const char *path, struct p2h_error *err)
{
	struct disk *under = transaction_under(t);
	struct stat source, target;
	uint64_t off, len;
	int fd;

	if (!disk_source_fd(under, under->size - 1, &fd, &off, &len) || fstat(fd, &source) || stat(path, &target))
		return 0;
	if (source.st_dev != target.st_dev || source.st_ino != target.st_ino)
		return 0;
	return error_set(err, P2H_USAGE, "%s: is the source image itself", path);
}

struct staged_file {
	char *temporary, *target, *path; /* target: with links followed; path: as the caller named it */
	bool force, replaces, published;
};

void commit_staged_done(struct staged_file *s, bool withdraw)
{
	if (!s)
		return;
	if (s->temporary && !s->published)
		unlink(s->temporary);
	else if (withdraw && s->published && !s->replaces)
		unlink(s->target);
	free(s->temporary);
	free(s->target);
	free(s->path);
	free(s);
}

static int name_path(const char *path, struct p2h_error *err, int code)
{
	return strstr(err ? err->msg : "", path) ? code : error_prefix(err, code, "%s", path);
}

static int stage(struct transaction *t, struct staged_file *s, const struct commit_options *options, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	int code;

	if (!s->path)
		return error_nomem(err);
	s->target = realpath(s->path, NULL); /* a link keeps being one; NULL: there is nothing yet */
	s->replaces = s->target;
	if (!s->target && errno != ENOMEM)
		s->target = strdup(s->path);
	if (!s->target)
		return error_nomem(err);
	code = make_temporary(s->target, &s->temporary, &fd, err);
	if (code)
		return code;
	code = write_temporary(t, fd, s->temporary, s->path, options, err);
	return code ? name_path(s->path, err, code) : 0;
}

int commit_stage(struct transaction *t, const char *path, const struct commit_options *options, struct staged_file **ret, struct p2h_error *err)
{
	struct staged_file *s;
	int code = commit_check_file(path, options->force, err);

	if (!code)
		code = refuse_source(t, path, err);
	if (code)
		return code;
	s = calloc(1, sizeof(*s));
	if (!s)
		return error_nomem(err);
	*s = (struct staged_file){.path = strdup(path), .force = options->force};
	code = stage(t, s, options, err);
	if (code) {
		commit_staged_done(s, false);
		return code;
	}
	*ret = s;
	return 0;
}

int commit_publish(struct staged_file *s, struct p2h_error *err)
{
	int code = publish(s->temporary, s->target, s->force, err);

	if (code)
		return name_path(s->path, err, code);
	s->published = true;
	return sync_directory(s->target, err);
}

int commit_new_file(struct transaction *t, const char *path, const struct commit_options *options, struct p2h_error *err)
{
	struct staged_file *s = NULL;
	int code = commit_stage(t, path, options, &s, err);

	if (!code)
		code = commit_publish(s, err);
	commit_staged_done(s, false);
	return code;
}
