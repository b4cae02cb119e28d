/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROBE_PROBE_H
#define SKEP_PROBE_PROBE_H

#include "base/err.h"
#include "proto/hook.h"

#include <stdint.h>
#include <sys/types.h>

/*
 * BPF programs (src/bpf) on uprobes of a guest kernel that is a host process.
 * The programs are compiled in; nothing but the plan's numbers comes from outside.
 *
 * Needs CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) in the initial user
 * namespace, and Linux 5.17 (bpf_loop).
 */
struct probe;

/*
 * Loads the programs for a kernel of this plan. About half a second, most of it
 * the host's verifier: before the guest is started. -ENOTSUP: built without BPF;
 * -EPERM: lacks capabilities; else what the host's kernel says.
 */
int probe_load(const struct hook_plan *plan, struct probe **out, struct err *e);

/*
 * Attaches them, once, to process pid, which has executed the plan's kernel:
 * what its file says at each site is compared first. A site that
 * cannot be probed is left out. A few ms. -ESTALE: it is another kernel; nothing is attached
 * after an error.
 */
int probe_attach(struct probe *p, pid_t pid, struct err *e);
/* Takes everything away; the maps live on while somebody holds their fds. NULL is fine. */
void probe_detach(struct probe *p);

/* The BPF ring buffer (PROBE_RING bytes) and the state array (enum probe_state);
 * they stay p's. */
int probe_ring_fd(const struct probe *p);
int probe_state_fd(const struct probe *p);
/* Bitmaps of enum hook_site; a site that only hooks have use for is in neither. */
uint64_t probe_placed(const struct probe *p);
uint64_t probe_absent(const struct probe *p);

/* Does it work here? Loads the programs, attaches one to a function of our own,
 * calls it, and looks whether its record came. 0 or the reason. */
int probe_try(struct err *e);

#endif
