#include <stdio.h>
#include <string.h>

#include "cli.h"

static const struct command *const command[] = {&command_convert, &command_inspect, &command_verify, &command_undo, &command_rules};
#define COMMANDS (sizeof(command) / sizeof(command[0]))

static void usage(FILE *to)
{
	fprintf(to, "usage: pv2hvm COMMAND ...\n\nMakes the disk image of a Xen paravirtual Linux guest boot as HVM.\n\n");
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(to, "  %-8s  %s\n", command[i]->name, command[i]->summary);
	fprintf(to, "\n`pv2hvm COMMAND --help` shows a command's options; the manual is pv2hvm(1).\n"
		    "exit status: 0 done, 1 failed, 2 usage, 3 refused (nothing written), 4 verification failed (nothing written)\n");
}

/* Programs that drive this one ask for it before they start. */
static void print_capabilities(void)
{
	puts("pv2hvm\nconvert\nin-place\ndry-run\nundo\nverify\nreport:txt\nreport:json\ninput:raw\ninput:qcow2\ninput:vmdk\ninput:vhdx\ninput:vdi\n"
	     "output:raw\noutput:qcow2\nlayout:partition\nlayout:flat\nlayout:keep\ntarget:xen-hvm\ntarget:nitro\ntarget:kvm\nengine:ext");
}

int main(int argc, char **argv)
{
	struct cli cli = {0};
	int rc;

	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
		printf("pv2hvm %s\n", p2h_version());
		return EXIT_DONE;
	}
	if (!strcmp(argv[1], "--machine-readable") && argc == 2) {
		print_capabilities();
		return EXIT_DONE;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(argv[1], command[i]->name))
			continue;
		for (int k = 2; k < argc; k++)
			if (!strcmp(argv[k], "--help")) {
				cli_help(command[i]);
				return EXIT_DONE;
			}
		rc = cli_parse(command[i], argc - 1, argv + 1, &cli);
		return rc ? rc : cli_end(command[i]->run(&cli));
	}
	fprintf(stderr, "pv2hvm: %s: no such command: `pv2hvm --help` lists them\n", argv[1]);
	return EXIT_USAGE;
}
