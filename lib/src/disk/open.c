#include <string.h>

#include "base/cleanup.h"
#include "disk/backends.h"
#include "disk/imagerefs.h"

/* A name that reaches QEMU's option parser: nothing but what its drivers are called. */
static int check_format_name(const char *format, struct p2h_error *err)
{
	if (*format && strlen(format) < 32 && !format[strspn(format, "abcdefghijklmnopqrstuvwxyz0123456789-_")])
		return 0;
	return error_set(err, P2H_USAGE, "'%s' is not the name of an image format", format);
}

int disk_open(const char *path, const char *format, unsigned flags, struct disk **ret, struct p2h_error *err)
{
	CLEANUP_FD int fd = -1;
	struct image_file image;
	int code = format ? check_format_name(format, err) : 0;

	if (!code)
		code = image_file_open(path, &image, err);
	if (code)
		return code;
	fd = image.fd;
	if (!format)
		code = detect_format(path, &image, &format, err);
	if (code)
		return code;
	if (!strcmp(format, "raw"))
		return file_open(path, flags, ret, err);
	/* qemu-nbd takes locks of its own when it writes; a reader is started without, see nbd.c. */
	if (!(flags & DISK_WRITE))
		code = image_lock_check(image.fd, path, false, err);
	if (!code && !strcmp(format, "qcow2"))
		code = qcow2_check_whole(image.fd, path, image.size, err);
	return code ? code : nbd_open(path, format, image.is_device, flags, ret, err);
}
