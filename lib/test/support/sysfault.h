/*
 * sysfault.h - makes the n-th system call that changes a disk fail, or the process end there
 *
 * For one test program: what stands here takes the place of the C library's pwrite, fallocate, ftruncate,
 * copy_file_range, fsync, renameat2 and unlink in it. fsync does nothing but count: the tests end processes, not machines.
 */
#ifndef P2H_TEST_SYSFAULT_H
#define P2H_TEST_SYSFAULT_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define SYSFAULT_STATUS 77

enum sysfault_mode {
	SYSFAULT_NONE,
	SYSFAULT_FAIL, /* the n-th call alone fails with EIO */
	SYSFAULT_EXIT, /* the process ends in place of the n-th call; of a write half is done before */
};

static struct {
	enum sysfault_mode mode;
	long calls, at;
	int exit_on_fallocate; /* ends at the first fallocate with this flag */
} sysfault;

static void sysfault_set(enum sysfault_mode mode, long at)
{
	sysfault.mode = mode;
	sysfault.at = at;
	sysfault.calls = 0;
}

/* Is the call to fail? */
static int sysfault_hit(void)
{
	if (++sysfault.calls != sysfault.at || sysfault.mode == SYSFAULT_NONE)
		return 0;
	if (sysfault.mode == SYSFAULT_EXIT)
		_exit(SYSFAULT_STATUS);
	errno = EIO;
	return 1;
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t off)
{
	if (sysfault.mode == SYSFAULT_EXIT && sysfault.calls + 1 == sysfault.at)
		syscall(SYS_pwrite64, fd, data, len / 2 / 512 * 512, off);
	return sysfault_hit() ? -1 : syscall(SYS_pwrite64, fd, data, len, off);
}

int fallocate64(int fd, int how, off64_t off, off64_t len)
{
	if (how & sysfault.exit_on_fallocate)
		_exit(SYSFAULT_STATUS);
	return sysfault_hit() ? -1 : (int)syscall(SYS_fallocate, fd, how, off, len);
}

int ftruncate64(int fd, off64_t size)
{
	return sysfault_hit() ? -1 : (int)syscall(SYS_ftruncate, fd, size);
}

ssize_t copy_file_range(int in, off64_t *in_off, int out, off64_t *out_off, size_t len, unsigned flags)
{
	return sysfault_hit() ? -1 : syscall(SYS_copy_file_range, in, in_off, out, out_off, len, flags);
}

int fsync(int fd)
{
	(void)fd;
	return sysfault_hit() ? -1 : 0;
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	return sysfault_hit() ? -1 : (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}

int unlink(const char *path)
{
	return sysfault_hit() ? -1 : (int)syscall(SYS_unlink, path);
}

#endif
