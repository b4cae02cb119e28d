/* SPDX-License-Identifier: ISC */
#include "synth.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_SYS 0x80 /* a token of several characters */

static void put(struct synth *s, const void *p, size_t n)
{
	if (n > sizeof(s->b) - s->n)
		abort();
	memcpy(s->b + s->n, p, n);
	s->n += n;
}

static void put_u16(struct synth *s, uint16_t v)
{
	put(s, &v, sizeof(v));
}

static void put_u32(struct synth *s, uint32_t v)
{
	put(s, &v, sizeof(v));
}

static void put_u64(struct synth *s, uint64_t v)
{
	put(s, &v, sizeof(v));
}

static void align(struct synth *s)
{
	while (s->n % 8)
		put(s, "", 1);
}

void synth_begin(struct synth *s, enum synth_layout layout)
{
	memset(s, 0, sizeof(*s));
	s->layout = layout;
	s->n = SYNTH_TEXT - SYNTH_BASE;
	s->at = SYNTH_TEXT;
	synth_alias(s, "_stext");
}

void synth_alias(struct synth *s, const char *name)
{
	if (s->syms == sizeof(s->sym) / sizeof(s->sym[0]) || strlen(name) >= sizeof(s->sym[0].name))
		abort();
	strcpy(s->sym[s->syms].name, name);
	/* The last function's place; before the first one, the text's beginning. */
	s->sym[s->syms].addr = s->syms ? s->sym[s->syms - 1].addr : s->at;
	s->syms++;
}

void synth_function(struct synth *s, const char *name, const void *code, size_t n)
{
	synth_alias(s, name);
	s->sym[s->syms - 1].addr = s->at;
	put(s, code, n);
	while (s->n % 16)
		put(s, "\xcc", 1);
	s->at = SYNTH_BASE + s->n;
}

static void put_name(struct synth *s, const char *name)
{
	uint8_t t[700];
	size_t n = 0;
	t[n++] = 't'; /* as kallsyms of a kernel without data symbols */
	while (*name) {
		if (strncmp(name, "sys_", 4) == 0) {
			t[n++] = TOKEN_SYS;
			name += 4;
		} else {
			t[n++] = (uint8_t)*name++;
		}
	}
	if (n >= 0x80) {
		uint8_t two[2] = { (uint8_t)(0x80 | (n & 0x7f)), (uint8_t)(n >> 7) };
		put(s, two, 2);
	} else {
		put(s, &(uint8_t){ (uint8_t)n }, 1);
	}
	put(s, t, n);
}

static void put_addresses(struct synth *s)
{
	align(s);
	for (unsigned i = 0; i < s->syms; i++)
		if (s->layout == SYNTH_ABSOLUTE)
			put_u64(s, s->sym[i].addr);
		else
			put_u32(s, (uint32_t)(s->sym[i].addr - SYNTH_BASE));
	align(s);
	if (s->layout != SYNTH_ABSOLUTE)
		put_u64(s, SYNTH_BASE);
}

static void put_seqs(struct synth *s)
{
	for (unsigned i = 0; i < s->syms; i++)
		put(s, "\0\1\2", 3);
	align(s);
}

static void put_tokens(struct synth *s)
{
	uint16_t index[256];
	size_t start = s->n;
	for (unsigned i = 0; i < 256; i++) {
		index[i] = (uint16_t)(s->n - start);
		if (i == TOKEN_SYS)
			put(s, "sys_", 5);
		else
			put(s, (uint8_t[2]){ (uint8_t)i, 0 }, i ? 2 : 1);
	}
	align(s);
	for (unsigned i = 0; i < 256; i++)
		put_u16(s, index[i]);
}

static void put_kallsyms(struct synth *s)
{
	uint32_t mark[32];
	if (s->layout != SYNTH_LAST)
		put_addresses(s);
	align(s);
	put_u32(s, s->syms);
	align(s);
	size_t names = s->n;
	for (unsigned i = 0; i < s->syms; i++) {
		if (i % 256 == 0)
			mark[i / 256] = (uint32_t)(s->n - names);
		put_name(s, s->sym[i].name);
	}
	align(s);
	for (unsigned i = 0; i < (s->syms + 255) / 256; i++)
		put_u32(s, mark[i]);
	align(s);
	if (s->layout == SYNTH_SEQS)
		put_seqs(s);
	put_tokens(s);
	if (s->layout == SYNTH_LAST) {
		align(s);
		put_addresses(s);
		put_seqs(s);
	}
}

void synth_end(struct synth *s)
{
	static const uint8_t nops[128] = { 0x90 };
	synth_function(s, "last_function", nops, sizeof(nops));
	synth_alias(s, "_etext");
	s->sym[s->syms - 1].addr = s->at;
	size_t text_end = s->n;
	align(s);
	put(s, "some data, and so", 16);
	put_kallsyms(s);
	put(s, "and more data", 13);
	Elf64_Ehdr h = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_entry = SYNTH_TEXT,
			 .e_phoff = sizeof(h),
			 .e_ehsize = sizeof(h),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 3 };
	Elf64_Phdr p[3] = { { .p_type = PT_NOTE },
			    { .p_type = PT_LOAD,
			      .p_flags = PF_R | PF_X,
			      .p_vaddr = SYNTH_BASE,
			      .p_filesz = text_end,
			      .p_memsz = text_end },
			    { .p_type = PT_LOAD,
			      .p_flags = PF_R | PF_W,
			      .p_offset = text_end,
			      .p_vaddr = SYNTH_BASE + text_end,
			      .p_filesz = s->n - text_end,
			      .p_memsz = s->n } };
	memcpy(s->b, &h, sizeof(h));
	memcpy(s->b + sizeof(h), p, sizeof(p));
}

void code_bytes(struct code *c, const void *p, size_t n)
{
	if (n > sizeof(c->b) - c->n)
		abort();
	memcpy(c->b + c->n, p, n);
	c->n += n;
}

static void modrm(struct code *c, unsigned reg, unsigned base, int32_t disp)
{
	uint8_t m = (uint8_t)(0x80 | (reg & 7) << 3 | (base & 7));
	code_bytes(c, &m, 1);
	if ((base & 7) == C_RSP)
		CODE(c, "\x24");
	code_bytes(c, &disp, 4);
}

void code_load(struct code *c, unsigned size, unsigned reg, unsigned base, int32_t disp)
{
	static const char *const op[9] = { [1] = "\x8a", [2] = "\x66\x8b", [4] = "\x8b", [8] = "\x48\x8b" };
	code_bytes(c, op[size], strlen(op[size]));
	modrm(c, reg, base, disp);
}

void code_store(struct code *c, unsigned size, unsigned base, int32_t disp, unsigned reg)
{
	static const char *const op[9] = { [1] = "\x88", [2] = "\x66\x89", [4] = "\x89", [8] = "\x48\x89" };
	code_bytes(c, op[size], strlen(op[size]));
	modrm(c, reg, base, disp);
}

void code_lea(struct code *c, unsigned reg, unsigned base, int32_t disp)
{
	CODE(c, "\x48\x8d");
	modrm(c, reg, base, disp);
}

void code_current(struct code *c, unsigned reg, uint32_t thread_size)
{
	int32_t mask = (int32_t)-thread_size;
	CODE(c, "\x55\x48\x89\xe5"); /* push rbp; mov rbp, rsp */
	code_lea(c, C_RAX, C_RBP, -8);
	CODE(c, "\x48\x25"); /* and rax, imm32 */
	code_bytes(c, &mask, 4);
	CODE(c, "\x48\x8b"); /* mov reg, [rax] */
	uint8_t m = (uint8_t)(reg << 3);
	code_bytes(c, &m, 1);
}

void code_ret(struct code *c)
{
	CODE(c, "\xc3");
}

static void simple(struct synth *s, const char *name, char kind, unsigned size, unsigned base, int32_t disp)
{
	struct code c = { .n = 0 };
	if (kind == 'l')
		code_load(&c, size, C_RAX, base, disp);
	else if (kind == 's')
		code_store(&c, size, base, disp, C_RAX);
	else
		code_lea(&c, C_RAX, base, disp);
	code_ret(&c);
	synth_function(s, name, c.b, c.n);
}

static void kernel_tasks(struct synth *s, int32_t m)
{
	struct code c = { .n = 0 };
	simple(s, "__get_task_comm", 'a', 8, C_RDX, 0x4b8 + m);
	simple(s, "get_task_mm", 'l', 8, C_RDI, 0x290 + m);
	simple(s, "get_task_exe_file", 'l', 8, C_RDI, 0x290 + m);
	simple(s, "unhandled_signal", 'l', 4, C_RDI, 0x30c + m);
	code_current(&c, C_RAX, 0x4000);
	code_load(&c, 4, C_RAX, C_RAX, 0x308 + m);
	code_ret(&c);
	synth_function(s, "get_current_pid", c.b, c.n);
	c.n = 0;
	code_current(&c, C_RCX, 0x4000);
	code_load(&c, 8, C_RDI, C_RCX, 0x310 + m);
	code_ret(&c);
	synth_function(s, "sys_getppid", c.b, c.n);
	for (unsigned i = 0; i < 2; i++) {
		c.n = 0;
		code_current(&c, C_RAX, 0x4000);
		code_load(&c, 8, C_RDX, C_RAX, 0x4a8 + m);
		code_load(&c, 4, C_RSI, C_RDX, (i ? 0x18 : 8) + m);
		code_ret(&c);
		synth_function(s, i ? "sys_geteuid" : "sys_getuid", c.b, c.n);
	}
}

void synth_kernel(struct synth *s, enum synth_layout layout, int32_t m)
{
	struct code c = { .n = 0 };
	synth_begin(s, layout);
	kernel_tasks(s, m);
	simple(s, "tty_name", 'a', 8, C_RDI, 0x138 + m);
	code_load(&c, 8, C_RDX, C_RDI, 0x10 + m);
	code_load(&c, 4, C_RAX, C_RDX, 0x2c + m);
	CODE(&c, "\xc1\xe0\x14"); /* shl eax, 20 */
	code_load(&c, 4, C_RCX, C_RDX, 0x30 + m);
	code_load(&c, 4, C_RAX, C_RDI, 0x20 + m);
	code_ret(&c);
	synth_function(s, "tty_devnum", c.b, c.n);
	c.n = 0;
	CODE(&c, "\x80\xbf\x90\x01\0\0\0");   /* cmpb [rdi+0x190], 0 */
	CODE(&c, "\x75\x0a\x85\xd2\x74\x06"); /* jne, test edx, je: both to the end */
	CODE(&c, "\x55");
	code_load(&c, 8, C_RAX, C_RDI, 0x1c0 + m);
	CODE(&c, "\x5d\xc3\x31\xc0\xc3");
	synth_function(s, "pty_write", c.b, c.n);

	c.n = 0;
	CODE(&c, "\xe8\0\0\0\0\xc3"); /* a call at its very entry */
	synth_function(s, "do_exit", c.b, c.n);
	c.n = 0;
	CODE(&c, "\x55\x48\x89\xe5\x90\x90\x48\x85\xff\x75\xf6\xc3"); /* a loop back into the first bytes */
	synth_function(s, "bprm_execve", c.b, c.n);
	c.n = 0;
	CODE(&c, "\x55\x48\x89\xe5\x41\x57\x41\x56\x5e\x5f\x5d\xc3");
	synth_function(s, "d_path", c.b, c.n);
	synth_function(s, "commit_creds", c.b, c.n);
	synth_alias(s, "another_name");
	synth_end(s);
}
