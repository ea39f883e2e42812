/* How a step's findings become one line of the report. */
#include "verify/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define FINDINGS_SHOWN 12u
#define FINDING_BYTES 400

void judge(struct judgement *j, enum verify_result result, const char *fmt, ...)
{
	struct buf *text = &j->text[result];
	char line[FINDING_BYTES];
	va_list ap;

	if (j->count[result]++ >= FINDINGS_SHOWN)
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (text->len)
		buf_puts(text, "; ");
	buf_puts(text, line);
	if (text->failed)
		j->v->nomem = true;
}

void judge_error(struct judgement *j, const struct p2h_error *e, const char *what)
{
	if (e->code == P2H_NOMEM)
		j->v->nomem = true;
	judge(j, VERIFY_FAIL, "%s%s%s", what ? what : "", what ? ": " : "", e->msg);
}

enum verify_result judgement_result(const struct judgement *j)
{
	if (j->count[VERIFY_FAIL])
		return VERIFY_FAIL;
	return j->count[VERIFY_WARN] ? VERIFY_WARN : VERIFY_PASS;
}

static void join(struct buf *line, const struct judgement *j, enum verify_result result)
{
	if (!j->count[result])
		return;
	if (line->len)
		buf_puts(line, "; ");
	buf_append(line, j->text[result].data, j->text[result].len);
	if (j->count[result] > FINDINGS_SHOWN)
		buf_printf(line, "; and %u more", j->count[result] - FINDINGS_SHOWN);
}

/* Guests choose names: nothing in them may break the line or a terminal. */
static void make_printable(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
}

static void report_add(struct verify *v, const char *id, const char *what, enum verify_result result, char *evidence)
{
	struct verify_report *r = v->report;
	struct verify_step *bigger = evidence ? reallocarray(r->item, r->len + 1, sizeof *r->item) : NULL;

	if (!bigger) {
		free(evidence);
		v->nomem = true;
		return;
	}
	make_printable(evidence);
	r->item = bigger;
	r->item[r->len++] = (struct verify_step){id, what, result, evidence};
}

void judgement_add(struct judgement *j, const char *id, const char *what)
{
	enum verify_result result = judgement_result(j);
	CLEANUP(buf_done) struct buf line = {0};

	if (result == VERIFY_PASS) {
		join(&line, j, VERIFY_PASS);
	} else {
		join(&line, j, VERIFY_FAIL);
		join(&line, j, VERIFY_WARN);
	}
	report_add(j->v, id, what, result, buf_take(&line));
	for (size_t i = 0; i < 4; i++)
		buf_done(&j->text[i]);
	*j = (struct judgement){.v = j->v};
}

void verify_skip(struct verify *v, const char *id, const char *what, const char *why)
{
	CLEANUP(buf_done) struct buf line = {0};

	buf_printf(&line, "not judged: %s", why);
	report_add(v, id, what, VERIFY_SKIP, buf_take(&line));
}
