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
/* HOOK_HELLO; before the guest's kernel runs, so there is no task. */
void out_hello(uint64_t placed, uint64_t absent);

#endif
