/* SPDX-License-Identifier: ISC */
/*
 * The producer of the ring. Theory of operation:
 *
 * A record is built in place, in the ring, and becomes visible by one release
 * store of `head` (lib/proto/ring.h): whenever this process is killed, a record
 * is there or it is not. Nobody is woken and nobody is waited for: the guest
 * must not be able to tell by the time that a call takes whether somebody
 * listens, and a reader that sleeps must not stop it.
 *
 * What does not fit is lost, and is counted: `lost` says how many records and
 * bytes, untold so far. They are told by a RING_NOTE in front of the next record that
 * fits. Until then they stand in the ring's header, where a reader finds them
 * if no further record comes.
 *
 * A program's write of 4 KiB to its terminal can be two hundred writes of lines and
 * line ends to the terminal's driver, a fifth of a microsecond each; a record for
 * each would cost as much again. So what one call of the line discipline writes is
 * a batch: its record stays open, at the head of the ring, and is published when
 * that call returns or waits, or when anything else is to be recorded: nobody can
 * have seen the bytes and waited for it in vain. A kill in the middle loses the
 * record of a write that had not returned.
 *
 * One writer at a time: the guest's interrupts (host signals that User Mode Linux
 * defers by a variable) are off from out_begin to out_end. No state is held
 * elsewhere: the guest restarts by executing its kernel anew, and the next life
 * goes on from the header: head, seq, lost.
 */
#include "shim/out.h"

#include "proto/ring.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
	struct ring_shm *shm;
	uint8_t *data;
	uint64_t head, seq;
	uint64_t lost_entries, lost_bytes;
	uint32_t size;
	struct ring_entry *entry; /* between out_begin and out_end */
	bool running;             /* the guest's kernel does: there are tasks */

	word batch; /* the task that is in one; 0 = none */
	bool open;  /* a batch's record, begun and not ended: */
	bool appending;
	struct out tty;
	word from;
	size_t used; /* of its data */
} ring;

bool out_open(int fd)
{
	struct stat st;
	if (syscall(SYS_fstat, fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < (off_t)(RING_DATA + RING_MIN))
		return false;
	uint64_t size = (uint64_t)st.st_size - RING_DATA;
	if (size > RING_MAX || (size & (size - 1)))
		return false;
	struct ring_shm *shm = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shm == MAP_FAILED)
		return false;
	uint64_t head = atomic_load_explicit(&shm->head, memory_order_relaxed);
	if (shm->magic != RING_MAGIC || shm->size != size || (head & 7)) {
		munmap(shm, (size_t)st.st_size);
		return false;
	}
	/* A guest process begins as a copy of this one. */
	madvise(shm, (size_t)st.st_size, MADV_DONTFORK);
	ring.shm = shm;
	ring.data = (uint8_t *)shm + RING_DATA;
	ring.size = (uint32_t)size;
	ring.head = head;
	ring.seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	ring.lost_entries = atomic_load_explicit(&shm->lost_entries, memory_order_relaxed);
	ring.lost_bytes = atomic_load_explicit(&shm->lost_bytes, memory_order_relaxed);
	return true;
}

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* Contiguous room for an entry of `len` bytes; NULL if there is none now. */
static struct ring_entry *reserve(size_t len)
{
	size_t need = padded(len), at = (size_t)(ring.head & (ring.size - 1)), rest = ring.size - at;
	uint64_t used = ring.head - atomic_load_explicit(&ring.shm->tail, memory_order_acquire);
	size_t pad = rest < need ? rest : 0;
	if (used > ring.size || ring.size - used < need + pad)
		return NULL;
	if (pad) {
		uint32_t n = (uint32_t)pad;
		uint16_t kind = RING_PAD;
		memcpy(ring.data + at, &n, sizeof(n));
		memcpy(ring.data + at + sizeof(n), &kind, sizeof(kind));
		ring.head += pad;
		at = 0;
	}
	return (struct ring_entry *)(ring.data + at);
}

static void publish(struct ring_entry *e)
{
	ring.head += padded(e->len);
	atomic_store_explicit(&ring.shm->seq, ring.seq, memory_order_relaxed);
	atomic_store_explicit(&ring.shm->head, ring.head, memory_order_release);
}

static void set_lost(uint64_t entries, uint64_t bytes)
{
	ring.lost_entries = entries;
	ring.lost_bytes = bytes;
	atomic_store_explicit(&ring.shm->lost_entries, entries, memory_order_relaxed);
	atomic_store_explicit(&ring.shm->lost_bytes, bytes, memory_order_relaxed);
}

static uint64_t host_time(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t guest_time(void)
{
	struct timespec t = { 0, 0 }; /* struct timespec64 of the guest's kernel is the same */
	word fn = hook_plan->call[HOOK_CALL_KTIME_REAL];
	if (!fn)
		return 0;
	((void (*)(struct timespec *))fn)(&t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int set_signals(int on)
{
	return ((int (*)(int))hook_plan->call[HOOK_CALL_SET_SIGNALS])(on);
}

static bool tell_loss(uint64_t now)
{
	if (!ring.lost_entries)
		return true;
	struct ring_entry *e = reserve(sizeof(*e) + sizeof(struct ring_note));
	if (!e)
		return false;
	struct ring_note note = { ring.lost_entries, ring.lost_bytes };
	*e = (struct ring_entry){ .len = sizeof(*e) + sizeof(note), .kind = RING_NOTE, .seq = ring.seq, .time = now };
	memcpy(e + 1, &note, sizeof(note));
	/* First forget, then publish: a kill between the two loses a count, the
	 * other way round one would be told twice. */
	set_lost(0, 0);
#ifndef MUTANT_SHIM_LOSS_SILENT
	publish(e);
#endif
	return true;
}

static void who(struct hook_rec *r)
{
	word task = current_task();
	r->task = task;
	r->tid = load_u32(FIELD(task, TASK_PID));
	r->tgid = load_u32(FIELD(task, TASK_TGID));
	memcpy(r->comm, (const void *)FIELD(task, TASK_COMM), sizeof(r->comm));
	word parent = known(HOOK_OFF_TASK_REAL_PARENT) ? load_word(FIELD(task, TASK_REAL_PARENT)) : 0;
	if (parent)
		r->ppid = load_u32(FIELD(parent, TASK_TGID));
	word cred = load_word(FIELD(task, TASK_CRED));
	r->uid = load_u32(FIELD(cred, CRED_UID));
	r->euid = load_u32(FIELD(cred, CRED_EUID));
	if (known(HOOK_OFF_TASK_SIGNAL) && known(HOOK_OFF_SIGNAL_TTY)) {
		word signal = load_word(FIELD(task, TASK_SIGNAL));
		word tty = signal ? load_word(FIELD(signal, SIGNAL_TTY)) : 0;
		bool master;
		if (tty)
			r->tty = tty_id(tty, &master);
	}
}

static void end(size_t used)
{
	struct ring_entry *e = ring.entry;
	e->len = (uint32_t)(sizeof(*e) + sizeof(struct hook_rec) + used);
	e->seq = ++ring.seq;
	publish(e);
}

static void close_batch(void)
{
	if (ring.open) {
		ring.open = false;
		ring.tty.rec->ret = (int32_t)(ring.used - sizeof(struct hook_tty));
		end(ring.used);
	}
}

bool out_begin(struct out *o, enum hook_type type, size_t least, size_t most)
{
	const size_t fixed = sizeof(struct ring_entry) + sizeof(struct hook_rec);
	o->irq = ring.running ? set_signals(0) : 0;
	bool nested = ring.appending; /* by an interrupt, where none of the hooked functions runs */
	if (!nested)
		close_batch();
	uint64_t now = host_time();
	struct ring_entry *e = !nested && tell_loss(now) ? reserve(fixed + most) : NULL;
	if (!e) {
		set_lost(ring.lost_entries + 1, ring.lost_bytes + sizeof(struct hook_rec) + least);
		if (ring.running)
			set_signals(o->irq);
		return false;
	}
	*e = (struct ring_entry){ .kind = RING_HOOK, .time = now };
	o->rec = (struct hook_rec *)(e + 1);
	*o->rec = (struct hook_rec){ .type = (uint16_t)type };
	o->data = (uint8_t *)(o->rec + 1);
	o->room = most;
	ring.entry = e;
	if (ring.running) {
		who(o->rec);
		o->rec->gtime = guest_time();
	}
	return true;
}

void out_end(struct out *o, size_t used)
{
	end(used);
	if (ring.running)
		set_signals(o->irq);
}

bool out_append(word from, const uint8_t *p, size_t n)
{
	if (!ring.open || ring.from != from || n > ring.tty.room - ring.used || ring.batch != current_task())
		return false;
	ring.appending = true;
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(ring.tty.data + ring.used, p, n);
	ring.used += n;
	atomic_signal_fence(memory_order_seq_cst);
	ring.appending = false;
	return true;
}

/* One record; n is at most what one takes. */
static void put(word from, const struct hook_tty *h, const uint8_t *p, size_t n)
{
	size_t used = sizeof(*h) + n;
	struct out o;
	/* Room for more, if there is plenty. */
	bool batch = ring.batch == current_task() &&
		     ring.head - atomic_load_explicit(&ring.shm->tail, memory_order_relaxed) < ring.size / 2;
	if (!out_begin(&o, HOOK_TTY, used, batch ? HOOK_DATA_MAX : used))
		return;
	o.rec->ret = (int32_t)n;
	memcpy(o.data, h, sizeof(*h));
	memcpy(o.data + sizeof(*h), p, n);
	if (!batch) {
		out_end(&o, used);
		return;
	}
	ring.open = true;
	ring.tty = o;
	ring.from = from;
	ring.used = used;
	set_signals(o.irq);
}

void out_tty(word from, uint32_t tty, uint32_t dir, const uint8_t *p, size_t n)
{
	const struct hook_tty h = { tty, dir };
	const size_t max = HOOK_DATA_MAX - sizeof(h);
	while (n) {
		size_t part = n < max ? n : max;
		put(from, &h, p, part);
		p += part;
		n -= part;
	}
}

void out_batch_begin(void)
{
	ring.batch = current_task();
}

void out_batch_end(void)
{
	out_flush();
	ring.batch = 0;
}

void out_flush(void)
{
	if (!ring.open)
		return;
	int irq = set_signals(0);
	close_batch();
	set_signals(irq);
}

void out_hello(uint64_t placed, uint64_t absent)
{
	struct out o;
	if (out_begin(&o, HOOK_HELLO, 24, 24)) {
		uint32_t version = 1, zero = 0;
		memcpy(o.data, &version, 4);
		memcpy(o.data + 4, &zero, 4);
		memcpy(o.data + 8, &placed, 8);
		memcpy(o.data + 16, &absent, 8);
		out_end(&o, 24);
	}
	ring.running = true;
}
