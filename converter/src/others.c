/* others.c - pv2hvm verify, undo, rules */
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"

static int run_verify(struct cli *c)
{
	struct p2h_error err = {0};
	bool passed = false;
	char *report = NULL;

	cli_progress(c);
	if (p2h_verify_image(c->argument[0], &c->options, c->json ? P2H_JSON : P2H_TEXT, &passed, &report, &err))
		return cli_fail(&err);
	if (!c->quiet)
		fputs(report, stdout);
	free(report);
	return passed ? EXIT_DONE : EXIT_UNFIT;
}

static int run_undo(struct cli *c)
{
	struct p2h_error err = {0};

	cli_progress(c);
	if (p2h_undo(c->argument[0], &c->options, &err))
		return cli_fail(&err);
	if (!c->quiet)
		printf("%s: put back as it was before the conversion\n", c->argument[0]);
	return EXIT_DONE;
}

static int run_rules(struct cli *c)
{
	struct p2h_error err = {0};
	char *text = NULL;

	if (p2h_rules(c->argument[0], &text, &err))
		return cli_fail(&err);
	fputs(text, stdout);
	free(text);
	return EXIT_DONE;
}

const struct command command_verify = {
	"verify", "IMAGE [--disk FILE]... [--target LIST] [--json]", "would this image boot as HVM? every step of the BIOS path, pass or fail",
	"xIteRKjqpv", 1, 1, run_verify,
};

const struct command command_undo = {
	"undo", "IMAGE [--disk FILE]... [--undo-file FILE]", "put an in-place conversion back, byte for byte", "xIufqp", 1, 1, run_undo,
};

const struct command command_rules = {
	"rules", "[ID]", "list every rule: what it looks for, what it changes, why", "", 0, 1, run_rules,
};
