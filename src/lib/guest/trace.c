/* SPDX-License-Identifier: ISC */
/*
 * Theory of operation. A state holds for each general register, and for a few
 * slots of the stack frame, a value: a node and what was added to it. A node is a
 * root or "what stands at parent + off". The walk goes straight on at conditional
 * branches and remembers their targets with the state that they had; each
 * instruction is walked once. Where two paths meet, the first one's state counts:
 * good enough for functions of a dozen instructions, which is what the rules in
 * offsets.c are about. Calls forget the registers that a callee may change
 * (System V ABI, AMD64 supplement, 3.2.1).
 */
#include "guest/trace.h"

#include "guest/insn.h"

#define SLOTS 12u
#define PENDING 48u

struct value {
	int16_t node; /* -1 unknown */
	int32_t add;
};
struct state {
	struct value reg[16];
	struct value slot[SLOTS];
	int32_t slot_at[SLOTS]; /* from rbp; 0 = unused */
	bool frame;             /* rbp is the frame pointer */
};
struct walk {
	struct trace *t;
	struct slice code;
	uint64_t addr;
	struct state s;
	struct {
		size_t at;
		struct state s;
	} pending[PENDING];
	unsigned npending;
	uint8_t seen[8192];
};

static const struct value unknown = { -1, 0 };

static int16_t node_for(struct trace *t, int16_t parent, int32_t off)
{
	for (unsigned i = TRACE_ROOTS; i < t->nodes; i++)
		if (t->node[i].parent == parent && t->node[i].off == off)
			return (int16_t)i;
	if (t->nodes == TRACE_NODES)
		return -1;
	t->node[t->nodes] = (struct trace_node){ parent, off };
	return (int16_t)t->nodes++;
}

int trace_member(const struct trace *t, int node, int32_t off)
{
	if (node < 0)
		return -1;
	for (unsigned i = TRACE_ROOTS; i < t->nodes; i++)
		if (t->node[i].parent == node && t->node[i].off == off)
			return (int)i;
	return -1;
}

static void note(struct trace *t, struct value base, int32_t off, unsigned size, uint8_t kind)
{
	int32_t at;
	if (base.node < 0 || base.node == TRACE_STACK || t->accesses == TRACE_ACCESSES ||
	    __builtin_add_overflow(base.add, off, &at))
		return;
	t->access[t->accesses++] = (struct trace_access){ base.node, at, (uint8_t)size, kind };
}

static struct value *slot_of(struct state *s, const struct insn *i, bool make)
{
	if (!s->frame || i->base != RBP || i->index >= 0 || i->disp == 0)
		return NULL;
	for (unsigned k = 0; k < SLOTS; k++)
		if (s->slot_at[k] == i->disp)
			return &s->slot[k];
	for (unsigned k = 0; make && k < SLOTS; k++)
		if (s->slot_at[k] == 0) {
			s->slot_at[k] = i->disp;
			return &s->slot[k];
		}
	return NULL;
}

static struct value base_of(const struct state *s, const struct insn *i)
{
	return i->base < 0 || i->base > 15 || i->index >= 0 ? unknown : s->reg[i->base];
}

/* What a load of 4 or 8 bytes at the memory operand yields. */
static struct value loaded(struct walk *w, const struct insn *i)
{
	struct value b = base_of(&w->s, i), *slot = slot_of(&w->s, i, false);
	int32_t off;
	if (slot)
		return *slot;
	if (b.node < 0 || b.node == TRACE_STACK || __builtin_add_overflow(b.add, i->disp, &off))
		return unknown;
	if (b.node == TRACE_THREAD)
		return off == 0 ? (struct value){ TRACE_CURRENT, 0 } : unknown;
	return (struct value){ node_for(w->t, b.node, off), 0 };
}

static void touch(struct walk *w, const struct insn *i, uint8_t kind)
{
	if (i->mem)
		note(w->t, base_of(&w->s, i), i->disp, insn_size(i), kind);
}

static void clobber_call(struct walk *w)
{
	static const uint8_t gone[] = { RAX, RCX, RDX, RSI, RDI, 8, 9, 10, 11 };
	for (unsigned k = 0; k < sizeof(gone); k++)
		w->s.reg[gone[k]] = unknown;
	/* What it returned is a value of its own: member -1 - n of nothing. */
	w->s.reg[RAX] = (struct value){ node_for(w->t, -1, -1 - (int32_t)w->t->nodes), 0 };
}

/* add, sub, and with an immediate. */
static void arithmetic(struct walk *w, const struct insn *i)
{
	struct value *r = &w->s.reg[i->modrm ? i->rm : RAX];
	unsigned op = i->modrm ? i->reg & 7u : i->op >> 3;
	if (op == 7)
		return;
	if (r->node >= 0 && (i->rex & 8) && (op == 0 || op == 5) && i->imm > -0x10000 && i->imm < 0x10000) {
		r->add += (int32_t)(op ? -i->imm : i->imm);
		note(w->t, *r, 0, 0, TRACE_ADDRESS);
	} else if (r->node == TRACE_STACK && op == 4 && i->imm < -0xfff && !(-i->imm & (-i->imm - 1))) {
		w->t->stack = (uint64_t)i->imm;
		*r = (struct value){ TRACE_THREAD, 0 };
	} else if (r->node != TRACE_STACK || op != 4) {
		*r = unknown;
	}
}

static bool is_load(const struct insn *i)
{
	if (i->map == 0)
		return i->op == 0x8b || i->op == 0x8a || i->op == 0x63;
	return i->map == 1 && (i->op == 0xb6 || i->op == 0xb7 || i->op == 0xbe || i->op == 0xbf);
}

static bool is_vector_load(const struct insn *i)
{
	return i->map == 1 && (i->op == 0x10 || i->op == 0x28 || i->op == 0x6f || (i->op == 0x7e && i->rep));
}

static bool is_store(const struct insn *i)
{
	if (i->map == 0)
		return i->op == 0x88 || i->op == 0x89 || i->op == 0xc6 || i->op == 0xc7;
	return i->map == 1 && (i->op == 0x11 || i->op == 0x29 || i->op == 0x7f || i->op == 0xd6 || i->op == 0x7e);
}

/* Memory is only read: cmp, test, push, and all that have it as source. */
static bool reads_memory(const struct insn *i)
{
	if (i->map == 1)
		return i->op >> 4 == 4 || i->op == 0xaf || i->op == 0xa3;
	if (i->op < 0x40)
		return (i->op & 7) >= 2 || (i->op >= 0x38 && i->op <= 0x3b);
	if (i->op == 0x80 || i->op == 0x81 || i->op == 0x83)
		return (i->reg & 7) == 7;
	if (i->op == 0xf6 || i->op == 0xf7)
		return (i->reg & 7) < 2 || (i->reg & 7) >= 4;
	if (i->op == 0xff)
		return (i->reg & 7) >= 2;
	return i->op == 0x84 || i->op == 0x85 || i->op == 0x69 || i->op == 0x6b;
}

static void copy(struct walk *w, const struct insn *i)
{
	bool down = i->op == 0x89; /* r/m := reg */
	unsigned to = down ? i->rm : i->reg, from = down ? i->reg : i->rm;
	w->s.reg[to] = insn_size(i) >= 4 ? w->s.reg[from] : unknown;
	if (to == RBP)
		w->s.frame = from == RSP;
}

static void forget(struct walk *w, const struct insn *i)
{
	for (unsigned r = 0; r < 16; r++)
		if (r != RSP && insn_writes(i, r))
			w->s.reg[r] = unknown;
}

static void step(struct walk *w, const struct insn *i)
{
	if (i->map == 0 && (i->op == 0xe8 || (i->op == 0xff && (i->reg & 7) == 2))) {
		touch(w, i, TRACE_LOAD);
		clobber_call(w);
	} else if (i->map == 0 && (i->op == 0x89 || i->op == 0x8b) && !i->mem) {
		copy(w, i);
	} else if (i->map == 0 && i->op == 0x8d && i->mem) {
		struct value b = base_of(&w->s, i);
		touch(w, i, TRACE_ADDRESS);
		if (b.node >= 0 && __builtin_add_overflow(b.add, i->disp, &b.add))
			b = unknown;
		w->s.reg[i->reg] = b;
	} else if (is_load(i) && i->mem) {
		touch(w, i, TRACE_LOAD);
		w->s.reg[i->reg] = loaded(w, i);
	} else if (is_vector_load(i)) {
		touch(w, i, TRACE_LOAD);
	} else if (is_store(i) && i->mem) {
		touch(w, i, TRACE_STORE);
		struct value *slot = slot_of(&w->s, i, true);
		if (slot)
			*slot = i->map == 0 && i->op == 0x89 && (i->rex & 8) ? w->s.reg[i->reg] : unknown;
	} else if (i->map == 0 && !i->mem && (i->op == 0x81 || i->op == 0x83 || (i->op < 0x40 && (i->op & 7) == 5))) {
		arithmetic(w, i);
	} else {
		touch(w, i, reads_memory(i) ? TRACE_LOAD : TRACE_CHANGE);
		if (i->map == 0 && i->op == 0x31 && !i->mem && i->reg == i->rm)
			w->s.reg[i->rm] = unknown;
		forget(w, i);
	}
}

static bool ends(const struct insn *i)
{
	return i->map == 0 && (i->op == 0xc3 || i->op == 0xc2 || i->op == 0xcc || i->op == 0xf4 ||
			       (i->op == 0xff && (i->reg & 7) == 4));
}

static bool first_time(struct walk *w, size_t at)
{
	if (at / 8 >= sizeof(w->seen) || w->seen[at / 8] >> (at % 8) & 1)
		return false;
	w->seen[at / 8] |= (uint8_t)(1u << (at % 8));
	return true;
}

static void path(struct walk *w, size_t at, unsigned *left)
{
	struct slice rest;
	struct insn i;
	while (*left && first_time(w, at) && slice_sub(w->code, at, w->code.n - at, &rest) && insn_decode(rest, &i)) {
		(*left)--;
		int64_t to = insn_is_branch(&i) ? (int64_t)at + i.len + i.imm : -1;
		bool inside = to >= 0 && to < (int64_t)w->code.n;
		if (ends(&i))
			return;
		if (insn_is_jmp(&i)) {
			if (!inside)
				return;
			at = (size_t)to;
			continue;
		}
		if (insn_is_jcc(&i)) {
			if (inside && w->npending < PENDING) {
				w->pending[w->npending].at = (size_t)to;
				w->pending[w->npending++].s = w->s;
			}
		} else {
			step(w, &i);
		}
		at += i.len;
	}
}

bool trace_function(const struct guest_elf *g, uint64_t addr, size_t n, struct trace *t)
{
	static const uint8_t args[] = { RDI, RSI, RDX, RCX };
	struct walk w = { .t = t, .addr = addr };
	unsigned left = TRACE_INSNS;
	memset(t, 0, sizeof(*t));
	t->nodes = TRACE_ROOTS;
	for (unsigned r = 0; r < TRACE_ROOTS; r++)
		t->node[r].parent = -1;
	if (!guest_elf_upto(g, addr, n, &w.code))
		return false;
	for (unsigned r = 0; r < 16; r++)
		w.s.reg[r] = unknown;
	for (unsigned r = 0; r < 4; r++)
		w.s.reg[args[r]] = (struct value){ (int16_t)(TRACE_ARG0 + r), 0 };
	w.s.reg[RSP] = (struct value){ TRACE_STACK, 0 };
	path(&w, 0, &left);
	for (unsigned k = 0; k < w.npending; k++) {
		w.s = w.pending[k].s;
		path(&w, w.pending[k].at, &left);
	}
	return true;
}
