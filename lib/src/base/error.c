#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"

static _Thread_local bool noted_nomem;

void error_note_nomem(void)
{
	noted_nomem = true;
}

bool error_noted_nomem(void)
{
	return noted_nomem;
}

void error_forget_nomem(void)
{
	noted_nomem = false;
}

int error_set(struct p2h_error *err, enum p2h_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	err->code = code;
	err->sys_errno = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	escape_line(err->msg);
	return code;
}

static enum p2h_code code_from_errno(int errnum)
{
	switch (errnum) {
	case ENOMEM:
		return P2H_NOMEM;
	case ENOENT:
	case ENOTDIR:
		return P2H_NOTFOUND;
	case EEXIST:
	case ENOTEMPTY:
		return P2H_EXISTS;
	case EBUSY:
	case EAGAIN:
		return P2H_BUSY;
	case ENOSPC:
	case EDQUOT:
		return P2H_NOSPACE;
	case ESHUTDOWN: /* what a libnbd call gives when the server ended */
	default:
		return P2H_IO;
	}
}

int error_sys(struct p2h_error *err, int errnum, const char *fmt, ...)
{
	enum p2h_code code = code_from_errno(errnum);
	size_t used;
	va_list ap;

	if (code == P2H_NOMEM)
		error_note_nomem();
	if (!err)
		return code;
	err->code = code;
	err->sys_errno = errnum;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	used = strlen(err->msg);
	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", strerror(errnum));
	escape_line(err->msg);
	return code;
}

int error_prefix(struct p2h_error *err, int code, const char *fmt, ...)
{
	char whole[sizeof(err->msg)];
	size_t used;
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(whole, sizeof(whole), fmt, ap);
	va_end(ap);
	used = strlen(whole);
	snprintf(whole + used, sizeof(whole) - used, ": %.*s", (int)(sizeof(whole) - used), err->msg);
	escape_line(whole);
	memcpy(err->msg, whole, sizeof(whole));
	return code;
}

int error_nomem(struct p2h_error *err)
{
	error_note_nomem();
	return error_set(err, P2H_NOMEM, "out of memory");
}
