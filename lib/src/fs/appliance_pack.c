#include "fs/appliance_pack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"

#define PACK_MAX (32u << 20) /* bytes that are gathered at most */

struct pack {
	struct archive *archive;
	int fd;
	uint64_t size;
};

void pack_free(struct pack *p)
{
	if (!p)
		return;
	archive_write_free(p->archive);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

static int pack_new(struct pack **ret, struct p2h_error *err)
{
	struct pack *p = calloc(1, sizeof(*p));

	if (!p)
		return error_nomem(err);
	p->fd = memfd_create("pv2hvm", MFD_CLOEXEC);
	p->archive = archive_write_new();
	if (p->fd < 0 || !p->archive || archive_write_add_filter_gzip(p->archive) || archive_write_set_format_pax(p->archive) ||
	    archive_write_set_filter_option(p->archive, "gzip", "compression-level", "1") || archive_write_open_fd(p->archive, p->fd)) {
		pack_free(p);
		return error_nomem(err);
	}
	*ret = p;
	return 0;
}

static int archive_failed(struct pack *p, const char *path, struct p2h_error *err)
{
	int errnum = archive_errno(p->archive);

	return errnum == ENOMEM ? error_nomem(err) : error_set(err, P2H_IO, "%s: %s", path, archive_error_string(p->archive));
}

static int add_header(struct pack *p, const char *path, const struct fs_stat *st, const char *target, struct p2h_error *err)
{
	struct archive_entry *e = archive_entry_new();
	int rc = 0;

	if (!e)
		return error_nomem(err);
	archive_entry_set_pathname(e, path + 1);
	archive_entry_set_mode(e, st->mode);
	archive_entry_set_uid(e, st->uid);
	archive_entry_set_gid(e, st->gid);
	archive_entry_set_mtime(e, st->mtime, st->mtime_nsec);
	if (S_ISREG(st->mode))
		archive_entry_set_size(e, (int64_t)st->size);
	if (target)
		archive_entry_set_symlink(e, target);
	if (archive_write_header(p->archive, e) != ARCHIVE_OK)
		rc = archive_failed(p, path, err);
	archive_entry_free(e);
	return rc;
}

static int add_content(struct pack *p, const char *path, int fd, size_t len, struct p2h_error *err)
{
	CLEANUP_FREE char *data = malloc(len + 1);

	if (!data)
		return error_nomem(err);
	for (size_t off = 0; off < len;) {
		ssize_t n = pread(fd, data + off, len - off, (off_t)off);

		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "%s", path);
		off += (size_t)n;
	}
	return archive_write_data(p->archive, data, len) == (la_ssize_t)len ? 0 : archive_failed(p, path, err);
}

int pack_add(struct appliance_mount *m, const char *path, const struct fs_stat *st, const char *target, int fd, struct p2h_error *err)
{
	int rc = 0;

	if (m->pack && m->pack->size > PACK_MAX)
		rc = pack_flush(m, err);
	if (!rc && !m->pack)
		rc = pack_new(&m->pack, err);
	if (!rc)
		rc = add_header(m->pack, path, st, target, err);
	if (!rc && S_ISREG(st->mode))
		rc = add_content(m->pack, path, fd, (size_t)st->size, err);
	if (rc)
		return rc;
	m->pack->size += st->size;
	if (!dircache_made(m->cache, path, st, target))
		return pack_flush(m, err); /* no memory to remember it by */
	return 0;
}

int pack_flush(struct appliance_mount *m, struct p2h_error *err)
{
	struct appliance *a = m->drive->appliance;
	struct pack *p = TAKE(m->pack);
	int rc = 0;

	if (!p)
		return 0;
	if (archive_write_close(p->archive) != ARCHIVE_OK)
		rc = archive_failed(p, m->device, err);
	if (!rc)
		rc = appliance_result(m, APPLIANCE_CALL(a, unpack, p->fd, m->where), "new files", err);
	dircache_clear(m->cache);
	pack_free(p);
	return rc;
}
