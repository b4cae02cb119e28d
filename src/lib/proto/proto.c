/* SPDX-License-Identifier: ISC */
#include "proto/proto.h"

#include <errno.h>

static const struct proto_rule rules[MSG_COUNT] = {
#define X(n, type, tail, nfds, sender, receiver, st)                                                                   \
	[MSG_##n] = { .name = #n,                                                                                      \
		      .min = sizeof(struct type),                                                                      \
		      .max = sizeof(struct type) + (tail),                                                             \
		      .fds = (nfds),                                                                                   \
		      .from = ROLE_##sender,                                                                           \
		      .to = ROLE_##receiver,                                                                           \
		      .states = (st) },
	MESSAGES(X)
#undef X
};

static const char *const machine_states[MACHINE_STATE_COUNT] = { "absent", "stopped",  "starting", "running",
								 "paused", "stopping", "failed" };

const char *seeing_name(unsigned s)
{
	static const char *const names[SEEING_COUNT] = { "-", "off", "hooks", "probes", "absent", "tampered" };
	return s < SEEING_COUNT ? names[s] : "?";
}

const char *machine_state_name(unsigned s)
{
	return s < MACHINE_STATE_COUNT ? machine_states[s] : "?";
}

const struct proto_rule *proto_rule(uint32_t type)
{
	return type > MSG_NONE && type < MSG_COUNT ? &rules[type] : 0;
}

int proto_check(uint32_t type, uint32_t len, int nfds, enum role from, enum role to, unsigned state, struct err *e)
{
	const struct proto_rule *r = proto_rule(type);
	if (!r)
		return err_set(e, -EPROTO, "unknown message %u from %s", type, role_name(from));
#ifndef MUTANT_PROTO_ANY_SENDER
	if (r->from != from || r->to != to)
		return err_set(e, -EPROTO, "%s is not for %s to send to %s", r->name, role_name(from), role_name(to));
#endif
	if (len < r->min || len > r->max)
		return err_set(e, -EPROTO, "%s of %u bytes, expected %u to %u", r->name, len, r->min, r->max);
	if (nfds > r->fds)
		return err_set(e, -EPROTO, "%s with %d fds, at most %u expected", r->name, nfds, r->fds);
	if (!(r->states & state))
		return err_set(e, -EPROTO, "%s is not legal now", r->name);
	return 0;
}
