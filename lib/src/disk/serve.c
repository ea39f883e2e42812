#include "disk/serve.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_REQUEST (32u << 20) /* what clients may rely on without being told */
#define MAX_OPTION 65536u

#define NBD_MAGIC UINT64_C(0x4e42444d41474943)
#define NBD_OPTION_MAGIC UINT64_C(0x49484156454f5054)
#define NBD_OPTION_REPLY_MAGIC UINT64_C(0x0003e889045565a9)
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_REPLY_MAGIC 0x67446698u

enum { FLAG_FIXED_NEWSTYLE = 1, FLAG_NO_ZEROES = 2 };
enum { OPT_EXPORT_NAME = 1, OPT_ABORT = 2, OPT_LIST = 3, OPT_INFO = 6, OPT_GO = 7 };
#define REP_ACK 1u
#define REP_SERVER 2u
#define REP_INFO 3u
#define REP_ERR_UNSUP 0x80000001u
enum { SENDS_FLAGS = 1, READ_ONLY = 2, SENDS_FLUSH = 4, SENDS_WRITE_ZEROES = 64 };
enum { CMD_READ, CMD_WRITE, CMD_DISC, CMD_FLUSH, CMD_TRIM, CMD_CACHE, CMD_WRITE_ZEROES };

struct disk_server {
	pthread_t thread;
	pthread_mutex_t lock; /* guards the next five */
	struct disk *disk;
	uint64_t off;
	struct p2h_error failure;
	int client; /* -1: none */
	bool stopping;
	uint64_t size;
	bool writable;
	int listener;
	int stop[2]; /* a pipe: closed at its writing end when the thread is to leave */
	char *buf;
	size_t buf_len;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

/* All of it or nothing; false: the client has gone. */
static bool receive(int fd, void *to, size_t len)
{
	for (char *at = to; len;) {
		ssize_t n = recv(fd, at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool transmit(int fd, const void *from, size_t len)
{
	for (const char *at = from; len;) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		len -= (size_t)n;
	}
	return true;
}

static bool reserve(struct disk_server *s, size_t len)
{
	char *bigger;

	if (len <= s->buf_len)
		return true;
	bigger = realloc(s->buf, len);
	if (!bigger)
		return false;
	s->buf = bigger;
	s->buf_len = len;
	return true;
}

/* ---- the handshake ---- */

static uint16_t transmission_flags(const struct disk_server *s)
{
	return s->writable ? SENDS_FLAGS | SENDS_FLUSH | SENDS_WRITE_ZEROES : SENDS_FLAGS | READ_ONLY;
}

static bool option_reply(int fd, uint32_t option, uint32_t type, const void *data, uint32_t len)
{
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, type, len;
	} head = {htobe64(NBD_OPTION_REPLY_MAGIC), htobe32(option), htobe32(type), htobe32(len)};

	return transmit(fd, &head, sizeof(head)) && (!len || transmit(fd, data, len));
}

/* NBD_INFO_EXPORT; the export has no name, whatever name was asked for. */
static bool export_info(const struct disk_server *s, int fd, uint32_t option)
{
	struct __attribute__((packed)) {
		uint16_t type;
		uint64_t size;
		uint16_t flags;
	} info = {0, htobe64(s->size), htobe16(transmission_flags(s))};

	return option_reply(fd, option, REP_INFO, &info, sizeof(info)) && option_reply(fd, option, REP_ACK, NULL, 0);
}

static bool export_name(const struct disk_server *s, int fd, bool zeroes)
{
	struct __attribute__((packed)) {
		uint64_t size;
		uint16_t flags;
		char zeroes[124];
	} answer = {.size = htobe64(s->size), .flags = htobe16(transmission_flags(s))};

	return transmit(fd, &answer, zeroes ? sizeof(answer) : sizeof(answer) - sizeof(answer.zeroes));
}

/* *ret_ready: requests follow. */
static bool handle_option(struct disk_server *s, int fd, bool zeroes, bool *ret_ready)
{
	struct __attribute__((packed)) {
		uint64_t magic;
		uint32_t option, len;
	} head;
	uint32_t option, len;
	static const uint32_t no_name;

	if (!receive(fd, &head, sizeof(head)) || be64toh(head.magic) != NBD_OPTION_MAGIC)
		return false;
	option = be32toh(head.option);
	len = be32toh(head.len);
	if (len > MAX_OPTION || !reserve(s, len) || !receive(fd, s->buf, len))
		return false;
	switch (option) {
	case OPT_EXPORT_NAME:
		*ret_ready = true;
		return export_name(s, fd, zeroes);
	case OPT_GO:
		*ret_ready = true;
		return export_info(s, fd, option);
	case OPT_INFO:
		return export_info(s, fd, option);
	case OPT_LIST:
		return option_reply(fd, option, REP_SERVER, &no_name, sizeof(no_name)) && option_reply(fd, option, REP_ACK, NULL, 0);
	case OPT_ABORT:
		option_reply(fd, option, REP_ACK, NULL, 0);
		return false;
	default:
		return option_reply(fd, option, REP_ERR_UNSUP, NULL, 0);
	}
}

static bool shake_hands(struct disk_server *s, int fd)
{
	struct __attribute__((packed)) {
		uint64_t magic, option_magic;
		uint16_t flags;
	} greeting = {htobe64(NBD_MAGIC), htobe64(NBD_OPTION_MAGIC), htobe16(FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES)};
	uint32_t flags;
	bool ready = false;

	if (!transmit(fd, &greeting, sizeof(greeting)) || !receive(fd, &flags, sizeof(flags)))
		return false;
	while (!ready)
		if (!handle_option(s, fd, !(be32toh(flags) & FLAG_NO_ZEROES), &ready))
			return false;
	return true;
}

/* ---- requests ---- */

struct request {
	unsigned command;
	uint64_t off;
	uint32_t len;
};

/* The protocol's number for what went wrong. */
static uint32_t nbd_error(int code)
{
	switch (code) {
	case 0:
		return 0;
	case P2H_NOMEM:
		return ENOMEM;
	case P2H_NOSPACE:
		return ENOSPC;
	case P2H_USAGE:
		return EINVAL;
	default:
		return EIO;
	}
}

static int access_disk(struct disk_server *s, const struct request *r, struct p2h_error *err)
{
	uint64_t off = s->off + r->off;

	if (!s->disk)
		return error_set(err, P2H_USAGE, "no disk is offered");
	switch (r->command) {
	case CMD_READ:
		return disk_read(s->disk, s->buf, off, r->len, err);
	case CMD_WRITE:
		return disk_write(s->disk, s->buf, off, r->len, err);
	case CMD_WRITE_ZEROES:
		return disk_zero(s->disk, off, r->len, err);
	case CMD_FLUSH:
		return s->writable ? disk_flush(s->disk, err) : 0;
	default:
		return error_set(err, P2H_USAGE, "NBD command %u was not offered", r->command);
	}
}

static uint32_t execute(struct disk_server *s, const struct request *r)
{
	struct p2h_error err = {0};
	int rc;

	if (r->command != CMD_FLUSH && (r->off > s->size || r->len > s->size - r->off))
		return r->command == CMD_WRITE ? ENOSPC : EINVAL;
	pthread_mutex_lock(&s->lock);
	rc = access_disk(s, r, &err);
	if (rc && !s->failure.code)
		s->failure = err;
	pthread_mutex_unlock(&s->lock);
	return nbd_error(rc);
}

static bool answer_request(struct disk_server *s, int fd)
{
	struct __attribute__((packed)) {
		uint32_t magic;
		uint16_t flags, command;
		uint64_t handle, off;
		uint32_t len;
	} head;
	struct __attribute__((packed)) {
		uint32_t magic, error;
		uint64_t handle;
	} reply;
	struct request r;
	bool has_data;

	if (!receive(fd, &head, sizeof(head)) || be32toh(head.magic) != NBD_REQUEST_MAGIC)
		return false;
	r = (struct request){be16toh(head.command), be64toh(head.off), be32toh(head.len)};
	has_data = r.command == CMD_READ || r.command == CMD_WRITE;
	if (r.command == CMD_DISC || (has_data && (r.len > MAX_REQUEST || !reserve(s, r.len))))
		return false;
	if (r.command == CMD_WRITE && !receive(fd, s->buf, r.len))
		return false;
	reply.magic = htobe32(NBD_REPLY_MAGIC);
	reply.error = htobe32(execute(s, &r));
	reply.handle = head.handle;
	if (!transmit(fd, &reply, sizeof(reply)))
		return false;
	return r.command != CMD_READ || reply.error || transmit(fd, s->buf, r.len);
}

static void serve_client(struct disk_server *s, int fd)
{
	bool stopping;

	pthread_mutex_lock(&s->lock);
	s->client = fd;
	stopping = s->stopping;
	pthread_mutex_unlock(&s->lock);
	if (!stopping && shake_hands(s, fd))
		while (answer_request(s, fd))
			;
	pthread_mutex_lock(&s->lock);
	s->client = -1;
	pthread_mutex_unlock(&s->lock);
	close(fd);
}

static void *serve(void *arg)
{
	struct disk_server *s = arg;
	struct pollfd waiting[] = {{.fd = s->listener, .events = POLLIN}, {.fd = s->stop[0]}};

	for (;;) {
		int fd;

		if (poll(waiting, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (waiting[1].revents)
			return NULL;
		fd = waiting[0].revents ? accept4(s->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (fd >= 0)
			serve_client(s, fd);
	}
}

/* ---- starting and stopping ---- */

static int listen_at(struct disk_server *s, const char *path, struct p2h_error *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(err, P2H_USAGE, "%s: too long for the name of a socket: set TMPDIR to a shorter one", path);
	strcpy(address.sun_path, path);
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listener < 0 || bind(s->listener, (const struct sockaddr *)&address, sizeof(address)))
		return error_sys(err, errno, "%s", path);
	strcpy(s->path, path);
	return listen(s->listener, SOMAXCONN) ? error_sys(err, errno, "%s", path) : 0;
}

static void free_server(struct disk_server *s)
{
	if (s->path[0])
		unlink(s->path);
	if (s->listener >= 0)
		close(s->listener);
	for (int i = 0; i < 2; i++)
		if (s->stop[i] >= 0)
			close(s->stop[i]);
	pthread_mutex_destroy(&s->lock);
	free(s->buf);
	free(s);
}

int disk_serve(struct disk *d, const char *path, struct disk_server **ret, struct p2h_error *err)
{
	struct disk_server *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return error_nomem(err);
	s->disk = d;
	s->size = d->size;
	s->writable = d->writable;
	s->client = s->listener = s->stop[0] = s->stop[1] = -1;
	pthread_mutex_init(&s->lock, NULL);
	rc = pipe2(s->stop, O_CLOEXEC) ? error_sys(err, errno, "pipe") : listen_at(s, path, err);
	if (!rc && (errno = pthread_create(&s->thread, NULL, serve, s)))
		rc = error_sys(err, errno, "%s: a thread that serves it", path);
	if (rc) {
		free_server(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void disk_server_point(struct disk_server *s, struct disk *d, uint64_t off)
{
	pthread_mutex_lock(&s->lock);
	s->disk = d;
	s->off = off;
	pthread_mutex_unlock(&s->lock);
}

int disk_server_failed(struct disk_server *s, struct p2h_error *err)
{
	struct p2h_error failure;

	pthread_mutex_lock(&s->lock);
	failure = s->failure;
	s->failure = (struct p2h_error){0};
	pthread_mutex_unlock(&s->lock);
	if (failure.code && err)
		*err = failure;
	return failure.code;
}

void disk_server_stop(struct disk_server *s)
{
	if (!s)
		return;
	close(TAKE_FD(s->stop[1]));
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	if (s->client >= 0)
		shutdown(s->client, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	free_server(s);
}
