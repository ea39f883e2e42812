/* facts_nodes.h - directories with device nodes; part of facts.h */
#ifndef P2H_INSPECT_FACTS_NODES_H
#define P2H_INSPECT_FACTS_NODES_H

#include "base/buf.h"

/* /dev as it lies on the root file system, and what udev's start copies into a fresh one. */
enum node_place { NODES_DEV, NODES_ETC, NODES_LIB, NODES_PLACES };
extern const char *const node_place[NODES_PLACES]; /* "/dev", "/etc/udev/devices", "/lib/udev/devices" */

struct facts_nodes {
	bool there;           /* the directory is */
	struct strlist names; /* in it, sorted */
};

#endif
