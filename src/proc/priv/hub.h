/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_PRIV_HUB_H
#define SKEP_PROC_PRIV_HUB_H

#include "base/err.h"

#include <stdint.h>

/* Interfaces of the sinkhole and of the engine, on which only frames that the
 * gateway knows may travel. */

/* Switches an interface on, without ARP. sk: a socket of its namespace. */
int hub_wake(int sk, const char *name, struct err *e);

/* A veth pair where there is no TAP: `up` here in the hub with this index, `name`
 * with `mac` in netns. What an earlier one of that name left goes first. Returns
 * a packet socket on `up`, the caller's; nothing is left on failure. */
int hub_veth(const char *up, unsigned index, const char *name, const uint8_t mac[6], int netns, struct err *e);

#endif
