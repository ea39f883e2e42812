/* menulst.h - GRUB legacy's menu.lst / grub.conf, as PV-GRUB reads it (grub-legacy manual, "Commands") */
#ifndef P2H_PARSE_MENULST_H
#define P2H_PARSE_MENULST_H

#include "base/buf.h"
#include "base/error.h"

struct menulst_entry {
	size_t line;   /* of its title, 1 is the first */
	char *title;
	char *root;    /* "(hd0)", "(hd0,0)"; "" if not given */
	char *kernel;  /* path without a leading "(hd0,0)"; for an entry with a hypervisor the module that is the Linux kernel; "" if none */
	char *args;    /* the kernel's arguments, single spaces */
	char *initrd;  /* path without a device, "" if none */
	bool hypervisor; /* kernel line was a Xen hypervisor, Linux was its module */
};
struct menulst {
	struct menulst_entry *item;
	size_t len;
	size_t default_entry; /* index; 0 when missing, "saved" or out of range */
	bool default_saved;
	int timeout;          /* seconds, -1 if not given */
};
int menulst_parse(const char *text, size_t len, struct menulst *ret, struct p2h_error *err);
void menulst_done(struct menulst *m);

#endif
