/* SPDX-License-Identifier: ISC */
#include "proc/gateway/tcp.h"

#include "proc/gateway/gateway.h"

void tcp_judge(struct gateway *g, struct frame *f)
{
	(void)g;
	(void)f;
}

void tcp_account(struct gateway *g, const struct frame *f)
{
	(void)g;
	(void)f;
}
