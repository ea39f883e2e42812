/* words.c - names, numbers and look-ups that every report uses */
#include <string.h>

#include "inspect/drivers.h"
#include "report/parts.h"

const char *verdict_name(const struct report_input *in)
{
	switch (in->outcome) {
	case P2H_OUTCOME_NOTHING:
		return "nothing-to-do";
	case P2H_OUTCOME_REFUSED:
		return "refused";
	case P2H_OUTCOME_UNFIT:
		return "unfit";
	case P2H_OUTCOME_READY:
		return "ready";
	case P2H_OUTCOME_DONE:
		return "done";
	case P2H_OUTCOME_OPEN:
		break;
	}
	if (has_verb(in, "verify") && image_verification(in))
		return image_verification(in)->passed ? "nothing-to-do" : "unfit";
	return "open";
}

bool has_verb(const struct report_input *in, const char *verb)
{
	return !strcmp(or_empty(in->verb), verb);
}

const struct verify_report *image_verification(const struct report_input *in)
{
	return in->before || has_verb(in, "convert") ? in->before : in->after;
}

const char *table_name(enum volume_table table)
{
	switch (table) {
	case TABLE_MBR:
		return "mbr";
	case TABLE_GPT:
		return "gpt";
	case TABLE_NONE:
		break;
	}
	return "none";
}

const char *layout_name(enum p2h_layout layout)
{
	switch (layout) {
	case P2H_LAYOUT_PARTITION:
		return "partition";
	case P2H_LAYOUT_FLAT:
		return "flat";
	case P2H_LAYOUT_KEEP:
		return "keep";
	case P2H_LAYOUT_AUTO:
		break;
	}
	return "auto";
}

const char *place_name(enum boot_place place)
{
	switch (place) {
	case PLACE_GAP:
		return "gap";
	case PLACE_BIOS_BOOT:
		return "bios-boot";
	case PLACE_INODE5:
		break;
	}
	return "inode5";
}

const char *result_name(enum verify_result result)
{
	switch (result) {
	case VERIFY_PASS:
		return "pass";
	case VERIFY_FAIL:
		return "fail";
	case VERIFY_WARN:
		return "warn";
	case VERIFY_SKIP:
		break;
	}
	return "skip";
}

const char *or_empty(const char *text)
{
	return text ? text : "";
}

bool has_target_index(unsigned targets, size_t index)
{
	return (targets ? targets : TARGET_XEN_HVM | TARGET_NITRO) & 1u << index;
}

void append_targets(struct buf *b, unsigned targets, const char *separator)
{
	const char *between = "";

	for (size_t i = 0; i < DRIVERS_TARGETS; i++)
		if (has_target_index(targets, i)) {
			buf_printf(b, "%s%s", between, drivers_target_name[i]);
			between = separator;
		}
}

void append_bytes(struct buf *b, uint64_t bytes)
{
	static const char unit[] = "KMGTPE";
	uint64_t whole = bytes, tenths = 0;
	size_t power = 0;

	/* Integers only: a decimal point that does not depend on the locale. Rounded down. */
	for (; whole >= 1024; power++) {
		tenths = whole % 1024 * 10 / 1024;
		whole /= 1024;
	}
	if (power)
		buf_printf(b, "%llu.%llu %ciB", (unsigned long long)whole, (unsigned long long)tenths, unit[power - 1]);
	else
		buf_printf(b, "%llu bytes", (unsigned long long)bytes);
}

void append_bytes_exact(struct buf *b, uint64_t bytes)
{
	append_bytes(b, bytes);
	if (bytes >= 1024)
		buf_printf(b, " (%llu bytes)", (unsigned long long)bytes);
}

void append_joined(struct buf *b, const struct strlist *list, const char *separator)
{
	for (size_t i = 0; i < list->len; i++) {
		buf_puts(b, i ? separator : "");
		buf_puts(b, list->item[i]);
	}
}

uint64_t multiply(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

const struct verify_step *first_failed(const struct verify_report *r)
{
	for (size_t i = 0; i < r->len; i++)
		if (r->item[i].result == VERIFY_FAIL)
			return &r->item[i];
	return NULL;
}

const struct facts_file *known_file(const struct facts *f, const char *path)
{
	return f ? facts_file(f, path) : NULL;
}

const struct action *find_action(const struct plan *p, enum action_kind kind)
{
	for (size_t i = 0; p && i < p->actions; i++)
		if (p->action[i].kind == kind)
			return &p->action[i];
	return NULL;
}
