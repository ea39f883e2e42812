#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/le.h"
#include "disk/transaction.h"
#include "support/scratch.h"

#define SIZE ((2u << 20) + 512)

/* ---- every back-end does the same ---- */

struct target {
	struct disk *d, *under;
	struct transaction *t;
	uint64_t writable_from; /* nothing is stored in front of a shifted disk */
};

static void open_mem(struct target *t)
{
	assert_ok(disk_mem_open(SIZE, &t->d, E));
}

static void open_file(struct target *t)
{
	assert_int_equal(scratch_shell("truncate -s %u raw", SIZE), 0);
	assert_ok(disk_open(scratch_path("raw"), NULL, DISK_WRITE, &t->d, E));
	assert_string_equal(t->d->format, "raw");
	assert_true(t->d->fd >= 0);
}

static void open_format(struct target *t, const char *format)
{
	if (!tool_exists("qemu-nbd") || scratch_shell("qemu-img create -q -f %s image.%s %u", format, format, SIZE))
		skip();
	assert_ok(disk_open(scratch_path(strcmp(format, "qcow2") ? strcmp(format, "vmdk") ? "image.vdi" : "image.vmdk"
								 : "image.qcow2"),
			    NULL, DISK_WRITE, &t->d, E));
	assert_string_equal(t->d->format, format);
	assert_int_equal(t->d->fd, -1);
}

static void open_qcow2(struct target *t)
{
	open_format(t, "qcow2");
}

static void open_vmdk(struct target *t)
{
	open_format(t, "vmdk");
}

static void open_vdi(struct target *t)
{
	open_format(t, "vdi");
}

static void open_slice(struct target *t)
{
	assert_ok(disk_mem_open(SIZE + (3u << 20), &t->under, E));
	assert_ok(disk_slice_open(t->under, 1000448, SIZE, &t->d, E));
}

static void open_shifted(struct target *t)
{
	assert_ok(disk_mem_open(SIZE - 65536, &t->under, E));
	assert_ok(disk_shifted_open(t->under, 65536, &t->d, E));
	t->writable_from = 65536;
}

static void open_transaction(struct target *t)
{
	assert_ok(disk_mem_open(SIZE, &t->under, E));
	assert_ok(transaction_open(t->under, 1u << 20, NULL, &t->t, E));
	t->d = transaction_disk(t->t);
}

static void close_target(struct target *t)
{
	if (t->t)
		transaction_close(t->t);
	else
		disk_close(t->d);
	disk_close(t->under);
}

static void assert_same(struct disk *d, const unsigned char *want)
{
	unsigned char *got = malloc(SIZE);
	uint64_t at = 0;

	assert_non_null(got);
	assert_ok(disk_read(d, got, 0, SIZE, E));
	assert_memory_equal(got, want, SIZE);
	while (at < SIZE) {
		struct disk_extent e;

		assert_ok(disk_extent(d, at, &e, E));
		assert_true(e.len > 0 && e.len <= SIZE - at);
		for (uint64_t i = 0; e.zero && i < e.len; i++)
			assert_int_equal(want[at + i], 0);
		at += e.len;
	}
	free(got);
}

static void write_both(struct disk *d, unsigned char *want, uint64_t off, size_t len, uint32_t seed)
{
	fill_pattern(want + off, len, seed);
	assert_ok(disk_write(d, want + off, off, len, E));
}

static void conformance(void **state)
{
	static const struct {
		uint64_t off;
		size_t len;
	} writes[] = {{70000, 1}, {70001, 511}, {131072, 65536}, {1u << 20, 300001}, {SIZE - 513, 513}, {SIZE - 1, 1}};
	void (*open_it)(struct target *) = *(void (**)(struct target *))*state;
	unsigned char *want = calloc(1, SIZE), byte;
	struct target t = {0};
	struct disk_extent e;

	assert_non_null(want);
	open_it(&t);
	if (!t.writable_from)
		write_both(t.d, want, 3, 9000, 99);
	assert_true(t.d->size == SIZE);
	assert_same(t.d, want);
	for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++)
		write_both(t.d, want, writes[i].off, writes[i].len, (uint32_t)i);
	assert_same(t.d, want);
	assert_ok(disk_zero(t.d, 140001, 40000, E));
	memset(want + 140001, 0, 40000);
	assert_ok(disk_zero(t.d, (1u << 20) + 4096, SIZE - (1u << 20) - 4096, E));
	memset(want + (1u << 20) + 4096, 0, SIZE - (1u << 20) - 4096);
	assert_same(t.d, want);
	assert_ok(disk_flush(t.d, E));
	assert_ok(disk_read(t.d, NULL, SIZE, 0, E)); /* nothing at the end is in range */
	assert_code(disk_read(t.d, &byte, SIZE, 1, E), P2H_CORRUPT);
	assert_code(disk_read(t.d, want, 1, SIZE, E), P2H_CORRUPT);
	assert_code(disk_read(t.d, want, UINT64_MAX, 2, E), P2H_CORRUPT);
	assert_code(disk_write(t.d, want, UINT64_MAX - 1, 4, E), P2H_CORRUPT);
	assert_code(disk_zero(t.d, 512, UINT64_MAX, E), P2H_CORRUPT);
	assert_code(disk_extent(t.d, SIZE, &e, E), P2H_CORRUPT);
	t.d->writable = false;
	assert_code(disk_write(t.d, want, 70000, 1, E), P2H_USAGE);
	assert_code(disk_zero(t.d, 70000, 1, E), P2H_USAGE);
	t.d->writable = true;
	if (t.writable_from)
		assert_code(disk_write(t.d, want, t.writable_from - 1, 2, E), P2H_USAGE);
	close_target(&t);
	free(want);
}

/* ---- formats, chains, refusals ---- */

static void need_qemu(void)
{
	if (!tool_exists("qemu-nbd") || !tool_exists("qemu-img"))
		skip();
}

static void test_formats(void **state)
{
	static const struct {
		const char *file, *create, *format;
	} rows[] = {
		{"a.qcow2", "-f qcow2", "qcow2"},
		{"b.qcow2", "-f qcow2 -o compat=0.10", "qcow2"},
		{"c.qcow2", "-f qcow2 -o extended_l2=on", "qcow2"},
		{"a.vmdk", "-f vmdk", "vmdk"},
		{"b.vmdk", "-f vmdk -o subformat=monolithicFlat", "vmdk"},
		{"c.vmdk", "-f vmdk -o subformat=twoGbMaxExtentSparse", "vmdk"},
		{"a.vdi", "-f vdi", "vdi"},
		{"a.vhdx", "-f vhdx", "vhdx"},
		{"a.vhd", "-f vpc", "vpc"},
		{"a.qed", "-f qed", "qed"},
		{"a.qcow", "-f qcow", "qcow"},
	};
	char text[9] = "";

	(void)state;
	need_qemu();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct disk *d;

		assert_int_equal(scratch_shell("qemu-img create -q %s %s 8M", rows[i].create, rows[i].file), 0);
		assert_int_equal(scratch_shell("qemu-io -f %s -c 'write -P 65 4k 8k' %s >/dev/null", rows[i].format,
					       rows[i].file),
				 0);
		assert_ok(disk_open(scratch_path(rows[i].file), NULL, 0, &d, E));
		assert_string_equal(d->format, rows[i].format);
		assert_true(d->size >= 8u << 20);
		assert_ok(disk_read(d, text, 4096, 8, E));
		assert_string_equal(text, "AAAAAAAA");
		assert_code(disk_write(d, text, 0, 8, E), P2H_USAGE);
		disk_close(d);
	}
}

static void test_backing_chain(void **state)
{
	struct disk *d;
	char text[4] = "";

	(void)state;
	need_qemu();
	assert_int_equal(scratch_shell("printf base > base.raw && truncate -s 1M base.raw && "
				       "qemu-img create -q -f qcow2 -b base.raw -F raw mid.qcow2 && "
				       "qemu-img create -q -f qcow2 -b mid.qcow2 -F qcow2 './top, 1:2.qcow2'"),
			 0);
	assert_ok(disk_open(scratch_path("top, 1:2.qcow2"), NULL, 0, &d, E));
	assert_ok(disk_read(d, text, 0, 4, E));
	assert_memory_equal(text, "base", 4);
	disk_close(d);
	assert_int_equal(chdir(scratch_path("")), 0);
	assert_ok(disk_open("top, 1:2.qcow2", NULL, DISK_WRITE, &d, E));
	assert_ok(disk_write(d, "more", 0, 4, E));
	disk_close(d);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(scratch_shell("test \"$(head -c 4 base.raw)\" = base"), 0);
	assert_int_equal(scratch_shell("rm base.raw"), 0);
	assert_code(disk_open(scratch_path("top, 1:2.qcow2"), NULL, 0, &d, E), P2H_CORRUPT);
	assert_message_has("base.raw");
	assert_null(strchr(E->msg, '\n'));
}

static void test_bad_input(void **state)
{
	static const struct {
		const char *make, *file, *format;
		enum p2h_code code;
		const char *words;
	} rows[] = {
		{"true", "none", NULL, P2H_NOTFOUND, "none"},
		{"mkdir dir", "dir", NULL, P2H_UNSUPPORTED, "directory"},
		{"mkfifo fifo", "fifo", NULL, P2H_UNSUPPORTED, "neither"},
		{": > empty", "empty", NULL, P2H_CORRUPT, "empty"},
		{": > empty", "empty", "qcow2", P2H_CORRUPT, "empty"},
		{"truncate -s 1M raw", "raw", "nosuch", P2H_UNSUPPORTED, "nosuch"},
		{"true", "raw", "raw,x=y", P2H_USAGE, "raw,x=y"},
		{"true", "raw", "qcow2", P2H_CORRUPT, "raw"},
		{"qemu-img create -q -f qcow2 a 64M && head -c 50 a > b", "b", NULL, P2H_CORRUPT, "damaged"},
		{"printf 'QFI\\373\\0\\0\\0\\011' > c && truncate -s 1M c", "c", NULL, P2H_UNSUPPORTED, "version 9"},
		{"printf 'KDMV' > d", "d", NULL, P2H_CORRUPT, "damaged"},
		{"qemu-io -f qcow2 -c 'write 0 8M' a >/dev/null && head -c 4M a > e", "e", NULL, P2H_CORRUPT, "cut off"},
		{"head -c 100000 a > f", "f", NULL, P2H_CORRUPT, "cut off"},
		{"true", "f", "qcow2", P2H_CORRUPT, "cut off"},
	};

	(void)state;
	need_qemu();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct disk *d = NULL;

		assert_int_equal(scratch_shell("%s", rows[i].make), 0);
		assert_code(disk_open(scratch_path(rows[i].file), rows[i].format, 0, &d, E), rows[i].code);
		assert_message_has(rows[i].words);
		assert_null(d);
	}
}

/* Names that a guest could write into its raw disk to read the host's files. */
static void test_hostile_names(void **state)
{
	static const char *const names[] = {"/etc/passwd", "../secret", "a/../../secret", "nbd:unix:/x", "json:{}",
					    "file:/etc/passwd", "..", "fat:dir"};

	(void)state;
	need_qemu();
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct disk *d = NULL;

		assert_int_equal(scratch_shell("qemu-img create -q -f qcow2 x.qcow2 1M && "
					       "qemu-img rebase -u -b '%s' -F raw x.qcow2", names[i]),
				 0);
		assert_code(disk_open(scratch_path("x.qcow2"), NULL, 0, &d, E), P2H_REFUSED);
		assert_message_has(names[i]);
		/* hidden one step down a chain */
		assert_int_equal(scratch_shell("qemu-img create -q -f qcow2 y.qcow2 1M && "
					       "qemu-img rebase -u -b x.qcow2 -F qcow2 y.qcow2"),
				 0);
		assert_code(disk_open(scratch_path("y.qcow2"), NULL, 0, &d, E), P2H_REFUSED);
		assert_int_equal(scratch_shell("printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=ffffffff\\n"
					       "createType=\"monolithicFlat\"\\nRW 2048 FLAT \"%s\" 0\\n' > x.vmdk", names[i]),
				 0);
		assert_code(disk_open(scratch_path("x.vmdk"), NULL, 0, &d, E), P2H_REFUSED);
		assert_int_equal(scratch_shell("printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=ffffffff\\n"
					       "createType=\"monolithicFlat\\n\\vRW\\n2048\\tFLAT\\n\"%s\" 0\\n' > y.vmdk", names[i]),
				 0);
		assert_code(disk_open(scratch_path("y.vmdk"), NULL, 0, &d, E), P2H_REFUSED);
		assert_null(d);
	}
}

static void test_trusted_names(void **state)
{
	struct disk *d;

	(void)state;
	need_qemu();
	/* its own directory by its full name, a folder below it, and anything when the format is named */
	assert_int_equal(scratch_shell("mkdir sub; truncate -s 1M base.raw sub/base.raw ../$$.raw; "
				       "qemu-img create -q -f qcow2 -b \"$PWD/base.raw\" -F raw a.qcow2 && "
				       "qemu-img create -q -f qcow2 -b sub/base.raw -F raw b.qcow2 && "
				       "qemu-img create -q -f qcow2 -b ../$$.raw -F raw c.qcow2 && echo $$ > name"),
			 0);
	assert_ok(disk_open(scratch_path("a.qcow2"), NULL, 0, &d, E));
	disk_close(d);
	assert_ok(disk_open(scratch_path("b.qcow2"), NULL, 0, &d, E));
	disk_close(d);
	assert_code(disk_open(scratch_path("c.qcow2"), NULL, 0, &d, E), P2H_REFUSED);
	assert_ok(disk_open(scratch_path("c.qcow2"), "qcow2", 0, &d, E));
	disk_close(d);
	assert_ok(disk_open(scratch_path("c.qcow2"), "raw", 0, &d, E));
	assert_string_equal(d->format, "raw");
	disk_close(d);
	assert_int_equal(scratch_shell("rm ../$(cat name).raw"), 0);
}

static void test_data_file(void **state)
{
	struct disk *d;

	(void)state;
	need_qemu();
	assert_int_equal(scratch_shell("qemu-img create -q -f qcow2 -o data_file=data.raw a.qcow2 1M && "
				       "qemu-img create -q -f qcow2 -o data_file=\"/tmp/pv2hvm-$$\" b.qcow2 1M && "
				       "rm /tmp/pv2hvm-$$"),
			 0);
	assert_code(disk_open(scratch_path("a.qcow2"), NULL, 0, &d, E), P2H_REFUSED);
	assert_code(disk_open(scratch_path("b.qcow2"), NULL, 0, &d, E), P2H_REFUSED);
	assert_int_equal(chdir(scratch_path("")), 0); /* where QEMU looks for a relative name */
	assert_ok(disk_open(scratch_path("a.qcow2"), NULL, 0, &d, E));
	disk_close(d);
	assert_int_equal(chdir("/"), 0);
}

/* ---- locks, as QEMU has them ---- */

static void test_locks(void **state)
{
	static const char *const rows[][2] = {{"raw", "a.raw"}, {"qcow2", "a.qcow2"}};

	(void)state;
	need_qemu();
	for (size_t i = 0; i < 2; i++) {
		const char *format = rows[i][0], *file = rows[i][1];
		struct disk *writer, *reader, *second = NULL;

		assert_int_equal(scratch_shell("qemu-img create -q -f %s %s 1M", format, file), 0);
		assert_ok(disk_open(scratch_path(file), format, 0, &reader, E)); /* a reader keeps nobody out */
		assert_ok(disk_open(scratch_path(file), format, DISK_WRITE, &writer, E));
		disk_close(reader);
		assert_code(disk_open(scratch_path(file), format, 0, &second, E), P2H_BUSY);
		assert_code(disk_open(scratch_path(file), format, DISK_WRITE, &second, E), P2H_BUSY);
		assert_int_not_equal(scratch_shell("qemu-io -f %s -c 'write 0 512' %s >/dev/null", format, file), 0);
		disk_close(writer);
		assert_int_equal(scratch_shell("qemu-io -f %s -c 'write 0 512' %s >/dev/null", format, file), 0);
	}
}

/* ---- stacking ---- */

static void test_slice_and_shifted(void **state)
{
	struct disk *d = NULL, *mem, *shifted;
	char text[8];

	(void)state;
	assert_ok(disk_mem_open(1u << 20, &mem, E));
	assert_ok(disk_write(mem, "abcd", 0, 4, E));
	assert_code(disk_slice_open(mem, 1u << 20, 1, &d, E), P2H_CORRUPT);
	assert_code(disk_slice_open(mem, 512, UINT64_MAX, &d, E), P2H_CORRUPT);
	assert_code(disk_slice_open(mem, 512, 0, &d, E), P2H_CORRUPT);
	assert_code(disk_shifted_open(mem, UINT64_MAX - 5, &d, E), P2H_USAGE);
	assert_null(d);
	assert_ok(disk_shifted_open(mem, 4096, &shifted, E));
	assert_true(shifted->size == (1u << 20) + 4096);
	assert_ok(disk_read(shifted, text, 4092, 8, E));
	assert_memory_equal(text, "\0\0\0\0abcd", 8);
	assert_ok(disk_slice_open(shifted, 4096, 1u << 20, &d, E));
	assert_ok(disk_read(d, text, 0, 4, E));
	assert_memory_equal(text, "abcd", 4);
	disk_close(d);
	disk_close(shifted);
	disk_close(mem);
}

static void test_fault(void **state)
{
	struct disk_fault_plan plan = {.fail_at = {2, 0, 1}};
	struct disk *mem, *d;
	char byte;

	(void)state;
	assert_ok(disk_mem_open(4096, &mem, E));
	assert_ok(disk_fault_open(mem, &plan, &d, E));
	assert_ok(disk_read(d, &byte, 0, 1, E));
	assert_code(disk_read(d, &byte, 0, 1, E), P2H_IO);
	assert_code(disk_read(d, &byte, 0, 1, E), P2H_IO);
	assert_ok(disk_write(d, &byte, 0, 1, E));
	assert_code(disk_flush(d, E), P2H_IO);
	assert_int_equal(plan.calls[DISK_FAULT_READ], 3);
	assert_int_equal(plan.calls[DISK_FAULT_WRITE], 1);
	disk_close(d);
	disk_close(mem);
}

static void test_shrinking_file(void **state)
{
	struct disk *d;
	char byte;

	(void)state;
	assert_int_equal(scratch_shell("truncate -s 1M shrinks"), 0);
	assert_ok(disk_open(scratch_path("shrinks"), NULL, 0, &d, E));
	assert_int_equal(truncate(scratch_path("shrinks"), 100), 0);
	assert_code(disk_read(d, &byte, 5000, 1, E), P2H_IO);
	assert_message_has("shorter");
	disk_close(d);
}

/* Requests that are larger than one of the server's, several in flight. */
static void test_large_requests(void **state)
{
	size_t len = (40u << 20) + 123;
	char *data = malloc(len), *got = malloc(len);
	struct disk *d;

	(void)state;
	if (!tool_exists("qemu-nbd") || scratch_shell("qemu-img create -q -f qcow2 big.qcow2 64M")) {
		free(data);
		free(got);
		skip();
	}
	fill_pattern(data, len, 5);
	assert_ok(disk_open(scratch_path("big.qcow2"), NULL, DISK_WRITE, &d, E));
	assert_ok(disk_write(d, data, 7, len, E));
	assert_ok(disk_read(d, got, 7, len, E));
	assert_memory_equal(got, data, len);
	disk_close(d);
	free(data);
	free(got);
}

/* An image of a few kilobytes whose first-level table points to the same second-level table again and again. */
static void test_shared_tables(void **state)
{
	struct disk *d = NULL;
	unsigned char *image;
	uint32_t l1_off;
	size_t len;

	(void)state;
	need_qemu();
	assert_int_equal(scratch_shell("qemu-img create -q -f qcow2 -o cluster_size=512 a.qcow2 64M && "
				       "qemu-io -f qcow2 -c 'write 0 512' a.qcow2 >/dev/null"),
			 0);
	image = scratch_read("a.qcow2", &len);
	l1_off = (uint32_t)image[44] << 24 | (uint32_t)image[45] << 16 | (uint32_t)image[46] << 8 | image[47];
	assert_true(range_ok(l1_off, 8 * 2048, len));
	for (int i = 1; i < 2048; i++)
		memcpy(image + l1_off + 8 * i, image + l1_off, 8);
	scratch_file("b.qcow2", image, len);
	free(image);
	assert_ok(disk_open(scratch_path("a.qcow2"), NULL, 0, &d, E));
	disk_close(d);
	assert_code(disk_open(scratch_path("b.qcow2"), NULL, 0, &d, E), P2H_CORRUPT);
}

/* The server of a disk is killed under us: an error, no hang and no signal. */
static void test_server_dies(void **state)
{
	char path[64], text[4096];
	struct disk *d;
	int child = 0;
	FILE *f;

	(void)state;
	need_qemu();
	assert_int_equal(scratch_shell("qemu-img create -q -f qcow2 a.qcow2 64M"), 0);
	assert_ok(disk_open(scratch_path("a.qcow2"), NULL, DISK_WRITE, &d, E));
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)getpid(), (int)getpid());
	f = fopen(path, "r");
	if (!f || fscanf(f, "%d", &child) != 1 || child <= 1) {
		disk_close(d);
		skip();
	}
	fclose(f);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_code(disk_read(d, text, 0, sizeof(text), E), P2H_IO);
	assert_message_has("qemu-nbd");
	assert_code(disk_write(d, text, 0, sizeof(text), E), P2H_IO);
	assert_code(disk_flush(d, E), P2H_IO);
	disk_close(d);
}

int main(void)
{
	static void (*const backends[])(struct target *) = {open_mem,  open_file,  open_qcow2,   open_vmdk,
							    open_vdi,  open_slice, open_shifted, open_transaction};
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
#define CONFORMS(i) {#i, conformance, NULL, NULL, (void *)(uintptr_t)&backends[i]}
	const struct CMUnitTest conformance_tests[] = {
		CONFORMS(0), CONFORMS(1), CONFORMS(2), CONFORMS(3), CONFORMS(4), CONFORMS(5), CONFORMS(6), CONFORMS(7),
	};
	const struct CMUnitTest tests[] = {
		TEST(test_formats),	  TEST(test_backing_chain), TEST(test_bad_input),
		TEST(test_hostile_names), TEST(test_trusted_names), TEST(test_data_file),
		TEST(test_locks),	  TEST(test_slice_and_shifted), TEST(test_fault),
		TEST(test_shrinking_file), TEST(test_large_requests), TEST(test_server_dies),
		TEST(test_shared_tables),
	};
	int failed = cmocka_run_group_tests(conformance_tests, scratch_setup, scratch_teardown);

	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
