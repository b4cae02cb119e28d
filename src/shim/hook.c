/* SPDX-License-Identifier: ISC */
/*
 * Placing the hooks. Theory of operation:
 *
 * The jail may give us two more fds: a ring (6), and a plan of this very kernel
 * (7; lib/proto/hook.h). Without both we change nothing. The plan names kernel
 * functions and how many whole, position-independent instructions (at least 5
 * bytes) stand at their beginning. For each that we have a wrapper for:
 *
 *   the function:  jmp slot ........ rest of the function
 *   slot:          jmp *wrapper      (the wrapper is too far away for a jump of 5 bytes)
 *   slot + 16:     the replaced instructions; jmp to the rest
 *
 * The slots lie below the kernel's text, in an address range that User Mode
 * Linux uses for nothing: the guest's physical memory and its vmalloc area are
 * above. All is written before the kernel's main runs and never changes again;
 * code is never writable and executable at once.
 *
 * A hook is placed only if the bytes that the plan expects are there and all
 * members that the wrapper reads are known: what is missing is told by HOOK_HELLO
 * as absent, and nothing else happens.
 *
 * The fds stay open, and close(2) of them does nothing: a guest that restarts
 * executes its kernel anew in this process, and we come back. Guest processes
 * begin as copies of this one; they inherit neither slots nor plan nor ring.
 */
#include "shim/hook.h"

#include "shim/out.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT 64u
#define SLOT_ORIG 16u
#define JUMP 5u

const struct hook_plan *hook_plan;
word hook_orig[HOOK_SITE_COUNT];

static bool holding;
static word lowest, highest; /* of the placed sites: most reads of kernel memory are elsewhere */

bool hook_holds(int fd)
{
	return holding && (fd == FD_RING || fd == FD_PLAN);
}

static const struct hook_plan *map_plan(int fd)
{
	struct stat st;
	if (syscall(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(struct hook_plan))
		return NULL;
	const struct hook_plan *p = mmap(NULL, sizeof(*p), PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise((void *)p, sizeof(*p), MADV_DONTFORK);
	if (p->magic == HOOK_PLAN_MAGIC && p->size == sizeof(*p) && p->thread_size >= 4096 &&
	    !(p->thread_size & (p->thread_size - 1)) && p->text < p->text_end && p->text >= p->base)
		return p;
	munmap((void *)p, sizeof(*p));
	return NULL;
}

/* Records name their task and keep interrupts out: no hook without. */
static bool basics_known(void)
{
	return hook_plan->call[HOOK_CALL_SET_SIGNALS] && known(HOOK_OFF_TASK_PID) && known(HOOK_OFF_TASK_TGID) &&
	       known(HOOK_OFF_TASK_COMM) && known(HOOK_OFF_TASK_CRED) && known(HOOK_OFF_CRED_UID) &&
	       known(HOOK_OFF_CRED_EUID);
}

static bool needs_known(const uint16_t *needs)
{
	for (; *needs != HOOK_OFF_NONE; needs++)
		if (hook_plan->off[*needs] == HOOK_OFF_NONE)
			return false;
	return true;
}

static bool fits(enum hook_site s)
{
	const struct hook_place *p = &hook_plan->site[s];
	return hook_wrapper[s] && p->addr >= hook_plan->text && p->addr + sizeof(p->orig) <= hook_plan->text_end &&
	       p->keep >= JUMP && p->keep <= sizeof(p->orig) && !memcmp((const void *)p->addr, p->orig, p->keep) &&
	       needs_known(hook_needs[s]);
}

static void *near_memory(size_t n)
{
	for (word at = hook_plan->base - (1u << 20); at > hook_plan->base - (256u << 20); at -= 1u << 20) {
		void *p = mmap((void *)at, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			       -1, 0);
		if (p == (void *)at)
			return p;
		if (p != MAP_FAILED)
			munmap(p, n);
	}
	return NULL;
}

static void put_jump(uint8_t *at, word from, word to)
{
	int32_t rel = (int32_t)(to - (from + JUMP));
	at[0] = 0xe9;
	memcpy(at + 1, &rel, sizeof(rel));
}

static void fill_slot(uint8_t *slot, enum hook_site s)
{
	static const uint8_t far_jump[6] = { 0xff, 0x25, 0, 0, 0, 0 }; /* jmp *0(%rip) */
	const struct hook_place *p = &hook_plan->site[s];
	memcpy(slot, far_jump, sizeof(far_jump));
	memcpy(slot + sizeof(far_jump), &hook_wrapper[s], sizeof(word));
	memcpy(slot + SLOT_ORIG, p->orig, p->keep);
	put_jump(slot + SLOT_ORIG + p->keep, (word)slot + SLOT_ORIG + p->keep, p->addr + p->keep);
	hook_orig[s] = (word)slot + SLOT_ORIG;
}

/* The host's kernel writes into a registered area whenever it puts a process on a
 * processor, and kills one that has it no more: guest processes inherit it, and
 * lose it (wrap_hide.c). */
static bool forget_rseq(void)
{
	enum { UNREGISTER = 1 };
	if (!__rseq_size)
		return true;
	void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
	return !syscall(SYS_rseq, area, 32, UNREGISTER, RSEQ_SIG);
}

static uint64_t place(void)
{
	_Static_assert(HOOK_SITE_COUNT * SLOT <= 4096, "one page of slots");
	_Static_assert(SLOT_ORIG + sizeof(((struct hook_place *)0)->orig) + JUMP <= SLOT, "a slot holds it all");
	word first = hook_plan->text & ~(word)4095, end = (hook_plan->text_end + 4095) & ~(word)4095;
	uint8_t *slots = near_memory(4096);
	if (!slots)
		return 0;
	madvise(slots, 4096, MADV_DONTFORK);
	memset(slots, 0xcc, 4096);
	uint64_t placed = 0;
	for (unsigned s = 0; s < HOOK_SITE_COUNT; s++)
		if (fits(s) && (s != HOOK_SITE_UNMAP || forget_rseq())) {
			fill_slot(slots + s * SLOT, s);
			placed |= UINT64_C(1) << s;
		}
	if (mprotect(slots, 4096, PROT_READ | PROT_EXEC) < 0 ||
	    mprotect((void *)first, end - first, PROT_READ | PROT_WRITE) < 0)
		return 0;
	for (unsigned s = 0; s < HOOK_SITE_COUNT; s++)
		if (placed >> s & 1) {
			word at = hook_plan->site[s].addr;
			put_jump((uint8_t *)at, at, (word)(slots + s * SLOT));
			lowest = !lowest || at < lowest ? at : lowest;
			highest = at > highest ? at : highest;
		}
	/* A kernel that cannot run its own code is dead either way. */
	if (mprotect((void *)first, end - first, PROT_READ | PROT_EXEC) < 0)
		syscall(SYS_exit_group, 1);
	return placed;
}

void hook_hide(void *dst, word src, size_t n)
{
	if (src > highest + JUMP || src + n <= lowest)
		return;
#ifdef MUTANT_SHIM_SHOWS_HOOKS
	return;
#endif
	for (unsigned s = 0; s < HOOK_SITE_COUNT; s++) {
		if (!hook_orig[s])
			continue;
		word at = hook_plan->site[s].addr;
		for (unsigned i = 0; i < JUMP; i++)
			if (at + i >= src && at + i < src + n)
				((uint8_t *)dst)[at + i - src] = hook_plan->site[s].orig[i];
	}
}

void hook_init(void)
{
	const struct hook_plan *p = map_plan(FD_PLAN);
	if (!p || !out_open(FD_RING))
		return;
	holding = true;
	hook_plan = p;
	uint64_t all = (UINT64_C(1) << HOOK_SITE_COUNT) - 1;
	uint64_t placed = basics_known() ? place() : 0;
	if (!placed)
		memset(hook_orig, 0, sizeof(hook_orig));
	out_hello(placed, all & ~placed);
}
