/* SPDX-License-Identifier: ISC */
#include "proc/introspect/watch.h"

#include "base/slice.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

int watches_set(struct watches *w, const struct intro_watch *conf, struct err *e)
{
	if (conf->n > MODEL_TRIGGERS)
		return err_set(e, -EINVAL, "%u things to wait for: at most %u", conf->n, MODEL_TRIGGERS);
	for (uint32_t i = 0; i < conf->n; i++)
		if (conf->at[i].on < TRIGGER_PROCESS || conf->at[i].on >= TRIGGER_ON_COUNT ||
		    !memchr(conf->at[i].match, 0, sizeof(conf->at[i].match)))
			return err_set(e, -EINVAL, "no such thing to wait for (%u)", i);
	*w = (struct watches){ .conf = *conf };
	return 0;
}

/* The next text of a payload, cut to WATCH_TEXT - 1 bytes; false: there is none. */
static bool text(struct slice *s, char out[WATCH_TEXT])
{
	const uint8_t *end = s->n ? memchr(s->p, 0, s->n) : NULL;
	struct slice t;
	if (!end || !slice_take(s, (size_t)(end - s->p) + 1, &t))
		return false;
	t = slice_head(t, WATCH_TEXT - 1);
	memcpy(out, t.p, t.n);
	out[t.n] = 0;
	return true;
}

/* What the record says that is waited for: a path, a line, a user. Of a program
 * also the name under which it was called: one file may be many programs
 * (busybox, whose shell executes /proc/self/exe). */
static unsigned said(const struct intro_rec *rec, struct slice s, char out[WATCH_TEXT], char called[WATCH_TEXT])
{
	uint32_t first;
	called[0] = 0;
	switch (rec->kind) {
	case INTRO_EXEC: /* i32 ret, u32 argc, path, cwd, arguments */
		if (rec->flags & INTRO_F_CONT || !slice_le32(&s, &first) || first != 0 || !slice_skip(&s, 4) ||
		    !text(&s, out))
			return 0;
		if (!text(&s, called) || !text(&s, called))
			called[0] = 0;
		return TRIGGER_PROCESS;
	case INTRO_COMMAND:
		return text(&s, out) ? TRIGGER_COMMAND : 0;
	case INTRO_LOGIN: /* u32 outcome, u32 how, user */
		return slice_le32(&s, &first) && first == INTRO_SUCCEEDED && slice_skip(&s, 4) && text(&s, out)
			   ? TRIGGER_LOGIN
			   : 0;
	default:
		return 0;
	}
}

static bool matches(unsigned on, const char *pattern, const char *what)
{
	char anywhere[sizeof(((struct intro_watch *)0)->at[0].match) + 2];
	const char *slash = strrchr(what, '/');
	if (!pattern[0])
		return true;
	switch (on) {
	case TRIGGER_PROCESS: /* a pattern with a slash is one of the whole path */
		return fnmatch(pattern, slash && !strchr(pattern, '/') ? slash + 1 : what, 0) == 0;
	case TRIGGER_COMMAND:
		snprintf(anywhere, sizeof(anywhere), "*%s*", pattern);
		return fnmatch(anywhere, what, 0) == 0;
	default:
		return fnmatch(pattern, what, 0) == 0;
	}
}

void watches_record(struct watches *w, const struct intro_rec *rec, size_t n)
{
	char what[WATCH_TEXT], called[WATCH_TEXT];
	if (!w->conf.n || rec->len < sizeof(*rec) || rec->len > n)
		return;
	unsigned on = said(rec, slice_of(rec + 1, rec->len - sizeof(*rec)), what, called);
	for (uint32_t i = 0; on && i < w->conf.n; i++) {
		struct intro_hit *h = &w->hit[i];
		const char *match = w->conf.at[i].match, *by = what;
		if (w->conf.at[i].on != on)
			continue;
		if (!matches(on, match, what)) {
			by = called;
			if (!called[0] || !matches(on, match, called))
				continue;
		}
		uint32_t count = h->count;
		w->pending += count == 0;
		*h = (struct intro_hit){ .watch = i,
					 .generation = w->conf.generation,
					 .count = count == UINT32_MAX ? count : count + 1,
					 .pid = rec->pid,
					 .uid = rec->uid,
					 .time = rec->time,
					 .session = rec->session };
		snprintf(h->text, sizeof(h->text), "%.*s", (int)sizeof(h->text) - 1, by);
	}
}

bool watches_next(const struct watches *w, uint64_t now, struct intro_hit *out)
{
	for (uint32_t i = 0; w->pending && i < w->conf.n; i++) {
		if (!w->hit[i].count)
			continue;
#ifndef MUTANT_WATCH_FLOOD
		if (w->told[i] && now - w->told[i] < WATCH_EVERY)
			continue;
#endif
		*out = w->hit[i];
		return true;
	}
	return false;
}

void watches_told(struct watches *w, uint64_t now, const struct intro_hit *x)
{
	if (x->watch >= w->conf.n || !w->hit[x->watch].count)
		return;
	w->hit[x->watch].count = 0;
	w->told[x->watch] = now ? now : 1;
	w->pending--;
}
