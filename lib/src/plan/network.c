/* network.c - eth0 stays eth0 */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

static bool is_network_file(const char *path)
{
	static const char *const start[] = {"/etc/network/", "/etc/sysconfig/network-scripts/", "/etc/sysconfig/network/", "/etc/netplan/",
					    "/etc/systemd/network/", "/etc/NetworkManager/"};

	for (size_t i = 0; i < sizeof(start) / sizeof(start[0]); i++)
		if (!strncmp(path, start[i], strlen(start[i])))
			return true;
	return false;
}

/* Does a configuration line (comments apart) name an interface that starts with prefix and goes on with a digit or letter + digit? */
static bool names_interface(const char *text, size_t len, const char *prefix, size_t letters)
{
	size_t at = 0, n = strlen(prefix);
	struct line l = {0};

	while (next_line(text, len, &at, &l)) {
		const char *end = l.text + l.len, *hash = memchr(l.text, '#', l.len), *q = l.text;

		if (hash)
			end = hash;
		for (; q + n + letters < end; q++) {
			const char *digit = q + n + letters;

			if ((q == l.text || !isalnum((unsigned char)q[-1])) && !memcmp(q, prefix, n) && isdigit((unsigned char)*digit))
				return true;
		}
	}
	return false;
}

/* "en*" takes whatever place the card has on the bus, as long as its name says so. */
static bool takes_any_place(const char *text, size_t len)
{
	size_t at = 0;
	struct line l = {0};

	while (next_line(text, len, &at, &l)) {
		const char *hash = memchr(l.text, '#', l.len), *found = memmem(l.text, l.len, "en*", 3);

		if (found && (!hash || found < hash) && (found == l.text || !isalnum((unsigned char)found[-1])))
			return true;
	}
	return false;
}

void rule_ifnames(struct planner *p)
{
	const struct facts *f = p->facts;
	const char *predictable = NULL;
	bool eth = false, any = false;

	for (size_t i = 0; i < f->files; i++) {
		const struct facts_file *file = &f->file[i];

		if (!is_network_file(file->path))
			continue;
		if (names_interface(file->text, file->len, "eth", 0) || strstr(file->path, "ifcfg-eth"))
			eth = true;
		else if (names_interface(file->text, file->len, "en", 1))
			predictable = file->path;
		any = any || takes_any_place(file->text, file->len);
	}
	if (any && !eth)
		return;
	if (predictable && !eth) {
		planner_tell(p, predictable, "the network configuration names a card by its place on the old bus (enX0, ens3, ...)",
			     "check the name on the new machine; nothing is changed");
		return;
	}
	planner_cmdline(p, "net.ifnames=0");
	planner_cmdline(p, "biosdevname=0");
}

static bool binds_address(const struct line *l)
{
	size_t i = 0;

	while (i < l->len && isspace((unsigned char)l->text[i]))
		i++;
	if (i == l->len || l->text[i] == '#')
		return false;
	/* SUSE 10 has a program for it. */
	return (memmem(l->text, l->len, "NAME=", 5) || memmem(l->text, l->len, "rename_netiface", 15)) &&
	       (memmem(l->text, l->len, "ATTR{address}", 13) || memmem(l->text, l->len, "ATTRS{address}", 14) ||
		memmem(l->text, l->len, "SYSFS{address}", 14));
}

void rule_persistent_net(struct planner *p)
{
	const struct facts *f = p->facts;

	for (size_t i = 0; i < f->files; i++) {
		const struct facts_file *file = &f->file[i];
		CLEANUP(buf_done) struct buf out = {0};
		size_t at = 0;
		struct line l = {0};

		if (strncmp(file->path, "/etc/udev/rules.d/", 18) || strstr(file->path, "generator"))
			continue;
		while (next_line(file->text, file->len, &at, &l)) {
			if (binds_address(&l))
				buf_puts(&out, "#pv2hvm: ");
			buf_append(&out, l.text, l.whole);
		}
		planner_write_buf(p, file->path, &out, 0644, "the new network card has another address");
	}
}
