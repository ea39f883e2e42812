#include "support/bootimage.h"

#include <string.h>

#include "inspect/guest.h"
#include "support/scratch.h"

void bootimage_files(bool flat_donor)
{
	static const char fstab[] = "/dev/xvda1 / ext4 defaults 1 1\n";
	struct disk *d = bootimage_open(flat_donor);
	struct guest *g = NULL;

	assert_non_null(d);
	scratch_disk(d, "donor.raw");
	disk_close(d);
	d = bootimage_open(true);
	assert_non_null(d);
	assert_ok(disk_zero(d, 0, 512, E));
	assert_ok(guest_open(d, -1, GUEST_WRITE, 1700000000, &g, E));
	assert_ok(fs_write(g->fs, "/etc/fstab", fstab, strlen(fstab), NULL, E));
	assert_ok(fs_unlink(g->fs, BOOTIMAGE_KERNEL, E));
	assert_ok(fs_unlink(g->fs, "/boot/grub/grub.cfg", E));
	assert_ok(guest_close(g, E));
	scratch_disk(d, "guest.raw");
	disk_close(d);
}
