/* SPDX-License-Identifier: ISC */
#include "proc/gateway/play.h"

#include "proc/gateway/gateway.h"

void play_begin(struct gateway *g, struct frame *f, const struct rule *r)
{
	(void)g;
	(void)r;
	verdict_drop(f, REASON_DENIED);
}

void play_continue(struct gateway *g, struct frame *f)
{
	(void)g;
	verdict_drop(f, REASON_DENIED);
}
