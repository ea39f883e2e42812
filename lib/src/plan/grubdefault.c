/* grubdefault.c - what the guest's own tools make its next boot menu from */
#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"
#include "plan/settings.h"
#include "plan/words.h"

#define DEFAULT_GRUB "/etc/default/grub"
#define DEFAULT_EXTLINUX "/etc/default/extlinux"

/* Settings that would put names or a way to boot into the next menu that hold on the old machine only. */
static const struct {
	const char *name;
	const char *value; /* NULL: any */
} breaks[] = {{"GRUB_DISABLE_LINUX_UUID", "true"}, {"GRUB_DISABLE_UUID", "true"}, {"GRUB_DEVICE", NULL},
	      {"GRUB_DEVICE_UUID", NULL},          {"GRUB_FORCE_PARTUUID", NULL}};

static bool does_break(const struct line *l)
{
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct setting s;

		if (setting_read(l, breaks[i].name, &s) && s.simple && s.len &&
		    (!breaks[i].value || (s.len == strlen(breaks[i].value) && !memcmp(l->text + s.value, breaks[i].value, s.len))))
			return true;
	}
	return false;
}

static void switch_off(struct planner *p, const char *path)
{
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, at = 0;
	const char *text = planner_text(p, path, &len);
	struct line l = {0};

	while (text && next_line(text, len, &at, &l)) {
		if (does_break(&l))
			buf_puts(&out, "#pv2hvm: ");
		buf_append(&out, l.text, l.whole);
	}
	if (text)
		planner_write_buf(p, path, &out, 0644, "the next boot menu must name the root by its UUID");
}

static void tell_odd_words(struct planner *p)
{
	for (size_t i = 0; i < p->plan->words; i++) {
		const char *word = p->plan->word[i].text;

		if (!word_is_plain(word, strlen(word)))
			planner_tell(p, arena_printf(p->arena, "kernel parameter %s", word),
				     "it has characters that need quotes, which shells and boot menus take off one after the other",
				     "it stands in the menu that is written now; put it into " DEFAULT_GRUB " by hand, and look at what update-grub makes of it");
	}
}

/* EXTLINUX_ROOT="root=/dev/xvda1" in Debian's settings for extlinux-update */
static void name_root(struct planner *p)
{
	if (setting_stands(p, DEFAULT_EXTLINUX, "EXTLINUX_ROOT", "root=/dev/"))
		setting_put(p, DEFAULT_EXTLINUX, "EXTLINUX_ROOT", arena_printf(p->arena, "root=UUID=%s", p->facts->root_uuid),
			    "the next boot menu must name the root by its UUID");
}

void rule_grub_default(struct planner *p)
{
	static const char *const grub_name[] = {"GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT"};
	static const char *const suse = "/etc/sysconfig/bootloader", *const append[] = {"DEFAULT_APPEND", "FAILSAFE_APPEND"};
	const struct facts *f = p->facts;
	const char **file = arena_alloc(p->arena, (f->files + 1) * sizeof(*file));
	size_t files = 0;

	if (!file)
		return;
	if (planner_exists(p, DEFAULT_GRUB)) {
		file[files++] = DEFAULT_GRUB;
		for (size_t i = 0; i < f->files; i++)
			if (!strncmp(f->file[i].path, DEFAULT_GRUB ".d/", strlen(DEFAULT_GRUB) + 3))
				file[files++] = f->file[i].path;
		settings_edit(p, &(struct settings){file, files, grub_name, 2}, "the next update-grub gives its kernels the same parameters");
		for (size_t i = 0; i < files; i++)
			switch_off(p, file[i]);
		tell_odd_words(p);
	}
	if (planner_exists(p, DEFAULT_EXTLINUX)) {
		static const char *const file_name = DEFAULT_EXTLINUX, *const parameters = "EXTLINUX_PARAMETERS";

		settings_edit(p, &(struct settings){&file_name, 1, &parameters, 1}, "the next extlinux-update gives its kernels the same parameters");
		name_root(p);
	}
	for (size_t i = 0; i < 2; i++)
		if (setting_stands(p, suse, append[i], NULL))
			settings_edit(p, &(struct settings){&suse, 1, &append[i], 1}, "later kernels get the same parameters");
}

/* --- scripts that write the menu */

#define GRUB_D "/etc/grub.d/"

static bool starts(const struct line *l, const char *word)
{
	size_t at = 0, n = strlen(word);

	while (at < l->len && is_blank(l->text[at]))
		at++;
	return l->len - at > n && !memcmp(l->text + at, word, n);
}

/* Entries for GRUB legacy: GRUB 2 has neither "kernel" nor disks that are counted so. */
static bool writes_legacy(const struct facts_file *file)
{
	bool root = false, kernel = false;
	struct line l = {0};
	size_t at = 0;

	while (next_line(file->text, file->len, &at, &l)) {
		root |= starts(&l, "root (hd");
		kernel |= starts(&l, "kernel ") || starts(&l, "kernel\t");
	}
	return root && kernel;
}

static bool is_program(const struct facts_file *file)
{
	return file && !file->is_link && file->mode & 0111;
}

/*
 * bootstrap-vz' and ec2debian's images of Debian: 40_custom writes GRUB legacy's menu for PV-GRUB, and is the only script that grub-mkconfig may run. Now
 * it runs those that were switched off for it.
 */
void rule_grub_scripts(struct planner *p)
{
	static const char *const standard[] = {GRUB_D "00_header", GRUB_D "10_linux"};
	const struct facts *f = p->facts;

	for (size_t i = 0; i < f->files && *f->lasting.grub_mkconfig; i++) {
		const struct facts_file *file = &f->file[i];
		CLEANUP(buf_done) struct buf out = {0};

		if (strncmp(file->path, GRUB_D, strlen(GRUB_D)) || !is_program(file) || !writes_legacy(file))
			continue;
		if (!facts_file(f, standard[1])) {
			planner_tell(p, file->path, "it writes a menu for GRUB legacy, and there is no " GRUB_D "10_linux that would write one for GRUB 2",
				     "do not run update-grub on the new machine before grub-common is installed anew");
			continue;
		}
		buf_puts(&out, "#!/bin/sh\n# Written by pv2hvm: what stood here wrote entries for PV-GRUB.\nset -e\n");
		for (size_t k = 0; k < sizeof(standard) / sizeof(standard[0]); k++)
			if (facts_file(f, standard[k]) && !is_program(facts_file(f, standard[k])))
				buf_printf(&out, "sh %s\n", standard[k]);
		planner_write_buf(p, file->path, &out, 0755, "the next update-grub has to write a menu for GRUB 2");
	}
}
