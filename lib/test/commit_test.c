#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "disk/commit.h"
#include "support/scratch.h"
#include "support/sysfault.h"

#define SIZE ((1u << 20) + 1536)
#define HOLE (320u << 10) /* data before it and from its end on */
#define HOLE_END (640u << 10)
#define SHIFT (1u << 20)

/* The source: data, a hole, data, no whole number of blocks. */
static unsigned char source[SIZE];
static unsigned char expected[SIZE + SHIFT];

static void make_source(void)
{
	FILE *f;

	memset(source, 0, SIZE);
	fill_pattern(source, HOLE, 1);
	fill_pattern(source + HOLE_END, SIZE - HOLE_END, 2);
	f = fopen(scratch_path("source"), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(source, 1, HOLE, f), HOLE);
	assert_int_equal(fseek(f, HOLE_END, SEEK_SET), 0);
	assert_int_equal(fwrite(source + HOLE_END, 1, SIZE - HOLE_END, f), SIZE - HOLE_END);
	assert_int_equal(fclose(f), 0);
}

static void assert_file(const char *name, const void *data, size_t len)
{
	size_t got_len;
	unsigned char *got = scratch_read(name, &got_len);

	assert_int_equal(got_len, len);
	assert_memory_equal(got, data, len);
	free(got);
}

static int changed(struct disk *d, uint64_t off, size_t len, uint32_t seed, struct p2h_error *err)
{
	fill_pattern(expected + off, len, seed);
	return disk_write(d, expected + off, off, len, err);
}

/* The "conversion": every kind of change at every kind of place. */
static int change(struct disk *d, uint64_t shift, struct p2h_error *err)
{
	int code = 0;

	memset(expected, 0, sizeof(expected));
	memcpy(expected + shift, source, SIZE);
	code |= changed(d, 0, 700, 10, err);
	code |= changed(d, shift + 5000, 9000, 11, err);
	code |= changed(d, shift + HOLE + 8192, 100000, 12, err); /* into the hole */
	code |= disk_zero(d, shift + HOLE_END + 4096, 100000, err);
	memset(expected + shift + HOLE_END + 4096, 0, 100000);
	code |= disk_write(d, expected + shift + HOLE_END + 200000, shift + HOLE_END + 200000, 8192, err);
	code |= changed(d, shift + SIZE - 1000, 1000, 13, err);
	if (shift)
		code |= changed(d, 2048, 60000, 14, err);
	return code;
}

/* source -> [faulty] -> [shifted] -> transaction */
struct stack {
	struct disk *file, *fault, *shifted;
	struct transaction *t;
	struct disk_fault_plan plan;
};

static int stack_open(struct stack *s, const char *name, uint64_t shift, uint64_t fail_read, struct p2h_error *err)
{
	int code;

	memset(s, 0, sizeof(*s));
	code = disk_open(scratch_path(name), NULL, 0, &s->file, err);
	s->plan.fail_at[DISK_FAULT_READ] = fail_read;
	if (!code && fail_read)
		code = disk_fault_open(s->file, &s->plan, &s->fault, err);
	if (!code && shift)
		code = disk_shifted_open(s->fault ? s->fault : s->file, shift, &s->shifted, err);
	if (!code)
		code = transaction_open(s->shifted ? s->shifted : s->fault ? s->fault : s->file, 1u << 20, scratch_path(""),
					&s->t, err);
	return code;
}

static void stack_close(struct stack *s)
{
	transaction_close(s->t);
	disk_close(s->shifted);
	disk_close(s->fault);
	disk_close(s->file);
}

static int convert_in_place(const char *name, uint64_t shift, uint64_t fail_read, struct p2h_error *err)
{
	struct stack s;
	int code = stack_open(&s, name, shift, fail_read, err);

	if (!code)
		code = change(transaction_disk(s.t), shift, err);
	if (!code)
		code = commit_in_place(s.t, scratch_path(name), NULL, shift, scratch_path("undo"), NULL, err);
	stack_close(&s);
	return code;
}

static int convert_to_file(const char *name, const struct commit_options *options, uint64_t shift, uint64_t fail_read,
			   struct p2h_error *err)
{
	struct stack s;
	int code = stack_open(&s, "source", shift, fail_read, err);

	if (!code)
		code = change(transaction_disk(s.t), shift, err);
	if (!code)
		code = commit_new_file(s.t, scratch_path(name), options, err);
	stack_close(&s);
	return code;
}

static bool can_shift(void)
{
	return commit_can_shift(scratch_path("source"));
}

static int undo(bool force)
{
	return commit_undo(scratch_path("source"), NULL, scratch_path("undo"), force, E);
}

static int fresh_setup(void **state)
{
	if (scratch_setup(state))
		return -1;
	sysfault_set(SYSFAULT_NONE, 0);
	sysfault.exit_on_fallocate = 0;
	make_source();
	return 0;
}

/* ---- a new file ---- */

static void test_raw(void **state)
{
	struct commit_options options = {.format = "raw"};
	struct stat st;

	(void)state;
	assert_ok(convert_to_file("out", &options, 0, 0, E));
	assert_file("out", expected, SIZE);
	assert_ok(convert_to_file("shifted", &options, SHIFT, 0, E));
	assert_file("shifted", expected, SIZE + SHIFT);
	assert_file("source", source, SIZE);
	assert_int_equal(stat(scratch_path("shifted"), &st), 0);
	assert_true((uint64_t)st.st_blocks * 512 < SIZE); /* holes are kept */
	assert_int_equal(scratch_count(), 3);
}

static void test_free_is_not_copied(void **state)
{
	struct ranges nothing = {0};
	struct commit_options options = {.format = "raw", .free = &nothing};

	(void)state;
	ranges_add(&nothing, 300000, 500001);
	ranges_add(&nothing, HOLE_END + 300000, 100000);
	assert_ok(convert_to_file("out", &options, 0, 0, E));
	memset(expected + 300000, 0, 500001);
	memset(expected + HOLE_END + 300000, 0, 100000);
	assert_file("out", expected, SIZE);
	ranges_done(&nothing);
}

static void test_qcow2(void **state)
{
	struct commit_options options = {.format = "qcow2"};
	size_t a_len, b_len;
	char *a, *b;

	(void)state;
	if (!tool_exists("qemu-img") || !tool_exists("qemu-nbd"))
		skip();
	assert_ok(convert_to_file("a.qcow2", &options, SHIFT, 0, E));
	assert_ok(convert_to_file("b.qcow2", &options, SHIFT, 0, E));
	a = scratch_read("a.qcow2", &a_len);
	b = scratch_read("b.qcow2", &b_len);
	assert_int_equal(a_len, b_len);
	assert_memory_equal(a, b, a_len); /* the same input gives the same file */
	free(a);
	free(b);
	assert_int_equal(scratch_shell("qemu-img check -q a.qcow2"), 0);
	assert_int_equal(scratch_shell("qemu-img convert -O raw a.qcow2 out"), 0);
	assert_file("out", expected, SIZE + SHIFT);
}

static void test_existing(void **state)
{
	struct commit_options options = {.format = "raw"};

	(void)state;
	scratch_file("out", "old", 3);
	assert_code(convert_to_file("out", &options, 0, 0, E), P2H_EXISTS);
	assert_file("out", "old", 3);
	assert_code(commit_check_file(scratch_path("out"), false, E), P2H_EXISTS);
	assert_code(commit_check_file(scratch_path("no/where"), true, E), P2H_NOTFOUND);
	assert_code(commit_check_file(scratch_path(""), true, E), P2H_EXISTS);
	options.force = true;
	assert_ok(convert_to_file("out", &options, 0, 0, E));
	assert_file("out", expected, SIZE);
	assert_code(convert_to_file("source", &options, 0, 0, E), P2H_USAGE);
	assert_file("source", source, SIZE);
	options.format = "vmdk";
	assert_code(convert_to_file("other", &options, 0, 0, E), P2H_UNSUPPORTED);
	assert_int_equal(scratch_count(), 2);
}

static int cancel_at(void *arg, uint64_t done, uint64_t total)
{
	assert_true(done <= total);
	return (*(int *)arg)-- == 0;
}

static void test_cancel(void **state)
{
	int left = 2;
	struct commit_options options = {.format = "raw", .progress = cancel_at, .progress_arg = &left};
	struct stack s;

	(void)state;
	assert_code(convert_to_file("out", &options, 0, 0, E), P2H_REFUSED);
	assert_message_has("interrupted");
	left = 1;
	assert_ok(stack_open(&s, "source", 0, 0, E));
	assert_ok(change(transaction_disk(s.t), 0, E));
	assert_code(commit_in_place(s.t, scratch_path("source"), NULL, 0, scratch_path("undo"), &options, E), P2H_REFUSED);
	stack_close(&s);
	assert_file("source", source, SIZE);
	assert_int_equal(scratch_count(), 1);
}

static void test_no_space(void **state)
{
	struct commit_options options = {.format = "raw"};
	struct stack s;

	(void)state;
	if (geteuid() || scratch_shell("mkdir small && mount -t tmpfs -o size=64k none small"))
		skip();
	assert_code(convert_to_file("small/out", &options, 0, 0, E), P2H_NOSPACE);
	assert_int_equal(scratch_shell("test -z \"$(ls -A small)\""), 0);
	assert_ok(stack_open(&s, "source", 0, 0, E));
	assert_ok(change(transaction_disk(s.t), 0, E));
	assert_code(commit_in_place(s.t, scratch_path("source"), NULL, 0, scratch_path("small/undo"), NULL, E),
		    P2H_NOSPACE);
	stack_close(&s);
	assert_int_equal(scratch_shell("test -z \"$(ls -A small)\""), 0);
	assert_file("source", source, SIZE);
	assert_int_equal(scratch_shell("umount small"), 0);
}

/* ---- in place ---- */

static void in_place_and_back(uint64_t shift)
{
	assert_ok(convert_in_place("source", shift, 0, E));
	assert_file("source", expected, SIZE + shift);
	assert_ok(undo(false));
	assert_file("source", source, SIZE);
	assert_int_equal(scratch_count(), 1); /* the journal is gone */
}

static void test_in_place(void **state)
{
	(void)state;
	in_place_and_back(0);
}

static void test_in_place_shifted(void **state)
{
	(void)state;
	if (!can_shift())
		skip();
	in_place_and_back(SHIFT);
}

static void test_in_place_qcow2(void **state)
{
	struct disk *d;
	unsigned char *got = malloc(SIZE);

	(void)state;
	assert_non_null(got);
	if (!tool_exists("qemu-nbd") || scratch_shell("qemu-img convert -O qcow2 source s.qcow2")) {
		free(got);
		skip();
	}
	for (int step = 0; step < 2; step++) {
		if (!step)
			assert_ok(convert_in_place("s.qcow2", 0, 0, E));
		else
			assert_ok(commit_undo(scratch_path("s.qcow2"), NULL, scratch_path("undo"), false, E));
		assert_ok(disk_open(scratch_path("s.qcow2"), NULL, 0, &d, E));
		assert_ok(disk_read(d, got, 0, SIZE, E));
		assert_memory_equal(got, step ? source : expected, SIZE);
		disk_close(d);
	}
	free(got);
	assert_code(convert_in_place("s.qcow2", SHIFT, 0, E), P2H_UNSUPPORTED);
	assert_int_equal(scratch_shell("qemu-img check -q s.qcow2"), 0);
	assert_int_equal(scratch_count(), 2);
}

static void test_nothing_to_do(void **state)
{
	struct stack s;

	(void)state;
	assert_ok(stack_open(&s, "source", 0, 0, E));
	assert_ok(disk_write(transaction_disk(s.t), source + 4096, 4096, 8192, E));
	assert_ok(commit_in_place(s.t, scratch_path("source"), NULL, 0, scratch_path("undo"), NULL, E));
	stack_close(&s);
	assert_int_equal(scratch_count(), 1);
}

static void test_in_place_refusals(void **state)
{
	struct disk *writer;

	(void)state;
	scratch_file("undo", "mine", 4);
	assert_code(convert_in_place("source", 0, 0, E), P2H_EXISTS);
	assert_file("undo", "mine", 4);
	assert_int_equal(unlink(scratch_path("undo")), 0);
	assert_ok(disk_open(scratch_path("source"), NULL, DISK_WRITE, &writer, E));
	assert_code(convert_in_place("source", 0, 0, E), P2H_BUSY);
	disk_close(writer);
	assert_file("source", source, SIZE);
	assert_int_equal(scratch_count(), 1);
}

static void poke(const char *name, long at)
{
	FILE *f = fopen(scratch_path(name), "r+");
	int byte;

	assert_non_null(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	byte = getc(f);
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	putc(byte ^ 1, f);
	assert_int_equal(fclose(f), 0);
}

/* Offsets of single changed bytes that must make undo refuse: in a changed block, and beside one. */
static void test_undo_stale(void **state)
{
	static const long places[] = {3, 5001, 600000, HOLE_END + 5000, SIZE - 1};

	(void)state;
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		size_t len;
		void *before;

		make_source();
		assert_ok(convert_in_place("source", 0, 0, E));
		poke("source", places[i]);
		before = scratch_read("source", &len);
		assert_code(undo(false), P2H_STALE);
		assert_file("source", before, len);
		free(before);
		if (i == 2) { /* beside: forced undo puts back what it has */
			poke("source", places[i]);
			assert_ok(undo(false));
		} else {
			assert_ok(undo(true));
		}
		assert_file("source", source, SIZE);
	}
	assert_ok(convert_in_place("source", 0, 0, E));
	assert_int_equal(truncate(scratch_path("source"), SIZE - 512), 0);
	assert_code(undo(true), P2H_STALE);
}

/* Every byte of the journal matters: a damaged one is refused before anything is written. */
static void test_undo_damaged_journal(void **state)
{
	struct stat st;
	long step;

	(void)state;
	assert_ok(convert_in_place("source", 0, 0, E));
	assert_int_equal(stat(scratch_path("undo"), &st), 0);
	step = (long)st.st_size / 40;
	for (long at = 0; at < st.st_size; at += at < 512 ? 37 : step) {
		if (at >= 512 && at < 4096)
			continue; /* padding */
		poke("undo", at);
		assert_code(undo(false), P2H_CORRUPT);
		poke("undo", at);
	}
	assert_file("source", expected, SIZE);
	assert_int_equal(truncate(scratch_path("undo"), st.st_size - 1), 0);
	assert_code(undo(false), P2H_CORRUPT);
	scratch_file("undo", "", 0);
	assert_code(undo(false), P2H_CORRUPT);
	assert_code(commit_undo(scratch_path("source"), NULL, scratch_path("none"), false, E), P2H_NOTFOUND);
}

/* What a process leaves that ends while it makes the journal is taken over; what only looks like it is not. */
static void test_begun_journal(void **state)
{
	static const char header[512] = "PV2HVMUJ\1";
	static const struct {
		const char *data;
		size_t len;
		bool begun;
	} row[] = {
		{"", 0, true},	      {"PV2", 3, true},		 {header, 8, true},	{header, 300, true}, {header, 512, true},
		{header + 1, 3, false}, {"mine", 4, false}, {"PV2HVMUK", 8, false}, {"\0\0", 2, false},
	};
	struct stat st;
	int fd;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		scratch_file("undo", row[i].data, row[i].len);
		assert_int_equal(commit_is_begun(scratch_path("undo")), row[i].begun);
		assert_code(undo(false), P2H_CORRUPT);
		if (row[i].begun)
			assert_message_has("nothing to undo");
		assert_file("undo", row[i].data, row[i].len); /* undo does not remove it */
		if (row[i].begun) {
			in_place_and_back(0);
			continue;
		}
		assert_code(convert_in_place("source", 0, 0, E), P2H_EXISTS);
		assert_file("undo", row[i].data, row[i].len);
		assert_int_equal(unlink(scratch_path("undo")), 0);
	}
	/* A whole header, whatever its state, or one behind which records came, is a journal. */
	assert_ok(convert_in_place("source", 0, 0, E));
	assert_false(commit_is_begun(scratch_path("undo")));
	poke("undo", 20);
	assert_false(commit_is_begun(scratch_path("undo")));
	poke("undo", 20);
	assert_int_equal(stat(scratch_path("undo"), &st), 0);
	assert_true(st.st_size > 512);
	assert_int_equal(truncate(scratch_path("undo"), 512), 0);
	assert_false(commit_is_begun(scratch_path("undo")));
	assert_int_equal(unlink(scratch_path("undo")), 0);
	make_source();
	/* Another process is about to write it. */
	scratch_file("undo", "", 0);
	fd = open(scratch_path("undo"), O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_code(convert_in_place("source", 0, 0, E), P2H_BUSY);
	assert_true(scratch_exists("undo"));
	close(fd);
	/* A link to somewhere else is nobody's leftover. */
	assert_int_equal(rename(scratch_path("undo"), scratch_path("other")), 0);
	assert_int_equal(symlink(scratch_path("other"), scratch_path("undo")), 0);
	assert_false(commit_is_begun(scratch_path("undo")));
	assert_code(convert_in_place("source", 0, 0, E), P2H_EXISTS);
	assert_file("source", source, SIZE);
}

/* ---- faults and crashes ---- */

/* Ends the child in its n-th call; true when it came to its end before. */
static bool crash(int (*run)(uint64_t shift), uint64_t shift, long n, int fallocate_flag)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		sysfault.exit_on_fallocate = fallocate_flag;
		sysfault_set(fallocate_flag ? SYSFAULT_NONE : SYSFAULT_EXIT, n);
		_exit(run(shift) ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) != SYSFAULT_STATUS)
		assert_int_equal(WEXITSTATUS(status), 0);
	return !WEXITSTATUS(status);
}

static int run_commit(uint64_t shift)
{
	return convert_in_place("source", shift, 0, NULL);
}

static int run_undo(uint64_t shift)
{
	(void)shift;
	return undo(false);
}

static void assert_restored(void)
{
	if (scratch_exists("undo")) {
		int code = undo(false);

		/* cut off before its header was written: then the image is as it was, and a conversion goes on */
		if (code == P2H_CORRUPT) {
			assert_true(commit_is_begun(scratch_path("undo")));
			assert_file("source", source, SIZE);
			assert_ok(convert_in_place("source", 0, 0, E));
			code = undo(false);
		}
		assert_int_equal(code, 0);
	}
	assert_file("source", source, SIZE);
}

static void sweep_crashes(uint64_t shift)
{
	bool ended = false;
	long n;

	for (n = 1; !ended; n++) {
		make_source();
		ended = crash(run_commit, shift, n, 0);
		assert_restored();
	}
	assert_true(n > 20);
	print_message("faults: commit, process ended in a conversion, shift %u KiB: %ld\n", (unsigned)(shift >> 10), n - 2);
	for (n = 1, ended = false; !ended; n++) { /* undo itself breaks off, and is started again */
		make_source();
		assert_ok(convert_in_place("source", shift, 0, E));
		ended = crash(run_undo, shift, n, 0);
		assert_restored();
	}
	assert_true(n > 8);
	print_message("faults: commit, process ended in undo, shift %u KiB: %ld\n", (unsigned)(shift >> 10), n - 2);
}

static void test_crashes(void **state)
{
	(void)state;
	sweep_crashes(0);
}

static void test_crashes_shifted(void **state)
{
	(void)state;
	if (!can_shift())
		skip();
	sweep_crashes(SHIFT);
}

/* A crash within INSERT_RANGE or COLLAPSE_RANGE: the part from `at` on is shifted, the rest is not. */
static void shift_partly(long at)
{
	int fd = open(scratch_path("source"), O_RDWR);

	assert_true(fd >= 0);
	if (at < 0)
		assert_int_equal(ftruncate(fd, SIZE + SHIFT), 0);
	else
		assert_int_equal(fallocate(fd, FALLOC_FL_INSERT_RANGE, at, SHIFT), 0);
	close(fd);
}

static void test_partial_shift(void **state)
{
	static const long places[] = {0, 4096, 1 << 18, HOLE, HOLE + 65536, HOLE_END, HOLE_END + 8192, 1 << 20, -1};

	(void)state;
	if (!can_shift())
		skip();
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		make_source();
		assert_false(crash(run_commit, SHIFT, 0, FALLOC_FL_INSERT_RANGE));
		shift_partly(places[i]);
		assert_ok(undo(false));
		assert_file("source", source, SIZE);

		assert_ok(convert_in_place("source", SHIFT, 0, E));
		assert_false(crash(run_undo, SHIFT, 0, FALLOC_FL_COLLAPSE_RANGE));
		assert_int_equal(scratch_shell("fallocate -c -l %u source", SHIFT), 0);
		shift_partly(places[i]);
		assert_ok(undo(false));
		assert_file("source", source, SIZE);
		assert_int_equal(scratch_count(), 1);
	}
}

static void sweep_failures(uint64_t shift)
{
	int code = -1;
	long n;

	for (n = 1; code; n++) {
		make_source();
		sysfault_set(SYSFAULT_FAIL, n);
		code = convert_in_place("source", shift, 0, E);
		if (n > sysfault.calls) /* the fault did not strike */
			assert_int_equal(code, 0);
		sysfault_set(SYSFAULT_NONE, 0);
		if (code && scratch_exists("undo"))
			assert_non_null(strstr(E->msg, "pv2hvm undo"));
		assert_restored();
	}
	assert_true(n > 20);
	print_message("faults: commit, call failed in a conversion, shift %u KiB: %ld\n", (unsigned)(shift >> 10), n - 2);
}

static void test_failures(void **state)
{
	(void)state;
	sweep_failures(0);
	if (can_shift())
		sweep_failures(SHIFT);
}

static void test_failures_new_file(void **state)
{
	struct commit_options options = {.format = "raw"};
	int code = -1;
	long n, failed = 0;

	(void)state;
	for (n = 1; code || n < 8; n++) {
		sysfault_set(SYSFAULT_FAIL, n);
		code = convert_to_file("out", &options, SHIFT, 0, E);
		failed += n <= sysfault.calls;
		sysfault_set(SYSFAULT_NONE, 0);
		if (!code)
			assert_file("out", expected, SIZE + SHIFT);
		if (scratch_exists("out")) /* whole, even when only the flush of the directory failed */
			assert_int_equal(unlink(scratch_path("out")), 0);
		assert_int_equal(scratch_count(), 1);
		assert_file("source", source, SIZE);
	}
	print_message("faults: commit, call failed while a new file is written: %ld\n", failed);
}

static void test_read_failures(void **state)
{
	struct commit_options options = {.format = "raw"};
	unsigned failed = 0;
	int code = -1;

	(void)state;
	for (uint64_t n = 1; code; n++) {
		code = convert_to_file("out", &options, SHIFT, n, E);
		failed += code != 0;
		assert_int_equal(scratch_exists("out"), !code);
		assert_int_equal(scratch_count(), code ? 1 : 2);
	}
	assert_int_equal(unlink(scratch_path("out")), 0);
	code = -1;
	for (uint64_t n = 1; code; n++) {
		code = convert_in_place("source", 0, n, E);
		failed += code != 0;
		assert_file("source", code ? source : expected, SIZE);
		assert_int_equal(scratch_count(), code ? 1 : 2);
	}
	print_message("faults: commit, read failed: %u\n", failed);
}

/* ---- a device ---- */

static bool loop_setup(const char *size, char *ret, size_t room)
{
	FILE *f;

	if (geteuid() || scratch_shell("truncate -s %s disk && losetup -f --show disk > loop", size))
		return false;
	f = fopen(scratch_path("loop"), "r");
	assert_non_null(f);
	assert_non_null(fgets(ret, (int)room, f));
	fclose(f);
	ret[strcspn(ret, "\n")] = '\0';
	return true;
}

static void test_device(void **state)
{
	struct commit_options options = {0};
	unsigned char *got = malloc(SIZE);
	struct stack s;
	char loop[64];
	FILE *f;

	(void)state;
	assert_non_null(got);
	if (!loop_setup("4M", loop, sizeof(loop))) {
		free(got);
		skip();
	}
	assert_ok(stack_open(&s, "source", 0, 0, E));
	assert_ok(change(transaction_disk(s.t), 0, E));
	assert_int_equal(scratch_shell("tr '\\0' '\\377' < /dev/zero | head -c 4M > %s; mkfs.ext4 -q %s", loop, loop), 0);
	assert_code(commit_device(s.t, loop, &options, E), P2H_EXISTS);
	assert_message_has("ext4");
	assert_code(commit_check_device(loop, 5u << 20, true, E), P2H_NOSPACE);
	assert_code(commit_check_device(scratch_path("source"), 1, true, E), P2H_UNSUPPORTED);
	options.force = true;
	assert_ok(commit_device(s.t, loop, &options, E));
	stack_close(&s);
	f = fopen(loop, "r");
	assert_non_null(f);
	assert_int_equal(fread(got, 1, SIZE, f), SIZE);
	fclose(f);
	assert_memory_equal(got, expected, SIZE);
	free(got);
	assert_int_equal(scratch_shell("losetup -d %s", loop), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_raw),
		TEST(test_free_is_not_copied),
		TEST(test_qcow2),
		TEST(test_existing),
		TEST(test_cancel),
		TEST(test_no_space),
		TEST(test_in_place),
		TEST(test_in_place_shifted),
		TEST(test_in_place_qcow2),
		TEST(test_nothing_to_do),
		TEST(test_in_place_refusals),
		TEST(test_undo_stale),
		TEST(test_undo_damaged_journal),
		TEST(test_begun_journal),
		TEST(test_crashes),
		TEST(test_crashes_shifted),
		TEST(test_partial_shift),
		TEST(test_failures),
		TEST(test_failures_new_file),
		TEST(test_read_failures),
		TEST(test_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
