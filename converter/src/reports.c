/* reports.c - the reports that the user asks for: their names, and writing them */
#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n > m && !strcmp(text + n - m, end);
}

static int check_writable(const char *name)
{
	char *copy = NULL;
	int rc = access(name, W_OK);

	if (rc && errno == ENOENT) {
		copy = strdup(name);
		rc = copy ? access(dirname(copy), W_OK | X_OK) : -1;
	}
	if (rc)
		fprintf(stderr, "pv2hvm: report %s: %s\n", name, strerror(errno));
	free(copy);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

int cli_check_reports(const struct cli *c)
{
	int rc = EXIT_DONE;

	for (const char *const *name = c->report; *name; name++)
		if (strcmp(*name, "-") && !ends_with(*name, ".txt") && !ends_with(*name, ".json")) {
			fprintf(stderr, "pv2hvm: --report %s: the name ends in .txt or .json, or is - for stdout\n", *name);
			return EXIT_USAGE;
		}
	for (const char *const *name = c->report; *name && !rc; name++)
		if (strcmp(*name, "-"))
			rc = check_writable(*name);
	return rc;
}

/* Whoever reads this must know whether there is a result. */
static int cannot_write(const char *what, const struct p2h_job *job)
{
	int errnum = errno;

	fprintf(stderr, "pv2hvm: %s: %s%s\n", what, strerror(errnum),
		p2h_outcome(job) == P2H_OUTCOME_DONE ? ": the report is not complete; the conversion itself is done, and its result whole" : "");
	return EXIT_FAILED;
}

static int write_file(const char *name, const char *text, const struct p2h_job *job)
{
	FILE *f = fopen(name, "w");
	bool written = f && fputs(text, f) != EOF;
	char what[4200];

	if (f && fclose(f) == EOF)
		written = false;
	snprintf(what, sizeof(what), "report %s", name);
	return written ? EXIT_DONE : cannot_write(what, job);
}

static int one_report(struct p2h_job *job, enum p2h_format format, const char *name)
{
	struct p2h_error err;
	char *text = NULL;
	int rc = EXIT_DONE;

	if (p2h_report(job, format, &text, &err))
		return cli_fail(&err);
	if (name)
		rc = write_file(name, text, job);
	else if (fputs(text, stdout) == EOF || fflush(stdout))
		rc = cannot_write("standard output", job);
	free(text);
	return rc;
}

int cli_reports(const struct cli *c, struct p2h_job *job, bool on_stdout)
{
	int rc = EXIT_DONE;

	cli_progress_end();
	for (const char *const *name = c->report; *name; name++) {
		bool is_stdout = !strcmp(*name, "-");

		rc |= one_report(job, ends_with(*name, ".json") ? P2H_JSON : P2H_TEXT, is_stdout ? NULL : *name);
	}
	if (c->json || on_stdout)
		rc |= one_report(job, c->json ? P2H_JSON : P2H_TEXT, NULL);
	return rc ? EXIT_FAILED : EXIT_DONE;
}

int cli_end(int rc)
{
	if (!fflush(stdout) && !ferror(stdout))
		return rc;
	if (rc == EXIT_DONE)
		fprintf(stderr, "pv2hvm: standard output: %s\n", strerror(errno));
	return rc == EXIT_DONE ? EXIT_FAILED : rc;
}
