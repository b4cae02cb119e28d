/* SPDX-License-Identifier: ISC */
#include "proc/gateway/rules.h"

#include "proc/gateway/gateway.h"

const struct rule *rules_match(struct gateway *g, const struct policy *pol, const struct frame *f, unsigned direction)
{
	(void)g;
	(void)pol;
	(void)f;
	(void)direction;
	return NULL;
}
