/* Headers of image formats: which files they name, and whether a qcow2 file is whole. */
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "disk/imagerefs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const formats[] = {"qcow2", "qcow", "qed", "vmdk", "vdi"};
	CLEANUP_FD int fd = memfd_create("image", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return 0;
	image_magic(data, size);
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		CLEANUP(strlist_done) struct strlist probe = {0}, fixed = {0};

		image_references(fd, "image", formats[i], &probe, &fixed, NULL);
	}
	qcow2_check_whole(fd, "image", size, NULL);
	return 0;
}
