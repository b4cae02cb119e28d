/* SPDX-License-Identifier: ISC */
#include "cli/export_scope.h"

#include "base/ev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SPANS_MAX = 1 << 20 };
/* The guest's kernel says "connected" after the frames went, and the clock that
 * both sides read is the same one. */
#define SLACK EV_SEC
/* How long a kernel goes on trying to connect when nothing answers, and no flow
 * event tells the end: 1 + 2 + 4 + ... s, six repetitions by default. */
#define TRIES (130 * EV_SEC)

const char *eve_session(json_t *v)
{
	const char *s = eve_str(v, eve_str(v, "event_type", NULL), "session");
	return *s ? s : eve_str(v, "session", NULL);
}

static int proto_number(const char *s)
{
	static const struct {
		const char *name;
		int number;
	} names[] = { { "TCP", 6 }, { "UDP", 17 }, { "ICMP", 1 }, { "IPv6-ICMP", 58 }, { "SCTP", 132 } };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcasecmp(s, names[i].name))
			return names[i].number;
	return -1;
}

static uint8_t address(const char *s, uint8_t out[16])
{
	return inet_pton(AF_INET, s, out) == 1 ? 4 : inet_pton(AF_INET6, s, out) == 1 ? 6 : 0;
}

bool eve_tuple(json_t *v, struct pcap_tuple *t)
{
	int proto = proto_number(eve_str(v, "proto", NULL));
	memset(t, 0, sizeof(*t));
	if (proto < 0)
		return false;
	t->proto = (uint8_t)proto;
	t->family = address(eve_str(v, "src_ip", NULL), t->addr[0]);
	if (!t->family || address(eve_str(v, "dest_ip", NULL), t->addr[1]) != t->family)
		return false;
	t->port[0] = (uint16_t)eve_num(v, "src_port", NULL);
	t->port[1] = (uint16_t)eve_num(v, "dest_port", NULL);
	pcap_tuple_order(t);
	return true;
}

static struct scope_span *span_for(struct scope *s, const struct pcap_tuple *t, bool made)
{
	for (size_t i = 0; !made && i < s->n; i++)
		if (!s->spans[i].made && !memcmp(&s->spans[i].tuple, t, sizeof(*t)))
			return &s->spans[i];
	if (s->n == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 64;
		struct scope_span *p = cap <= SPANS_MAX ? realloc(s->spans, cap * sizeof(*p)) : NULL;
		if (!p) {
			s->failed = -ENOMEM;
			return NULL;
		}
		s->spans = p;
		s->cap = cap;
	}
	s->spans[s->n] = (struct scope_span){ .tuple = *t, .made = made, .from = UINT64_MAX };
	return &s->spans[s->n++];
}

static void learn(void *arg, json_t *v)
{
	struct scope *s = arg;
	struct pcap_tuple t;
	const char *type = eve_str(v, "event_type", NULL);
	uint64_t now = eve_time(eve_str(v, "timestamp", NULL));
	if (strcmp(eve_session(v), s->session) != 0)
		return;
	s->events++;
	if (!strcmp(eve_str(v, type, "eventid"), "skep.session.closed"))
		s->closed = true;
	if (!eve_tuple(v, &t))
		return;
	struct scope_span *p = span_for(s, &t, !strcmp(type, "connection"));
	if (!p)
		return;
	uint64_t start = eve_time(eve_str(v, type, "start"));
	uint64_t from = start && start < now ? start : now;
	p->from = from < p->from ? from : p->from;
	p->to = now > p->to ? now : p->to;
}

static int by_tuple(const void *a, const void *b)
{
	const struct scope_span *x = a, *y = b;
	int c = memcmp(&x->tuple, &y->tuple, sizeof(x->tuple));
	return c ? c : x->from < y->from ? -1 : x->from > y->from;
}

/* The first span of that tuple. */
static struct scope_span *find(const struct scope *s, const struct pcap_tuple *t)
{
	size_t lo = 0, hi = s->n;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (memcmp(&s->spans[mid].tuple, t, sizeof(*t)) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && !memcmp(&s->spans[lo].tuple, t, sizeof(*t)) ? &s->spans[lo] : NULL;
}

static bool meet(const struct scope_span *p, uint64_t from, uint64_t to)
{
#ifdef MUTANT_EXPORT_SESSION_TIMELESS
	return true;
#endif
	return from <= (p->to > UINT64_MAX - SLACK ? p->to : p->to + SLACK) && to + SLACK >= p->from;
}

static void add_flow(struct scope *s, uint64_t id)
{
	if (s->nflows == s->capflows) {
		size_t cap = s->capflows ? 2 * s->capflows : 64;
		uint64_t *p = cap <= SPANS_MAX ? realloc(s->flows, cap * sizeof(*p)) : NULL;
		if (!p) {
			s->failed = -ENOMEM;
			return;
		}
		s->flows = p;
		s->capflows = cap;
	}
	s->flows[s->nflows++] = id;
}

static void join(void *arg, json_t *v)
{
	struct scope *s = arg;
	struct pcap_tuple t;
	if (strcmp(eve_str(v, "event_type", NULL), "flow") != 0 || !eve_tuple(v, &t))
		return;
	uint64_t from = eve_time(eve_str(v, "flow", "start")), to = eve_time(eve_str(v, "flow", "end"));
	bool joined = false;
	for (struct scope_span *p = find(s, &t); p && p < s->spans + s->n && !memcmp(&p->tuple, &t, sizeof(t)); p++) {
		if (p->flow || !meet(p, from, to))
			continue;
		joined = true;
		/* Refused attempts of one kind are one event, the first one's. */
		if (strcmp(eve_str(v, "skep", "end"), "denied") != 0) {
			p->flow = true;
			p->from = from;
			p->to = to;
		}
	}
	if (joined)
		add_flow(s, eve_num(v, "flow_id", NULL));
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

int scope_load(struct scope *s, const struct evidence_dir *d, const char *session, struct err *e)
{
	*s = (struct scope){ .session = session };
	struct read_eve first = { .fn = learn, .arg = s, .filter = { .verdict = -1 } };
	struct read_eve second = { .fn = join, .arg = s, .filter = { .verdict = -1 } };
	int r = read_eve_all(d, &first, e);
	for (size_t i = 0; i < s->n; i++)
		if (!s->spans[i].made && !s->closed)
			s->spans[i].to = UINT64_MAX;
	if (s->n)
		qsort(s->spans, s->n, sizeof(*s->spans), by_tuple);
	if (r == 0)
		r = read_eve_all(d, &second, e);
	for (size_t i = 0; i < s->n; i++)
		if (s->spans[i].made && !s->spans[i].flow)
			s->spans[i].to += TRIES;
	if (s->nflows)
		qsort(s->flows, s->nflows, sizeof(*s->flows), by_number);
	if (r == 0 && s->failed)
		r = err_set(e, s->failed, "session %s has too many conversations", session);
	return r;
}

void scope_free(struct scope *s)
{
	free(s->spans);
	free(s->flows);
	*s = (struct scope){ 0 };
}

static bool has_flow(const struct scope *s, uint64_t id)
{
	return s->nflows && bsearch(&id, s->flows, s->nflows, sizeof(*s->flows), by_number);
}

bool scope_event(const struct scope *s, json_t *v)
{
	if (!s->session || !strcmp(eve_session(v), s->session))
		return true;
	return !strcmp(eve_str(v, "event_type", NULL), "flow") && has_flow(s, eve_num(v, "flow_id", NULL));
}

bool scope_packet(const struct scope *s, const struct pcap_packet *k)
{
	char text[24];
	struct pcap_tuple t;
	if (!s->session)
		return true;
	if (pcap_field(k->comment, "flow", text, sizeof(text)) && has_flow(s, strtoull(text, NULL, 10)))
		return true;
	/* What was refused at its first frame, and what goes on, has no flow event. */
	if (!pcap_tuple(k->frame, &t))
		return false;
	for (struct scope_span *p = find(s, &t); p && p < s->spans + s->n && !memcmp(&p->tuple, &t, sizeof(t)); p++)
		if (!p->flow && meet(p, k->time, k->time))
			return true;
	return false;
}
