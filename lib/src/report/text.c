/* text.c - the report for people: what a reader who has to approve the change looks for, in that order */
#include "report/text.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/escape.h"

__attribute__((format(printf, 2, 0))) static void append_escaped(struct buf *b, const char *fmt, va_list ap)
{
	CLEANUP_FREE char *text = NULL;
	int n = vasprintf(&text, fmt, ap);

	if (n < 0) {
		text = NULL;
		b->failed = true;
		return;
	}
	escape_append(b, text, (size_t)n);
	buf_puts(b, "\n");
}

void text_line(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	append_escaped(b, fmt, ap);
	va_end(ap);
}

void text_section(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	buf_puts(b, "\n");
	va_start(ap, fmt);
	append_escaped(b, fmt, ap);
	va_end(ap);
}

static const char *verdict_text(const struct report_input *in)
{
	switch (in->outcome) {
	case P2H_OUTCOME_NOTHING:
		return "boots as HVM already, nothing to do";
	case P2H_OUTCOME_REFUSED:
		return "refused, nothing was written";
	case P2H_OUTCOME_UNFIT:
		return "the result would not boot, nothing was written";
	case P2H_OUTCOME_READY:
		return in->dry_run ? "ready, nothing was written (dry run)" : "ready";
	case P2H_OUTCOME_DONE:
		return "done";
	case P2H_OUTCOME_OPEN:
		break;
	}
	return "not decided";
}

/* Guest, donor, target, verdict. */
static void append_summary(struct buf *b, const struct report_input *in)
{
	const struct facts *f = in->facts;
	const struct plan *p = in->plan;
	CLEANUP(buf_done) struct buf targets = {0}, kernel = {0};

	append_targets(&targets, in->targets, ", ");
	if (f && p && *or_empty(p->kernel)) {
		buf_printf(&kernel, ", kernel %s", p->kernel);
		if (f->donor.from_guest)
			buf_puts(&kernel, " of the guest");
		else if (f->donor.given)
			buf_printf(&kernel, " of %s (%s)", or_empty(f->donor.name), or_empty(f->donor.os_name));
	} else if (f && f->donor.given) {
		buf_printf(&kernel, ", donor %s (%s)", or_empty(f->donor.name), or_empty(f->donor.os_name));
	}
	b->failed |= targets.failed || kernel.failed;
	if (b->failed)
		return;
	text_line(b, "%s: %s%s, for %s: %s", or_empty(in->source), f && *or_empty(f->os_name) ? f->os_name : "unknown system",
		  kernel.data ? kernel.data : "", targets.data, verdict_text(in));
}

static void append_head(struct buf *b, const struct report_input *in)
{
	const struct verify_step *failed = in->after ? first_failed(in->after) : NULL;

	append_summary(b, in);
	if (in->outcome == P2H_OUTCOME_REFUSED && in->plan && in->plan->blocked)
		text_line(b, "blocked by %s", or_empty(in->plan->blocked_by));
	if (failed)
		text_line(b, "fails at %s: %s", failed->id, or_empty(failed->evidence));
	if (in->in_place)
		text_line(b, "output: in place");
	else if (*or_empty(in->output))
		text_line(b, "output: %s%s%s%s", in->output, *or_empty(in->output_format) ? " (" : "", or_empty(in->output_format),
			  *or_empty(in->output_format) ? ")" : "");
	for (size_t i = 0; in->warnings && i < in->warnings->len; i++)
		text_line(b, "warning: %s", in->warnings->item[i]);
}

static int append_plan(struct buf *b, const struct report_input *in, struct p2h_error *err)
{
	CLEANUP(changes_done) struct changes changes = {0};
	int rc = changes_collect(in->facts, in->plan, &changes, err);

	if (!rc)
		rc = text_findings(b, in->plan, err);
	if (rc)
		return rc;
	text_layout(b, in);
	text_boot_path(b, in);
	rc = text_files(b, &changes, err);
	if (rc)
		return rc;
	text_nodes(b, in->plan);
	text_kernel_tree(b, in);
	text_space(b, in);
	text_left_alone(b, in, &changes);
	return 0;
}

static void append_verification(struct buf *b, const struct report_input *in)
{
	const struct verify_report *r = in->after;

	if (!r && in->outcome == P2H_OUTCOME_NOTHING)
		r = in->before;
	if (!r)
		return;
	text_section(b, r == in->after ? "Verification of the result" : "Verification of the image as it is");
	text_steps(b, r);
	text_verdict(b, r, in->targets);
}

int report_text(const struct report_input *in, struct buf *ret, struct p2h_error *err)
{
	const struct verify_report *image = image_verification(in);
	int rc = 0;

	if (has_verb(in, "verify")) {
		for (size_t i = 0; in->warnings && i < in->warnings->len; i++)
			text_line(ret, "warning: %s", in->warnings->item[i]);
		if (image) {
			text_steps(ret, image);
			text_verdict(ret, image, in->targets);
		}
	} else if (has_verb(in, "inspect")) {
		text_line(ret, "%s", or_empty(in->source));
		for (size_t i = 0; in->warnings && i < in->warnings->len; i++)
			text_line(ret, "warning: %s", in->warnings->item[i]);
		if (in->facts)
			text_image(ret, in);
		if (in->plan)
			rc = text_findings(ret, in->plan, err);
		if (image) {
			text_section(ret, "Would it boot as HVM?");
			text_steps(ret, image);
			text_verdict(ret, image, in->targets);
		}
	} else {
		append_head(ret, in);
		if (in->facts && in->plan)
			rc = append_plan(ret, in, err);
		append_verification(ret, in);
	}
	if (rc)
		return rc;
	return ret->failed ? error_nomem(err) : 0;
}
