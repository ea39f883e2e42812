#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
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

static void test_swap(void **state)
{
	char loop[64];

	(void)state;
	if (!tool_exists("mkswap") || !loop_setup(loop, sizeof(loop)))
		skip();
	if (scratch_shell("mkswap -q %s && swapon %s", loop, loop)) {
		scratch_shell("losetup -d %s", loop);
		print_message("swapon is not allowed here\n");
		skip();
	}
	assert_code(host_check_unused(loop, false, E), P2H_BUSY);
	assert_message_has("swap");
	assert_code(host_check_unused(scratch_path("image"), true, E), P2H_BUSY);
	assert_message_has(loop);
	assert_int_equal(scratch_shell("swapoff %s && losetup -d %s", loop, loop), 0);
}

/* "map" over all of a loop device; false: no device-mapper here. */
static bool map_setup(const char *loop, const char *map)
{
	if (tool_exists("dmsetup") &&
	    !scratch_shell("echo 0 $(blockdev --getsz %s) linear %s 0 | dmsetup create %s && test -b /dev/mapper/%s", loop, loop, map, map))
		return true;
	scratch_shell("dmsetup remove %s; losetup -d %s", map, loop);
	print_message("device-mapper is not to be had here\n");
	return false;
}

static void test_mapper(void **state)
{
	char loop[64], map[64], path[96];

	(void)state;
	snprintf(map, sizeof(map), "pv2hvm-test-%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/mapper/%s", map);
	if (!loop_setup(loop, sizeof(loop)) || !map_setup(loop, map))
		skip();
	assert_code(host_check_unused(loop, true, E), P2H_BUSY);
	assert_message_has("holder /dev/dm-");
	assert_ok(host_check_unused(loop, false, E)); /* nobody writes */
	assert_ok(host_check_unused(path, true, E));
	assert_true(host_same_storage(path, loop));
	assert_true(host_same_storage(loop, path));
	assert_int_equal(scratch_shell("mkdir mapped && mount %s mapped", path), 0);
	assert_code(host_check_unused(scratch_path("image"), false, E), P2H_BUSY);
	assert_message_has("/mapped");
	assert_int_equal(scratch_shell("umount mapped && dmsetup remove %s && losetup -d %s", map, loop), 0);
}

/* The device that / is mounted from, where it is one. */
static void test_target_here(void **state)
{
	char path[PATH_MAX], link[64], name[128] = "";
	struct stat st;

	(void)state;
	assert_ok(host_check_target(scratch_path("none"), E));
	assert_int_equal(scratch_shell("truncate -s 1M plain"), 0);
	assert_ok(host_check_target(scratch_path("plain"), E));
	assert_int_equal(stat("/", &st), 0);
	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(st.st_dev), minor(st.st_dev));
	if (realpath(link, path))
		snprintf(name, sizeof(name), "/dev/%.100s", strrchr(path, '/') + 1);
	if (access(name, F_OK)) {
		print_message("/ is not mounted from a device here\n");
		skip();
	}
	assert_code(host_check_target(name, E), P2H_REFUSED);
	assert_message_has("it holds /");
}

static const char *mounted_at(const char *device, const char *where)
{
	struct stat st;
	char line[256];
	int n;

	assert_int_equal(stat(device, &st), 0);
	n = snprintf(line, sizeof(line), "20 1 0:5 / /proc rw - proc proc rw\n30 1 %u:%u / %s rw,noatime shared:1 - ext4 %s rw\n",
		     major(st.st_rdev), minor(st.st_rdev), where, device);
	scratch_file("mountinfo", line, (size_t)n);
	return scratch_path("mountinfo");
}

/* What would be said if a loop device, or a map of it, were what this system runs from. */
static void test_target(void **state)
{
	char loop[64], map[64], path[96];

	(void)state;
	snprintf(map, sizeof(map), "pv2hvm-root-%d", (int)getpid());
	snprintf(path, sizeof(path), "/dev/mapper/%s", map);
	if (!loop_setup(loop, sizeof(loop)))
		skip();
	assert_ok(host_check_target_in(loop, mounted_at(loop, "/srv"), E));
	assert_ok(host_check_target_in("/dev/null", mounted_at(loop, "/"), E));
	assert_code(host_check_target_in(loop, mounted_at(loop, "/"), E), P2H_REFUSED);
	assert_message_has("it holds /)");
	assert_code(host_check_target_in(loop, mounted_at(loop, "/boot"), E), P2H_REFUSED);
	assert_message_has("it holds /boot)");
	assert_code(host_check_target_in(scratch_path("image"), mounted_at(loop, "/"), E), P2H_REFUSED); /* the file behind it */
	if (!map_setup(loop, map))
		skip();
	assert_code(host_check_target_in(loop, mounted_at(path, "/"), E), P2H_REFUSED);
	assert_code(host_check_target_in(path, mounted_at(path, "/"), E), P2H_REFUSED);
	assert_ok(host_check_target_in(path, mounted_at(loop, "/"), E)); /* a volume of its own beside the root's, as a dom0 has them */
	assert_int_equal(scratch_shell("dmsetup remove %s && losetup -d %s", map, loop), 0);
}

static void test_target_partition(void **state)
{
	char loop[64], one[80], two[80];

	(void)state;
	if (!tool_exists("sfdisk") || !loop_setup(loop, sizeof(loop)))
		skip();
	scratch_shell("losetup -d %s; wipefs -qa image; printf '2048,4096,83\n6144,,83\n' | sfdisk -q image; losetup -fP --show image > loop", loop);
	snprintf(one, sizeof(one), "%sp1", loop);
	snprintf(two, sizeof(two), "%sp2", loop);
	if (!access(one, F_OK) && !access(two, F_OK)) {
		assert_code(host_check_target_in(loop, mounted_at(one, "/"), E), P2H_REFUSED);
		assert_code(host_check_target_in(two, mounted_at(one, "/"), E), P2H_REFUSED); /* a neighbour */
		assert_code(host_check_target_in(one, mounted_at(two, "/boot"), E), P2H_REFUSED);
	}
	assert_int_equal(scratch_shell("losetup -d %s", loop), 0);
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
		TEST(test_swap), TEST(test_mapper), TEST(test_target_here), TEST(test_target), TEST(test_target_partition),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
