#include "base/limited.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/sanitized.h"

#define MEMORY (1024ul * 1024 * 1024)

static void limit(int what, rlim_t value)
{
	struct rlimit now;

	if (!getrlimit(what, &now) && (now.rlim_max == RLIM_INFINITY || now.rlim_max > value))
		setrlimit(what, &(struct rlimit){value, value});
}

static _Noreturn void child(int (*fn)(void *arg, int fd), void *arg, unsigned seconds, int fd, pid_t parent)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	for (int sig = 1; sig < NSIG; sig++)
		sigaction(sig, &dfl, NULL);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_CPU, seconds);
	if (!SANITIZED) /* its shadow memory alone is larger */
		limit(RLIMIT_DATA, MEMORY);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(fn(arg, fd));
}

static int read_all(int fd, size_t most, struct buf *out, struct p2h_error *err)
{
	for (;;) {
		char *room = buf_reserve(out, 65536);
		ssize_t n;

		if (!room)
			return error_nomem(err);
		n = read(fd, room, 65536);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "reading from a child process");
		if (!n)
			return 0;
		out->len += (size_t)n;
		if (out->len > most)
			return error_set(err, P2H_UNSUPPORTED, "its answer is too long");
	}
}

int limited_run(int (*fn)(void *arg, int fd), void *arg, unsigned seconds, size_t most, struct buf *out, int *ret_status,
		struct p2h_error *err)
{
	CLEANUP_FD int in = -1, to = -1;
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int fd[2], rc, status;

	if (pipe2(fd, O_CLOEXEC))
		return error_sys(err, errno, "pipe");
	in = fd[0];
	to = fd[1];
	sigfillset(&all); /* no handler of ours may run in the child */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (!pid)
		child(fn, arg, seconds, to, parent);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return error_sys(err, errno, "fork");
	close(TAKE_FD(to));
	rc = read_all(in, most, out, err);
	if (rc)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return rc ? rc : error_sys(err, errno, "waitpid");
	if (rc)
		return rc;
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGXCPU))
		return error_set(err, P2H_UNSUPPORTED, "it takes more than %u s", seconds);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		return error_set(err, P2H_UNSUPPORTED, "it was ended by signal %d", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	*ret_status = WEXITSTATUS(status);
	return 0;
}
