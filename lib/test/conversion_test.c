/* conversion_test.c - facts, plan, apply and verify together, on a small guest and donor in RAM */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "apply/apply.h"
#include "base/cleanup.h"
#include "disk/transaction.h"
#include "support/bootimage.h"
#include "verify/verify.h"

#define NOW 1700000000
#define ALL (P2H_TARGET_XEN_HVM | P2H_TARGET_NITRO | P2H_TARGET_KVM)
#define BUDGET (64u << 20)

static void must(int rc, const struct p2h_error *err)
{
	if (rc)
		fail_msg("%d: %s", rc, err->msg);
}

static void remove_all(struct fs *fs, const char *path)
{
	CLEANUP(strlist_done) struct strlist names = {0};
	struct p2h_error err = {0};

	must(fs_list(fs, path, &names, &err), &err);
	for (size_t i = 0; i < names.len; i++) {
		CLEANUP(buf_done) struct buf inner = {0};
		struct fs_stat st;

		buf_printf(&inner, "%s/%s", path, names.item[i]);
		must(fs_lstat(fs, inner.data, &st, &err), &err);
		if (S_ISDIR(st.mode))
			remove_all(fs, inner.data);
		else
			must(fs_unlink(fs, inner.data, &err), &err);
	}
	must(fs_unlink(fs, path, &err), &err);
}

static void put(struct fs *fs, const char *path, const char *text)
{
	const struct fs_meta meta = {.mode = 0644};
	struct p2h_error err = {0};

	must(fs_write(fs, path, text, strlen(text), &meta, &err), &err);
}

/* A PV guest: the file system on the whole disk, no boot code, no kernel, old names in fstab. */
static struct disk *new_guest(void)
{
	struct disk *d = bootimage_open(true);
	struct p2h_error err = {0};
	struct guest *g = NULL;

	assert_non_null(d);
	must(disk_zero(d, 0, 512, &err), &err);
	must(guest_open(d, -1, GUEST_WRITE, NOW, &g, &err), &err);
	must(fs_unlink(g->fs, BOOTIMAGE_KERNEL, &err), &err);
	must(fs_unlink(g->fs, BOOTIMAGE_INITRD, &err), &err);
	must(fs_unlink(g->fs, BOOTIMAGE_CONFIG, &err), &err);
	remove_all(g->fs, BOOTIMAGE_MODULES);
	remove_all(g->fs, "/boot/grub");
	put(g->fs, "/etc/fstab", "# by hand\n/dev/xvda1\t/\text4\tdefaults\t1 1\n/dev/xvdb\t/mnt\tauto\tdefaults,nobootwait\t0 2\n");
	put(g->fs, "/etc/securetty", "tty1\n");
	must(guest_close(g, &err), &err);
	return d;
}

static void *copy_of(struct disk *d)
{
	char *data = malloc(d->size);

	assert_non_null(data);
	assert_int_equal(disk_read(d, data, 0, d->size, NULL), 0);
	return data;
}

/* One conversion up to the transaction; everything is owned by the struct. */
struct conversion {
	struct guest *guest, *donor;
	struct facts facts;
	struct plan plan;
	struct disk *shifted, *faulty;
	struct transaction *transaction;
	struct fs_space space;
};

static void conversion_done(struct conversion *c)
{
	transaction_close(c->transaction);
	disk_close(c->faulty);
	disk_close(c->shifted);
	plan_done(&c->plan);
	facts_done(&c->facts);
	cleanup_guest(&c->guest);
	cleanup_guest(&c->donor);
}

/* faults: of the writes into the transaction, or NULL. */
static int convert(struct conversion *c, struct disk *source, struct disk *donor, enum p2h_layout layout, struct disk_fault_plan *faults,
		   struct p2h_error *err)
{
	const struct p2h_options options = {.layout = layout, .targets = ALL};
	struct apply_context apply = {.facts = &c->facts, .plan = &c->plan};
	int rc = guest_open(source, -1, 0, 0, &c->guest, err);

	if (!rc)
		rc = guest_open(donor, -1, GUEST_DONOR, 0, &c->donor, err);
	if (!rc)
		rc = facts_read(c->guest, "guest", c->donor, "donor", NULL, &c->facts, err);
	if (!rc)
		rc = plan_make(&c->facts, &options, &c->plan, err);
	if (!rc && c->plan.blocked)
		return error_set(err, P2H_REFUSED, "%s", c->plan.blocked_by);
	if (!rc && c->plan.shift)
		rc = disk_shifted_open(source, c->plan.shift, &c->shifted, err);
	if (!rc)
		rc = transaction_open(c->shifted ? c->shifted : source, BUDGET, NULL, &c->transaction, err);
	if (rc)
		return rc;
	apply.disk = transaction_disk(c->transaction);
	if (faults) {
		rc = disk_fault_open(apply.disk, faults, &c->faulty, err);
		apply.disk = c->faulty;
	}
	apply.donor = c->donor;
	return rc ? rc : apply_plan(&apply, &c->space, err);
}

static void assert_boots(struct disk *d)
{
	CLEANUP(verify_report_done) struct verify_report report = {0};
	struct p2h_error err = {0};

	must(verify_disk(d, -1, ALL, &report, &err), &err);
	for (size_t i = 0; i < report.len; i++)
		if (report.item[i].result == VERIFY_FAIL)
			fail_msg("%s: %s", report.item[i].id, report.item[i].evidence);
	assert_true(report.passed);
}

/* A converted image is planned to nothing: every action would leave what is there. */
static void assert_stable(struct disk *result, struct disk *donor)
{
	CLEANUP(conversion_done) struct conversion again = {0};
	struct p2h_error err = {0};

	must(convert(&again, result, donor, P2H_LAYOUT_AUTO, NULL, &err), &err);
	for (size_t i = 0; i < again.plan.actions; i++)
		if (again.plan.action[i].kind != ACTION_TABLE && again.plan.action[i].kind != ACTION_BOOT_LOADER)
			fail_msg("a second conversion: rule %s changes %s", again.plan.action[i].rule, again.plan.action[i].path);
	if (again.plan.layout == P2H_LAYOUT_KEEP)
		assert_int_equal(again.plan.actions, 0);
}

static const enum p2h_layout layouts[] = {P2H_LAYOUT_PARTITION, P2H_LAYOUT_FLAT};

static void test_layouts(void **state)
{
	(void)state;
	if (!bootimage_possible())
		skip();
	for (size_t i = 0; i < 2; i++) {
		CLEANUP_DISK struct disk *source = new_guest(), *donor = bootimage_open(false);
		CLEANUP_FREE char *before = copy_of(source), *after = NULL, *first = NULL, *second = NULL;
		CLEANUP(conversion_done) struct conversion one = {0}, two = {0};
		CLEANUP(buf_done) struct buf fstab = {0};
		CLEANUP_GUEST struct guest *g = NULL;
		struct p2h_error err = {0};

		must(convert(&one, source, donor, layouts[i], NULL, &err), &err);
		assert_boots(transaction_disk(one.transaction));
		assert_stable(transaction_disk(one.transaction), donor);
		must(convert(&two, source, donor, layouts[i], NULL, &err), &err);
		first = copy_of(transaction_disk(one.transaction));
		second = copy_of(transaction_disk(two.transaction));
		assert_memory_equal(first, second, transaction_disk(one.transaction)->size);
		after = copy_of(source);
		assert_memory_equal(before, after, source->size);

		must(guest_open(transaction_disk(one.transaction), -1, 0, 0, &g, &err), &err);
		must(fs_read(g->fs, "/etc/fstab", 4096, &fstab, &err), &err);
		assert_non_null(strstr(fstab.data, "# by hand\nUUID=" BOOTIMAGE_UUID "\t/\text4\tdefaults\t1 1\n/dev/xvdb\t/mnt\tauto\t"));
		assert_null(strstr(fstab.data, "nobootwait"));
	}
}

/* Every n-th read of the source fails: an error, never a wrong result, and the source is as it was. */
static void test_read_faults(void **state)
{
	CLEANUP_DISK struct disk *source = NULL, *donor = NULL;
	CLEANUP_FREE char *before = NULL, *after = NULL;
	size_t failed = 0;

	(void)state;
	if (!bootimage_possible())
		skip();
	source = new_guest();
	donor = bootimage_open(false);
	before = copy_of(source);
	for (uint64_t n = 1;; n += 1 + n / 8) {
		CLEANUP_DISK struct disk *faulty = NULL;
		CLEANUP(conversion_done) struct conversion c = {0};
		struct disk_fault_plan plan = {.fail_at = {n, 0, 0}};
		struct p2h_error err = {0};
		int rc;

		assert_int_equal(disk_fault_open(source, &plan, &faulty, NULL), 0);
		rc = convert(&c, faulty, donor, P2H_LAYOUT_PARTITION, NULL, &err);
		conversion_done(&c);
		memset(&c, 0, sizeof(c));
		if (plan.calls[DISK_FAULT_READ] < n) {
			must(rc, &err);
			break;
		}
		if (!rc)
			fail_msg("read %llu failed, and nobody noticed", (unsigned long long)n);
		assert_true(err.msg[0] != '\0');
		failed++;
	}
	assert_true(failed > 10);
	print_message("faults: conversion, read of the source failed: %zu\n", failed);
	after = copy_of(source);
	assert_memory_equal(before, after, source->size);
}

/* The same for the writes into the transaction (a spill file on a full disk, say). */
static void test_write_faults(void **state)
{
	CLEANUP_DISK struct disk *source = NULL, *donor = NULL;
	CLEANUP_FREE char *before = NULL, *after = NULL;
	size_t failed = 0;

	(void)state;
	if (!bootimage_possible())
		skip();
	source = new_guest();
	donor = bootimage_open(false);
	before = copy_of(source);
	for (uint64_t n = 1;; n += 1 + n / 8) {
		CLEANUP(conversion_done) struct conversion c = {0};
		struct disk_fault_plan plan = {.fail_at = {0, n, 0}};
		struct p2h_error err = {0};
		int rc = convert(&c, source, donor, P2H_LAYOUT_FLAT, &plan, &err);

		if (plan.calls[DISK_FAULT_WRITE] < n) {
			must(rc, &err);
			break;
		}
		assert_int_equal(rc, P2H_IO);
		failed++;
	}
	assert_true(failed > 10);
	print_message("faults: conversion, write to the transaction failed: %zu\n", failed);
	after = copy_of(source);
	assert_memory_equal(before, after, source->size);
}

/* A donor whose kernel tree holds what no kernel tree has. */
static void test_hostile_donor(void **state)
{
	CLEANUP_DISK struct disk *source = NULL, *donor = NULL;
	CLEANUP(conversion_done) struct conversion c = {0};
	const struct fs_meta meta = {.mode = 04755};
	struct p2h_error err = {0};
	struct guest *g = NULL;

	(void)state;
	if (!bootimage_possible())
		skip();
	source = new_guest();
	donor = bootimage_open(false);
	must(guest_open(donor, -1, GUEST_WRITE, NOW, &g, &err), &err);
	must(fs_mknod(g->fs, BOOTIMAGE_MODULES "/disk", S_IFBLK, 8, 0, &meta, &err), &err);
	must(guest_close(g, &err), &err);
	assert_int_equal(convert(&c, source, donor, P2H_LAYOUT_FLAT, NULL, &err), P2H_UNSUPPORTED);
	assert_non_null(strstr(err.msg, "/disk"));
}

static void test_setuid_is_dropped(void **state)
{
	CLEANUP_DISK struct disk *source = NULL, *donor = NULL;
	CLEANUP(conversion_done) struct conversion c = {0};
	const struct fs_meta meta = {.mode = 06755, .uid = 1000, .gid = 1000};
	CLEANUP_GUEST struct guest *g = NULL;
	struct p2h_error err = {0};
	struct fs_stat st;

	(void)state;
	if (!bootimage_possible())
		skip();
	source = new_guest();
	donor = bootimage_open(false);
	must(guest_open(donor, -1, GUEST_WRITE, NOW, &g, &err), &err);
	must(fs_write(g->fs, BOOTIMAGE_MODULES "/shell", "x", 1, &meta, &err), &err);
	must(guest_close(TAKE(g), &err), &err);
	must(convert(&c, source, donor, P2H_LAYOUT_FLAT, NULL, &err), &err);
	must(guest_open(transaction_disk(c.transaction), -1, 0, 0, &g, &err), &err);
	must(fs_lstat(g->fs, BOOTIMAGE_MODULES "/shell", &st, &err), &err);
	assert_int_equal(st.mode & 07777, 0755);
	assert_int_equal(st.uid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),	     cmocka_unit_test(test_read_faults),       cmocka_unit_test(test_write_faults),
		cmocka_unit_test(test_hostile_donor), cmocka_unit_test(test_setuid_is_dropped),
	};

	return cmocka_run_group_tests(tests, bootimage_setup, bootimage_teardown);
}
