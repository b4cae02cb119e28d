/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_BACKEND_H
#define SKEP_PROC_VMM_BACKEND_H

#include "base/err.h"
#include "base/ev.h"
#include "model/backend.h"
#include "proto/proto.h"

#include <stdint.h>

/*
 * What a backend does for the handler: a narrow struct of operations. The
 * handler is the same for all of them.
 *
 * An operation returns 0 (done), BACKEND_LATER (host->answer will be called with
 * req) or a negative errno with its reason. One that a backend cannot do is
 * NULL; model/backend.h says why, to users too.
 */
#define BACKEND_LATER 1

/* How a backend speaks to its handler. */
struct backend_host {
	struct ev *ev;
	void *arg;
	void (*answer)(void *arg, uint64_t req, int status, const char *text);
	/* text may be the guest's: shown only through text_safe. */
	void (*state)(void *arg, enum vmm_event event, const char *text);
};

struct backend {
	unsigned kind; /* enum backend_kind */
	/* Before its VMM exists; keeps neither fd. */
	int (*prepare)(const struct vmm_prepare *p, int overlay, int base, struct err *e);
	/* Its VMM runs: takes both fds over, also on failure. */
	int (*start)(const struct backend_host *host, int control, int pidfd, struct err *e);
	/* Asks the machine to halt; the answer says that it was asked. */
	int (*stop)(uint64_t req, struct err *e);
	/* Its VMM is being killed, or is dead: forget all. */
	int (*kill)(struct err *e);
	int (*pause)(uint64_t req, struct err *e);
	int (*resume)(uint64_t req, struct err *e);
	int (*suspend)(uint64_t req, struct err *e);
	int (*restore)(uint64_t req, struct err *e);
	int (*snapshot)(uint64_t req, struct err *e);
	int (*reset)(uint64_t req, struct err *e);
	int (*resize)(uint64_t req, uint64_t memory, uint32_t cpus, struct err *e);
};

extern const struct backend backend_uml;

/* NULL with the reason: not part of this build. */
const struct backend *backend_find(unsigned kind, struct err *e);

/* -ENOTSUP with the reason from the table. */
int backend_refuse(const struct backend *b, enum backend_op op, struct err *e);

#endif
