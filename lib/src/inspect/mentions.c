/* mentions.c - where the guest's own scripts and settings name a disk by the bus that it was on */
#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "inspect/parts.h"

#define MAX_FILE (256 * 1024u)         /* nobody writes such a script by hand */
#define MAX_BYTES (32 * 1024 * 1024u)
#define MAX_VISITS 20000
#define MAX_DEPTH 8
#define MAX_MENTIONS 200

/* Other rules see to these, or they are written anew by programs, or are data that only looks like settings. */
static const char *const skip[] = {
	"/etc/fstab", "/etc/mtab", "/etc/crypttab", "/etc/mdadm.conf", "/etc/mdadm", "/etc/blkid", "/etc/blkid.tab", "/etc/lvm/archive",
	"/etc/lvm/backup", "/etc/lvm/cache", "/etc/lvm/devices", "/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf", "/etc/grub.d", "/etc/grub.conf", "/etc/grub2.cfg", "/etc/default/grub",
	"/etc/default/grub.d", "/etc/lilo.conf", "/etc/ssl", "/etc/pki", "/etc/selinux", "/etc/apparmor", "/etc/apparmor.d",
	"/etc/bash_completion.d", "/etc/alternatives", "/etc/udev/rules.d", "/etc/udev/hwdb.bin", "/etc/ld.so.cache", "/etc/X11",
	"/etc/kernel", "/etc/initramfs-tools", "/etc/logcheck", "/etc/sane.d", "/etc/brltty",
};

struct search {
	struct fs *fs;
	struct facts *f;
	size_t bytes, visits;
};

static bool is_skipped(const char *path)
{
	static const char *const end[] = {"~", ".bak", ".orig", ".old", ".rpmnew", ".rpmorig", ".rpmsave", ".dpkg-old", ".dpkg-dist", ".dpkg-new",
					  ".dpkg-bak", ".ucf-old", ".ucf-dist", ".pem", ".gz"};

	for (size_t i = 0; i < sizeof(skip) / sizeof(skip[0]); i++)
		if (!strcmp(path, skip[i]))
			return true;
	for (size_t i = 0; i < sizeof(end) / sizeof(end[0]); i++)
		if (text_ends_with(path, end[i]))
			return true;
	return false;
}

/* Length of "/dev/sda1", "/dev/xvdb", "/dev/hda" at `at`; 0: no disk. Patterns like /dev/sd[a-z] look for what is there, and are none. */
static size_t device_length(const char *at, size_t len)
{
	static const char *const stem[] = {"/dev/sd", "/dev/xvd", "/dev/hd"};

	for (size_t i = 0; i < sizeof(stem) / sizeof(stem[0]); i++) {
		size_t n = strlen(stem[i]), letters = n;

		if (len <= n || memcmp(at, stem[i], n))
			continue;
		while (n < len && at[n] >= 'a' && at[n] <= 'z')
			n++;
		if (n == letters || n > letters + 2)
			return 0;
		while (n < len && isdigit((unsigned char)at[n]))
			n++;
		return n < len && (isalpha((unsigned char)at[n]) || at[n] == '_') ? 0 : n;
	}
	return 0;
}

/* The first disk named in a line, before a comment. A '#' in the middle of a word begins none. */
static const char *find_device(const char *at, size_t len, size_t *ret_len)
{
	size_t i = 0;

	while (i < len && isspace((unsigned char)at[i]))
		i++;
	if (i == len || at[i] == '#' || at[i] == ';' || at[i] == '!')
		return NULL;
	for (; i < len; i++) {
		if (at[i] == '#' && i && isspace((unsigned char)at[i - 1]))
			return NULL;
		if (at[i] != '/' || (i && isalnum((unsigned char)at[i - 1])))
			continue;
		*ret_len = device_length(at + i, len - i);
		if (*ret_len)
			return at + i;
	}
	return NULL;
}

static void read_text(struct search *s, const char *path, const struct buf *text)
{
	struct facts_mentions *all = &s->f->mentions;
	const char *end = text->len ? text->data + text->len : NULL, *next;
	size_t number = 1;

	for (const char *at = text->data; at < end; at = next, number++) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *found;
		struct facts_mention *m;
		size_t len = 0;

		next = nl ? nl + 1 : end;
		found = find_device(at, (size_t)(next - at), &len);
		if (!found)
			continue;
		if (all->len == MAX_MENTIONS) {
			all->cut = true;
			return;
		}
		m = arena_push(&s->f->arena, &all->item, &all->len, sizeof(*m));
		if (!m)
			return;
		*m = (struct facts_mention){arena_strdup(&s->f->arena, path), arena_printf(&s->f->arena, "%.*s", (int)len, found), number};
	}
}

static int visit(struct search *s, const char *path, unsigned depth, struct p2h_error *err);

static int visit_directory(struct search *s, const char *path, unsigned depth, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	int rc = fs_list(s->fs, path, &names, err);

	for (size_t i = 0; !rc && i < names.len; i++) {
		CLEANUP(buf_done) struct buf child = {0};

		buf_printf(&child, "%s/%s", path, names.item[i]);
		rc = child.failed ? error_nomem(err) : visit(s, child.data, depth + 1, err);
	}
	return rc;
}

/* What cannot be read is passed over: nothing is decided by this search. */
static int visit(struct search *s, const char *path, unsigned depth, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf text = {0};
	struct fs_stat st;
	int rc = 0;

	if (s->f->mentions.cut || is_skipped(path) || fs_lstat(s->fs, path, &st, NULL))
		return 0;
	if (++s->visits > MAX_VISITS || s->bytes > MAX_BYTES || depth > MAX_DEPTH) {
		s->f->mentions.cut = true;
		return 0;
	}
	if (S_ISDIR(st.mode))
		rc = visit_directory(s, path, depth, err);
	else if (S_ISREG(st.mode) && st.size && st.size <= MAX_FILE)
		rc = fs_read(s->fs, path, MAX_FILE, &text, err);
	s->bytes += text.len;
	if (!rc && text.len && !memchr(text.data, '\0', text.len))
		read_text(s, path, &text);
	return rc == P2H_IO || rc == P2H_NOMEM ? rc : 0;
}

int read_mentions(struct fs *fs, struct facts *f, struct p2h_error *err)
{
	static const char *const top[] = {"/etc", "/usr/local/bin", "/usr/local/etc", "/usr/local/sbin", "/var/spool/cron"};
	struct search s = {.fs = fs, .f = f};
	int rc = 0;

	for (size_t i = 0; !rc && i < sizeof(top) / sizeof(top[0]); i++)
		rc = visit(&s, top[i], 0, err);
	return rc ? rc : f->arena.failed ? error_nomem(err) : 0;
}
