#include "disk/nbdserver.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/run.h"

/* QEMU's option lists end a value at a comma; a doubled one stands for itself. */
static void add_value(struct buf *b, const char *value)
{
	for (; *value; value++)
		buf_append(b, *value == ',' ? ",," : value, *value == ',' ? 2 : 1);
}

/*
 * A reader takes no locks (force-share), else it would lock out the writer of a commit in place while it still reads;
 * who else writes to the image was asked before. Without a slash QEMU would read "nbd:x" as a protocol.
 */
static char *image_options(const char *path, const char *format, bool is_device, bool writes)
{
	struct buf b = {0};

	buf_printf(&b, "driver=%s,%s,file.driver=%s,file.filename=", format,
		   writes ? "discard=unmap,file.discard=unmap" : "read-only=on,force-share=on",
		   is_device ? "host_device" : "file");
	if (*path != '/')
		buf_puts(&b, "./");
	add_value(&b, path);
	return buf_take(&b);
}

static int bind_and_connect(const struct sockaddr_un *address, int listener, int client)
{
	const struct sockaddr *a = (const struct sockaddr *)address;

	if (bind(listener, a, sizeof(*address)) || listen(listener, 4) || connect(client, a, sizeof(*address)))
		return errno;
	return 0;
}

/*
 * A socket that listens and one that is connected to it, before there is a server: nobody has to wait for a file to
 * appear, and its name is gone again at once, so that nobody else can connect.
 */
static int make_sockets(int *ret_listener, int *ret_client)
{
	const char *tmp = secure_getenv("TMPDIR");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	CLEANUP_FD int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CLEANUP_FD int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char dir[64];
	int errnum;

	if (listener < 0 || client < 0)
		return errno;
	if (!tmp || !*tmp || (size_t)snprintf(dir, sizeof(dir), "%s/pv2hvm-XXXXXX", tmp) >= sizeof(dir))
		snprintf(dir, sizeof(dir), "/tmp/pv2hvm-XXXXXX");
	if (!mkdtemp(dir)) /* made with mode 0700 */
		return errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/nbd", dir);
	errnum = bind_and_connect(&address, listener, client);
	unlink(address.sun_path);
	rmdir(dir);
	if (errnum)
		return errnum;
	*ret_listener = TAKE_FD(listener);
	*ret_client = TAKE_FD(client);
	return 0;
}

int nbd_server_start(struct nbd_server *s, const char *path, const char *format, bool is_device, bool writes,
		     struct p2h_error *err)
{
	CLEANUP_FD int listener = -1;
	const char *argv[] = {"qemu-nbd", "--image-opts", NULL, NULL, NULL};
	int errnum;

	s->image = image_options(path, format, is_device, writes);
	if (!s->image)
		return error_nomem(err);
	argv[2] = s->image;
	if (!writes) {
		argv[2] = "--read-only";
		argv[3] = s->image;
	}
	errnum = make_sockets(&listener, &s->socket);
	if (errnum)
		return error_sys(err, errnum, "cannot make a socket for qemu-nbd");
	s->text_fd = memfd_create("qemu-nbd", MFD_CLOEXEC);
	if (s->text_fd < 0)
		return error_sys(err, errno, "cannot make a memory file");
	return run_start_listening(argv, "qemu-utils", listener, s->text_fd, &s->pid, err);
}

bool nbd_server_wait(struct nbd_server *s)
{
	int status = -1;

	if (s->pid > 0)
		while (waitpid(s->pid, &status, 0) < 0 && errno == EINTR)
			;
	s->pid = -1;
	return status == 0;
}

void nbd_server_done(struct nbd_server *s)
{
	if (s->socket >= 0)
		close(s->socket);
	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		nbd_server_wait(s);
	}
	if (s->text_fd >= 0)
		close(s->text_fd);
	free(s->image);
	*s = (struct nbd_server)NBD_SERVER_INIT;
}

static bool has(const char *text, const char *words)
{
	return strcasestr(text, words);
}

/* qemu-nbd has only words for what happened. */
static enum p2h_code code_from_text(const char *text)
{
	if (has(text, "\" lock"))
		return P2H_BUSY;
	if (has(text, "unknown driver") || has(text, "unsupported") || has(text, "not supported"))
		return P2H_UNSUPPORTED;
	if (has(text, "permission denied") || has(text, "input/output error"))
		return P2H_IO;
	return has(text, "cannot allocate") ? P2H_NOMEM : P2H_CORRUPT;
}

/* "qemu-nbd: Failed to blk_new_open '<options>': <reason>" without what only we can make sense of. */
static const char *reason_in(const struct nbd_server *s, char *text)
{
	static const char open_words[] = "Failed to blk_new_open '", name[] = "qemu-nbd: ";
	char *line = strstr(text, name), *end;
	size_t len = strlen(s->image);

	line = line ? line + strlen(name) : text;
	end = strchr(line, '\n');
	if (!strncmp(line, open_words, strlen(open_words)) && !strncmp(line + strlen(open_words), s->image, len) &&
	    !strncmp(line + strlen(open_words) + len, "': ", 3)) {
		line += strlen(open_words) + len + 3;
		end = strchr(line, '\n');
	}
	if (end)
		*end = '\0';
	return line;
}

int nbd_server_failure(struct nbd_server *s, const char *path, struct p2h_error *err)
{
	char text[4096];
	const char *reason;
	ssize_t n;

	if (s->pid > 0) {
		kill(s->pid, SIGTERM);
		nbd_server_wait(s);
	}
	n = pread(s->text_fd, text, sizeof(text) - 1, 0);
	text[n > 0 ? n : 0] = '\0';
	reason = reason_in(s, text);
	if (!*reason)
		return error_set(err, P2H_TOOL, "%s: qemu-nbd ended without a reason", path);
	return error_set(err, code_from_text(reason), "%s: %s%s", path, reason,
			 code_from_text(reason) == P2H_BUSY ? " (in use by another process, a running QEMU guest?)" : "");
}
