/* text.h - the sections of the text report; for report/ only */
#ifndef P2H_REPORT_TEXT_H
#define P2H_REPORT_TEXT_H

#include "report/parts.h"

/* One line, all of it escaped: whatever a guest puts into a name, it stays inside its line. */
void text_line(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A blank line and a heading. */
void text_section(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* text_disk.c */
void text_volumes(struct buf *b, const struct volumes *v, uint64_t disk_size, const char *when);
void text_further_disks(struct buf *b, const struct report_input *in);
void text_layout(struct buf *b, const struct report_input *in);
void text_space(struct buf *b, const struct report_input *in);

/* text_boot.c */
void text_boot_path(struct buf *b, const struct report_input *in);
void text_kernel_tree(struct buf *b, const struct report_input *in);
void text_steps(struct buf *b, const struct verify_report *r);
void text_verdict(struct buf *b, const struct verify_report *r, unsigned targets);

/* text_plan.c */
int text_findings(struct buf *b, const struct plan *p, struct p2h_error *err);
void text_nodes(struct buf *b, const struct plan *p);
int text_files(struct buf *b, const struct changes *changes, struct p2h_error *err);
void text_left_alone(struct buf *b, const struct report_input *in, const struct changes *changes);

/* text_image.c */
void text_image(struct buf *b, const struct report_input *in);

#endif
