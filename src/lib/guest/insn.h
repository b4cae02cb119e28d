/* SPDX-License-Identifier: ISC */
#ifndef SKEP_GUEST_INSN_H
#define SKEP_GUEST_INSN_H

#include "base/slice.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * Decodes one instruction of x86-64 code as far as we need it: its length, its
 * operands' places, and whether it may be moved. What a kernel compiled without
 * vector units has; VEX, EVEX, 3DNow!, 16-bit addressing and far branches are refused. Format:
 * Intel SDM vol. 2, 2.1 and appendix A.
 */
enum { INSN_NO_REG = -1, INSN_RIP = 16 };
enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI };

struct insn {
	uint8_t len;
	uint8_t map; /* 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A */
	uint8_t op;
	uint8_t rex;
	bool opsize, rep, repne, segment;
	bool modrm, mem;    /* mem: the r/m operand is memory */
	uint8_t reg, rm;    /* with REX; rm is a register if !mem */
	int8_t base, index; /* of mem: register, INSN_NO_REG, INSN_RIP */
	int32_t disp;
	uint8_t immlen;
	int64_t imm; /* sign-extended; of a branch: relative to the next instruction */
};

/* False if it is none that we know, or cut off. */
bool insn_decode(struct slice code, struct insn *out);

/* jcc, jmp, call, loop with a relative target. */
bool insn_is_branch(const struct insn *i);
bool insn_is_jcc(const struct insn *i);
bool insn_is_jmp(const struct insn *i); /* relative and unconditional */
/* Does the same at any address, and goes on with the next one. */
bool insn_is_movable(const struct insn *i);
/* uprobes emulate it instead of single-stepping a copy: push of a register, one-byte
 * nop (Linux, arch/x86/kernel/uprobes.c). */
bool insn_is_emulated(const struct insn *i);
/* May change general register r (0..15). Errs to true. */
bool insn_writes(const struct insn *i, unsigned r);
/* Bytes that its memory operand has: 1, 2, 4, 8, 16; 0 unknown. */
unsigned insn_size(const struct insn *i);

/* The bytes that a jump of 5 bytes at the beginning replaces: whole movable
 * instructions; 0 if there are no such, or if a branch among the next leads back
 * into them. */
unsigned insn_keep(struct slice code, unsigned at_least, unsigned at_most);
/* Offset of the first emulated instruction, before which no argument's register
 * (rdi, rsi, rdx, rcx, r8, r9) changes; 0 if there is none (or it is the first). */
unsigned insn_probe(struct slice code);

#endif
