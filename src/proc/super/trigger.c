/* SPDX-License-Identifier: ISC */
/*
 * What is done when something happens.
 *
 * Theory of operation. The gateway, the introspect processes and the engine's
 * handler say what happened, already at a bounded rate. Each trigger of the
 * model that waits for such a thing, at that honeypot, acts - unless it has acted
 * as often as its throttle allows in the window that ends now. First what
 * contains (freeze, policy, pause), then what tells (event, notice).
 *
 * What was done is remembered in struct reaction of the machine, with the time at
 * which it ends by itself. The gateway is told as by an operator: the freeze
 * through freeze.c, which tells every new port and gateway again; the policy by
 * sending all policies, of which one is another now; so both outlive a reset and a
 * dead gateway. What an operator does afterwards counts: a freeze or thaw, a
 * resume, a `skep policy apply` end the trigger's own timer. A pause ends with
 * the machine's run.
 */
#include "proc/super/trigger.h"

#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAUSE_TRIES (30 * EV_SEC)

static const char *const on_names[TRIGGER_ON_COUNT] = { "alert", "limit", "keyword", "process", "command", "login" };
static const struct reply_to nobody;

/* ---- throttle ----------------------------------------------------------- */

static const struct trigger *trigger_named(const struct model *m, const char *name)
{
	for (uint32_t i = 0; i < m->ntriggers; i++)
		if (!strcmp(m->triggers[i].name, name))
			return &m->triggers[i];
	return NULL;
}

static void throttle_free(struct throttle *t)
{
	free(t->at);
	*t = (struct throttle){ 0 };
}

/* The trigger's own place; it stays over a change of the model, by its name. */
static struct throttle *throttle_of(struct machine *m, const struct trigger *t)
{
	struct throttle *room = NULL;
	for (unsigned i = 0; i < MODEL_TRIGGERS; i++) {
		struct throttle *x = &m->react.throttle[i];
		if (x->name[0] && !strcmp(x->name, t->name))
			return x;
		if (!room && !x->name[0])
			room = x;
	}
	if (room) /* there is always one: those of triggers that are gone were freed */
		memcpy(room->name, t->name, sizeof(room->name));
	return room;
}

/* At most limit.count times in every window of limit.seconds, exactly: the time
 * `count` places back says whether one more fits. */
static bool throttle_take(struct throttle *x, const struct limit *l, uint64_t now)
{
	if (l->count == 0 || l->count == LIMIT_UNLIMITED)
		return true;
	if (!x)
		return false;
	if (x->cap != l->count) {
		uint64_t *at = calloc(l->count, sizeof(*at));
		if (!at)
			return false;
		uint64_t keep = x->n < x->cap ? x->n : x->cap;
		keep = keep < l->count ? keep : l->count;
		for (uint64_t i = 0; i < keep; i++)
			at[keep - 1 - i] = x->at[(x->n - 1 - i) % x->cap];
		free(x->at);
		x->at = at;
		x->cap = l->count;
		x->n = keep;
	}
#ifndef MUTANT_TRIGGER_THROTTLE_OFF
	if (x->n >= x->cap && now - x->at[x->n % x->cap] < l->seconds * EV_SEC)
		return false;
#endif
	x->at[x->n++ % x->cap] = now;
	return true;
}

void trigger_forget(struct machine *m)
{
	for (unsigned i = 0; i < MODEL_TRIGGERS; i++)
		throttle_free(&m->react.throttle[i]);
	m->react = (struct reaction){ 0 };
}

/* ---- tightening --------------------------------------------------------- */

static const struct named_policy *policy_named(const struct model *m, const char *name)
{
	for (uint32_t i = 0; i < m->npolicies; i++)
		if (!strcmp(m->policies[i].name, name))
			return &m->policies[i];
	return NULL;
}

const struct policy *tighten_policy(const struct super *s, const struct machine *m, const struct honeypot *hp)
{
	const struct named_policy *p = m->react.tightened[0] ? policy_named(s->policies, m->react.tightened) : NULL;
	return p ? &p->policy : &hp->policy;
}

static void loosen(struct super *s, struct machine *m, const struct reply_to *to, const char *why)
{
	super_event(s, to, "policy", "skep.policy.own", m->hp.name, "its own policy again, no longer %s: %s",
		    m->react.tightened, why);
	m->react.tightened[0] = 0;
	m->react.tighten_until = 0;
	m->react.tighten_new = false;
}

unsigned tighten_end_all(struct super *s, const struct reply_to *to)
{
	unsigned n = 0;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		if (!m->used || !m->react.tightened[0])
			continue;
		loosen(s, m, to, "a policy was applied");
		n++;
	}
	return n;
}

void tighten_confirmed(struct super *s)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++)
		s->machines[i].react.tighten_new = false;
}

/* Then the other switch: nothing passes until somebody has looked. */
void tighten_refused(struct super *s, const char *why)
{
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		if (!m->used || !m->react.tighten_new)
			continue;
		super_event(s, NULL, "trigger", "skep.trigger.failed", m->hp.name,
			    "the gateway did not take policy %s: %.120s; frozen instead", m->react.tightened, why);
		m->react.tighten_new = false;
		freeze_request(s, &nobody, m->hp.name, true);
	}
}

/* ---- acting ------------------------------------------------------------- */

/* When something ends that began now; never earlier than it would have ended
 * anyway. already: it is so; 0 with it: an operator ends it. */
static uint64_t until(const struct super *s, const struct trigger *t, bool already, uint64_t was)
{
	uint64_t end = s->ev.now + t->seconds * EV_SEC;
	if (!t->seconds || (already && !was))
		return 0;
	return already && was > end ? was : end;
}

static void act_freeze(struct super *s, struct machine *m, const struct trigger *t)
{
	struct reaction *r = &m->react;
	bool already = m->frozen;
	uint64_t end = until(s, t, already, r->freeze_until);
#ifdef MUTANT_TRIGGER_FREEZE_NOT
	return;
#endif
	freeze_request(s, &nobody, m->hp.name, true);
	r->freeze_until = end;
}

static bool act_policy(struct super *s, struct machine *m, const struct trigger *t)
{
	struct reaction *r = &m->react;
	if (t->policy >= s->policies->npolicies)
		return false;
	const char *name = s->policies->policies[t->policy].name;
	bool already = !strcmp(r->tightened, name);
	r->tighten_until = until(s, t, already, r->tighten_until);
	if (already)
		return true;
	memcpy(r->tightened, name, sizeof(r->tightened));
	r->tighten_new = true;
	super_event(s, NULL, "policy", "skep.policy.tightened", m->hp.name,
		    "policy %s instead of its own, by trigger %s", name, t->name);
	policy_refresh(s);
	return true;
}

static void paused(struct super *s, struct machine *m, int status, const struct err *e)
{
	struct reaction *r = &m->react;
	r->pause_until = status == 0 && r->pause_seconds ? s->ev.now + r->pause_seconds * EV_SEC : 0;
	if (status < 0)
		super_event(s, NULL, "trigger", "skep.trigger.failed", m->hp.name, "it could not be paused: %.200s",
			    e->text);
}

static void resumed(struct super *s, struct machine *m, int status, const struct err *e)
{
	m->react.pause_until = 0;
	if (status < 0)
		super_event(s, NULL, "trigger", "skep.trigger.failed", m->hp.name, "it could not be resumed: %.200s",
			    e->text);
}

static bool may_change(const struct super *s, const struct machine *m)
{
	return s->life == LIFE_RUNNING && s->apply.state == APPLY_IDLE && m->job == JOB_NONE;
}

static void try_pause(struct super *s, struct machine *m)
{
	struct reaction *r = &m->react;
	if (m->state != MACHINE_RUNNING || !may_change(s, m))
		return;
	r->pause_by = 0;
	machine_pause(s, m, true, paused);
}

static void act_pause(struct super *s, struct machine *m, const struct trigger *t)
{
	struct reaction *r = &m->react;
	if (m->state == MACHINE_PAUSED) {
		r->pause_until = until(s, t, true, r->pause_until);
		return;
	}
	/* While it starts or something else is done to it: tried for some time. */
	r->pause_seconds = t->seconds;
	r->pause_by = s->ev.now + PAUSE_TRIES;
	try_pause(s, m);
}

/* ---- telling ------------------------------------------------------------ */

static void tell(struct super *s, const struct machine *m, const struct trigger *t, const struct trigger_cause *c,
		 uint32_t skipped)
{
	char text[320], id[48], more[48] = "", did[96] = "";
	const char *what = c->text ? c->text : "";
	text_safe(text, sizeof(text), what, strnlen(what, 200), false);
	snprintf(id, sizeof(id), "skep.trigger.%s", on_names[t->on]);
	if (c->count > 1 || skipped)
		snprintf(more, sizeof(more), " (%u times, %u left out)", c->count ? c->count : 1, skipped);
	snprintf(did, sizeof(did), "%s%s%s", t->actions & TRIGGER_DO_FREEZE ? ", frozen" : "",
		 t->actions & TRIGGER_DO_POLICY ? ", policy tightened" : "",
		 t->actions & TRIGGER_DO_PAUSE ? ", paused" : "");
	super_event(s, NULL, "trigger", id, m->hp.name, "%s: %.120s%s%s", t->name, text, more, did);
	if (!(t->actions & TRIGGER_DO_NOTIFY))
		return;
	struct notify_notice n = { .time = ev_realtime(),
				   .flow = c->flow,
				   .session = c->session,
				   .count = c->count ? c->count : 1,
				   .on = t->on,
				   .actions = t->actions };
	memcpy(n.honeynet, s->name, sizeof(n.honeynet));
	memcpy(n.honeypot, m->hp.name, sizeof(n.honeypot));
	memcpy(n.trigger, t->name, sizeof(n.trigger));
	snprintf(n.text, sizeof(n.text), "%s", what);
	notify_send(s, &n);
}

static void fire(struct super *s, struct machine *m, const struct trigger *t, const struct trigger_cause *c)
{
	struct throttle *x = throttle_of(m, t);
	if (!throttle_take(x, &t->throttle, s->ev.now)) {
		if (x)
			x->skipped++;
		return;
	}
	uint32_t skipped = x ? x->skipped : 0;
	if (x)
		x->skipped = 0;
	if (t->actions & TRIGGER_DO_FREEZE)
		act_freeze(s, m, t);
	if (t->actions & TRIGGER_DO_POLICY)
		act_policy(s, m, t);
	if (t->actions & TRIGGER_DO_PAUSE)
		act_pause(s, m, t);
	tell(s, m, t, c, skipped);
}

/* ---- which triggers ----------------------------------------------------- */

static bool for_honeypot(const struct model *model, const struct trigger *t, const struct machine *m)
{
	static const uint8_t any[sizeof(t->honeypots)];
	const struct honeypot *hp = model_honeypot(model, m->hp.name);
	if (!memcmp(t->honeypots, any, sizeof(any)))
		return true;
	if (!hp)
		return false;
	size_t i = (size_t)(hp - model->honeypots);
	return t->honeypots[i / 8] >> (i % 8) & 1;
}

static bool waits_for(const struct trigger *t, unsigned index, const struct trigger_cause *c)
{
	switch (t->on) {
	case TRIGGER_ALERT:
		return t->alert == RULE_ALERT_ANY || t->alert == c->alert;
	case TRIGGER_LIMIT:
		return !t->match[0] || (c->text && fnmatch(t->match, c->text, 0) == 0);
	case TRIGGER_KEYWORD:
		return t->keyword == c->keyword;
	default:
		return index == c->trigger;
	}
}

void trigger_hit(struct super *s, struct machine *m, enum trigger_on on, const struct trigger_cause *c)
{
	const struct model *model = s->policies;
	if (!model->magic || s->life != LIFE_RUNNING)
		return;
	for (uint32_t i = 0; i < model->ntriggers; i++) {
		const struct trigger *t = &model->triggers[i];
		if (t->on == on && waits_for(t, i, c) && for_honeypot(model, t, m))
			fire(s, m, t, c);
	}
}

void trigger_gateway(struct super *s, const struct gw_hit *x)
{
	if (x->port >= MODEL_HONEYPOTS || !s->machines[x->port].used)
		return;
	struct machine *m = &s->machines[x->port];
	struct trigger_cause c = { .count = x->count, .flow = x->flow };
	char text[KEYWORD_MAX + 32];
	if (x->kind == HIT_LIMIT) {
		c.text = reason_name(x->reason);
		trigger_hit(s, m, TRIGGER_LIMIT, &c);
		return;
	}
	/* Of an older pool: the index means another keyword. */
	const struct policy_pool *pool = &s->policies->pool;
	if (x->kind != HIT_KEYWORD || s->pool_new || x->generation < s->pool_generation ||
	    x->keyword >= pool->nkeywords)
		return;
	const struct keyword *k = &pool->keywords[x->keyword];
	snprintf(text, sizeof(text), "%.*s", (int)k->n, (const char *)k->bytes);
	c.keyword = x->keyword;
	c.text = text;
	trigger_hit(s, m, TRIGGER_KEYWORD, &c);
}

/* ---- introspection ------------------------------------------------------ */

/* The n-th thing that an introspect process waits for is trigger index[n]. */
static unsigned watched(const struct super *s, const struct machine *m, uint16_t index[MODEL_TRIGGERS])
{
	const struct model *model = s->policies;
	unsigned n = 0;
	for (uint32_t i = 0; model->magic && i < model->ntriggers; i++) {
		const struct trigger *t = &model->triggers[i];
		if (t->on >= TRIGGER_PROCESS && for_honeypot(model, t, m))
			index[n++] = (uint16_t)i;
	}
	return n;
}

void trigger_watch(struct super *s, struct machine *m)
{
	struct intro_watch x = { .generation = s->watch_generation };
	uint16_t index[MODEL_TRIGGERS];
	x.n = watched(s, m, index);
	if (m->watch.chan.fd < 0 || (!x.n && !m->watch.told))
		return;
	for (unsigned i = 0; i < x.n; i++) {
		const struct trigger *t = &s->policies->triggers[index[i]];
		x.at[i].on = t->on;
		memcpy(x.at[i].match, t->match, sizeof(x.at[i].match));
	}
	int r = ask(s, &m->watch.chan, MSG_INTRO_WATCH, &x, sizeof(x), NULL, 0, 0, NULL, NULL);
	m->watch.told = true;
	if (r < 0)
		log_warn("%s: its introspect process was not told what to wait for: %s", m->hp.name, strerror(-r));
}

void trigger_introspect(struct super *s, struct machine *m, const struct intro_hit *x)
{
	uint16_t index[MODEL_TRIGGERS];
	if (x->generation != s->watch_generation || x->watch >= watched(s, m, index) || !MSG_TEXT(x->text))
		return;
	const struct trigger *t = &s->policies->triggers[index[x->watch]];
	struct trigger_cause c = {
		.trigger = index[x->watch], .count = x->count, .session = x->session, .text = x->text
	};
	trigger_hit(s, m, (enum trigger_on)t->on, &c);
}

/* ---- changes, and the end ------------------------------------------------ */

void trigger_model_changed(struct super *s)
{
	s->watch_generation++;
	for (unsigned i = 0; i < MODEL_HONEYPOTS; i++) {
		struct machine *m = &s->machines[i];
		if (!m->used)
			continue;
		for (unsigned k = 0; k < MODEL_TRIGGERS; k++)
			if (m->react.throttle[k].name[0] && !trigger_named(s->policies, m->react.throttle[k].name))
				throttle_free(&m->react.throttle[k]);
		if (m->react.tightened[0] && !policy_named(s->policies, m->react.tightened))
			loosen(s, m, NULL, "there is no such policy any more");
		trigger_watch(s, m);
	}
	notify_conf_send(s);
}

static bool over(uint64_t *at, uint64_t now)
{
	if (!*at || now < *at)
		return false;
	*at = 0;
	return true;
}

static void tick_machine(struct super *s, struct machine *m, uint64_t now)
{
	struct reaction *r = &m->react;
	if (over(&r->freeze_until, now) && m->frozen)
		freeze_request(s, &nobody, m->hp.name, false);
	if (over(&r->tighten_until, now) && r->tightened[0]) {
		loosen(s, m, NULL, "its time is over");
		policy_refresh(s);
	}
	if (r->pause_until && m->state != MACHINE_PAUSED && m->job == JOB_NONE)
		r->pause_until = 0; /* an operator resumed or stopped it */
	if (r->pause_until && now >= r->pause_until && may_change(s, m) && super_alive(s)) {
		r->pause_until = now + PAUSE_TRIES; /* tried again, should it fail */
		machine_pause(s, m, false, resumed);
	}
	if (r->pause_by)
		try_pause(s, m);
	if (over(&r->pause_by, now))
		super_event(s, NULL, "trigger", "skep.trigger.failed", m->hp.name, "it could not be paused: it is %s",
			    machine_state_name(m->state));
}

void trigger_tick(struct super *s, uint64_t now)
{
	for (unsigned i = 0; s->life == LIFE_RUNNING && i < MODEL_HONEYPOTS; i++)
		if (s->machines[i].used)
			tick_machine(s, &s->machines[i], now);
}
