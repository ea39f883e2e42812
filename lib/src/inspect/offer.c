#include <string.h>

#include "base/cleanup.h"
#include "inspect/drivers.h"
#include "inspect/parts.h"
#include "parse/kmodules.h"

/* Aliases of hardware hold ':', '*' or '['; what is left are names for modprobe: "ipt_ttl", "nls_utf8", "xen_vbd". */
static void add_plain(struct strlist *to, const char *alias, size_t len)
{
	char name[64];

	if (!len || len >= sizeof(name) || memchr(alias, ':', len) || memchr(alias, '*', len) || memchr(alias, '[', len))
		return;
	memcpy(name, alias, len);
	name[len] = '\0';
	for (char *c = name; *c; c++)
		if (*c == '-')
			*c = '_';
	strlist_add(to, name);
}

/* modules.alias: "alias NAME MODULE" */
static void add_aliases(const struct buf *text, struct strlist *to)
{
	const char *start = text->len ? text->data : "", *end = start + text->len, *next;

	for (const char *at = start; at < end; at = next) {
		const char *nl = memchr(at, '\n', (size_t)(end - at)), *space;

		next = nl ? nl + 1 : end;
		if (next - at <= 6 || memcmp(at, "alias ", 6))
			continue;
		at += 6;
		space = memchr(at, ' ', (size_t)(next - at));
		if (space)
			add_plain(to, at, (size_t)(space - at));
	}
}

/* modules.builtin.modinfo: "MODULE.alias=NAME" and others, each with a NUL behind it (kernel Documentation/kbuild/kbuild.rst) */
static void add_builtin_aliases(const struct buf *text, struct strlist *to)
{
	const char *start = text->len ? text->data : "", *end = start + text->len, *next;

	for (const char *at = start; at < end; at = next) {
		const char *nul = memchr(at, '\0', (size_t)(end - at)), *mark;

		next = nul ? nul + 1 : end;
		mark = memmem(at, (size_t)(next - at), ".alias=", 7);
		if (mark && nul)
			add_plain(to, mark + 7, (size_t)(nul - mark - 7));
	}
}

int read_offer(struct fs *fs, const struct facts_kernel *k, struct facts *f, struct p2h_error *err)
{
	CLEANUP(buf_done) struct buf dep = {0}, builtin = {0}, alias = {0}, modinfo = {0};
	CLEANUP(kmodules_done) struct kmodules modules = {0};
	CLEANUP(strlist_done) struct strlist names = {0};
	struct facts_offer *o = &f->offer;
	int rc = 0;

	if (*k->modules) {
		rc = kernel_index_read(fs, k->modules, "modules.dep", &dep, err);
		if (!rc)
			rc = kernel_index_read(fs, k->modules, "modules.builtin", &builtin, err);
		if (!rc)
			rc = kernel_index_read(fs, k->modules, "modules.alias", &alias, err);
		if (!rc)
			rc = kernel_index_read(fs, k->modules, "modules.builtin.modinfo", &modinfo, err);
	}
	if (!rc)
		rc = kmodules_parse_dep(dep.data, dep.len, &modules, err);
	if (!rc)
		rc = kmodules_parse_builtin(builtin.data, builtin.len, &o->builtin, err);
	if (rc)
		return rc;
	for (size_t i = 0; i < o->builtin.len; i++)
		strlist_add(&names, o->builtin.item[i]);
	for (size_t i = 0; i < modules.len; i++)
		strlist_add(&names, modules.item[i].name);
	add_aliases(&alias, &names);
	add_builtin_aliases(&modinfo, &names);
	strlist_sort(&names);
	strlist_sort(&o->builtin);
	if (names.failed)
		return error_nomem(err);
	o->modules = names;
	names = (struct strlist){0};
	return 0;
}

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

static bool has_name(const struct strlist *sorted, const char *name)
{
	return sorted->len && bsearch(name, sorted->item, sorted->len, sizeof(*sorted->item), compare_name);
}

enum offer donor_offers(const struct facts *f, const char *module, const char *config)
{
	char name[64];

	kmodule_name(module, name, sizeof(name));
	if (has_name(&f->offer.builtin, name) || (config && donor_config(&f->donor, config) == 'y'))
		return OFFER_BUILTIN;
	if (has_name(&f->offer.modules, name))
		return OFFER_MODULE;
	return f->offer.builtin.len || (config && f->donor.config_len) ? OFFER_NO : OFFER_UNKNOWN;
}

void offer_done(struct facts_offer *o)
{
	strlist_done(&o->modules);
	strlist_done(&o->builtin);
}
