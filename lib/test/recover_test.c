/* recover_test.c - volumes that were copied while mounted, or are damaged: the same result as e2fsck has on a whole copy */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "disk/transaction.h"
#include "fs/fs.h"
#include "fs/recover.h"
#include "support/scratch.h"
#include "support/sysfault.h"

#define MEMORY (8 * 1024 * 1024u)

static const struct {
	const char *name, *options;
	unsigned block;        /* of the file system, bytes */
	const char *open;      /* debugfs' journal_open */
} config[] = {
	{"ext3, 1 KiB", "-t ext3 -b 1024", 1024, "jo"},
	{"ext3, 4 KiB", "-t ext3 -b 4096", 4096, "jo"},
	{"ext4, 4 KiB, metadata_csum, 64bit", "-t ext4 -b 4096 -O metadata_csum,64bit", 4096, "jo -c -v 3"},
	{"ext4, 1 KiB, 64bit, checksums v2", "-t ext4 -b 1024 -O metadata_csum,64bit", 1024, "jo -c -v 2"},
	{"ext4, bigalloc", "-t ext4 -b 4096 -O bigalloc,metadata_csum", 4096, "jo -c -v 3"},
	{"ext4, meta_bg, no checksums", "-t ext4 -b 2048 -O meta_bg,^resize_inode,^metadata_csum,^64bit", 2048, "jo"},
	{"ext4, fast_commit", "-t ext4 -b 4096 -O fast_commit", 4096, "jo -c -v 3"},
};
#define CONFIGS (sizeof(config) / sizeof(config[0]))

static void need_tools(void)
{
	if (!tool_exists("mke2fs") || !tool_exists("debugfs") || !tool_exists("e2fsck"))
		skip();
}

#define SHELL(...) assert_int_equal(scratch_shell(__VA_ARGS__), 0)

static void make_image(const char *options)
{
	SHELL("rm -f *.img && truncate -s 32M new.img && mkdir -p tree && echo here >tree/file && "
	      "head -c 3000000 /dev/zero | tr '\\0' x >tree/big && mke2fs -q -F -N 2000 -U 01234567-89ab-cdef-0123-456789abcdef %s -d tree new.img", options);
}

/* An image with the recovery's result in it: `name`, made from dirty.img, which must stay as it is. */
static void recover_to(const char *name, unsigned flags, struct fs_recovery *ret)
{
	CLEANUP_FREE char *data = NULL, *before = NULL, *after = NULL;
	struct disk *d = NULL;
	struct transaction *t = NULL;
	size_t len, len_after;

	before = scratch_read("dirty.img", &len);
	assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
	assert_ok(transaction_open(d, MEMORY, NULL, &t, E));
	assert_ok(fs_ext_recover(transaction_disk(t), flags, ret, E));
	data = malloc(len);
	assert_non_null(data);
	assert_ok(disk_read(transaction_disk(t), data, 0, len, E));
	transaction_close(t);
	disk_close(d);
	scratch_file(name, data, len);
	after = scratch_read("dirty.img", &len_after);
	assert_int_equal(len_after, len);
	assert_memory_equal(before, after, len);
}

static void assert_same(const char *a, const char *b)
{
	size_t len_a, len_b;
	CLEANUP_FREE char *x = scratch_read(a, &len_a), *y = scratch_read(b, &len_b);

	assert_int_equal(len_a, len_b);
	for (size_t i = 0; i < len_a; i++)
		if (x[i] != y[i])
			fail_msg("%s and %s differ at byte %zu", a, b, i);
}

/*
 * e2fsck's result on a whole copy, and ours: every byte but the superblock's free counts, its times and counter of writes, and the
 * checksum over it all. (The counts are those that the group descriptors add up to: e2fsck -fn is silent about ours.)
 */
static void assert_as_e2fsck(const char *ours)
{
	static const struct range field[] = {{0x0c, 8}, {0x2c, 8}, {0x40, 4}, {0x158, 4}, {0x178, 8}, {0x3fc, 4}, {0x274, 8}};
	CLEANUP_FREE char *x = NULL, *y = NULL;
	size_t len_x, len_y;

	SHELL("cp --sparse=always dirty.img whole.img && E2FSCK_TIME=$(od -An -tu4 -j1072 -N4 whole.img | tr -d ' ') e2fsck -p -E journal_only whole.img >/dev/null; test $? -lt 4");
	x = scratch_read("whole.img", &len_x);
	y = scratch_read(ours, &len_y);
	assert_int_equal(len_x, len_y);
	for (size_t i = 0; i < sizeof(field) / sizeof(field[0]); i++) {
		memset(x + 1024 + field[i].off, 0, field[i].len);
		memset(y + 1024 + field[i].off, 0, field[i].len);
	}
	for (size_t i = 0; i < len_x; i++)
		if (x[i] != y[i])
			fail_msg("e2fsck's copy and %s differ at byte %zu (0x%zx)", ours, i, i);
}

static void assert_dirty(bool expected)
{
	struct disk *d = NULL;
	struct fs_recovery r;

	assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
	assert_ok(fs_ext_look(d, &r, E));
	assert_int_equal(r.needs_recovery || r.has_errors, expected);
	assert_false(r.checked);
	disk_close(d);
}

/* Blocks that only the journal has: written and revoked, by debugfs. */
static void write_journal(size_t i)
{
	make_image(config[i].options);
	SHELL("head -c %u /dev/zero | tr '\\0' 1 >one && head -c %u /dev/zero | tr '\\0' 2 >two && "
	      "printf '%s\\njw -b 7000 one\\njw -b 7001,7002 two\\njw -r 7002\\njw -b 7003 two\\njc\\n' >commands && "
	      "cp new.img dirty.img && debugfs -w -f commands dirty.img >/dev/null 2>&1", config[i].block, 2 * config[i].block, config[i].open);
}

static void test_journal_of_debugfs(void **state)
{
	(void)state;
	need_tools();
	for (size_t i = 0; i < CONFIGS; i++) {
		struct fs_recovery r;
		CLEANUP_FREE char *data = NULL;
		size_t len;

		write_journal(i);
		assert_dirty(true);
		recover_to("ours.img", 0, &r);
		if (!r.needs_recovery || !r.replayed || r.has_errors || r.words[0])
			fail_msg("%s: %d %d %d %s", config[i].name, r.needs_recovery, r.replayed, r.has_errors, r.words);
		assert_as_e2fsck("ours.img");
		SHELL("e2fsck -fn ours.img >/dev/null 2>&1");
		data = scratch_read("ours.img", &len);
		assert_int_equal(data[7000 * (size_t)config[i].block], '1');
		assert_int_equal(data[7001 * (size_t)config[i].block], '2');
		assert_int_not_equal(data[7002 * (size_t)config[i].block + 1], '2'); /* revoked */
		assert_int_equal(data[7003 * (size_t)config[i].block + 1], '2');
		/* Whenever it is done, the bytes are the same: e2fsck's run took time, and so did the clock's second. */
		if (!i)
			SHELL("sleep 1.1");
		recover_to("again.img", 0, &r);
		assert_same("ours.img", "again.img");
	}
}

/* What a kernel leaves: files that were synced but not written back, one deleted and still open, and the volume copied then. */
static void test_copied_while_mounted(void **state)
{
	static const size_t which[] = {0, 2, 4};

	(void)state;
	need_tools();
	for (size_t n = 0; n < 3; n++) {
		size_t i = which[n];
		struct fs_recovery r;
		struct disk *d = NULL;
		struct fs *fs = NULL;
		struct buf text = {0};
		int rc;

		make_image(config[i].options);
		rc = scratch_shell("mkdir -p mnt && mount -o loop,commit=300 new.img mnt 2>/dev/null || exit 77; "
				   "mkdir mnt/deep && for i in 1 2 3 4 5 6 7 8 9; do mkdir mnt/deep/$i && seq 1000 >mnt/deep/$i/f; done; "
				   "exec 9<mnt/big; rm mnt/big; echo journal >mnt/only; sync mnt/only; rc=$?; "
				   "cp --sparse=always new.img dirty.img; exec 9<&-; umount mnt; exit $rc");
		if (rc == 77)
			skip();
		assert_int_equal(rc, 0);
		assert_dirty(true);
		recover_to("ours.img", 0, &r);
		if (!r.needs_recovery || !r.replayed || r.has_errors || r.words[0])
			fail_msg("%s: %d %d %d %s", config[i].name, r.needs_recovery, r.replayed, r.has_errors, r.words);
		assert_as_e2fsck("ours.img");
		SHELL("e2fsck -fn ours.img >check.log 2>&1 || { cat check.log; exit 1; }");
		assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
		assert_ok(fs_ext_open(d, 0, 0, &fs, E));
		assert_code(fs_read(fs, "/only", 100, &text, E), P2H_NOTFOUND);
		fs_close(fs, NULL);
		disk_close(d);
		assert_ok(disk_open(scratch_path("ours.img"), "raw", DISK_WRITE, &d, E));
		assert_ok(fs_ext_open(d, FS_WRITE, 1700000000, &fs, E));
		assert_ok(fs_read(fs, "/only", 100, &text, E));
		assert_string_equal(text.data, "journal\n");
		buf_done(&text);
		assert_ok(fs_close(fs, E));
		disk_close(d);
		SHELL("e2fsck -fn ours.img >/dev/null 2>&1");
	}
}

static const struct {
	const char *name, *spoil; /* a shell command on dirty.img, which holds a journal of config[2] */
	const char *says;
} broken[] = {
	{"no journal superblock", "debugfs -R 'bmap <8> 0' dirty.img 2>/dev/null >at && dd if=/dev/zero of=dirty.img bs=4096 seek=$(cat at) count=1 conv=notrunc status=none",
	 "journal"},
	{"a damaged block in the journal", "debugfs -R 'bmap <8> 2' dirty.img 2>/dev/null >at && printf x | dd of=dirty.img bs=1 seek=$(($(cat at) * 4096 + 77)) conv=notrunc status=none",
	 ""},
	{"a journal elsewhere", "printf 'ssv journal_inum 0\\nssv journal_uuid 11111111-2222-3333-4444-555555555555\\n' | debugfs -w -f - dirty.img >/dev/null 2>&1",
	 "another device, UUID 11111111-2222-3333-4444-555555555555"},
	{"no journal at all", "debugfs -w -R 'ssv journal_inum 0' dirty.img >/dev/null 2>&1", "journal"},
};

static void test_broken_journals(void **state)
{
	(void)state;
	need_tools();
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct fs_recovery r;

		write_journal(2);
		SHELL("%s", broken[i].spoil);
		recover_to("ours.img", FS_RECOVER_REPAIR, &r);
		if (r.replayed || !r.needs_recovery || !r.words[0] || !strstr(r.words, broken[i].says) || strstr(r.words, "/proc") || strstr(r.words, "CLEARED") ||
		    strstr(r.words, "deleted"))
			fail_msg("%s: replayed %d: %s", broken[i].name, r.replayed, r.words);
		print_message("%s: %s\n", broken[i].name, r.words);
		assert_same("dirty.img", "ours.img");
	}
}

static void test_errors(void **state)
{
	struct fs_recovery r;

	(void)state;
	need_tools();
	/* A wrong count is repaired. */
	for (size_t i = 0; i < CONFIGS; i += 2) {
		make_image(config[i].options);
		SHELL("printf 'sif /big blocks 4711\\nssv state 3\\n' | debugfs -w -f - new.img >/dev/null 2>&1; mv new.img dirty.img");
		assert_dirty(true);
		recover_to("ours.img", 0, &r);
		assert_true(r.has_errors && !r.repaired && !r.needs_recovery);
		if (!strstr(r.words, "4711"))
			fail_msg("%s: %s", config[i].name, r.words);
		assert_same("dirty.img", "ours.img");
		recover_to("ours.img", FS_RECOVER_REPAIR, &r);
		if (!r.has_errors || !r.repaired || !strstr(r.words, "FIXED"))
			fail_msg("%s: %s", config[i].name, r.words);
		SHELL("e2fsck -fn ours.img >check.log 2>&1 || { cat check.log; exit 1; }");
		/* The same as on a whole copy: no byte of a file was taken for a hole. */
		SHELL("cp dirty.img whole.img; e2fsck -fp whole.img >/dev/null; debugfs -R 'cat /big' whole.img 2>/dev/null | cksum >a; "
		      "debugfs -R 'cat /big' ours.img 2>/dev/null | cksum >b; cmp a b && test \"$(cut -d' ' -f2 a)\" = 3000000");
	}
	/* A directory that is no more is not. */
	make_image(config[2].options);
	SHELL("debugfs -w -R 'zap_block -f / -p 170 0' new.img >/dev/null 2>&1; debugfs -w -R 'ssv state 3' new.img >/dev/null 2>&1; mv new.img dirty.img");
	recover_to("ours.img", FS_RECOVER_REPAIR, &r);
	assert_true(r.has_errors && !r.repaired && r.words[0]);
	print_message("%s\n", r.words);
	assert_same("dirty.img", "ours.img");
}

/* The superblock in the journal is older than the mark on the disk: the mark counts. */
static void test_errors_under_a_journal(void **state)
{
	struct fs_recovery r;

	(void)state;
	need_tools();
	write_journal(2);
	SHELL("debugfs -w -R 'ssv state 3' dirty.img >/dev/null 2>&1");
	recover_to("ours.img", 0, &r);
	assert_true(r.replayed && r.has_errors && !r.repaired);
	recover_to("ours.img", FS_RECOVER_REPAIR, &r);
	assert_true(r.replayed && r.has_errors && r.repaired);
	SHELL("e2fsck -fn ours.img >/dev/null 2>&1");
}

/* As for a conversion: what must be recovered is told, else e2fsck says what it finds. */
static void look(struct disk *d, struct fs_recovery *ret)
{
	struct fs_check *check = NULL;

	assert_ok(fs_ext_look(d, ret, E));
	if (ret->needs_recovery || ret->has_errors || ret->has_orphans)
		return;
	assert_ok(fs_check_start(d, &check, ret, E));
	assert_non_null(check);
	assert_ok(fs_check_end(check, NULL, NULL, ret, E));
}

/* What e2fsck says of dirty.img: read in place, and (through a disk without a descriptor) on a scratch file. */
static void look_both_ways(const char *what, struct fs_recovery *ret)
{
	struct fs_recovery in_place;
	struct transaction *t = NULL;
	struct disk *d = NULL;

	assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
	look(d, &in_place);
	assert_ok(transaction_open(d, MEMORY, NULL, &t, E));
	look(transaction_disk(t), ret);
	if (in_place.checked != ret->checked || in_place.damaged != ret->damaged || strcmp(in_place.words, ret->words))
		fail_msg("%s: in place %d '%s', scratch %d '%s'", what, in_place.damaged, in_place.words, ret->damaged, ret->words);
	transaction_close(t);
	disk_close(d);
}

static const struct {
	const char *what, *debugfs, *says;
} unmarked[] = {
	{"a count of blocks", "sif /big blocks 4711", "Inode 12, i_blocks is 4711, should be "},
	{"a name without a file", "clri /file", "'file'"},
	{"a file without a name", "unlink /file", "Unattached inode"},
	{"a bitmap", "freeb 900 40", "Block bitmap differences"},
	{"a directory's block", "zap_block -f / -p 170 0", "irectory"},
};

/* Damage that the superblock does not tell of; and none, in every kind of file system. */
static void test_unmarked_damage(void **state)
{
	struct fs_recovery r;

	(void)state;
	need_tools();
	for (size_t i = 0; i < CONFIGS; i++) {
		make_image(config[i].options);
		SHELL("mv new.img dirty.img");
		look_both_ways(config[i].name, &r);
		if (!r.checked || r.damaged || r.words[0])
			fail_msg("%s: %d %d %s", config[i].name, r.checked, r.damaged, r.words);
	}
	for (size_t i = 0; i < sizeof(unmarked) / sizeof(unmarked[0]); i++) {
		make_image(config[2].options);
		SHELL("printf '%s\n' | debugfs -w -f - new.img >/dev/null 2>&1; mv new.img dirty.img", unmarked[i].debugfs);
		look_both_ways(unmarked[i].what, &r);
		if (!r.checked || !r.damaged || r.has_errors || !r.words[0] || !strstr(r.words, unmarked[i].says) || strstr(r.words, "? no"))
			fail_msg("%s: %d %d %s", unmarked[i].what, r.checked, r.damaged, r.words);
		print_message("%s: %s\n", unmarked[i].what, r.words);
		recover_to("ours.img", FS_RECOVER_CHECK, &r);
		assert_true(r.damaged && !r.repaired);
		assert_same("dirty.img", "ours.img");
	}
	/* Repaired where that is safe, and only on request. */
	make_image(config[2].options);
	SHELL("printf 'sif /big blocks 4711\n' | debugfs -w -f - new.img >/dev/null 2>&1; mv new.img dirty.img");
	recover_to("ours.img", 0, &r);
	assert_true(!r.checked && !r.damaged);
	recover_to("ours.img", FS_RECOVER_CHECK | FS_RECOVER_REPAIR, &r);
	if (!r.damaged || !r.repaired || !strstr(r.words, "FIXED"))
		fail_msg("%d %d %s", r.damaged, r.repaired, r.words);
	SHELL("e2fsck -fn ours.img >check.log 2>&1 || { cat check.log; exit 1; }");
	recover_to("again.img", FS_RECOVER_CHECK | FS_RECOVER_REPAIR, &r);
	assert_same("ours.img", "again.img");
}

static bool stop_at_once(void *arg)
{
	++*(int *)arg;
	return true;
}

/* One that nobody waits for any more, or that the caller wants to stop: no process and no descriptor is left. */
static void test_check_is_stopped(void **state)
{
	struct transaction *t = NULL;
	struct disk *d = NULL;
	int asked = 0;

	(void)state;
	need_tools();
	make_image(config[2].options);
	SHELL("mv new.img dirty.img");
	assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
	assert_ok(transaction_open(d, MEMORY, NULL, &t, E));
	for (int i = 0; i < 4; i++) {
		struct disk *volume = i & 1 ? d : transaction_disk(t);
		struct fs_check *check = NULL;
		struct fs_recovery r = {0};
		int before = dup(0), after;

		assert_ok(fs_check_start(volume, &check, &r, E));
		assert_non_null(check);
		if (i & 2)
			assert_code(fs_check_end(check, stop_at_once, &asked, &r, E), P2H_REFUSED);
		else
			fs_check_kill(check);
		assert_false(r.checked || r.damaged);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
		close(before);
		after = dup(0);
		assert_int_equal(after, before);
		close(after);
	}
	assert_int_equal(asked, 2);
	fs_check_kill(NULL);
	transaction_close(t);
	disk_close(d);
}

/* On the list of orphans although the journal is empty: the kernel clears it at its next mount, and that is no damage. */
static void test_orphans(void **state)
{
	struct fs_recovery r;

	(void)state;
	need_tools();
	make_image(config[0].options);
	SHELL("printf 'sif /file links_count 0\nunlink /file\nssv last_orphan %%s\n' $(debugfs -R 'stat /file' new.img 2>/dev/null | "
	      "sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p') | debugfs -w -f - new.img >/dev/null 2>&1; mv new.img dirty.img; ! e2fsck -fn dirty.img >/dev/null 2>&1");
	look_both_ways("orphans", &r);
	assert_true(r.has_orphans && !r.checked);
	recover_to("ours.img", FS_RECOVER_CHECK, &r);
	if (!r.checked || r.damaged)
		fail_msg("%d %d %s", r.checked, r.damaged, r.words);
	SHELL("e2fsck -fn ours.img >check.log 2>&1 || { cat check.log; exit 1; }");
}

static void test_nothing_to_do(void **state)
{
	struct fs_recovery r;

	(void)state;
	need_tools();
	make_image(config[2].options);
	SHELL("mv new.img dirty.img");
	assert_dirty(false);
	recover_to("ours.img", FS_RECOVER_REPAIR, &r);
	assert_false(r.needs_recovery || r.has_errors || r.replayed || r.repaired);
	assert_same("dirty.img", "ours.img");
	SHELL("head -c 10000 /dev/zero >dirty.img");
	assert_dirty(false);
	SHELL("head -c 100 /dev/zero >dirty.img");
	assert_dirty(false);
}

/* The temporary file that e2fsck works on has no room, or its disk fails: one call after the other. */
static void test_failing_scratch(void **state)
{
	static const size_t which[] = {2, 6}; /* replayed by debugfs on some blocks, by e2fsck on all */
	long failed = 0;

	(void)state;
	need_tools();
	for (size_t i = 0; i < sizeof(which) / sizeof(which[0]); i++) {
		CLEANUP_FREE char *before = NULL, *after = NULL;
		size_t len, len_after;
		int files, code = -1;

		write_journal(which[i]);
		before = scratch_read("dirty.img", &len);
		files = scratch_count();
		for (long n = 1; code; n += n < 20 ? 1 : n / 4) {
			struct transaction *t = NULL;
			struct disk *d = NULL;
			struct fs_recovery r;

			assert_ok(disk_open(scratch_path("dirty.img"), "raw", 0, &d, E));
			assert_ok(transaction_open(d, MEMORY, NULL, &t, E));
			sysfault_set(SYSFAULT_FAIL, n);
			code = fs_ext_recover(transaction_disk(t), FS_RECOVER_CHECK, &r, E);
			if (n > sysfault.calls)
				assert_int_equal(code, 0);
			else
				failed++;
			sysfault_set(SYSFAULT_NONE, 0);
			if (code)
				assert_message_has("temporary file for e2fsck");
			transaction_close(t);
			disk_close(d);
			assert_int_equal(scratch_count(), files);
		}
		after = scratch_read("dirty.img", &len_after);
		assert_int_equal(len_after, len);
		assert_memory_equal(before, after, len);
	}
	assert_true(failed > 20);
	print_message("faults: recovery, a write of the temporary file: %ld\n", failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_journal_of_debugfs), cmocka_unit_test(test_copied_while_mounted),
		cmocka_unit_test(test_broken_journals),	   cmocka_unit_test(test_errors),
		cmocka_unit_test(test_errors_under_a_journal), cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_unmarked_damage), cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_failing_scratch), cmocka_unit_test(test_check_is_stopped),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
