/* SPDX-License-Identifier: ISC */
/*
 * The verbs: what super may ask for. proto.h's table says in which states each
 * is legal, and msg_recv refuses the others; this one says what carries them
 * out. A refused verb is answered like a failed one, and changes nothing.
 */
#include "base/log.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const verb_fn verbs[MSG_COUNT] = {
	[MSG_PRIV_SPAWN] = verb_spawn,       [MSG_PRIV_LAB] = verb_lab,
	[MSG_PRIV_LAB_DEL] = verb_lab_del,   [MSG_PRIV_LAB_FDS] = verb_lab_fds,
	[MSG_PRIV_DISK] = verb_disk,         [MSG_PRIV_VMM] = verb_vmm,
	[MSG_PRIV_KILL] = verb_kill,         [MSG_PRIV_RUN] = verb_run,
	[MSG_PRIV_INSPECT] = verb_inspect,   [MSG_PRIV_SINK] = verb_sink,
	[MSG_PRIV_SINK_DEL] = verb_sink_del, [MSG_PRIV_MEMORY] = verb_memory,
	[MSG_PRIV_PROBE] = verb_probe,       [MSG_PRIV_LAYER2] = verb_layer2,
	[MSG_PRIV_ENGINE] = verb_engine,     [MSG_PRIV_ENGINE_DEL] = verb_engine_del,
};

static void answer(struct priv *p, uint64_t req, int status, struct verb_reply *r, const struct err *e)
{
	if (status < 0) {
		r->done = (struct priv_done){ .status = status };
		memcpy(r->done.text, e->text, sizeof(r->done.text));
		out_done(p, req, &r->done, NULL, 0);
	} else {
		out_done(p, req, &r->done, r->fds, r->nfds);
	}
	for (int i = 0; i < r->nfds; i++)
		close(r->fds[i]);
}

/* False if there is nothing more to read now. */
static bool one(struct priv *p, struct msg *m)
{
	struct verb_reply r = { 0 };
	struct err e = { 0 };
	int n = msg_recv(&p->super, m, &e);
	if (n == 0)
		return false;
	if (n == -EPROTO) {
		log_warn("refused: %s", e.text);
		answer(p, m->req, n, &r, &e);
		return !p->ending;
	}
	if (n < 0) {
		end_super_gone(p);
		return false;
	}
	if (m->type == MSG_PRIV_QUIT) {
		/* Answered when all is over. */
		p->quit_asked = true;
		p->quit_req = m->req;
		end_begin(p, 0, NULL);
		return false;
	}
	verb_fn fn = verbs[m->type];
	int status = fn ? fn(p, m, &r, &e) : err_set(&e, -EPROTO, "no such verb");
	if (status < 0)
		log_warn("%s failed: %s", proto_rule(m->type)->name, e.text);
	answer(p, m->req, status, &r, &e);
	msg_close_fds(m);
	return !p->ending;
}

void verbs_ready(void *arg, uint32_t events, uint64_t now)
{
	static struct msg m;
	struct priv *p = arg;
	(void)now;
	(void)events;
	if (!out_flush(p))
		return;
	/* Bounded, so that signals are seen between the verbs of a busy super. */
	for (int i = 0; i < 16 && !p->out_head; i++)
		if (!one(p, &m))
			return;
}
