/* ext_fsck.c - e2fsprogs' programs on a file, and what they say */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "fs/ext_scratch.h"

#define LINES_KEPT 3
#define SAID_KEPT 16384u       /* bytes */
#define SAID_MAX (256 * 1024u)  /* some damage makes e2fsck go round in circles and never stop talking */
#define E2FSCK_UNCORRECTED 4
#define STOP_EVERY_MS 100

static bool starts_with(const char *text, size_t len, const char *start)
{
	return len >= strlen(start) && !memcmp(text, start, strlen(start));
}

/* "<what is wrong>.  Fix? no" */
static size_t without_question(const char *line, size_t len)
{
	static const char answer[] = "? no";

	if (len < strlen(answer) || memcmp(line + len - strlen(answer), answer, strlen(answer)))
		return len;
	while (len && !(line[len - 1] == ' ' && len > 1 && line[len - 2] == ' '))
		len--;
	while (len && strchr(" .", line[len - 1]))
		len--;
	return len;
}

/* What says nothing of what is wrong: its name and version, the passes, the last lines of a check. */
static bool is_noise(const char *line, size_t len)
{
	return !len || memmem(line, len, "% non-contiguous), ", 19) || starts_with(line, len, "Pass ") || starts_with(line, len, "e2fsck 1.") || memmem(line, len, "WARNING: Filesystem still has", 29) ||
	       starts_with(line, len, "Warning: skipping journal recovery");
}

/* One line: the file's name (which may have an offset behind it) left out, anything but printable ASCII as a question mark. */
static size_t add_line(const char *at, const char *stop, const char *name, char *words, size_t len, size_t size)
{
	size_t name_len = strcspn(name, "?");

	while (at < stop && len + 1 < size) {
		if ((size_t)(stop - at) < name_len || memcmp(at, name, name_len)) {
			words[len++] = *at >= ' ' && *at <= '~' ? *at : '?';
			at++;
			continue;
		}
		at += name_len;
		if (starts_with(at, (size_t)(stop - at), ": "))
			at += 2;
		else
			len += (size_t)snprintf(words + len, size - len, "%s", size - len > 16 ? "the volume" : "");
	}
	words[len] = '\0';
	return len;
}

static void keep_words(const char *at, const char *end, const char *name, char *words, size_t size)
{
	size_t len = 0;

	words[0] = '\0';
	for (int lines = 0; at < end && lines < LINES_KEPT; at++) {
		const char *stop = memchr(at, '\n', (size_t)(end - at));
		size_t before = len, n;

		if (!stop)
			stop = end;
		n = without_question(at, (size_t)(stop - at));
		if (!is_noise(at, n)) {
			if (len && len + 3 < size)
				len += (size_t)snprintf(words + len, size - len, "; ");
			n = add_line(at, at + n, name, words, len, size);
			if (n > len)
				lines++;
			len = n > len ? n : before;
			words[len] = '\0';
		}
		at = stop;
	}
}

/* "FIXED.", "INODE CLEARED." */
static size_t without_deed(const char *text, size_t len)
{
	size_t at = len;

	if (!len || text[--at] != '.')
		return len;
	while (at && (isupper((unsigned char)text[at - 1]) || text[at - 1] == ' ' || text[at - 1] == '-'))
		at--;
	while (at < len && text[at] == ' ')
		at++;
	if (len - at < 4 || (at && text[at - 1] != ' '))
		return len;
	while (at && text[at - 1] == ' ')
		at--;
	return !at || strchr(".:?)", text[at - 1]) ? at : len;
}

void ext_fsck_drop_deeds(char *words)
{
	size_t to = 0;

	for (const char *at = words; *at;) {
		const char *stop = strstr(at, "; ");
		size_t len = stop ? (size_t)(stop - at) : strlen(at), n = starts_with(at, len, "*** ") ? 0 : without_deed(at, len);

		if (n && to) {
			memmove(words + to, "; ", 2);
			to += 2;
		}
		memmove(words + to, at, n);
		to += n;
		at += len + (stop ? 2 : 0);
	}
	words[to] = '\0';
}

static int wait_for(pid_t pid, const char *program, int *ret_status, struct p2h_error *err)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return error_sys(err, errno, "waiting for %s", program);
	if (!WIFEXITED(status))
		return error_set(err, P2H_TOOL, "%s was ended by signal %d", program, WTERMSIG(status));
	*ret_status = WEXITSTATUS(status);
	return 0;
}

static int ask(const struct ext_fsck_stop *stop, int fd, struct p2h_error *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (stop) {
		if (stop->fn(stop->arg))
			return error_set(err, P2H_REFUSED, "interrupted");
		if (poll(&p, 1, STOP_EVERY_MS) > 0)
			return 0;
	}
	return 0;
}

/* The first bytes are kept. *ret_endless: it was not heard to its end. */
static int read_said(int fd, const struct ext_fsck_stop *stop, char *said, size_t size, size_t *ret_len, bool *ret_endless, struct p2h_error *err)
{
	char piece[4096];
	size_t total = 0;
	ssize_t n;
	int rc;

	*ret_len = 0;
	*ret_endless = false;
	while (!(rc = ask(stop, fd, err)) && (n = read(fd, piece, sizeof(piece))) != 0) {
		size_t take = size - *ret_len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "reading what e2fsck says");
		if (take > (size_t)n)
			take = (size_t)n;
		memcpy(said + *ret_len, piece, take);
		*ret_len += take;
		total += (size_t)n;
		*ret_endless = total > SAID_MAX;
		if (*ret_endless)
			return 0;
	}
	return rc;
}

int ext_fsck_start(const char *name, const char *const *options, int64_t now, struct ext_fsck *ret, struct p2h_error *err)
{
	char clock[48];
	const char *argv[8] = {"env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", clock, "e2fsck"};
	CLEANUP_FD int out = -1, in = -1;
	int pipe_fd[2], rc;
	size_t n = 4;

	snprintf(clock, sizeof(clock), "E2FSCK_TIME=%lld", (long long)(now > 0 ? now : 1));
	for (size_t i = 0; i < 2 && options[i]; i++)
		argv[n++] = options[i];
	argv[n] = name;
	if (pipe2(pipe_fd, O_CLOEXEC))
		return error_sys(err, errno, "e2fsck: cannot prepare to start it");
	out = pipe_fd[0];
	in = pipe_fd[1];
	rc = run_start(argv, "e2fsprogs", in, in, -1, &ret->pid, err);
	if (!rc)
		ret->out = TAKE_FD(out);
	return rc;
}

void ext_fsck_kill(struct ext_fsck *f)
{
	int status;

	kill(f->pid, SIGKILL);
	wait_for(f->pid, "e2fsck", &status, NULL);
	close(f->out);
}

int ext_fsck_end(struct ext_fsck *f, const char *name, const struct ext_fsck_stop *stop, char *words, size_t size, int *ret_status,
		 struct p2h_error *err)
{
	CLEANUP_FREE char *said = malloc(SAID_KEPT);
	bool endless = false;
	size_t len;
	int rc = said ? read_said(f->out, stop, said, SAID_KEPT, &len, &endless, err) : error_nomem(err);

	if (rc || endless) {
		ext_fsck_kill(f);
		*ret_status = E2FSCK_UNCORRECTED;
	} else {
		close(f->out);
		rc = wait_for(f->pid, "e2fsck", ret_status, err);
	}
	if (rc)
		return rc;
	if (*ret_status == 127)
		return error_set(err, P2H_TOOL, "e2fsck is not installed (Debian package e2fsprogs)");
	keep_words(said, said + len, name, words, size);
	return 0;
}

int ext_fsck(const char *name, const char *const *options, int64_t now, char *words, size_t size, int *ret_status, struct p2h_error *err)
{
	struct ext_fsck f;
	int rc = ext_fsck_start(name, options, now, &f, err);

	return rc ? rc : ext_fsck_end(&f, name, NULL, words, size, ret_status, err);
}

int ext_fsck_replay(const char *name, bool *ret_done, struct p2h_error *err)
{
	static const char complaint[] = "journal_run:";
	/* -n: bitmaps that the journal has newer ones of need not agree with their checksums, and are not used. */
	const char *const argv[] = {"debugfs", "-w", "-n", "-R", "journal_run", name, NULL};
	CLEANUP_FD int words = memfd_create("pv2hvm", MFD_CLOEXEC);
	char said[4096];
	int status, rc;
	ssize_t n;
	pid_t pid;

	if (words < 0)
		return error_sys(err, errno, "memfd_create");
	rc = run_start(argv, "e2fsprogs", -1, words, -1, &pid, err);
	if (!rc)
		rc = wait_for(pid, "debugfs", &status, err);
	if (!rc && status)
		rc = error_set(err, P2H_TOOL, "debugfs failed (status %d)", status);
	if (rc)
		return rc;
	n = pread(words, said, sizeof(said), 0);
	/* It forgets the journal whether it could be replayed or not; only its words tell. */
	*ret_done = n > 0 && n < (ssize_t)sizeof(said) && !memmem(said, (size_t)n, complaint, strlen(complaint));
	return 0;
}
