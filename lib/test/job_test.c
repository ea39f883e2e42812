/* job_test.c - the public interface on real files: stages, outcomes, cancelling, what is left behind */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv2hvm.h>

#include "base/cleanup.h"
#include "disk/disk.h"
#include "inspect/guest.h"
#include "support/bootimage.h"
#include "support/scratch.h"

#define NOW 1700000000

static int setup(void **state)
{
	if (scratch_setup(state) || bootimage_setup(state))
		return -1;
	if (!bootimage_possible())
		return 0;
	bootimage_files(false);
	return 0;
}

static int teardown(void **state)
{
	bootimage_teardown(state);
	return scratch_teardown(state);
}

static struct p2h_options usual(void)
{
	return (struct p2h_options){.donor = scratch_path("donor.raw"), .output = scratch_path("out.raw")};
}

static void cleanup_job(struct p2h_job **job)
{
	p2h_close(*job);
}
#define CLEANUP_JOB CLEANUP(cleanup_job)

static void need_images(void)
{
	if (!bootimage_possible()) {
		print_message("grub-mkimage, boot.img or mke2fs is not installed\n");
		skip();
	}
}

static void test_stages(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	char *text = NULL, *json = NULL;
	bool passed = false;

	(void)state;
	need_images();
	assert_ok(p2h_open(scratch_path("guest.raw"), &options, &job, E));
	assert_code(p2h_commit(job, E), P2H_USAGE); /* not before it is verified */
	assert_ok(p2h_inspect(job, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_OPEN);
	assert_ok(p2h_plan(job, E));
	assert_ok(p2h_apply(job, E));
	assert_ok(p2h_verify(job, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_READY);
	assert_false(scratch_exists("out.raw"));
	assert_ok(p2h_commit(job, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_DONE);
	assert_true(scratch_exists("out.raw"));
	assert_ok(p2h_report(job, P2H_TEXT, &text, E));
	assert_non_null(strstr(text, "UUID=" BOOTIMAGE_UUID));
	assert_ok(p2h_report(job, P2H_JSON, &json, E));
	assert_non_null(strstr(json, "\"verdict\": \"done\""));
	free(text);
	free(json);

	options = (struct p2h_options){0};
	text = NULL;
	assert_ok(p2h_verify_image(scratch_path("out.raw"), &options, P2H_TEXT, &passed, &text, E));
	assert_true(passed);
	free(text);
	assert_int_equal(remove(scratch_path("out.raw")), 0);
}

static void test_dry_run_writes_nothing(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	size_t before_len, after_len;
	CLEANUP_FREE char *before = NULL, *after = NULL;
	int files;

	(void)state;
	need_images();
	before = scratch_read("guest.raw", &before_len);
	files = scratch_count();
	assert_ok(p2h_open(scratch_path("guest.raw"), &options, &job, E));
	assert_ok(p2h_convert(job, true, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_READY);
	assert_int_equal(scratch_count(), files);
	after = scratch_read("guest.raw", &after_len);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
}

static void test_in_place_and_undo(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = {.donor = scratch_path("donor.raw"), .in_place = true, .layout = P2H_LAYOUT_FLAT};
	CLEANUP_FREE char *before = NULL, *after = NULL;
	size_t before_len, after_len;

	(void)state;
	need_images();
	before = scratch_read("guest.raw", &before_len);
	scratch_file("copy.raw", before, before_len);
	assert_ok(p2h_open(scratch_path("copy.raw"), &options, &job, E));
	assert_ok(p2h_convert(job, false, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_DONE);
	assert_true(scratch_exists("copy.raw.pv2hvm-undo"));
	p2h_close(job);
	job = NULL;
	assert_code(p2h_open(scratch_path("copy.raw"), &options, &job, E), P2H_EXISTS); /* one journal at a time */
	options = (struct p2h_options){0};
	assert_ok(p2h_undo(scratch_path("copy.raw"), &options, E));
	assert_false(scratch_exists("copy.raw.pv2hvm-undo"));
	after = scratch_read("copy.raw", &after_len);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
	assert_int_equal(remove(scratch_path("copy.raw")), 0);
}

static void test_nothing_to_do(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = {.donor = scratch_path("guest.raw"), .output = scratch_path("out.raw")};

	(void)state;
	need_images();
	assert_ok(p2h_open(scratch_path("donor.raw"), &options, &job, E));
	assert_ok(p2h_convert(job, false, E));
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_NOTHING);
	assert_false(scratch_exists("out.raw"));
}

/* A refusal has a report with every finding. */
static void test_refused(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	CLEANUP_FREE char *text = NULL;

	(void)state;
	need_images();
	options.kernel = "1.2.3";
	assert_ok(p2h_open(scratch_path("guest.raw"), &options, &job, E));
	assert_code(p2h_convert(job, false, E), P2H_REFUSED);
	assert_message_has("1.2.3");
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_REFUSED);
	assert_ok(p2h_report(job, P2H_TEXT, &text, E));
	assert_non_null(strstr(text, "donor-kernel"));
	assert_false(scratch_exists("out.raw"));
}

/* guest.raw and donor.raw have one UUID: what a machine that has both would stumble over is said in the report. */
static void test_same_identity(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	CLEANUP_FREE char *text = NULL, *json = NULL, *other = NULL;
	char loop[2][64];

	(void)state;
	need_images();
	assert_ok(p2h_open(scratch_path("guest.raw"), &options, &job, E));
	assert_ok(p2h_convert(job, true, E));
	assert_ok(p2h_report(job, P2H_TEXT, &text, E));
	assert_non_null(strstr(text, "donor.raw has the same file-system UUID (" BOOTIMAGE_UUID ") as the source"));
	assert_ok(p2h_report(job, P2H_JSON, &json, E));
	assert_non_null(strstr(json, "donor.raw has the same file-system UUID (" BOOTIMAGE_UUID ") as the source"));
	if (geteuid() || scratch_shell("cp guest.raw one.raw && cp guest.raw two.raw && losetup -f --show one.raw > loop1") ||
	    scratch_shell("losetup -f --show two.raw > loop2"))
		return;
	for (int i = 0; i < 2; i++) {
		size_t len;
		char *name = scratch_read(i ? "loop2" : "loop1", &len);

		snprintf(loop[i], sizeof(loop[i]), "%.*s", (int)len - 1, name);
		free(name);
	}
	p2h_close(job);
	job = NULL;
	options.output = NULL;
	assert_ok(p2h_open(loop[0], &options, &job, E));
	assert_ok(p2h_inspect(job, E));
	assert_ok(p2h_report(job, P2H_TEXT, &other, E));
	if (!strstr(other, "UUID=" BOOTIMAGE_UUID " of the source is also on") || !strstr(other, loop[1]))
		fail_msg("no warning of %s in: %s", loop[1], other);
	p2h_close(job);
	job = NULL;
	scratch_shell("losetup -d %s; losetup -d %s; rm one.raw two.raw loop1 loop2", loop[0], loop[1]);
}

static int stop_at(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total)
{
	int *left = arg;

	(void)step;
	(void)steps;
	(void)what;
	(void)done;
	(void)total;
	return --*left < 0;
}

/* Stopped at each call of the progress function in turn: nothing is left behind, until one run is not stopped. */
static void test_cancel(void **state)
{
	int files;

	(void)state;
	need_images();
	files = scratch_count();
	for (int n = 0;; n++) {
		CLEANUP_JOB struct p2h_job *job = NULL;
		struct p2h_options options = usual();
		int left = n, rc;

		options.progress = stop_at;
		options.progress_arg = &left;
		rc = p2h_open(scratch_path("guest.raw"), &options, &job, E);
		if (!rc)
			rc = p2h_convert(job, false, E);
		if (!rc) {
			assert_true(n > 4);
			assert_int_equal(remove(scratch_path("out.raw")), 0);
			return;
		}
		assert_int_equal(rc, P2H_REFUSED);
		assert_message_has("interrupted");
		assert_int_equal(scratch_count(), files);
	}
}

/* spoilt.raw: the guest with damage that only e2fsck sees */
static void spoil_guest(void)
{
	assert_int_equal(scratch_shell("cp guest.raw spoilt.raw && debugfs -w -R 'sif /etc/fstab blocks 4711' spoilt.raw 2>/dev/null"), 0);
}

/* Stage by stage, where the verdict is waited for first, and all in one, where it comes at the end: as exit, message and report it is the same. */
static void assert_same_either_way(const struct p2h_options *options, int code)
{
	struct p2h_error error[2] = {0};
	char *report[2][2] = {{NULL}};

	for (int all = 0; all < 2; all++) {
		CLEANUP_JOB struct p2h_job *job = NULL;
		int rc;

		assert_ok(p2h_open(scratch_path("spoilt.raw"), options, &job, E));
		rc = all ? p2h_convert(job, false, &error[all]) : p2h_inspect(job, &error[all]);
		if (!all && !rc)
			rc = p2h_plan(job, &error[all]);
		if (!all && !rc)
			rc = p2h_apply(job, &error[all]);
		if (!all && !rc)
			rc = p2h_verify(job, &error[all]);
		if (!all && !rc)
			rc = p2h_commit(job, &error[all]);
		assert_int_equal(rc, code);
		for (int i = 0; i < 2; i++)
			assert_ok(p2h_report(job, i ? P2H_JSON : P2H_TEXT, &report[all][i], E));
		if (!code)
			assert_int_equal(scratch_shell("mv out.raw out%d.raw", all), 0);
		assert_false(scratch_exists("out.raw") || scratch_exists("spoilt.raw.pv2hvm-undo"));
	}
	assert_string_equal(error[0].msg, error[1].msg);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(report[0][i], report[1][i]);
		assert_non_null(strstr(report[0][i], "i_blocks is 4711"));
		free(report[0][i]);
		free(report[1][i]);
	}
}

static void test_damage_is_found_beside(void **state)
{
	static const char *const allowed[] = {"source-state", NULL};
	struct p2h_options options = usual();
	CLEANUP_FREE char *before = NULL, *after = NULL;
	size_t before_len, after_len;

	(void)state;
	need_images();
	spoil_guest();
	before = scratch_read("spoilt.raw", &before_len);
	assert_same_either_way(&options, P2H_REFUSED);
	options = usual();
	options.kernel = "1.2.3"; /* another reason to refuse */
	assert_same_either_way(&options, P2H_REFUSED);
	options = usual();
	options.in_place = true;
	options.output = NULL;
	assert_same_either_way(&options, P2H_REFUSED);
	options = usual();
	options.allow = allowed;
	assert_same_either_way(&options, 0);
	assert_int_equal(scratch_shell("cmp out0.raw out1.raw && rm out0.raw out1.raw"), 0);
	after = scratch_read("spoilt.raw", &after_len);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
	assert_int_equal(scratch_shell("rm spoilt.raw"), 0);
}

static int stop_while_waiting(void *arg, unsigned step, unsigned steps, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)step;
	(void)steps;
	(void)done;
	(void)total;
	return !strcmp(what, "waiting for e2fsck");
}

/* What was not waited for is not said to be checked. */
static void test_cancel_the_wait(void **state)
{
	CLEANUP_JOB struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	CLEANUP_FREE char *json = NULL;

	(void)state;
	need_images();
	options.progress = stop_while_waiting;
	assert_ok(p2h_open(scratch_path("guest.raw"), &options, &job, E));
	assert_code(p2h_convert(job, false, E), P2H_REFUSED);
	assert_message_has("interrupted");
	assert_int_equal(p2h_outcome(job), P2H_OUTCOME_OPEN);
	assert_code(p2h_commit(job, E), P2H_USAGE);
	assert_false(scratch_exists("out.raw"));
	assert_ok(p2h_report(job, P2H_JSON, &json, E));
	assert_non_null(strstr(json, "\"checked\": false"));
	assert_null(strstr(json, "\"checked\": true"));
}

static void test_usage(void **state)
{
	struct p2h_job *job = NULL;
	struct p2h_options options = usual();
	char *text = NULL;

	(void)state;
	need_images();
	options.in_place = true;
	assert_code(p2h_open(scratch_path("guest.raw"), &options, &job, E), P2H_USAGE);
	options = usual();
	options.output_format = "vmdk";
	assert_code(p2h_open(scratch_path("guest.raw"), &options, &job, E), P2H_USAGE);
	options = usual();
	options.output = scratch_path("guest.raw");
	assert_code(p2h_open(scratch_path("guest.raw"), &options, &job, E), P2H_USAGE);
	options = usual();
	options.donor = scratch_path("guest.raw");
	assert_code(p2h_open(scratch_path("guest.raw"), &options, &job, E), P2H_USAGE);
	options = usual();
	options.output = scratch_path("donor.raw");
	assert_code(p2h_open(scratch_path("guest.raw"), &options, &job, E), P2H_USAGE);
	options = usual();
	assert_code(p2h_open(scratch_path("none.raw"), &options, &job, E), P2H_NOTFOUND);
	assert_null(job);
	assert_int_equal(p2h_targets_parse("xen-hvm,kvm"), P2H_TARGET_XEN_HVM | P2H_TARGET_KVM);
	assert_int_equal(p2h_targets_parse("xen-hvm,vax"), 0);
	assert_int_equal(p2h_targets_parse(""), 0);
	assert_ok(p2h_rules(NULL, &text, E));
	assert_non_null(strstr(text, "fstab-root"));
	free(text);
	assert_code(p2h_rules("none", &text, E), P2H_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stages),	cmocka_unit_test(test_dry_run_writes_nothing), cmocka_unit_test(test_in_place_and_undo),
		cmocka_unit_test(test_nothing_to_do), cmocka_unit_test(test_refused),	       cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_usage), cmocka_unit_test(test_same_identity),
		cmocka_unit_test(test_damage_is_found_beside), cmocka_unit_test(test_cancel_the_wait),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
