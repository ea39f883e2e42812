/* hostile_test.c - images that mean harm: every stage ends in bounded time and memory, with an error or a report that is fit for a terminal */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/sanitized.h"
#include "disk/disk.h"
#include "inspect/guest.h"
#include "support/bootimage.h"
#include "support/scratch.h"
#include "verify/verify.h"

#define NOW 1700000000
#define CPU_SECONDS 60
#define MEMORY_KIB (400u * 1024) /* an initramfs of the largest size that is read, and as much again */

static int setup(void **state)
{
	if (scratch_setup(state) || bootimage_setup(state))
		return -1;
	if (!bootimage_possible())
		return 0;
	bootimage_files(true);
	scratch_file("empty", "", 0);
	return 0;
}

static int teardown(void **state)
{
	bootimage_teardown(state);
	return scratch_teardown(state);
}

static void need_images(void)
{
	if (!bootimage_possible() || !tool_exists("debugfs")) {
		print_message("grub-mkimage, boot.img, mke2fs or debugfs is not installed\n");
		skip();
	}
}

/* ---- in a process of its own ---- */

static void put(const char *name, const char *text)
{
	FILE *f = fopen(scratch_path(name), "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		_exit(99);
}

static void report(struct p2h_job *job)
{
	struct p2h_error err = {0};
	char *text = NULL;

	if (!job)
		return;
	if (!p2h_report(job, P2H_TEXT, &text, &err))
		put("report", text);
	free(text);
	text = NULL;
	if (!p2h_report(job, P2H_JSON, &text, &err))
		put("json", text);
	free(text);
}

/* What the program does for `convert --dry-run` and `verify`; exit status 0, or 1 with the error in "message". */
static _Noreturn void child(void)
{
	const struct rlimit cpu = {CPU_SECONDS, CPU_SECONDS}, no_core = {0, 0};
	/* Without e2fsck, which would say first what is wrong: our own code has to stand it. */
	struct p2h_options options = {.donor = scratch_path("donor-case.raw"), .no_check = true};
	struct p2h_job *job = NULL;
	struct p2h_error err = {0}, ignored = {0};
	char *text = NULL;
	bool passed;
	int rc;

	setrlimit(RLIMIT_CPU, &cpu);
	setrlimit(RLIMIT_CORE, &no_core);
	rc = p2h_open(scratch_path("case.raw"), &options, &job, &err);
	if (!rc)
		rc = p2h_convert(job, true, &err);
	put("message", rc ? err.msg : "");
	report(job);
	p2h_close(job);
	options.donor = NULL;
	if (!p2h_verify_image(scratch_path("case.raw"), &options, P2H_TEXT, &passed, &text, &ignored))
		put("verified", text);
	free(text);
	exit(rc ? 1 : 0);
}

/* Nothing that a terminal acts on. */
static void assert_clean(const char *name)
{
	unsigned char *text;
	size_t len;

	if (!scratch_exists(name))
		return;
	text = scratch_read(name, &len);
	for (size_t i = 0; i < len; i++)
		if ((text[i] < 0x20 && text[i] != '\n' && text[i] != '\t') || text[i] == 0x7f || text[i] == 0x9b)
			fail_msg("%s: byte 0x%02x at %zu: %.60s", name, text[i], i, (char *)text + (i > 30 ? i - 30 : 0));
	free(text);
}

/* Its exit status; the message is in *ret (to be freed). */
static int run_case(const char *what, char **ret)
{
	struct rusage used;
	size_t len;
	int status;
	pid_t pid;

	scratch_shell("rm -f report json verified message");
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		child();
	assert_int_equal(wait4(pid, &status, 0, &used), pid);
	if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
		fail_msg("%s: ended with status 0x%x", what, status);
	if (!SANITIZED && used.ru_maxrss > MEMORY_KIB)
		fail_msg("%s: took %ld KiB", what, used.ru_maxrss);
	assert_clean("report");
	assert_clean("json");
	assert_clean("verified");
	assert_clean("message");
	*ret = scratch_read("message", &len);
	(*ret)[len] = '\0';
	return WEXITSTATUS(status);
}

/* ---- broken with debugfs ---- */

/* A copy of what is to be broken is case.raw in the meantime. */
static void broken_start(bool donor)
{
	assert_int_equal(scratch_shell("rm -f case.raw donor-case.raw big holes && cp %s.raw case.raw", donor ? "donor" : "guest"), 0);
}

static void broken_end(bool donor)
{
	assert_int_equal(scratch_shell("%s", donor ? "mv case.raw donor-case.raw && ln -s guest.raw case.raw" : "ln -s donor.raw donor-case.raw"), 0);
}

struct row {
	const char *name;
	bool donor;          /* which of the two is broken */
	const char *shell;   /* run before; makes files that the commands name */
	const char *debugfs;
	const char *message; /* what the error has to say; NULL: any error or none; "": none */
};

#define TERA "3298534883328"
#define CYCLE(depth) /* /etc/inittab becomes a tree of extents whose first block leads to itself */                                \
	"b=$(debugfs -R 'blocks /etc/inittab' case.raw | tr -d ' \\n'); s=$(dumpe2fs -h case.raw | sed -n 's/^Block size: *//p'); " \
	"printf '\\012\\363\\001\\000\\004\\000" depth "\\000\\0\\0\\0\\0\\0\\0\\0\\0' >node; "                                     \
	"for i in 0 8 16 24; do printf \"\\\\$(printf %%03o $((b >> i & 255)))\" >>node; done; printf '\\0\\0\\0\\0' >>node; "       \
	"dd if=node of=case.raw bs=$s seek=$b conv=notrunc; "                                                                       \
	"debugfs -w -R \"set_inode_field /etc/inittab block[4] $b\" case.raw"

static const struct row rows[] = {
	{"nothing", false, ":", "", ""},
	{"/etc is a loop", false, ":", "unlink /etc\nsymlink /etc etc\n", "no Linux root"},
	{"/sbin/init is a loop", false, ":", "rm /sbin/init\nsymlink /sbin/init init\n", "/sbin/init"},
	{"/lib is a loop", false, ":", "unlink /lib\nsymlink /lib /lib\n", "/lib"},
	{"/boot is a loop", false, ":", "unlink /boot\nsymlink /boot ../boot\n", "/boot"},
	{"/etc/fstab is a loop", false, ":", "rm /etc/fstab\nsymlink /etc/fstab fstab\n", "fstab"},
	{"/lib is the root", false, ":", "unlink /lib\nsymlink /lib /\n", NULL},
	{"/boot leads out", false, ":", "unlink /boot\nsymlink /boot /../../../../../../tmp\n", NULL},
	{"/etc/fstab leads out", false, ":", "rm /etc/fstab\nsymlink /etc/fstab ../../../../../../../../etc/hostname\n", NULL},
	{"donor: /boot is a loop", true, ":", "unlink /boot\nsymlink /boot boot\n", "kernel"},
	{"donor: /lib/modules leads out", true, ":", "unlink /lib/modules\nsymlink /lib/modules /../../../lib\n", NULL},
	{"fstab of holes", false, ":", "sif /etc/fstab size " TERA "\n", "/etc/fstab"},
	{"init of holes", false, ":", "sif /sbin/init size " TERA "\n", "/sbin/init"},
	{"libc of holes", false, ":", "sif /lib64/libc.so.6 size " TERA "\n", NULL},
	{"loader of holes", false, ":", "sif /lib64/ld-linux-x86-64.so.2 size " TERA "\n", NULL},
	{"inittab of holes", false, ":", "sif /etc/inittab size " TERA "\n", "/etc/inittab"},
	{"os-release of holes", false, "truncate -s 2G holes", "write holes /etc/os-release\n", "/etc/os-release"},
	{"donor: kernel of holes", true, ":", "sif " BOOTIMAGE_KERNEL " size " TERA "\n", "not enough free space"},
	{"donor: initramfs of holes", true, ":", "sif " BOOTIMAGE_INITRD " size " TERA "\n", BOOTIMAGE_INITRD},
	{"donor: initramfs of 900 MiB of holes", true, ":", "sif " BOOTIMAGE_INITRD " size 943718400\n", "no more than"},
	{"donor: initramfs of 255 MiB of holes", true, ":", "sif " BOOTIMAGE_INITRD " size 267386880\n", NULL},
	{"donor: modules.dep of holes", true, ":", "sif " BOOTIMAGE_MODULES "/modules.dep size " TERA "\n", "modules.dep"},
	{"donor: a module of holes", true, ":", "sif " BOOTIMAGE_MODULES "/kernel/ena.ko size " TERA "\n", NULL},
	{"donor: configuration of holes", true, ":", "sif " BOOTIMAGE_CONFIG " size " TERA "\n", NULL},
	{"an inittab of 4 MiB", false, "yes '1:2345:respawn:/sbin/getty 38400 tty1' | head -c 4194304 >big", "rm /etc/inittab\nwrite big /etc/inittab\n",
	 "/etc/inittab"},
	{"a menu.lst of 4 MiB", false, "yes 'title x' | head -c 4194304 >big", "write big /boot/grub/menu.lst\n", "/boot/grub/menu.lst"},
	{"a fstab of 1 MiB", false, "yes '/dev/xvda1 / ext3 defaults 1 1' | head -c 1048576 >big", "rm /etc/fstab\nwrite big /etc/fstab\n", NULL},
	{"a menu.lst of 1 MiB", false, "yes 'title x' | head -c 1048576 >big", "write big /boot/grub/menu.lst\n", NULL},
	{"one line of 1 MiB", false, "head -c 1048576 /dev/zero | tr '\\0' x >big", "write big /boot/grub/menu.lst\nrm /etc/inittab\nwrite big /etc/inittab\n", NULL},
	{"control characters", false,
	 "printf 'PRETTY_NAME=\"a\\033[2Jb\\007\\233c\\177\\302\\2331m\"\\nID=\\033]0;x\\007\\n' >os; printf '/dev/\\033[31mxvda1 / ext4 \\233 1 1\\n\\033c\\n' >tab",
	 "write os /etc/os-release\nrm /etc/fstab\nwrite tab /etc/fstab\nmkdir /etc/init\nwrite tab /etc/init/a\033[2Jtty\233\177.conf\n"
	 "write tab /boot/vmlinuz-\033[31m9.9\233\nwrite tab /etc/udev\033\n", NULL},
	{"control characters in the label", false, "tune2fs -L \"$(printf 'x\\033[2J\\233\\177')\" case.raw >tune.log", "", NULL},
	{"control characters in a name that fails", false, "truncate -s 2G holes", "mkdir /etc/init\nwrite holes /etc/init/\033[2J\233\177.conf\n", "/etc/init/?[2J??.conf"},
	{"control characters in a link", false, ":", "rm /sbin/init\nsymlink /sbin/init \033[2J\233\n", NULL},
	{"donor: control characters", true, "printf 'PRETTY_NAME=\"a\\033[2Jb\\233\"\\n' >os",
	 "write os /etc/os-release\nwrite os /boot/vmlinuz-\033[31m9.9\233\nmkdir " BOOTIMAGE_MODULES "/\033[2J\n", NULL},
	{"a cycle of extents", false, CYCLE("\\001"), "sif /etc/inittab block[0] 0x0001f30a\nsif /etc/inittab block[1] 0x00010004\nsif /etc/inittab block[2] 0\n"
	 "sif /etc/inittab block[3] 0\nsif /etc/inittab block[5] 0\n", "/etc/inittab"},
	{"a deep cycle of extents", false, CYCLE("\\005"), "sif /etc/inittab block[0] 0x0001f30a\nsif /etc/inittab block[1] 0x00050004\n"
	 "sif /etc/inittab block[2] 0\nsif /etc/inittab block[3] 0\nsif /etc/inittab block[5] 0\n", "/etc/inittab"},
	{"an extent outside", false, ":", "sif /etc/inittab block[5] 0x00fffff0\n", "/etc/inittab"},
	{"an extent far outside", false, ":", "sif /etc/inittab block[4] 0xffff0001\n", "/etc/inittab"},
	{"donor: an extent outside", true, ":", "sif " BOOTIMAGE_INITRD " block[5] 0x00fffff0\n", BOOTIMAGE_INITRD},
	{"a directory inside itself", false, ":", "ln /etc /etc/etc\nln /etc /etc/self.wants\n", NULL},
	{"donor: a directory inside itself", true, ":", "ln " BOOTIMAGE_MODULES " " BOOTIMAGE_MODULES "/kernel/again\n", "nested"},
	{"files that are none", false, ":", "rm /etc/fstab\nmknod /etc/fstab c 1 5\nrm /etc/inittab\nmknod /etc/inittab p\n", NULL},
	{"donor: an initramfs that is a device", true, ":", "rm " BOOTIMAGE_INITRD "\nmknod " BOOTIMAGE_INITRD " c 1 5\n", "initramfs"},
};

static void test_rows(void **state)
{
	int failed = 0;

	(void)state;
	need_images();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		CLEANUP_FREE char *message = NULL;
		int rc;

		broken_start(r->donor);
		scratch_file("commands", r->debugfs, strlen(r->debugfs));
		if (scratch_shell("%s", r->shell) || scratch_shell("debugfs -w -f commands case.raw >debugfs.log 2>&1"))
			fail_msg("%s: cannot be made", r->name);
		broken_end(r->donor);
		rc = run_case(r->name, &message);
		if (r->message && (*r->message ? !rc || !strstr(message, r->message) : rc != 0)) {
			print_error("%s: \"%s\" instead of \"%s\"\n", r->name, message, r->message);
			failed++;
		}
	}
	assert_int_equal(failed, 0);
}

/* ---- directories of very many names ---- */

/* An ordinary file made of directory blocks, which debugfs then calls a directory; all names lead to one inode. */
static void put_names(struct fs *fs, const char *path, const char *before, const char *after, unsigned count, uint32_t ino, uint32_t block)
{
	CLEANUP(buf_done) struct buf b = {0};
	uint8_t entry[300];
	size_t last = 0;

	for (unsigned i = 0; i < count; i++) {
		size_t name = (size_t)snprintf((char *)entry + 8, sizeof(entry) - 8, "%s%07u%s", before, i, after), len = (8 + name + 3) / 4 * 4;

		le32_put(entry, ino);
		entry[6] = (uint8_t)name;
		entry[7] = 1;
		le16_put(entry + 4, (uint16_t)len);
		if (b.len % block + len > block) { /* the last entry of a block reaches to its end */
			le16_put((uint8_t *)b.data + last + 4, (uint16_t)(block - last % block));
			while (b.len % block)
				buf_append(&b, "", 1);
		}
		last = b.len;
		buf_append(&b, entry, len);
	}
	le16_put((uint8_t *)b.data + last + 4, (uint16_t)(block - last % block));
	while (b.len % block)
		buf_append(&b, "", 1);
	assert_false(b.failed);
	assert_ok(fs_write(fs, path, b.data, b.len, &(struct fs_meta){.mode = 0755}, E));
}

static void many_names(const char *path, const char *before, const char *after, const char *target, bool donor, const char *message)
{
	const char *given = getenv("HOSTILE_NAMES"); /* a million by hand */
	unsigned count = given ? (unsigned)atoi(given) : 100000;
	CLEANUP_FREE char *said = NULL, *ino = NULL;
	struct guest *g = NULL;
	struct disk *d = NULL;
	size_t len;
	int rc;

	broken_start(donor);
	assert_int_equal(scratch_shell("truncate -s 128M case.raw && resize2fs case.raw >resize.log 2>&1 && debugfs -R 'stat %s' case.raw | "
				       "sed -n 's/^Inode: *\\([0-9]*\\).*/\\1/p' >ino", target), 0);
	ino = scratch_read("ino", &len);
	ino[len] = '\0';
	assert_ok(disk_open(scratch_path("case.raw"), "raw", DISK_WRITE, &d, E));
	assert_ok(guest_open(d, -1, GUEST_WRITE, NOW, &g, E));
	put_names(g->fs, "/many", before, after, count, (uint32_t)atoi(ino), fs_info(g->fs)->block_size);
	assert_ok(guest_close(g, E));
	disk_close(d);
	assert_int_equal(scratch_shell("printf 'sif /many mode 040755\\nmkdir /etc/systemd\\nunlink %s\\nln /many %s\\n' >commands && "
				       "debugfs -w -f commands case.raw >debugfs.log 2>&1", path, path), 0);
	broken_end(donor);
	rc = run_case(path, &said);
	if (message && (!rc || !strstr(said, message)))
		fail_msg("%s: \"%s\" instead of \"%s\"", path, said, message);
}

static void test_many_names(void **state)
{
	(void)state;
	need_images();
	many_names("/etc/systemd/system", "unit-", ".service", "/etc/inittab", false, NULL);
	many_names("/etc/systemd/system", "", ".wants", "/etc/inittab", false, "more than");
	many_names("/etc/init", "", ".conf", "/etc/inittab", false, "more than");
	many_names("/boot", "file-", "", "/etc/inittab", false, NULL);
	many_names("/boot", "vmlinuz-", "", BOOTIMAGE_KERNEL, true, "kernels");
	many_names("/boot", "file-", "", BOOTIMAGE_KERNEL, true, "kernel");
	many_names("/lib", "", "", BOOTIMAGE_KERNEL, true, NULL);
}

/* ---- a boot loader that leads anywhere ---- */

static uint32_t next(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 8;
}

/* Block lists and their first sector, at random: verification says what is wrong, or nothing, but comes to an end. */
static void test_block_lists(void **state)
{
	CLEANUP_DISK struct disk *d = NULL;
	uint8_t boot[512], first[512], broken[512];
	uint32_t x = 1;
	uint64_t core;

	(void)state;
	need_images();
	d = bootimage_open(false);
	assert_non_null(d);
	assert_ok(disk_read(d, boot, 0, 512, E));
	core = le64_get(boot + 0x5c) * 512;
	assert_ok(disk_read(d, first, core, 512, E));
	for (unsigned i = 0; i < 150; i++) {
		struct verify_report r = {0};

		memcpy(broken, i % 3 ? first : boot, 512);
		if (i % 3 == 0) { /* where the core image starts */
			le64_put(broken + 0x5c, i % 2 ? next(&x) : (uint64_t)next(&x) << 40 | next(&x));
		} else {
			for (unsigned k = 0; k < 1 + i % 40; k++) { /* entries of 12 bytes, from the sector's end down */
				uint8_t *e = broken + 512 - 12 * (k + 1);

				le64_put(e, i % 5 ? next(&x) % (d->size / 512) : (uint64_t)next(&x) << 39);
				le16_put(e + 8, (uint16_t)(i % 7 ? next(&x) % 300 : next(&x)));
				le16_put(e + 10, (uint16_t)next(&x));
			}
		}
		assert_ok(disk_write(d, broken, i % 3 ? core : 0, 512, E));
		assert_ok(verify_disk(d, -1, P2H_TARGET_XEN_HVM, &r, E));
		assert_false(r.passed);
		verify_report_done(&r);
		assert_ok(disk_write(d, boot, 0, 512, E));
		assert_ok(disk_write(d, first, core, 512, E));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_block_lists),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
