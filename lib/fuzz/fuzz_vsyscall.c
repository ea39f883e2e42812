/* fuzz_vsyscall.c - input: machine code */
#include <stdlib.h>

#include "parse/vsyscall.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t half = size / 2;
	bool whole = vsyscall_called(data, size, 0x401000);

	/* What is found in a part is found in the whole; what is in the whole is found in one of two parts that overlap. */
	size_t end = half + VSYSCALL_OVERLAP < size ? half + VSYSCALL_OVERLAP : size;
	if ((vsyscall_called(data, end, 0x401000) || vsyscall_called(data + half, size - half, 0x401000 + half)) != whole)
		abort();
	return 0;
}
