/* SPDX-License-Identifier: ISC */
/*
 * A paused machine answers nobody, and its connections would die of it: while it
 * is paused the gateway answers for it where it can.
 *
 * It is told after the machine has stopped and before it runs on, so that nobody
 * answers twice; what arrives in the two gaps waits in the VMM's socket. The
 * gateway that does not know how, or is gone, costs the connections, never the
 * pause.
 */
#include "proc/super/hub.h"

static struct gw_hold body(const struct super *s, const struct machine *m, bool hold)
{
	return (struct gw_hold){ .port = (uint16_t)machine_slot(s, m), .held = hold };
}

int hold_step(struct super *s, struct seq *q, struct machine *m, bool hold, struct err *e)
{
	struct gw_hold x = body(s, m, hold);
	if (!m->port || s->gateway_pid <= 0)
		return SEQ_NEXT;
	m->held = hold;
	return seq_ask(s, q, &s->gateway, MSG_GW_HOLD, &x, sizeof(x), NULL, 0, 5000, e);
}

void hold_tell(struct super *s, struct machine *m, bool hold)
{
	struct gw_hold x = body(s, m, hold);
	bool can = m->port && s->gateway_pid > 0;
	if (can)
		ask(s, &s->gateway, MSG_GW_HOLD, &x, sizeof(x), NULL, 0, 5000, NULL, NULL);
	m->held = hold && can;
}

void hold_failed(struct super *s, struct machine *m, const struct err *e)
{
	m->held = false;
	super_event(s, &m->to, "machine", "skep.machine.not-held", m->hp.name,
		    "the gateway does not keep its connections alive: %.200s", e->text);
}
