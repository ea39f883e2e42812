#include "parse/vsyscall.h"

#include "base/le.h"

#define PAGE UINT64_C(0xffffffffff600000)
#define ENTRY 0x400u
#define ENTRIES 3u

static bool is_entry(uint64_t address)
{
	return address - PAGE < ENTRY * ENTRIES && (address - PAGE) % ENTRY == 0;
}

/*
 * Does `mov` with an immediate end in front of the immediate at `at`? Intel's manual, volume 2: REX.W C7 /0 id, sign-extended, to a register
 * or, unoptimised, to a place on the stack (8-bit displacement, with or without SIB); REX.W B8+r io with all eight bytes.
 */
static bool is_mov(const uint8_t *code, size_t len, size_t at)
{
	static const size_t modrm_behind[] = {1, 2, 3}; /* how far in front of the immediate ModRM stands: register, displacement, SIB too */

	if (at >= 2 && len - at >= 8 && (code[at - 2] & 0xf8) == 0x48 && (code[at - 1] & 0xf8) == 0xb8 && is_entry(le64_get(code + at)))
		return true;
	for (size_t i = 0; i < 3 && at >= modrm_behind[i] + 2; i++) {
		const uint8_t *modrm = code + at - modrm_behind[i];
		bool sib = (modrm[0] & 0xc7) == 0x44, displaced = (modrm[0] & 0xf8) == 0x40 && !sib;

		if ((modrm[-2] & 0xf8) != 0x48 || modrm[-1] != 0xc7)
			continue;
		if (i == 0 ? (modrm[0] & 0xf8) == 0xc0 : i == 1 ? displaced : sib)
			return true;
	}
	return false;
}

/* E8 rel32, from a program linked low: 2 GiB are enough to reach the page downwards. */
static bool is_call(const uint8_t *code, size_t at, uint64_t address)
{
	return at >= 1 && code[at - 1] == 0xe8 && is_entry(address + at + 4 + (uint64_t)(int64_t)(int32_t)le32_get(code + at));
}

bool vsyscall_called(const uint8_t *code, size_t len, uint64_t address)
{
	for (size_t i = 0; i + 4 <= len; i++) {
		if (is_call(code, i, address))
			return true;
		/* All three addresses end in 60 ff, and little else in code does. */
		if (code[i + 3] == 0xff && code[i + 2] == 0x60 && is_entry((uint64_t)(int64_t)(int32_t)le32_get(code + i)) && is_mov(code, len, i))
			return true;
	}
	return false;
}
