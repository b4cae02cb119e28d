/* SPDX-License-Identifier: ISC */
#include "proc/gateway/hold.h"

#include "proc/gateway/gateway.h"

void hold_set(struct gateway *g, struct port *p, bool held)
{
	(void)g;
	(void)p;
	(void)held;
}

void hold_judge(struct gateway *g, struct frame *f)
{
	(void)g;
	(void)f;
}
