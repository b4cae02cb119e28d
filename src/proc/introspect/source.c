/* SPDX-License-Identifier: ISC */
#include "proc/introspect/source.h"

int source_start(struct source *s, enum intro_way way, struct ev *ev, const int fds[2], fact_fn fact,
		 src_broken_fn broken, bool (*kept)(void *arg), struct err *e)
{
	int r;
	s->way = way;
	if (way == INTRO_WAY_PROBES) {
		r = src_bpf_start(&s->bpf, ev, fds[0], fds[1], fact, broken, NULL, e);
		s->bpf.kept = kept;
	} else {
		r = src_uml_start(&s->uml, ev, fds[0], fact, broken, NULL, e);
		s->uml.kept = kept;
	}
	return r;
}

unsigned source_drain(struct source *s, unsigned max)
{
	return s->way == INTRO_WAY_PROBES ? src_bpf_drain(&s->bpf, max) : src_uml_drain(&s->uml, max);
}

void source_pause(struct source *s, bool paused)
{
	if (s->way == INTRO_WAY_PROBES)
		src_bpf_pause(&s->bpf, paused);
	else
		src_uml_pause(&s->uml, paused);
}

void source_release(struct source *s)
{
	if (s->way == INTRO_WAY_PROBES)
		src_bpf_release(&s->bpf);
	else
		src_uml_release(&s->uml);
}

void source_end(struct source *s)
{
	if (s->way != INTRO_WAY_PROBES)
		src_uml_end(&s->uml);
}

void source_stop(struct source *s)
{
	if (s->way == INTRO_WAY_PROBES)
		src_bpf_stop(&s->bpf);
	else
		src_uml_stop(&s->uml);
}
