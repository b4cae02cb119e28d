/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_PROBE_H
#define SKEP_PROTO_PROBE_H

#include "proto/hook.h"

/*
 * What the BPF programs (src/bpf) share with who loads them and who reads
 * them. Plain structures only: it is compiled for the BPF machine too.
 */

/* The array map "state": counters of 64 bits, mapped read only by the reader. */
enum probe_state {
	/* 0 .. HOOK_SITE_COUNT-1: records of this site that are lost: no room in
	 * the ring, or begun before its probe was there. */
	PROBE_PLACED = HOOK_SITE_COUNT, /* bitmap of enum hook_site; written once, by the loader */
	PROBE_ABSENT,
	PROBE_STATE_COUNT
};

/* The ring buffer's data area in bytes; a power of two (bpf(2), BPF_MAP_TYPE_RINGBUF). */
#define PROBE_RING (4u << 20)

/* The longest sample: struct ring_entry, struct hook_rec, data. */
#define PROBE_SAMPLE_MAX (24u + 64u + HOOK_DATA_MAX)

#endif
