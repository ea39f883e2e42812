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

/* ---- what to do ---- */

enum p2h_layout {
	P2H_LAYOUT_AUTO,      /* new output: partition; in place on a device: flat; in place on a file: partition where that is cheap */
	P2H_LAYOUT_PARTITION, /* MBR and one partition, the file system moved by 1 MiB */
	P2H_LAYOUT_FLAT,      /* the file system stays at sector 0 */
	P2H_LAYOUT_KEEP,      /* the image is partitioned already */
};

/* What reads and writes file systems. */
enum p2h_engine {
	P2H_ENGINE_AUTO,    /* ext: libext2fs; others: libguestfs, whose appliance is started only where one of them is needed */
	P2H_ENGINE_EXT,     /* libext2fs only */
	P2H_ENGINE_GUESTFS, /* libguestfs for all */
};

/* Machines that the result must boot on; bits. */
#define P2H_TARGET_XEN_HVM 1u
#define P2H_TARGET_NITRO 2u
#define P2H_TARGET_KVM 4u

/*
 * Called with the number of the step that begins, of how many, what it is, and within it bytes done of total (0: not known). A non-zero
 * return value cancels before the point of no return: P2H_REFUSED, nothing is written.
 */
typedef int (*p2h_progress)(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total);

/* A further disk of the guest. */
struct p2h_disk {
	const char *path;   /* image file or block device; NULL ends a list */
	const char *device; /* what the guest calls it, a whole disk: "/dev/xvdf"; NULL: /dev/xvdb where it is the first further one, /dev/xvdc for the second, ... */
	const char *output; /* as struct p2h_options has it */
};

/* Zero-initialised gives the defaults; strings are borrowed for as long as the job lives. Lists end with NULL and may be NULL. */
struct p2h_options {
	const char *donor;         /* image, block device or directory; NULL: none (inspect, verify, kernel "guest") */
	const char *input_format;  /* QEMU's name, for further disks, too; NULL: detected */
	const char *output;        /* new file or block device; NULL with in_place or for a dry run */
	const struct p2h_disk *disks; /* further disks of the guest; NULL: none. They are read, converted and written with the source */
	const char *output_format; /* "raw" or "qcow2"; NULL: by the output's suffix, else the source's, else qcow2 */
	bool in_place;
	const char *undo_file;     /* in place; NULL: SOURCE.pv2hvm-undo. A further disk /dev/xvdb's: that name with "-xvdb", or PATH.pv2hvm-undo */
	bool repair;               /* damaged file systems: let e2fsck repair what is safe, in the result only */
	bool no_check;             /* do not let e2fsck look for damage that is not marked */
	bool force;                /* replace an existing output file; write to a device that holds signatures */
	enum p2h_layout layout;
	/* For encrypted volumes, as libguestfs' tools take them: "NAME:key:PASSPHRASE", "NAME:file:FILE"; NAME: a UUID, a device, or "all". */
	const char *const *keys;   /* NULL at the end; may be NULL */
	enum p2h_engine engine;
	unsigned targets;          /* 0: xen-hvm and nitro */
	const char *kernel;        /* "donor", "guest" or a version; NULL: "donor" */
	int root;                  /* number of the root's partition; 0 with root_given false: found by content */
	bool root_given;
	const char *const *skip;   /* rules not to run */
	const char *const *allow;  /* findings that do not block */
	const char *const *cmdline_add, *const *cmdline_remove;
	p2h_progress progress;
	void *progress_arg;
	void (*log)(void *arg, const char *text, size_t len); /* what libguestfs and its appliance say, in pieces; NULL: nobody listens */
	void *log_arg;
};

/* ---- a conversion, stage by stage; each stage needs the one before ---- */

struct p2h_job;

/* What became of a job, for the caller's exit status and last line. */
enum p2h_outcome {
	P2H_OUTCOME_OPEN,     /* not decided yet */
	P2H_OUTCOME_NOTHING,  /* boots as HVM already: nothing to do */
	P2H_OUTCOME_REFUSED,  /* a finding blocks */
	P2H_OUTCOME_UNFIT,    /* verification failed */
	P2H_OUTCOME_READY,    /* may be committed */
	P2H_OUTCOME_DONE,     /* committed */
};

enum p2h_format { P2H_TEXT, P2H_JSON };

/* Opens source and donor (read-only) and checks output and use by others. The options are copied, what they point to is not. */
P2H_API int p2h_open(const char *source, const struct p2h_options *options, struct p2h_job **ret, struct p2h_error *err);

/* Reads guest and donor; verifies the source as it is, to see whether there is anything to do. */
P2H_API int p2h_inspect(struct p2h_job *job, struct p2h_error *err);

/* Decides what to do. Blocking findings: P2H_REFUSED, the report has them all. */
P2H_API int p2h_plan(struct p2h_job *job, struct p2h_error *err);

/* Carries the plan out on the transaction, in memory. */
P2H_API int p2h_apply(struct p2h_job *job, struct p2h_error *err);

/* Reads the transaction's result the way a BIOS would. P2H_VERIFY: it would not boot. */
P2H_API int p2h_verify(struct p2h_job *job, struct p2h_error *err);

/* Writes the outputs, of all disks or of none. Only here is anything of the user's written. Guest and donor are closed then: no other stage may follow. */
P2H_API int p2h_commit(struct p2h_job *job, struct p2h_error *err);

/*
 * All stages in order; commits unless dry_run. Nothing to do: returns 0 with that outcome. Where p2h_inspect waits until e2fsck has looked at the
 * source, this goes on beside it, and waits before anything is written or said.
 */
P2H_API int p2h_convert(struct p2h_job *job, bool dry_run, struct p2h_error *err);

P2H_API enum p2h_outcome p2h_outcome(const struct p2h_job *job);

/* The report of what has been done so far, after a refusal too. *ret is the caller's, to be freed with free(). */
P2H_API int p2h_report(struct p2h_job *job, enum p2h_format format, char **ret, struct p2h_error *err);

/*
 * The i-th warning, one printable line: what is no part of the guest and may confuse whoever has source, donor and output on one machine.
 * All are known after p2h_open. NULL: there are no more. The report has them too.
 */
P2H_API const char *p2h_warning(const struct p2h_job *job, size_t i);

P2H_API void p2h_close(struct p2h_job *job); /* NULL is allowed; what is not committed is dropped */

/* ---- for themselves ---- */

/* Would this image boot? *ret_passed tells; the report says why, step by step. */
P2H_API int p2h_verify_image(const char *image, const struct p2h_options *options, enum p2h_format format, bool *ret_passed,
			     char **ret_report, struct p2h_error *err);

/* Puts an in-place conversion back, byte for byte, with that of further disks. Uses disks, undo_file, input_format and force. */
P2H_API int p2h_undo(const char *image, const struct p2h_options *options, struct p2h_error *err);

/* The rules as text: all, one line each, or one in full. P2H_NOTFOUND: no such rule. */
P2H_API int p2h_rules(const char *id, char **ret, struct p2h_error *err);

/* "xen-hvm,nitro" to bits; 0: not understood. */
P2H_API unsigned p2h_targets_parse(const char *list);

P2H_API const char *p2h_version(void);

#endif
