/* facts_abi.h - what the guest's programs want of a kernel */
#ifndef P2H_INSPECT_FACTS_ABI_H
#define P2H_INSPECT_FACTS_ABI_H

#include <stdbool.h>
#include <stddef.h>

/* A file with a note of the earliest kernel that it runs on. */
struct abi_tag {
	const char *path;
	unsigned min[3];
};

/* A program that imports a system call, or a script that names a file, of those in abi_gone. */
struct abi_call {
	const char *path;
	size_t line; /* of a script; 0 for a program */
	size_t gone; /* index into abi_gone */
};

/* System calls and files that Linux had once. */
struct abi_gone {
	const char *name;
	bool is_file;
	unsigned major, minor; /* the first Linux without it */
	const char *what;      /* what takes its place, or what used it */
};
#define ABI_GONE 9
extern const struct abi_gone abi_gone[ABI_GONE];

struct facts_abi {
	struct abi_tag *tag;      /* of init, its loader and its C library */
	size_t tags;
	const char *libc;         /* libc.so.6 of init's width; "" if there is none */
	unsigned glibc[3];        /* its version; 0.0.0 if unknown or another library */
	bool multilib;            /* a loader for 32-bit programs beside a 64-bit init */
	const char **vsyscall;    /* static x86-64 programs that call the vsyscall page: the first ones */
	size_t vsyscalls;
	bool vsyscall_cut;        /* there were too many programs to look into all */
	const char *udevd;        /* udev's daemon; "" if there is none */
	bool udevadm;             /* udev 117 (end of 2007) or newer: before it there were udevinfo, udevtrigger and others */
	bool udevd_booted;        /* it asks whether systemd is the running init: sd_booted(3) */
	bool libudev1;            /* udev 183 or newer: libudev.so.1; nodes are the kernel's since 176 */
	struct abi_call *call;    /* what programs and scripts use that kernels have given up: the first ones */
	size_t calls;
	unsigned *xfs_v4;         /* numbers of the volumes with XFS of the old format */
	size_t xfs_v4s;
};

#endif
