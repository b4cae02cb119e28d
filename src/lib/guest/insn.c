/* SPDX-License-Identifier: ISC */
#include "guest/insn.h"

/*
 * What follows an opcode.
 *   .  nothing                      M  modrm
 *   b  imm8                         m  modrm, imm8
 *   z  imm32 (imm16 with 66)        Z  modrm, imm32
 *   v  imm32, imm64 with REX.W      w  imm16
 *   r  rel8                         R  rel32
 *   o  64-bit address               e  imm16, imm8
 *   g  modrm, imm8 for test         G  modrm, imm32 for test
 *   p  a prefix                     x  not in 64-bit mode, or not known to us
 */
static const char one_byte[16][17] = {
	"MMMMbzxxMMMMbzxx", /* 0x */
	"MMMMbzxxMMMMbzxx", /* 1x */
	"MMMMbzpxMMMMbzpx", /* 2x */
	"MMMMbzpxMMMMbzpx", /* 3x */
	"pppppppppppppppp", /* 4x REX */
	"................", /* 5x push, pop */
	"xxxMppppzZbm....", /* 6x */
	"rrrrrrrrrrrrrrrr", /* 7x jcc */
	"mZxmMMMMMMMMMMMM", /* 8x */
	"..........x.....", /* 9x */
	"oooo....bz......", /* ax */
	"bbbbbbbbvvvvvvvv", /* bx mov imm */
	"mmw.xxmZe.w..bx.", /* cx */
	"MMMMxxx.MMMMMMMM", /* dx */
	"rrrrbbbbRRxr....", /* ex */
	"p.pp..gG......MM", /* fx */
};
static const char two_byte[16][17] = {
	"MMMMx.....x.xMxx", /* 0f 0x */
	"MMMMMMMMMMMMMMMM", /* 0f 1x */
	"MMMMxxxxMMMMMMMM", /* 0f 2x */
	"......x.xxxxxxxx", /* 0f 3x; 38 and 3a are maps of their own */
	"MMMMMMMMMMMMMMMM", /* 0f 4x cmov */
	"MMMMMMMMMMMMMMMM", /* 0f 5x */
	"MMMMMMMMMMMMMMMM", /* 0f 6x */
	"mmmmMMM.MMxxMMMM", /* 0f 7x */
	"RRRRRRRRRRRRRRRR", /* 0f 8x jcc */
	"MMMMMMMMMMMMMMMM", /* 0f 9x setcc */
	"...MmMxx...MmMMM", /* 0f ax */
	"MMMMMMMMMMmMMMMM", /* 0f bx */
	"MMmMmmmM........", /* 0f cx */
	"MMMMMMMMMMMMMMMM", /* 0f dx */
	"MMMMMMMMMMMMMMMM", /* 0f ex */
	"MMMMMMMMMMMMMMMM", /* 0f fx */
};

static bool prefixes(struct slice *s, struct insn *i)
{
	uint8_t b;
	for (;;) {
		if (!slice_u8(s, &b))
			return false;
		i->rex = 0;
		if (b >> 4 == 4) {
			i->rex = b;
			if (!slice_u8(s, &b))
				return false;
			break;
		}
		if (b == 0x66)
			i->opsize = true;
		else if (b == 0xf3)
			i->rep = true;
		else if (b == 0xf2)
			i->repne = true;
		else if (b == 0x26 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x64 || b == 0x65)
			i->segment = i->segment || b == 0x64 || b == 0x65;
		else if (b != 0xf0)
			break;
	}
	i->op = b;
	return true;
}

static bool opcode(struct slice *s, struct insn *i, char *form)
{
	if (i->op != 0x0f) {
		*form = one_byte[i->op >> 4][i->op & 15];
		return *form != 'p' && *form != 'x';
	}
	if (!slice_u8(s, &i->op))
		return false;
	i->map = 1;
	*form = two_byte[i->op >> 4][i->op & 15];
	if (i->op == 0x38 || i->op == 0x3a) {
		i->map = i->op == 0x38 ? 2 : 3;
		*form = i->op == 0x38 ? 'M' : 'm';
		return slice_u8(s, &i->op);
	}
	return *form != 'x';
}

static bool displacement(struct slice *s, unsigned bytes, int32_t *out)
{
	uint8_t b;
	uint32_t d;
	if (bytes == 1) {
		if (!slice_u8(s, &b))
			return false;
		*out = (int8_t)b;
	} else if (bytes == 4) {
		if (!slice_le32(s, &d))
			return false;
		*out = (int32_t)d;
	}
	return true;
}

static bool operands(struct slice *s, struct insn *i)
{
	uint8_t m, sib;
	if (!slice_u8(s, &m))
		return false;
	unsigned mod = m >> 6, rm = m & 7, bytes = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	i->modrm = true;
	i->reg = (uint8_t)((m >> 3 & 7) | (i->rex & 4) << 1);
	i->rm = (uint8_t)(rm | (i->rex & 1u) << 3);
	i->base = i->index = INSN_NO_REG;
	if (mod == 3)
		return true;
	i->mem = true;
	i->base = (int8_t)i->rm;
	if (rm == 4) {
		if (!slice_u8(s, &sib))
			return false;
		unsigned index = (sib >> 3 & 7u) | (i->rex & 2u) << 2;
		i->base = (int8_t)((sib & 7) | (i->rex & 1) << 3);
		i->index = index == 4 ? INSN_NO_REG : (int8_t)index;
		if ((sib & 7) == 5 && mod == 0) {
			i->base = INSN_NO_REG;
			bytes = 4;
		}
	} else if (rm == 5 && mod == 0) {
		i->base = INSN_RIP;
		bytes = 4;
	}
	return displacement(s, bytes, &i->disp);
}

static unsigned immediate_bytes(const struct insn *i, char form)
{
	unsigned z = i->opsize && !(i->rex & 8) ? 2 : 4;
	bool test = (i->reg & 7) < 2;
	switch (form) {
	case 'b':
	case 'm':
	case 'r':
		return 1;
	case 'z':
	case 'Z':
		return z;
	case 'R':
		return 4;
	case 'v':
		return i->rex & 8 ? 8 : z;
	case 'w':
		return 2;
	case 'o':
		return 8;
	case 'e':
		return 3;
	case 'g':
		return test ? 1 : 0;
	case 'G':
		return test ? z : 0;
	default:
		return 0;
	}
}

bool insn_decode(struct slice code, struct insn *out)
{
	struct insn i = { .base = INSN_NO_REG, .index = INSN_NO_REG };
	struct slice s = slice_head(code, 15), imm;
	size_t all = s.n;
	char form;
	if (!prefixes(&s, &i) || !opcode(&s, &i, &form))
		return false;
	/* A branch with 66 has another length on AMD's processors than on Intel's. */
	if (form == 'R' && i.opsize)
		return false;
	if ((form == 'M' || form == 'm' || form == 'Z' || form == 'g' || form == 'G') && !operands(&s, &i))
		return false;
	i.immlen = (uint8_t)immediate_bytes(&i, form);
	if (!slice_take(&s, i.immlen, &imm))
		return false;
	uint64_t v = 0;
	for (unsigned k = i.immlen; k-- > 0;)
		v = v << 8 | imm.p[k];
	if (i.immlen && i.immlen < 8 && v >> (8 * i.immlen - 1))
		v |= ~UINT64_C(0) << 8 * i.immlen;
	i.imm = (int64_t)v;
	i.len = (uint8_t)(all - s.n);
	*out = i;
	return true;
}

bool insn_is_jcc(const struct insn *i)
{
	return (i->map == 0 && (i->op >> 4 == 7 || (i->op >= 0xe0 && i->op <= 0xe3))) ||
	       (i->map == 1 && i->op >> 4 == 8);
}

bool insn_is_jmp(const struct insn *i)
{
	return i->map == 0 && (i->op == 0xe9 || i->op == 0xeb);
}

bool insn_is_branch(const struct insn *i)
{
	return insn_is_jcc(i) || insn_is_jmp(i) || (i->map == 0 && i->op == 0xe8);
}

bool insn_is_movable(const struct insn *i)
{
	if (insn_is_branch(i) || (i->mem && i->base == INSN_RIP))
		return false;
	if (i->map == 1) /* ud2, syscall and the like, cpuid is plain */
		return i->op != 0x05 && i->op != 0x07 && i->op != 0x0b && i->op != 0x34 && i->op != 0x35 &&
		       i->op != 0xb9 && i->op != 0xff;
	if (i->map > 1)
		return true;
	if (i->op == 0xff)
		return (i->reg & 7) < 2 || (i->reg & 7) == 6; /* inc, dec, push */
	return !(i->op == 0xc2 || i->op == 0xc3 || (i->op >= 0xca && i->op <= 0xcd) || i->op == 0xcf || i->op == 0xf1 ||
		 i->op == 0xf4);
}

bool insn_is_emulated(const struct insn *i)
{
	if (i->map || i->opsize || i->rep || i->repne || i->segment)
		return false;
	return (i->op >= 0x50 && i->op <= 0x57 && (i->rex == 0 || i->rex == 0x41)) || (i->op == 0x90 && !i->rex);
}

/* Opcodes whose reg operand is only read, and whose r/m is written. */
static bool to_rm(const struct insn *i)
{
	if (i->map == 1)
		return i->op == 0x11 || i->op == 0x29 || i->op == 0x7f || i->op == 0xd6 || i->op == 0x7e ||
		       i->op >> 4 == 9;
	return i->map == 0 && (i->op == 0x88 || i->op == 0x89 || i->op == 0xc6 || i->op == 0xc7 ||
			       (i->op < 0x40 && (i->op & 7) < 2) || i->op == 0x80 || i->op == 0x81 || i->op == 0x83);
}

/* cmp, test: neither is written. */
static bool only_reads(const struct insn *i)
{
	if (i->map)
		return false;
	return (i->op >= 0x38 && i->op <= 0x3d) || i->op == 0x84 || i->op == 0x85 || i->op == 0xa8 || i->op == 0xa9 ||
	       ((i->op == 0x80 || i->op == 0x81 || i->op == 0x83) && (i->reg & 7) == 7) ||
	       ((i->op == 0xf6 || i->op == 0xf7) && (i->reg & 7) < 2);
}

bool insn_writes(const struct insn *i, unsigned r)
{
	unsigned low = (i->op & 7u) | (i->rex & 1u) << 3;
	if (only_reads(i) || insn_is_jcc(i) || insn_is_jmp(i))
		return false;
	if (i->map == 0) {
		if (i->op >= 0x50 && i->op <= 0x57)
			return r == RSP;
		if (i->op >= 0x58 && i->op <= 0x5f)
			return r == RSP || r == low;
		if (i->op >= 0xb0 && i->op <= 0xbf)
			return r == low;
		if (i->op == 0x90 && !i->rex)
			return false;
		if (i->op == 0x68 || i->op == 0x6a)
			return r == RSP;
	}
	if (i->map == 1 && (i->op == 0x1f || i->op == 0x1e))
		return false; /* long nops, endbr64 */
	if (i->map == 0 && i->op < 0x40 && (i->op & 7) >= 4)
		return r == RAX; /* add and its like, with an immediate */
	if (!i->modrm)
		return i->map != 0 || (i->op >= 0x98 && i->op <= 0x99 ? r == RAX || r == RDX : true);
	if (to_rm(i))
		return !i->mem && r == i->rm;
	if (i->map == 0 &&
	    (i->op == 0x8b || i->op == 0x8a || i->op == 0x8d || i->op == 0x63 || (i->op < 0x40 && (i->op & 7) < 4)))
		return r == i->reg;
	if (i->map == 1 && (i->op >> 4 == 4 || i->op == 0xb6 || i->op == 0xb7 || i->op == 0xbe || i->op == 0xbf))
		return r == i->reg;
	if (i->map == 1 && (i->op == 0x10 || i->op == 0x28 || i->op == 0x6f || i->op == 0x57 || i->op == 0xef))
		return false; /* vector registers */
	if (i->map == 0 && (i->op == 0xf6 || i->op == 0xf7) && (i->reg & 7) >= 4)
		return r == RAX || r == RDX; /* mul, div */
	if (i->map == 0 && (i->op == 0xc0 || i->op == 0xc1 || i->op >> 2 == 0xd0 >> 2 || i->op >= 0xf6))
		return !i->mem && r == i->rm && !(i->op == 0xff && (i->reg & 7) == 6);
	if (i->map == 0 && (i->op == 0x69 || i->op == 0x6b))
		return r == i->reg;
	/* Anything else with two operands: either, or a fixed one. */
	return r == i->reg || (!i->mem && r == i->rm) || r == RAX || r == RDX;
}

unsigned insn_size(const struct insn *i)
{
	unsigned word = i->rex & 8 ? 8 : i->opsize ? 2 : 4;
	if (i->map == 1) {
		switch (i->op) {
		case 0xb6:
		case 0xbe:
		case 0xb0:
		case 0xc0:
			return 1;
		case 0xb7:
		case 0xbf:
			return 2;
		case 0x10:
		case 0x11:
			return i->rep ? 4 : i->repne ? 8 : 16;
		case 0x28:
		case 0x29:
		case 0x6f:
		case 0x7f:
			return 16;
		case 0xd6:
			return 8;
		case 0x7e:
			return i->rep ? 8 : word;
		default:
			return i->op >> 4 == 9                                             ? 1
			       : i->op >> 4 == 4 || i->op >> 4 == 0xa || i->op >> 4 == 0xb ? word
											   : 0;
		}
	}
	if (i->map)
		return 0;
	if (i->op == 0x63)
		return 4;
	if (i->op == 0xff && (i->reg & 7) >= 2)
		return 8;
	if ((i->op < 0x40 && !(i->op & 1)) || i->op == 0x80 || i->op == 0x84 || i->op == 0x86 || i->op == 0x88 ||
	    i->op == 0x8a || i->op == 0xc0 || i->op == 0xc6 || i->op == 0xd0 || i->op == 0xd2 || i->op == 0xf6 ||
	    i->op == 0xfe)
		return 1;
	return word;
}

/* A loop whose head lies in the replaced bytes would jump into our jump. */
static bool leads_back(struct slice code, unsigned from, unsigned keep)
{
	struct insn i;
	struct slice rest;
	for (size_t at = from; at < code.n; at += i.len) {
		if (!slice_sub(code, at, code.n - at, &rest) || !insn_decode(rest, &i))
			return false;
		int64_t to = insn_is_branch(&i) ? (int64_t)at + i.len + i.imm : 0;
		if (to > 0 && to < keep)
			return true;
	}
	return false;
}

unsigned insn_keep(struct slice code, unsigned at_least, unsigned at_most)
{
	unsigned n = 0;
	struct insn i;
	while (n < at_least) {
		struct slice rest;
		if (!slice_sub(code, n, code.n - n, &rest) || !insn_decode(rest, &i) || !insn_is_movable(&i))
			return 0;
		n += i.len;
		if (n > code.n)
			return 0;
	}
	return n > at_most || leads_back(code, n, n) ? 0 : n;
}

unsigned insn_probe(struct slice code)
{
	static const uint8_t args[] = { RDI, RSI, RDX, RCX, 8, 9 };
	struct insn i;
	struct slice rest;
	for (size_t at = 0; at < 64 && slice_sub(code, at, code.n - at, &rest) && insn_decode(rest, &i); at += i.len) {
		if (insn_is_emulated(&i))
			return (unsigned)at;
		if (!insn_is_jcc(&i) && !insn_is_movable(&i))
			return 0;
		for (unsigned k = 0; k < sizeof(args); k++)
			if (insn_writes(&i, args[k]))
				return 0;
	}
	return 0;
}
