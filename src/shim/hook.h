/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SHIM_HOOK_H
#define SKEP_SHIM_HOOK_H

#include "proto/hook.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Inside the shim. All of this runs as part of the guest's kernel, on its stacks
 * of 16 KiB, in one host thread that is not preempted; but the guest's
 * "interrupts" are host signals, and a kernel function that sleeps lets others run.
 *
 * A wrapper has its function's own arguments as machine words (what it does not
 * look at it passes on), and calls the original through CALL_ORIG. Signatures
 * are those of Linux 6.1; what is interpreted has not changed since 5.12.
 */
typedef uint64_t word;

#define FD_RING 6
#define FD_PLAN 7

extern const struct hook_plan *hook_plan;                 /* NULL: nothing is hooked */
extern word hook_orig[HOOK_SITE_COUNT];                   /* entry of the copied prologue; 0: not hooked */
extern const word hook_wrapper[HOOK_SITE_COUNT];          /* wrap.c has both tables */
extern const uint16_t *const hook_needs[HOOK_SITE_COUNT]; /* members that it cannot do without; HOOK_OFF_NONE ends */

/* Looks for ring and plan, and places what can be placed. Called once, before
 * the guest's kernel runs. */
void hook_init(void);
/* Is it one of ours, which must stay open? */
bool hook_holds(int fd);
/* Puts the original bytes over those of dst that are copies of our jumps;
 * src: where dst was copied from. */
void hook_hide(void *dst, word src, size_t n);

typedef word (*orig4)(word, word, word, word);
typedef word (*orig5)(word, word, word, word, word);
/* Machine words pass in registers: a function with fewer parameters ignores the rest. */
#define CALL_ORIG(site, ...) ((orig4)hook_orig[HOOK_SITE_##site])(__VA_ARGS__)
#define CALL_ORIG5(site, ...) ((orig5)hook_orig[HOOK_SITE_##site])(__VA_ARGS__)

/* ---- the guest's memory ---- */

static inline bool known(enum hook_offset o)
{
	return hook_plan->off[o] != HOOK_OFF_NONE;
}

#define FIELD(base, name) ((base) + hook_plan->off[HOOK_OFF_##name])

static inline word load_word(word at)
{
	return *(const word *)at;
}
static inline uint32_t load_u32(word at)
{
	return *(const uint32_t *)at;
}
static inline uint16_t load_u16(word at)
{
	return *(const uint16_t *)at;
}

/* The task that runs: its stack's lowest word. */
static inline word current_task(void)
{
	return load_word((word)__builtin_frame_address(0) & ~((word)hook_plan->thread_size - 1));
}

/* The kernel's error pointers are the last page of the address space. */
static inline bool is_error(word pointer)
{
	return pointer >= (word)-4095;
}

/* HOOK_TTY_ID of a struct tty_struct; 0 if it is no terminal that we know. */
uint32_t tty_id(word tty, bool *master);
/* Text of a struct path in buf, which has room for `room` bytes: returns the
 * bytes with the zero, at least 1. *flags |= HOOK_F_*. */
size_t path_text(word mnt, word dentry, char *buf, size_t room, uint16_t *flags);

#endif
