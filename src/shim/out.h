/* SPDX-License-Identifier: ISC */
#ifndef SKEP_SHIM_OUT_H
#define SKEP_SHIM_OUT_H

#include "shim/hook.h"

/*
 * Writing records: out_begin, fill o.data, out_end. Nothing between the two may
 * sleep, and the guest's interrupts are off.
 */
struct out {
	struct hook_rec *rec; /* filled by out_begin, ret and flags 0 */
	uint8_t *data;        /* o.room bytes in the ring */
	size_t room;
	int irq;
};

/* Maps the ring. False if fd is none. */
bool out_open(int fd);
/* Room for a record with up to `most` bytes of data. False if there is none: it
 * counts as lost, with `least` bytes of data; nothing else is to be done. */
bool out_begin(struct out *o, enum hook_type type, size_t least, size_t most);
/* Publishes it with the first `used` bytes of data. */
void out_end(struct out *o, size_t used);

/* HOOK_TTY of n bytes. In a batch of the task that runs, what comes from the
 * same struct tty_struct becomes one record, which is published at its end. */
void out_tty(word from, uint32_t tty, uint32_t dir, const uint8_t *p, size_t n);
/* The usual case of it: false if there is no such record that has room. */
bool out_append(word from, const uint8_t *p, size_t n);
void out_batch_begin(void);
void out_batch_end(void);
/* Publishes what a batch holds back. */
void out_flush(void);
/* HOOK_HELLO; before the guest's kernel runs, so there is no task. */
void out_hello(uint64_t placed, uint64_t absent);

#endif
