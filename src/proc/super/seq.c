/* SPDX-License-Identifier: ISC */
#include "proc/super/seq.h"

#include "proc/super/hub.h"

#include <errno.h>
#include <string.h>

static void end(struct super *s, struct seq *q, int status, const struct err *e)
{
	q->steps = NULL;
	q->done(s, q, status, e);
}

/* Runs steps until one waits. */
static void run(struct super *s, struct seq *q)
{
	struct err e = { 0 };
	while (q->steps && q->steps[q->i].what) {
		const struct seq_step *step = &q->steps[q->i];
		int r = step->begin ? step->begin(s, q, &e) : SEQ_NEXT;
		if (r == SEQ_WAIT)
			return;
		if (r < 0 && !step->optional) {
			err_prefix(&e, "cannot %s", step->what);
			end(s, q, r, &e);
			return;
		}
		if (r < 0 && step->failed)
			step->failed(s, q, &e);
		q->i++;
	}
	if (q->steps)
		end(s, q, 0, &e);
}

void seq_start(struct super *s, struct seq *q, const struct seq_step *steps, void *subject,
	       void (*done)(struct super *s, struct seq *q, int status, const struct err *e))
{
	*q = (struct seq){ .steps = steps, .subject = subject, .done = done };
	run(s, q);
}

void seq_resume(struct super *s, struct seq *q, int status, const struct err *e)
{
	if (!q->steps)
		return;
	struct err mine = { 0 };
	if (status < 0 && e)
		mine = *e;
	else if (status < 0)
		err_sys(&mine, status, "it failed");
	if (status < 0 && q->steps[q->i].failed)
		q->steps[q->i].failed(s, q, &mine);
	if (status < 0 && !q->steps[q->i].optional) {
		err_prefix(&mine, "cannot %s", q->steps[q->i].what);
		end(s, q, status, &mine);
		return;
	}
	q->i++;
	run(s, q);
}

static void on_answer(struct super *s, void *arg, struct answer *a)
{
	struct seq *q = arg;
	if (!q->steps || a->more)
		return;
	struct err e = { 0 };
	int r = a->status;
	if (r < 0)
		err_set(&e, r, "%s", a->text[0] ? a->text : strerror(-r));
	else if (q->steps[q->i].answer)
		r = q->steps[q->i].answer(s, q, a, &e);
	seq_resume(s, q, r < 0 ? r : 0, &e);
}

int seq_ask(struct super *s, struct seq *q, struct chan *c, uint32_t type, const void *body, size_t len, const int *fds,
	    int nfds, unsigned timeout_ms, struct err *e)
{
	int r = ask(s, c, type, body, len, fds, nfds, timeout_ms, on_answer, q);
	if (r < 0)
		return err_set(e, r, "%s does not take %s: %s", role_name(c->peer), proto_rule(type)->name,
			       strerror(-r));
	return SEQ_WAIT;
}

void seq_cancel(struct super *s, struct seq *q)
{
	ask_cancel(s, q);
	q->steps = NULL;
}
