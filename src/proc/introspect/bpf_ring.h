/* SPDX-License-Identifier: ISC */
#ifndef SKEP_INTROSPECT_BPF_RING_H
#define SKEP_INTROSPECT_BPF_RING_H

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a BPF ring buffer through its memory alone: bpf(2) is not among the
 * calls that the introspect process may make. Format: Documentation/bpf/ringbuf.rst
 * and kernel/bpf/ringbuf.c. One page with the consumer's position (ours to
 * write), one with the producer's, then the data, mapped twice in a row, so that no
 * sample ever wraps. A sample: u32 length and two flags, u32 that is not for
 * us, the bytes, and padding to 8.
 */
struct bpf_ring {
	volatile uint64_t *consumer;
	const volatile uint64_t *producer;
	const uint8_t *data; /* 2 * size bytes */
	uint64_t pos;        /* ours */
	uint32_t size;       /* power of two */
	void *map[2];        /* consumer's page; the others */
	size_t maplen[2];
};

/* Maps the ring of `size` bytes; the fd stays the caller's and may be closed.
 * Goes on where the last reader released. */
int bpf_ring_open(struct bpf_ring *r, int fd, uint32_t size, struct err *e);
void bpf_ring_close(struct bpf_ring *r);

/* The next sample: 1 and *p, *n (inside the ring, until bpf_ring_release); 0: none yet.
 * -EBADMSG: it makes no sense, and nothing of it can be read any more. */
int bpf_ring_next(struct bpf_ring *r, const uint8_t **p, uint32_t *n);
/* Frees everything that bpf_ring_next returned up to now. */
void bpf_ring_release(struct bpf_ring *r);

#endif
