/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_IDENTITY_H
#define SKEP_PROC_VMM_IDENTITY_H

#include "base/err.h"
#include "proto/proto.h"

#include <stddef.h>

/*
 * Who a honeypot is, written into its fresh overlay before its first boot, so
 * that the image is the same for all and nothing has to run in the guest.
 *
 * Written: /etc/hostname, hosts, network/interfaces (ifupdown), resolv.conf,
 * machine-id; /var/lib/systemd/random-seed where there is systemd; OpenSSH's
 * and Dropbear's host keys where the image has /etc/ssh or /etc/dropbear.
 * Files that are there keep owner, mode and time; new ones get the time at which
 * the image's /etc was last changed.
 */

/* base_path: where UML finds the base (it goes into the overlay's header). Both
 * fds stay the caller's. An overlay that is READY already is only checked
 * against its base (-ESTALE). On failure the overlay is not READY. */
int identity_prepare(int overlay, int base, const char *base_path, const struct vmm_prepare *p, struct err *e);

/* The texts, for tests: each returns the length, and fills at most cap bytes
 * (a text that does not fit is -EOVERFLOW). */
int identity_hostname(const struct vmm_prepare *p, char *buf, size_t cap);
int identity_hosts(const struct vmm_prepare *p, char *buf, size_t cap);
int identity_interfaces(const struct vmm_prepare *p, bool has_dropins, char *buf, size_t cap);
int identity_resolv(const struct vmm_prepare *p, char *buf, size_t cap);

#endif
