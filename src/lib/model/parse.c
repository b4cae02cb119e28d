/* SPDX-License-Identifier: ISC */
#include "base/text.h"
#include "model/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What holds where the file is silent; skep.yaml(5) lists it. Nothing goes out
 * but replies, and replies are bounded. */
const struct policy policy_default = {
#ifdef MUTANT_MODEL_OPEN_DEFAULT
	.outbound = { { LIMIT_UNLIMITED, 0 } },
#endif
	.flow = { .bytes = 64ull << 20, .packets = 100000 },
	.honeypot = { .bytes = 512ull << 20, .packets = 1000000, .seconds = 3600 },
};
static const struct limit notify_default = { 12, 3600 };
static const struct evidence_conf evidence_default = {
	.max_bytes = 10ull << 30,
	.max_age = 30ull * 86400,
	.rotate_bytes = 64ull << 20,
	.min_free = 256ull << 20,
	.ring_bytes = 4u << 20,
};

void *parse_new_network(struct binder *b, const char *name)
{
	struct network *n = &b->m->nets[b->m->nnets++];
	text_copy(n->name, sizeof(n->name), name);
	n->mark = b->at[PLACE_NET][b->index];
	return n;
}

void *parse_new_honeypot(struct binder *b, const char *name)
{
	struct honeypot *h = &b->m->honeypots[b->m->nhoneypots++];
	text_copy(h->name, sizeof(h->name), name);
	text_copy(h->hostname, sizeof(h->hostname), name);
	h->mark = b->at[PLACE_HONEYPOT][b->index];
	h->net = NET_UNSET;
	h->memory = 128ull << 20;
	h->cpus = 1;
	h->boot_seconds = 60;
	h->policy = b->m->policy;
	h->introspection = b->m->introspection;
	return h;
}

void *parse_new_policy(struct binder *b, const char *name)
{
	struct named_policy *p = &b->m->policies[b->m->npolicies++];
	text_copy(p->name, sizeof(p->name), name);
	p->policy = b->m->policy;
	b->job = bind_job(b, &p->policy, b->at[PLACE_NAMED][b->index]);
	return &p->policy;
}

/* The first address behind the network's own. */
static void default_router(struct addr *router, const struct addr *net)
{
	if (router->family || !net->family)
		return;
	*router = addr_net(net);
	router->b[net->family == 4 ? 3 : 15] |= 1;
}

static void finish_honeypot(struct binder *b, unsigned i)
{
	static const uint8_t zero[6];
	struct model *m = b->m;
	struct honeypot *h = &m->honeypots[i];
	if (h->net == NET_UNSET) {
		h->net = 0;
		if (m->nnets != 1 && !b->bad[PLACE_HP_NET][i] && !b->bad[PLACE_MODEL][0])
			diag_add(b->d, h->mark, "honeypot %s: missing key network, since there are several", h->name);
		if (m->nnets != 1)
			b->bad[PLACE_HP_NET][i] = true;
	}
	const struct network *n = &m->nets[h->net];
	for (uint32_t k = 0; k < h->naddrs; k++) {
		const struct addr *net = h->addrs[k].family == 4 ? &n->v4 : &n->v6;
		if (net->family)
			h->addrs[k].plen = net->plen;
	}
	if (!memcmp(h->mac, zero, 6))
		mac_auto(m->name, h->name, h->mac);
	h->image_mark = b->at[PLACE_IMAGE][i];
}

/* What depends on several keys, and so on no order of them. */
static void finish(struct binder *b)
{
	struct model *m = b->m;
	for (uint32_t i = 0; i < m->nnets; i++) {
		default_router(&m->nets[i].router4, &m->nets[i].v4);
		default_router(&m->nets[i].router6, &m->nets[i].v6);
	}
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		finish_honeypot(b, i);
}

/* Would this rule only repeat a complaint about something that it builds on? */
static bool repeats(const struct binder *b, enum place place, unsigned i)
{
	const struct model *m = b->m;
	if (place == PLACE_RULE)
		return b->lists.bad[i] || !b->lists.at[i].line;
	if (b->bad[place][i])
		return true;
	switch (place) {
	case PLACE_NET:
		return b->bad[PLACE_NET_V4][i] || b->bad[PLACE_NET_V6][i];
	case PLACE_NET_ROUTER4:
		return b->bad[PLACE_NET_V4][i];
	case PLACE_NET_ROUTER6:
		return b->bad[PLACE_NET_V6][i];
	default:
		break;
	}
	if (place >= PLACE_ADDR) {
		const struct honeypot *h = &m->honeypots[i];
		const struct addr *a = &h->addrs[place - PLACE_ADDR];
		const struct network *n = &m->nets[h->net];
		if (!n->v4.family && !n->v6.family)
			return true;
		return b->bad[PLACE_HP_NET][i] || b->bad[a->family == 4 ? PLACE_NET_V4 : PLACE_NET_V6][h->net];
	}
	return false;
}

static struct mark where(const struct binder *b, enum place place, unsigned i)
{
	if (place == PLACE_RULE)
		return b->lists.at[i];
	struct mark at = b->at[place][i];
	if (at.line)
		return at;
	if (place >= PLACE_NET && place < PLACE_HONEYPOT) {
		/* A default router is as wrong as the prefix that it was made of. */
		at = place == PLACE_NET_ROUTER4 ? b->at[PLACE_NET_V4][i] : b->at[PLACE_NET_V6][i];
		return place >= PLACE_NET_ROUTER4 && at.line ? at : b->at[PLACE_NET][i];
	}
	if (place == PLACE_HP_POLICY)
		return b->at[PLACE_HONEYPOT][i];
	if ((place >= PLACE_HONEYPOT && place < PLACE_POLICY) || place >= PLACE_ADDR)
		return b->at[PLACE_HONEYPOT][i];
	return (struct mark){ 1, 1 };
}

static bool to_diag(void *arg, enum place place, unsigned index, const char *text)
{
	struct binder *b = arg;
	if (!repeats(b, place, index))
		diag_add(b->d, where(b, place, index), "%s", text);
	return true;
}

static void bind_file(struct binder *b, const struct tree *t)
{
	const struct rule_sink sink = { to_diag, b };
	memset(b->m, 0, sizeof(*b->m));
	b->m->magic = MODEL_MAGIC;
	b->m->size = sizeof(*b->m);
	b->m->policy = policy_default;
	b->m->evidence = evidence_default;
	b->m->notify.throttle = notify_default;
	bind_map(b, t->root, model_keys, b->m, "honeynet file", t->root->at);
	finish(b);
	bind_lists(b);
	rules_sense(b->m, &sink);
}

/* A file with a policy only, for the honeypots that b->m has already. */
static void bind_policy_file(struct binder *b, const struct tree *t)
{
	const struct rule_sink sink = { to_diag, b };
	struct model *m = b->m;
	m->npolicies = m->ntriggers = 0;
	memset(m->policies, 0, sizeof(m->policies));
	memset(m->triggers, 0, sizeof(m->triggers));
	memset(&m->notify, 0, sizeof(m->notify));
	memset(&m->pool, 0, sizeof(m->pool));
	m->notify.throttle = notify_default;
	m->policy = policy_default;
	bind_map(b, t->root, policy_file_keys, m, "policy file", t->root->at);
	bind_lists(b);
	for (uint32_t i = 0; i < m->nhoneypots; i++)
		m->honeypots[i].policy = m->policy;
	rules_policy_sense(m, &sink);
}

static int parse(const char *text, size_t n, const struct model *net, bool policy_only, struct model *out,
		 struct diag *d)
{
	struct tree tree;
	struct err e;
	d->n = d->more = 0;
	int r = tree_parse(&tree, text, n, d);
	struct binder *b = r ? NULL : calloc(1, sizeof(*b));
	struct model *m = r ? NULL : malloc(sizeof(*m));
	if (b && m) {
		b->d = d;
		b->m = m;
		if (policy_only) {
			memset(m, 0, sizeof(*m));
			m->magic = MODEL_MAGIC;
			m->size = sizeof(*m);
			if (net)
				memcpy(m, net, sizeof(*m));
			bind_policy_file(b, &tree);
		} else {
			bind_file(b, &tree);
		}
		/* Rules that were held back above are breached only together with a
		 * complaint; so this never speaks, unless binder and rules disagree. */
		if (!d->n && (policy_only ? model_check_policy : model_check)(m, &e) < 0)
			diag_add(d, tree.root->at, "%s", e.text);
		if (!d->n)
			memcpy(out, m, sizeof(*out));
		for (unsigned i = 0; i < PRESETS_MAX; i++)
			tree_free(&b->lists.trees[i]);
	} else if (!r) {
		diag_add(d, (struct mark){ 1, 1 }, "no memory left to read the file");
	}
	free(b);
	free(m);
	tree_free(&tree);
	return d->n ? -EINVAL : 0;
}

int model_parse(const char *text, size_t n, struct model *out, struct diag *d)
{
	return parse(text, n, NULL, false, out, d);
}

int model_parse_policy(const char *text, size_t n, struct model *out, struct diag *d)
{
	return parse(text, n, NULL, true, out, d);
}

int model_parse_policy_for(const char *text, size_t n, const struct model *net, struct model *out, struct diag *d)
{
	return parse(text, n, net, true, out, d);
}

bool model_is_policy(const char *text, size_t n)
{
	static const char *const others[] = { "honeynet", "networks", "honeypots", "uplink", "evidence" };
	struct tree tree;
	struct diag *d = calloc(1, sizeof(*d));
	bool policy = false, other = false;
	int r = d ? tree_parse(&tree, text, n, d) : -ENOMEM;
	bool map = !r && tree.root->kind == NODE_MAP;
	for (const struct node *k = map ? tree.root->child : NULL; k && k->next; k = k->next->next) {
		if (k->kind != NODE_SCALAR)
			continue;
		policy |= !strcmp(k->text, "policy");
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			other |= !strcmp(k->text, others[i]);
	}
	if (d)
		tree_free(&tree);
	free(d);
	return policy && !other;
}
