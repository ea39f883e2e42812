#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "inspect/parts.h"
#include "inspect/selabel.h"
#include "parse/textconf.h"

#define MAX_CONTEXTS (4 * 1024 * 1024u) /* Fedora's has 0.5 MiB */
#define PROBE_SECONDS 5
#define PROBE_MODULES 150

static const char *setting(struct facts *f, const struct buf *text, const char *name)
{
	CLEANUP_FREE char *value = assignment_get(text->data, text->len, name, NULL);

	return value ? arena_strdup(&f->arena, value) : "";
}

/* Every policy has labels for these. */
static const struct selabel_path known[] = {
	{"/boot/vmlinuz-0.0.0", S_IFREG},
	{"/boot/grub/grub.cfg", S_IFREG},
	{"/boot/grub/i386-pc", S_IFDIR},
	{"/etc/fstab", S_IFREG},
	{"/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", S_IFLNK},
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

/*
 * Tries it out with paths like those that will need labels: expressions that are damaged, or that take for ever, show here. PCRE gives up an
 * expression after ten million steps, and libselinux then has no label; that is why there are many modules, and little time.
 */
static int probe(struct facts *f, struct p2h_error *err)
{
	static const char *const tree[] = {"/boot/grub/i386-pc", "/lib/modules/0.0.0", "/usr/lib/modules/0.0.0"};
	struct selabel_path path[KNOWN + PROBE_MODULES];
	CLEANUP(strlist_done) struct strlist labels = {0};
	struct p2h_error why = {0};
	int rc;

	memcpy(path, known, sizeof(known));
	for (size_t i = 0; i < PROBE_MODULES; i++)
		path[KNOWN + i] = (struct selabel_path){arena_printf(&f->arena, "%s/drivers-and-more/module-%zu.ko", tree[i % 3], i), S_IFREG};
	if (f->arena.failed)
		return error_nomem(err);
	rc = selabel_find(&f->selinux, path, KNOWN + PROBE_MODULES, PROBE_SECONDS, &labels, &why);
	if (rc && rc != P2H_UNSUPPORTED) {
		if (err)
			*err = why;
		return rc;
	}
	if (rc)
		f->selinux.unusable = arena_strdup(&f->arena, why.msg);
	for (size_t i = 0; !rc && i < labels.len && !f->selinux.unusable; i++)
		if (!*labels.item[i])
			f->selinux.unusable = arena_printf(&f->arena, "no label for %s", path[i].path);
	return 0;
}

static int read_contexts(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	struct facts_selinux *s = &f->selinux;

	for (size_t i = 0; i < SELINUX_FILES; i++) {
		CLEANUP(buf_done) struct buf text = {0};
		const char *path = arena_printf(&f->arena, "%s%s", s->contexts, selinux_ending[i]);
		int rc = path ? fs_read(fs, path, MAX_CONTEXTS, &text, err) : error_nomem(err);

		if (rc == P2H_IO || rc == P2H_NOMEM)
			return rc;
		if (rc && rc != P2H_NOTFOUND) {
			s->unusable = arena_printf(&f->arena, "%s cannot be read", path);
			return 0;
		}
		s->file[i].text = arena_memdup(&f->arena, text.len ? text.data : "", text.len);
		s->file[i].len = text.len;
	}
	return probe(f, err);
}

int read_selinux(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	struct facts_selinux *s = &f->selinux;
	CLEANUP(buf_done) struct buf config = {0};
	const char *mode;
	int rc = fs_read(fs, "/etc/selinux/config", 65536, &config, err);

	s->type = s->contexts = "";
	if (rc == P2H_IO || rc == P2H_NOMEM)
		return rc;
	if (rc)
		return 0;
	mode = setting(f, &config, "SELINUX");
	s->type = setting(f, &config, "SELINUXTYPE");
	if (s->type && !*s->type)
		s->type = "targeted"; /* libselinux's own default */
	s->contexts = s->type && !strchr(s->type, '/') ? arena_printf(&f->arena, "/etc/selinux/%s/contexts/files/file_contexts", s->type) : "";
	if (f->arena.failed)
		return error_nomem(err);
	if (!*s->contexts || !fs_exists(fs, s->contexts))
		return 0;
	s->mode = !strcasecmp(mode, "enforcing") ? SELINUX_ENFORCING : !strcasecmp(mode, "permissive") ? SELINUX_PERMISSIVE : SELINUX_OFF;
	rc = s->mode == SELINUX_OFF ? 0 : read_contexts(fs, f, err);
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}
