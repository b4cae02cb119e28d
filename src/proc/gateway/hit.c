/* SPDX-License-Identifier: ISC */
#include "proc/gateway/hit.h"

#include "proc/gateway/gateway.h"

void hit_note(struct gateway *g, const struct frame *f)
{
	(void)g;
	(void)f;
}

bool hit_next(struct gateway *g, uint64_t now, struct gw_hit *out)
{
	(void)g;
	(void)now;
	(void)out;
	return false;
}
