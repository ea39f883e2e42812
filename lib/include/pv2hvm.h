/*
 * pv2hvm.h - public interface of libpv2hvm
 *
 * The library converts the disk image of a Xen paravirtual Linux guest into one that boots as HVM through a BIOS.
 * It never prints, prompts or exits; every function that can fail returns 0 or a negative enum p2h_code and fills the
 * caller's struct p2h_error (NULL is allowed: then only the code is returned).
 */
#ifndef PV2HVM_H
#define PV2HVM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define P2H_API __attribute__((visibility("default")))

/* What went wrong, named by meaning. */
enum p2h_code {
	P2H_OK = 0,
	P2H_IO = -1,          /* a read, a write or another system call failed; sys_errno tells which */
	P2H_NOMEM = -2,       /* no memory */
	P2H_USAGE = -3,       /* the caller's arguments contradict each other or make no sense */
	P2H_NOTFOUND = -4,    /* a file, device or part of an image is not there */
	P2H_EXISTS = -5,      /* something is there that must not be overwritten */
	P2H_CORRUPT = -6,     /* data on disk contradicts its format */
	P2H_UNSUPPORTED = -7, /* well-formed, but not something pv2hvm can handle */
	P2H_REFUSED = -8,     /* a finding blocks the conversion; nothing was written */
	P2H_BUSY = -9,        /* in use by another process, or mounted */
	P2H_NOSPACE = -10,    /* not enough room in the guest, the output or the spill file */
	P2H_VERIFY = -11,     /* the result would not boot; nothing was written */
	P2H_STALE = -12,      /* an undo journal does not belong to this image, or the image changed since */
	P2H_TOOL = -13,       /* a host program is missing or failed */
};

/* An error: fixed size, owned by the caller, no allocation. The message is one line without a trailing newline. */
struct p2h_error {
	int code;      /* enum p2h_code */
	int sys_errno; /* errno of the system call that failed, else 0 */
	char msg[480];
};

#endif
