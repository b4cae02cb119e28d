/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_VMM_MCONSOLE_H
#define SKEP_PROC_VMM_MCONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The datagrams of User Mode Linux's management console (Linux arch/um/drivers/
 * mconsole.h, version 2; the machine's own byte order):
 *
 *   request       u32 magic, u32 version, u32 len, char data[512]
 *   reply         u32 err, u32 more, u32 len, char data[len]
 *   notification  u32 magic, u32 version, u32 type, u32 len, char data[len]
 *
 * A reply says nothing about its request; they come in order. Whoever owns the
 * guest's kernel writes replies and notifications: they are hints, never facts.
 */
#define MCONSOLE_DATA 512
#define MCONSOLE_REQUEST (12 + MCONSOLE_DATA)
#define MCONSOLE_MAX (16 + MCONSOLE_DATA) /* longest datagram that means anything */

enum mconsole_kind { MCONSOLE_REPLY, MCONSOLE_READY, MCONSOLE_PANIC, MCONSOLE_OTHER };

struct mconsole_msg {
	enum mconsole_kind kind;
	bool failed, more; /* of a reply */
	char text[MCONSOLE_DATA + 1];
};

/* Writes the request for a command (shorter than 512 bytes) and returns true. */
bool mconsole_request(const char *command, uint8_t out[MCONSOLE_REQUEST]);

/* false: not a datagram of this protocol; *out untouched. */
bool mconsole_parse(const void *p, size_t n, struct mconsole_msg *out);

#endif
