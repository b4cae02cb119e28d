/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_NOTIFY_COMPOSE_H
#define SKEP_PROC_NOTIFY_COMPOSE_H

#include "proto/proto.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * A notice as text. Its own text is what an intruder wrote, or chose: in JSON it
 * is escaped (base/json), in a mail's body made harmless (base/text), and of a
 * mail's header it gets only printable ASCII, so that no line of it can end.
 */
#define COMPOSE_MAX 8192u

/* Every text field of x ends? */
bool compose_check(const struct notify_notice *x);
/* One line of JSON, with its newline. Returns its length, 0 if it does not fit. */
size_t compose_json(char *buf, size_t cap, const struct notify_notice *x);
/* A whole message (RFC 5322) for `sendmail -i -t`. */
size_t compose_mail(char *buf, size_t cap, const char *to, const struct notify_notice *x);
/* An address that a header can hold as it is: one, without a name. */
bool compose_address_ok(const char *to);

#endif
