/* text_disk.c - partitions and free space in the text report */
#include <stdio.h>

#include "base/cleanup.h"
#include "report/text.h"

static const char *table_text(enum volume_table table)
{
	switch (table) {
	case TABLE_MBR:
		return "MBR partition table";
	case TABLE_GPT:
		return "GPT";
	case TABLE_NONE:
		break;
	}
	return "no partition table";
}

static void append_volume(struct buf *b, const struct volume *v)
{
	CLEANUP(buf_done) struct buf what = {0};
	uint64_t first = v->off / REPORT_SECTOR, sectors = v->len / REPORT_SECTOR;

	if (volume_is_mapped(v)) {
		buf_printf(&what, "%s  (", v->device);
	} else {
		if (volume_partition(v))
			buf_printf(&what, "partition %u", volume_partition(v));
		else
			buf_puts(&what, "whole disk");
		buf_printf(&what, "  sectors %llu-%llu (", (unsigned long long)first,
			   (unsigned long long)(sectors ? first + sectors - 1 : first));
	}
	append_bytes(&what, v->len);
	buf_puts(&what, ")");
	if (*v->type)
		buf_printf(&what, ", type %s", v->type);
	if (v->active)
		buf_puts(&what, ", active");
	buf_printf(&what, ", %s", *v->content ? v->content : "no signature");
	if (*v->uuid)
		buf_printf(&what, " UUID=%s", v->uuid);
	if (*v->label)
		buf_printf(&what, " LABEL=%s", v->label);
	if (what.failed)
		b->failed = true;
	else
		text_line(b, "          %s", what.data);
}

void text_volumes(struct buf *b, const struct volumes *v, uint64_t disk_size, const char *when)
{
	CLEANUP(buf_done) struct buf size = {0};

	buf_printf(&size, "%llu sectors, ", (unsigned long long)(disk_size / REPORT_SECTOR));
	append_bytes_exact(&size, disk_size);
	if (size.failed)
		b->failed = true;
	else
		text_line(b, "  %-7s %s, %s%s%s", when, size.data, table_text(v->table), *v->table_id ? " " : "", v->table_id);
	for (size_t i = 0; i < v->len; i++)
		if (volume_is_mapped(&v->item[i]) || (!v->item[i].disk && (v->item[i].number || v->table == TABLE_NONE)))
			append_volume(b, &v->item[i]);
}

void text_further_disks(struct buf *b, const struct report_input *in)
{
	for (size_t i = 0; i < in->disks; i++) {
		const struct report_disk *d = &in->disk[i];
		CLEANUP(buf_done) struct buf line = {0};

		buf_printf(&line, "%s, %s, ", or_empty(d->name), or_empty(d->format));
		append_bytes_exact(&line, d->size);
		if (*or_empty(d->output) && !in->in_place)
			buf_printf(&line, "; output: %s (%s)", d->output, or_empty(d->output_format));
		if (d->changed_bytes) {
			buf_puts(&line, "; changed: ");
			append_bytes_exact(&line, *d->changed_bytes);
		}
		b->failed |= line.failed;
		if (b->failed)
			return;
		text_line(b, "  %s  %s", d->device, line.data);
		for (size_t n = 0; n < in->facts->volumes.len; n++) {
			const struct volume *v = &in->facts->volumes.item[n];

			if (v->disk == i + 1 && !volume_is_mapped(v))
				append_volume(b, v);
		}
	}
}

void text_layout(struct buf *b, const struct report_input *in)
{
	const struct facts *f = in->facts;
	const struct plan *p = in->plan;
	struct volume room[2];
	struct volumes after;

	text_section(b, "Disk layout, in sectors of %u bytes", REPORT_SECTOR);
	text_volumes(b, &f->volumes, f->disk_size, "before");
	layout_after(f, p, room, &after);
	text_volumes(b, &after, f->disk_size + p->shift, "after");
	text_further_disks(b, in);
	text_line(b, "  layout  %s: %s", layout_name(p->layout), or_empty(p->layout_reason));
	if (p->shift)
		text_line(b, "  moved   everything by %llu sectors", (unsigned long long)(p->shift / REPORT_SECTOR));
}

/* Where their number is fixed. */
void append_inodes(struct buf *b, const char *before, const struct fs_space *s)
{
	if (s->inodes)
		buf_printf(b, "%s%llu of %llu inodes free", before, (unsigned long long)s->inodes_free, (unsigned long long)s->inodes);
}

static void append_free(struct buf *b, const char *when, const struct fs_space *s)
{
	CLEANUP(buf_done) struct buf bytes = {0};

	append_bytes(&bytes, multiply(s->blocks_free, s->block_size));
	buf_puts(&bytes, ")");
	append_inodes(&bytes, ", ", s);
	if (bytes.failed)
		b->failed = true;
	else
		text_line(b, "  %-7s %llu of %llu blocks free (%s", when, (unsigned long long)s->blocks_free, (unsigned long long)s->blocks,
			  bytes.data);
}

void text_space(struct buf *b, const struct report_input *in)
{
	const struct facts *f = in->facts;
	CLEANUP(buf_done) struct buf bytes = {0};

	text_section(b, "Space in the root file system, in blocks of %u bytes", (unsigned)f->space.block_size);
	append_free(b, "before", &f->space);
	append_bytes(&bytes, multiply(in->plan->blocks_needed, f->space.block_size));
	if (bytes.failed)
		b->failed = true;
	else
		text_line(b, "  needed  %llu blocks (%s), %llu inodes", (unsigned long long)in->plan->blocks_needed, bytes.data,
			  (unsigned long long)in->plan->inodes_needed);
	if (in->space_after)
		append_free(b, "after", in->space_after);
	if (f->boot_number != f->root_number)
		append_free(b, "/boot", &f->boot_space);
	if (in->changed_bytes) {
		buf_clear(&bytes);
		append_bytes_exact(&bytes, *in->changed_bytes);
		if (!bytes.failed)
			text_line(b, "  changed %s of the disk differ from the source", bytes.data);
	}
	b->failed |= bytes.failed;
}
