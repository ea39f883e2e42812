/* vsyscall_test.c - calls of the vsyscall page, as assemblers and compilers write them */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "parse/vsyscall.h"

#define BASE UINT64_C(0x401000)

static const struct {
	const char *what, *code;
	size_t len;
	bool calls;
} row[] = {
	{"glibc 2.13's time", "\x48\x83\xec\x08\x48\xc7\xc0\x00\x04\x60\xff\xff\xd0\x48\x83\xc4\x08\xc3", 18, true},
	{"gettimeofday by r11", "\x49\xc7\xc3\x00\x00\x60\xff\x41\xff\xd3", 10, true},
	{"getcpu by movabs", "\x48\xb8\x00\x08\x60\xff\xff\xff\xff\xff\xff\xd0", 12, true},
	{"unoptimised: to the stack by rbp", "\x48\xc7\x45\xf8\x00\x04\x60\xff\x48\x8b\x45\xf8", 12, true},
	{"unoptimised: to the stack by rsp", "\x48\xc7\x44\x24\x08\x00\x04\x60\xff", 9, true},
	{"a direct call", "\x90\xe8\xfa\xf3\x1f\xff\x90", 7, true}, /* 0xffffffffff600400 - 0x401006 */
	{"a call elsewhere", "\x90\xe8\xfb\xf3\x1f\xff\x90", 7, false},
	{"no entry: 0xffffffffff600c00", "\x48\xc7\xc0\x00\x0c\x60\xff\xff\xd0", 9, false},
	{"inside an entry", "\x48\xc7\xc0\x01\x04\x60\xff\xff\xd0", 9, false},
	{"32 bits, not extended", "\xb8\x00\x04\x60\xff\xff\xd0", 7, false},
	{"the address as data", "\x00\x04\x60\xff\xff\xff\xff\xff", 8, false},
	{"movabs of another number", "\x48\xb8\x00\x04\x60\xff\xff\xff\xff\x00", 10, false},
	{"mov cut short", "\x48\xc7\xc0\x00\x04\x60", 6, false},
	{"movabs cut short", "\x48\xb8\x00\x04\x60\xff\xff\xff\xff", 9, false},
	{"only the immediate", "\x00\x04\x60\xff", 4, false},
	{"nothing", "", 0, false},
};

static void rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		uint8_t code[32];

		memcpy(code, row[i].code, row[i].len);
		if (vsyscall_called(code, row[i].len, BASE) != row[i].calls)
			fail_msg("%s", row[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
