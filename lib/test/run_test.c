#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run.h"
#include "support/scratch.h"

static void run_shell(const char *script, struct buf *out, int *status, int code)
{
	const char *argv[] = {"sh", "-c", script, NULL};

	assert_int_equal(run_program(argv, "dash", out, status, E), code);
}

static void test_output(void **state)
{
	CLEANUP(buf_done) struct buf out = {0};

	(void)state;
	/* more on both than a pipe holds, one after the other */
	run_shell("head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; printf end", &out, NULL, 0);
	assert_int_equal(out.len, 300003);
	assert_string_equal(out.data + 300000, "end");
}

static void test_clean_world(void **state)
{
	CLEANUP(buf_done) struct buf out = {0};
	CLEANUP_FD int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as a client of ours might */
	const char *env[] = {"env", NULL};

	(void)state;
	assert_true(leak > 2);
	setenv("LD_SECRET", "1", 1);
	assert_ok(run_program(env, "coreutils", &out, NULL, E));
	assert_string_equal(out.data, "LC_ALL=C\n");
	buf_clear(&out);
	signal(SIGPIPE, SIG_IGN);
	run_shell("cat; ls /proc/self/fd | wc -l; grep -h Sig[BI] /proc/self/status", &out, NULL, 0);
	signal(SIGPIPE, SIG_DFL);
	/* ls sees 0, 1, 2 and its own; nothing is blocked or ignored */
	assert_string_equal(out.data, "4\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

static void test_status(void **state)
{
	int status = -1;

	(void)state;
	run_shell("exit 3", NULL, &status, 0);
	assert_int_equal(status, 3);
	run_shell("echo first >&2; echo 'sh: last words' >&2; echo >&2; exit 1", NULL, NULL, P2H_TOOL);
	assert_string_equal(E->msg, "sh: last words");
	run_shell("echo reason >&2; exit 1", NULL, NULL, P2H_TOOL);
	assert_string_equal(E->msg, "sh: reason");
	run_shell("exit 9", NULL, NULL, P2H_TOOL);
	assert_message_has("status 9");
	run_shell("kill -9 $$", NULL, &status, P2H_TOOL);
	assert_message_has("signal 9");
}

static void test_missing(void **state)
{
	const char *argv[] = {"no-such-program", NULL};
	const char *bad[] = {NULL, NULL};

	(void)state;
	assert_code(run_program(argv, "no-such-package", NULL, NULL, E), P2H_TOOL);
	assert_string_equal(E->msg, "no-such-program is not installed (Debian package no-such-package)");
	scratch_file("bad", "not a program", 13);
	assert_int_equal(scratch_shell("chmod +x bad"), 0);
	bad[0] = scratch_path("bad");
	assert_code(run_program(bad, "x", NULL, NULL, E), P2H_TOOL);
	assert_message_has("cannot start");
}

/* A program ends when the one that started it does. */
static void test_ends_with_parent(void **state)
{
	const char *argv[] = {"sleep", "600", NULL};
	int link[2], status;
	pid_t middle, pid = -1;
	ssize_t n;

	(void)state;
	assert_int_equal(pipe(link), 0);
	middle = fork();
	if (!middle) {
		run_start(argv, "coreutils", -1, -1, -1, &pid, NULL);
		n = write(link[1], &pid, sizeof(pid));
		_exit(n == sizeof(pid) ? 0 : 1);
	}
	assert_int_equal(waitpid(middle, &status, 0), middle);
	assert_int_equal(status, 0);
	assert_int_equal(read(link[0], &pid, sizeof(pid)), sizeof(pid));
	assert_true(pid > 0);
	for (int i = 0; i < 500; i++) { /* gone, or a zombie that init has not collected */
		char path[64], text[512] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
		f = fopen(path, "r");
		if (f && fgets(text, sizeof(text), f) && !strstr(text, ") Z "))
			usleep(10000);
		else
			i = 1000;
		if (f)
			fclose(f);
		assert_int_not_equal(i, 499);
	}
	close(link[0]);
	close(link[1]);
}

static void test_pass_fd(void **state)
{
	CLEANUP_FD int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	char script[64];
	const char *argv[] = {"sh", "-c", script, NULL};
	int status;
	pid_t pid;

	(void)state;
	snprintf(script, sizeof(script), "test -e /proc/self/fd/%d", fd);
	assert_ok(run_start(argv, "dash", -1, -1, fd, &pid, E));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

static void test_listening(void **state)
{
	const char *argv[] = {"sh", "-c", "test $LISTEN_PID = $$ && test $LISTEN_FDS = 1 && test -S /proc/self/fd/3", NULL};
	CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int status;
	pid_t pid;

	(void)state;
	assert_ok(run_start_listening(argv, "dash", fd, -1, &pid, E));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_last_line(void **state)
{
	static const char *const rows[][2] = {
		{"", ""}, {"\n\n", ""}, {"one", "one"}, {"one\ntwo\n", "two"}, {"one\r\ntwo \n \n", "two"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[64];

		snprintf(text, sizeof(text), "%s", rows[i][0]);
		assert_string_equal(run_last_line(text), rows[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output),		 cmocka_unit_test(test_clean_world), cmocka_unit_test(test_status),
		cmocka_unit_test(test_missing),		 cmocka_unit_test(test_ends_with_parent),
		cmocka_unit_test(test_pass_fd),		 cmocka_unit_test(test_listening),
		cmocka_unit_test(test_last_line),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
