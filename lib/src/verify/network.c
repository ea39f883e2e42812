/* Would the network interfaces keep the names that the guest's configuration uses? */
#include "verify/context.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define FILES_LIMIT 500u

/* "eth0" as a word of a line that is no comment; its line number, or 0. */
static size_t eth_line(const char *text)
{
	size_t number = 1;

	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n', number++) {
		const char *start = line + strspn(line, " \t");
		size_t len = strcspn(start, "\n");

		if (*start == '#' || *start == ';')
			continue;
		for (size_t i = 0; i + 3 < len; i++)
			if (!strncmp(start + i, "eth", 3) && isdigit((unsigned char)start[i + 3]) &&
			    (i == 0 || !isalnum((unsigned char)start[i - 1])))
				return number;
	}
	return 0;
}

/* Finds a configuration that names eth<n>: a file's text, or (Red Hat, SUSE) a file's own name. */
static bool configured_by_name(struct verify *v, char *where, size_t size)
{
	static const char *const places[] = {
		"/etc/network/interfaces",	 "/etc/network/interfaces.d",
		"/etc/sysconfig/network-scripts", "/etc/sysconfig/network",
		"/etc/netplan",			 "/etc/systemd/network",
		"/etc/NetworkManager/system-connections",
	};

	for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
		CLEANUP(strlist_done) struct strlist names = {0};
		bool dir = fs_is_dir(v->guest->fs, places[p]);

		if (!dir)
			strlist_add(&names, "");
		else if (fs_list(v->guest->fs, places[p], &names, NULL))
			continue;
		for (size_t i = 0; i < names.len && i < FILES_LIMIT; i++) {
			CLEANUP(buf_done) struct buf text = {0};
			char path[400];
			size_t line;

			snprintf(path, sizeof path, "%s%s%.255s", places[p], dir ? "/" : "", names.item[i]);
			if (!strncmp(names.item[i], "ifcfg-eth", 9)) {
				snprintf(where, size, "%s", path);
				return true;
			}
			/* Red Hat's directory is full of scripts that speak of eth0. */
			if (strstr(places[p], "sysconfig") || !guest_text(v, path, &text) || !text.len)
				continue;
			line = eth_line(text.data);
			if (line) {
				snprintf(where, size, "%s line %zu", path, line);
				return true;
			}
		}
	}
	return false;
}

static bool is_masked(struct verify *v, const char *path)
{
	CLEANUP_FREE char *target = NULL;

	return fs_readlink(v->guest->fs, path, &target, NULL) == 0 && !strcmp(target, "/dev/null");
}

/* Does udev, the guest's or the initramfs's, give predictable names? From udev 197, unless switched off. */
static bool udev_renames(struct verify *v)
{
	static const char *const rules[][2] = {
		{"/lib/udev/rules.d/80-net-setup-link.rules", "/etc/udev/rules.d/80-net-setup-link.rules"},
		{"/usr/lib/udev/rules.d/80-net-setup-link.rules", "/etc/udev/rules.d/80-net-setup-link.rules"},
		{"/lib/udev/rules.d/80-net-name-slot.rules", "/etc/udev/rules.d/80-net-name-slot.rules"},
		{"/usr/lib/udev/rules.d/80-net-name-slot.rules", "/etc/udev/rules.d/80-net-name-slot.rules"},
	};

	if (v->initrd_renames_net)
		return true;
	if (is_masked(v, "/etc/systemd/network/99-default.link"))
		return false;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (fs_exists(v->guest->fs, rules[i][0]) && !is_masked(v, rules[i][1]))
			return true;
	return false;
}

static void judge_names(struct judgement *j)
{
	struct verify *v = j->v;
	char where[450];

	if (!configured_by_name(v, where, sizeof where)) {
		judge(j, VERIFY_PASS, "no configuration depends on the name eth0");
		return;
	}
	if (cmdline_has(v, "net.ifnames=0"))
		judge(j, VERIFY_PASS, "%s names eth0, and net.ifnames=0 keeps that name", where);
	else if (!udev_renames(v))
		judge(j, VERIFY_PASS, "%s names eth0, and udev here does not rename it", where);
	else if (v->entry)
		judge(j, VERIFY_WARN, "%s names eth0, but the command line lacks net.ifnames=0", where);
	else
		judge(j, VERIFY_WARN, "%s names eth0, and no command line is known to keep that name", where);
}

/* Rules that older udevs write by themselves: this MAC address is eth0. A new card then becomes eth1. */
static void judge_persistent(struct judgement *j)
{
	static const char *const files[] = {"/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/60-net.rules",
					    "/etc/udev/rules.d/30-net_persistent_names.rules"};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP(buf_done) struct buf text = {0};
		size_t number = 1;

		if (!guest_text(j->v, files[i], &text) || !text.len)
			continue;
		for (const char *line = text.data; *line; line += strcspn(line, "\n"), line += *line == '\n', number++) {
			const char *start = line + strspn(line, " \t");
			size_t len = strcspn(start, "\n");

			if (*start != '#' && memmem(start, len, "{address}==", 11) && memmem(start, len, "NAME=\"eth", 9)) {
				judge(j, VERIFY_WARN, "%s line %zu ties an interface's name to a MAC address", files[i], number);
				break;
			}
		}
	}
}

/* Red Hat: HWADDR= keeps an interface down on any other card. */
static void judge_hwaddr(struct judgement *j)
{
	static const char dir[] = "/etc/sysconfig/network-scripts";
	CLEANUP(strlist_done) struct strlist names = {0};

	if (fs_list(j->v->guest->fs, dir, &names, NULL))
		return;
	for (size_t i = 0; i < names.len && i < FILES_LIMIT; i++) {
		CLEANUP(buf_done) struct buf text = {0};
		char path[400];

		if (strncmp(names.item[i], "ifcfg-", 6))
			continue;
		snprintf(path, sizeof path, "%s/%.255s", dir, names.item[i]);
		if (!guest_text(j->v, path, &text) || !text.len)
			continue;
		if (!strncmp(text.data, "HWADDR=", 7) || strstr(text.data, "\nHWADDR="))
			judge(j, VERIFY_WARN, "%s ties the interface to a MAC address (HWADDR)", path);
	}
}

void step_network(struct verify *v)
{
	struct judgement j = {.v = v};

	judge_names(&j);
	judge_persistent(&j);
	judge_hwaddr(&j);
	judgement_add(&j, "network", "names of network interfaces");
}
