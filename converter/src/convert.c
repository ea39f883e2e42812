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
static char *default_output(const struct cli *c, const char *source)
{
	const char *slash = strrchr(source, '/'), *dot = strrchr(slash ? slash : source, '.');
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

/* The output of one disk, where it has none yet: *output, allocated as *ret_name. */
static int name_output(const struct cli *c, const char *source, const char **output, char **ret_name)
{
	/* Beside a device lies /dev, which is in memory and gone after a crash. */
	if (c->options.in_place && !c->options.undo_file && !c->dry_run && is_device(source)) {
		fprintf(stderr, "pv2hvm: %s: a device's undo journal needs a place that lasts: --undo-file FILE\n", source);
		return EXIT_USAGE;
	}
	if (*output || c->options.in_place || c->dry_run)
		return EXIT_DONE;
	if (is_device(source)) {
		fprintf(stderr, "pv2hvm: %s: a device needs an output: -o FILE, or --in-place\n", source);
		return EXIT_USAGE;
	}
	*output = *ret_name = default_output(c, source);
	if (*ret_name)
		return EXIT_DONE;
	fputs("pv2hvm: out of memory\n", stderr);
	return EXIT_FAILED;
}

struct names {
	char *item[LIST_MAX + 1];
};

static int name_outputs(struct cli *c, struct names *ret)
{
	int rc = name_output(c, c->argument[0], &c->options.output, &ret->item[0]);

	for (size_t i = 0; !rc && c->disk[i].path; i++)
		rc = name_output(c, c->disk[i].path, &c->disk[i].output, &ret->item[i + 1]);
	return rc;
}

static void free_names(struct names *names)
{
	for (size_t i = 0; i <= LIST_MAX; i++)
		free(names->item[i]);
}

static void tell_result(const struct cli *c, struct p2h_job *job)
{
	const struct p2h_options *o = &c->options;

	if (c->quiet || c->json)
		return;
	if (p2h_outcome(job) == P2H_OUTCOME_NOTHING) {
		printf("%s: boots as HVM already: nothing to do\n", c->argument[0]);
	} else if (p2h_outcome(job) == P2H_OUTCOME_DONE && o->in_place) {
		printf("%s: converted in place and verified; `pv2hvm undo %s", c->argument[0], c->argument[0]);
		for (size_t i = 0; c->disk[i].path; i++)
			printf(" --disk %s%s%s", c->disk[i].device ? c->disk[i].device : "", c->disk[i].device ? "=" : "", c->disk[i].path);
		printf("%s%s` puts it back\n", o->undo_file ? " --undo-file " : "", o->undo_file ? o->undo_file : "");
	} else if (p2h_outcome(job) == P2H_OUTCOME_DONE) {
		printf("%s: converted and verified: %s", c->argument[0], o->output);
		for (size_t i = 0; c->disk[i].path; i++)
			printf(", %s", c->disk[i].output);
		puts("");
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
	struct names names = {0};
	int rc = cli_check_reports(c), failed;

	if (rc)
		return rc;
	if (!c->options.donor && !(c->options.kernel && !strcmp(c->options.kernel, "guest"))) {
		fputs("pv2hvm: convert: --donor IMAGE, DEVICE or DIRECTORY is needed (or --kernel guest)\n", stderr);
		return EXIT_USAGE;
	}
	rc = name_outputs(c, &names);
	if (rc) {
		free_names(&names);
		return rc;
	}
	cli_progress(c);
	if (p2h_open(c->argument[0], &c->options, &job, &err)) {
		free_names(&names);
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
	free_names(&names);
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
	"convert", "SOURCE [--disk FILE]... --donor DONOR [-o OUTPUT | --in-place] [OPTIONS]", "make an image boot as HVM",
	"doxFIiuPcfnrltkeRKsaADpmjqv", 1, 1, run_convert,
};

const struct command command_inspect = {
	"inspect", "IMAGE [--disk FILE]... [--json]", "show what is in an image: layout, distribution, kernels, boot loader",
	"xIcrtRKepjqv", 1, 1, run_inspect,
};
