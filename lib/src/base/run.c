#include "base/run.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#define OUTPUT_MAX (256u << 20)  /* standard output that run_program takes at most */
#define STDERR_KEEP (64u << 10)  /* only its end is wanted */
#define SYSTEMD_FIRST_FD 3
#define CPU_SECONDS 1800 /* longer than e2fsck works on the largest volumes: who takes it goes round in circles */

/* Everything the child needs, made before fork: between fork and exec nothing may allocate. */
struct child {
	const char *file;
	char *const *argv;
	int in_fd, out_fd, err_fd, pass_fd, status_fd;
	bool listens; /* pass_fd becomes descriptor 3, announced as systemd does */
	pid_t parent;
};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int find_program(const char *name, const char *package, char *ret, size_t size, struct p2h_error *err)
{
	static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/sbin", "/bin"};

	if (strchr(name, '/')) {
		if ((size_t)snprintf(ret, size, "%s", name) < size && !access(ret, X_OK))
			return 0;
	} else {
		for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
			if ((size_t)snprintf(ret, size, "%s/%s", dirs[i], name) < size && !access(ret, X_OK))
				return 0;
	}
	return error_set(err, P2H_TOOL, "%s is not installed (Debian package %s)", name, package);
}

static void child_fail(const struct child *c, int errnum)
{
	ssize_t n = write(c->status_fd, &errnum, sizeof(errnum));

	(void)n;
	_exit(127);
}

/* "LISTEN_PID=<pid>" without stdio, which is not safe after fork. */
static void format_listen_pid(char *to, pid_t pid)
{
	static const char name[] = "LISTEN_PID=";
	char digits[24];
	size_t n = 0;

	memcpy(to, name, sizeof(name) - 1);
	to += sizeof(name) - 1;
	do
		digits[n++] = (char)('0' + pid % 10);
	while (pid /= 10);
	while (n)
		*to++ = digits[--n];
	*to = '\0';
}

static void close_others_on_exec(void)
{
#ifdef SYS_close_range
	if (!syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */))
		return;
#endif
	for (int fd = 3; fd < 4096; fd++) /* a kernel before 5.11 */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* A limit that is tighter already stays. */
static void limit_time(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_CPU, &limit) && (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > CPU_SECONDS)) {
		limit.rlim_cur = CPU_SECONDS;
		setrlimit(RLIMIT_CPU, &limit);
	}
}

/* Only async-signal-safe calls from here on. */
static _Noreturn void child_exec(const struct child *c)
{
	static char lc[] = "LC_ALL=C", fds[] = "LISTEN_FDS=1";
	char pid[40];
	char *env[] = {lc, NULL, NULL, NULL};
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;
	int pass = c->pass_fd;

	/* SIGTERM, not SIGKILL: qemu-nbd then closes its image in order. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != c->parent) /* it died before the line above */
		_exit(127);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Away from the terminal: Ctrl-C is ours to handle, a commit must not lose its qemu-nbd half way. */
	setsid();
	if (!c->listens)
		limit_time();
	if (dup2(c->in_fd, 0) < 0 || dup2(c->out_fd, 1) < 0 || dup2(c->err_fd, 2) < 0)
		child_fail(c, errno);
	close_others_on_exec();
	if (c->listens) {
		if (dup2(pass, SYSTEMD_FIRST_FD) < 0)
			child_fail(c, errno);
		pass = SYSTEMD_FIRST_FD;
		format_listen_pid(pid, getpid());
		env[1] = pid;
		env[2] = fds;
	}
	if (pass >= 0 && fcntl(pass, F_SETFD, 0) < 0)
		child_fail(c, errno);
	execve(c->file, c->argv, env);
	child_fail(c, errno);
	_exit(127);
}

/* A copy above the standard three (and above descriptor 3), so that the child's dup2 calls cannot overwrite one another. */
static int high_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, SYSTEMD_FIRST_FD + 1);
}

static int fork_child(struct child *c, pid_t *ret)
{
	sigset_t all, before;
	pid_t pid;
	int saved;

	c->parent = getpid();
	sigfillset(&all); /* no handler of ours may run in the child */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		child_exec(c);
	saved = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return saved;
	*ret = pid;
	return 0;
}

static int wait_child(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1;
	return status;
}

static int start(const char *const *argv, const char *package, int out_fd, int err_fd, int pass_fd, bool listens,
		 pid_t *ret, struct p2h_error *err)
{
	CLEANUP_FD int null_fd = -1, in = -1, out = -1, errs = -1, status_read = -1, status_write = -1;
	struct child c = {.pass_fd = pass_fd, .listens = listens};
	char file[4096];
	int pipe_fd[2], code, errnum = 0;
	ssize_t n;
	pid_t pid = -1;

	assert(pass_fd == -1 || pass_fd > 2);
	code = find_program(argv[0], package, file, sizeof(file), err);
	if (code)
		return code;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return error_sys(err, errno, "/dev/null");
	in = high_copy(null_fd);
	out = high_copy(out_fd < 0 ? null_fd : out_fd);
	errs = high_copy(err_fd < 0 ? null_fd : err_fd);
	if (in < 0 || out < 0 || errs < 0 || pipe2(pipe_fd, O_CLOEXEC))
		return error_sys(err, errno, "%s: cannot prepare to start it", argv[0]);
	status_read = pipe_fd[0];
	status_write = high_copy(pipe_fd[1]);
	errnum = errno;
	close(pipe_fd[1]);
	if (status_write < 0)
		return error_sys(err, errnum, "%s: cannot prepare to start it", argv[0]);

	c.file = file;
	c.argv = (char *const *)(uintptr_t)argv; /* execve's prototype predates const; it does not write there */
	c.in_fd = in;
	c.out_fd = out;
	c.err_fd = errs;
	c.status_fd = status_write;
	errnum = fork_child(&c, &pid);
	if (errnum)
		return error_sys(err, errnum, "%s: cannot start it", argv[0]);
	close(TAKE_FD(status_write));
	do /* nothing comes and the pipe closes when exec succeeds */
		n = read(status_read, &errnum, sizeof(errnum));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(errnum)) {
		wait_child(pid);
		error_sys(err, errnum, "%s: cannot start it", file);
		if (err)
			err->code = P2H_TOOL;
		return P2H_TOOL;
	}
	*ret = pid;
	return 0;
}

int run_start(const char *const *argv, const char *package, int out_fd, int err_fd, int pass_fd, pid_t *ret,
	      struct p2h_error *err)
{
	return start(argv, package, out_fd, err_fd, pass_fd, false, ret, err);
}

int run_start_listening(const char *const *argv, const char *package, int listen_fd, int err_fd, pid_t *ret,
			struct p2h_error *err)
{
	return start(argv, package, -1, err_fd, listen_fd, true, ret, err);
}

/* Reads what is there; closes *fd at its end. Returns 0 or errno. */
static int drain(int *fd, struct buf *b)
{
	char piece[16384];
	ssize_t n = read(*fd, piece, sizeof(piece));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN ? 0 : errno;
	if (!n)
		close(TAKE_FD(*fd));
	buf_append(b, piece, (size_t)n);
	return b->failed ? ENOMEM : 0;
}

/* Both pipes at once: a program that fills one while we wait on the other would hang. */
static int read_both(int *out_fd, struct buf *out, int *err_fd, struct buf *text)
{
	while (*out_fd >= 0 || *err_fd >= 0) {
		struct pollfd p[2] = {{.fd = *out_fd, .events = POLLIN}, {.fd = *err_fd, .events = POLLIN}};
		int errnum = 0;

		if (poll(p, 2, -1) < 0) {
			if (errno != EINTR)
				return errno;
			continue;
		}
		if (p[0].revents)
			errnum = drain(out_fd, out);
		if (!errnum && p[1].revents)
			errnum = drain(err_fd, text);
		if (errnum)
			return errnum;
		if (out->len > OUTPUT_MAX)
			return EFBIG;
		if (text->len > 2 * STDERR_KEEP) {
			memmove(text->data, text->data + text->len - STDERR_KEEP, STDERR_KEEP + 1);
			text->len = STDERR_KEEP;
		}
	}
	return 0;
}

const char *run_last_line(char *text)
{
	size_t len = strlen(text);
	char *line;

	while (len && strchr("\r\n\t ", text[len - 1]))
		text[--len] = '\0';
	line = strrchr(text, '\n');
	return line ? line + 1 : text;
}

static int report_status(const char *program, int status, struct buf *text, int *ret_status, struct p2h_error *err)
{
	const char *line;

	if (WIFSIGNALED(status))
		return error_set(err, P2H_TOOL, "%s was ended by signal %d", program, WTERMSIG(status));
	if (ret_status) {
		*ret_status = WEXITSTATUS(status);
		return 0;
	}
	if (!WEXITSTATUS(status))
		return 0;
	buf_append(text, "", 0);
	line = text->data ? run_last_line(text->data) : "";
	if (!*line)
		return error_set(err, P2H_TOOL, "%s failed with status %d", program, WEXITSTATUS(status));
	if (!strncmp(line, program, strlen(program)) && line[strlen(program)] == ':')
		return error_set(err, P2H_TOOL, "%s", line);
	return error_set(err, P2H_TOOL, "%s: %s", program, line);
}

int run_program(const char *const *argv, const char *package, struct buf *out, int *ret_status, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0}, dropped = {0};
	CLEANUP_FD int out_read = -1, out_write = -1, err_read = -1, err_write = -1;
	const char *program = base_name(argv[0]);
	int pipe_fd[2], status, code, errnum;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return error_sys(err, errno, "%s: cannot prepare to start it", program);
	err_read = pipe_fd[0];
	err_write = pipe_fd[1];
	if (out) {
		if (pipe2(pipe_fd, O_CLOEXEC))
			return error_sys(err, errno, "%s: cannot prepare to start it", program);
		out_read = pipe_fd[0];
		out_write = pipe_fd[1];
	}
	code = run_start(argv, package, out_write, err_write, -1, &pid, err);
	if (code)
		return code;
	if (out_write >= 0)
		close(TAKE_FD(out_write));
	close(TAKE_FD(err_write));
	errnum = read_both(&out_read, out ? out : &dropped, &err_read, &text);
	if (errnum)
		kill(pid, SIGKILL);
	status = wait_child(pid);
	if (errnum)
		return error_sys(err, errnum, "%s: cannot read its output", program);
	if (status < 0)
		return error_sys(err, errno, "%s: cannot wait for it", program);
	return report_status(program, status, &text, ret_status, err);
}
