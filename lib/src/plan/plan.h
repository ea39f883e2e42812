/*
 * plan.h - facts + options -> an ordered list of actions and findings, each plain data
 *
 * plan_make is a pure function: no I/O, no pointers into images; the same input gives the same plan. Planning an image that is converted
 * already gives no actions. Actions say what, not how: apply/ carries them out on a transaction.
 */
#ifndef P2H_PLAN_PLAN_H
#define P2H_PLAN_PLAN_H

#include "inspect/facts.h"

enum severity { SEVERITY_BOOT, SEVERITY_LOGIN, SEVERITY_NETWORK, SEVERITY_SECURITY, SEVERITY_DEGRADED, SEVERITY_INFO };

enum action_kind {
	ACTION_TABLE,       /* write a master boot record: id, start, len */
	ACTION_FILE,        /* create a file or give it new content: path, before, after, mode for a new one */
	ACTION_LINK,        /* create a symbolic link, or replace one: path, after = target */
	ACTION_REMOVE,      /* a file or link: path */
	ACTION_DIRECTORY,   /* make a directory, and what is missing above it: path */
	ACTION_NODE,        /* make a device node: path, mode, block, major, minor */
	ACTION_TREE,        /* copy the donor's kernel files and modules */
	ACTION_FIRMWARE,    /* copy a file of the donor: path, after = its path there, bytes */
	ACTION_INITRAMFS,   /* append an archive to the kernel's initramfs: path, after, member */
	ACTION_BOOT_LOADER, /* GRUB's platform directory, core image and boot sector */
	ACTION_LABEL,       /* SELinux labels for what the actions before it made: path = the policy's file_contexts */
};

enum boot_place { PLACE_GAP, PLACE_BIOS_BOOT, PLACE_INODE5 };

/* A file of an archive that is appended to an initramfs. */
struct archive_member {
	const char *path; /* in the initramfs */
	const char *why;  /* one phrase */
	uint64_t size;
};

struct action {
	enum action_kind kind;
	const char *rule;
	enum severity severity;
	const char *reason; /* one phrase */
	const char *path;   /* in the guest; "" for the disk itself */
	bool existed;       /* ACTION_FILE, ACTION_LINK: something was there */
	const char *before, *after;
	size_t before_len, after_len;
	uint32_t mode;      /* permission bits of a new file or node */
	bool block;         /* ACTION_NODE: a block device, else a character device */
	unsigned major, minor;
	/* ACTION_TABLE */
	uint32_t table_id;
	uint64_t start, len; /* bytes */
	/* ACTION_TREE, ACTION_FIRMWARE */
	uint64_t files, bytes;
	/* ACTION_INITRAMFS */
	struct archive_member *member;
	size_t members;
	/* ACTION_BOOT_LOADER */
	enum boot_place place;
	uint64_t place_off, place_len; /* gap and BIOS boot partition, bytes of the disk after the conversion */
};

struct finding {
	const char *rule;
	enum severity severity;
	bool blocks;          /* the conversion is refused, unless allowed */
	const char *evidence; /* path, line, symbol: what was seen */
	const char *text;     /* what is wrong */
	const char *advice;   /* what the user, or this conversion, does about it */
};

/* A word of the kernel command line and the rule that it comes from; param-pv: from the old command line. */
struct cmdline_word {
	const char *text, *rule;
};

struct planner;

struct plan {
	struct arena arena;
	enum p2h_layout layout;      /* never AUTO */
	const char *layout_reason;
	uint64_t shift;              /* bytes in front of the source: 0 or 1 MiB */
	const char *kernel;          /* release that boots by default */
	bool readable_modules;       /* the donor's modules are stored as facts_readable says, not as they are */
	const char *root;            /* what its root= says: "UUID=...", "PARTUUID=...", "/dev/vda" */
	const char *cmdline;         /* its whole command line, root= included */
	const char *cmdline_before;  /* of today's default entry, "" if unknown */
	struct cmdline_word *word;   /* what stands on it after root= and ro */
	size_t words;
	struct strlist kept, dropped; /* words of the old command line */
	struct action *action;
	size_t actions;
	struct finding *finding;
	size_t findings;
	bool blocked;
	const char *blocked_by;      /* first blocking finding, one line */
	uint64_t blocks_needed, inodes_needed; /* of the root file system */
};

/* Errors: P2H_NOMEM; P2H_USAGE: the options contradict the image (layout keep without a table, unknown rule in --skip). */
int plan_make(const struct facts *facts, const struct p2h_options *options, struct plan *ret, struct p2h_error *err);
void plan_done(struct plan *p);

/* The number that a volume of the source has in the result. */
unsigned plan_number_after(const struct plan *p, unsigned number);

/* A row of the rule table. */
struct rule {
	const char *id;
	enum severity severity; /* the worst that can happen without it; a single finding or action may have less */
	const char *looks, *does, *why, *source;
	void (*run)(struct planner *p);
};
extern const struct rule *const rule_table; /* in the order they run; ends with id NULL */
const struct rule *rule_find(const char *id);
/* P2H_USAGE where --skip or --allow names a rule that there is not. */
int plan_check_rules(const struct p2h_options *options, struct p2h_error *err);
const char *severity_name(enum severity s);

#endif
