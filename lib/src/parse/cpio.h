/*
 * cpio.h - the cpio archives of an initramfs ("newc" and its "crc" variant), read from pieces of any size
 *
 * As the kernel reads them (Documentation/driver-api/early-userspace/buffer-format.rst): archives follow each other with NUL bytes between, everything
 * is padded to 4 bytes. libarchive's reader ends with the first archive and does not tell where, hence this one.
 */
#ifndef P2H_PARSE_CPIO_H
#define P2H_PARSE_CPIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

#define CPIO_HEADER 110u
#define CPIO_NAME_MAX 4096u

/* What the reader tells of each member but the trailers, in this order. Each returns 0, or an error that ends the reading. */
struct cpio_ops {
	int (*member)(void *ctx, const char *name, uint32_t mode, uint64_t size, struct p2h_error *err);
	int (*data)(void *ctx, const uint8_t *data, size_t len, struct p2h_error *err); /* a piece of its content */
	int (*end)(void *ctx, struct p2h_error *err);
};

struct cpio {
	const struct cpio_ops *ops;
	void *ctx;
	bool aligned;    /* archives must start at multiples of 4 (outside compressed streams the kernel insists) */
	uint64_t pos;    /* bytes read so far; may start at the offset of the first byte */
	size_t archives; /* how many have ended */

	enum cpio_state { CPIO_BETWEEN, CPIO_IN_HEADER, CPIO_IN_NAME, CPIO_IN_DATA, CPIO_IN_PADDING } state;
	bool trailer;
	uint64_t base; /* where this archive began */
	uint64_t left; /* bytes until the present state ends */
	uint32_t mode;
	uint64_t size;
	size_t have; /* bytes in header or name */
	char header[CPIO_HEADER];
	char name[CPIO_NAME_MAX + 1];
};

/*
 * Reads on. *ret_used < len only when between two archives something begins that is no archive (a compressed stream, junk).
 * P2H_CORRUPT when the data contradicts the format.
 */
int cpio_feed(struct cpio *c, const uint8_t *data, size_t len, size_t *ret_used, struct p2h_error *err);

/* The data has ended: P2H_CORRUPT inside an archive. */
int cpio_finish(const struct cpio *c, struct p2h_error *err);

/*
 * An archive written, appended to ret: members in order, each belonging to root and dated 1970, then the end. What is there already in ret has to be a
 * multiple of 4 bytes long.
 */
void cpio_put(struct buf *ret, const char *name, uint32_t mode, const void *data, size_t len);
void cpio_put_end(struct buf *ret);

#endif
