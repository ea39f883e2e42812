#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hostfile.h"
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

/* Does this process have the file open? */
static bool process_has(const char *pid, const struct stat *file)
{
	char path[300];
	struct dirent *e;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (e = readdir(dir))) {
		struct stat st;

		found = isdigit((unsigned char)e->d_name[0]) && !fstatat(dirfd(dir), e->d_name, &st, 0) &&
			st.st_dev == file->st_dev && st.st_ino == file->st_ino;
	}
	if (dir)
		closedir(dir);
	return found;
}

/* A lock of this kind has no owner to ask for: so, who has the file open? "process 4711 (qemu-system-x86)". */
static void name_user(int fd, char *ret, size_t size)
{
	struct dirent *e;
	struct stat st;
	DIR *dir = fstat(fd, &st) ? NULL : opendir("/proc");

	snprintf(ret, size, "another process");
	while (dir && (e = readdir(dir))) {
		char path[300], comm[32];

		if (!isdigit((unsigned char)e->d_name[0]) || atoi(e->d_name) == getpid() || !process_has(e->d_name, &st))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", e->d_name);
		if (!hostfile_line(path, comm, sizeof(comm)))
			strcpy(comm, "?");
		snprintf(ret, size, "process %.20s (%s)", e->d_name, comm);
		break;
	}
	if (dir)
		closedir(dir);
}

static int busy(int fd, const char *name, const char *how, struct p2h_error *err)
{
	char user[96];

	name_user(fd, user, sizeof(user));
	return error_set(err, P2H_BUSY, "%s: in use: %s holds it %s, as a running QEMU guest does", name, user, how);
}

int image_lock_check(int fd, const char *name, bool for_write, struct p2h_error *err)
{
	if (is_locked(fd, LOCK_USED + PERM_WRITE) || is_locked(fd, LOCK_USED + PERM_RESIZE))
		return busy(fd, name, "open for writing", err);
	if (is_locked(fd, LOCK_UNSHARED + PERM_CONSISTENT_READ))
		return busy(fd, name, "locked against reading", err);
	if (for_write && (is_locked(fd, LOCK_UNSHARED + PERM_WRITE) || is_locked(fd, LOCK_UNSHARED + PERM_RESIZE)))
		return busy(fd, name, "locked against writing", err);
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
