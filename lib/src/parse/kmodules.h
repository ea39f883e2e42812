/* kmodules.h - the index files of /lib/modules/VERSION, as text: modules.dep, modules.builtin, modules.alias (kmod) */
#ifndef P2H_PARSE_KMODULES_H
#define P2H_PARSE_KMODULES_H

#include "base/buf.h"
#include "base/error.h"

/* "kernel/drivers/net/xen-netfront.ko.xz" -> "xen_netfront"; written to name (size bytes, cut if longer). */
void kmodule_name(const char *path, char *name, size_t size);

struct kmodule {
	char *name;          /* with '_' */
	char *path;          /* relative to the modules directory */
	struct strlist deps; /* paths, as listed */
};
/* modules.dep, sorted by name */
struct kmodules {
	struct kmodule *item;
	size_t len;
};
int kmodules_parse_dep(const char *text, size_t len, struct kmodules *ret, struct p2h_error *err);
void kmodules_done(struct kmodules *m);
const struct kmodule *kmodules_find(const struct kmodules *m, const char *name); /* '-' and '_' are equal; NULL if absent */

/*
 * How a module's file is packed, by its name as kmod does: "xz", "zst", "gz"; NULL for a plain one and for what is no module.
 * kmodule_plain_len: how much of the name is left without that suffix.
 */
const char *kmodule_packing(const char *path, size_t len);
size_t kmodule_plain_len(const char *path, size_t len);

/* modules.builtin (one path a line) to names appended to *ret. */
int kmodules_parse_builtin(const char *text, size_t len, struct strlist *ret, struct p2h_error *err);

#endif
