/* convert.c - pv2hvm convert, inspect: a job and its reports */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli.h"

/* Names of formats that are read but not written: the output is a qcow2. */
static bool is_read_only_suffix(const char *suffix)
{
	static const char *const known[] = {".vmdk", ".vhdx", ".vhd", ".vdi"};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcasecmp(suffix, known[i]))
			return true;
	return false;
}

/* "guest.raw" -> "guest-hvm.raw", with the suffix of another output format. */
static char *default_output(const struct cli *c)
{
	const char *source = c->argument[0], *slash = strrchr(source, '/'), *dot = strrchr(slash ? slash : source, '.');
	size_t stem = dot && dot != source && dot[-1] != '/' ? (size_t)(dot - source) : strlen(source);
	const char *suffix = source + stem;
	char *name = NULL;

	if (c->options.output_format && *suffix)
		suffix = !strcmp(c->options.output_format, "raw") ? ".raw" : ".qcow2";
	else if (is_read_only_suffix(suffix))
		suffix = ".qcow2";
	return asprintf(&name, "%.*s-hvm%s", (int)stem, source, suffix) < 0 ? NULL : name;
}

static bool is_device(const char *name)
{
	struct stat st;

	return !stat(name, &st) && S_ISBLK(st.st_mode);
}

static int name_output(struct cli *c, char **ret_name)
{
	/* Beside a device lies /dev, which is in memory and gone after a crash. */
	if (c->options.in_place && !c->options.undo_file && !c->dry_run && is_device(c->argument[0])) {
		fprintf(stderr, "pv2hvm: %s: a device's undo journal needs a place that lasts: --undo-file FILE\n", c->argument[0]);
		return EXIT_USAGE;
	}
	if (c->options.output || c->options.in_place || c->dry_run)
		return EXIT_DONE;
	if (is_device(c->argument[0])) {
		fprintf(stderr, "pv2hvm: %s: a device needs an output: -o FILE, or --in-place\n", c->argument[0]);
		return EXIT_USAGE;
	}
	*ret_name = default_output(c);
	c->options.output = *ret_name;
	if (*ret_name)
		return EXIT_DONE;
	fputs("pv2hvm: out of memory\n", stderr);
	return EXIT_FAILED;
}

static void tell_result(const struct cli *c, struct p2h_job *job)
{
	const struct p2h_options *o = &c->options;

	if (c->quiet || c->json)
		return;
	if (p2h_outcome(job) == P2H_OUTCOME_NOTHING) {
		printf("%s: boots as HVM already: nothing to do\n", c->argument[0]);
	} else if (p2h_outcome(job) == P2H_OUTCOME_DONE && o->in_place) {
		printf("%s: converted in place and verified; `pv2hvm undo %s%s%s` puts it back\n", c->argument[0], c->argument[0],
		       o->undo_file ? " --undo-file " : "", o->undo_file ? o->undo_file : "");
	} else if (p2h_outcome(job) == P2H_OUTCOME_DONE) {
		printf("%s: converted and verified: %s\n", c->argument[0], o->output);
	}
}

static void tell_warnings(const struct cli *c, const struct p2h_job *job)
{
	const char *text;

	cli_progress_end();
	for (size_t i = 0; !c->quiet && (text = p2h_warning(job, i)); i++)
		fprintf(stderr, "pv2hvm: warning: %s\n", text);
}

static int run_convert(struct cli *c)
{
	struct p2h_error err = {0};
	struct p2h_job *job = NULL;
	char *name = NULL;
	int rc = cli_check_reports(c), failed;

	if (rc)
		return rc;
	if (!c->options.donor && !(c->options.kernel && !strcmp(c->options.kernel, "guest"))) {
		fputs("pv2hvm: convert: --donor IMAGE, DEVICE or DIRECTORY is needed (or --kernel guest)\n", stderr);
		return EXIT_USAGE;
	}
	rc = name_output(c, &name);
	if (rc)
		return rc;
	cli_progress(c);
	if (p2h_open(c->argument[0], &c->options, &job, &err)) {
		free(name);
		return cli_fail(&err);
	}
	tell_warnings(c, job);
	failed = p2h_convert(job, c->dry_run, &err);
	/* A refusal is explained by its report: all findings, not only the first. */
	rc = cli_reports(c, job, (c->dry_run || c->verbose) && p2h_outcome(job) != P2H_OUTCOME_NOTHING && !c->quiet);
	if (failed)
		rc = cli_fail(&err);
	else
		tell_result(c, job);
	p2h_close(job);
	free(name);
	return rc;
}

static int run_inspect(struct cli *c)
{
	struct p2h_error err = {0};
	struct p2h_job *job = NULL;
	int rc = cli_check_reports(c);

	if (rc)
		return rc;
	cli_progress(c);
	if (p2h_open(c->argument[0], &c->options, &job, &err))
		return cli_fail(&err);
	rc = p2h_inspect(job, &err) ? cli_fail(&err) : cli_reports(c, job, true);
	p2h_close(job);
	return rc;
}

const struct command command_convert = {
	"convert", "SOURCE --donor DONOR [-o OUTPUT | --in-place] [OPTIONS]", "make an image boot as HVM",
	"doFIiuPcfnrltkeRKsaADpmjqv", 1, 1, run_convert,
};

const struct command command_inspect = {
	"inspect", "IMAGE [--json]", "show what is in an image: layout, distribution, kernels, boot loader",
	"IcrtRKepjqv", 1, 1, run_inspect,
};
