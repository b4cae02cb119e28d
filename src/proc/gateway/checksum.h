/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_CHECKSUM_H
#define SKEP_PROC_GATEWAY_CHECKSUM_H

#include "proc/gateway/frame.h"

/* The Internet checksum (RFC 1071). A sum over data that contains its own
 * checksum folds to 0xffff. */
uint32_t checksum_add(uint32_t sum, const void *p, size_t n);
uint16_t checksum_fold(uint32_t sum);

/* Pseudo header of TCP, UDP and ICMPv6 (RFC 793, RFC 8200 section 8.1). */
uint32_t checksum_pseudo(const struct tuple *t, uint32_t len);

#endif
