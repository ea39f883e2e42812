/* parts.h - what the text and the JSON report have in common; for report/ only */
#ifndef P2H_REPORT_PARTS_H
#define P2H_REPORT_PARTS_H

#include "report/report.h"

#define REPORT_SECTOR 512u

/* ---- words ---- */

/* ready, refused, unfit, nothing-to-do, done, open. For the verb "verify" an undecided outcome is what the steps say. */
const char *verdict_name(const struct report_input *in);
bool has_verb(const struct report_input *in, const char *verb);
/* Of the image as it is; with the verbs that make no other, either report is it. NULL if none. */
const struct verify_report *image_verification(const struct report_input *in);
const char *table_name(enum volume_table table);     /* "none", "mbr", "gpt" */
const char *layout_name(enum p2h_layout layout);     /* as on the command line */
const char *place_name(enum boot_place place);       /* "gap", "bios-boot", "inode5" */
const char *result_name(enum verify_result result);  /* "pass", "fail", "warn", "skip" */
const char *or_empty(const char *text);              /* NULL is "" */

/* Is the target with this index (of drivers_target_name) asked for? None asked for means the default ones. */
bool has_target_index(unsigned targets, size_t index);
/* Appends the targets' names. */
void append_targets(struct buf *b, unsigned targets, const char *separator);
/* "10.0 GiB"; below 1 KiB "512 bytes". Exact: "10.0 GiB (10737418240 bytes)". */
void append_bytes(struct buf *b, uint64_t bytes);
/* Nothing where their number is not fixed. */
void append_inodes(struct buf *b, const char *before, const struct fs_space *s);
void append_bytes_exact(struct buf *b, uint64_t bytes);
void append_joined(struct buf *b, const struct strlist *list, const char *separator);

/* Product of two numbers that come from a superblock, UINT64_MAX if there is none. */
uint64_t multiply(uint64_t a, uint64_t b);

const struct verify_step *first_failed(const struct verify_report *r); /* NULL if none */
const struct facts_file *known_file(const struct facts *f, const char *path); /* f may be NULL; NULL if absent */
const struct action *find_action(const struct plan *p, enum action_kind kind); /* p may be NULL; NULL if none */

/* ---- the disk after the conversion ---- */

/* *ret borrows from f, or points to room. */
void layout_after(const struct facts *f, const struct plan *p, struct volume room[2], struct volumes *ret);

/* ---- what becomes of the guest's files ---- */

enum file_kind { FILE_NONE, FILE_TEXT, FILE_LINK };
struct file_state {
	enum file_kind kind;
	const char *data; /* text, or the link's target */
	size_t len;
};

/* A path with all that is done to it. Borrows from facts and plan. */
struct change {
	const char *path;
	const struct action *const *action; /* in the plan's order */
	size_t actions;
	struct file_state before, after;
	uint32_t mode; /* of a new file */
};
struct changes {
	const struct action **action; /* of all paths */
	struct change *item;          /* by path; what ends as it began is left out */
	size_t len;
};
int changes_collect(const struct facts *f, const struct plan *p, struct changes *ret, struct p2h_error *err);
void changes_done(struct changes *c);

/* What one action finds and leaves. `previous`: the action before it on the same path, or NULL. */
void action_states(const struct facts *f, const struct action *previous, const struct action *a,
		   struct file_state *ret_before, struct file_state *ret_after);
bool is_file_action(const struct action *a);

/* Appends the unified diff of the text in both states; nothing where there is none. */
int change_diff(const char *path, const struct file_state *before, const struct file_state *after, struct buf *ret,
		struct p2h_error *err);

#endif
