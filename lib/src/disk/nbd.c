#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libnbd.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/backends.h"
#include "disk/nbdserver.h"

#define REQUEST_MAX (32u << 20) /* what qemu-nbd takes */
#define READ_PIECE (1u << 20)
#define READ_DEPTH 8
#define ZERO_MAX (1u << 30)
#define STATUS_MAX (1u << 30)
#define STATUS_RUNS 512

struct nbd_disk {
	struct disk d;
	struct nbd_handle *h;
	struct nbd_server server;
	int exclusive_fd; /* keeps a block device from being mounted meanwhile, else -1 */
	bool can_zero, can_status, can_flush; /* asked at the start: later -1 may mean that the server is gone */
	char format[32];
	/* the last answer about allocation: runs[i] lies from the end of its predecessor (or status_off) on */
	uint64_t status_off;
	size_t runs;
	struct {
		uint64_t end;
		bool zero;
	} run[STATUS_RUNS];
};

static int nbd_failed(struct nbd_disk *n, const char *verb, uint64_t off, struct p2h_error *err)
{
	int errnum = nbd_get_errno();

	if (nbd_aio_is_dead(n->h) > 0 || nbd_aio_is_closed(n->h) > 0)
		return error_set(err, P2H_IO, "%s: %s at %" PRIu64 ": qemu-nbd ended", n->d.name, verb, off);
	if (errnum)
		return error_sys(err, errnum, "%s: %s at %" PRIu64 " through qemu-nbd", n->d.name, verb, off);
	return error_set(err, P2H_IO, "%s: %s at %" PRIu64 ": %s", n->d.name, verb, off, nbd_get_error());
}

struct request {
	int64_t cookie; /* 0: free */
};

/* Frees the requests that have ended. Returns their number, or -1 when one of them failed. */
static int retire(struct nbd_disk *n, struct request *request, int *in_flight)
{
	int failed = 0, ended = 0;

	for (int i = 0; i < READ_DEPTH; i++) {
		int done;

		if (!request[i].cookie)
			continue;
		done = nbd_aio_command_completed(n->h, (uint64_t)request[i].cookie);
		if (!done)
			continue;
		request[i].cookie = 0;
		(*in_flight)--;
		ended++;
		if (done < 0)
			failed = 1;
	}
	return failed ? -1 : ended;
}

static bool start_read(struct nbd_disk *n, struct request *request, char *to, uint64_t off, size_t len)
{
	int i = 0;

	while (request[i].cookie)
		i++;
	request[i].cookie = nbd_aio_pread(n->h, to, len, off, NBD_NULL_COMPLETION, 0);
	if (request[i].cookie > 0)
		return true;
	request[i].cookie = 0;
	return false;
}

/* Several requests at once: qemu-nbd decompresses and looks up clusters in parallel. */
static int read_pieces(struct nbd_disk *n, char *to, uint64_t off, size_t len, struct p2h_error *err)
{
	struct request request[READ_DEPTH] = {{0}};
	int in_flight = 0, ended, code = 0;

	while (in_flight || (len && !code)) {
		while (!code && len && in_flight < READ_DEPTH) {
			size_t piece = len < READ_PIECE ? len : READ_PIECE;

			if (!start_read(n, request, to, off, piece)) {
				code = nbd_failed(n, "read", off, err);
				break;
			}
			in_flight++;
			to += piece;
			off += piece;
			len -= piece;
		}
		/* After a failure the others are waited for: they write to the caller's buffer. */
		ended = retire(n, request, &in_flight);
		if (ended < 0 && !code)
			code = nbd_failed(n, "read", off, err);
		if (!ended && nbd_poll(n->h, -1) < 0) /* the connection is gone, and nothing writes to the buffer */
			return code ? code : nbd_failed(n, "read", off, err);
	}
	return code;
}

static int nbd_disk_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct nbd_disk *n = (struct nbd_disk *)d;

	if (len > READ_PIECE)
		return read_pieces(n, buf, off, len, err);
	return nbd_pread(n->h, buf, len, off, 0) < 0 ? nbd_failed(n, "read", off, err) : 0;
}

/* One after the other: the order decides where QEMU puts clusters, and the same input is to give the same file. */
static int nbd_disk_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct nbd_disk *n = (struct nbd_disk *)d;
	const char *from = buf;

	n->runs = 0;
	while (len) {
		size_t piece = len < REQUEST_MAX ? len : REQUEST_MAX;

		if (nbd_pwrite(n->h, from, piece, off, 0) < 0)
			return nbd_failed(n, "write", off, err);
		from += piece;
		off += piece;
		len -= piece;
	}
	return 0;
}

static int nbd_disk_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	static const char zeros[256 << 10];
	struct nbd_disk *n = (struct nbd_disk *)d;

	n->runs = 0;
	while (len) {
		uint64_t most = n->can_zero ? ZERO_MAX : sizeof(zeros), piece = len < most ? len : most;
		int failed = n->can_zero ? nbd_zero(n->h, piece, off, 0) : nbd_pwrite(n->h, zeros, piece, off, 0);

		if (failed && n->can_zero && nbd_get_errno() == ENOTSUP) {
			n->can_zero = false;
			continue;
		}
		if (failed)
			return nbd_failed(n, "write", off, err);
		off += piece;
		len -= piece;
	}
	return 0;
}

static int nbd_disk_flush(struct disk *d, struct p2h_error *err)
{
	struct nbd_disk *n = (struct nbd_disk *)d;

	if (!n->can_flush)
		return 0;
	return nbd_flush(n->h, 0) < 0 ? nbd_failed(n, "flush", 0, err) : 0;
}

/* libnbd's callback; entries are pairs of a length and flags. */
static int take_status(void *arg, const char *context, uint64_t off, uint32_t *entries, size_t count, int *error)
{
	struct nbd_disk *n = arg;

	if (strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION) || *error || n->runs)
		return 0;
	n->status_off = off;
	for (size_t i = 0; i + 1 < count; i += 2) {
		bool zero = entries[i + 1] & LIBNBD_STATE_ZERO;

		if (!entries[i])
			break;
		off += entries[i];
		if (n->runs && n->run[n->runs - 1].zero == zero) {
			n->run[n->runs - 1].end = off;
			continue;
		}
		if (n->runs == STATUS_RUNS)
			break;
		n->run[n->runs].end = off;
		n->run[n->runs++].zero = zero;
	}
	return 0;
}

static bool find_status(const struct nbd_disk *n, uint64_t off, struct disk_extent *ret)
{
	size_t low = 0, high = n->runs;

	if (off < n->status_off)
		return false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (n->run[mid].end <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == n->runs)
		return false;
	*ret = (struct disk_extent){.len = n->run[low].end - off, .zero = n->run[low].zero};
	return true;
}

static int nbd_disk_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct nbd_disk *n = (struct nbd_disk *)d;
	uint64_t len = d->size - off < STATUS_MAX ? d->size - off : STATUS_MAX;
	nbd_extent_callback callback = {.callback = take_status, .user_data = n};

	*ret = (struct disk_extent){.len = d->size - off};
	if (!n->can_status || find_status(n, off, ret))
		return 0;
	n->runs = 0;
	if (nbd_block_status(n->h, len, off, callback, 0) < 0)
		return nbd_failed(n, "block status", off, err);
	if (!find_status(n, off, ret)) /* no answer about this byte: stored, for all we know */
		ret->len = len;
	return 0;
}

static void nbd_disk_close(struct disk *d)
{
	struct nbd_disk *n = (struct nbd_disk *)d;

	if (n->h) {
		nbd_shutdown(n->h, 0);
		nbd_close(n->h);
		nbd_server_wait(&n->server); /* it ends with its last client, and closes the image in order */
	}
	nbd_server_done(&n->server);
	if (n->exclusive_fd >= 0)
		close(n->exclusive_fd);
	free(n);
}

static const struct disk_ops nbd_ops = {
	.read = nbd_disk_read,
	.write = nbd_disk_write,
	.zero = nbd_disk_zero,
	.flush = nbd_disk_flush,
	.extent = nbd_disk_extent,
	.close = nbd_disk_close,
};

static struct nbd_handle *new_handle(void)
{
	struct nbd_handle *h = nbd_create();

	if (!h)
		return NULL;
#ifdef LIBNBD_HAVE_NBD_SET_REQUEST_BLOCK_SIZE
	nbd_set_request_block_size(h, false); /* then the server takes any alignment */
#endif
#ifdef LIBNBD_HAVE_NBD_SET_PREAD_INITIALIZE
	nbd_set_pread_initialize(h, false); /* nobody reads the buffer of a failed call */
#endif
	if (nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) < 0) {
		nbd_close(h);
		return NULL;
	}
	return h;
}

static int connect_server(struct nbd_disk *n, const char *path, struct p2h_error *err)
{
	struct nbd_handle *h = new_handle();
	int64_t size;

	if (!h)
		return error_nomem(err);
	if (nbd_connect_socket(h, TAKE_FD(n->server.socket)) < 0) {
		nbd_close(h);
		return nbd_server_failure(&n->server, path, err);
	}
	n->h = h;
	size = nbd_get_size(h);
	if (size < 0)
		return error_set(err, P2H_IO, "%s: qemu-nbd does not tell its size: %s", path, nbd_get_error());
	if (!size)
		return error_set(err, P2H_CORRUPT, "%s: holds an empty disk", path);
	n->d.size = (uint64_t)size;
	n->can_zero = nbd_can_zero(h) > 0;
	n->can_flush = nbd_can_flush(h) > 0;
	n->can_status = nbd_can_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) > 0;
	return 0;
}

int nbd_open(const char *path, const char *format, bool is_device, unsigned flags, struct disk **ret,
	     struct p2h_error *err)
{
	bool writes = flags & DISK_WRITE;
	struct nbd_disk *n = calloc(1, sizeof(*n));
	int code = 0;

	if (!n)
		return error_nomem(err);
	disk_init(&n->d, &nbd_ops, 0, writes, path);
	n->server = (struct nbd_server)NBD_SERVER_INIT;
	n->exclusive_fd = -1;
	strncpy(n->format, format, sizeof(n->format) - 1);
	n->d.format = n->format;
	if (is_device && writes) {
		n->exclusive_fd = open(path, O_RDONLY | O_CLOEXEC | O_EXCL);
		if (n->exclusive_fd < 0)
			code = errno == EBUSY ? error_set(err, P2H_BUSY, "%s: is mounted or in use", path)
					      : error_sys(err, errno, "%s", path);
	}
	if (!code)
		code = nbd_server_start(&n->server, path, format, is_device, writes, err);
	if (!code)
		code = connect_server(n, path, err);
	if (code) {
		nbd_disk_close(&n->d);
		return code;
	}
	*ret = &n->d;
	return 0;
}
