/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_DECODE_H
#define SKEP_PROC_GATEWAY_DECODE_H

#include "proc/gateway/frame.h"

#define IP6_EXTENSIONS_MAX 8

/* Fills the decode part of *f from f->bytes. What does not parse is dropped
 * with a reason, and as much is filled in as was understood. */
void decode(struct frame *f);

/* What an ICMP message of this family is for. */
uint8_t icmp_kind(uint8_t family, uint8_t type);

#endif
