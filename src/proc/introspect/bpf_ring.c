/* SPDX-License-Identifier: ISC */
#include "proc/introspect/bpf_ring.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#define BUSY (UINT32_C(1) << 31) /* BPF_RINGBUF_BUSY_BIT: still being written */
#define DISCARD (UINT32_C(1) << 30)
#define HEADER 8u

int bpf_ring_open(struct bpf_ring *r, int fd, uint32_t size, struct err *e)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	*r = (struct bpf_ring){ .size = size, .maplen = { page, page + 2 * (size_t)size } };
	r->map[0] = mmap(NULL, r->maplen[0], PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->map[0] == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the BPF ring buffer");
	r->map[1] = mmap(NULL, r->maplen[1], PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (r->map[1] == MAP_FAILED) {
		int code = -errno;
		munmap(r->map[0], r->maplen[0]);
		return err_sys(e, code, "cannot map the BPF ring buffer");
	}
	r->consumer = r->map[0];
	r->producer = r->map[1];
	r->data = (const uint8_t *)r->map[1] + page;
	r->pos = *r->consumer;
	return 0;
}

void bpf_ring_close(struct bpf_ring *r)
{
	for (unsigned i = 0; i < 2; i++)
		if (r->map[i])
			munmap(r->map[i], r->maplen[i]);
	*r = (struct bpf_ring){ 0 };
}

int bpf_ring_next(struct bpf_ring *r, const uint8_t **p, uint32_t *n)
{
	for (;;) {
		uint64_t end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE), have = end - r->pos;
		if (have == 0)
			return 0;
#ifndef MUTANT_BPF_RING_TRUST
		/* Backwards, or more than fits. */
		if (have > r->size || have < HEADER || r->pos % 8)
			return -EBADMSG;
#endif
		const uint8_t *at = r->data + (r->pos & (r->size - 1));
		uint32_t len = __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
		if (len & BUSY)
			return 0;
		uint64_t step = (HEADER + (uint64_t)(len & ~DISCARD) + 7) & ~UINT64_C(7);
#ifndef MUTANT_BPF_RING_TRUST
		if (step > have)
			return -EBADMSG;
#endif
		r->pos += step;
		if (len & DISCARD)
			continue;
		*p = at + HEADER;
		*n = len;
		return 1;
	}
}

void bpf_ring_release(struct bpf_ring *r)
{
	__atomic_store_n(r->consumer, r->pos, __ATOMIC_RELEASE);
}
