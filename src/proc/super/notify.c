/* SPDX-License-Identifier: ISC */
/*
 * The way to the notify process, which runs as the operator outside of all
 * namespaces: the cli starts it, and it comes in at the control socket, as any of
 * the operator's programs. super gives it notices and never waits for it: what it
 * does not take waits in a short queue, and what finds no place there is counted.
 */
#include "proc/super/hub.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

static bool wanted(const struct super *s)
{
	const struct notify_conf *c = &s->policies->notify;
	return s->policies->magic && (c->mail[0] || c->webhook[0] || c->exec[0]);
}

static void gone(struct super *s, const char *why)
{
	struct notify *n = &s->notify;
	ev_del(&s->ev, &n->src);
	chan_close(&n->chan);
	if (s->life == LIFE_RUNNING)
		super_event(s, NULL, "trigger", "skep.notify.gone", NULL,
			    "its process ended: %s; `skep up` or `skep policy apply` starts another", why);
}

static void failed(struct super *s, const struct notify_failed *x)
{
	static const char *const ways[NOTIFY_WAY_COUNT] = { "exec", "mail", "webhook" };
	char text[320];
	if (x->way >= NOTIFY_WAY_COUNT || !MSG_TEXT(x->honeypot) || !MSG_TEXT(x->trigger) || !MSG_TEXT(x->text))
		return;
	text_safe(text, sizeof(text), x->text, strlen(x->text), false);
	const struct machine *m = machine_find(s, x->honeypot);
	super_event(s, NULL, "trigger", "skep.notify.failed", m ? m->hp.name : NULL, "%s of %.31s: %.150s",
		    ways[x->way], x->trigger, text);
}

static void on_notify(void *arg, uint32_t events, uint64_t now)
{
	static struct msg m;
	struct super *s = arg;
	struct err e;
	(void)events, (void)now;
	for (int i = 0; i < 8 && s->notify.chan.fd >= 0; i++) {
		int r = msg_recv(&s->notify.chan, &m, &e);
		if (r == 0)
			return;
		if (r < 0) {
			gone(s, r == -EPIPE ? "it hung up" : e.text);
			return;
		}
		if (m.type == MSG_NOTIFY_FAILED)
			failed(s, MSG_BODY_AS(&m, notify_failed));
		msg_close_fds(&m);
	}
}

static void flush(struct super *s)
{
	struct notify *n = &s->notify;
	while (n->n && n->chan.fd >= 0) {
		struct notify_notice *x = &n->wait[n->first];
		x->left_out = n->left_out;
		int r = msg_send(&n->chan, MSG_NOTIFY_NOTICE, 0, x, sizeof(*x), NULL, 0);
		if (r == -EAGAIN)
			return;
		if (r < 0) {
			gone(s, strerror(-r));
			return;
		}
		n->left_out = 0;
		n->first = (n->first + 1) % NOTICES;
		n->n--;
	}
}

void notify_conf_send(struct super *s)
{
	struct notify *n = &s->notify;
	if (n->chan.fd < 0 || !s->policies->magic)
		return;
	int r = msg_send(&n->chan, MSG_NOTIFY_CONF, 0, &s->policies->notify, sizeof(s->policies->notify), NULL, 0);
	if (r < 0) /* one that does not read has the wrong idea: another may come */
		gone(s, strerror(-r));
}

void notify_take(struct super *s, struct client *c)
{
	struct notify *n = &s->notify;
	/* The newer one is that of the operator who is there now. */
	ev_del(&s->ev, &n->src);
	chan_close(&n->chan);
	n->chan = ctl_detach(s, c);
	n->chan.peer = ROLE_NOTIFY;
	n->chan.state = STATE_ANY;
	n->told = false;
	if (ev_add(&s->ev, &n->src, n->chan.fd, EPOLLIN, on_notify, s) < 0) {
		chan_close(&n->chan);
		return;
	}
	notify_conf_send(s);
	flush(s);
}

void notify_send(struct super *s, const struct notify_notice *x)
{
	struct notify *n = &s->notify;
	if (!wanted(s)) {
		if (!n->told)
			super_event(s, NULL, "trigger", "skep.notify.failed", NULL,
				    "a trigger notifies, but `notify:` names no way to");
		n->told = true;
		return;
	}
	flush(s);
	if (n->n == NOTICES) {
		n->left_out++;
		return;
	}
	n->wait[(n->first + n->n++) % NOTICES] = *x;
	flush(s);
	if (n->chan.fd < 0 && !n->told) {
		n->told = true;
		super_event(s, NULL, "trigger", "skep.notify.failed", NULL,
			    "no notify process runs: notices wait; `skep up` or `skep policy apply` starts one");
	}
}

void notify_tick(struct super *s)
{
	flush(s);
}
