/* report.h - what was found, decided, done and checked: as text for people, as JSON for programs */
#ifndef P2H_REPORT_REPORT_H
#define P2H_REPORT_REPORT_H

#include "plan/plan.h"
#include "verify/verify.h"

#define REPORT_SCHEMA_VERSION 1

/* A further disk of the guest. */
struct report_disk {
	const char *name, *device;          /* as the user named it, and as the guest calls it */
	const char *format;
	uint64_t size;                      /* bytes */
	const char *output, *output_format; /* "" without one */
	const uint64_t *changed_bytes;      /* NULL: not known */
};

/* Everything a report may speak of; a part that is NULL was not reached. */
struct report_input {
	const char *verb;                   /* "convert", "inspect", "verify" */
	const char *source, *output;        /* as the user named them; output "" without one */
	const struct facts *facts;
	const struct plan *plan;
	const struct verify_report *before; /* the source as it is */
	const struct verify_report *after;  /* the result */
	const struct fs_space *space_after; /* of the root file system after the conversion */
	const uint64_t *changed_bytes;      /* bytes of all disks that differ from the source, in the source's place */
	unsigned targets;
	enum p2h_outcome outcome;
	bool dry_run, in_place;
	const char *output_format;          /* "raw", "qcow2", "" */
	const struct report_disk *disk;     /* further ones, NULL if there are none */
	size_t disks;
	const struct strlist *warnings;     /* one line each: duplicate UUIDs on this host, ... */
};

/*
 * Text, in the order of docs: summary line (guest, donor, target, verdict); findings by severity with rule id, evidence and what is done; disk
 * layout before and after in sectors; boot path before and after (boot loader, kernel, command line, kept and dropped parameters); unified
 * diffs of all text files, one per path (first before against last after); the kernel tree as one line; free space before and after;
 * what is left alone on purpose; the verification, step by step. Control characters of the guest's data are escaped.
 */
int report_text(const struct report_input *in, struct buf *ret, struct p2h_error *err);

/* One JSON object; docs/report.schema.json describes it; keys sorted, the same input gives the same bytes. */
int report_json(const struct report_input *in, struct buf *ret, struct p2h_error *err);

#endif
