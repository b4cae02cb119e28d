/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "model/backend.h"
#include "model/rules.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void rules_breach(struct rule_run *r, enum place place, unsigned index, const char *fmt, ...)
{
	char text[400];
	if (r->stop)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->stop = !r->sink->report(r->sink->arg, place, index, text);
}

bool rules_ended(const char *s, size_t cap)
{
	return memchr(s, 0, cap) != NULL;
}

bool rules_addr_shape(const struct addr *a)
{
	static const uint8_t zero[16];
	switch (a->family) {
	case 0:
		return !a->plen && !memcmp(a->b, zero, 16);
	case 4:
		return a->plen <= 32 && !memcmp(a->b + 4, zero, 12);
	case 6:
		return a->plen <= 128;
	default:
		return false;
	}
}

static bool shape_introspection(const struct introspection_conf *c)
{
	return c->mode < INTROSPECTION_COUNT && c->on_tamper < ON_TAMPER_COUNT;
}

static bool shape_honeypot(const struct model *m, const struct honeypot *h)
{
	if (!rules_ended(h->name, sizeof(h->name)) || !rules_ended(h->image, sizeof(h->image)) ||
	    !rules_ended(h->hostname, sizeof(h->hostname)))
		return false;
#ifndef MUTANT_MODEL_NET_INDEX
	if (h->net >= m->nnets)
		return false;
#endif
	if (h->backend >= BACKEND_COUNT || h->naddrs > MODEL_ADDRS)
		return false;
	for (uint32_t i = 0; i < h->naddrs; i++)
		if (!rules_addr_shape(&h->addrs[i]) || !h->addrs[i].family)
			return false;
	return rules_policy_shape(m, &h->policy) && shape_introspection(&h->introspection);
}

int rules_shape(const struct model *m, struct err *e)
{
	if (m->magic != MODEL_MAGIC || m->size != sizeof(*m))
		return err_set(e, -EINVAL, "not a model of this version");
	if (!rules_ended(m->name, sizeof(m->name)))
		return err_set(e, -EINVAL, "broken model: name");
	if (m->uplink >= UPLINK_COUNT || m->nlab > MODEL_LAB_ADDRS || m->nnets > MODEL_NETS ||
	    m->nhoneypots > MODEL_HONEYPOTS)
		return err_set(e, -EINVAL, "broken model: counts");
	for (uint32_t i = 0; i < m->nlab; i++)
		if (!rules_addr_shape(&m->lab[i]) || !m->lab[i].family)
			return err_set(e, -EINVAL, "broken model: lab prefix %u", i);
	for (uint32_t i = 0; i < m->nnets; i++) {
		const struct network *n = &m->nets[i];
		if (!rules_ended(n->name, sizeof(n->name)) || !rules_addr_shape(&n->v4) || !rules_addr_shape(&n->v6) ||
		    !rules_addr_shape(&n->router4) || !rules_addr_shape(&n->router6) || n->v4.family % 4 ||
		    n->v6.family % 6 || n->router4.family % 4 || n->router6.family % 6)
			return err_set(e, -EINVAL, "broken model: network %u", i);
	}
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		if (!shape_honeypot(m, &m->honeypots[i]))
			return err_set(e, -EINVAL, "broken model: honeypot %u", i);
	if (!rules_policy_shape(m, &m->policy))
		return err_set(e, -EINVAL, "broken model: policy");
	if (!shape_introspection(&m->introspection))
		return err_set(e, -EINVAL, "broken model: introspection");
	if (!rules_engine_shape(&m->engine))
		return err_set(e, -EINVAL, "broken model: engine");
	return rules_pool_shape(m, e);
}

bool rules_hostname(const char *s)
{
	size_t label = 0;
	if (!*s)
		return false;
	for (; *s; s++) {
		bool alnum = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9');
		if (*s == '.') {
			if (!label || s[-1] == '-' || !s[1])
				return false;
			label = 0;
			continue;
		}
		if (!alnum && (*s != '-' || !label))
			return false;
		label++;
	}
	return s[-1] != '-';
}

bool rules_usable(const struct addr *net, const struct addr *a)
{
	struct addr first = addr_net(net), last = addr_last(net);
	return !addr_equal(&first, a) && (net->family == 6 || !addr_equal(&last, a));
}

/* What stands in a network whose prefix is no prefix of a network need not be
 * judged: the prefix is refused already. */
static bool prefix_ok(const struct addr *p)
{
	return p->plen >= (p->family == 4 ? V4_PLEN_MIN : V6_PLEN_MIN) &&
	       p->plen <= (p->family == 4 ? V4_PLEN_MAX : V6_PLEN_MAX);
}

static void sense_prefix(struct rule_run *r, enum place place, unsigned i, const struct addr *p, unsigned min,
			 unsigned max)
{
	char text[ADDR_TEXT], better[ADDR_TEXT];
	const char *special = addr_special(p);
	if (addr_host_bits(p)) {
		struct addr net = addr_net(p);
		rules_breach(r, place, i, "%s has bits set behind its /%u: write %s", addr_text(p, text), p->plen,
			     addr_text(&net, better));
	}
	if (p->plen < min || p->plen > max)
		rules_breach(r, place, i, "%s: the prefix length must be /%u to /%u", addr_text(p, text), min, max);
	else if (special)
		rules_breach(r, place, i, "%s is not for hosts (%s)", addr_text(p, text), special);
}

static void sense_router(struct rule_run *r, enum place place, unsigned i, const struct addr *net, const struct addr *a)
{
	char x[ADDR_TEXT], y[ADDR_TEXT];
	if (!net->family) {
		if (a->family)
			rules_breach(r, place, i, "router %s: the network has no IPv%u prefix", addr_text(a, x),
				     a->family);
		return;
	}
	if (!prefix_ok(net))
		return;
	struct addr one = *a;
	one.plen = a->family == 4 ? 32 : 128;
	if (!a->family)
		rules_breach(r, place, i, "the network has no IPv%u router", net->family);
	else if (a->plen != net->plen || !addr_in(net, a))
		rules_breach(r, place, i, "router %s is outside of %s", addr_text(&one, x), addr_text(net, y));
	else if (!rules_usable(net, a))
		rules_breach(r, place, i, "router %s is the network or broadcast address of %s", addr_text(&one, x),
			     addr_text(net, y));
}

/* Two prefixes, each with its place and what to call it. */
struct named_prefix {
	const struct addr *a;
	enum place place;
	unsigned index;
	const char *name; /* of the network; NULL for the lab */
};

static void sense_overlap(struct rule_run *r)
{
	const struct model *m = r->m;
	struct named_prefix all[2 * MODEL_NETS + MODEL_LAB_ADDRS];
	unsigned n = 0;
	for (uint32_t i = 0; i < m->nnets; i++) {
		all[n++] = (struct named_prefix){ &m->nets[i].v4, PLACE_NET_V4, i, m->nets[i].name };
		all[n++] = (struct named_prefix){ &m->nets[i].v6, PLACE_NET_V6, i, m->nets[i].name };
	}
	for (uint32_t i = 0; i < m->nlab; i++)
		all[n++] = (struct named_prefix){ &m->lab[i], PLACE_LAB, i, NULL };
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; k < i; k++) {
			char x[ADDR_TEXT], y[ADDR_TEXT];
#ifndef MUTANT_MODEL_OVERLAP
			if (!addr_overlap(all[i].a, all[k].a))
#endif
				continue;
			rules_breach(r, all[i].place, all[i].index, "%s overlaps with %s of %s%s",
				     addr_text(all[i].a, x), addr_text(all[k].a, y),
				     all[k].name ? "network " : "the lab", all[k].name ? all[k].name : "");
		}
	}
}

static void sense_networks(struct rule_run *r)
{
	const struct model *m = r->m;
	for (uint32_t i = 0; i < m->nnets; i++) {
		const struct network *n = &m->nets[i];
		if (!text_is_name(n->name))
			rules_breach(r, PLACE_NET, i, "%s: not a name", n->name);
		for (uint32_t k = 0; k < i; k++)
			if (!strcmp(n->name, m->nets[k].name))
				rules_breach(r, PLACE_NET, i, "two networks are called %s", n->name);
		if (!n->v4.family && !n->v6.family)
			rules_breach(r, PLACE_NET, i, "network %s has no prefix: write v4 or v6", n->name);
		if (n->v4.family)
			sense_prefix(r, PLACE_NET_V4, i, &n->v4, V4_PLEN_MIN, V4_PLEN_MAX);
		if (n->v6.family)
			sense_prefix(r, PLACE_NET_V6, i, &n->v6, V6_PLEN_MIN, V6_PLEN_MAX);
		sense_router(r, PLACE_NET_ROUTER4, i, &n->v4, &n->router4);
		sense_router(r, PLACE_NET_ROUTER6, i, &n->v6, &n->router6);
	}
}

static void sense_uplink(struct rule_run *r)
{
	const struct model *m = r->m;
	if (m->uplink == UPLINK_NONE && m->nlab)
		rules_breach(r, PLACE_UPLINK, 0, "no uplink, but prefixes for the lab");
	if (m->uplink == UPLINK_LAB && !m->nlab)
		rules_breach(r, PLACE_UPLINK, 0, "the lab plays no prefix: write at least one, as 203.0.113.0/24");
	for (uint32_t i = 0; i < m->nlab; i++)
		sense_prefix(r, PLACE_LAB, i, &m->lab[i], m->lab[i].family == 4 ? 8 : 16, 128);
}

static void sense_addr(struct rule_run *r, unsigned i, unsigned k)
{
	const struct honeypot *h = &r->m->honeypots[i];
	const struct network *n = &r->m->nets[h->net];
	const struct addr *net = h->addrs[k].family == 4 ? &n->v4 : &n->v6;
	const struct addr *router = h->addrs[k].family == 4 ? &n->router4 : &n->router6;
	enum place place = PLACE_ADDR + k;
	struct addr one = h->addrs[k];
	char x[ADDR_TEXT], y[ADDR_TEXT];
	one.plen = one.family == 4 ? 32 : 128;
	addr_text(&one, x);
	if (!net->family)
		rules_breach(r, place, i, "%s: network %s has no IPv%u prefix", x, n->name, one.family);
	else if (!prefix_ok(net))
		return;
	else if (!addr_in(net, &one))
		rules_breach(r, place, i, "%s is outside of %s of network %s", x, addr_text(net, y), n->name);
	else if (h->addrs[k].plen != net->plen)
		rules_breach(r, place, i, "%s has another prefix length than its network", x);
	else if (!rules_usable(net, &one))
		rules_breach(r, place, i, "%s is the network or broadcast address of %s", x, addr_text(net, y));
	else if (addr_equal(&one, router))
		rules_breach(r, place, i, "%s is the router of network %s", x, n->name);
	for (unsigned o = 0; o <= i; o++) {
		const struct honeypot *other = &r->m->honeypots[o];
		unsigned end = o == i ? k : other->naddrs;
		for (unsigned j = 0; j < end; j++)
			if (addr_equal(&one, &other->addrs[j]))
				rules_breach(r, place, i, "%s is %s %s", x,
					     o == i ? "written twice for" : "already the address of", other->name);
	}
}

static void sense_mac(struct rule_run *r, unsigned i)
{
	static const uint8_t zero[6];
	const struct honeypot *h = &r->m->honeypots[i];
	char text[MAC_TEXT];
	if (h->mac[0] & 1 || !memcmp(h->mac, zero, 6))
		rules_breach(r, PLACE_MAC, i, "%s is not the address of one machine (unicast)", mac_text(h->mac, text));
	for (unsigned o = 0; o < i; o++)
		if (!memcmp(h->mac, r->m->honeypots[o].mac, 6))
			rules_breach(r, PLACE_MAC, i, "%s is already the MAC of %s: write another mac",
				     mac_text(h->mac, text), r->m->honeypots[o].name);
}

static void sense_honeypot(struct rule_run *r, unsigned i)
{
	const struct honeypot *h = &r->m->honeypots[i];
	if (!text_is_name(h->name))
		rules_breach(r, PLACE_HONEYPOT, i, "%s: not a name", h->name);
	for (unsigned k = 0; k < i; k++)
		if (!strcmp(h->name, r->m->honeypots[k].name))
			rules_breach(r, PLACE_HONEYPOT, i, "two honeypots are called %s", h->name);
	if (!text_is_name(h->image))
		rules_breach(r, PLACE_IMAGE, i, "%s: not the name of an image", h->image);
	if (!rules_hostname(h->hostname))
		rules_breach(r, PLACE_HOSTNAME, i, "%s: not a host name", h->hostname);
	if (!backend_built(h->backend))
		rules_breach(r, PLACE_BACKEND, i, "backend %s is not in this version of skep: only uml is",
			     backend_name(h->backend));
	if (h->memory < MEMORY_MIN || h->memory > MEMORY_MAX || h->memory & 0xfffff)
		rules_breach(r, PLACE_MEMORY, i, "memory must be whole MiB, 32M to 64G");
	if (h->cpus < 1 || h->cpus > CPUS_MAX)
		rules_breach(r, PLACE_CPUS, i, "cpus must be 1 to %u", CPUS_MAX);
	else if (h->backend == BACKEND_UML && h->cpus > 1)
		rules_breach(r, PLACE_CPUS, i, "backend uml runs one cpu only: write cpus: 1");
	if (h->boot_seconds < BOOT_MIN || h->boot_seconds > BOOT_MAX)
		rules_breach(r, PLACE_BOOT, i, "boot-timeout must be 5s to 1h");
	if (!h->naddrs)
		rules_breach(r, PLACE_HONEYPOT, i, "honeypot %s has no address", h->name);
	for (unsigned k = 0; k < h->naddrs; k++)
		sense_addr(r, i, k);
	sense_mac(r, i);
}

static void sense_evidence(struct rule_run *r)
{
	const struct evidence_conf *c = &r->m->evidence;
	if (c->max_bytes && (c->max_bytes < EV_SIZE_MIN || c->max_bytes > EV_SIZE_MAX))
		rules_breach(r, PLACE_MAX_SIZE, 0, "max-size must be 1M to 1024T, or unlimited");
	if (c->max_age && (c->max_age < EV_AGE_MIN || c->max_age > EV_AGE_MAX))
		rules_breach(r, PLACE_MAX_AGE, 0, "max-age must be 1m to 3660d, or unlimited");
	if (c->rotate_bytes < EV_ROTATE_MIN || c->rotate_bytes > EV_ROTATE_MAX)
		rules_breach(r, PLACE_ROTATE, 0, "rotate must be 64k to 16G");
	else if (c->max_bytes && c->rotate_bytes > c->max_bytes)
		rules_breach(r, PLACE_ROTATE, 0, "rotate is larger than max-size");
	if (c->min_free > EV_SIZE_MAX)
		rules_breach(r, PLACE_MIN_FREE, 0, "min-free must be 0 to 1024T");
	if (c->ring_bytes < EV_RING_MIN || c->ring_bytes > EV_RING_MAX || c->ring_bytes & (c->ring_bytes - 1))
		rules_breach(r, PLACE_RING, 0, "ring must be a power of two, 64k to 1G");
}

void rules_sense(const struct model *m, const struct rule_sink *sink)
{
	struct rule_run r = { .m = m, .sink = sink };
	if (!text_is_name(m->name))
		rules_breach(&r, PLACE_NAME, 0, "%s: not a name", m->name);
	if (!m->nnets)
		rules_breach(&r, PLACE_MODEL, 0, "there is no network");
	sense_networks(&r);
	sense_uplink(&r);
	sense_overlap(&r);
	for (uint32_t i = 0; i < m->nhoneypots && !r.stop; i++)
		sense_honeypot(&r, i);
	sense_evidence(&r);
	if (!r.stop)
		rules_policy_sense(m, sink);
}

static bool first_breach(void *arg, enum place place, unsigned index, const char *text)
{
	struct err *e = arg;
	(void)place;
	(void)index;
	err_set(e, -EINVAL, "%s", text);
	return false;
}

int model_check_policy(const struct model *m, struct err *e)
{
	struct err mine = { 0 };
	struct rule_sink sink = { first_breach, &mine };
	int r = rules_shape(m, e);
	if (r < 0)
		return r;
	rules_policy_sense(m, &sink);
	return mine.code ? err_set(e, -EINVAL, "%s", mine.text) : 0;
}

int model_check(const struct model *m, struct err *e)
{
	struct err mine = { 0 };
	struct rule_sink sink = { first_breach, &mine };
	int r = rules_shape(m, e);
	if (r < 0)
		return r;
	rules_sense(m, &sink);
	return mine.code ? err_set(e, -EINVAL, "%s", mine.text) : 0;
}
