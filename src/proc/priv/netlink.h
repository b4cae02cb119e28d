/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_PRIV_NETLINK_H
#define SKEP_PROC_PRIV_NETLINK_H

#include "base/err.h"
#include "model/addr.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Interfaces, addresses and routes by rtnetlink(7), rtnetlink being the only
 * way that needs no program. Every call waits for the kernel's answer, which
 * comes at once. fd: a NETLINK_ROUTE socket; it works on the network namespace
 * that its maker was in. All return 0 or a negative errno.
 */
int nl_open(struct err *e);

int nl_link_up(int fd, unsigned index);
int nl_link_del(int fd, unsigned index);
int nl_link_mac(int fd, unsigned index, const uint8_t mac[6]);
/* A veth pair: `name` with this index here, `peer` with `mac` in the namespace peer_ns. */
int nl_veth(int fd, const char *name, unsigned index, const char *peer, const uint8_t mac[6], int peer_ns);
/* Without duplicate address detection and without the route that usually comes
 * with it. */
int nl_addr(int fd, bool add, unsigned index, const struct addr *a);
/* prefix -> interface, with a preferred source address (may be NULL). */
int nl_route_link(int fd, unsigned index, const struct addr *prefix, const struct addr *source);
/* prefix -> this machine itself ("AnyIP"). In the main table: there a network
 * inside of the prefix still wins, being longer. */
int nl_route_local(int fd, bool add, unsigned lo, const struct addr *prefix);

/* Everything of a family -> the interface; or with lo's index and `local` -> this
 * machine itself. In a table of its own number. */
int nl_route_all(int fd, uint8_t family, bool local, unsigned index, uint8_t table);
/* What comes in by the interface is looked up in that table. */
int nl_rule_in(int fd, uint8_t family, const char *name, uint8_t table);

/* sk: any AF_INET socket of the namespace. */
unsigned nl_index(int sk, const char *name); /* 0 = no such interface */
/* Until the kernel has noticed that the other end is up too; before, it drops
 * what it should send. -ETIMEDOUT after half a second. */
int nl_wait_running(int sk, const char *name);
/* Switches off everything that makes frames differ from what a wire would
 * carry: segmentation and checksum offload, receive aggregation, VLAN tags
 * beside the frame. What the interface cannot switch is left. */
int nl_offloads_off(int sk, const char *name);

#endif
