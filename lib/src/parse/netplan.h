/*
 * netplan.h - netplan's YAML (netplan(5)), as far as it ties a network card to its hardware address or its driver
 *
 * No YAML library: an edit has to leave every other byte alone, which none offers. What is not plain block style, or a `match:` in flow style on
 * one line, is left alone and reported.
 */
#ifndef P2H_PARSE_NETPLAN_H
#define P2H_PARSE_NETPLAN_H

#include "base/buf.h"
#include "base/error.h"

/*
 * The text with every `macaddress:` below network/ethernets out of force, and every `driver:` of a match that means Xen's and leaves out one of these drivers: in a
 * `match:` that has nothing else, a name takes its place ("eth0" where the device is called so, else "e*"); the old line stays as a comment.
 * *ret_odd: number of the first line that could not be dealt with, 0 if there is none. out is the same text when nothing is to be done.
 */
int netplan_unbind(const char *text, size_t len, const char *const *drivers, struct buf *out, size_t *ret_odd, struct p2h_error *err);

/* Patterns for drivers ("vif", "[vif, ena]", "vif ena") that mean Xen's card, and leave out one of the drivers; the list ends with NULL. */
bool driver_is_gone(const char *text, size_t len, const char *const *drivers);

#endif
