/* guest_layers.h - what of a guest lies in layers (LVM, md, LUKS); for guest.c */
#ifndef P2H_INSPECT_GUEST_LAYERS_H
#define P2H_INSPECT_GUEST_LAYERS_H

#include "inspect/guest.h"
#include "parse/fstab.h"

/* Has the appliance assemble what it can, once, and adds it to g->volumes; pointers into these move. */
int guest_find_layers(struct guest *g, struct p2h_error *err);

/* Does fstab name a device that may lie in layers which nobody has looked at? */
bool guest_misses_layers(const struct guest *g, const struct fstab *table);

/* Gives encrypted volumes the names that the guest's /etc/crypttab has for them. After the root is open. */
int guest_name_encrypted(struct guest *g, struct p2h_error *err);

#endif
