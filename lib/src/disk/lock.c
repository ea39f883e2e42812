#include <errno.h>
#include <fcntl.h>

#include "disk/backends.h"

/* The numbers of QEMU's permissions (include/block/block-common.h). */
enum { PERM_CONSISTENT_READ = 0, PERM_WRITE = 1, PERM_RESIZE = 3 };
enum { LOCK_USED = 100, LOCK_UNSHARED = 200 };

/* Does another open file hold a lock on this byte? A file system without locks has no holders. */
static bool is_locked(int fd, int byte)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	return !fcntl(fd, F_OFD_GETLK, &lock) && lock.l_type != F_UNLCK;
}

int image_lock_check(int fd, const char *name, bool for_write, struct p2h_error *err)
{
	if (is_locked(fd, LOCK_USED + PERM_WRITE) || is_locked(fd, LOCK_USED + PERM_RESIZE))
		return error_set(err, P2H_BUSY, "%s: another process holds it open for writing (a running QEMU guest?)",
				 name);
	if (is_locked(fd, LOCK_UNSHARED + PERM_CONSISTENT_READ))
		return error_set(err, P2H_BUSY, "%s: another process holds it locked against reading", name);
	if (for_write && (is_locked(fd, LOCK_UNSHARED + PERM_WRITE) || is_locked(fd, LOCK_UNSHARED + PERM_RESIZE)))
		return error_set(err, P2H_BUSY, "%s: another process holds it locked against writing", name);
	return 0;
}

static int take(int fd, int byte)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

	if (!fcntl(fd, F_OFD_SETLK, &lock))
		return 0;
	/* Network and FUSE file systems without locks: QEMU goes on without them too. */
	return errno == EACCES || errno == EAGAIN ? errno : 0;
}

int image_lock_take(int fd, const char *name, struct p2h_error *err)
{
	static const int bytes[] = {
		LOCK_USED + PERM_CONSISTENT_READ, LOCK_USED + PERM_WRITE,     LOCK_USED + PERM_RESIZE,
		LOCK_UNSHARED + PERM_WRITE,       LOCK_UNSHARED + PERM_RESIZE,
	};

	/* First take, then look, as QEMU does: of two that start at once at least one sees the other. */
	for (size_t i = 0; i < sizeof(bytes) / sizeof(*bytes); i++)
		if (take(fd, bytes[i]))
			return error_set(err, P2H_BUSY, "%s: locked by another process", name);
	return image_lock_check(fd, name, true, err);
}
