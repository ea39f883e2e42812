/*
 * alloc_test.c - the n-th memory allocation fails in a whole conversion, through the public interface
 *
 * Where it is a call of our own, the error says so; or the call did not matter, and result and report are what they are without
 * the fault. Where any call fails, those of libraries among them, each time in a process of its own, a library may crash or go on.
 * In every case no byte of the source is lost, and nothing is left behind but by a crash.
 */
#include "support/allocfault.h"

#include <execinfo.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv2hvm.h>

#include "base/cleanup.h"
#include "disk/disk.h"
#include "inspect/guest.h"
#include "support/bootimage.h"
#include "support/scratch.h"

#define NOW 1700000000

struct bytes {
	void *data;
	size_t len;
};

static struct {
	struct bytes original, result, journal; /* guest.raw, what becomes of it, its undo journal; set once they are known */
	char *text, *json;
} known;

static struct bytes load(const char *name)
{
	struct bytes b;

	b.data = scratch_read(name, &b.len);
	return b;
}

static bool is_file(const char *name, const struct bytes *want)
{
	struct bytes have = load(name);
	bool same = have.len == want->len && !memcmp(have.data, want->data, want->len);

	free(have.data);
	return same;
}

static int setup(void **state)
{
	if (scratch_setup(state) || bootimage_setup(state))
		return -1;
	if (!bootimage_possible())
		return 0;
	bootimage_files(false);
	known.original = load("guest.raw");
	assert_int_equal(mkdir(scratch_path("tmp"), 0700), 0);
	return setenv("TMPDIR", scratch_path("tmp"), 1);
}

static int teardown(void **state)
{
	unsetenv("TMPDIR");
	bootimage_teardown(state);
	free(known.original.data);
	return scratch_teardown(state);
}

/* ---- what is done, and what comes of it ---- */

enum task { TO_FILE, IN_PLACE, UNDO };
static const char *const task_name[] = {"to a new file", "in place", "undo"};

struct outcome {
	int rc;
	struct p2h_error err;
	char *text, *json;
};

static void outcome_done(struct outcome *o)
{
	free(o->text);
	free(o->json);
}

static int convert(const struct p2h_options *options, struct outcome *o)
{
	struct p2h_job *job = NULL;
	int rc = p2h_open(scratch_path("guest.raw"), options, &job, &o->err);

	if (!rc)
		rc = p2h_convert(job, false, &o->err);
	if (!rc)
		rc = p2h_report(job, P2H_TEXT, &o->text, &o->err);
	if (!rc)
		rc = p2h_report(job, P2H_JSON, &o->json, &o->err);
	p2h_close(job);
	return rc;
}

static void run(enum task task, struct outcome *o)
{
	const struct p2h_options to_file = {.donor = scratch_path("donor.raw"), .output = scratch_path("out.raw")};
	const struct p2h_options in_place = {.donor = scratch_path("donor.raw"), .in_place = true, .layout = P2H_LAYOUT_FLAT};
	const struct p2h_options none = {0};

	*o = (struct outcome){0};
	o->rc = task == UNDO ? p2h_undo(scratch_path("guest.raw"), &none, &o->err) : convert(task == TO_FILE ? &to_file : &in_place, o);
}


/* ---- before and after ---- */

static void prepare(enum task task)
{
	if (task == UNDO) {
		scratch_file("guest.raw", known.result.data, known.result.len);
		scratch_file("guest.raw.pv2hvm-undo", known.journal.data, known.journal.len);
	}
}

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Puts the image back where it was changed; then all has to be as it was at first. */
static void restore(enum task task, long n)
{
	if (task == TO_FILE && scratch_exists("out.raw"))
		assert_int_equal(unlink(scratch_path("out.raw")), 0);
	if (scratch_exists("guest.raw.pv2hvm-undo")) {
		struct outcome o;

		run(UNDO, &o);
		if (o.rc)
			fail_msg("%s, allocation %ld: undo afterwards: %s", task_name[task], n, o.err.msg);
	}
	if (!is_file("guest.raw", &known.original))
		fail_msg("%s, allocation %ld: the image is not what it was", task_name[task], n);
	if (scratch_count() != 3 || scratch_shell("test -z \"$(ls -A tmp)\"")) {
		scratch_shell("ls -lA . tmp >&2");
		fail_msg("%s, allocation %ld: something is left behind", task_name[task], n);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Is this what comes out without a fault? */
static bool is_result(enum task task, const struct outcome *o)
{
	if (task == UNDO)
		return is_file("guest.raw", &known.original);
	return is_file(task == TO_FILE ? "out.raw" : "guest.raw", &known.result) && !strcmp(o->text, known.text) &&
	       !strcmp(o->json, known.json);
}

/* ---- where to fail ---- */

/*
 * The first call from each place fails, a place being a call with the call that led to it: by default from some of the places;
 * P2H_ALLOC_SWEEP=places: from all; P2H_ALLOC_SWEEP=N: each N-th call.
 */
#define OWN_EVERY 3
#define ALL_EVERY 10
#define CALLERS 2
#define POINTS_MAX 20000

static struct {
	long at[POINTS_MAX];
	size_t len;
	uint64_t place[POINTS_MAX]; /* of this task and those before it: what was tried there need not be tried again */
	size_t places;
	long calls, step; /* step: each so-manieth call; 0: by place */
	size_t every;     /* of the places */
} points;

/* Inlined, as what calls note_call: then note_call and the wrapper stand first, and in front of them ASan's backtrace(). */
static __attribute__((always_inline)) inline bool is_new_place(void)
{
	uint64_t place = 14695981039346656037u; /* FNV-1a */
	void *caller[CALLERS + 3];
	int first = ALLOCFAULT_HAS_ALL ? 2 : 3, n = backtrace(caller, CALLERS + first);

	for (int i = first; i < n; i++)
		place = (place ^ (uintptr_t)caller[i]) * 1099511628211u;
	for (size_t i = 0; i < points.places; i++)
		if (points.place[i] == place)
			return false;
	if (points.places < POINTS_MAX)
		points.place[points.places++] = place;
	return points.places % points.every == 0;
}

static void note_call(void)
{
	enum allocfault_who who = allocfault.who;
	bool take;

	allocfault.who = ALLOCFAULT_NONE; /* backtrace() takes memory as well */
	points.calls++;
	take = points.step ? points.calls % points.step == 0 : is_new_place();
	if (take && points.len < POINTS_MAX)
		points.at[points.len++] = points.calls;
	allocfault.who = who;
}

/* One run without a fault; what comes of it is kept for comparison. */
static void find_points(enum task task, enum allocfault_who who)
{
	const char *sweep = getenv("P2H_ALLOC_SWEEP");
	struct outcome o;

	points.len = 0;
	points.calls = 0;
	points.step = sweep ? atol(sweep) : 0;
	points.every = sweep ? 1 : who == ALLOCFAULT_OWN ? OWN_EVERY : ALL_EVERY;
	prepare(task);
	allocfault.count = note_call;
	allocfault_set(who, 0);
	run(task, &o);
	allocfault_set(ALLOCFAULT_NONE, 0);
	allocfault.count = NULL;
	if (o.rc)
		fail_msg("%s: %s", task_name[task], o.err.msg);
	if (task != UNDO) {
		known.result = load(task == TO_FILE ? "out.raw" : "guest.raw");
		known.text = TAKE(o.text);
		known.json = TAKE(o.json);
	}
	if (task == IN_PLACE)
		known.journal = load("guest.raw.pv2hvm-undo");
	restore(task, 0);
	outcome_done(&o);
}

static void forget(void)
{
	free(known.result.data);
	free(known.journal.data);
	free(known.text);
	free(known.json);
	known.result = known.journal = (struct bytes){0};
	known.text = known.json = NULL;
}

/* Each task in turn; tries calls one() for each of its points. */
static void sweep(enum allocfault_who who, void (*one)(enum task task, long n), void (*tell)(enum task task))
{
	if (!bootimage_possible())
		skip();
	points.places = 0;
	for (enum task task = TO_FILE; task <= UNDO; task++) {
		if (task == IN_PLACE)
			forget();
		find_points(task, who);
		for (size_t i = 0; i < points.len; i++)
			one(task, points.at[i]);
		tell(task);
	}
	forget();
}

/* ---- our own calls ---- */

static size_t own_errors;

static void own_fails(enum task task, long n)
{
	struct outcome o;
	int files = open_files();

	prepare(task);
	allocfault_set(ALLOCFAULT_OWN, n);
	run(task, &o);
	assert_true(allocfault.calls >= n);
	allocfault_set(ALLOCFAULT_NONE, 0);
	if (o.rc && (o.rc != P2H_NOMEM || o.err.code != P2H_NOMEM || !strstr(o.err.msg, "memory")))
		fail_msg("%s, allocation %ld: %d: %s", task_name[task], n, o.rc, o.err.msg);
	if (!o.rc && !is_result(task, &o))
		fail_msg("%s, allocation %ld failed, and nobody noticed", task_name[task], n);
	/* What has its name is whole: then it was the report that failed. */
	if (task == TO_FILE && scratch_exists("out.raw"))
		assert_true(is_file("out.raw", &known.result));
	own_errors += o.rc != 0;
	outcome_done(&o);
	restore(task, n);
	assert_int_equal(open_files(), files);
}

static void tell_own(enum task task)
{
	assert_true(own_errors > 0);
	print_message("faults: own allocation, %s: %zu of %ld failed: %zu errors, %zu did not matter\n", task_name[task], points.len,
		      points.calls, own_errors, points.len - own_errors);
	own_errors = 0;
}

static void test_own(void **state)
{
	(void)state;
	sweep(ALLOCFAULT_OWN, own_fails, tell_own);
}

/* ---- those of libraries as well ---- */

enum end { END_RESULT, END_ERROR, END_OTHER_RESULT, END_CRASH, ENDS };
static size_t ends[ENDS];

static enum end run_child(enum task task, long n)
{
	static const int crash[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
	pid_t pid = fork();
	struct outcome o;
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		for (size_t i = 0; i < sizeof(crash) / sizeof(*crash); i++)
			signal(crash[i], SIG_DFL); /* cmocka's would go on with the next test */
		alarm(120);
		allocfault_set(ALLOCFAULT_ALL, n);
		run(task, &o);
		allocfault_set(ALLOCFAULT_NONE, 0);
		_exit(o.rc ? END_ERROR : is_result(task, &o) ? END_RESULT : END_OTHER_RESULT);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		fail_msg("%s, allocation %ld of all: hangs", task_name[task], n);
	return WIFSIGNALED(status) ? END_CRASH : (enum end)WEXITSTATUS(status);
}

static void any_fails(enum task task, long n)
{
	enum end end;

	prepare(task);
	end = run_child(task, n);
	assert_true(end < ENDS);
	ends[end]++;
	if (end == END_CRASH)
		assert_int_equal(scratch_shell("rm -rf tmp/* .pv2hvm-*"), 0);
	restore(task, n);
}

static void tell_all(enum task task)
{
	print_message("faults: any allocation, %s: %zu of %ld failed: %zu errors, %zu did not matter, %zu another result, %zu crashes of a "
		      "library\n", task_name[task], points.len, points.calls, ends[END_ERROR], ends[END_RESULT], ends[END_OTHER_RESULT],
		      ends[END_CRASH]);
	memset(ends, 0, sizeof(ends));
}

static void test_all(void **state)
{
	(void)state;
	if (!ALLOCFAULT_HAS_ALL) {
		print_message("left out: AddressSanitizer has an allocator of its own\n");
		skip();
	}
	sweep(ALLOCFAULT_ALL, any_fails, tell_all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_own), cmocka_unit_test(test_all)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
