/* SPDX-License-Identifier: ISC */
#include "proc/super/ask.h"

#include "base/log.h"
#include "proc/super/hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int ask(struct super *s, struct chan *c, uint32_t type, const void *body, size_t len, const int *fds, int nfds,
	unsigned timeout_ms, ask_fn fn, void *arg)
{
	struct ask *slot = NULL;
	for (unsigned i = 0; i < ASKS && !slot; i++)
		if (!s->asks.table[i].req)
			slot = &s->asks.table[i];
	if (!slot)
		return -EBUSY;
	uint64_t req = ++s->asks.last;
	int r = msg_send(c, type, req, body, len, fds, nfds);
	if (r < 0)
		return r;
	*slot = (struct ask){ .req = req, .chan = c, .type = type, .fn = fn, .arg = arg };
	slot->deadline = s->ev.now + (timeout_ms ? timeout_ms : 30000) * EV_MS;
	return 0;
}

static void finish(struct super *s, struct ask *k, struct answer *a)
{
	struct ask was = *k;
	if (!a->more)
		k->req = 0;
	if (was.fn)
		was.fn(s, was.arg, a);
}

void ask_answer(struct super *s, struct chan *c, struct msg *m)
{
	struct answer a = { .m = m };
	char text[ERR_TEXT];
	if (m->type == MSG_PRIV_DONE) {
		const struct priv_done *d = MSG_BODY_AS(m, priv_done);
		a.status = d->status;
		memcpy(text, d->text, sizeof(text));
	} else if (m->type == MSG_GW_DONE || m->type == MSG_EV_DONE || m->type == MSG_VMM_DONE ||
		   m->type == MSG_INTRO_DONE || m->type == MSG_INSPECT_DONE || m->type == MSG_SINK_DONE) {
		const struct done *d = MSG_BODY_AS(m, done);
		a.status = d->status;
		memcpy(text, d->text, sizeof(text));
	} else {
		a.more = true;
		text[0] = '\0';
	}
	text[sizeof(text) - 1] = '\0';
	a.text = text;
	if (a.status > 0)
		a.status = -EPROTO;
	for (unsigned i = 0; i < ASKS; i++) {
		struct ask *k = &s->asks.table[i];
		if (k->req && k->req == m->req && k->chan == c) {
			finish(s, k, &a);
			return;
		}
	}
	/* Its asker gave up: whatever came with it is closed by the caller. */
}

void ask_fail(struct super *s, struct chan *c, const char *why)
{
	for (unsigned i = 0; i < ASKS; i++) {
		struct ask *k = &s->asks.table[i];
		if (k->req && k->chan == c) {
			struct answer a = { .status = -EPIPE, .text = why };
			finish(s, k, &a);
		}
	}
}

void ask_cancel(struct super *s, const void *arg)
{
	for (unsigned i = 0; i < ASKS; i++)
		if (s->asks.table[i].req && s->asks.table[i].arg == arg)
			s->asks.table[i].fn = NULL;
}

void ask_tick(struct super *s, uint64_t now)
{
	for (unsigned i = 0; i < ASKS; i++) {
		struct ask *k = &s->asks.table[i];
		if (!k->req || k->deadline > now)
			continue;
		char text[128];
		const struct proto_rule *r = proto_rule(k->type);
		snprintf(text, sizeof(text), "no answer from %s to %s", role_name(k->chan->peer), r ? r->name : "?");
		log_warn("%s", text);
		struct answer a = { .status = -ETIMEDOUT, .text = text };
		finish(s, k, &a);
	}
}
