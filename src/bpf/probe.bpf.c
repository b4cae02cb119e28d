/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/*
 * Uprobes on a User Mode Linux kernel: what lib/probe attaches to the host
 * process of one honeypot, so that the guest's own kernel tells what its intruder does.
 *
 * Theory of operation. For each site of the plan there is a program at the
 * function's entry ("e_NAME"), one where it returns ("r_NAME"), or both. Those at the entry put what they
 * will need into a map (by the guest's task, since many tasks may sleep in the
 * same function); those at the return make the record. Returns are plain
 * probes at the plan's `ret` places, never uretprobes: the host keeps those on one
 * stack for a host thread, but this thread switches between the stacks of all guest tasks.
 *
 * All of a guest kernel runs on one host thread, so that the scratch maps have one user.
 * Records go through one scratch buffer into the ring without waking anybody: the reader polls.
 * `time` is CLOCK_MONOTONIC here; the reader makes it realtime (there is no helper for that).
 * gtime stays 0: a BPF program cannot call the guest's clock.
 */
#include "bpf/guest.bpf.h"

char probe_license[] SEC("license") = "Dual BSD/GPL";

#include "bpf/probe_record.bpf.h"
#include "bpf/probe_tty.bpf.h"
#include "bpf/probe_proc.bpf.h"
#include "bpf/probe_file.bpf.h"
#include "bpf/probe_sock.bpf.h"

/* ---- does it work here? --------------------------------------------------------------------- */

SEC("uprobe") int t_TRY(struct regs *ctx)
{
	struct rec *r = scratch_rec();
	if (r) {
		__builtin_memset(&r->h, 0, sizeof(r->h));
		put32(r, 0, ctx->di);
		end(r, 4, 0);
	}
	return 0;
}
