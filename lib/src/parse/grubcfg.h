/* grubcfg.h - the menu entries of a GRUB 2 grub.cfg: enough of its language to say what boots by default */
#ifndef P2H_PARSE_GRUBCFG_H
#define P2H_PARSE_GRUBCFG_H

#include "base/buf.h"
#include "base/error.h"

struct grubcfg_entry {
	size_t line;
	char *title, *id;      /* id "" if none; inside submenus both are "outer>inner" */
	char *linux_path;      /* "" if the entry loads no Linux kernel; a leading "($root)" or "(hd0,...)" is left out */
	char *args;
	struct strlist initrd; /* paths, in order */
	bool unrestricted;     /* boots without a password where superusers are set */
	char *search_uuid;     /* of `search --fs-uuid` inside the entry, else of the last one above it, "" if none */
};
struct grubcfg {
	struct grubcfg_entry *item;
	size_t len;
	/*
	 * What `set default=` says, read in order: literals only; `if [ "${next_entry}" ]`-like blocks of grub-mkconfig are understood as
	 * the variables being empty unless given by grubenv. "saved" semantics: value of saved_entry in grubenv.
	 */
	char *default_value;
	size_t default_entry;  /* index that default_value means (number, id or title, "a>b"); GRUB falls back to the first: so 0 */
	bool default_found;    /* false: default_value names no entry (GRUB then boots the first) */
	char *timeout;         /* seconds before it boots by itself; "" never set (GRUB waits for a key), NULL: cannot be known */
	bool superusers;       /* only they may boot an entry that is not unrestricted */
	size_t unclosed;       /* line of a block that does not end: GRUB leaves out everything from there on; 0: none */
	struct strlist terminal_output; /* words of the last terminal_output command */
	struct strlist commands;        /* distinct command names used anywhere: to see blscfg, linux16, linuxefi, legacy_configfile */
};
/* grubenv: the 1024-byte environment block or NULL. Path variables such as $prefix are left as text. */
int grubcfg_parse(const char *text, size_t len, const char *grubenv, struct grubcfg *ret, struct p2h_error *err);
void grubcfg_done(struct grubcfg *g);

#endif
