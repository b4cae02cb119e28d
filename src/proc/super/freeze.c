/* SPDX-License-Identifier: ISC */
/*
 * The emergency switch of data control.
 *
 * Theory of operation. What is frozen is remembered here, for each machine and
 * for the honeynet; the gateway is only told. It is told at once when an
 * operator asks, and again whenever a port or the gateway itself is new, before
 * any policy, so that neither a reset nor `up` thaws. If the gateway does not
 * answer, the state kept is the strict one: frozen. A dead gateway needs no word,
 * since nothing passes without it.
 */
#include "proc/super/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct change {
	struct reply_to to;
	char honeypot[NAME_CAP]; /* empty: the honeynet */
	bool frozen, news;       /* news: it was not so before */
};

static struct gw_freeze body(uint16_t port, bool frozen)
{
	return (struct gw_freeze){ .port = port, .frozen = frozen };
}

int freeze_machine_step(struct super *s, struct seq *q, struct machine *m, struct err *e)
{
	struct gw_freeze x = body((uint16_t)machine_slot(s, m), m->frozen);
	return seq_ask(s, q, &s->gateway, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0, 0, e);
}

int freeze_honeynet_step(struct super *s, struct seq *q, struct err *e)
{
	struct gw_freeze x = body(GW_FREEZE_ALL, true);
	return s->frozen ? seq_ask(s, q, &s->gateway, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0, 0, e) : SEQ_NEXT;
}

/* Frozen machines, apart from the honeynet's own switch. */
static unsigned frozen_machines(const struct super *s)
{
	unsigned n = 0;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		n += s->machines[i].used && s->machines[i].frozen;
	return n;
}

static void done(struct super *s, const struct change *c, const char *note)
{
	bool all = !c->honeypot[0];
	const char *name = all ? s->name : c->honeypot;
	if (c->news)
		super_event(s, &c->to, "policy", c->frozen ? "skep.policy.frozen" : "skep.policy.thawed",
			    all ? NULL : c->honeypot, "%s%s", all ? "the honeynet is " : "",
			    c->frozen ? "frozen: nothing passes" : "thawed: the policy decides");
	unsigned left = frozen_machines(s);
	if (c->frozen)
		ctl_end(s, &c->to, 0, "%s is frozen%s%s", name, c->news ? "" : " already", note);
	else if (all && left)
		ctl_end(s, &c->to, 0, "%s is thawed; %u of its honeypots stay%s frozen by themselves%s", name, left,
			left == 1 ? "s" : "", note);
	else if (!all && s->frozen)
		ctl_end(s, &c->to, 0, "%s stays frozen with the whole honeynet: `skep thaw %s`", name, s->name);
	else
		ctl_end(s, &c->to, 0, "%s is %s%s", name, c->news ? "thawed" : "not frozen", note);
}

static void on_answer(struct super *s, void *arg, struct answer *a)
{
	struct change *c = arg;
	if (a->more)
		return;
	struct machine *m = c->honeypot[0] ? machine_find(s, c->honeypot) : NULL;
	if (s->gateway_pid <= 0) {
		done(s, c, "; the gateway is dead, nothing passes");
	} else if (a->status == 0 || (m && !m->port)) {
		done(s, c, ""); /* without a port nothing passes, and the next one gets it */
	} else {
		if (m)
			m->frozen = true;
		else if (!c->honeypot[0])
			s->frozen = true;
		ctl_end(s, &c->to, a->status,
			"the gateway has not confirmed it: %s; to be safe, end it with `skep down --force %s`", a->text,
			s->name);
	}
	free(c);
}

void freeze_request(struct super *s, const struct reply_to *to, const char *honeypot, bool frozen)
{
	struct machine *m = *honeypot ? machine_find(s, honeypot) : NULL;
	if (*honeypot && !m) {
		ctl_end(s, to, -ENOENT, "%s has no honeypot %.31s", s->name, honeypot);
		return;
	}
	struct change *c = calloc(1, sizeof(*c));
	if (!c) {
		ctl_end(s, to, -ENOMEM, "out of memory: to be safe, end it with `skep down --force %s`", s->name);
		return;
	}
	/* Whatever a trigger's freeze had set: this is the word that counts. */
	if (m)
		m->react.freeze_until = 0;
	bool *state = m ? &m->frozen : &s->frozen;
	*c = (struct change){ .to = *to, .frozen = frozen, .news = *state != frozen };
	if (m)
		memcpy(c->honeypot, m->hp.name, sizeof(c->honeypot));
	/* Before the answer: a port that is made meanwhile must know. */
	*state = frozen;
	struct answer a = { .text = "" };
	if (s->gateway_pid > 0 && (!m || m->port)) {
		struct gw_freeze x = body(m ? (uint16_t)machine_slot(s, m) : GW_FREEZE_ALL, frozen);
		a.status = ask(s, &s->gateway, MSG_GW_FREEZE, &x, sizeof(x), NULL, 0, 5000, on_answer, c);
		if (a.status == 0)
			return;
		a.text = strerror(-a.status);
	}
	on_answer(s, c, &a);
}
