#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/backends.h"
#include "disk/imagerefs.h"

#define FILES_MAX 256 /* a chain that is longer, or loops, is refused */

/* What QEMU would take for a protocol: a colon before the first slash. */
static bool has_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

static bool has_parent_step(const char *name)
{
	for (const char *at = name; *at; at += strcspn(at, "/")) {
		at += strspn(at, "/");
		if (!strncmp(at, "..", 2) && (at[2] == '/' || !at[2]))
			return true;
	}
	return false;
}

/* The directory of a path, resolved; NULL when it is not there or (noted) on no memory. */
static char *real_directory(const char *path)
{
	CLEANUP_FREE char *copy = strdup(path), *real = copy ? realpath(dirname(copy), NULL) : NULL;

	if (!real && errno == ENOMEM)
		error_note_nomem();
	return TAKE(real);
}

/* Does a file that `path` refers to as `name` lie in its directory or below? */
static bool stays_beside(const char *path, const char *name)
{
	CLEANUP_FREE char *home = NULL, *there = NULL;
	size_t len;

	if (has_protocol(name) || has_parent_step(name))
		return false;
	if (*name != '/')
		return true;
	home = real_directory(path);
	there = real_directory(name);
	if (!home || !there)
		return false;
	len = strlen(home);
	return !strncmp(home, there, len) && (there[len] == '/' || !there[len]);
}

static char *path_beside(const char *path, const char *name)
{
	CLEANUP_FREE char *copy = strdup(path);
	char *whole;

	if (*name == '/')
		return strdup(name);
	if (!copy || asprintf(&whole, "%s/%s", dirname(copy), name) < 0)
		return NULL;
	return whole;
}

static int check_names(const char *path, const char *format, const struct strlist *names, struct p2h_error *err)
{
	for (size_t i = 0; i < names->len; i++)
		if (!stays_beside(path, names->item[i]))
			return error_set(err, P2H_REFUSED,
					 "%s: claims to be %s with '%s' outside its directory, which a guest could have "
					 "written into a raw disk: say --input-format %s if you trust it, or raw",
					 path, format, names->item[i], format);
	return 0;
}

static int read_magic(int fd, const char *path, const char **ret, struct p2h_error *err)
{
	unsigned char head[512];
	ssize_t n = pread_up_to(fd, head, sizeof(head), 0);

	if (n < 0)
		return error_sys(err, (int)-n, "%s: read", path);
	*ret = image_magic(head, (size_t)n);
	return 0;
}

/* Checks the names in one file, and adds those whose own content is to be looked at to `todo`. */
static int check_file(const char *path, int fd, const char *format, struct strlist *todo, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist probe = {0}, fixed = {0};
	int code = image_references(fd, path, format, &probe, &fixed, err);

	if (!code)
		code = check_names(path, format, &probe, err);
	if (!code)
		code = check_names(path, format, &fixed, err);
	for (size_t i = 0; !code && i < probe.len; i++) {
		CLEANUP_FREE char *next = path_beside(path, probe.item[i]);

		if (!next)
			return error_nomem(err);
		if (strlist_has(todo, next)) /* a monolithic vmdk names itself; a loop is QEMU's to refuse */
			continue;
		strlist_add(todo, next);
		if (todo->failed)
			return error_nomem(err);
		if (todo->len > FILES_MAX)
			return error_set(err, P2H_CORRUPT, "%s: refers to too many other files", todo->item[0]);
	}
	return code;
}

static int check_all(const char *path, int fd, const char *format, struct p2h_error *err)
{
	CLEANUP(strlist_done) struct strlist todo = {0};
	int code;

	strlist_add(&todo, path);
	if (todo.failed)
		return error_nomem(err);
	code = check_file(path, fd, format, &todo, err);
	for (size_t i = 1; !code && i < todo.len; i++) {
		CLEANUP_FD int other = -1;
		struct image_file image;
		const char *claims = "raw";

		if (image_file_open(todo.item[i], &image, NULL))
			continue; /* not there: QEMU will say so, and for whom */
		other = image.fd;
		code = read_magic(other, todo.item[i], &claims, err);
		if (!code)
			code = check_file(todo.item[i], other, claims, &todo, err);
	}
	return code;
}

int detect_format(const char *path, const struct image_file *image, const char **ret, struct p2h_error *err)
{
	const char *format = "raw";
	int code = read_magic(image->fd, path, &format, err);

	if (code)
		return code;
	if (strcmp(format, "raw") && image->is_device)
		return error_set(err, P2H_REFUSED,
				 "%s: a block device that claims to hold a %s image, which a guest could have written; "
				 "name the format (%s or raw)",
				 path, format, format);
	if (strcmp(format, "raw"))
		code = check_all(path, image->fd, format, err);
	if (!code)
		*ret = format;
	return code;
}
