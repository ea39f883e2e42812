/* facts_security.h - firewall, AppArmor and cloud-init of the guest, and where its files name disks */
#ifndef P2H_INSPECT_FACTS_SECURITY_H
#define P2H_INSPECT_FACTS_SECURITY_H

#include <stdbool.h>
#include <stddef.h>

struct facts_security {
	const char *iptables;          /* what /sbin/iptables is with every link resolved, "" if there is none */
	const char *apparmor_parser;   /* its version, "" if unknown or absent */
};

struct facts_cloudinit {
	const char *version;   /* "" if unknown or absent */
	bool disabled;         /* /etc/cloud/cloud-init.disabled */
	const char *ec2_source;/* path of its DataSourceEc2, "" if it was not found */
	bool knows_tokens;     /* that file asks for a session token first (IMDSv2) */
};

/* A disk named by the bus that it is on, in a file that is neither a comment nor a rule's own. */
struct facts_mention {
	const char *path, *device;
	size_t line;
};

struct facts_mentions {
	struct facts_mention *item; /* by path, then line; one for each line */
	size_t len;
	bool cut;                   /* there are more */
};

#endif
