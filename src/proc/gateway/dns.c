/* SPDX-License-Identifier: ISC */
#include "proc/gateway/dns.h"

#include "proc/gateway/gateway.h"

void dns_judge(struct gateway *g, struct frame *f, const struct policy *pol, bool question)
{
	(void)g;
	(void)pol;
	(void)question;
	verdict_drop(f, REASON_DNS);
}
