/* SPDX-License-Identifier: ISC */
#include "proc/gateway/engine.h"

#include "proc/gateway/gateway.h"

void inspect(struct gateway *g, struct frame *f)
{
	const struct port *p = port_is_honeypot(f->in) ? f->in : f->out;
	const struct policy *pol = p && port_is_honeypot(p) ? policy_of(&g->policies, p->conf.port) : NULL;
	if (pol && pol->engine == ENGINE_INLINE && !dropped(f))
		verdict_drop(f, REASON_ENGINE_DOWN);
}
