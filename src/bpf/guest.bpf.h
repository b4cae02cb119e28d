/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
#ifndef SKEP_BPF_GUEST_H
#define SKEP_BPF_GUEST_H

/*
 * Reading the guest kernel from a BPF program: its memory is that of the host
 * process that the program runs in, so that bpf_probe_read_user reaches it. Where members stand is in
 * the plan. Nothing that is read is believed: a pointer may lead anywhere in that process and then the
 * read gives zeros, and no loop is longer than its constant.
 */

#include <linux/bpf.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include "proto/probe.h"

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define INLINE static __attribute__((always_inline)) inline

/* So that the verifier sees the bound, whatever the compiler knows. */
#define BOUND(v, mask) asm volatile("%0 &= %1" : "+r"(v) : "i"(mask))
#define BOUNDED(v, mask)                                                                                               \
	({                                                                                                             \
		u64 bounded_ = (v);                                                                                    \
		BOUND(bounded_, mask);                                                                                 \
		bounded_;                                                                                              \
	})

/* arch/x86/include/asm/ptrace.h, struct pt_regs: the context of a uprobe. */
struct regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

/* Filled in before the programs are loaded, constant for the verifier. */
extern const volatile struct hook_plan plan;
#define OFF(name) (plan.off[HOOK_OFF_##name])
#define HAVE(name) (OFF(name) != HOOK_OFF_NONE)

INLINE u64 get64(u64 addr)
{
	u64 v = 0;
	bpf_probe_read_user(&v, sizeof(v), (void *)addr);
	return v;
}
INLINE u32 get32(u64 addr)
{
	u32 v = 0;
	bpf_probe_read_user(&v, sizeof(v), (void *)addr);
	return v;
}
INLINE u16 get16(u64 addr)
{
	u16 v = 0;
	bpf_probe_read_user(&v, sizeof(v), (void *)addr);
	return v;
}

/* A member of the structure at `base`; 0 if the plan does not know it. */
#define MEMBER64(base, name) ((base) && HAVE(name) ? get64((base) + OFF(name)) : 0)
#define MEMBER32(base, name) ((base) && HAVE(name) ? get32((base) + OFF(name)) : 0)
#define MEMBER16(base, name) ((base) && HAVE(name) ? get16((base) + OFF(name)) : 0)

/* struct thread_info stands at the beginning of the kernel's stack; its first
 * member is the task (arch/um/include/asm/thread_info.h). On the interrupt stack
 * there is a copy (arch/um/kernel/irq.c, to_irq_stack). */
INLINE u64 guest_current(const struct regs *ctx)
{
	return get64(ctx->sp & -(u64)plan.thread_size);
}

/* include/linux/tty_driver.h: TTY_DRIVER_TYPE_* */
INLINE u32 guest_tty(u64 tty)
{
	if (!tty)
		return 0;
	u16 type = MEMBER16(MEMBER64(tty, TTY_DRIVER), DRIVER_TYPE);
	u32 index = MEMBER32(tty, TTY_INDEX);
	if (type == 4)
		return HOOK_TTY_ID(HOOK_TTY_PTY, index);
	if (type == 3)
		return HOOK_TTY_ID(HOOK_TTY_SERIAL, index);
	return type == 2 ? HOOK_TTY_ID(HOOK_TTY_CONSOLE, index) : 0;
}

/* PTY_TYPE_MASTER of the same header. */
INLINE int guest_is_master(u64 tty)
{
	return MEMBER16(MEMBER64(tty, TTY_DRIVER), DRIVER_SUBTYPE) == 1;
}

/*
 * User memory of a guest process: three levels of tables (arch/um/include/asm/pgtable-3level.h), physical address 0
 * is where the kernel's file begins. Returns the address in the kernel's process or 0.
 */
INLINE u64 guest_user(u64 pgd, u64 addr)
{
	u64 v = get64(pgd + (addr >> 30 & 511) * 8) & ~0xfffull;
	if (!v)
		return 0;
	v = get64(plan.base + v + (addr >> 21 & 511) * 8) & ~0xfffull;
	if (!v)
		return 0;
	v = get64(plan.base + v + (addr >> 12 & 511) * 8) & ~0xfffull;
	return v ? plan.base + v + (addr & 0xfff) : 0;
}

/* ---- paths ------------------------------------------------------------------ */

#define PATH_DEPTH 64 /* components, and crossings of mounts */
#define PATH_MASK (HOOK_PATH_MAX - 1)

struct path_buf {
	u8 b[HOOK_PATH_MAX + 256];
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct path_buf);
} paths SEC(".maps");

INLINE struct path_buf *path_buf(void)
{
	u32 zero = 0;
	return bpf_map_lookup_elem(&paths, &zero);
}

#endif
