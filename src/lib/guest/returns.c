/* SPDX-License-Identifier: ISC */
#include "guest/returns.h"

#include "guest/insn.h"

#include <string.h>

#define FUNCTION_MAX 8192u /* bytes; one that is longer has no business here */

/* A function: from its symbol to the next one. */
struct extent {
	uint64_t addr, end;
};

/* Functions that do a site's work and return what it returns. */
enum worker { PUSH_BUFFER, INSERT_FLIP, LDISC_RECEIVE, LDISC_WRITE, WORKER_COUNT };
static const char *const worker_names[] = {
	[PUSH_BUFFER] = "tty_insert_flip_string_and_push_buffer",
	[INSERT_FLIP] = "tty_insert_flip_string_fixed_flag",
	[LDISC_RECEIVE] = "tty_ldisc_receive_buf",
	[LDISC_WRITE] = "n_tty_write",
};

static void extents(const struct kallsyms *k, const struct hook_plan *p, struct extent *sites, struct extent *workers)
{
	struct kallsyms_cursor c = kallsyms_first(k);
	struct kallsyms_symbol s;
	while (kallsyms_next(&c, &s)) {
		for (unsigned i = 0; i < WORKER_COUNT; i++)
			if (!strcmp(s.name, worker_names[i]) && (s.type == 't' || s.type == 'T'))
				workers[i].addr = s.addr;
	}
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++)
		sites[i].addr = p->site[i].addr;
	c = kallsyms_first(k);
	while (kallsyms_next(&c, &s)) {
		struct extent *all[] = { sites, workers };
		const unsigned n[] = { HOOK_SITE_COUNT, WORKER_COUNT };
		for (unsigned a = 0; a < 2; a++)
			for (unsigned i = 0; i < n[a]; i++) {
				struct extent *x = &all[a][i];
				if (x->addr && s.addr > x->addr && (!x->end || s.addr < x->end))
					x->end = s.addr;
			}
	}
}

struct reader {
	struct slice code;
	uint64_t at; /* of the next instruction */
};

static bool reader_open(const struct guest_elf *g, const struct extent *x, struct reader *r)
{
	r->at = x->addr;
	return x->addr && x->end > x->addr && x->end - x->addr <= FUNCTION_MAX &&
	       guest_elf_at(g, x->addr, x->end - x->addr, &r->code);
}

/* False at the end, with *bad if it is not the function's. */
static bool reader_next(struct reader *r, struct insn *i, uint64_t *at, bool *bad)
{
	*bad = false;
	if (!r->code.n)
		return false;
	if (!insn_decode(r->code, i) || !slice_skip(&r->code, i->len)) {
		*bad = true;
		return false;
	}
	*at = r->at;
	r->at += i->len;
	return true;
}

static void find_rets(const struct guest_elf *g, const struct extent *x, uint64_t out[HOOK_RETS])
{
	struct reader r;
	struct insn i;
	uint64_t at, found[HOOK_RETS] = { 0 };
	unsigned n = 0;
	bool bad;
	if (!reader_open(g, x, &r))
		return;
	while (reader_next(&r, &i, &at, &bad)) {
		if (i.map != 0 || i.op != 0xc3)
			continue;
		if (n == HOOK_RETS)
			return;
		found[n++] = at;
	}
	if (!bad)
		memcpy(out, found, sizeof(found));
}

static bool is_call(const struct insn *i)
{
	return i->map == 0 && (i->op == 0xe8 || (i->op == 0xff && i->modrm && (i->reg & 7) == 2));
}
/* movabs $imm, %reg */
static bool loads_address(const struct insn *i, uint64_t addr)
{
	return i->map == 0 && i->op >= 0xb8 && i->op <= 0xbf && (uint64_t)i->imm == addr;
}
/* mov %eax, %reg; test %eax, %eax: rax stays what the call returned */
static bool keeps_result(const struct insn *i)
{
	return i->map == 0 && !i->mem && ((i->op == 0x89 && i->reg == RAX && i->rm != RAX) || i->op == 0x85);
}

/* The branch behind the call of `callee` (0: behind the first call of all). */
static uint64_t branch_after_call(const struct guest_elf *g, const struct extent *x, uint64_t callee)
{
	struct reader r;
	struct insn i;
	uint64_t at;
	bool bad, armed = !callee, called = false;
	if (!reader_open(g, x, &r))
		return 0;
	while (reader_next(&r, &i, &at, &bad)) {
		if (called && (insn_is_jcc(&i) || insn_is_jmp(&i)))
			return at;
		if (called && !keeps_result(&i))
			return 0;
		if (is_call(&i)) {
			called = i.op == 0xe8 && callee ? at + i.len + (uint64_t)i.imm == callee : armed;
			armed = !callee;
		} else if (callee && loads_address(&i, callee)) {
			armed = true;
		}
	}
	return 0;
}

/* cmp $-ESTALE, %rax; jne: do_filp_open's last look at what it got (fs/namei.c). */
static uint64_t branch_after_estale(const struct guest_elf *g, const struct extent *x)
{
	struct reader r;
	struct insn i;
	uint64_t at;
	bool bad, compared = false;
	if (!reader_open(g, x, &r))
		return 0;
	while (reader_next(&r, &i, &at, &bad)) {
		if (compared && insn_is_jcc(&i))
			return at;
		compared = i.map == 0 && !i.mem && i.rex & 8 && i.imm == -116 &&
			   (i.op == 0x3d || (i.op == 0x83 && (i.reg & 7) == 7 && i.rm == RAX));
	}
	return 0;
}

/* The first instruction of a function, if uprobes emulate it. */
static uint64_t quick_entry(const struct guest_elf *g, const struct extent *x)
{
	struct reader r;
	struct insn i;
	uint64_t at;
	bool bad;
	return reader_open(g, x, &r) && reader_next(&r, &i, &at, &bad) && insn_is_emulated(&i) ? at : 0;
}

void guest_returns(const struct guest_elf *g, const struct kallsyms *k, struct hook_plan *p)
{
	struct extent sites[HOOK_SITE_COUNT] = { 0 }, workers[WORKER_COUNT] = { 0 };
	uint64_t quick[HOOK_SITE_COUNT] = { 0 };
	extents(k, p, sites, workers);
	quick[HOOK_SITE_OPEN] = branch_after_estale(g, &sites[HOOK_SITE_OPEN]);
	if (workers[INSERT_FLIP].addr)
		quick[HOOK_SITE_PTY_WRITE] = branch_after_call(g, &workers[PUSH_BUFFER], workers[INSERT_FLIP].addr);
	quick[HOOK_SITE_LINE_READ] = branch_after_call(g, &workers[LDISC_RECEIVE], 0);
	p->tty_write = p->site[HOOK_SITE_PTY_WRITE].addr ? quick_entry(g, &workers[LDISC_WRITE]) : 0;
	for (unsigned i = 0; i < HOOK_SITE_COUNT; i++) {
		memset(p->ret[i], 0, sizeof(p->ret[i]));
		if (!p->site[i].addr)
			continue;
		if (quick[i])
			p->ret[i][0] = quick[i];
		else
			find_rets(g, &sites[i], p->ret[i]);
	}
}
