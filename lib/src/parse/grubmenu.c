#include "parse/grubmenu.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "parse/scan.h"

int grubmenu_add(struct grubmenu *m, size_t parent, const char *title, const char *id, size_t item, struct p2h_error *err)
{
	struct grubmenu_node node = {parent, NULL, NULL, item}, *bigger;

	if (m->len == SCAN_MAX_ENTRIES)
		return error_set(err, P2H_UNSUPPORTED, "more than %u menu entries", SCAN_MAX_ENTRIES);
	bigger = scan_room(m->item, m->len, &m->cap, sizeof(*m->item));
	if (!bigger)
		return error_nomem(err);
	m->item = bigger;
	node.title = strdup(title);
	node.id = strdup(id);
	if (!node.title || !node.id) {
		free(node.title);
		free(node.id);
		return error_nomem(err);
	}
	m->item[m->len++] = node;
	return 0;
}

void grubmenu_done(struct grubmenu *m)
{
	for (size_t i = 0; i < m->len; i++) {
		free(m->item[i].title);
		free(m->item[i].id);
	}
	free(m->item);
	*m = (struct grubmenu){0};
}

/* The recursion ends: grubcfg.c bounds how deep menus nest. */
static void put_outer(const struct grubmenu *m, size_t node, bool ids, struct buf *out)
{
	const struct grubmenu_node *n;

	if (node == GRUBMENU_NONE)
		return;
	n = &m->item[node];
	put_outer(m, n->parent, ids, out);
	buf_puts(out, ids && *n->id ? n->id : n->title);
	buf_puts(out, ">");
}

void grubmenu_full_title(const struct grubmenu *m, size_t node, struct buf *out)
{
	put_outer(m, m->item[node].parent, false, out);
	buf_puts(out, m->item[node].title);
}

void grubmenu_full_id(const struct grubmenu *m, size_t node, struct buf *out)
{
	buf_puts(out, "");
	if (!*m->item[node].id)
		return;
	put_outer(m, m->item[node].parent, true, out);
	buf_puts(out, m->item[node].id);
}

/* Reads the name up to the next single '>' into out and returns what comes after it, NULL at the end. */
static const char *next_part(const char *spec, struct buf *out)
{
	buf_clear(out);
	buf_puts(out, "");
	for (;;) {
		size_t n = strcspn(spec, ">");

		buf_append(out, spec, n);
		spec += n;
		if (!*spec)
			return NULL;
		if (spec[1] != '>')
			return spec + 1;
		buf_puts(out, ">");
		spec += 2;
	}
}

/* A decimal number, SIZE_MAX if the text is none. */
static size_t number_of(const char *text)
{
	size_t value = 0;

	if (!*text || strspn(text, "0123456789") != strlen(text))
		return SIZE_MAX;
	for (; *text; text++)
		value = value > SCAN_MAX_ENTRIES ? value : value * 10 + (size_t)(*text - '0');
	return value;
}

/* The child of `parent` that name or number means; GRUBMENU_NONE if there is none. */
static size_t find_child(const struct grubmenu *m, size_t parent, const char *name)
{
	size_t number = number_of(name), count = 0;

	for (size_t i = 0; i < m->len; i++) {
		const struct grubmenu_node *n = &m->item[i];

		if (n->parent != parent)
			continue;
		if (number == SIZE_MAX ? !strcmp(n->title, name) || !strcmp(n->id, name) : count == number)
			return i;
		count++;
	}
	return GRUBMENU_NONE;
}

bool grubmenu_resolve(const struct grubmenu *m, const char *spec, size_t *ret_item)
{
	CLEANUP(buf_done) struct buf name = {0};
	size_t parent = GRUBMENU_NONE, node;

	do {
		/* A submenu chosen without naming an entry opens with its first one marked. */
		spec = next_part(spec ? spec : "0", &name);
		if (name.failed)
			return false;
		node = find_child(m, parent, name.data);
		if (node == GRUBMENU_NONE)
			return false;
		parent = node;
	} while (m->item[node].item == GRUBMENU_NONE);
	*ret_item = m->item[node].item;
	return true;
}
