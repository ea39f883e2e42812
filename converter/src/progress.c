/* progress.c - errors, progress and signals */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t caught;
static bool line_open;

static void on_signal(int number)
{
	caught = number;
}

int cli_fail(const struct p2h_error *err)
{
	cli_progress_end();
	fprintf(stderr, "pv2hvm: %s\n", err->msg);
	if (caught) { /* cancelled cleanly: now end the way the signal asks for */
		signal(caught, SIG_DFL);
		raise(caught);
	}
	switch (err->code) {
	case P2H_USAGE:
		return EXIT_USAGE;
	case P2H_REFUSED:
		return EXIT_REFUSED;
	case P2H_VERIFY:
		return EXIT_UNFIT;
	default:
		return EXIT_FAILED;
	}
}

void cli_progress_end(void)
{
	if (line_open)
		fputs("\r\033[K", stderr);
	line_open = false;
}

void cli_log(void *arg, const char *text, size_t len)
{
	(void)arg;
	cli_progress_end();
	fwrite(text, 1, len, stderr);
}

/* For a person: one line that is drawn over, where it says something new. */
static int draw(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total)
{
	static char drawn[128];
	char line[sizeof drawn], percent[8] = "";

	(void)arg;
	if (total)
		snprintf(percent, sizeof percent, " %3u%%", (unsigned)(done * 100 / total));
	snprintf(line, sizeof line, "[%u/%u] %s%s", step, steps, what, percent);
	if (line_open && !strcmp(line, drawn))
		return caught;
	fprintf(stderr, "\r\033[K%s", line);
	memcpy(drawn, line, sizeof drawn);
	line_open = true;
	return caught;
}

/* For a program, as virt-v2v does it: hundredths of the whole as N/M. */
static int print_machine(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total)
{
	static unsigned last;
	unsigned now = (step - 1) * 100 + (total ? (unsigned)(done * 100 / total) : 0);

	(void)arg;
	(void)what;
	if (now > last) {
		printf("%u/%u\n", now, steps * 100);
		fflush(stdout);
		last = now;
	}
	return caught;
}

static int be_silent(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)step;
	(void)steps;
	(void)what;
	(void)done;
	(void)total;
	return caught;
}

void cli_progress(struct cli *c)
{
	static const int number[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = on_signal};
	bool show = c->progress == PROGRESS_ALWAYS || (c->progress == PROGRESS_AUTO && !c->quiet && isatty(STDERR_FILENO));

	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		sigaction(number[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	c->options.progress = c->machine_readable ? print_machine : show ? draw : be_silent;
}
