/* grubmenu.h - the tree of menu entries and submenus of a grub.cfg, for names and numbers such as "1>2" (see grubcfg.h) */
#ifndef P2H_PARSE_GRUBMENU_H
#define P2H_PARSE_GRUBMENU_H

#include "base/buf.h"
#include "base/error.h"

#define GRUBMENU_NONE SIZE_MAX

struct grubmenu_node {
	size_t parent; /* GRUBMENU_NONE: top level */
	char *title, *id;
	size_t item;   /* index of the entry, GRUBMENU_NONE for a submenu */
};
struct grubmenu {
	struct grubmenu_node *item;
	size_t len, cap;
};
/* Appends a node; its index is len - 1 after. Parents come before their children. P2H_UNSUPPORTED when there are too many. */
int grubmenu_add(struct grubmenu *m, size_t parent, const char *title, const char *id, size_t item, struct p2h_error *err);
void grubmenu_done(struct grubmenu *m);

/* "outer>inner"; ids: "" if the node has none; an outer menu without an id is named by its title. */
void grubmenu_full_title(const struct grubmenu *m, size_t node, struct buf *out);
void grubmenu_full_id(const struct grubmenu *m, size_t node, struct buf *out);

/* The entry that a value of `default` means: numbers count within each menu, ">>" is a plain ">". False when it names none. */
bool grubmenu_resolve(const struct grubmenu *m, const char *spec, size_t *ret_item);

#endif
