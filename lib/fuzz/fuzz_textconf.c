/* fuzz_textconf.c - input: a name up to a newline, then the text of assignments, inittab, kernel configuration and kernel-img.conf at once */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/textconf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(inittab_done) struct inittab t = {0};
	struct kernelimg_setting s = {0};
	CLEANUP_FREE char *name = NULL, *value = NULL;
	const uint8_t *newline = size ? memchr(data, '\n', size) : NULL;
	const char *text;
	size_t len;

	if (!newline || !(name = strndup((const char *)data, (size_t)(newline - data))))
		return 0;
	text = (const char *)newline + 1;
	len = size - (size_t)(newline + 1 - data);
	value = assignment_get(text, len, name, NULL);
	if (!strchr("ymns", kconfig_get(text, len, name)))
		abort();
	while (kernelimg_next(text, len, &s))
		if (s.start > s.value || s.value > len || s.len > len - s.value || s.value + s.len > s.next || memchr(text + s.value, '#', s.len))
			abort();
	if (inittab_parse(text, len, &t, NULL))
		return 0;
	for (size_t i = 0; i < t.len; i++) {
		const struct inittab_entry *e = &t.item[i];

		if (e->off > len || e->len > len - e->off || memchr(text + e->off, '\n', e->len) || strchr(e->id, ':'))
			abort();
	}
	return 0;
}
