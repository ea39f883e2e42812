/* fuzz_lvmconf.c - input: lvm.conf; patterns stand in the text, one behind the other */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/lvmconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(lvmconf_done) struct lvmconf c = {0};
	size_t end = 0;

	if (lvmconf_parse((const char *)data, size, &c, NULL))
		return 0;
	for (size_t i = 0; i < c.len; i++) {
		for (size_t k = 0; k < c.item[i].len; k++) {
			const struct lvm_pattern *p = &c.item[i].item[k];

			if (p->off < end || p->off >= size || p->len < 2 || p->len > size - p->off || data[p->off] != '"' ||
			    data[p->off + p->len - 1] != '"' || (p->regex && strlen(p->regex) + 5 != p->len))
				abort();
			end = p->off + p->len;
		}
	}
	return 0;
}
