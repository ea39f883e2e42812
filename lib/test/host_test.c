#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk/disk.h"
#include "disk/host.h"
#include "support/scratch.h"

/* A loop device over "image" with an ext4; its name in text. False: no root, or no loop devices here. */
static bool loop_setup(char *ret, size_t size)
{
	FILE *f;

	if (geteuid() || scratch_shell("truncate -s 8M image && mkfs.ext4 -qF image && losetup -f --show image > loop"))
		return false;
	f = fopen(scratch_path("loop"), "r");
	assert_non_null(f);
	assert_non_null(fgets(ret, (int)size, f));
	fclose(f);
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static void test_unused(void **state)
{
	(void)state;
	assert_int_equal(scratch_shell("truncate -s 1M plain"), 0);
	assert_ok(host_check_unused(scratch_path("plain"), true, E));
	assert_ok(host_check_unused(scratch_path("plain"), false, E));
	assert_code(host_check_unused(scratch_path("none"), true, E), P2H_NOTFOUND);
	assert_code(host_check_unused(scratch_path(""), true, E), P2H_UNSUPPORTED);
}

static void test_loop_and_mount(void **state)
{
	char loop[64];

	(void)state;
	if (!loop_setup(loop, sizeof(loop)))
		skip();
	assert_ok(host_check_unused(scratch_path("image"), false, E));
	assert_code(host_check_unused(scratch_path("image"), true, E), P2H_BUSY);
	assert_message_has(loop);
	assert_true(host_same_disk(scratch_path("image"), loop));
	assert_true(host_same_disk(loop, loop));
	assert_int_equal(scratch_shell("mkdir 'mnt a' && mount %s 'mnt a'", loop), 0);
	assert_code(host_check_unused(scratch_path("image"), false, E), P2H_BUSY);
	assert_message_has("mnt a"); /* mountinfo has it as mnt\040a */
	assert_message_has(loop);
	assert_code(host_check_unused(loop, true, E), P2H_BUSY);
	assert_message_has("mnt a");
	assert_int_equal(scratch_shell("mount -o remount,ro 'mnt a'"), 0);
	assert_ok(host_check_unused(scratch_path("image"), false, E));
	assert_code(host_check_unused(scratch_path("image"), true, E), P2H_BUSY);
	assert_message_has("mnt a");
	assert_int_equal(scratch_shell("umount 'mnt a' && losetup -d %s", loop), 0);
	assert_ok(host_check_unused(scratch_path("image"), true, E));
}

static void test_partitions(void **state)
{
	char loop[64], part[80];

	(void)state;
	if (!tool_exists("sfdisk") || !loop_setup(loop, sizeof(loop)))
		skip();
	scratch_shell("losetup -d %s; wipefs -qa image; echo 2048,,83 | sfdisk -q image; losetup -fP --show image > loop", loop);
	snprintf(part, sizeof(part), "%sp1", loop);
	if (access(part, F_OK)) {
		scratch_shell("losetup -d %s", loop);
		skip();
	}
	assert_true(host_same_disk(part, loop));
	assert_true(host_same_disk(part, scratch_path("image")));
	assert_int_equal(scratch_shell("mkfs.ext4 -q %s && mkdir part && mount %s part", part, part), 0);
	assert_code(host_check_unused(loop, true, E), P2H_BUSY);
	assert_message_has(part);
	assert_code(host_check_unused(scratch_path("image"), false, E), P2H_BUSY);
	assert_message_has("/part");
	assert_int_equal(scratch_shell("umount part && losetup -d %s", loop), 0);
}

static void test_qemu_lock(void **state)
{
	struct disk *d;

	(void)state;
	assert_int_equal(scratch_shell("truncate -s 1M locked"), 0);
	assert_ok(disk_open(scratch_path("locked"), "raw", DISK_WRITE, &d, E));
	assert_code(host_check_unused(scratch_path("locked"), true, E), P2H_BUSY);
	assert_code(host_check_unused(scratch_path("locked"), false, E), P2H_BUSY);
	disk_close(d);
	if (!tool_exists("qemu-nbd") || scratch_shell("qemu-nbd --fork -k \"$PWD/s\" -f raw --pid-file=\"$PWD/pid\" locked"))
		skip();
	assert_code(host_check_unused(scratch_path("locked"), true, E), P2H_BUSY);
	assert_message_has("(qemu-nbd)"); /* who it is */
	assert_code(disk_open(scratch_path("locked"), "raw", DISK_WRITE, &d, E), P2H_BUSY);
	assert_code(disk_open(scratch_path("locked"), "raw", 0, &d, E), P2H_BUSY);
	assert_int_equal(scratch_shell("kill $(cat pid); while test -e s; do sleep 0.05; done"), 0);
}

static void test_same_disk(void **state)
{
	(void)state;
	assert_int_equal(scratch_shell("truncate -s 1M a b && ln a hard && ln -s a soft"), 0);
	assert_true(host_same_disk(scratch_path("a"), scratch_path("hard")));
	assert_true(host_same_disk(scratch_path("a"), scratch_path("soft")));
	assert_false(host_same_disk(scratch_path("a"), scratch_path("b")));
	assert_false(host_same_disk(scratch_path("a"), scratch_path("none")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_unused), TEST(test_loop_and_mount), TEST(test_partitions), TEST(test_qemu_lock), TEST(test_same_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
