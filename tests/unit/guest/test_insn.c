/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stddef.h>
#include <cmocka.h>

#include "guest/insn.h"

#include <stdio.h>

/* In an exact allocation, so that a sanitizer sees a read past the end. */
static bool decode(const char *code, size_t n, struct insn *i)
{
	uint8_t *p = malloc(n ? n : 1);
	memcpy(p, code, n);
	bool ok = insn_decode(slice_of(p, n), i);
	free(p);
	return ok;
}

/* What `objdump -d` says of their lengths. */
static const struct {
	const char *code;
	uint8_t len, movable, emulated;
} table[] = {
	{ "\x55", 1, 1, 1 },                           /* push rbp */
	{ "\x41\x57", 2, 1, 1 },                       /* push r15 */
	{ "\x90", 1, 1, 1 },                           /* nop */
	{ "\x66\x90", 2, 1, 0 },                       /* xchg ax, ax */
	{ "\x0f\x1f\x44\0\0", 5, 1, 0 },               /* nopl 0(rax, rax) */
	{ "\xf3\x0f\x1e\xfa", 4, 1, 0 },               /* endbr64 */
	{ "\x48\x89\xe5", 3, 1, 0 },                   /* mov rbp, rsp */
	{ "\x80\xbf\x90\x01\0\0\0", 7, 1, 0 },         /* cmpb [rdi+0x190], 0 */
	{ "\x48\xb8\1\2\3\4\5\6\7\x08", 10, 1, 0 },    /* movabs rax */
	{ "\x49\xbf\1\2\3\4\5\6\7\x08", 10, 1, 0 },    /* movabs r15 */
	{ "\xb8\1\2\3\4", 5, 1, 0 },                   /* mov eax */
	{ "\x66\xb8\1\2", 4, 1, 0 },                   /* mov ax */
	{ "\xa1\1\2\3\4\5\6\7\x08", 9, 1, 0 },         /* movabs eax, [addr] */
	{ "\x48\x81\xec\x08\x01\0\0", 7, 1, 0 },       /* sub rsp, 0x108 */
	{ "\x48\x83\xec\x18", 4, 1, 0 },               /* sub rsp, 0x18 */
	{ "\x48\x25\0\xc0\xff\xff", 6, 1, 0 },         /* and rax, -0x4000 */
	{ "\x48\x8b\x80\x10\x03\0\0", 7, 1, 0 },       /* mov rax, [rax+0x310] */
	{ "\x48\x8b\x0c\xc1", 4, 1, 0 },               /* mov rcx, [rcx+rax*8] */
	{ "\x48\x8b\x04\xc5\0\0\0\0", 8, 1, 0 },       /* mov rax, [rax*8+0] */
	{ "\x48\x8b\x44\x24\x08", 5, 1, 0 },           /* mov rax, [rsp+8] */
	{ "\x41\xc7\x44\x24\x04\1\2\3\4", 9, 1, 0 },   /* movl [r12+4], imm */
	{ "\x66\xc7\x06\x02\0", 5, 1, 0 },             /* movw [rsi], 2 */
	{ "\xf6\x47\x16\x20", 4, 1, 0 },               /* testb [rdi+0x16], 0x20 */
	{ "\xf7\xd8", 2, 1, 0 },                       /* neg eax */
	{ "\x0f\x10\x40\x10", 4, 1, 0 },               /* movups xmm0, [rax+0x10] */
	{ "\x0f\xb6\xd2", 3, 1, 0 },                   /* movzx edx, dl */
	{ "\x0f\xba\xe2\x08", 4, 1, 0 },               /* bt edx, 8 */
	{ "\x66\x0f\x3a\x0f\xc1\x08", 6, 1, 0 },       /* palignr */
	{ "\xf0\x48\x0f\xb1\x0f", 5, 1, 0 },           /* lock cmpxchg [rdi], rcx */
	{ "\x65\x48\x8b\x04\x25\x28\0\0\0", 9, 1, 0 }, /* mov rax, gs:0x28 */
	{ "\xff\x35\0\0\0\0", 6, 0, 0 },               /* push [rip+0] */
	{ "\x48\x8d\x05\0\0\0\0", 7, 0, 0 },           /* lea rax, [rip+0] */
	{ "\xe8\0\0\0\0", 5, 0, 0 },                   /* call */
	{ "\xe9\0\0\0\0", 5, 0, 0 },                   /* jmp */
	{ "\xeb\0", 2, 0, 0 },                         /* jmp */
	{ "\x75\0", 2, 0, 0 },                         /* jne */
	{ "\x0f\x85\0\0\0\0", 6, 0, 0 },               /* jne */
	{ "\xe3\0", 2, 0, 0 },                         /* jrcxz */
	{ "\xff\xd0", 2, 0, 0 },                       /* call rax */
	{ "\xff\xe0", 2, 0, 0 },                       /* jmp rax */
	{ "\xc3", 1, 0, 0 },                           /* ret */
	{ "\xcc", 1, 0, 0 },                           /* int3 */
	{ "\x0f\x0b", 2, 0, 0 },                       /* ud2 */
	{ "\xf4", 1, 0, 0 },                           /* hlt */
};

static size_t code_len(unsigned i)
{
	return table[i].len; /* the strings have zeros inside */
}

static void test_table(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct insn in;
		if (!decode(table[i].code, code_len(i), &in))
			fail_msg("row %u is not known", i);
		if (in.len != table[i].len || insn_is_movable(&in) != table[i].movable ||
		    insn_is_emulated(&in) != table[i].emulated)
			fail_msg("row %u: length %u, movable %d, emulated %d", i, in.len, insn_is_movable(&in),
				 insn_is_emulated(&in));
		for (size_t n = 0; n < code_len(i); n++) {
			struct insn was = in;
			if (decode(table[i].code, n, &in) && n >= in.len)
				continue; /* a shorter one of its own */
			assert_memory_equal(&was, &in, sizeof(in));
		}
	}
}

static void test_operands(void **state)
{
	(void)state;
	struct insn i;
	assert_true(decode("\x48\x8b\x80\x10\x03\0\0", 7, &i));
	assert_true(i.mem);
	assert_int_equal(i.base, RAX);
	assert_int_equal(i.index, INSN_NO_REG);
	assert_int_equal(i.disp, 0x310);
	assert_int_equal(insn_size(&i), 8);
	assert_true(decode("\x48\x8d\x78\xe0", 4, &i)); /* lea rdi, [rax-0x20] */
	assert_int_equal(i.disp, -0x20);
	assert_int_equal(i.reg, RDI);
	assert_true(decode("\x49\x8b\x44\x24\x08", 5, &i)); /* mov rax, [r12+8] */
	assert_int_equal(i.base, 12);
	assert_true(decode("\x43\x80\x3c\x14\0", 5, &i)); /* cmpb [r12+r10], 0 */
	assert_int_equal(i.base, 12);
	assert_int_equal(i.index, 10);
	assert_int_equal(insn_size(&i), 1);
	assert_true(decode("\x75\xf6", 2, &i));
	assert_int_equal(i.imm, -10);
	assert_true(decode("\x48\x25\0\xc0\xff\xff", 6, &i));
	assert_int_equal(i.imm, -0x4000);
	/* Not in 64-bit mode, or not ours. */
	assert_false(decode("\xc5\xfd\x6f\x00\0\0", 6, &i));
	assert_false(decode("\x62\xf1\x7c\x48\x10\0", 6, &i));
	assert_false(decode("\x06", 1, &i));
	assert_false(decode("\xea\0\0\0\0\0\0", 7, &i));
	/* Longer than any instruction. */
	assert_false(decode("\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x66\x90", 16, &i));
}

static unsigned keep(const char *code, size_t n)
{
	return insn_keep(slice_of(code, n), 5, 24);
}
#define KEEP(text) keep(text, sizeof(text) - 1)

static void test_keep(void **state)
{
	(void)state;
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x41\x57\x41\x56\xc3"), 6);
	assert_int_equal(KEEP("\x80\xbf\x90\x01\0\0\0\x75\x01\xc3\xc3"), 7);
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\xc3"), 5);
	assert_int_equal(KEEP("\x55\x48\x89\xe5\xc3\x90\x90"), 0);         /* ends too soon */
	assert_int_equal(KEEP("\x55\x48\x8d\x05\0\0\0\0\xc3"), 0);         /* relative to the instruction */
	assert_int_equal(KEEP("\x55\x74\x02\x90\x90\x90\xc3"), 0);         /* a branch */
	assert_int_equal(KEEP("\x55\x48\x89\xe5"), 0);                     /* cut off */
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\x90\x75\xf9\xc3"), 0); /* back to the second instruction */
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\x90\x75\xfa\xc3"), 0); /* into it */
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\x90\x75\xf8\xc3"), 5); /* to the entry: that is the hook */
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\x90\x75\xfd\xc3"), 5); /* behind them */
	assert_int_equal(KEEP("\x55\x48\x89\xe5\x90\x90\xe8\xf7\xff\xff\xff\xc3"), 0);
	assert_int_equal(insn_keep(slice_of("\x48\xb8\1\2\3\4\5\6\7\x08\xc3", 11), 5, 8), 0); /* too long */
}

static unsigned probe(const char *code, size_t n)
{
	return insn_probe(slice_of(code, n));
}
#define PROBE(text) probe(text, sizeof(text) - 1)

static void test_probe(void **state)
{
	(void)state;
	assert_int_equal(PROBE("\x55\xc3"), 0);
	assert_int_equal(PROBE("\x80\xbf\x90\x01\0\0\0\x75\x04\x85\xd2\x74\x02\x55\xc3"), 13); /* pty_write */
	assert_int_equal(PROBE("\x48\xb8\1\2\3\4\5\6\7\x08\x55\xc3"), 10);
	assert_int_equal(PROBE("\x31\xc9\x55\xc3"), 0);         /* an argument is gone before it */
	assert_int_equal(PROBE("\x89\xd6\x55\xc3"), 0);         /* mov esi, edx */
	assert_int_equal(PROBE("\x48\x8b\x7f\x10\x55\xc3"), 0); /* mov rdi, [rdi+16] */
	assert_int_equal(PROBE("\x48\x83\xc7\x10\x55\xc3"), 0); /* add rdi, 16 */
	assert_int_equal(PROBE("\x45\x31\xc0\x55\xc3"), 0);     /* xor r8d, r8d */
	assert_int_equal(PROBE("\x45\x31\xdb\x55\xc3"), 3);     /* xor r11d, r11d */
	assert_int_equal(PROBE("\xff\xd0\x55\xc3"), 0);         /* a call before it */
	assert_int_equal(PROBE("\xc3\x55"), 0);
}

/* Whatever comes, it ends and stays within. */
static void test_noise(void **state)
{
	(void)state;
	unsigned x = 12345;
	for (unsigned k = 0; k < 200000; k++) {
		uint8_t b[20];
		size_t n = k % 17;
		for (unsigned i = 0; i < n; i++) {
			x = x * 1103515245 + 12345;
			b[i] = (uint8_t)(x >> 16);
		}
		struct insn i;
		if (insn_decode(slice_of(b, n), &i)) {
			assert_true(i.len > 0 && i.len <= n && i.len <= 15);
			for (unsigned r = 0; r < 16; r++)
				insn_writes(&i, r);
			assert_true(insn_size(&i) <= 16);
		}
		assert_true(insn_keep(slice_of(b, n), 5, 24) <= n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table), cmocka_unit_test(test_operands), cmocka_unit_test(test_keep),
		cmocka_unit_test(test_probe), cmocka_unit_test(test_noise),
	};
	return cmocka_run_group_tests_name("instructions", tests, NULL, NULL);
}
