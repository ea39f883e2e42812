#include "parse/dpkgstatus.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

/* The fields of one stanza, as places in the text. */
struct stanza {
	const char *name, *version, *status;
	size_t name_len, version_len, status_len;
};

void dpkg_packages_done(struct dpkg_packages *p)
{
	for (size_t i = 0; i < p->len; i++) {
		free(p->item[i].name);
		free(p->item[i].version);
	}
	free(p->item);
	*p = (struct dpkg_packages){0};
}

static void take_field(const struct scan_line *l, const char *field, const char **value, size_t *len)
{
	size_t n = strlen(field), blanks;

	if (l->len <= n || memcmp(l->at, field, n) || l->at[n] != ':')
		return;
	blanks = scan_blanks(l->at + n + 1, l->len - n - 1);
	*value = l->at + n + 1 + blanks;
	*len = scan_trim(*value, l->len - n - 1 - blanks);
}

/* "install ok installed": what is wanted, whether it is whole, what it is */
static bool is_installed(const struct stanza *s)
{
	static const char end[] = " ok installed";

	return s->name && s->status && s->status_len > strlen(end) &&
	       !memcmp(s->status + s->status_len - strlen(end), end, strlen(end));
}

static int add(const struct stanza *s, bool (*wanted)(const char *), struct dpkg_packages *to, size_t *cap, struct p2h_error *err)
{
	CLEANUP_FREE char *name = NULL, *version = NULL;
	struct dpkg_package *p;

	if (!is_installed(s))
		return 0;
	name = strndup(s->name, s->name_len);
	if (!name)
		return error_nomem(err);
	if (!wanted(name))
		return 0;
	if (to->len == SCAN_MAX_ENTRIES)
		return error_set(err, P2H_UNSUPPORTED, "more than %u packages", SCAN_MAX_ENTRIES);
	version = strndup(s->version ? s->version : "", s->version_len);
	p = scan_room(to->item, to->len, cap, sizeof(*p));
	if (p)
		to->item = p;
	if (!p || !version)
		return error_nomem(err);
	to->item[to->len++] = (struct dpkg_package){
	    .name = TAKE(name), .version = TAKE(version), .hold = s->status_len > 4 && !memcmp(s->status, "hold", 4)};
	return 0;
}

int dpkg_status_parse(const char *text, size_t len, bool (*wanted)(const char *name), struct dpkg_packages *ret, struct p2h_error *err)
{
	CLEANUP(dpkg_packages_done) struct dpkg_packages found = {0};
	struct scan_line l = {0};
	struct stanza s = {0};
	size_t cap = 0;
	int rc = 0;

	while (!rc && scan_line_next(text, len, &l)) {
		if (!l.full) {
			rc = add(&s, wanted, &found, &cap, err);
			s = (struct stanza){0};
			continue;
		}
		take_field(&l, "Package", &s.name, &s.name_len);
		take_field(&l, "Version", &s.version, &s.version_len);
		take_field(&l, "Status", &s.status, &s.status_len);
	}
	if (!rc)
		rc = add(&s, wanted, &found, &cap, err);
	if (rc)
		return rc;
	*ret = found;
	found = (struct dpkg_packages){0};
	return 0;
}
