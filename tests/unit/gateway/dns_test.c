/* SPDX-License-Identifier: ISC */
/* DNS at the gateway: what is a plain question, what carries data, how often, and
 * what an answer must be. */
#include "tests.h"

#include "proc/gateway/decode.h"
#include "proc/gateway/dns_msg.h"
#include "proc/gateway/dns_names.h"

static struct world *w;
static struct policy pol;

static int set_up(void **state)
{
	(void)state;
	w = world_new(2, NULL);
	const struct policy on = { .dns = { .on = 1 } };
	world_policy(w, 1, &on);
	pol = (struct policy){ .dns = { .on = 1 } };
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* ---- messages ------------------------------------------------------------- */

struct text {
	uint8_t b[2048];
	size_t n;
};

static void put(struct text *t, const void *p, size_t n)
{
	memcpy(t->b + t->n, p, n);
	t->n += n;
}

static void put16(struct text *t, unsigned v)
{
	put(t, (uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void put_name(struct text *t, const char *name)
{
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, ".");
		put(t, (uint8_t[]){ (uint8_t)n }, 1);
		put(t, p, n);
		p += n + (p[n] == '.');
	}
	put(t, "", 1);
}

static struct text question(unsigned id, const char *name, unsigned type)
{
	struct text t = { .n = 0 };
	put16(&t, id);
	put16(&t, 0x0100);
	put16(&t, 1);
	put16(&t, 0);
	put16(&t, 0);
	put16(&t, 0);
	put_name(&t, name);
	put16(&t, type);
	put16(&t, 1);
	return t;
}

static struct text answer(unsigned id, const char *name, unsigned type)
{
	struct text t = question(id, name, type);
	t.b[2] = 0x81;
	t.b[3] = 0x80;
	return t;
}

static void put_record(struct text *t, unsigned type, const void *data, size_t n)
{
	put16(t, 0xc00c);
	put16(t, type);
	put16(t, 1);
	put16(t, 0);
	put16(t, 300);
	put16(t, (unsigned)n);
	put(t, data, n);
	t->b[7]++;
}

static void put_opt(struct text *t, const void *data, size_t n)
{
	put(t, "", 1);
	put16(t, 41);
	put16(t, 1232);
	put16(t, 0);
	put16(t, 0);
	put16(t, (unsigned)n);
	put(t, data, n);
	t->b[11]++;
}

static bool is_question(const struct text *t, struct dns_msg *m)
{
	uint8_t *copy = malloc(t->n ? t->n : 1); /* so that sanitizers see each byte too far */
	assert_non_null(copy);
	memcpy(copy, t->b, t->n);
	bool ok = dns_question(slice_of(copy, t->n), m);
	free(copy);
	return ok;
}

static bool is_answer(const struct text *t, struct dns_msg *m)
{
	uint8_t *copy = malloc(t->n ? t->n : 1);
	assert_non_null(copy);
	memcpy(copy, t->b, t->n);
	bool ok = dns_answer(slice_of(copy, t->n), m);
	free(copy);
	return ok;
}

static void plain_questions(void **state)
{
	(void)state;
	struct dns_msg m;
	char text[DNS_TEXT_MAX + 1] = "";
	struct text t = question(7, "WWW.Example.ORG", 28);
	assert_true(is_question(&t, &m));
	assert_int_equal(m.id, 7);
	assert_int_equal(m.qtype, 28);
	assert_int_equal(m.name.nlabels, 3);
	assert_int_equal(dns_text(&m.name, text, DNS_TEXT_MAX), 15);
	assert_string_equal(text, "www.example.org");
	for (size_t n = 0; n < t.n; n++) {
		struct text cut = t;
		cut.n = n;
		assert_false(is_question(&cut, &m));
	}
	put(&t, "x", 1); /* something behind it */
	assert_false(is_question(&t, &m));
	t = question(7, "a.b", 1);
	t.b[5] = 2; /* two questions said, one there */
	assert_false(is_question(&t, &m));
	t = question(7, "a.b", 1);
	t.b[3] |= 0x40; /* the reserved bit */
	assert_false(is_question(&t, &m));
	t = question(7, "a.b", 1);
	t.b[2] |= 0x28; /* an update */
	assert_false(is_question(&t, &m));
	t = question(7, "a.b", 1);
	put_record(&t, 16, "\3abc", 4); /* an answer in a question */
	assert_false(is_question(&t, &m));
	t = question(7, "", 2);
	assert_true(is_question(&t, &m));
	assert_int_equal(m.name.nlabels, 0);
	t = question(7, "", 1);
	t.b[12] = 0xc0; /* a pointer */
	assert_false(is_question(&t, &m));
}

static void edns(void **state)
{
	(void)state;
	struct dns_msg m;
	struct text t = question(1, "a.b", 1);
	put_opt(&t, "", 0);
	assert_true(is_question(&t, &m));
	assert_true(m.edns && !m.edns_data);
	t = question(1, "a.b", 1);
	put_opt(&t, "\0\3\0\0", 4); /* NSID, empty: it asks for something */
	assert_true(is_question(&t, &m));
	assert_false(m.edns_data);
	t = question(1, "a.b", 1);
	put_opt(&t, "\0\12\0\010cookie!!", 12);
	assert_true(is_question(&t, &m));
	assert_true(m.edns_data);
	t = question(1, "a.b", 1);
	put_opt(&t, "\0\12\0\011cookie!!", 12); /* longer than it is */
	assert_false(is_question(&t, &m));
	t = question(1, "a.b", 1);
	put_opt(&t, "", 0);
	put_opt(&t, "", 0);
	assert_false(is_question(&t, &m));
}

static void answers_and_pointers(void **state)
{
	(void)state;
	struct dns_msg m;
	struct text t = answer(9, "www.example.org", 1);
	put_record(&t, 5, "\3cdn\xc0\x10", 6);
	put_record(&t, 1, "\313\0\161\5", 4);
	assert_true(is_answer(&t, &m));
	assert_int_equal(m.nanswers, 1);
	assert_memory_equal(m.answers[0].addr, "\313\0\161\5", 4);
	assert_int_equal(m.answers[0].ttl, 300);
	for (size_t n = 0; n < t.n; n++) {
		struct text cut = t;
		cut.n = n;
		assert_false(is_answer(&cut, &m));
	}
	/* A record whose name points at itself, and one that points forward. */
	for (unsigned to = 0; to < 2; to++) {
		t = answer(9, "a.b", 1);
		size_t at = t.n;
		put_record(&t, 1, "\313\0\161\5", 4);
		t.b[at] = 0xc0;
		t.b[at + 1] = (uint8_t)(at + 2 * to);
		assert_false(is_answer(&t, &m));
	}
	/* Two pointers at each other. */
	t = answer(9, "a.b", 1);
	size_t at = t.n;
	put_record(&t, 10, "\xc0\0", 2);
	t.b[t.n - 1] = (uint8_t)at;
	t.b[at] = 0xc0;
	t.b[at + 1] = (uint8_t)(t.n - 2);
	assert_false(is_answer(&t, &m));
	/* An A record of five bytes. */
	t = answer(9, "a.b", 1);
	put_record(&t, 1, "12345", 5);
	assert_false(is_answer(&t, &m));
	t = question(9, "a.b", 1);
	assert_false(is_answer(&t, &m));
}

static struct dns_name name_of(const char *text)
{
	struct dns_msg m;
	struct text t = question(1, text, 1);
	assert_true(is_question(&t, &m));
	return m.name;
}

static void registered_domains(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		unsigned labels;
	} cases[] = { { "www.example.org", 2 },
		      { "example.org", 2 },
		      { "org", 1 },
		      { "a.b.example.co.uk", 3 },
		      { "co.uk", 2 },
		      { "7.113.0.203.in-addr.arpa", 5 },
		      { "xco.uk", 2 },
		      { "a.b.xco.uk", 2 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dns_name n = name_of(cases[i].name);
		assert_int_equal(dns_registered(&n), cases[i].labels);
	}
}

static void entropy(void **state)
{
	(void)state;
	assert_int_equal(dns_entropy((const uint8_t *)"aaaaaaaa", 8), 0);
	assert_int_equal(dns_entropy((const uint8_t *)"abababab", 8), 1000);
	assert_int_equal(dns_entropy((const uint8_t *)"abcdefgh", 8), 3000);
	assert_in_range(dns_entropy((const uint8_t *)"aab", 3), 917, 919); /* 0.9183 */
	struct dns_name n = name_of("detectportal-and-settings.example.org");
	assert_false(dns_dense(&n, 3800));
	n = name_of("mfzwizltoq2gk43uojuw4zzamfzsa.example.org");
	assert_true(dns_dense(&n, 3800));
	assert_false(dns_dense(&n, 0));
	/* The same in pieces that are each too short to be measured. */
	n = name_of("mfzwizltoq2gk.43uojuw4zzamf.zsa7bcd9efghi.5jkl6mnopqrst.uvwx8yz01.example.org");
	assert_true(dns_dense(&n, 3800));
	n = name_of("assets.static.production.eu-west-1.elb.images.cdn.example.org");
	assert_false(dns_dense(&n, 3800));
}

static void odd_names_are_text(void **state)
{
	(void)state;
	struct dns_msg m;
	char text[DNS_TEXT_MAX];
	struct text t = question(1, "ab c\\.\377.x", 1);
	assert_true(is_question(&t, &m));
	assert_false(m.name.plain);
	size_t n = dns_text(&m.name, text, sizeof(text));
	assert_int_equal(n, strlen("ab\\032c\\092.\\255.x"));
	assert_memory_equal(text, "ab\\032c\\092.\\255.x", n);
	assert_int_equal(dns_text(&m.name, text, 5), 2); /* whole characters */
}

/* Against a naive model: in no window are there more different names. */
static void names_window(void **state)
{
	(void)state;
	static struct dns_names t;
	enum { N = 4000 };
	static struct {
		uint64_t at;
		unsigned domain, name;
	} let[N];
	unsigned n = 0, refused = 0, x = 12345;
	const struct limit l = { 5, 10 };
	uint64_t now = 1000 * SEC;
	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < N; i++) {
		x = x * 1103515245u + 12345u;
		now += (x >> 16) % 400 * 1000000ull;
		unsigned domain = (x >> 20) % 3, name = domain * 100 + (x >> 8) % 12;
		unsigned others = 0;
		bool known = false;
		for (unsigned k = 100; k < 1200; k++) { /* every name */
			bool asked = false;
			for (unsigned j = n; j-- > 0 && now - let[j].at <= l.seconds * SEC;)
				asked |= let[j].name == k - 100 && let[j].domain == domain;
			known |= asked && k - 100 == name;
			others += asked;
		}
		bool want = known || others < l.count, fits = dns_names_fit(&t, &l, domain + 1, name + 1, now);
		assert_int_equal(fits, want);
		if (fits) {
			dns_names_add(&t, domain + 1, name + 1, now);
			let[n].at = now;
			let[n].domain = domain;
			let[n++].name = name;
		} else {
			refused++;
		}
	}
	assert_true(refused > N / 20 && n > N / 20);
}

static void names_full(void **state)
{
	(void)state;
	static struct dns_names t;
	const struct limit many = { 10000, 3600 }, none = { 0, 0 };
	memset(&t, 0, sizeof(t));
	for (unsigned i = 0; i < DNS_NAMES; i++) {
		assert_true(dns_names_fit(&t, &many, i % 7 + 1, i + 1, SEC));
		dns_names_add(&t, i % 7 + 1, i + 1, SEC);
	}
	assert_false(dns_names_fit(&t, &many, 99, 99999, SEC)); /* fails closed */
	assert_true(dns_names_fit(&t, &many, 1, 1, SEC));       /* known */
	assert_true(dns_names_fit(&t, &none, 99, 99999, SEC));  /* nothing to hold: the oldest goes */
	dns_names_add(&t, 99, 99999, SEC);
	assert_int_equal(t.nseen, DNS_NAMES);
	assert_true(dns_names_fit(&t, &many, 5, 88888, SEC + 3601 * SEC));
	assert_int_equal(t.nseen, 0);
}

/* ---- the judgement -------------------------------------------------------- */

struct sent {
	uint8_t verdict, reason;
	struct edit edit;
	bool flow;
};

/* The part of the walk that leads to dns_judge, as control calls it. */
static struct sent walk(uint16_t port, struct craft c, const struct text *t, bool ask)
{
	static uint8_t buf[CRAFT_MAX];
	struct gateway *g = w->g;
	c.data = t->b;
	c.payload = (uint32_t)t->n;
	c.proto = c.proto ? c.proto : 17;
	size_t n = craft(&c, buf);
	struct frame f = { .bytes = slice_of(buf, n),
			   .wirelen = (uint32_t)n,
			   .in = &g->ports[port],
			   .now = w->now,
			   .check_sums = 1,
			   .rule = RULE_NONE };
	decode(&f);
	flow_find(g, &f);
	dns_find(g, &f);
	f.out = ask ? &g->ports[WORLD_UPLINK] : &g->ports[0];
	if (!f.flow && ask)
		flow_begin(g, &f, f.in, f.in, f.out);
	verdict_allow(&f, ask ? REASON_OUTBOUND : REASON_REPLY);
	if (!ask && !f.flow)
		verdict_drop(&f, REASON_NO_FLOW);
	w->ndns = 0;
	dns_judge(g, &f, &pol, ask);
	world_read(w);
	return (struct sent){ f.verdict, f.reason, f.edit, f.flow != NULL };
}

#define ASK(t, ...) walk(0, (struct craft){ OUT, .sport = 4000, .dport = 53, __VA_ARGS__ }, t, true)
#define TELL(t, ...) walk(WORLD_UPLINK, (struct craft){ IN, .sport = 53, .dport = 4000, __VA_ARGS__ }, t, false)
#define assert_sent(s, v, why)                                                                                         \
	do {                                                                                                           \
		struct sent sent_ = (s);                                                                               \
		assert_string_equal(reason_name(sent_.reason), reason_name(why));                                      \
		assert_int_equal(sent_.verdict, v);                                                                    \
	} while (0)

static void asked_and_answered(void **state)
{
	(void)state;
	struct text q = question(7, "www.example.org", 1), a = answer(7, "www.example.org", 1);
	put_record(&a, 1, "\313\0\161\5", 4);
	assert_sent(ASK(&q), VERDICT_FORWARD, REASON_OUTBOUND);
	assert_int_equal(w->ndns, 1);
	assert_string_equal(w->dns_name, "www.example.org");
	assert_int_equal(w->dns.answer, 0);
	assert_sent(TELL(&a), VERDICT_FORWARD, REASON_REPLY);
	assert_int_equal(w->ndns, 1);
	assert_int_equal(w->dns.answer, 1);
	assert_int_equal(w->dns.nanswers, 1);
	assert_int_equal(w->dns.answers[0].family, 4);
	/* Once for each time that it was asked. */
	assert_sent(TELL(&a), VERDICT_DROP, REASON_DNS);
	assert_sent(ASK(&q), VERDICT_FORWARD, REASON_OUTBOUND);
	struct text other = answer(8, "www.example.org", 1);
	assert_sent(TELL(&other), VERDICT_DROP, REASON_DNS);
	other = answer(7, "www.example.net", 1);
	assert_sent(TELL(&other), VERDICT_DROP, REASON_DNS);
	other = answer(7, "www.example.org", 28);
	assert_sent(TELL(&other), VERDICT_DROP, REASON_DNS);
	w->now += 31 * SEC; /* too late */
	assert_sent(TELL(&a), VERDICT_DROP, REASON_DNS);
}

static void not_dns(void **state)
{
	(void)state;
	struct text t = { .b = "GET / HTTP/1.0\r\n\r\n", .n = 18 };
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS);
	assert_int_equal(w->ndns, 0);
	t = question(1, "a.b", 1);
	assert_sent(ASK(&t, .proto = 6, .flags = TCP_SYN), VERDICT_DROP, REASON_DNS);
	t.b[t.n - 1] = 3; /* class CHAOS */
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS);
	t = question(1, "a.b", 1);
	put_opt(&t, "\0\12\0\010cookie!!", 12);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS);
}

static void types_and_lengths(void **state)
{
	(void)state;
	pol.dns.types[pol.dns.ntypes++] = 1;
	pol.dns.types[pol.dns.ntypes++] = 28;
	pol.dns.name_max = 30;
	pol.dns.label_max = 10;
	pol.dns.answer_max = 100;
	struct text t = question(1, "a.example.org", 28);
	assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
	t = question(1, "a.example.org", 15);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS);
	t = question(1, "a.example.org", DNS_T_TXT);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_TUNNEL);
	t = question(1, "a.example.org", DNS_T_NULL);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_TUNNEL);
	assert_int_equal(w->ndns, 1); /* refused ones are recorded */
	assert_int_equal(w->dns.reason, REASON_DNS_TUNNEL);
	t = question(1, "abcdefghij.example.org", 1);
	assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
	t = question(1, "abcdefghijk.example.org", 1);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_TUNNEL);
	t = question(1, "aaaaaaaaa.aaaaaaaaa.example.org", 1);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_TUNNEL);
	t = question(1, "a\200.example.org", 1);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_TUNNEL);
	/* What comes back carries no text either, and is not too large. */
	struct text q = question(2, "b.example.org", 1), a = answer(2, "b.example.org", 1);
	assert_sent(ASK(&q), VERDICT_FORWARD, REASON_OUTBOUND);
	put_record(&a, 16, "\5hello", 6);
	assert_sent(TELL(&a), VERDICT_DROP, REASON_DNS_TUNNEL);
	a = answer(2, "b.example.org", 1);
	for (unsigned i = 0; i < 5; i++)
		put_record(&a, 1, "\313\0\161\5", 4);
	assert_sent(TELL(&a), VERDICT_DROP, REASON_DNS);
	a = answer(2, "b.example.org", 1);
	assert_sent(TELL(&a), VERDICT_FORWARD, REASON_REPLY);
}

static void limits(void **state)
{
	(void)state;
	pol.dns.queries = (struct limit){ 5, 60 };
	struct text t = question(1, "a.example.org", 1);
	for (unsigned i = 0; i < 5; i++) {
		assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
		w->now += SEC;
	}
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_LIMIT);
	w->now += 55 * SEC; /* the first is exactly 60 s ago */
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_LIMIT);
	w->now += 1;
	assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_LIMIT);
}

static void many_names(void **state)
{
	(void)state;
	char name[64];
	struct text t;
	unsigned passed = 0;
	pol.dns.names = (struct limit){ 10, 3600 };
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "x%u.tunnel.example.co.uk", i);
		t = question(i, name, 1);
		passed += ASK(&t).verdict == VERDICT_FORWARD;
		w->now += SEC;
	}
	assert_int_equal(passed, 10);
	t = question(1, "X3.tunnel.example.co.uk", 28); /* known: other letters' case, other type */
	assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
	t = question(1, "x99.tunnel.example.co.uk", 1);
	assert_sent(ASK(&t), VERDICT_DROP, REASON_DNS_LIMIT);
	t = question(1, "x99.tunnel.other.co.uk", 1);
	assert_sent(ASK(&t), VERDICT_FORWARD, REASON_OUTBOUND);
}

static void the_operators_resolver(void **state)
{
	(void)state;
	assert_true(addr_parse("203.0.113.53", -1, &pol.dns.resolver4));
	assert_true(addr_parse("2001:db8:53::1", -1, &pol.dns.resolver6));
	struct text q = question(7, "www.example.org", 1), a = answer(7, "www.example.org", 1);
	struct sent s = ASK(&q);
	assert_int_equal(s.verdict, VERDICT_REWRITE);
	assert_int_equal(s.reason, REASON_OUTBOUND);
	assert_int_equal(s.edit.what, EDIT_ADDRS);
	assert_memory_equal(s.edit.daddr, pol.dns.resolver4.b, 4);
	assert_memory_equal(s.edit.saddr, "\300\0\2\12", 4);
	assert_int_equal(w->dns.moved, 1);
	/* The asked server itself says nothing: nobody has asked it. */
	assert_sent(TELL(&a), VERDICT_DROP, REASON_DNS);
	/* Another id, another port, another sender: no flow of ours. */
	struct text other = answer(8, "www.example.org", 1);
	assert_sent(TELL(&other, .src = "203.0.113.53"), VERDICT_DROP, REASON_DNS);
	assert_sent(TELL(&a, .src = "203.0.113.53", .dport = 4001), VERDICT_DROP, REASON_DNS);
	assert_sent(TELL(&a, .src = "203.0.113.54"), VERDICT_DROP, REASON_DNS);
	s = TELL(&a, .src = "203.0.113.53");
	assert_int_equal(s.verdict, VERDICT_REWRITE);
	assert_true(s.flow);
	assert_memory_equal(s.edit.saddr, "\306\63\144\7", 4); /* 198.51.100.7, which was asked */
	assert_memory_equal(s.edit.daddr, "\300\0\2\12", 4);
	assert_memory_equal(w->dns.src, "\306\63\144\7", 4);
	assert_sent(TELL(&a, .src = "203.0.113.53"), VERDICT_DROP, REASON_DNS);
	/* IPv6 is its equal. */
	s = walk(0, (struct craft){ OUT6, .sport = 4000, .dport = 53 }, &q, true);
	assert_int_equal(s.verdict, VERDICT_REWRITE);
	assert_memory_equal(s.edit.daddr, pol.dns.resolver6.b, 16);
	s = walk(WORLD_UPLINK, (struct craft){ IN6, .src = "2001:db8:53::1", .sport = 53, .dport = 4000 }, &a, false);
	assert_int_equal(s.verdict, VERDICT_REWRITE);
	assert_int_equal(s.edit.saddr[15], 7);
	/* Who asks the resolver itself is not translated. */
	assert_sent(ASK(&q, .dst = "203.0.113.53", .sport = 4002), VERDICT_FORWARD, REASON_OUTBOUND);
	assert_sent(TELL(&a, .src = "203.0.113.53", .dport = 4002), VERDICT_FORWARD, REASON_REPLY);
}

/* iodine's way: types that carry much, names of eight-bit bytes, a new one each time. */
static void a_tunnel(void **state)
{
	(void)state;
	static uint8_t file[1 << 20];
	const char *root = getenv("SKEP_DATA");
	char name[512];
	snprintf(name, sizeof(name), "%s/iodine.pcap", root ? root : ".");
	FILE *in = fopen(name, "rb");
	if (!in) {
		print_message("# no iodine.pcap (tests/data/README.md): only names of our own are tested\n");
		return;
	}
	size_t n = fread(file, 1, sizeof(file), in);
	fclose(in);
	/* As examples/policies/careful has it. */
	pol.dns = (struct dns_policy){ .on = 1,
				       .ntypes = 3,
				       .types = { 1, 28, 12 },
				       .name_max = 100,
				       .label_max = 40,
				       .entropy = 3800,
				       .answer_max = 512,
				       .queries = { 60, 60 },
				       .names = { 50, 3600 } };
	unsigned asked = 0, passed = 0;
	uint32_t len;
	for (size_t at = 24; at + 16 <= n; at += 16 + len) {
		memcpy(&len, file + at + 8, 4);
		assert_true(len <= n - at - 16);
		const uint8_t *p = file + at + 16;
		if (len < 42 || p[12] != 8 || p[13] != 0 || p[23] != 17 || p[36] != 0 || p[37] != 53)
			continue;
		struct text t = { .n = len - 42 };
		memcpy(t.b, p + 42, t.n);
		asked++;
		passed += ASK(&t).verdict != VERDICT_DROP;
		w->now += SEC / 10;
	}
	assert_true(asked > 100);
	assert_int_equal(passed, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(plain_questions),    T(edns),         T(answers_and_pointers), T(registered_domains),     T(entropy),
		T(odd_names_are_text), T(names_window), T(names_full),           T(asked_and_answered),     T(not_dns),
		T(types_and_lengths),  T(limits),       T(many_names),           T(the_operators_resolver), T(a_tunnel),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
