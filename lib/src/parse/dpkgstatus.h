/* dpkgstatus.h - dpkg's list of packages, /var/lib/dpkg/status (dpkg(1), deb-control(5)) */
#ifndef P2H_PARSE_DPKGSTATUS_H
#define P2H_PARSE_DPKGSTATUS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct dpkg_package {
	char *name, *version;
	bool hold;
};
struct dpkg_packages {
	struct dpkg_package *item; /* in the file's order */
	size_t len;
};
/* The packages whose state is "installed" and whose name `wanted` accepts. */
int dpkg_status_parse(const char *text, size_t len, bool (*wanted)(const char *name), struct dpkg_packages *ret, struct p2h_error *err);
void dpkg_packages_done(struct dpkg_packages *p);

#endif
