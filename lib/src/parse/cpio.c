#include "parse/cpio.h"

#include <string.h>
#include <sys/stat.h>

/* Header: a magic of 6 digits, then 13 fields of 8 hexadecimal digits */
enum { FIELD_MODE = 1, FIELD_SIZE = 6, FIELD_NAME_SIZE = 11 };
#define MAGIC_SIZE 6u
#define BLOCK 512u /* cpio(1) misses the rest of the last one */

static bool read_field(const char *header, unsigned field, uint32_t *ret)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 8; i++) {
		char digit = header[MAGIC_SIZE + field * 8 + i];

		value <<= 4;
		if (digit >= '0' && digit <= '9')
			value |= (uint32_t)(digit - '0');
		else if (digit >= 'a' && digit <= 'f')
			value |= (uint32_t)(digit - 'a' + 10);
		else if (digit >= 'A' && digit <= 'F')
			value |= (uint32_t)(digit - 'A' + 10);
		else
			return false;
	}
	*ret = value;
	return true;
}

/* Padding up to the next multiple of 4, counted from the start of the archive. */
static uint64_t padding(const struct cpio *c)
{
	return -(c->pos - c->base) & 3;
}

static void expect_header(struct cpio *c)
{
	c->state = CPIO_IN_HEADER;
	c->have = 0;
	c->left = CPIO_HEADER;
}

static int header_done(struct cpio *c, struct p2h_error *err)
{
	uint32_t size, name_size;
	bool known = !memcmp(c->header, "070701", MAGIC_SIZE) || !memcmp(c->header, "070702", MAGIC_SIZE);

	if (!known || !read_field(c->header, FIELD_MODE, &c->mode) || !read_field(c->header, FIELD_SIZE, &size) ||
	    !read_field(c->header, FIELD_NAME_SIZE, &name_size))
		return error_set(err, P2H_CORRUPT, "initramfs: no cpio header at byte %llu of the archive",
				 (unsigned long long)(c->pos - c->base - CPIO_HEADER));
	if (!name_size || name_size > CPIO_NAME_MAX)
		return error_set(err, P2H_CORRUPT, "initramfs: a member's name of %u bytes", name_size);
	c->size = size;
	c->state = CPIO_IN_NAME;
	c->have = 0;
	c->left = name_size;
	return 0;
}

/* The padding after a name belongs to the content as far as states go: none of it is passed on. */
static int name_done(struct cpio *c, struct p2h_error *err)
{
	c->name[c->have] = '\0';
	c->trailer = !strcmp(c->name, "TRAILER!!!");
	c->state = CPIO_IN_DATA;
	c->left = padding(c) + c->size;
	return c->trailer ? 0 : c->ops->member(c->ctx, c->name, c->mode, c->size, err);
}

static int data_done(struct cpio *c, struct p2h_error *err)
{
	if (c->trailer) {
		c->archives++;
		c->state = CPIO_BETWEEN;
		return 0;
	}
	c->state = CPIO_IN_PADDING;
	c->left = padding(c);
	return c->ops->end(c->ctx, err);
}

/* Takes over what the present state wants of data; n is at most c->left. */
static int take(struct cpio *c, const uint8_t *data, size_t n, struct p2h_error *err)
{
	size_t skip;

	c->pos += n;
	c->left -= n;
	switch (c->state) {
	case CPIO_IN_HEADER:
		memcpy(c->header + c->have, data, n);
		c->have += n;
		return 0;
	case CPIO_IN_NAME:
		memcpy(c->name + c->have, data, n);
		c->have += n;
		return 0;
	case CPIO_IN_DATA:
		if (c->left + n <= c->size)
			skip = 0;
		else
			skip = c->left + n - c->size < n ? (size_t)(c->left + n - c->size) : n;
		return c->trailer || skip == n ? 0 : c->ops->data(c->ctx, data + skip, n - skip, err);
	case CPIO_IN_PADDING:
	case CPIO_BETWEEN:
	default:
		return 0;
	}
}

/* The present state has all it needs: on to the next. */
static int advance(struct cpio *c, struct p2h_error *err)
{
	switch (c->state) {
	case CPIO_IN_HEADER:
		return header_done(c, err);
	case CPIO_IN_NAME:
		return name_done(c, err);
	case CPIO_IN_DATA:
		return data_done(c, err);
	case CPIO_IN_PADDING:
		expect_header(c);
		return 0;
	case CPIO_BETWEEN:
	default:
		return 0;
	}
}

/* Skips NUL bytes, of which there may be gigabytes; true when an archive begins. */
static bool find_archive(struct cpio *c, const uint8_t *data, size_t len, size_t *done)
{
	static const uint8_t zeros[512];
	size_t from = *done;

	while (len - *done >= sizeof(zeros) && !memcmp(data + *done, zeros, sizeof(zeros)))
		*done += sizeof(zeros);
	while (*done < len && !data[*done])
		++*done;
	c->pos += *done - from;
	return *done < len && data[*done] == '0';
}

int cpio_feed(struct cpio *c, const uint8_t *data, size_t len, size_t *ret_used, struct p2h_error *err)
{
	size_t done = 0;

	while (done < len) {
		size_t n = len - done;
		int code;

		if (c->state == CPIO_BETWEEN) {
			if (!find_archive(c, data, len, &done))
				break;
			if (c->aligned && c->pos % 4)
				return error_set(err, P2H_CORRUPT, "initramfs: an archive at byte %llu, which is not a multiple of 4",
						 (unsigned long long)c->pos);
			c->base = c->pos;
			expect_header(c);
			continue;
		}
		if (n > c->left)
			n = (size_t)c->left;
		code = take(c, data + done, n, err);
		done += n;
		while (!code && !c->left && c->state != CPIO_BETWEEN)
			code = advance(c, err);
		if (code)
			return code;
	}
	*ret_used = done;
	return 0;
}

int cpio_finish(const struct cpio *c, struct p2h_error *err)
{
	if (c->state == CPIO_BETWEEN)
		return 0;
	return error_set(err, P2H_CORRUPT, "initramfs: truncated: the data ends inside a cpio archive");
}

static void pad(struct buf *ret)
{
	buf_append(ret, "\0\0\0", -ret->len & 3);
}

/* Fields: inode, mode, owner, group, links, date, size, device (two), special device (two), length of the name with its NUL, sum. */
static void put_member(struct buf *ret, const char *name, uint32_t mode, uint32_t links, const void *data, size_t len)
{
	buf_printf(ret, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0u, mode, 0u, 0u, links, 0u, (unsigned)len, 0u, 0u, 0u, 0u,
		   (unsigned)strlen(name) + 1, 0u);
	buf_append(ret, name, strlen(name) + 1);
	pad(ret);
	if (len)
		buf_append(ret, data, len);
	pad(ret);
}

void cpio_put(struct buf *ret, const char *name, uint32_t mode, const void *data, size_t len)
{
	put_member(ret, name, mode, S_ISDIR(mode) ? 2 : 1, data, len);
}

void cpio_put_end(struct buf *ret)
{
	static const char zeros[BLOCK];

	put_member(ret, "TRAILER!!!", 0, 1, NULL, 0);
	buf_append(ret, zeros, -ret->len % BLOCK);
}
