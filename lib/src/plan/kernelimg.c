/* kernelimg.c - what kernel packages run: LILO, and the hooks of kernel-img.conf(5) */
#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"
#include "plan/planner.h"

#define CONF "/etc/kernel-img.conf"
#define LILO "/etc/lilo.conf"

static bool is_yes(const char *text, const struct kernelimg_setting *s)
{
	static const char *const yes[] = {"yes", "true", "1"};

	for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (s->len == strlen(yes[i]) && !strncasecmp(text + s->value, yes[i], s->len))
			return true;
	return false;
}

/* A file that says nothing of do_bootloader says yes. */
static void keep_from_running(struct planner *p)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, CONF, &len);
	struct kernelimg_setting s = {0};
	bool said = false;

	while (text && kernelimg_next(text, len, &s)) {
		bool bootloader = kernelimg_is(&s, "do_bootloader");

		said |= bootloader;
		if (!bootloader || !is_yes(text, &s))
			continue;
		buf_append(&out, text + at, s.value - at);
		buf_puts(&out, "no");
		at = s.value + s.len;
	}
	buf_append(&out, text ? text + at : "", len - at);
	if (!said) {
		buf_puts(&out, out.len && out.data[out.len - 1] != '\n' ? line_end(text, len) : "");
		buf_printf(&out, "do_bootloader = no%s", text ? line_end(text, len) : "\n");
	}
	planner_write_buf(p, CONF, &out, 0644, "kernel packages would run lilo, which overwrites the boot sector");
}

void rule_lilo(struct planner *p)
{
	if (!planner_exists(p, LILO) || !*p->plan->kernel)
		return;
	planner_tell(p, LILO, "the guest has LILO's configuration: where lilo runs, it writes its own boot sector over GRUB's",
		     "remove the package lilo, or this file, once the system runs; later kernels have to be put into /boot/grub/grub.cfg");
	if (p->facts->lasting.dpkg || planner_exists(p, CONF))
		keep_from_running(p);
}

static const struct facts_hook *find_hook(const struct facts_lasting *l, size_t line)
{
	for (size_t i = 0; i < l->hooks; i++)
		if (l->hook[i].line == line)
			return &l->hook[i];
	return NULL;
}

/* kernel-img.conf(5): such a script fails when it does not find the program. */
void rule_kernel_hooks(struct planner *p)
{
	const struct facts_lasting *l = &p->facts->lasting;
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, CONF, &len);
	struct kernelimg_setting s = {0};

	while (text && kernelimg_next(text, len, &s)) {
		const struct facts_hook *hook = find_hook(l, s.line);

		if (!hook || !strcmp(hook->program, hook->found) || (*hook->program != '/' && *hook->found))
			continue;
		buf_append(&out, text + at, (*hook->found ? s.value : s.start) - at);
		buf_puts(&out, *hook->found ? hook->found : "#pv2hvm: ");
		at = *hook->found ? s.value + s.len : s.start;
		if (!*hook->found)
			planner_tell(p, arena_printf(p->arena, CONF ":%zu: %s", hook->line, hook->program), "kernel packages are to run this program, and it is not there",
				     "the line is switched off; see to it that what it did for a boot menu is done another way");
	}
	buf_append(&out, text ? text + at : "", len - at);
	if (text)
		planner_write_buf(p, CONF, &out, 0644, "the scripts of kernel packages fail where a hook is not found");
}
