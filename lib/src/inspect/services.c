/* services.c - which services start at boot, by their links: no init system's state is needed beyond that */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"

#define MAX_SERVICES 4096

static void add(struct strlist *to, const char *name, size_t len)
{
	CLEANUP_FREE char *copy = strndup(name, len);

	if (!copy)
		to->failed = true;
	else if (to->len < MAX_SERVICES && !strlist_has(to, copy))
		strlist_add(to, copy);
}

static int list(struct fs *fs, const char *dir, struct strlist *ret, struct p2h_error *err)
{
	return fs_is_dir(fs, dir) ? fs_list(fs, dir, ret, err) : 0;
}

/* "S20name", in the run levels that a server is brought up to. */
static int read_links(struct fs *fs, const char *dir, struct strlist *to, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = list(fs, dir, &names, err);

	for (size_t i = 0; i < names.len; i++) {
		const char *n = names.item[i];

		if (n[0] == 'S' && isdigit((unsigned char)n[1]) && isdigit((unsigned char)n[2]) && n[3])
			add(to, n + 3, strlen(n + 3));
	}
	return rc;
}

/* Enabled units: links in TARGET.wants below /etc/systemd/system. */
static int read_wants(struct fs *fs, struct strlist *to, struct p2h_error *err)
{
	static const char top[] = "/etc/systemd/system";
	CLEANUP(strlist_done) struct strlist targets = {0};
	int rc = list(fs, top, &targets, err);

	for (size_t t = 0; !rc && t < targets.len; t++) {
		CLEANUP(strlist_done) struct strlist names = {0};
		CLEANUP(buf_done) struct buf dir = {0};

		if (!text_ends_with(targets.item[t], ".wants"))
			continue;
		buf_printf(&dir, "%s/%s", top, targets.item[t]);
		rc = dir.failed ? error_nomem(err) : list(fs, dir.data, &names, err);
		for (size_t i = 0; i < names.len; i++)
			if (text_ends_with(names.item[i], ".service"))
				add(to, names.item[i], strlen(names.item[i]) - strlen(".service"));
	}
	return rc;
}

int read_services(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const dir[] = {"/etc/rcS.d", "/etc/rc2.d", "/etc/rc3.d", "/etc/rc5.d", "/etc/rc.d/rc3.d", "/etc/rc.d/rc5.d",
					  "/etc/init.d/boot.d", "/etc/init.d/rc3.d", "/etc/init.d/rc5.d", "/etc/rc.d/boot.d"};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(dir) / sizeof(dir[0]); i++)
		rc = read_links(fs, dir[i], &f->services, err);
	if (!rc)
		rc = read_wants(fs, &f->services, err);
	strlist_sort(&f->services);
	return rc ? rc : f->services.failed ? error_nomem(err) : 0;
}
