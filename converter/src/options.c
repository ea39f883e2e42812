/* options.c - one table of options; each subcommand names those it knows */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

struct option_row {
	char letter;
	bool is_short; /* also as -X */
	const char *name, *argument, *help;
};

static const struct option_row row[] = {
	{'d', false, "donor", "DONOR", "image, block device or directory whose kernel is taken"},
	{'o', true, "output", "FILE", "new image file or block device; default: SOURCE's name with -hvm; once more for each --disk"},
	{'x', false, "disk", "[DEVICE=]FILE", "a further disk of the guest (DEVICE: its /dev/xvdf); repeatable"},
	{'F', false, "output-format", "raw|qcow2", "format of a new file; default: by its suffix, else SOURCE's"},
	{'I', false, "input-format", "FORMAT", "SOURCE's format, instead of detecting it"},
	{'i', false, "in-place", NULL, "change SOURCE itself, after writing the undo journal"},
	{'u', false, "undo-file", "FILE", "the undo journal; default: SOURCE.pv2hvm-undo, but a device needs one named"},
	{'P', false, "repair", NULL, "a damaged file system: e2fsck's safe repairs, in the result only"},
	{'c', false, "no-check", NULL, "do not let e2fsck look for damage that is not marked"},
	{'f', false, "force", NULL, "replace an existing output, write to a device that holds signatures"},
	{'n', true, "dry-run", NULL, "do everything but write; print the report"},
	{'r', false, "report", "FILE", "write a report, .txt or .json by suffix, - for text on stdout; repeatable"},
	{'l', false, "layout", "LAYOUT", "auto, partition, flat or keep"},
	{'t', false, "target", "LIST", "xen-hvm, nitro, kvm, separated by commas; default xen-hvm,nitro"},
	{'k', false, "kernel", "KERNEL", "donor (its newest), guest, or a version"},
	{'e', false, "engine", "ENGINE", "auto, ext (libext2fs only) or guestfs (libguestfs for all)"},
	{'R', false, "root", "N", "which partition or volume holds the root, where more than one looks like it"},
	{'K', false, "key", "KEY", "of an encrypted volume, NAME:file:FILE or NAME:key:PASSPHRASE; repeatable"},
	{'s', false, "skip", "RULE", "do not run this rule; repeatable"},
	{'a', false, "allow", "FINDING", "convert in spite of this finding; repeatable"},
	{'A', false, "cmdline-add", "ARG", "add a kernel parameter; repeatable"},
	{'D', false, "cmdline-remove", "ARG", "remove a kernel parameter; repeatable"},
	{'p', false, "progress", "WHEN", "auto, always or never"},
	{'m', false, "machine-readable", NULL, "progress as lines N/M on stdout"},
	{'j', false, "json", NULL, "report as JSON on stdout"},
	{'q', true, "quiet", NULL, "only errors"},
	{'v', true, "verbose", NULL, "the whole report on stdout; what libguestfs says on stderr"},
};
#define ROWS (sizeof(row) / sizeof(row[0]))

void cli_help(const struct command *command)
{
	printf("usage: pv2hvm %s %s\n\n%s\n\n", command->name, command->usage, command->summary);
	for (size_t i = 0; i < ROWS; i++) {
		char left[64];

		if (!strchr(command->accepts, row[i].letter))
			continue;
		snprintf(left, sizeof(left), "%s--%s%s%s", row[i].is_short ? (char[]){'-', row[i].letter, ',', ' ', 0} : "    ", row[i].name,
			 row[i].argument ? " " : "", row[i].argument ? row[i].argument : "");
		printf("  %-34s %s\n", left, row[i].help);
	}
}

static int complain(const struct command *command, const char *what, const char *why)
{
	fprintf(stderr, "pv2hvm: %s: %s%s`pv2hvm %s --help` shows the usage\n", what, why, *why ? ": " : "", command->name);
	return EXIT_USAGE;
}

static const char *option_name(char letter)
{
	for (size_t i = 0; i < ROWS; i++)
		if (row[i].letter == letter)
			return row[i].name;
	return "";
}

static bool push(const char **list, const char *value)
{
	for (int i = 0; i < LIST_MAX; i++)
		if (!list[i]) {
			list[i] = value;
			return true;
		}
	return false;
}

/* "/dev/xvdf=FILE" or FILE */
static bool push_disk(struct cli *c, const char *value)
{
	static const char dev[] = "/dev/";
	const char *equals = strncmp(value, dev, strlen(dev)) ? NULL : strchr(value, '=');
	size_t n = 0;

	while (n < LIST_MAX && c->disk[n].path)
		n++;
	if (n == LIST_MAX || !*value)
		return false;
	c->disk[n].path = value;
	if (!equals)
		return true;
	c->disk[n].path = equals + 1;
	snprintf(c->device[n], sizeof(c->device[n]), "%.*s", (int)(equals - value), value);
	c->disk[n].device = c->device[n];
	return equals[1] != '\0';
}

/* The place of a word among names. */
static bool parse_name(const char *text, const char *const *name, int *ret)
{
	for (int i = 0; name[i]; i++)
		if (!strcmp(text, name[i])) {
			*ret = i;
			return true;
		}
	return false;
}

static bool parse_layout(const char *text, enum p2h_layout *ret)
{
	static const char *const name[] = {"auto", "partition", "flat", "keep", NULL};
	int n = 0;
	bool known = parse_name(text, name, &n);

	*ret = (enum p2h_layout)n;
	return known;
}

static bool parse_engine(const char *text, enum p2h_engine *ret)
{
	static const char *const name[] = {"auto", "ext", "guestfs", NULL};
	int n = 0;
	bool known = parse_name(text, name, &n);

	*ret = (enum p2h_engine)n;
	return known;
}

static bool parse_number(const char *text, int *ret)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || end == text || n < 0 || n > 9999)
		return false;
	*ret = (int)n;
	return true;
}

static bool parse_progress(struct cli *c, const char *text)
{
	c->progress = !strcmp(text, "always") ? PROGRESS_ALWAYS : !strcmp(text, "never") ? PROGRESS_NEVER : PROGRESS_AUTO;
	return c->progress != PROGRESS_AUTO || !strcmp(text, "auto");
}

/* false: the value makes no sense. */
static bool take(struct cli *c, char letter, const char *value)
{
	struct p2h_options *o = &c->options;

	switch (letter) {
	case 'd': o->donor = value; return true;
	case 'o': return push(c->output, value);
	case 'x': return push_disk(c, value);
	case 'F': o->output_format = value; return true;
	case 'I': o->input_format = value; return true;
	case 'i': o->in_place = true; return true;
	case 'u': o->undo_file = value; return true;
	case 'P': o->repair = true; return true;
	case 'c': o->no_check = true; return true;
	case 'f': o->force = true; return true;
	case 'n': c->dry_run = true; return true;
	case 'r': return push(c->report, value);
	case 'l': return parse_layout(value, &o->layout);
	case 't': return (o->targets = p2h_targets_parse(value)) != 0;
	case 'k': o->kernel = value; return *value != '\0';
	case 'e': return parse_engine(value, &o->engine);
	case 'R': o->root_given = true; return parse_number(value, &o->root);
	case 'K': return push(c->key, value);
	case 's': return push(c->skip, value);
	case 'a': return push(c->allow, value);
	case 'A': return *value && push(c->add, value);
	case 'D': return *value && push(c->remove, value);
	case 'p': return parse_progress(c, value);
	case 'm': c->machine_readable = true; return true;
	case 'j': c->json = true; return true;
	case 'q': c->quiet = true; return true;
	case 'v': c->verbose++; return true;
	default: return false;
	}
}

/* In the order of SOURCE and the --disk options. */
static bool give_outputs(struct cli *c)
{
	size_t disks = 0;

	c->options.output = c->output[0];
	for (; c->disk[disks].path; disks++)
		c->disk[disks].output = c->output[0] ? c->output[disks + 1] : NULL;
	for (size_t i = 0; i < LIST_MAX; i++)
		if (c->output[i] && i > disks)
			return false;
	return true;
}

int cli_parse(const struct command *command, int argc, char **argv, struct cli *c)
{
	struct option longs[ROWS + 1] = {0};
	char shorts[2 * ROWS + 2] = ":";
	int n = 0, letter;

	for (size_t i = 0; i < ROWS; i++) {
		if (!strchr(command->accepts, row[i].letter))
			continue;
		longs[n++] = (struct option){row[i].name, row[i].argument ? required_argument : no_argument, NULL, row[i].letter};
		if (row[i].is_short)
			sprintf(shorts + strlen(shorts), "%c%s", row[i].letter, row[i].argument ? ":" : "");
	}
	opterr = 0;
	while ((letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		const char *word = argv[optind - 1];

		if (letter == ':')
			return complain(command, word, "needs a value");
		if (letter == '?')
			return complain(command, word, "unknown option");
		if (!take(c, (char)letter, optarg)) {
			fprintf(stderr, "pv2hvm: --%s %s: not a value that this option takes: `pv2hvm %s --help` shows the usage\n",
				option_name((char)letter), optarg ? optarg : "", command->name);
			return EXIT_USAGE;
		}
	}
	for (; optind < argc; optind++)
		if (c->arguments == LIST_MAX || !push(c->argument, argv[optind]))
			return complain(command, argv[optind], "too many arguments");
		else
			c->arguments++;
	if (c->arguments < command->min_arguments)
		return complain(command, command->name, "an argument is missing");
	if (c->arguments > command->max_arguments)
		return complain(command, c->argument[command->max_arguments], "one argument too many");
	if (c->verbose)
		c->options.log = cli_log;
	if (!give_outputs(c))
		return complain(command, "--output", "given more often than there are disks");
	c->options.disks = c->disk;
	c->options.keys = c->key;
	c->options.skip = c->skip;
	c->options.allow = c->allow;
	c->options.cmdline_add = c->add;
	c->options.cmdline_remove = c->remove;
	return EXIT_DONE;
}
