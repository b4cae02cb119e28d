/* SPDX-License-Identifier: ISC */
/*
 * What guest root reads of its own kernel is what it would read without hooks.
 *
 * Code: /dev/mem and /proc/kcore copy it with copy_from_kernel_nofault; the bytes
 * that we replaced are put back in the copy.
 *
 * Stacks: a task that sleeps in a hooked function has a frame of its wrapper on
 * its stack, outside the kernel's text, at which the kernel's walk would end:
 * /proc/PID/stack would be too short. Before it walks, each function that was called
 * from a wrapper is made to look as if it had been called by the wrapper's caller:
 * its saved frame pointer and its return address become those that the wrapper's
 * frame has. Afterwards they are put back; nothing runs in between. The walk of a
 * task's own stack (an oops, a warning) is left alone, and ends at a wrapper.
 *
 * Processes: a guest process begins as a copy of the kernel's host process. When
 * it executes its first program User Mode Linux takes away what is mapped below its
 * own two pages, 512 GiB high; libraries, stack and environment of the host
 * process are above, where any program of the guest could read them. They are
 * taken away in the same moment.
 *
 * None of this stops a module that reads memory by itself.
 */
#include "shim/wrap.h"

/* (to, from, bytes) */
WRAP(KERNEL_READ)
{
	word ret = CALL_ORIG(KERNEL_READ, a, b, c, d);
	if (!ret)
		hook_hide((void *)a, b, (size_t)c);
	return ret;
}

/* Right behind the task's state, since Linux 5.14; what it points to says
 * whether it is. */
#define TASK_STACK 8

static word stack_of(word task)
{
	word stack = load_word(task + TASK_STACK), size = hook_plan->thread_size;
	return stack >= hook_plan->base && !(stack & (size - 1)) && load_word(stack) == task ? stack : 0;
}

struct frame {
	word at; /* where its return address stands, behind the saved frame pointer */
	word frame, ret;
};

static bool is_wrapper(word ret)
{
	return ret >= (word)__start_wrappers && ret < (word)__stop_wrappers;
}

/* Frames of functions that wrappers called; at most `most` of them. */
static unsigned skip_wrappers(word stack, struct frame *was, unsigned most)
{
	const word end = stack + hook_plan->thread_size - 2 * sizeof(word);
	unsigned n = 0;
	for (word at = stack + 2 * sizeof(word); at < end && n < most; at += sizeof(word)) {
		word frame, ret;
		if (!is_wrapper(load_word(at)))
			continue;
		frame = load_word(at - sizeof(word)); /* the wrapper's own: further up */
		if (frame <= at || frame > end || (frame & 7))
			continue;
		ret = load_word(frame + sizeof(word));
		if (ret < hook_plan->text || ret >= hook_plan->text_end)
			continue;
		was[n++] = (struct frame){ at, frame, load_word(at) };
		((word *)at)[-1] = load_word(frame);
		((word *)at)[0] = ret;
	}
	return n;
}

/* (task, callbacks, their argument) */
WRAP(STACK)
{
	enum { MOST = 8 }; /* one inside the other */
	struct frame was[MOST];
	word stack = a && a != current_task() ? stack_of(a) : 0;
	if (!stack)
		return CALL_ORIG(STACK, a, b, c, d);
#ifdef MUTANT_SHIM_CUTS_STACKS
	return CALL_ORIG(STACK, a, b, c, d);
#endif
	unsigned n = skip_wrappers(stack, was, MOST);
	word ret = CALL_ORIG(STACK, a, b, c, d);
	while (n--) {
		((word *)was[n].at)[-1] = was[n].frame;
		((word *)was[n].at)[0] = was[n].ret;
	}
	return ret;
}

/* (host process, address, bytes, whether to do all that is due now, what is due):
 * all that a program can map goes. */
WRAP(UNMAP)
{
	enum { STUB = 2 * 4096 };           /* User Mode Linux's pages, at the end of what the guest can use */
	const word top = 0x7ffffffff000;    /* of a host process */
	const word whole = (word)256 << 30; /* no guest's program unmaps so much with one call */
	if (!b && d && c > whole && c + STUB < top) {
#ifndef MUTANT_SHIM_LEAVES_HOST
		word ret = CALL_ORIG5(UNMAP, a, c + STUB, top - (c + STUB), 0, e);
		if ((int32_t)ret)
			return ret;
#endif
	}
	return CALL_ORIG5(UNMAP, a, b, c, d, e);
}
