/*
 * identity.c - what the initramfs still knows of the machine where it was made, and what it would wait for
 *
 * Words and lines that name that machine's devices or network are taken out by an archive behind the initramfs: a later member takes the place of an
 * earlier one of the same name.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/cleanup.h"
#include "plan/archive.h"

#define UUID_LEN 36u
#define MASKS_SINCE 236u /* systemd that takes an empty or null link below .wants for "not this one" */

/* ---- devices ---- */

/* UUID=, LABEL= or PARTUUID= of a volume of this image; other names say nothing about another machine. */
static bool is_here(const struct planner *p, const char *device)
{
	CLEANUP_FREE char *plain = NULL;
	size_t n = strlen(device);

	if (n > 1 && (*device == '"' || *device == '\'') && device[n - 1] == *device)
		device++, n -= 2;
	plain = strndup(device, n);
	if (!plain) {
		p->arena->failed = true;
		return true;
	}
	return volumes_find(&p->facts->volumes, plain) != NULL;
}

/* A word that names a device: true where it is one of another machine. */
static bool names_other(const struct planner *p, const char *word)
{
	static const char *const device[] = {"root=", "resume=", "rd.luks.uuid=", "rd.luks.name=", "rd.luks.options=", "rd_LUKS_UUID=", "rd.lvm.lv=",
		"rd.lvm.vg=", "rd_LVM_LV=", "rd_LVM_VG=", "rd.md.uuid=", "rd_MD_UUID=", "rd.dm.uuid=", "rd_DM_UUID=", "ROOT=", "RESUME=", NULL};

	for (const char *const *d = device; *d; d++)
		if (!strncmp(word, *d, strlen(*d)))
			return word[strlen(*d)] && strcmp(word + strlen(*d), "auto") && strcmp(word + strlen(*d), "none") && !is_here(p, word + strlen(*d));
	return false;
}

/* A word that belongs to the root device or the network card of the machine where it stands. */
static bool goes_along(const char *word)
{
	static const char *const along[] = {"rootfstype=", "rootflags=", "ROOTFSTYPE=", "ROOTFLAGS=", NULL};

	for (const char *const *a = along; *a; a++)
		if (!strncmp(word, *a, strlen(*a)) && word[strlen(*a)])
			return true;
	return false;
}

static bool is_network(const char *word)
{
	static const char *const net[] = {"ip=", "ifname=", "bootdev=", "nameserver=", "rd.route=", "vlan=", "bond=", "team=", "bridge=", "netroot=",
		"BOOTIF=", "rd.neednet", "hostname=", "IP=", "DEVICE=", NULL};

	for (const char *const *n = net; *n; n++)
		if (!strncmp(word, *n, strlen(*n)) && word[strlen(*n)])
			return true;
	return false;
}

static bool is_foreign(const struct planner *p, const char *word)
{
	bool donor = !p->facts->donor.from_guest;

	return names_other(p, word) || (donor && (goes_along(word) || is_network(word)));
}

/* ---- what is to be said and done ---- */

struct identity {
	struct planner *p;
	struct archive archive;
};

static void tell(struct identity *x, const char *member, const char *what)
{
	struct planner *p = x->p;
	const struct facts_donor *d = &p->facts->donor;
	const char *evidence = arena_printf(p->arena, "%s: %s", d->chosen.initrd, member);
	const char *text = arena_printf(p->arena, "%s of the machine where the initramfs was made", what);

	if (d->initramfs.sealed)
		planner_block(p, evidence, text,
			      arena_printf(p->arena, "nothing can be appended to take it out (%s): rebuild the initramfs without it (dracut --no-hostonly)",
					   d->initramfs.sealed));
	else
		planner_tell(p, evidence, text, "an archive appended to the initramfs takes it out");
}

/* Appends the words or lines that stay to kept, those that go to gone, divided by blanks. */
static void sort_words(const struct identity *x, const char *text, bool lines, struct buf *kept, struct buf *gone)
{
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n"), whole = n + (line[n] == '\n');
		CLEANUP_FREE char *copy = strndup(line, n);
		CLEANUP(strlist_done) struct strlist words = {0};
		size_t stay = 0;

		if (!copy) {
			kept->failed = true;
			return;
		}
		if (lines && strlen(copy) > strspn(copy, " \t"))
			strlist_add(&words, copy + strspn(copy, " \t"));
		else
			strlist_split(&words, copy, " \t\r");
		kept->failed |= words.failed;
		for (size_t i = 0; i < words.len; i++) {
			const char *w = words.item[i];
			bool comment = *words.item[0] == '#';

			/* The rule about resume devices answers on the command line. */
			if (!comment && strncasecmp(w, "resume=", 7) && is_foreign(x->p, w))
				buf_printf(gone, "%s%s", gone->len ? " " : "", w);
			else
				buf_printf(kept, "%s%s", stay++ ? " " : "", w);
		}
		if (stay || !words.len)
			buf_append(kept, line + n, whole - n);
		line += whole;
	}
}

static void filter(struct identity *x, const char *member, const char *text, bool lines)
{
	CLEANUP(buf_done) struct buf kept = {0}, gone = {0};

	sort_words(x, text, lines, &kept, &gone);
	if (kept.failed || gone.failed)
		x->p->arena->failed = true;
	if (!gone.len || x->p->arena->failed)
		return;
	tell(x, member, gone.data);
	archive_file(&x->archive, member, kept.len ? kept.data : "", kept.len, "without what names another machine");
}

/* Lines that say something, comments left out; the first of them, NULL if there is none. */
static const char *first_line(struct planner *p, const char *text, const char *prefix)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *start = line + strspn(line, " \t\r");

		if (*start && *start != '#' && *start != '\n' && !strncmp(start, prefix, strlen(prefix)))
			return arena_printf(p->arena, "%.*s", (int)strcspn(start, "\r\n"), start);
	}
	return NULL;
}

static void empty_member(struct identity *x, const char *member, const char *what)
{
	if (!what)
		return;
	tell(x, member, what);
	archive_file(&x->archive, member, "", 0, "empty: it names another machine");
}

/* The first word of a crypttab's or fstab's line that is no comment names a device that is not here. */
static const char *foreign_line(struct planner *p, const char *text, size_t field)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		CLEANUP(strlist_done) struct strlist words = {0};
		const char *whole = arena_printf(p->arena, "%.*s", (int)strcspn(line, "\r\n"), line);

		strlist_split(&words, whole ? whole : "", " \t");
		if (words.len > field && *words.item[0] != '#' &&
		    (!strncmp(words.item[field], "/dev/", 5) || strchr(words.item[field], '=')) && !is_here(p, words.item[field]))
			return whole;
	}
	return NULL;
}

/* ---- devices that dracut waits for ---- */

/* systemd's and dracut's escapes in file names: "\x2d" is '-', "\x2f" is '/'. */
static void unescape(const char *name, char *out, size_t size)
{
	size_t n = 0;

	while (*name && n + 1 < size) {
		unsigned code;

		if (sscanf(name, "\\x%2x", &code) == 1 && isxdigit((unsigned char)name[2]) && isxdigit((unsigned char)name[3])) {
			out[n++] = (char)code;
			name += 4;
		} else {
			out[n++] = *name++;
		}
	}
	out[n] = '\0';
}

/* Is the device that the member's name stands for in this image? Only by-uuid names can be. */
static bool waits_for_own(const struct planner *p, const char *member)
{
	char plain[512], tag[UUID_LEN + 6];
	const char *at;

	unescape(member, plain, sizeof(plain));
	at = strstr(plain, "by-uuid");
	if (!at || strlen(at) < 8 + UUID_LEN)
		return false;
	snprintf(tag, sizeof(tag), "UUID=%.*s", (int)UUID_LEN, at + 8);
	return volumes_find(&p->facts->volumes, tag) != NULL;
}

static void stop_waiting(struct identity *x, const char *member, const char *text)
{
	struct planner *p = x->p;
	const struct facts_donor *d = &p->facts->donor;

	if (!strcmp(text, "/dev/null") || waits_for_own(p, member))
		return;
	if (!text_ends_with(member, ".device")) {
		tell(x, member, "it waits for a device");
		archive_file(&x->archive, member, "", 0, "empty: it waits for a device of another machine");
	} else if (initramfs_systemd(&d->initramfs.holds) < MASKS_SINCE) {
		planner_block(p, arena_printf(p->arena, "%s: %s", d->chosen.initrd, member),
			      "it waits for a device of the machine where the initramfs was made, and its systemd is too old for taking that back",
			      "rebuild the donor's initramfs for any machine (dracut --no-hostonly)");
	} else {
		tell(x, member, "it waits for a device");
		archive_link(&x->archive, member, "/dev/null", "not waited for: a device of another machine");
	}
}

/* ---- the rules ---- */

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static void look_at(struct identity *x, const char *member, const char *text)
{
	struct planner *p = x->p;
	bool donor = !p->facts->donor.from_guest;

	if (strstr(member, "/initqueue/finished/devexists-") || text_ends_with(member, ".device"))
		stop_waiting(x, member, text);
	else if (starts(member, "etc/cmdline"))
		filter(x, member, text, false);
	else if (donor && !strcmp(member, "conf/conf.d/cryptroot"))
		empty_member(x, member, first_line(p, text, ""));
	else if (starts(member, "conf/conf.d/") || !strcmp(member, "conf/param.conf"))
		filter(x, member, text, true);
	else if (text_ends_with(member, "/crypttab"))
		empty_member(x, member, foreign_line(p, text, 1));
	else if (!strcmp(member, "etc/fstab"))
		empty_member(x, member, foreign_line(p, text, 0));
	else if (donor && text_ends_with(member, "mdadm.conf"))
		empty_member(x, member, first_line(p, text, "ARRAY"));
	else if (donor && !strcmp(member, "etc/hostname"))
		empty_member(x, member, first_line(p, text, ""));
	else if (!strcmp(member, "etc/systemd/system/sysroot.mount") && *text && strcmp(text, "/dev/null"))
		planner_block(p, arena_printf(p->arena, "%s: %s", p->facts->donor.chosen.initrd, member),
			      "it mounts the root of the machine where the initramfs was made, whatever root= says",
			      "rebuild the donor's initramfs for any machine (dracut --no-hostonly)");
}

/* The last line of a name's assignments, as sh reads them; NULL if there is none. */
static const char *last_assignment(struct planner *p, const char *text, const char *name)
{
	const char *found = NULL;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (starts(line, name))
			found = arena_printf(p->arena, "%.*s", (int)strcspn(line, "\r\n"), line);
	return found;
}

/* initramfs-tools: BOOT=nfs in conf/initramfs.conf, or in conf/conf.d, which is read after it; the command line goes before both. */
static void look_at_boot(struct planner *p)
{
	const struct initramfs *holds = &p->facts->donor.initramfs.holds;
	const char *line = NULL, *where = "";

	for (int extra = 0; extra < 2; extra++)
		for (size_t n = 0; n < holds->conf_name.len; n++) {
			const char *member = holds->conf_name.item[n], *here;

			if (extra ? !starts(member, "conf/conf.d/") : strcmp(member, "conf/initramfs.conf"))
				continue;
			here = last_assignment(p, holds->conf_text.item[n], "BOOT=");
			line = here ? here : line;
			where = here ? member : where;
		}
	if (!line || !strcmp(line, "BOOT=local"))
		return;
	planner_tell(p, arena_printf(p->arena, "%s: %s", p->facts->donor.chosen.initrd, where),
		     arena_printf(p->arena, "%s: the initramfs looks for its root elsewhere", line), "boot=local is put on the kernel's command line");
	planner_cmdline(p, "boot=local");
}

void rule_initramfs_identity(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct initramfs *holds = &d->initramfs.holds;
	struct identity x = {.p = p, .archive.p = p};

	if (!*d->chosen.release || !d->initramfs.read)
		return;
	for (size_t n = 0; n < holds->conf_name.len; n++)
		look_at(&x, holds->conf_name.item[n], holds->conf_text.item[n]);
	if (holds->kind == INITRAMFS_TOOLS)
		look_at_boot(p);
	if (holds->conf_incomplete && !d->from_guest)
		planner_tell(p, d->chosen.initrd, "some of its configuration is too large to be looked at, or no text",
			     "settings of the machine where it was made may be left in it");
	if (!d->initramfs.sealed)
		archive_append(&x.archive, "without what names the machine where it was made");
	archive_done(&x.archive);
}

/* The kernel's command line decides: a resume= that stays there goes before the initramfs' own. */
static bool answered(const struct plan *plan)
{
	for (size_t n = 0; n < plan->words; n++)
		if (starts(plan->word[n].text, "resume=") || !strcmp(plan->word[n].text, "noresume"))
			return true;
	return false;
}

void rule_initramfs_resume(struct planner *p)
{
	const struct facts_donor *d = &p->facts->donor;
	const struct initramfs *holds = &d->initramfs.holds;

	if (!*d->chosen.release || answered(p->plan))
		return;
	for (size_t n = 0; n < holds->conf_name.len; n++) {
		const char *member = holds->conf_name.item[n];
		CLEANUP(strlist_done) struct strlist words = {0};

		if (!starts(member, "conf/") && !starts(member, "etc/cmdline"))
			continue;
		strlist_split(&words, holds->conf_text.item[n], " \t\r\n");
		p->arena->failed |= words.failed;
		for (size_t w = 0; w < words.len; w++) {
			if (strncasecmp(words.item[w], "resume=", 7) || !names_other(p, words.item[w]))
				continue;
			planner_tell(p, arena_printf(p->arena, "%s: %s", d->chosen.initrd, member),
				     arena_printf(p->arena, "%s: the initramfs waits for a swap area that is not there", words.item[w]),
				     "noresume is put on the kernel's command line");
			planner_cmdline(p, "noresume");
			return;
		}
	}
}
