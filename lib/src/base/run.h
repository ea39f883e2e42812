/* run.h - host programs: fixed arguments, no shell, a clean environment, ended with us */
#ifndef P2H_BASE_RUN_H
#define P2H_BASE_RUN_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/error.h"

/*
 * Starts argv[0] (looked up in a fixed PATH: /usr/sbin:/usr/bin:/sbin:/bin) with stdin from /dev/null, LC_ALL=C and no
 * other environment, in a session of its own (Ctrl-C does not reach it). PR_SET_PDEATHSIG ends it when the calling thread
 * dies, and half an hour of processor time (SIGXCPU) what goes round in circles. out_fd/err_fd: -1 is /dev/null. pass_fd
 * (or -1) stays open in the child under its own number.
 * Errors: P2H_TOOL when the program is not installed (the message names the Debian package in `package`).
 */
int run_start(const char *const *argv, const char *package, int out_fd, int err_fd, int pass_fd, pid_t *ret,
	      struct p2h_error *err);

/*
 * The same for a server: listen_fd, a socket that listens already, is passed the way systemd does it (descriptor 3,
 * LISTEN_FDS and LISTEN_PID), so that a client need not wait until the server is up. Its standard output is /dev/null.
 */
int run_start_listening(const char *const *argv, const char *package, int listen_fd, int err_fd, pid_t *ret,
			struct p2h_error *err);

/*
 * Runs argv to its end; out (may be NULL) takes its standard output. Its exit status goes to *ret_status when that is
 * not NULL; otherwise a status other than 0 is P2H_TOOL with the last line of its standard error.
 */
int run_program(const char *const *argv, const char *package, struct buf *out, int *ret_status, struct p2h_error *err);

/* Cuts trailing white space off text and returns its last line: what a program said about its failure. */
const char *run_last_line(char *text);

#endif
