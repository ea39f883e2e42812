/* scratch.h - a temporary directory for a test, and files in it; helpers fail the test themselves */
#ifndef P2H_TEST_SCRATCH_H
#define P2H_TEST_SCRATCH_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>

#include <cmocka.h>

#include "base/error.h"
#include "disk/disk.h"

/* Makes the directory / removes it with all it holds: as cmocka's group or test fixtures. */
int scratch_setup(void **state);
int scratch_teardown(void **state);

/* "<directory>/<name>"; the text lives until the same name's 16th successor is asked for. */
const char *scratch_path(const char *name);
void scratch_file(const char *name, const void *data, size_t len);
void scratch_disk(struct disk *d, const char *name); /* all that it holds, as a file */
void *scratch_read(const char *name, size_t *ret_len); /* to be freed */
bool scratch_exists(const char *name);
int scratch_count(void); /* entries of the directory */

/* Runs a shell command in the directory; its exit status. */
int scratch_shell(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool tool_exists(const char *name);

/* Bytes that depend on their place and the seed. */
void fill_pattern(void *data, size_t len, uint32_t seed);

#define assert_ok(call)                                                       \
	do {                                                                  \
		struct p2h_error *assert_err_ = scratch_error();              \
		int assert_code_ = (call);                                    \
		if (assert_code_)                                             \
			fail_msg("%s: %d: %s", #call, assert_code_, assert_err_->msg); \
	} while (0)
/* The error struct that calls inside assert_ok() may use: `assert_ok(f(x, E))`. */
struct p2h_error *scratch_error(void);
#define E scratch_error()
#define assert_code(call, code) assert_int_equal((call), (code))
#define assert_message_has(words)                                                 \
	do {                                                                      \
		if (!strstr(E->msg, words))                                       \
			fail_msg("\"%s\" is not in \"%s\"", words, E->msg);       \
	} while (0)

#endif
