/* facts_lasting.h - what in the guest will change its boot files later: packages, tools and links (see facts.h) */
#ifndef P2H_INSPECT_FACTS_LASTING_H
#define P2H_INSPECT_FACTS_LASTING_H

#include <stdbool.h>
#include <stddef.h>

/* An installed package that has to do with kernels, boot loaders or Xen; only from dpkg's database. */
struct facts_package {
	const char *name, *version;
	bool hold;
};

/* A kernel link such as /vmlinuz. */
struct facts_boot_link {
	const char *path, *target;
	const char *real; /* what it leads to with every link resolved, "" if that does not exist */
};

/* A program that kernel packages run: a hook in /etc/kernel-img.conf. */
struct facts_hook {
	size_t line;
	const char *program; /* as it stands there: a path, or a name that is looked for in four directories */
	const char *found;   /* where it is, or another program of that name, "" if there is none */
};

struct facts_lasting {
	bool dpkg;             /* packages are known */
	struct facts_package *package;
	size_t packages;
	struct facts_boot_link *link;
	size_t links;
	struct facts_hook *hook;
	size_t hooks;
	const char *grub_mkconfig; /* the tool that writes /boot/grub/grub.cfg in this guest, "" if none */
	const char *menu_tool;     /* the tool that keeps GRUB legacy's menu, "" if none */
};

#endif
