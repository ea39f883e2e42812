/* lvmfilter.c - LVM's filters, which name the disks that it may look at (lvm.conf(5)) */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/lvmconf.h"
#include "plan/planner.h"

#define MAX_REGEX 128
#define MAX_PATTERNS 64

/* Names of one kind of disk: the stem, its letter, or its number and "n1"; then a partition. */
struct names {
	unsigned target;     /* 0: as the guest has them today */
	const char *stem;
	const char *between; /* number and partition; "": letters */
	const char *alias;   /* another name of the same disk, or "" */
	const char *accept;  /* the pattern that lets them all in */
};

static const struct names today[] = {{0, "/dev/xvd", "", "", ""}, {0, "/dev/sd", "", "", ""}, {0, "/dev/hd", "", "", ""}};
/* udev's 60-persistent-storage.rules; LVM's own 69-dm-lvm rules */
static const struct names later[] = {
	{P2H_TARGET_XEN_HVM, "/dev/xvd", "", "", "a|^/dev/xvd|"},
	{P2H_TARGET_NITRO, "/dev/nvme", "n1p", "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0", "a|^/dev/nvme|"},
	{P2H_TARGET_KVM, "/dev/vd", "", "/dev/disk/by-path/pci-0000:00:04.0", "a|^/dev/vd|"},
};

/* The patterns of a filter, compiled. */
struct matcher {
	regex_t regex[MAX_PATTERNS];
	bool accept[MAX_PATTERNS];
	size_t len;
};

static void matcher_done(struct matcher *m)
{
	while (m->len)
		regfree(&m->regex[--m->len]);
}

/* What LVM's regular expressions and those of POSIX mean alike, and what costs no time or memory to speak of, whoever wrote it. */
static bool is_tame(const char *regex)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-:,.*+?^$[]()|";

	return strlen(regex) <= MAX_REGEX && !regex[strspn(regex, plain)];
}

static bool compile(const struct lvm_filter *f, struct matcher *m)
{
	for (size_t i = 0; i < f->len; i++) {
		if (i == MAX_PATTERNS || !f->item[i].regex || !is_tame(f->item[i].regex) ||
		    regcomp(&m->regex[i], f->item[i].regex, REG_EXTENDED | REG_NOSUB))
			return false;
		m->accept[i] = f->item[i].accept;
		m->len = i + 1;
	}
	return true;
}

/* The first pattern that matches decides; m->len: none does. */
static size_t first_match(const struct matcher *m, const char *name)
{
	size_t i = 0;

	while (i < m->len && regexec(&m->regex[i], name, 0, NULL, 0))
		i++;
	return i;
}

/* Is there a disk with such a name, or a partition of one, that LVM looks at? *ret: the pattern that says so. */
static bool sees_any(const struct matcher *m, const struct names *n, size_t *ret)
{
	char name[64];

	if (*n->alias && (*ret = first_match(m, n->alias)) < m->len && m->accept[*ret])
		return true;
	for (unsigned disk = 0; disk < 16; disk++) {
		for (unsigned part = 0; part < 5; part++) {
			int len = *n->between ? snprintf(name, sizeof(name), "%s%u%.*s", n->stem, disk, part ? 3 : 2, n->between)
					      : snprintf(name, sizeof(name), "%s%c", n->stem, 'a' + (int)disk);

			if (part)
				snprintf(name + len, sizeof(name) - (size_t)len, "%u", part);
			*ret = first_match(m, name);
			if (*ret == m->len || m->accept[*ret])
				return true;
		}
	}
	return false;
}

/* The first pattern that lets in a disk of today; false: no such pattern, or all disks are let in that no pattern names. */
static bool sees_today(const struct matcher *m, size_t *ret)
{
	size_t found;

	*ret = m->len;
	for (size_t i = 0; i < sizeof(today) / sizeof(today[0]); i++)
		if (sees_any(m, &today[i], &found) && found < *ret)
			*ret = found;
	return *ret < m->len;
}

/* Does it reject anything, and name disks by their bus? For a filter that is not understood. */
static bool may_leave_out(const char *text, const struct lvm_filter *f)
{
	const struct lvm_pattern *last = &f->item[f->len - 1];
	const char *from = text + f->item[0].off;
	size_t len = last->off + last->len - f->item[0].off;
	bool rejects = false;

	for (size_t i = 0; i < f->len; i++)
		rejects |= !f->item[i].accept;
	return rejects && (memmem(from, len, "xvd", 3) || memmem(from, len, "dev/sd", 6) || memmem(from, len, "dev/hd", 6));
}

static void filter(struct planner *p, const char *path, const char *text, const struct lvm_filter *f, size_t *copied, struct buf *out)
{
	CLEANUP(matcher_done) struct matcher m = {.len = 0};
	CLEANUP(buf_done) struct buf add = {0};
	const char *where = arena_printf(p->arena, "%s:%zu", path, f->line);
	size_t place, found;

	if (!compile(f, &m)) {
		if (may_leave_out(text, f))
			planner_tell(p, where, "a filter names the disks that LVM may look at, in a form that is not understood here",
				     "see that it lets in the disks of the new machine: /dev/nvme*, /dev/vd*, /dev/xvd*");
		return;
	}
	if (!sees_today(&m, &place))
		return;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (has_target(p, later[i].target) && !sees_any(&m, &later[i], &found))
			buf_printf(&add, "\"%s\", ", later[i].accept);
	if (add.failed)
		p->arena->failed = true;
	if (!add.len)
		return;
	buf_append(out, text + *copied, f->item[place].off - *copied);
	buf_append(out, add.data, add.len);
	*copied = f->item[place].off;
	planner_tell(p, where, "LVM may look at disks of this machine's bus only, and all others are left out",
		     "the names of the new machine's disks are added");
}

static void edit(struct planner *p, const char *path)
{
	CLEANUP(lvmconf_done) struct lvmconf conf = {0};
	CLEANUP(buf_done) struct buf out = {0};
	size_t len, copied = 0;
	const char *text = planner_text(p, path, &len);

	if (!text)
		return;
	if (lvmconf_parse(text, len, &conf, NULL)) {
		p->arena->failed = true;
		return;
	}
	for (size_t i = 0; i < conf.len; i++)
		if (conf.item[i].len)
			filter(p, path, text, &conf.item[i], &copied, &out);
	buf_append(&out, text + copied, len - copied);
	planner_write_buf(p, path, &out, 0644, "volume groups on the new machine's disks");
}

void rule_lvm_filter(struct planner *p)
{
	edit(p, "/etc/lvm/lvm.conf");
	edit(p, "/etc/lvm/lvmlocal.conf");
}
