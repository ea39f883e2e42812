/* sysctl.c - kernel settings that are no more */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

#define MAX_KEY 80

/* Where a setting went; 0.0: it was never in Linux' own tree. */
static const struct {
	const char *key; /* with a "_" at its end: all that start so */
	unsigned major, minor;
	const char *what;
} gone[] = {
	{"kernel.exec-shield", 0, 0, "it was Red Hat's own"},
	{"kernel.exec-shield-randomize", 0, 0, "it was Red Hat's own; kernel.randomize_va_space stands for it"},
	{"kernel.sched_compat_yield", 3, 0, "it went with Linux 2.6.39"},
	{"kernel.sched_latency_ns", 5, 13, "Linux 5.13 moved it to /sys/kernel/debug/sched"},
	{"kernel.sched_migration_cost_ns", 5, 13, "Linux 5.13 moved it to /sys/kernel/debug/sched"},
	{"kernel.sched_min_granularity_ns", 5, 13, "Linux 5.13 moved it to /sys/kernel/debug/sched"},
	{"kernel.sched_wakeup_granularity_ns", 5, 13, "Linux 5.13 moved it to /sys/kernel/debug/sched"},
	{"net.ipv4.ip_conntrack_max", 4, 9, "Linux 4.9 knows net.netfilter.nf_conntrack_max only"},
	{"net.ipv4.netfilter.ip_conntrack_", 4, 9, "Linux 4.9 knows net.netfilter.nf_conntrack_* only"},
	{"net.ipv4.tcp_tw_recycle", 4, 12, "Linux 4.12 took it away"},
	{"vm.swap_token_timeout", 3, 5, "Linux 3.5 took it away"},
};

/* The key of a line "key = value", with dots; false for comments and whatever else. A '-' in front lets sysctl pass over errors. */
static bool line_key(const struct line *l, char *key)
{
	size_t at = 0, n = 0;

	while (at < l->len && isspace((unsigned char)l->text[at]))
		at++;
	if (at == l->len || strchr("#;-", l->text[at]) || !memchr(l->text + at, '=', l->len - at))
		return false;
	for (; at < l->len && l->text[at] != '=' && !isspace((unsigned char)l->text[at]) && n < MAX_KEY - 1; at++)
		key[n++] = l->text[at] == '/' ? '.' : l->text[at];
	key[n] = '\0';
	return n > 0;
}

static bool is_key(const char *key, const char *known)
{
	return text_ends_with(known, "_") ? !strncmp(key, known, strlen(known)) : !strcmp(key, known);
}

static void check_key(struct planner *p, const char *path, size_t number, const char *key)
{
	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		if (!is_key(key, gone[i].key) || kernel_before(p, gone[i].major, gone[i].minor))
			continue;
		planner_tell(p, arena_printf(p->arena, "%s:%zu: %s", path, number, key),
			     arena_printf(p->arena, "the new kernel has no such setting: %s", gone[i].what), "the line is left alone: sysctl reports it at each boot");
	}
}

void rule_sysctl_gone(struct planner *p)
{
	const struct facts *f = p->facts;

	for (size_t i = 0; i < f->files; i++) {
		const struct facts_file *file = &f->file[i];
		CLEANUP(buf_done) struct buf out = {0};
		struct line l = {0};

		if (strncmp(file->path, "/etc/sysctl.", 12) || file->is_link)
			continue;
		for (size_t at = 0; next_line(file->text, file->len, &at, &l);) {
			char key[MAX_KEY];
			bool known = line_key(&l, key);

			if (known && !strncmp(key, "xen.", 4))
				buf_puts(&out, "#pv2hvm: ");
			else if (known)
				check_key(p, file->path, l.number, key);
			buf_append(&out, l.text, l.whole);
		}
		if (file->len)
			planner_write_buf(p, file->path, &out, 0644, "settings of a classic Xen kernel");
	}
}
