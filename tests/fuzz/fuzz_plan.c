/* SPDX-License-Identifier: ISC */
/*
 * A guest kernel's file: whatever it is, it yields a plan that passes the check,
 * or an error. The same bytes are taken as kallsyms alone and as code. Seeds:
 * tests/unit/guest/make_seeds.c.
 */
#include "guest/insn.h"
#include "guest/kallsyms.h"
#include "guest/plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
	if (!ok)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct hook_plan plan;
	static struct kallsyms k;
	static struct kallsyms_symbol sym;
	struct err e = { 0 };
	struct slice file = slice_of(data, size), code = file;
	int r = guest_plan_read(file, &plan, &e);
	if (r == 0)
		must(guest_plan_check(&plan, sizeof(plan), &e) == 0);
	else
		must(e.code == r && e.text[0]);
	if (kallsyms_find(file, &k, NULL) == 0) {
		uint32_t n = 0;
		for (struct kallsyms_cursor c = kallsyms_first(&k); kallsyms_next(&c, &sym); n++)
			must(memchr(sym.name, 0, sizeof(sym.name)) != NULL);
		must(n <= k.count);
	}
	/* Where the seeds have their functions. */
	slice_skip(&code, 0x1000);
	code = slice_head(code, 512);
	while (code.n) {
		struct insn i;
		if (!insn_decode(code, &i)) {
			slice_skip(&code, 1);
			continue;
		}
		must(i.len > 0 && i.len <= 15 && i.len <= code.n);
		must(insn_keep(slice_head(code, 64), 5, 24) <= 24);
		must(insn_probe(code) < 64);
		slice_skip(&code, i.len);
	}
	return 0;
}
