/* lilo.c - a guest whose kernel packages run LILO, which writes the boot sector (kernel-img.conf(5), lilo(8)) */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

#define HOOKS "/etc/kernel-img.conf"
#define LILO "/etc/lilo.conf"

/* "do_bootloader = yes", which is also what holds without the line: where the answer starts in it, 0: another line. */
static size_t find_answer(const struct line *l)
{
	static const char name[] = "do_bootloader";
	size_t at = 0;

	while (at < l->len && isspace((unsigned char)l->text[at]))
		at++;
	if (l->len - at < sizeof(name) - 1 || strncasecmp(l->text + at, name, sizeof(name) - 1))
		return 0;
	at += sizeof(name) - 1;
	while (at < l->len && (isspace((unsigned char)l->text[at]) || l->text[at] == '='))
		at++;
	return at;
}

static bool is_answer(const struct line *l, size_t at, const char *answer)
{
	return l->len - at >= strlen(answer) && !strncasecmp(l->text + at, answer, strlen(answer));
}

static void keep_from_running(struct planner *p)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, HOOKS, &len);
	struct line l = {0};
	bool said = false;

	while (text && next_line(text, len, &at, &l)) {
		size_t answer = find_answer(&l);

		said |= answer != 0;
		if (answer && is_answer(&l, answer, "yes")) {
			buf_append(&out, l.text, answer);
			buf_puts(&out, "no");
			buf_append(&out, l.text + answer + 3, l.whole - answer - 3);
		} else {
			buf_append(&out, l.text, l.whole);
		}
	}
	if (!said) {
		buf_puts(&out, out.len && out.data[out.len - 1] != '\n' ? line_end(text, len) : "");
		buf_printf(&out, "do_bootloader = no%s", text ? line_end(text, len) : "\n");
	}
	planner_write_buf(p, HOOKS, &out, 0644, "kernel packages would run lilo, which overwrites the boot sector");
}

void rule_lilo(struct planner *p)
{
	if (!planner_exists(p, LILO) || !*p->plan->kernel)
		return;
	planner_tell(p, LILO, "the guest has LILO's configuration: where lilo runs, it writes its own boot sector over GRUB's",
		     "remove the package lilo, or this file, once the system runs; later kernels have to be put into /boot/grub/grub.cfg");
	if (p->facts->lasting.dpkg || planner_exists(p, HOOKS))
		keep_from_running(p);
}
