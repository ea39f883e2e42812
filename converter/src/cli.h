/* cli.h - what the subcommands share */
#ifndef PV2HVM_CLI_H
#define PV2HVM_CLI_H

#include <pv2hvm.h>

enum exit_status { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_REFUSED = 3, EXIT_UNFIT = 4 };

#define LIST_MAX 64

/* The command line, read. Lists end with NULL. */
struct cli {
	struct p2h_options options;
	const char *argument[LIST_MAX + 1]; /* positional */
	int arguments;
	const char *output[LIST_MAX + 2]; /* of SOURCE, then of the disks */
	struct p2h_disk disk[LIST_MAX + 1];
	char device[LIST_MAX][64]; /* of the disks, where the user says it */
	const char *report[LIST_MAX + 1], *key[LIST_MAX + 1], *skip[LIST_MAX + 1], *allow[LIST_MAX + 1], *add[LIST_MAX + 1], *remove[LIST_MAX + 1];
	bool dry_run, json, quiet, machine_readable;
	int verbose;
	enum { PROGRESS_AUTO, PROGRESS_ALWAYS, PROGRESS_NEVER } progress;
};

/* A subcommand; `accepts` holds the short letters (see options.c) of the options it knows. */
struct command {
	const char *name, *usage, *summary, *accepts;
	int min_arguments, max_arguments;
	int (*run)(struct cli *cli);
};

extern const struct command command_convert, command_inspect, command_verify, command_undo, command_rules;

/* Fills cli from argv (argv[0] is the subcommand); EXIT_USAGE after telling why, or EXIT_DONE. */
int cli_parse(const struct command *command, int argc, char **argv, struct cli *cli);
void cli_help(const struct command *command);

/* "pv2hvm: <message>" on stderr; the exit status that belongs to the error. */
int cli_fail(const struct p2h_error *err);

/* Installs the progress callback that the options ask for, and handlers that make it cancel on SIGINT, SIGTERM and SIGHUP. */
void cli_progress(struct cli *cli);
void cli_log(void *arg, const char *text, size_t len); /* for p2h_options: onto stderr */
void cli_progress_end(void); /* ends an unfinished line on the terminal */

/* Are they to be had? EXIT_USAGE or EXIT_FAILED, after telling why, before anything else is done. */
int cli_check_reports(const struct cli *cli);
/* Writes every --report, and the one for stdout: all that can be written. EXIT_FAILED, after telling, where one cannot. */
int cli_reports(const struct cli *cli, struct p2h_job *job, bool on_stdout);

/* At the end: the exit status, but EXIT_FAILED (told) where it was EXIT_DONE and standard output could not be written. */
int cli_end(int rc);

#endif
