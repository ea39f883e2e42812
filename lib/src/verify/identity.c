/* What an initramfs was built to wait for: another machine's root, swap or LUKS device never appears here. */
#include "verify/context.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"

#define UUID_LEN 36

/* systemd's and dracut's escapes in file names: "\x2d" is '-', "\x2f" is '/'. */
static void unescape(const char *name, char *out, size_t size)
{
	size_t n = 0;

	while (*name && n + 1 < size) {
		bool escaped = !strncmp(name, "\\x2d", 4) || !strncmp(name, "\\x2f", 4);

		out[n++] = !escaped ? *name : name[3] == 'd' ? '-' : '/';
		name += escaped ? 4 : 1;
	}
	out[n] = '\0';
}

/* dracut made for one host keeps such a file for each of its disks, and does not go on before they are there. */
static bool waited_for(const char *member, char uuid[UUID_LEN + 1])
{
	static const char *const places[] = {"dracut/hooks/initqueue/finished/devexists-",
					     "etc/systemd/system/initrd.target."};
	const char *at = NULL;
	char plain[512];

	for (size_t i = 0; i < sizeof places / sizeof *places && !at; i++)
		at = strstr(member, places[i]);
	if (!at)
		return false;
	unescape(at, plain, sizeof plain);
	at = strstr(plain, "by-uuid");
	if (!at || strlen(at) < 8 + UUID_LEN)
		return false;
	snprintf(uuid, UUID_LEN + 1, "%.*s", UUID_LEN, at + 8);
	return strspn(uuid, "0123456789abcdefABCDEF-") == UUID_LEN;
}

/* As the last archive has them: an empty hook, or a link to /dev/null, waits for nothing. */
static void judge_waits(struct judgement *j, const struct initramfs *parsed)
{
	for (size_t i = 0; i < parsed->conf_name.len && i < parsed->conf_text.len; i++) {
		const char *member = parsed->conf_name.item[i];
		char uuid[UUID_LEN + 1], tag[UUID_LEN + 8];

		if (!waited_for(member, uuid) || !strcmp(parsed->conf_text.item[i], "/dev/null"))
			continue;
		snprintf(tag, sizeof tag, "UUID=%s", uuid);
		if (!volumes_find(&j->v->volumes, tag))
			judge(j, VERIFY_FAIL, "the initramfs waits for %s, which is not in this image (%s)", tag, member);
	}
}

/* Does the text have a line that is no comment? */
static bool says_something(const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *start = line + strspn(line, " \t\r");

		if (*start && *start != '#' && *start != '\n')
			return true;
	}
	return false;
}

/* "RESUME=UUID=..." of initramfs-tools: half a minute is lost for a swap area that is not there. */
static void judge_resume(struct judgement *j, const char *name, const char *text)
{
	const char *at = strstr(text, "RESUME=");
	char device[256], why[320];
	const struct volume *volume;

	if (!at || cmdline_has(j->v, "noresume") || cmdline_get(j->v, "resume", device, sizeof device))
		return;
	snprintf(device, sizeof device, "%.*s", (int)strcspn(at + 7, " \t\r\n"), at + 7);
	if (!strcmp(device, "none") || !strcmp(device, "auto") || !*device)
		return;
	if (device_find(j->v, device, &volume, why, sizeof why) == DEVICE_ABSENT)
		judge(j, VERIFY_WARN, "%s in the initramfs waits for %s: add noresume", name, device);
}

static void judge_conf(struct judgement *j, const char *name, const char *text)
{
	static const char *const parts[] = {"rd.luks.uuid=", "rd.lvm.lv=", "rd.md.uuid="};

	if (!strncmp(name, "conf/conf.d/", 12))
		judge_resume(j, name, text);
	if (text_ends_with(name, "crypttab") && says_something(text))
		judge(j, VERIFY_WARN, "%s in the initramfs names encrypted devices", name);
	for (size_t i = 0; i < sizeof parts / sizeof *parts && strstr(name, "cmdline.d"); i++)
		if (strstr(text, parts[i]))
			judge(j, VERIFY_WARN, "%s in the initramfs has %s of the machine where it was made", name, parts[i]);
}

void judge_identity(struct judgement *j, const struct initramfs *parsed)
{
	judge_waits(j, parsed);
	for (size_t i = 0; i < parsed->conf_name.len && i < parsed->conf_text.len; i++)
		judge_conf(j, parsed->conf_name.item[i], parsed->conf_text.item[i]);
}
