/* cloudinit.c - a new machine is a new instance to cloud-init */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "plan/planner.h"

static bool is_settings(const char *path)
{
	return !strncmp(path, "/etc/cloud/cloud.cfg", 20);
}

/* "key: value" at any depth of a YAML file, in quotes or not (cloud-init takes both): the last one read counts, "" if there is none. */
static const char *value_of(struct planner *p, const char *key)
{
	const char *value = "";

	for (size_t i = 0; i < p->facts->files; i++) {
		const struct facts_file *file = &p->facts->file[i];
		struct line l = {0};
		size_t at = 0;

		if (!is_settings(file->path))
			continue;
		while (next_line(file->text, file->len, &at, &l)) {
			size_t indent = strspn(l.text, " -"), n = strlen(key), end;

			if (indent + n >= l.len || strncmp(l.text + indent, key, n) || l.text[indent + n] != ':')
				continue;
			indent += n + 1;
			while (indent < l.len && isspace((unsigned char)l.text[indent]))
				indent++;
			if (indent < l.len && (l.text[indent] == '"' || l.text[indent] == '\''))
				indent++;
			for (end = indent; end < l.len && !isspace((unsigned char)l.text[end]) && !strchr("\"'", l.text[end]);)
				end++;
			value = arena_printf(p->arena, "%.*s", (int)(end - indent), l.text + indent);
			if (!value)
				return "";
		}
	}
	return value;
}

static bool is_false(const char *value)
{
	return !strcasecmp(value, "false") || !strcasecmp(value, "no") || !strcasecmp(value, "off") || !strcmp(value, "0");
}

static bool is_true(const char *value)
{
	return !strcasecmp(value, "true") || !strcasecmp(value, "yes") || !strcasecmp(value, "on") || !strcmp(value, "1");
}

static bool starts_at_boot(const struct planner *p)
{
	return strlist_has(&p->facts->services, "cloud-init") || strlist_has(&p->facts->services, "cloud-init-local") ||
	       facts_file(p->facts, "/etc/init/cloud-init.conf");
}

void rule_cloud_init(struct planner *p)
{
	const struct facts_cloudinit *c = &p->facts->cloudinit;
	const char *settings = "/etc/cloud/cloud.cfg";

	if (c->disabled || !facts_file(p->facts, settings) || !starts_at_boot(p))
		return;
	if (!is_false(value_of(p, "ssh_deletekeys")))
		planner_tell(p, settings, "on a machine with another instance id cloud-init deletes the SSH host keys and makes new ones",
			     "to keep them: `ssh_deletekeys: false` in /etc/cloud/cloud.cfg.d/99-keep.cfg");
	if (is_true(value_of(p, "lock_passwd")))
		planner_tell(p, settings, "on a machine with another instance id cloud-init locks the default user's password again",
			     "to keep it: `lock_passwd: false` with that user in /etc/cloud/cloud.cfg; or log in by SSH key");
	if (has_target(p, P2H_TARGET_XEN_HVM | P2H_TARGET_NITRO) && *c->ec2_source && !c->knows_tokens)
		planner_tell(p, arena_printf(p->arena, "%s: cloud-init %s", c->ec2_source, *c->version ? c->version : "of unknown version"),
			     "this cloud-init cannot ask for metadata with a session token (IMDSv2, from 19.4 on)",
			     "start the instance with HttpTokens=optional, or upgrade cloud-init in the guest");
}
