/* error.h - filling struct p2h_error: set once where it fails, prefixed on the way up */
#ifndef P2H_BASE_ERROR_H
#define P2H_BASE_ERROR_H

#include <pv2hvm.h>

/* Each returns the (negative) code, so that a caller writes `return error_set(...)`. err may be NULL. */
int error_set(struct p2h_error *err, enum p2h_code code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A failed system call: code from errnum (ENOSPC, ENOENT, EBUSY, ... have their own), ": <strerror>" is appended. */
int error_sys(struct p2h_error *err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<text>: " in front of the message; the code stays. */
int error_prefix(struct p2h_error *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

int error_nomem(struct p2h_error *err);

/*
 * "There is no such file" may be what became of an allocation that failed, several calls further down. So each that fails is noted,
 * for this thread, by error_nomem, error_sys and what buffers and arenas do; a stage of a job that has a note in the end has failed.
 */
void error_note_nomem(void);
bool error_noted_nomem(void);
void error_forget_nomem(void);

#endif
