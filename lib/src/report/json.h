/* json.h - building the JSON report; for report/ only */
#ifndef P2H_REPORT_JSON_H
#define P2H_REPORT_JSON_H

#include <jansson.h>

#include "report/parts.h"

/* A build-up that is checked once, at its end. */
struct json_writer {
	bool failed;
};

/* Each takes over the value (NULL: no memory) and gives it to an object or array (NULL allowed: no memory). */
void json_put(struct json_writer *w, json_t *object, const char *key, json_t *value);
void json_add(struct json_writer *w, json_t *array, json_t *value);
/* A guest's text, escaped; NULL is "". */
void json_put_text(struct json_writer *w, json_t *object, const char *key, const char *text);
void json_put_number(struct json_writer *w, json_t *object, const char *key, uint64_t number);
void json_put_bool(struct json_writer *w, json_t *object, const char *key, bool value);
void json_put_list(struct json_writer *w, json_t *object, const char *key, const struct strlist *list);

/* json_image.c: source, guest, donor, host tools */
json_t *json_source(struct json_writer *w, const struct facts *f);
json_t *json_guest(struct json_writer *w, const struct facts *f);
json_t *json_donor(struct json_writer *w, const struct facts_donor *d);
json_t *json_host(struct json_writer *w, const struct facts_host *h);
json_t *json_volumes(struct json_writer *w, const struct volumes *v, unsigned first_number);
json_t *json_space(struct json_writer *w, const struct fs_space *s);

/* json_plan.c */
json_t *json_findings(struct json_writer *w, const struct plan *p);
json_t *json_plan(struct json_writer *w, const struct facts *f, const struct plan *p);
json_t *json_layout_after(struct json_writer *w, const struct facts *f, const struct plan *p);

#endif
