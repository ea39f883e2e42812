/* bootloader.c - GRUB 2's menu, and where its core image goes */
#include <string.h>

#include "base/cleanup.h"
#include "plan/planner.h"

#define GRUB_CFG "/boot/grub/grub.cfg"
#define BTRFS_RESERVED 65536u /* free for a boot loader: the first superblock lies behind (btrfs-man5) */

/* A word of GRUB's script language that stands for exactly these bytes. */
static void put_word(struct buf *out, const char *word, size_t len)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=.,:/@%";

	if (len && strspn(word, plain) >= len) {
		buf_append(out, word, len);
		return;
	}
	buf_puts(out, "'");
	for (size_t i = 0; i < len; i++) {
		if (word[i] == '\'')
			buf_puts(out, "'\\''");
		else if ((unsigned char)word[i] >= 0x20)
			buf_append(out, word + i, 1);
	}
	buf_puts(out, "'");
}

/* GRUB puts a word with blanks in double quotes by itself, and would escape those that are there for the kernel. */
static void put_args(struct buf *out, const char *args)
{
	while (args && *args) {
		CLEANUP(buf_done) struct buf word = {0};
		size_t n = cmdline_word_len(args);

		for (size_t i = 0; i < n; i++)
			if (args[i] != '"')
				buf_append(&word, args + i, 1);
		buf_puts(out, " ");
		put_word(out, word.len ? word.data : "", word.len);
		out->failed |= word.failed;
		args += n + strspn(args + n, " ");
	}
}

const char *planner_grub_path(struct planner *p, const char *path)
{
	const char *there = strncmp(path, "/boot/", 6) ? path : arena_printf(p->arena, "%s%s", p->facts->boot_path, path + 5);

	return there ? there : path;
}

/* root= of a kernel without initramfs is for that kernel alone. */
static const char *args_for(struct planner *p, const struct facts_kernel *k)
{
	const char *line = p->plan->cmdline, *own = arena_printf(p->arena, "root=%s ", p->plan->root);

	if (!own || !*k->initrd || *p->facts->donor.chosen.initrd || strncmp(line, own, strlen(own)))
		return line;
	return arena_printf(p->arena, "root=UUID=%s %s", p->facts->root_uuid, line + strlen(own));
}

static void put_entry(struct planner *p, struct buf *out, const struct facts_kernel *k, const char *origin)
{
	const struct facts *f = p->facts;
	CLEANUP(buf_done) struct buf title = {0}, id = {0};

	buf_printf(&title, "%s, Linux %s%s", *f->os_name ? f->os_name : "Linux", k->release, origin);
	buf_printf(&id, "pv2hvm-%s", k->release);
	if (title.failed || id.failed) {
		out->failed = true;
		return;
	}
	buf_puts(out, "\nmenuentry ");
	put_word(out, title.data, title.len);
	buf_puts(out, " --id ");
	put_word(out, id.data, id.len);
	buf_printf(out, " {\n\tsearch --no-floppy --fs-uuid --set=root %s\n\tlinux ", f->boot_uuid);
	put_word(out, planner_grub_path(p, k->image), strlen(planner_grub_path(p, k->image)));
	put_args(out, args_for(p, k));
	if (*k->initrd) {
		buf_puts(out, "\n\tinitrd ");
		put_word(out, planner_grub_path(p, k->initrd), strlen(planner_grub_path(p, k->initrd)));
	}
	buf_puts(out, "\n}\n");
}

void rule_grub_cfg(struct planner *p)
{
	const struct facts *f = p->facts;
	const struct facts_kernel *chosen = &f->donor.chosen;
	CLEANUP(buf_done) struct buf out = {0}, id = {0};

	if (!*chosen->release)
		return;
	buf_printf(&id, "pv2hvm-%s", chosen->release);
	if (id.failed) {
		p->arena->failed = true;
		return;
	}
	buf_puts(&out, "# Written by pv2hvm: starts this system as HVM through a BIOS.\n"
		       "set default=");
	put_word(&out, id.data, id.len);
	buf_puts(&out, "\nset timeout=3\n\n"
		       "serial --unit=0 --speed=115200 --word=8 --parity=no --stop=1\n"
		       "terminal_input console serial\n"
		       "terminal_output console serial\n");
	put_entry(p, &out, chosen, f->donor.from_guest ? "" : " (kernel from the donor)");
	for (size_t i = 0; i < f->kernels.len; i++) {
		const struct facts_kernel *k = &f->kernels.item[i];

		if (k->hvm && *k->initrd && strcmp(k->release, chosen->release))
			put_entry(p, &out, k, "");
	}
	buf_append(&out, p->other_menus.len ? p->other_menus.data : "", p->other_menus.len);
	planner_write_buf(p, GRUB_CFG, &out, 0644, "the boot menu: the chosen kernel first");
}

/* For `keep`: the gap before the first partition, a BIOS boot partition, else the boot loader inode. */
static void choose_place(struct planner *p, struct action *a)
{
	const struct facts *f = p->facts;

	if (p->plan->layout == P2H_LAYOUT_PARTITION) {
		a->place = PLACE_GAP;
		a->place_off = 512;
		a->place_len = VOLUME_ALIGNMENT - 512;
	} else if (p->plan->layout == P2H_LAYOUT_KEEP && f->boot.gap_sectors * 512 >= f->host.core_len) {
		a->place = PLACE_GAP;
		a->place_off = 512;
		a->place_len = f->boot.gap_sectors * 512;
	} else if (p->plan->layout == P2H_LAYOUT_KEEP && f->boot.bios_boot_len >= f->host.core_len) {
		a->place = PLACE_BIOS_BOOT;
		a->place_off = f->boot.bios_boot_off;
		a->place_len = f->boot.bios_boot_len;
	} else if (p->plan->layout == P2H_LAYOUT_FLAT && !strcmp(f->root_type, "btrfs") && !volume_is_elsewhere(f->root_volume) &&
		   f->host.core_len <= BTRFS_RESERVED - 512) {
		a->place = PLACE_GAP;
		a->place_off = 512;
		a->place_len = BTRFS_RESERVED - 512;
	} else {
		a->place = PLACE_INODE5;
	}
}

/* Only ext leaves the first sectors of its volume free and has an inode for a boot loader. */
static void refuse_inode5(struct planner *p)
{
	const struct facts *f = p->facts;

	if (p->plan->layout == P2H_LAYOUT_FLAT)
		planner_block(p, arena_printf(p->arena, "%s: %s", volume_is_elsewhere(f->root_volume) ? f->root_volume->device : "superblock", f->root_type),
			      "there is no room in front of it for the boot loader: it cannot be flat",
			      "--layout partition, which puts 1 MiB in front of it in a new output");
	else
		planner_block(p, arena_printf(p->arena, "%llu sectors before the first partition", (unsigned long long)f->boot.gap_sectors),
			      arena_printf(p->arena, "GRUB's core image of %zu sectors has no place: %s has no boot loader inode", f->host.core_len / 512,
					   volume_is_elsewhere(f->root_volume) ? f->root_volume->device : f->root_type),
			      "make room before the first partition, or a BIOS boot partition on GPT, on a copy");
}

void rule_boot_loader(struct planner *p)
{
	const struct facts *f = p->facts;
	struct action *a;

	if (!f->host.core_len || (f->boot.current && !p->plan->shift))
		return;
	a = planner_action(p, ACTION_BOOT_LOADER, "/boot/grub/i386-pc",
			   arena_printf(p->arena, "GRUB %s for BIOS", f->host.grub_version));
	if (!a)
		return;
	choose_place(p, a);
	if (a->place == PLACE_INODE5 && (strncmp(f->root_type, "ext", 3) || volume_is_elsewhere(f->root_volume)))
		refuse_inode5(p);
}
