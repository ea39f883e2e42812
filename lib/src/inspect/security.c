#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"

#define MAX_PROGRAM (32 * 1024 * 1024u)
#define MAX_SOURCE (1024 * 1024u)

/* The digits and dots behind `mark` in data; "" if it does not occur. */
static const char *version_behind(struct arena *a, const struct buf *data, const char *mark)
{
	const char *at = data->len ? memmem(data->data, data->len, mark, strlen(mark)) : NULL;
	size_t n = 0;

	if (!at)
		return "";
	at += strlen(mark);
	while (n < 32 && (isdigit((unsigned char)at[n]) || at[n] == '.'))
		n++;
	return arena_printf(a, "%.*s", (int)n, at);
}

static int read_optional(struct fs *fs, const char *path, size_t max, struct buf *ret, struct p2h_error *err)
{
	int rc = fs_read(fs, path, max, ret, err);

	return rc == P2H_IO || rc == P2H_NOMEM ? rc : 0;
}

/* AppArmor's parser_main.c prints "%s version " PARSER_VERSION. */
static int read_apparmor(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf program = {0};
	int rc = read_optional(fs, "/sbin/apparmor_parser", MAX_PROGRAM, &program, err);

	f->security.apparmor_parser = rc ? "" : version_behind(&f->arena, &program, "%s version ");
	return rc;
}

/* One directory of Python's modules. */
static int read_python(struct fs *fs, const char *dir, struct facts_cloudinit *c, struct arena *a, struct p2h_error *err)
{
	static const char *const source[] = {"sources/DataSourceEc2.py", "DataSourceEc2.py"};
	static const char *const mark[] = {"__VERSION__ = \"", "StrictVersion(\"", "__VERSION__ = '", "StrictVersion('"};
	CLEANUP(buf_done) struct buf path = {0}, version = {0};
	int rc;

	buf_printf(&path, "%s/cloudinit/version.py", dir);
	if (path.failed)
		return error_nomem(err);
	if (!fs_exists(fs, path.data))
		return 0;
	rc = read_optional(fs, path.data, MAX_SOURCE, &version, err);
	for (size_t i = 0; !rc && i < sizeof(mark) / sizeof(mark[0]) && !*c->version; i++)
		c->version = version_behind(a, &version, mark[i]);
	for (size_t i = 0; !rc && i < 2 && !*c->ec2_source; i++) {
		CLEANUP(buf_done) struct buf text = {0};

		buf_clear(&path);
		buf_printf(&path, "%s/cloudinit/%s", dir, source[i]);
		if (path.failed)
			return error_nomem(err);
		if (!fs_exists(fs, path.data))
			continue;
		rc = read_optional(fs, path.data, MAX_SOURCE, &text, err);
		c->ec2_source = arena_strdup(a, path.data);
		c->knows_tokens = text.len && strcasestr(text.data, "X-aws-ec2-metadata-token");
	}
	return rc;
}

static int read_cloudinit(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const below[] = {"dist-packages", "site-packages", ""};
	struct facts_cloudinit *c = &f->cloudinit;
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = 0;

	c->version = c->ec2_source = "";
	c->disabled = fs_exists(fs, "/etc/cloud/cloud-init.disabled");
	if (!fs_exists(fs, "/etc/cloud/cloud.cfg"))
		return 0;
	if (fs_is_dir(fs, "/usr/lib"))
		rc = fs_list(fs, "/usr/lib", &names, err);
	strlist_add(&names, "pymodules/python2.6");
	strlist_add(&names, "pymodules/python2.7");
	strlist_add(&names, "../share/pyshared");
	if (names.failed)
		return error_nomem(err);
	for (size_t i = 0; !rc && i < names.len && !*c->version; i++)
		for (size_t k = 0; !rc && k < 3 && strstr(names.item[i], "py"); k++) {
			CLEANUP(buf_done) struct buf dir = {0};

			buf_printf(&dir, "/usr/lib/%s/%s", names.item[i], below[k]);
			rc = dir.failed ? error_nomem(err) : read_python(fs, dir.data, c, &f->arena, err);
		}
	return rc;
}

int read_security(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const iptables[] = {"/sbin/iptables", "/usr/sbin/iptables"};
	int rc;

	f->security.iptables = "";
	for (size_t i = 0; i < 2 && !*f->security.iptables; i++) {
		CLEANUP_FREE char *real = NULL;

		if (!fs_realpath(fs, iptables[i], &real, NULL))
			f->security.iptables = arena_strdup(&f->arena, real);
	}
	rc = read_apparmor(fs, f, err);
	if (!rc)
		rc = read_cloudinit(fs, f, err);
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}
