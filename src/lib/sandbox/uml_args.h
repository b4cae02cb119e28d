/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SANDBOX_UML_ARGS_H
#define SKEP_SANDBOX_UML_ARGS_H

#include "base/err.h"
#include "proto/proto.h"

/*
 * How User Mode Linux is called inside its jail. A pure function of typed
 * values: no text that a user wrote reaches the command line.
 *
 * The guest can read most of its kernel's command line in /proc/cmdline, so
 * nothing in it may name us; paths are those inside the jail.
 *
 * The jail must provide: UML_PROGRAM with the shim preloaded; the fds below
 * (0, 1, 2 = /dev/null or a log; no other); UML_OVERLAY (read, write) and UML_BASE
 * (read only) as files in a directory; UML_HOME, a small writable tmpfs (UML
 * makes .uml/ID below it); UML_TMP, a tmpfs with exec and room for the guest's
 * whole memory; personality(ADDR_NO_RANDOMIZE). It needs neither /proc nor any
 * socket(2), bind(2) or connect(2).
 */
#define UML_PROGRAM "/usr/bin/linux.uml"
#define UML_SHIM_NAME "skep-uml-shim.so" /* next to build/src/skep; installed to libdir/skep */
#define UML_INSIDE "/bin/linux.uml"      /* where the jail puts it */
#define UML_OVERLAY "/srv/a"
#define UML_BASE "/srv/b"
#define UML_HOME "/tmp"
#define UML_TMP "/dev/shm"

#define UML_FD_FRAMES 3  /* AF_UNIX SEQPACKET, one frame per message */
#define UML_FD_CONSOLE 4 /* AF_UNIX STREAM: the guest's ttyS0 */
#define UML_FD_CONTROL 5 /* AF_UNIX DGRAM, connected: mconsole requests and notifications */
/* Only where the shim is to place hooks: it maps both and closes them before the kernel runs. */
#define UML_FD_RING 6 /* memfd: a ring of lib/proto/ring.h that the hooks write */
#define UML_FD_PLAN 7 /* sealed memfd: struct hook_plan */

#define UML_MEMORY_MIN (32ull << 20)
#define UML_MEMORY_MAX (64ull << 30)

/* What the guest's /proc/cpuinfo says; 5000 loops per tick each, at 100 Hz. */
#define UML_BOGOMIPS 4800

struct uml_args {
	char *argv[24]; /* ends with NULL; points into text */
	char *envp[8];
	char text[1024];
};

/* Fills *out, which must stay where it is while argv and envp are used.
 * -EINVAL: memory out of range, or a MAC that is not unicast. */
int uml_args(const struct priv_vmm *v, struct uml_args *out, struct err *e);

#endif
