/*
 * netplan.h - netplan's YAML (netplan(5)), as far as it ties a network card to its hardware address
 *
 * No YAML library: an edit has to leave every other byte alone, which none offers. What is not plain block style is left alone and reported.
 */
#ifndef P2H_PARSE_NETPLAN_H
#define P2H_PARSE_NETPLAN_H

#include "base/buf.h"
#include "base/error.h"

/*
 * The text with every `macaddress:` below network/ethernets out of force: in a `match:` block that has nothing else, a name takes its place
 * ("eth0" where the device is called so, else "e*"); the old line stays as a comment. *ret_odd: number of the first line whose
 * macaddress could not be dealt with, 0 if there is none. out is the same text when nothing is to be done.
 */
int netplan_unbind(const char *text, size_t len, struct buf *out, size_t *ret_odd, struct p2h_error *err);

#endif
