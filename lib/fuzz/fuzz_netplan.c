/* fuzz_netplan.c - what is out of force once stays so, and nothing but lines with macaddress or driver changes */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/netplan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf_done) struct buf once = {0}, twice = {0};
	static const char *const drivers[] = {"vif", "ena", NULL};
	size_t odd = 0, odd_again = 0;

	if (netplan_unbind((const char *)data, size, drivers, &once, &odd, NULL))
		return 0;
	if (once.len < size || (!memmem(data, size, "macaddress", 10) && !memmem(data, size, "driver", 6) && once.len != size))
		abort();
	/* What could not be dealt with may be possible in the new text: keys that stood there twice, which netplan would refuse. */
	if (odd)
		return 0;
	if (netplan_unbind(once.len ? once.data : "", once.len, drivers, &twice, &odd_again, NULL))
		return 0;
	if (twice.len != once.len || (once.len && memcmp(twice.data, once.data, once.len)))
		abort();
	return 0;
}
