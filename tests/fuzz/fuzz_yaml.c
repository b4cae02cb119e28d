/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as a honeynet file: a checked model or complaints, never both, and
 * a model that the parser lets through passes model_check and can be planned.
 */
#include "model/plan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct model m;
	static struct diag d;
	static struct plan p;
	int r = model_parse((const char *)data, size, &m, &d);
	must((r == 0) == (d.n == 0));
	for (unsigned i = 0; i < d.n; i++) {
		must(d.items[i].at.line >= 1 && d.items[i].at.col >= 1);
		must(*d.items[i].text && memchr(d.items[i].text, 0, sizeof(d.items[i].text)));
	}
	/* The same bytes as a policy by itself, and as one for a honeynet. */
	static struct model policy;
	static struct diag d2;
	int p2 = model_parse_policy((const char *)data, size, &policy, &d2);
	must((p2 == 0) == (d2.n == 0));
	must(p2 < 0 || model_check_policy(&policy, NULL) == 0);
	must(p2 < 0 || !policy.nhoneypots);
	if (r < 0)
		return 0;
	must(model_check(&m, NULL) == 0);
	must(plan_make(NULL, &m, &p, NULL) == 0 && p.n <= PLAN_STEPS);
	must(plan_make(&m, &m, &p, NULL) == 0 && p.n == 0);
	return 0;
}
