/* SPDX-License-Identifier: ISC */
/*
 * Runs a case file through the gateway's walk with virtual time, and compares
 * what became of the frames with what was expected.
 *
 *   replay CASE.replay CASE.expect     compare; exit status 1 if they differ
 *   replay CASE.replay                 print
 *
 * A case holds one statement a line; `#` begins a comment.
 *
 *   honeypot N mac MAC addr PREFIX...      a port; 0 and 1 exist in network 0 only if named
 *   policy N WORD...                       outbound.CLASS=COUNT/SECONDS (or unlimited), lateral.CLASS=...,
 *                                          flow.bytes= flow.packets= honeypot.bytes= honeypot.packets= (N or
 *                                          N/SECONDS), inbound-deny, multicast-allow, roach-motel; dns.queries=
 *                                          dns.names= (COUNT/SECONDS) dns.entropy= dns.label= dns.type=, the last
 *                                          several times;
 *                                          per-destination.CLASS=, per-source.CLASS=, fan-out= (COUNT/SECONDS),
 *                                          concurrent=N, jitter=PERCENT
 *   list N fence|black|allow PREFIX...     after the policy of N; only once each
 *   rule N NAME ACTION WORD...             one more rule of N (all of one honeypot together); ACTION: allow limit
 *                                          first reset drop; WORD: out lateral in (at least one), tcp, udp,
 *                                          ports=A or A-B, to=PREFIX, from=PREFIX, limit=COUNT/SECONDS,
 *                                          per=honeypot|destination|source|honeynet, bytes=N, packets=N
 *   pcap FILE [repair] [causal]            every frame of a capture: from the honeypot whose MAC it has, else
 *                                          from the uplink. repair: computes TCP checksums that were left to
 *                                          a network card. causal: leaves out the rest of a conversation
 *                                          whose first frame was dropped, which would never have been
 *   wait SECONDS
 *   frame PORT KEY=VALUE...                a frame of our own; PORT is a number or `uplink`. Keys: the fields
 *                                          of struct craft (craft.h); hex=BYTES for a raw frame; text=LINE for a
 *                                          payload (_ is a space, CR LF at the end); repeat=N
 *                                          with inc=FIELD (sport dport icmp_id frag_id dst) and every=SECONDS
 *
 *   fragments PORT size=N KEY=VALUE...     the same in fragments with N bytes of payload each. order=1,0,2 of
 *                                          sending; change=I: number I has another last byte; twice=I: number I
 *                                          is sent twice, the second time changed
 *
 * Results, in this order: frames by verdict and reason, frames sent by port, ended
 * flows by the way they ended (all flows end at the end of the case).
 */
#include "pcap/pcap.h"
#include "world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <stddef.h>

static struct world *w;
static struct gw_policy_entry policies[MODEL_HONEYPOTS];
static uint32_t npolicies;
static uint64_t skipped;
static const char *file;
static unsigned line;
static char data_dir[512];

static void fail(const char *what, const char *word)
{
	fprintf(stderr, "%s:%u: %s: %s\n", file, line, what, word ? word : "(nothing)");
	exit(2);
}

static char *word(char **s)
{
	while (isspace((unsigned char)**s))
		(*s)++;
	if (!**s || **s == '#')
		return NULL;
	char *start = *s;
	while (**s && !isspace((unsigned char)**s))
		(*s)++;
	if (**s)
		*(*s)++ = 0;
	return start;
}

static uint64_t number(const char *s)
{
	char *end;
	uint64_t v = s ? strtoull(s, &end, 0) : 0;
	if (!s || *end)
		fail("not a number", s);
	return v;
}

static void step(uint64_t until)
{
	/* Evidence reads as fast as the gateway writes. */
	if (until > w->now)
		world_pass(w, until - w->now);
}

static void frame(uint16_t port, const uint8_t *p, size_t n)
{
	world_frame(w, port, p, n);
}

static void frame_of(uint16_t port, const struct craft *c)
{
	world_send(w, port, c);
}

/* ---- ports and policies ---------------------------------------------------- */

static void honeypot(char *s)
{
	uint64_t n = number(word(&s));
	char name[16], *mac = NULL, *x;
	const char *addrs[MODEL_ADDRS + 1] = { 0 };
	unsigned na = 0;
	while ((x = word(&s))) {
		if (!strcmp(x, "mac"))
			mac = word(&s);
		else if (!strcmp(x, "addr") && na < MODEL_ADDRS)
			addrs[na++] = word(&s);
		else
			fail("unknown word", x);
	}
	if (!mac || n >= MODEL_HONEYPOTS)
		fail("a honeypot needs a MAC", NULL);
	snprintf(name, sizeof(name), "pot%u", (unsigned)(uint8_t)n);
	world_port(w, (uint16_t)n, 0, name, mac, addrs, WORLD_RING);
}

static struct limit limit_of(char *v)
{
	if (!strcmp(v, "unlimited"))
		return (struct limit){ LIMIT_UNLIMITED, 0 };
	char *slash = strchr(v, '/');
	if (!slash)
		fail("a limit is COUNT/SECONDS", v);
	*slash = 0;
	return (struct limit){ (uint32_t)number(v), (uint32_t)number(slash + 1) };
}

static void budget_of(char *v, struct budget *b, bool bytes)
{
	char *slash = strchr(v, '/');
	if (slash) {
		*slash = 0;
		b->seconds = (uint32_t)number(slash + 1);
	}
	*(bytes ? &b->bytes : &b->packets) = number(v);
}

static bool limit_word(struct policy *p, const char *key, char *value)
{
	static const char *const classes[LIMIT_CLASS_COUNT] = { "tcp", "udp", "icmp", "other" };
	const struct {
		const char *name;
		struct limit *limits;
	} kinds[] = { { "outbound.", p->outbound },
		      { "lateral.", p->lateral },
		      { "per-destination.", p->per_destination },
		      { "per-source.", p->per_source } };
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		size_t n = strlen(kinds[k].name);
		for (unsigned i = 0; i < LIMIT_CLASS_COUNT && !strncmp(key, kinds[k].name, n); i++)
			if (!strcmp(key + n, classes[i])) {
				kinds[k].limits[i] = limit_of(value);
				return true;
			}
	}
	if (!strcmp(key, "fan-out"))
		p->fan_out = limit_of(value);
	else if (!strcmp(key, "concurrent"))
		p->concurrent = (uint32_t)number(value);
	else if (!strcmp(key, "jitter"))
		p->jitter = (uint8_t)number(value);
	else
		return false;
	return true;
}

static struct policy_pool pool;

static void load(void)
{
	struct err err;
	if (policies_swap(&w->g->policies, &pool, policies, npolicies, 1, &err) < 0)
		fail("refused", err.text);
}

static struct policy *policy_at(uint16_t port)
{
	for (uint32_t i = 0; i < npolicies; i++)
		if (policies[i].port == port)
			return &policies[i].policy;
	fail("no policy yet for this port", NULL);
	return NULL;
}

static void prefix(struct span *s, const char *text)
{
	if (!s->n)
		s->first = (uint16_t)pool.nprefixes;
	if (pool.nprefixes == POOL_PREFIXES || s->first + s->n != pool.nprefixes ||
	    !addr_parse(text, -1, &pool.prefixes[pool.nprefixes]))
		fail("not a prefix", text);
	pool.nprefixes++;
	s->n++;
}

static void list(char *s)
{
	struct policy *p = policy_at((uint16_t)number(word(&s)));
	char *name = word(&s), *x;
	struct span *l = !name                    ? NULL
			 : !strcmp(name, "fence") ? &p->fence
			 : !strcmp(name, "black") ? &p->black
			 : !strcmp(name, "allow") ? &p->allow
						  : NULL;
	if (!l || l->n)
		fail("not a list, or it is there already", name);
	while ((x = word(&s)))
		prefix(l, x);
	load();
}

static unsigned one_of(const char *const *names, unsigned n, const char *text)
{
	for (unsigned i = 0; i < n; i++)
		if (names[i] && text && !strcmp(names[i], text))
			return i;
	fail("unknown word", text);
	return 0;
}

static void rule_word(struct rule *r, const char *x, char *v)
{
	static const char *const per[PER_COUNT] = { "honeypot", "destination", "source", "honeynet" };
	if (!strcmp(x, "out"))
		r->directions |= RULE_OUT;
	else if (!strcmp(x, "lateral"))
		r->directions |= RULE_LATERAL;
	else if (!strcmp(x, "in"))
		r->directions |= RULE_IN;
	else if (!strcmp(x, "tcp") || !strcmp(x, "udp")) {
		r->has_proto = 1;
		r->proto = x[0] == 't' ? 6 : 17;
	} else if (!v)
		fail("unknown word", x);
	else if (!strcmp(x, "to"))
		prefix(&r->to, v);
	else if (!strcmp(x, "from"))
		prefix(&r->from, v);
	else if (!strcmp(x, "limit"))
		r->limit = limit_of(v);
	else if (!strcmp(x, "per"))
		r->per = (uint8_t)one_of(per, PER_COUNT, v);
	else if (!strcmp(x, "bytes"))
		r->first.bytes = number(v);
	else if (!strcmp(x, "packets"))
		r->first.packets = number(v);
	else if (!strcmp(x, "ports") && pool.nranges < POOL_RANGES && !r->ports.n) {
		char *dash = strchr(v, '-');
		if (dash)
			*dash++ = 0;
		r->ports = (struct span){ (uint16_t)pool.nranges, 1 };
		pool.ranges[pool.nranges++] =
		    (struct port_range){ (uint16_t)number(v), (uint16_t)number(dash ? dash : v) };
	} else
		fail("unknown word", x);
}

static void rule(char *s)
{
	static const char *const actions[ACTION_COUNT] = {
		[ACTION_ALLOW] = "allow", [ACTION_LIMIT] = "limit", [ACTION_FIRST] = "first",
		[ACTION_RESET] = "reset", [ACTION_DROP] = "drop",
	};
	struct policy *p = policy_at((uint16_t)number(word(&s)));
	struct rule *r = &pool.rules[pool.nrules];
	char *name = word(&s), *x;
	if (!p->rules.n)
		p->rules.first = (uint16_t)pool.nrules;
	if (!name || pool.nrules == POOL_RULES || p->rules.first + p->rules.n != pool.nrules)
		fail("the rules of one honeypot stand together", name);
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->action = (uint8_t)one_of(actions, ACTION_COUNT, word(&s));
	while ((x = word(&s))) {
		char *v = strchr(x, '=');
		if (v)
			*v++ = 0;
		rule_word(r, x, v);
	}
	pool.nrules++;
	p->rules.n++;
	load();
}

static bool dns_word(struct dns_policy *d, const char *key, char *value)
{
	if (strncmp(key, "dns.", 4))
		return false;
	d->on = 1;
	key += 4;
	if (!strcmp(key, "queries"))
		d->queries = limit_of(value);
	else if (!strcmp(key, "names"))
		d->names = limit_of(value);
	else if (!strcmp(key, "entropy"))
		d->entropy = (uint16_t)number(value);
	else if (!strcmp(key, "label"))
		d->label_max = (uint8_t)number(value);
	else if (!strcmp(key, "type") && d->ntypes < DNS_TYPES)
		d->types[d->ntypes++] = (uint16_t)number(value);
	else
		return false;
	return true;
}

static void policy(char *s)
{
	struct gw_policy_entry e = { .port = (uint16_t)number(word(&s)) };
	struct policy *p = &e.policy;
	char *x;
	while ((x = word(&s))) {
		char *v = strchr(x, '=');
		if (v)
			*v++ = 0;
		if (!v && !strcmp(x, "roach-motel"))
			p->roach_motel = 1;
		else if (!v && !strcmp(x, "inbound-deny"))
			p->inbound_deny = 1;
		else if (!v && !strcmp(x, "multicast-allow"))
			p->multicast_allow = 1;
		else if (v && (!strcmp(x, "flow.bytes") || !strcmp(x, "flow.packets")))
			budget_of(v, &p->flow, x[5] == 'b');
		else if (v && (!strcmp(x, "honeypot.bytes") || !strcmp(x, "honeypot.packets")))
			budget_of(v, &p->honeypot, x[9] == 'b');
		else if (!v || (!limit_word(p, x, v) && !dns_word(&p->dns, x, v)))
			fail("unknown word", x);
	}
	uint32_t i = 0;
	while (i < npolicies && policies[i].port != e.port)
		i++;
	policies[i] = e;
	npolicies += i == npolicies;
	load();
}

/* ---- captures -------------------------------------------------------------- */

#define CONVERSATIONS 8192
static struct {
	uint8_t id[13];
	bool dropped;
} conversations[CONVERSATIONS];
static unsigned nconversations;

/* Of TCP and UDP over IPv4: its place in the list, -1 if none. */
static int conversation(struct slice f)
{
	uint8_t id[13];
	if (f.n < 54 || f.p[12] != 8 || f.p[13] || (f.p[23] != 6 && f.p[23] != 17))
		return -1;
	const uint8_t *l4 = f.p + 14 + (f.p[14] & 15) * 4;
	bool swap = memcmp(f.p + 26, f.p + 30, 4) > 0;
	memcpy(id, f.p + (swap ? 30 : 26), 4);
	memcpy(id + 4, f.p + (swap ? 26 : 30), 4);
	memcpy(id + 8, l4 + (swap ? 2 : 0), 2);
	memcpy(id + 10, l4 + (swap ? 0 : 2), 2);
	id[12] = f.p[23];
	for (unsigned i = 0; i < nconversations; i++)
		if (!memcmp(conversations[i].id, id, sizeof(id)))
			return (int)i;
	if (nconversations == CONVERSATIONS)
		fail("too many conversations", NULL);
	memcpy(conversations[nconversations].id, id, sizeof(id));
	conversations[nconversations].dropped = true; /* until the first frame has passed */
	return (int)nconversations++;
}

static void repair(uint8_t *p, size_t n)
{
	size_t ihl = (size_t)(p[14] & 15) * 4, total = (size_t)(p[16] << 8 | p[17]);
	if (n < 54 || p[12] != 8 || p[13] || p[23] != 6 || 14 + total > n)
		return;
	uint8_t *l4 = p + 14 + ihl;
	size_t len = total - ihl;
	l4[16] = l4[17] = 0;
	uint32_t pseudo = (uint16_t)~craft_sum(p + 26, 8, 0) + (uint32_t)len + 6;
	uint16_t sum = craft_sum(l4, len, pseudo);
	l4[16] = (uint8_t)(sum >> 8);
	l4[17] = (uint8_t)sum;
}

static struct slice whole(const char *name)
{
	char path[1024];
	static uint8_t buf[1 << 20];
	snprintf(path, sizeof(path), "%s/%s", data_dir, name);
	FILE *f = fopen(path, "rb");
	if (!f) {
		fprintf(stderr, "%s is not there: skipped (see tests/data/README.md)\n", path);
		exit(77);
	}
	size_t n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	return slice_of(buf, n);
}

static void capture_file(char *s)
{
	char *name = word(&s), *x;
	bool fix = false, causal = false;
	static struct pcap_reader p;
	struct pcap_record rec;
	struct err e;
	uint64_t first = 0, began = w->now;
	int got;
	while ((x = word(&s))) {
		fix |= !strcmp(x, "repair");
		causal |= !strcmp(x, "causal");
	}
	if (!name || pcap_reader_memory(&p, whole(name), &e) < 0)
		fail("not a capture", name);
	nconversations = 0;
	while ((got = pcap_reader_next(&p, &rec, &e)) == 1) {
		static uint8_t copy[1 << 16];
		struct slice f = rec.bytes;
		if (!first)
			first = rec.time;
		step(began + (rec.time - first));
		memcpy(copy, f.p, f.n < sizeof(copy) ? f.n : sizeof(copy));
		if (fix)
			repair(copy, f.n);
		unsigned before = nconversations;
		int c = causal ? conversation(f) : -1;
		bool fresh = nconversations != before;
		if (c >= 0 && !fresh && conversations[c].dropped) {
			skipped++;
			continue;
		}
		struct port *from = f.n >= 12 ? gateway_by_mac(w->g, 0, f.p + 6) : NULL;
		frame(from ? from->conf.port : WORLD_UPLINK, copy, f.n);
		if (c >= 0 && fresh)
			conversations[c].dropped = w->verdict != VERDICT_FORWARD;
	}
	if (got < 0 || p.cut)
		fail("broken capture", name);
}

/* ---- frames of our own ------------------------------------------------------ */

static const struct field {
	const char *name;
	size_t at;
	enum { TEXT, U8, U16, U32, FLAG } kind;
} fields[] = {
#define F(name, kind)                                                                                                  \
	{                                                                                                              \
#name, offsetof(struct craft, name), kind                                                              \
	}
	F(smac, TEXT),      F(dmac, TEXT),      F(src, TEXT),     F(dst, TEXT),        F(ethertype, U16),
	F(proto, U8),       F(ttl, U8),         F(sport, U16),    F(dport, U16),       F(flags, U8),
	F(seq, U32),        F(ack, U32),        F(window, U16),   F(urgent, U16),      F(tcp_options, TEXT),
	F(no_window, FLAG), F(udp_len, U16),    F(icmp_type, U8), F(icmp_code, U8),    F(icmp_id, U16),
	F(payload, U32),    F(options, TEXT),   F(exts, TEXT),    F(fragment, FLAG),   F(more, FLAG),
	F(frag_off, U16),   F(frag_id, U32),    F(arp_op, U16),   F(arp_smac, TEXT),   F(arp_tmac, TEXT),
	F(nd_target, TEXT), F(nd_lladdr, TEXT), F(vlan, U16),     F(bad_ip_sum, FLAG), F(bad_sum, FLAG),
	F(no_sum, FLAG),    F(total_less, U8),  F(cut, U16),      F(pad, U16),
#undef F
};

/* A line of a protocol as payload. */
static void set_text(struct craft *c, const char *value)
{
	static char line_of[4][256];
	static unsigned turn;
	char *t = line_of[turn++ % 4];
	c->payload = (uint32_t)snprintf(t, sizeof(line_of[0]), "%s\r\n", value ? value : "");
	for (char *at = t; *at; at++)
		if (*at == '_')
			*at = ' ';
	c->data = (const uint8_t *)t;
}

static void set(struct craft *c, const char *key, char *value)
{
	if (!strcmp(key, "text")) {
		set_text(c, value);
		return;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strcmp(fields[i].name, key))
			continue;
		void *at = (char *)c + fields[i].at;
		if (fields[i].kind == TEXT)
			*(const char **)at = value;
		else if (fields[i].kind == FLAG)
			*(bool *)at = !value || number(value);
		else if (fields[i].kind == U8)
			*(uint8_t *)at = (uint8_t)number(value);
		else if (fields[i].kind == U16)
			*(uint16_t *)at = (uint16_t)number(value);
		else
			*(uint32_t *)at = (uint32_t)number(value);
		return;
	}
	fail("unknown key", key);
}

static void increase(struct craft *c, const char *what, char dst[64])
{
	uint8_t a[16];
	if (!what)
		return;
	if (!strcmp(what, "sport"))
		c->sport++;
	else if (!strcmp(what, "dport"))
		c->dport++;
	else if (!strcmp(what, "icmp_id"))
		c->icmp_id++;
	else if (!strcmp(what, "frag_id"))
		c->frag_id++;
	else if (!strcmp(what, "dst") && craft_addr(c->dst, a) == 4) {
		if (!++a[3])
			a[2]++;
		snprintf(dst, 64, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
		c->dst = dst;
	} else
		fail("cannot increase", what);
}

static void own_frame(char *s)
{
	static uint8_t buf[CRAFT_MAX];
	char *port = word(&s), *x, *hex = NULL, *inc = NULL, dst[64];
	if (!port)
		fail("which port?", NULL);
	uint16_t in = !strcmp(port, "uplink") ? WORLD_UPLINK : (uint16_t)number(port);
	uint64_t repeat = 1;
	double every = 0;
	struct craft c = { 0 };
	while ((x = word(&s))) {
		char *v = strchr(x, '=');
		if (v)
			*v++ = 0;
		if (!strcmp(x, "hex"))
			hex = v;
		else if (!strcmp(x, "repeat"))
			repeat = number(v);
		else if (!strcmp(x, "every"))
			every = v ? atof(v) : 0;
		else if (!strcmp(x, "inc"))
			inc = v;
		else
			set(&c, x, v);
	}
	if (!gateway_port(w->g, in) || (!hex && (!c.smac || !c.dmac)))
		fail("a frame needs a port, smac and dmac", NULL);
	for (uint64_t i = 0; i < repeat; i++) {
		if (hex)
			frame(in, buf, craft_hex(hex, buf, sizeof(buf)));
		else
			frame_of(in, &c);
		step(w->now + (uint64_t)(every * 1e9));
		increase(&c, inc, dst);
	}
}

static void fragments(char *s)
{
	static uint8_t whole[CRAFT_MAX], buf[2 * CRAFT_MAX];
	static struct craft_piece piece[256];
	char *port = word(&s), *x, *order = NULL;
	uint64_t size = 1000, change = 256, twice = 256;
	struct craft c = { 0 };
	if (!port)
		fail("which port?", NULL);
	uint16_t in = !strcmp(port, "uplink") ? WORLD_UPLINK : (uint16_t)number(port);
	while ((x = word(&s))) {
		char *v = strchr(x, '=');
		if (v)
			*v++ = 0;
		if (!strcmp(x, "size"))
			size = number(v);
		else if (!strcmp(x, "change"))
			change = number(v);
		else if (!strcmp(x, "twice"))
			twice = number(v);
		else if (!strcmp(x, "order"))
			order = v;
		else
			set(&c, x, v);
	}
	if (!gateway_port(w->g, in) || !c.smac || !c.dmac)
		fail("a frame needs a port, smac and dmac", NULL);
	unsigned n = craft_fragments(whole, craft(&c, whole), c.frag_id, size, buf, sizeof(buf), piece, 256);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = order ? (unsigned)strtoul(order, &order, 10) : i;
		if (order && *order == ',')
			order++;
		if (k >= n)
			fail("there is no such fragment", NULL);
		uint8_t *last = (uint8_t *)(uintptr_t)piece[k].p + piece[k].n - 1;
		*last ^= k == change;
		frame(in, piece[k].p, piece[k].n);
		if (k != twice)
			continue;
		*last ^= 1;
		frame(in, piece[k].p, piece[k].n);
	}
}

/* ---- the case -------------------------------------------------------------- */

static void statement(char *s)
{
	char *verb = word(&s);
	if (!verb)
		return;
	if (!strcmp(verb, "honeypot"))
		honeypot(s);
	else if (!strcmp(verb, "policy"))
		policy(s);
	else if (!strcmp(verb, "list"))
		list(s);
	else if (!strcmp(verb, "rule"))
		rule(s);
	else if (!strcmp(verb, "pcap"))
		capture_file(s);
	else if (!strcmp(verb, "frame"))
		own_frame(s);
	else if (!strcmp(verb, "fragments"))
		fragments(s);
	else if (!strcmp(verb, "wait"))
		step(w->now + (uint64_t)(atof(s) * 1e9));
	else
		fail("unknown statement", verb);
}

static void report(FILE *out)
{
	static const char *const ends[FLOW_END_COUNT] = { "timeout", "closed", "shutdown", "evicted", "denied" };
	uint64_t ended[FLOW_END_COUNT] = { 0 };
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		for (unsigned r = 0; r < REASON_COUNT; r++)
			if (w->recorded[v][r])
				fprintf(out, "%s %s %llu\n", verdict_name(v), reason_name(r),
					(unsigned long long)w->recorded[v][r]);
	if (skipped)
		fprintf(out, "skipped %llu\n", (unsigned long long)skipped);
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (w->to[i])
			fprintf(out, "sent %s %llu\n", w->g->ports[i].conf.name, (unsigned long long)w->to[i]);
	for (unsigned i = 0; i < w->nflows && i < 4096; i++)
		ended[w->flows[i].f.end]++;
	for (unsigned i = 0; i < FLOW_END_COUNT; i++)
		if (ended[i])
			fprintf(out, "flows %s %llu\n", ends[i], (unsigned long long)ended[i]);
}

static bool same(const char *got, const char *path)
{
	char want[8192];
	FILE *f = fopen(path, "r");
	if (!f) {
		perror(path);
		return false;
	}
	size_t n = fread(want, 1, sizeof(want) - 1, f);
	want[n] = 0;
	fclose(f);
	if (!strcmp(got, want))
		return true;
	fprintf(stderr, "--- expected (%s)\n%s--- got\n%s", path, want, got);
	return false;
}

int main(int argc, char **argv)
{
	char buf[4096], *text = NULL;
	size_t size = 0;
	if (argc < 2 || argc > 3)
		return 2;
	file = argv[1];
	FILE *in = fopen(file, "r");
	if (!in) {
		perror(file);
		return 2;
	}
	snprintf(data_dir, sizeof(data_dir), "%.500s", getenv("SKEP_DATA") ? getenv("SKEP_DATA") : ".");
	w = world_empty(NULL);
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, WORLD_RING);
	while (fgets(buf, sizeof(buf), in)) {
		line++;
		statement(buf);
	}
	fclose(in);
	world_pass(w, 20 * SEC);
	gateway_drop_fragments(w->g, NULL, w->now);
	flow_end_all(w->g, NULL, false);
	denied_flush(w->g, w->now, true);
	world_read(w);
	FILE *out = open_memstream(&text, &size);
	report(out);
	fclose(out);
	bool ok = true;
	if (argc == 2)
		fputs(text, stdout);
	else
		ok = same(text, argv[2]);
	free(text);
	world_free(w);
	return !ok;
}
