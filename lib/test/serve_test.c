/* serve_test.c - a disk offered on a socket: what libnbd and QEMU's programs get of it, and what a bad client does to it */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <libnbd.h>

#include "base/cleanup.h"
#include "disk/serve.h"
#include "disk/transaction.h"
#include "support/scratch.h"

#define SIZE ((8u << 20) + 512)

static void cleanup_nbd(struct nbd_handle **h)
{
	nbd_close(*h);
}
#define CLEANUP_NBD CLEANUP(cleanup_nbd)

static struct nbd_handle *client(void)
{
	struct nbd_handle *h = nbd_create();

	assert_non_null(h);
	nbd_set_strict_mode(h, 0); /* what the client would refuse is to reach the server */
	if (nbd_connect_unix(h, scratch_path("socket")))
		fail_msg("%s", nbd_get_error());
	return h;
}

static void test_access(void **state)
{
	struct disk *under;
	struct transaction *t;
	struct disk_server *s;
	CLEANUP_FREE char *want = malloc(SIZE), *got = malloc(SIZE);

	(void)state;
	fill_pattern(want, SIZE, 7);
	assert_ok(disk_mem_open(SIZE, &under, E));
	assert_ok(disk_write(under, want, 0, SIZE, E));
	assert_ok(transaction_open(under, 1u << 20, NULL, &t, E));
	assert_ok(disk_serve(transaction_disk(t), scratch_path("socket"), &s, E));
	for (int round = 0; round < 2; round++) { /* a client after the other */
		CLEANUP_NBD struct nbd_handle *h = client();

		assert_int_equal(nbd_get_size(h), SIZE);
		assert_int_equal(nbd_is_read_only(h), 0);
		assert_int_equal(nbd_pread(h, got, SIZE, 0, 0), 0);
		assert_memory_equal(got, want, SIZE);
		fill_pattern(want + 12345, 3000000, 8 + (uint32_t)round);
		assert_int_equal(nbd_pwrite(h, want + 12345, 3000000, 12345, 0), 0);
		memset(want + 5000000, 0, 70000);
		assert_int_equal(nbd_zero(h, 70000, 5000000, 0), 0);
		assert_int_equal(nbd_flush(h, 0), 0);
		assert_ok(disk_read(transaction_disk(t), got, 0, SIZE, E));
		assert_memory_equal(got, want, SIZE);
		/* past the end, and what was not offered: refused, and the connection goes on */
		assert_int_equal(nbd_pread(h, got, 513, SIZE - 512, 0), -1);
		assert_int_equal(nbd_get_errno(), EINVAL);
		assert_int_equal(nbd_pwrite(h, want, 1, UINT64_MAX, 0), -1);
		assert_int_equal(nbd_get_errno(), ENOSPC);
		assert_int_equal(nbd_trim(h, 4096, 0, 0), -1);
		assert_int_equal(nbd_get_errno(), EINVAL);
		assert_int_equal(nbd_pread(h, got, 512, SIZE - 512, 0), 0);
		nbd_shutdown(h, 0);
	}
	assert_code(disk_server_failed(s, E), P2H_USAGE); /* the trim */
	assert_code(disk_server_failed(s, E), 0);
	disk_server_stop(s);
	assert_false(scratch_exists("socket"));
	transaction_close(t);
	disk_close(under);
}

static void test_qemu(void **state)
{
	struct disk *d;
	struct disk_server *s;
	char data[65536];

	(void)state;
	if (!tool_exists("qemu-img") || !tool_exists("qemu-io"))
		skip();
	fill_pattern(data, sizeof(data), 3);
	assert_ok(disk_mem_open(SIZE, &d, E));
	assert_ok(disk_write(d, data, 1u << 20, sizeof(data), E));
	assert_ok(disk_serve(d, scratch_path("socket"), &s, E));
	scratch_disk(d, "want");
	assert_int_equal(scratch_shell("qemu-img compare -q -f raw -F raw nbd:unix:socket want"), 0);
	assert_int_equal(scratch_shell("qemu-io -f raw -c 'write -P 0x5a 3M 1M' -c 'write -z 1M 4k' -c flush nbd:unix:socket >out &&"
				       "qemu-io -f raw -c 'read -P 0x5a 3M 1M' -c 'read -P 0 1M 4k' nbd:unix:socket >out && ! grep -q failed out"), 0);
	scratch_disk(d, "want");
	assert_int_equal(scratch_shell("qemu-img compare -q -f raw -F raw nbd:unix:socket want"), 0);
	disk_server_stop(s);
	disk_close(d);
}

static void test_read_only(void **state)
{
	struct disk *d;
	struct disk_server *s;
	char data[512] = "x";

	(void)state;
	assert_int_equal(scratch_shell("truncate -s 1M raw"), 0);
	assert_ok(disk_open(scratch_path("raw"), NULL, 0, &d, E));
	assert_ok(disk_serve(d, scratch_path("socket"), &s, E));
	{
		CLEANUP_NBD struct nbd_handle *h = client();

		assert_int_equal(nbd_is_read_only(h), 1);
		assert_int_equal(nbd_pwrite(h, data, 512, 0, 0), -1);
		assert_int_equal(nbd_pread(h, data, 512, 0, 0), 0);
		assert_int_equal(data[0], 0);
	} /* and stopped under a client that is connected */
	CLEANUP_NBD struct nbd_handle *h = client();
	disk_server_stop(s);
	assert_int_equal(nbd_pread(h, data, 512, 0, 0), -1);
	disk_close(d);
}

/* Another disk takes the place of the first; without any, and with one that fails, the client is told and the reason is kept. */
static void test_point(void **state)
{
	struct disk_fault_plan plan = {.fail_at = {[DISK_FAULT_READ] = 2}};
	struct disk *a, *b, *faulty;
	struct disk_server *s;
	char data[512];

	(void)state;
	assert_ok(disk_mem_open(1u << 20, &a, E));
	assert_ok(disk_mem_open(2u << 20, &b, E));
	assert_ok(disk_fault_open(a, &plan, &faulty, E));
	assert_ok(disk_write(b, "shifted", 65536 + 4096, 8, E));
	assert_ok(disk_serve(a, scratch_path("socket"), &s, E));
	CLEANUP_NBD struct nbd_handle *h = client();
	disk_server_point(s, b, 65536);
	assert_int_equal(nbd_pread(h, data, 512, 4096, 0), 0);
	assert_string_equal(data, "shifted");
	disk_server_point(s, NULL, 0);
	assert_int_equal(nbd_pread(h, data, 512, 4096, 0), -1);
	assert_code(disk_server_failed(s, E), P2H_USAGE);
	disk_server_point(s, faulty, 0);
	assert_int_equal(nbd_pread(h, data, 512, 4096, 0), 0);
	assert_int_equal(nbd_pread(h, data, 512, 4096, 0), -1);
	assert_int_equal(nbd_get_errno(), EIO);
	assert_code(disk_server_failed(s, E), P2H_IO);
	disk_server_stop(s);
	disk_close(faulty);
	disk_close(b);
	disk_close(a);
}

/* What is no NBD ends that connection and nothing else. */
static void test_nonsense(void **state)
{
	struct disk *d;
	struct disk_server *s;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char junk[4096], data[512];

	(void)state;
	assert_ok(disk_mem_open(1u << 20, &d, E));
	assert_ok(disk_serve(d, scratch_path("socket"), &s, E));
	strcpy(address.sun_path, scratch_path("socket"));
	for (uint32_t seed = 0; seed < 50; seed++) {
		CLEANUP_FD int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		size_t len = seed % 2 ? sizeof(junk) : seed;

		fill_pattern(junk, sizeof(junk), seed);
		assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
		if (seed % 3 == 0) /* a good beginning: flags, then an option of an absurd length */
			memcpy(junk, "\0\0\0\3IHAVEOPT\0\0\0\7\377\377\377\377", 20);
		send(fd, junk, len, MSG_NOSIGNAL);
	}
	CLEANUP_NBD struct nbd_handle *h = client();
	assert_int_equal(nbd_pread(h, data, 512, 0, 0), 0);
	assert_code(disk_serve(d, scratch_path("socket"), &s, E), P2H_IO); /* taken */
	disk_server_stop(s);
	disk_close(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_access, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_qemu, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_read_only, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_point, scratch_setup, scratch_teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
