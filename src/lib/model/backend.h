/* SPDX-License-Identifier: ISC */
#ifndef SKEP_MODEL_BACKEND_H
#define SKEP_MODEL_BACKEND_H

#include <stdbool.h>

/*
 * What each backend can do, as a table: `skep backends` shows it, and the vmm
 * process answers -ENOTSUP with the same reason. kind is enum backend_kind.
 *
 * Pause keeps a machine in memory; suspend writes it to disk.
 */
enum backend_op {
	BACKEND_PREPARE,
	BACKEND_START,
	BACKEND_STOP,
	BACKEND_KILL,
	BACKEND_PAUSE,
	BACKEND_RESUME,
	BACKEND_SUSPEND,
	BACKEND_RESTORE,
	BACKEND_SNAPSHOT,
	BACKEND_RESET,
	BACKEND_RESIZE,
	BACKEND_OP_COUNT
};

const char *backend_op_name(unsigned op); /* "prepare", ...; "?" if out of range */

/* One line: what it is and what it needs. */
const char *backend_text(unsigned kind);

/* Is there any code for it in this build? */
bool backend_built(unsigned kind);

/* NULL: it can. Else why not, one clause without a full stop. */
const char *backend_lacks(unsigned kind, unsigned op);

#endif
