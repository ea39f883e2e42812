#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "disk/backends.h"

#define ZERO_PIECE (256u << 10)
#define IO_MAX (1u << 30) /* below the kernel's own limit of a single call */

struct file_disk {
	struct disk d;
	int fd;
	bool is_device;
	bool no_punch; /* tried, and the file system or device has it not */
	bool no_range;
	bool no_holes;
};

static int file_read(struct disk *d, void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	char *to = buf;

	while (len) {
		ssize_t n = pread(f->fd, to, len < IO_MAX ? len : IO_MAX, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_sys(err, errno, "%s: read at %" PRIu64, d->name, off);
		if (!n)
			return error_set(err, P2H_IO, "%s: read at %" PRIu64 ": the file has become shorter", d->name, off);
		to += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int file_write(struct disk *d, const void *buf, uint64_t off, size_t len, struct p2h_error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	const char *from = buf;

	while (len) {
		ssize_t n = pwrite(f->fd, from, len < IO_MAX ? len : IO_MAX, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return error_sys(err, n ? errno : EIO, "%s: write at %" PRIu64, d->name, off);
		from += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_zeros(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	static const char zeros[ZERO_PIECE];

	while (len) {
		size_t piece = len < ZERO_PIECE ? (size_t)len : ZERO_PIECE;
		int code = file_write(d, zeros, off, piece, err);

		if (code)
			return code;
		off += piece;
		len -= piece;
	}
	return 0;
}

static int fallocate_retry(int fd, int mode, uint64_t off, uint64_t len)
{
	int n;

	do
		n = fallocate(fd, mode, (off_t)off, (off_t)len);
	while (n < 0 && errno == EINTR);
	return n ? errno : 0;
}

static bool not_supported(int errnum)
{
	return errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL || errnum == ENODEV || errnum == ENOTTY;
}

/* Zeros a range (of whole sectors, on a device) without sending them. 0, an errno, or EOPNOTSUPP: write them. */
static int zero_by_kernel(struct file_disk *f, uint64_t off, uint64_t len)
{
	int errnum;

	if (!f->no_punch) {
		errnum = fallocate_retry(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, len);
		if (!not_supported(errnum))
			return errnum;
		f->no_punch = true;
	}
	if (!f->no_range) {
		if (f->is_device) {
			uint64_t range[2] = {off, len};

			errnum = ioctl(f->fd, BLKZEROOUT, range) ? errno : 0;
		} else {
			errnum = fallocate_retry(f->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, off, len);
		}
		if (!not_supported(errnum))
			return errnum;
		f->no_range = true;
	}
	return EOPNOTSUPP;
}

static int file_zero(struct disk *d, uint64_t off, uint64_t len, struct p2h_error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	uint64_t align = f->is_device ? 4096 : 1; /* no logical sector is larger */
	uint64_t start = (off + align - 1) / align * align, end = (off + len) / align * align;
	int code, errnum;

	if (start >= end)
		return write_zeros(d, off, len, err);
	errnum = zero_by_kernel(f, start, end - start);
	if (errnum == EOPNOTSUPP)
		return write_zeros(d, off, len, err);
	if (errnum)
		return error_sys(err, errnum, "%s: zeroing %" PRIu64 " bytes at %" PRIu64, d->name, len, off);
	code = write_zeros(d, off, start - off, err);
	if (!code)
		code = write_zeros(d, end, off + len - end, err);
	return code;
}

static int file_flush(struct disk *d, struct p2h_error *err)
{
	struct file_disk *f = (struct file_disk *)d;

	if (fsync(f->fd))
		return error_sys(err, errno, "%s: flush to disk", d->name);
	return 0;
}

static int file_extent(struct disk *d, uint64_t off, struct disk_extent *ret, struct p2h_error *err)
{
	struct file_disk *f = (struct file_disk *)d;
	off_t data, hole;

	(void)err;
	*ret = (struct disk_extent){.len = d->size - off};
	if (f->no_holes)
		return 0;
	data = lseek(f->fd, (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO) {
		ret->zero = true;
		return 0;
	}
	if (data < 0 || (uint64_t)data < off) {
		f->no_holes = true;
		return 0;
	}
	if ((uint64_t)data > off) {
		ret->zero = true;
		ret->len = (uint64_t)data - off;
		return 0;
	}
	hole = lseek(f->fd, (off_t)off, SEEK_HOLE);
	if (hole > (off_t)off)
		ret->len = (uint64_t)hole - off;
	return 0;
}

static void file_close(struct disk *d)
{
	close(((struct file_disk *)d)->fd);
	free(d);
}

static const struct disk_ops file_ops = {
	.read = file_read,
	.write = file_write,
	.zero = file_zero,
	.flush = file_flush,
	.extent = file_extent,
	.close = file_close,
};

static int device_size(int fd, const char *path, uint64_t *ret, struct p2h_error *err)
{
	if (ioctl(fd, BLKGETSIZE64, ret))
		return error_sys(err, errno, "%s: cannot tell its size", path);
	return 0;
}

int image_file_open(const char *path, struct image_file *ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	struct stat st;
	int code;

	/* Look before opening: opening a tape, a terminal or a FIFO has effects. */
	if (stat(path, &st))
		return error_sys(err, errno, "%s", path);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
		if (fd < 0)
			return error_sys(err, errno, "%s", path);
		if (fstat(fd, &st))
			return error_sys(err, errno, "%s", path);
	}
	if (S_ISDIR(st.st_mode))
		return error_set(err, P2H_UNSUPPORTED, "%s: is a directory, not a disk image", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return error_set(err, P2H_UNSUPPORTED, "%s: is neither a regular file nor a block device", path);
	*ret = (struct image_file){.fd = -1, .is_device = S_ISBLK(st.st_mode), .size = (uint64_t)st.st_size};
	if (ret->is_device) {
		code = device_size(fd, path, &ret->size, err);
		if (code)
			return code;
	}
	if (!ret->size)
		return error_set(err, P2H_CORRUPT, "%s: is empty", path);
	ret->fd = TAKE_FD(fd);
	return 0;
}

/* Read access is checked on the descriptor that detection used; writing needs a new one, of the same file. */
static int reopen_for_writing(const char *path, struct image_file *image, struct p2h_error *err)
{
	CLEANUP_FD int fd = open(path, O_RDWR | O_CLOEXEC | (image->is_device ? O_EXCL : 0));
	struct stat a, b;

	if (fd < 0 && errno == EBUSY)
		return error_set(err, P2H_BUSY, "%s: is mounted or in use", path);
	if (fd < 0)
		return error_sys(err, errno, "%s: cannot open it for writing", path);
	if (fstat(fd, &a) || fstat(image->fd, &b))
		return error_sys(err, errno, "%s", path);
	if (a.st_dev != b.st_dev || a.st_ino != b.st_ino || a.st_rdev != b.st_rdev)
		return error_set(err, P2H_BUSY, "%s: was replaced while it was being opened", path);
	close(image->fd);
	image->fd = TAKE_FD(fd);
	return 0;
}

static int prepare(const char *path, unsigned flags, struct image_file *image, struct p2h_error *err)
{
	int code = 0;

	if (flags & DISK_WRITE)
		code = reopen_for_writing(path, image, err);
	if (code)
		return code;
	return flags & DISK_WRITE ? image_lock_take(image->fd, path, err)
				  : image_lock_check(image->fd, path, false, err);
}

int file_open(const char *path, unsigned flags, struct disk **ret, struct p2h_error *err)
{
	struct image_file image;
	CLEANUP_FD int fd = -1;
	struct file_disk *f;
	int code;

	code = image_file_open(path, &image, err);
	if (code)
		return code;
	code = prepare(path, flags, &image, err);
	fd = image.fd;
	if (code)
		return code;
	f = calloc(1, sizeof(*f));
	if (!f)
		return error_nomem(err);
	disk_init(&f->d, &file_ops, image.size, flags & DISK_WRITE, path);
	f->is_device = image.is_device;
	f->fd = f->d.fd = TAKE_FD(fd);
	*ret = &f->d;
	return 0;
}
