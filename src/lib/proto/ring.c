/* SPDX-License-Identifier: ISC */
#include "proto/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static bool size_ok(uint64_t size)
{
	return size >= RING_MIN && size <= RING_MAX && !(size & (size - 1));
}

int ring_create(uint32_t size, struct err *e)
{
	if (!size_ok(size))
		return err_set(e, -EINVAL, "ring of %u bytes: must be a power of two, 64 KiB to 1 GiB", size);
	int fd = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_sys(e, -errno, "cannot create a ring's memory");
	struct ring_shm init = { .magic = RING_MAGIC, .size = size };
	if (ftruncate(fd, (off_t)RING_DATA + size) < 0 || pwrite(fd, &init, sizeof(init), 0) != (ssize_t)sizeof(init) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		int r = err_sys(e, -errno, "cannot size a ring of %u bytes", size);
		close(fd);
		return r;
	}
	return fd;
}

/* A ring must be sealed, or the other side could shrink it under us (SIGBUS). */
static struct ring_shm *map(int fd, uint32_t *size, struct err *e)
{
	enum { NEED = F_SEAL_SHRINK | F_SEAL_GROW };
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & NEED) != NEED || fstat(fd, &st) < 0 || !size_ok((uint64_t)st.st_size - RING_DATA)) {
		err_set(e, -EBADMSG, "fd %d is not a sealed ring", fd);
		return NULL;
	}
	struct ring_shm *shm = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED) {
		err_sys(e, -errno, "cannot map a ring");
		return NULL;
	}
	*size = (uint32_t)(st.st_size - RING_DATA);
	if (shm->magic != RING_MAGIC || shm->size != *size) {
		munmap(shm, (size_t)st.st_size);
		err_set(e, -EBADMSG, "fd %d is not a ring", fd);
		return NULL;
	}
	return shm;
}

int ring_writer_open(struct ring_writer *w, int fd, int wakefd, struct err *e)
{
	uint32_t size;
	struct err mine;
	struct ring_shm *shm = map(fd, &size, e ? e : &mine);
	if (!shm)
		return e ? e->code : mine.code;
	*w = (struct ring_writer){ .shm = shm, .data = (uint8_t *)shm + RING_DATA, .size = size, .wakefd = wakefd };
	w->head = atomic_load(&shm->head);
	/* All places are multiples of 8; a consumer that says otherwise would
	 * make us write past the end. */
	if (w->head & 7) {
		ring_writer_close(w);
		return err_set(e, -EBADMSG, "fd %d is a broken ring", fd);
	}
	return 0;
}

void ring_writer_close(struct ring_writer *w)
{
	if (w->shm)
		munmap(w->shm, (size_t)RING_DATA + w->size);
	w->shm = NULL;
}

size_t ring_free(const struct ring_writer *w)
{
	uint64_t used = w->head - atomic_load_explicit(&w->shm->tail, memory_order_acquire);
	/* A consumer that lies about tail gets a full ring, never an overrun. */
	return used > w->size ? 0 : (size_t)(w->size - used);
}

void *ring_reserve(struct ring_writer *w, uint16_t kind, uint16_t port, uint64_t time, size_t payload)
{
	size_t len = sizeof(struct ring_entry) + payload, need = padded(len);
	if (len > RING_ENTRY_MAX)
		return NULL;
	size_t at = (size_t)(w->head & (w->size - 1)), rest = w->size - at;
	size_t pad = rest < need ? rest : 0;
	if (ring_free(w) < need + pad)
		return NULL;
	if (pad) {
		/* rest is a multiple of 8 and may be smaller than a header: the
		 * reader knows by the length alone. */
		uint32_t n = (uint32_t)pad;
		uint16_t k = RING_PAD;
		memcpy(w->data + at, &n, sizeof(n));
		memcpy(w->data + at + sizeof(n), &k, sizeof(k));
		w->head += pad;
		at = 0;
	}
	w->reserved = (uint32_t)need;
#ifdef MUTANT_RING_PUBLISH_EARLY
	atomic_store_explicit(&w->shm->head, w->head + need, memory_order_release);
#endif
	struct ring_entry h = { .len = (uint32_t)len, .kind = kind, .port = port, .seq = w->seq + 1, .time = time };
	memcpy(w->data + at, &h, sizeof(h));
	return w->data + at + sizeof(h);
}

void ring_publish(struct ring_writer *w)
{
	w->head += w->reserved;
	w->reserved = 0;
	w->seq++;
	atomic_store_explicit(&w->shm->head, w->head, memory_order_release);
	/* Pairs with the fence in ring_sleep: either we see asleep, or the
	 * consumer sees the new head. */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&w->shm->asleep, memory_order_relaxed) &&
	    atomic_exchange_explicit(&w->shm->asleep, 0, memory_order_relaxed)) {
		uint64_t one = 1;
		if (write(w->wakefd, &one, sizeof(one)) < 0) {
			/* EAGAIN: the counter is full, so it is readable anyway. */
		}
	}
}

int ring_stopped(const struct ring_writer *w)
{
	int32_t s = atomic_load_explicit(&w->shm->stop, memory_order_relaxed);
	return s > 0 ? -s : s;
}

int ring_reader_open(struct ring_reader *r, int fd, struct err *e)
{
	uint32_t size;
	struct err mine;
	struct ring_shm *shm = map(fd, &size, e ? e : &mine);
	if (!shm)
		return e ? e->code : mine.code;
	*r = (struct ring_reader){ .shm = shm, .data = (const uint8_t *)shm + RING_DATA, .size = size };
	r->tail = r->released = r->seen = atomic_load(&shm->tail);
	/* All places are multiples of 8; else a header could lie across the end. */
	if (r->tail & 7) {
		ring_reader_close(r);
		return err_set(e, -EBADMSG, "fd %d is a broken ring", fd);
	}
	return 0;
}

void ring_reader_close(struct ring_reader *r)
{
	if (r->shm)
		munmap(r->shm, (size_t)RING_DATA + r->size);
	r->shm = NULL;
}

int ring_next(struct ring_reader *r, struct ring_entry *h, const uint8_t **payload)
{
	for (;;) {
		if (r->seen == r->tail) {
			r->seen = atomic_load_explicit(&r->shm->head, memory_order_acquire);
			if (r->seen == r->tail)
				return 0;
		}
#ifdef MUTANT_RING_TRUST_TAIL
		r->released = atomic_load(&r->shm->tail);
#endif
		/* Bounded by what we gave free, not by what the producer says. */
		if (r->seen - r->released > r->size || r->seen < r->tail || (r->seen & 7))
			return -EBADMSG;
		uint64_t have = r->seen - r->tail;
		size_t at = (size_t)(r->tail & (r->size - 1)), rest = r->size - at;
		uint32_t len;
		uint16_t kind;
		memcpy(&len, r->data + at, sizeof(len));
		memcpy(&kind, r->data + at + sizeof(len), sizeof(kind));
		if (kind == RING_PAD) {
			if (len != rest || len > have)
				return -EBADMSG;
			r->tail += len;
			continue;
		}
		if (rest < sizeof(*h) || have < sizeof(*h))
			return -EBADMSG;
		memcpy(h, r->data + at, sizeof(*h));
		if (h->kind == RING_PAD || h->len < sizeof(*h) || h->len > RING_ENTRY_MAX || padded(h->len) > have ||
		    h->len > rest)
			return -EBADMSG;
		*payload = r->data + at + sizeof(*h);
		r->tail += padded(h->len);
		return 1;
	}
}

void ring_release(struct ring_reader *r)
{
	r->released = r->tail;
	atomic_store_explicit(&r->shm->tail, r->tail, memory_order_release);
}

bool ring_sleep(struct ring_reader *r)
{
	atomic_store_explicit(&r->shm->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&r->shm->head, memory_order_acquire) != r->tail) {
		atomic_store_explicit(&r->shm->asleep, 0, memory_order_relaxed);
		return false;
	}
	return true;
}

void ring_awake(struct ring_reader *r)
{
	atomic_store_explicit(&r->shm->asleep, 0, memory_order_relaxed);
}

void ring_stop(struct ring_reader *r, int code)
{
	atomic_store_explicit(&r->shm->stop, code, memory_order_release);
	/* Pairs with the fence in ring_publish: a producer that looks at `stop`
	 * after it published sees it, or we see what it published. */
	atomic_thread_fence(memory_order_seq_cst);
}
