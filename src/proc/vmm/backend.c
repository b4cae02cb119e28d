/* SPDX-License-Identifier: ISC */
#include "proc/vmm/backend.h"

#include <errno.h>
#include <stddef.h>

static const struct backend *const backends[] = { &backend_uml };

const struct backend *backend_find(unsigned kind, struct err *e)
{
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (backends[i]->kind == kind)
			return backends[i];
	err_set(e, -ENOTSUP, "this backend is %s", backend_lacks(kind, BACKEND_START));
	return NULL;
}

int backend_refuse(const struct backend *b, enum backend_op op, struct err *e)
{
	const char *why = backend_lacks(b->kind, op);
	return err_set(e, -ENOTSUP, "it cannot %s: %s", backend_op_name(op), why ? why : "not done yet");
}
