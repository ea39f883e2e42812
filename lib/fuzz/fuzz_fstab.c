/* fuzz_fstab.c - input: a change (entry, field, value up to a newline), then the text of an fstab */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/fstab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* All fields of both are the same, but for the one that was changed. */
static void compare(const struct fstab *a, const struct fstab *b, const struct fstab_change *change)
{
	require(a->len == b->len && a->odd == b->odd);
	for (size_t i = 0; i < a->len; i++)
		for (int field = 0; field < FSTAB_FIELDS; field++) {
			bool changed = i == change->entry && field == (int)change->field;

			require(!strcmp(b->item[i].text[field], changed ? change->value : a->item[i].text[field]));
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(fstab_done) struct fstab before = {0}, after = {0};
	CLEANUP(buf_done) struct buf same = {0}, edited = {0};
	CLEANUP_FREE char *value = NULL;
	const uint8_t *newline = size > 2 ? memchr(data + 2, '\n', size - 2) : NULL;
	struct fstab_change change = {0};
	const char *text;
	size_t len;

	if (!newline)
		return 0;
	text = (const char *)newline + 1;
	len = size - (size_t)(newline + 1 - data);
	value = strndup((const char *)data + 2, (size_t)(newline - data - 2));
	if (!value || fstab_parse(text, len, &before, NULL))
		return 0;
	require(!fstab_edit(text, len, &before, NULL, 0, &same, NULL));
	require(same.len == len && (!len || !memcmp(same.data, text, len)));
	if (!before.len || !*value)
		return 0;
	change = (struct fstab_change){.entry = data[0] % before.len, .field = data[1] % FSTAB_FIELDS, .value = value};
	require(!fstab_edit(text, len, &before, &change, 1, &edited, NULL));
	require(!fstab_parse(edited.data, edited.len, &after, NULL));
	compare(&before, &after, &change);
	fstab_has_option(before.item[change.entry].text[FSTAB_OPTIONS], value);
	return 0;
}
