/* facts_firmware.h - the firmware that the targets' drivers ask for; part of facts.h */
#ifndef P2H_INSPECT_FACTS_FIRMWARE_H
#define P2H_INSPECT_FACTS_FIRMWARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct facts_blob {
	const char *name;    /* as the module names it: "bnx2/bnx2-mips-09-6.2.1b.fw" */
	const char *module;
	unsigned targets;    /* bits P2H_TARGET_... */
	bool there;          /* the guest has it */
	const char *from;    /* the donor's file with every link resolved, "" if it has none that its kernel reads */
	const char *to;      /* where the guest's kernel will look for it, with from */
	uint64_t size;       /* of from */
};

struct facts_firmware {
	struct facts_blob *item; /* in the order in which they were found */
	size_t len;
};

#endif
