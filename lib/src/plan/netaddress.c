/* netaddress.c - what ties the network's configuration to a card that stays behind: its hardware address; its old subnet */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/netplan.h"
#include "plan/planner.h"

#define MARK "#pv2hvm: "

enum format { FORMAT_NONE, FORMAT_IFCFG, FORMAT_INTERFACES, FORMAT_KEYFILE, FORMAT_NETWORKD, FORMAT_LINK, FORMAT_NETPLAN };

static bool below(const char *path, const char *dir)
{
	return !strncmp(path, dir, strlen(dir));
}

/* Copies that editors and package managers leave beside a file are not read by anything. */
static bool is_backup(const char *path)
{
	static const char *const end[] = {"~", ".bak", ".orig", ".old", ".rpmnew", ".rpmorig", ".rpmsave", ".dpkg-old", ".dpkg-dist", ".dpkg-new"};

	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		if (text_ends_with(path, end[i]))
			return true;
	return false;
}

static enum format format_of(const struct facts_file *file)
{
	const char *path = file->path, *base = strrchr(path, '/') + 1;

	if (!file->len || is_backup(path))
		return FORMAT_NONE;
	if ((below(path, "/etc/sysconfig/network-scripts/") || below(path, "/etc/sysconfig/network/")) && strcmp(base, "ifcfg-lo"))
		return FORMAT_IFCFG;
	if (!strcmp(path, "/etc/network/interfaces") || below(path, "/etc/network/interfaces.d/"))
		return FORMAT_INTERFACES;
	if (below(path, "/etc/NetworkManager/system-connections/"))
		return FORMAT_KEYFILE;
	if (below(path, "/etc/systemd/network/"))
		return text_ends_with(path, ".network") ? FORMAT_NETWORKD : text_ends_with(path, ".link") ? FORMAT_LINK : FORMAT_NONE;
	return below(path, "/etc/netplan/") ? FORMAT_NETPLAN : FORMAT_NONE;
}

/* A line as "key = value" or "word rest", comments and blanks apart. */
struct setting {
	const char *key, *value;
	size_t key_len, value_len;
};

static bool read_setting(const struct line *l, const char *separators, struct setting *ret)
{
	const char *at = l->text, *end = l->text + l->len;

	while (at < end && isspace((unsigned char)*at))
		at++;
	if (at == end || *at == '#' || *at == ';')
		return false;
	ret->key = at;
	while (at < end && !strchr(separators, *at) && !isspace((unsigned char)*at))
		at++;
	ret->key_len = (size_t)(at - ret->key);
	while (at < end && (strchr(separators, *at) || isspace((unsigned char)*at)))
		at++;
	while (end > at && isspace((unsigned char)end[-1]))
		end--;
	if (end - at >= 2 && (*at == '"' || *at == '\'') && end[-1] == *at) {
		at++;
		end--;
	}
	ret->value = at;
	ret->value_len = (size_t)(end - at);
	return true;
}

static bool same(const char *at, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp(at, word, len);
}

static bool is_key(const struct setting *s, const char *const *names)
{
	for (; *names; names++)
		if (same(s->key, s->key_len, *names))
			return true;
	return false;
}

/* Where a reader of one of the line formats stands: in which [section] or under which iface. */
struct place {
	const char *name;
	size_t len;
};

static bool read_section(const struct line *l, struct place *where)
{
	const char *close = l->len && l->text[0] == '[' ? memchr(l->text, ']', l->len) : NULL;

	if (!close)
		return false;
	where->name = l->text + 1;
	where->len = (size_t)(close - l->text) - 1;
	return true;
}

static bool in_section(const struct place *where, const char *name)
{
	return where->name && same(where->name, where->len, name);
}

static bool is_ethernet(const char *name, size_t len)
{
	return len > 2 && (!strncmp(name, "eth", 3) || !strncmp(name, "en", 2));
}

static bool ifcfg_binds(const struct line *l)
{
	static const char *const key[] = {"HWADDR", "MACADDR", "LLADDR", NULL};
	struct setting s;

	return read_setting(l, "=", &s) && is_key(&s, key) && s.value_len;
}

static bool interfaces_binds(const struct line *l, struct place *where)
{
	struct setting s;

	if (!read_setting(l, "", &s))
		return false;
	if (same(s.key, s.key_len, "iface")) {
		where->name = s.value;
		for (where->len = 0; where->len < s.value_len && !isspace((unsigned char)s.value[where->len]);)
			where->len++;
	}
	/* A bridge's address is made up, and stays as good as it was. */
	return same(s.key, s.key_len, "hwaddress") && where->name && is_ethernet(where->name, where->len) &&
	       (memchr(s.value, ':', s.value_len) || l->text[l->len - 1] == '\\');
}

static bool keyfile_binds(const struct line *l, struct place *where)
{
	static const char *const key[] = {"mac-address", "cloned-mac-address", NULL};
	struct setting s;

	if (read_section(l, where) || !read_setting(l, "=", &s))
		return false;
	/* Words like "preserve" and "stable" name no card. */
	return (in_section(where, "ethernet") || in_section(where, "802-3-ethernet")) && is_key(&s, key) && memchr(s.value, ':', s.value_len);
}

/* What udev and netplan call the drivers of the targets' cards. */
struct drivers {
	const char *name[4]; /* ends with NULL */
};

static struct drivers target_drivers(const struct planner *p)
{
	static const struct {
		unsigned target;
		const char *name;
	} all[] = {{P2H_TARGET_XEN_HVM, "vif"}, {P2H_TARGET_NITRO, "ena"}, {P2H_TARGET_KVM, "virtio_net"}};
	struct drivers d = {0};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (has_target(p, all[i].target))
			d.name[n++] = all[i].name;
	return d;
}

enum bound { BOUND_NO, BOUND_MATCH, BOUND_SET };

static enum bound networkd_binds(const struct planner *p, const struct line *l, struct place *where)
{
	static const char *const match[] = {"MACAddress", "PermanentMACAddress", NULL}, *const set[] = {"MACAddress", NULL};
	struct setting s;

	if (read_section(l, where) || !read_setting(l, "=", &s) || !s.value_len)
		return BOUND_NO;
	if (in_section(where, "Match") && is_key(&s, match))
		return BOUND_MATCH;
	if (in_section(where, "Match") && same(s.key, s.key_len, "Driver") && *s.value != '!')
		return driver_is_gone(s.value, s.value_len, target_drivers(p).name) ? BOUND_MATCH : BOUND_NO;
	return in_section(where, "Link") && is_key(&s, set) ? BOUND_SET : BOUND_NO;
}

/* Is there a key in a section [Match] that stays? Without one the file would match every device, or none. */
static bool matches_otherwise(const struct planner *p, const struct facts_file *file)
{
	struct place where = {0};
	struct line l = {0};
	struct setting s;
	size_t at = 0;

	while (next_line(file->text, file->len, &at, &l))
		if (networkd_binds(p, &l, &where) != BOUND_MATCH && in_section(&where, "Match") && read_setting(&l, "=", &s) && *l.text != '[')
			return true;
	return false;
}

static void put_line_end(struct buf *out, const struct line *l)
{
	buf_append(out, l->text + l->len, l->whole - l->len);
}

/* One file of a format whose lines stand for themselves. */
static void unbind_lines(struct planner *p, const struct facts_file *file, enum format format, struct buf *out)
{
	bool name = format == FORMAT_NETWORKD && !matches_otherwise(p, file);
	struct place where = {0};
	struct line l = {0};
	size_t at = 0;

	while (next_line(file->text, file->len, &at, &l)) {
		enum bound bound = BOUND_NO;

		if (format == FORMAT_IFCFG)
			bound = ifcfg_binds(&l) ? BOUND_SET : BOUND_NO;
		else if (format == FORMAT_INTERFACES)
			bound = interfaces_binds(&l, &where) ? BOUND_SET : BOUND_NO;
		else if (format == FORMAT_KEYFILE)
			bound = keyfile_binds(&l, &where) ? BOUND_SET : BOUND_NO;
		else
			bound = networkd_binds(p, &l, &where);
		if (bound != BOUND_NO && l.len && l.text[l.len - 1] == '\\') {
			planner_tell(p, arena_printf(p->arena, "%s:%zu", file->path, l.number),
				     "this line names the old network card's address and goes on in the next one", "edit it by hand");
			bound = BOUND_NO;
		}
		if (bound != BOUND_NO)
			buf_puts(out, MARK);
		buf_append(out, l.text, l.whole);
		/* Without a match the file would be for every device, the loopback included, or (newer ones) for none. */
		if (bound == BOUND_MATCH && name) {
			if (l.whole == l.len)
				buf_puts(out, "\n");
			buf_puts(out, "Name=e*");
			put_line_end(out, &l);
			name = false;
		}
	}
}

/* A .link file that no longer matches renames nothing: the name eth0 comes from net.ifnames=0, any other one is lost. */
static void check_link(struct planner *p, const struct facts_file *file)
{
	struct place where = {0};
	struct line l = {0};
	size_t at = 0, bound = 0;
	bool other = false;

	while (next_line(file->text, file->len, &at, &l)) {
		struct setting s;

		if (networkd_binds(p, &l, &where) == BOUND_MATCH)
			bound = l.number;
		else if (in_section(&where, "Link") && read_setting(&l, "=", &s) && same(s.key, s.key_len, "Name"))
			other = s.value_len < 3 || strncmp(s.value, "eth", 3);
	}
	if (bound && other)
		planner_tell(p, arena_printf(p->arena, "%s:%zu", file->path, bound),
			     "this file names a network card by its old address or driver, and the new card will not get that name",
			     "match it by another property: OriginalName=eth0, or the new Driver=");
}

static void unbind_netplan(struct planner *p, const struct facts_file *file, struct buf *out)
{
	size_t odd = 0;

	if (netplan_unbind(file->text, file->len, target_drivers(p).name, out, &odd, NULL))
		p->arena->failed = true;
	else if (odd)
		planner_tell(p, arena_printf(p->arena, "%s:%zu", file->path, odd),
			     "a network card is known by its hardware address or its driver, in a form that is not changed here",
			     "match the card by name; nothing is changed in this line");
}

/* SUSE's ifcfg-eth-id-00:16:3e:...: the file's name is the match. */
static bool named_by_address(struct planner *p, const struct facts_file *file)
{
	const char *base = strrchr(file->path, '/') + 1;
	const char *id = strstr(base, "-id-");
	size_t others = 0;

	if (!below(file->path, "/etc/sysconfig/network/") || !id || !strchr(id, ':'))
		return false;
	for (size_t i = 0; i < p->facts->files; i++) {
		const char *path = p->facts->file[i].path;

		others += below(path, "/etc/sysconfig/network/ifcfg-eth") && strcmp(path, file->path) && !is_backup(path);
	}
	if (others) {
		planner_tell(p, file->path, "this file is for the network card with the address in its name, and there are others beside it",
			     "rename it for the interface that it is meant for: ifcfg-eth0, ifcfg-eth1");
		return true;
	}
	planner_write(p, "/etc/sysconfig/network/ifcfg-eth0", file->text, file->len, file->mode, "the new network card has another address");
	planner_remove(p, file->path, "it is ifcfg-eth0 now");
	return true;
}

void rule_ifcfg_hwaddr(struct planner *p)
{
	for (size_t i = 0; i < p->facts->files; i++) {
		const struct facts_file *file = &p->facts->file[i];
		enum format format = format_of(file);
		CLEANUP(buf_done) struct buf out = {0};

		if (format == FORMAT_NONE || (format == FORMAT_IFCFG && named_by_address(p, file)))
			continue;
		if (format == FORMAT_LINK) {
			check_link(p, file);
			continue;
		}
		if (format == FORMAT_NETPLAN)
			unbind_netplan(p, file, &out);
		else
			unbind_lines(p, file, format, &out);
		planner_write_buf(p, file->path, &out, 0644, format == FORMAT_NETPLAN || format == FORMAT_NETWORKD
							      ? "the new network card has another address, or another driver"
							      : "the new network card has another address");
	}
}

/* What a file says about addresses given by hand. */
struct statics {
	size_t line; /* of the first one, 0: none */
	bool dhcp, manual, iface;
};

static void see_static(struct statics *st, enum format format, const struct place *where, const struct setting *s, size_t line)
{
	bool address = false;

	if (format == FORMAT_INTERFACES) {
		if (same(s->key, s->key_len, "iface"))
			st->iface = is_ethernet(s->value, s->value_len) && has_word(s->value, s->value_len, "static");
		address = st->iface && same(s->key, s->key_len, "address");
	} else if (format == FORMAT_IFCFG) {
		st->dhcp |= same(s->key, s->key_len, "BOOTPROTO") && s->value_len >= 4 && !strncasecmp(s->value, "dhcp", 4);
		address = s->value_len && (same(s->key, s->key_len, "IPADDR") || same(s->key, s->key_len, "IPADDR0"));
	} else if (format == FORMAT_NETWORKD) {
		address = (in_section(where, "Network") || in_section(where, "Address")) && same(s->key, s->key_len, "Address");
	} else if (format == FORMAT_KEYFILE) {
		st->manual |= in_section(where, "ipv4") && same(s->key, s->key_len, "method") && same(s->value, s->value_len, "manual");
		address = in_section(where, "ipv4") && (same(s->key, s->key_len, "address1") || same(s->key, s->key_len, "addresses"));
	} else if (format == FORMAT_NETPLAN) {
		st->dhcp |= (same(s->key, s->key_len, "dhcp4") || same(s->key, s->key_len, "dhcp6")) &&
			    (same(s->value, s->value_len, "true") || same(s->value, s->value_len, "yes"));
		address = same(s->key, s->key_len, "addresses");
	}
	if (address && !st->line)
		st->line = line;
}

static size_t static_line(const struct facts_file *file, enum format format)
{
	const char *separators = format == FORMAT_INTERFACES ? "" : format == FORMAT_NETPLAN ? ":" : "=";
	struct statics st = {0};
	struct place where = {0};
	struct line l = {0};
	struct setting s;
	size_t at = 0;

	while (next_line(file->text, file->len, &at, &l))
		if (!read_section(&l, &where) && read_setting(&l, separators, &s))
			see_static(&st, format, &where, &s, l.number);
	return st.dhcp || (format == FORMAT_KEYFILE && !st.manual) ? 0 : st.line;
}

void rule_net_static(struct planner *p)
{
	for (size_t i = 0; i < p->facts->files; i++) {
		const struct facts_file *file = &p->facts->file[i];
		enum format format = format_of(file);
		size_t line = format == FORMAT_NONE || format == FORMAT_LINK ? 0 : static_line(file, format);

		if (line)
			planner_tell(p, arena_printf(p->arena, "%s:%zu", file->path, line), "a network address is given by hand",
				     "it fits the new machine only if that stands in the same subnet; else change it, or use DHCP");
	}
}
