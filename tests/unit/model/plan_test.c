/* SPDX-License-Identifier: ISC */
/*
 * Plans are carried out on a simulated honeynet, which refuses what a real one
 * must not do: a machine without its port, policy or disk, a port without its
 * network, a port that goes while its machine runs.
 */
#include "util.h"

#include "model/plan.h"

#include <errno.h>

enum { POOL = 6, NETS = 3 };

/* What exists. Names are "h0".. and "n0"..; 0 = does not exist. */
struct world {
	uint32_t net[NETS];
	uint32_t port[POOL]; /* sum over what a port is made of */
	uint32_t port_net[POOL];
	uint32_t policy[POOL];
	uint32_t disk[POOL];
	uint32_t machine[POOL];
	uint64_t evidence;
};

static const struct model *running, *wanted;

static unsigned number(const char *name)
{
	return (unsigned)(name[1] - '0');
}

static uint32_t sum(uint32_t h, const void *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const uint8_t *)p)[i]) * 16777619u;
	return h | 1;
}

static uint32_t port_sum(const struct model *m, const struct honeypot *h)
{
	uint32_t s = sum(7, m->nets[h->net].name, 2);
	s = sum(s, h->mac, 6);
	return sum(s, h->addrs, h->naddrs * sizeof(h->addrs[0]));
}

static uint32_t disk_sum(const struct model *m, const struct honeypot *h)
{
	uint32_t s = sum(port_sum(m, h), h->image, strlen(h->image));
	return sum(s, h->hostname, strlen(h->hostname));
}

static uint32_t machine_sum(const struct model *m, const struct honeypot *h)
{
	uint32_t s = sum(disk_sum(m, h), &h->memory, sizeof(h->memory));
	s = sum(s, &h->introspection.mode, sizeof(h->introspection.mode));
	return sum(s, &h->boot_seconds, sizeof(h->boot_seconds));
}

static uint32_t policy_sum(const struct honeypot *h)
{
	return sum(sum(1, &h->policy, sizeof(h->policy)), &h->introspection.on_tamper,
		   sizeof(h->introspection.on_tamper));
}

static void build_up(struct world *w, const struct model *m)
{
	memset(w, 0, sizeof(*w));
	for (uint32_t i = 0; m && i < m->nnets; i++)
		w->net[number(m->nets[i].name)] = 1;
	for (uint32_t i = 0; m && i < m->nhoneypots; i++) {
		const struct honeypot *h = &m->honeypots[i];
		unsigned k = number(h->name);
		w->port[k] = port_sum(m, h);
		w->port_net[k] = 1 + number(m->nets[h->net].name);
		w->policy[k] = policy_sum(h);
		w->disk[k] = disk_sum(m, h);
		w->machine[k] = machine_sum(m, h);
	}
	w->evidence = m ? m->evidence.max_bytes : 0;
}

static void set_policies(struct world *w, const struct model *m)
{
	for (unsigned k = 0; k < POOL; k++) {
		char name[3] = { 'h', (char)('0' + k), 0 };
		const struct honeypot *h = m ? model_honeypot(m, name) : NULL;
		if (w->port[k] && h)
			w->policy[k] = policy_sum(h);
	}
}

static void start(struct world *w, unsigned k, const struct model *m, const struct honeypot *h)
{
	assert_int_equal(w->machine[k], 0);
	assert_int_equal(w->port[k], port_sum(m, h));
	/* The invariant: no machine before its port and its policy. */
	assert_int_equal(w->policy[k], policy_sum(h));
	assert_int_equal(w->disk[k], disk_sum(m, h));
	w->machine[k] = machine_sum(m, h);
}

static void add_port(struct world *w, unsigned k, const struct model *m, const struct honeypot *h)
{
	assert_int_equal(w->port[k], 0);
	w->port_net[k] = 1 + number(m->nets[h->net].name);
	assert_int_equal(w->net[w->port_net[k] - 1], 1);
	w->port[k] = port_sum(m, h);
	w->policy[k] = 0;
}

static void del_port(struct world *w, unsigned k)
{
	assert_int_not_equal(w->port[k], 0);
	assert_int_equal(w->machine[k], 0);
	w->port[k] = w->policy[k] = w->port_net[k] = 0;
}

static void act(struct world *w, unsigned op, const struct step *s, bool undo)
{
	const struct model *m = s->from_running ? running : wanted, *values = undo ? running : wanted;
	unsigned k = *s->name ? number(s->name) : 0;
	const struct honeypot *h = *s->name == 'h' ? model_honeypot(m, s->name) : NULL;
	switch (op) {
	case STEP_NETWORK_ADD:
		assert_int_equal(w->net[k], 0);
		w->net[k] = 1;
		break;
	case STEP_NETWORK_DEL:
		assert_int_equal(w->net[k], 1);
		for (unsigned i = 0; i < POOL; i++)
			assert_int_not_equal(w->port_net[i], k + 1);
		w->net[k] = 0;
		break;
	case STEP_PORT_ADD:
		assert_non_null(h);
		add_port(w, k, m, h);
		break;
	case STEP_PORT_DEL:
		del_port(w, k);
		break;
	case STEP_POLICY:
		set_policies(w, values);
		break;
	case STEP_DISK_ADD:
		assert_non_null(h);
		assert_int_equal(w->disk[k], 0);
		w->disk[k] = disk_sum(m, h);
		break;
	case STEP_DISK_DEL:
		assert_int_not_equal(w->disk[k], 0);
		assert_int_equal(w->machine[k], 0);
		w->disk[k] = 0;
		break;
	case STEP_MACHINE_START:
		assert_non_null(h);
		start(w, k, m, h);
		break;
	case STEP_MACHINE_STOP:
		assert_int_not_equal(w->machine[k], 0);
		w->machine[k] = 0;
		break;
	case STEP_EVIDENCE:
		w->evidence = values ? values->evidence.max_bytes : 0;
		break;
	case STEP_NONE:
		break;
	default:
		fail_msg("op %u", op);
	}
}

static void random_policy(uint64_t *seed, struct policy *p)
{
	memset(p, 0, sizeof(*p));
	p->inbound_deny = (uint8_t)rnd(seed, 2);
	p->outbound[rnd(seed, LIMIT_CLASS_COUNT)] = (struct limit){ 1 + rnd(seed, 3), 3600 };
}

/* Few values of each, so that many pairs differ little. */
static void random_model(uint64_t *seed, struct model *m)
{
	memset(m, 0, sizeof(*m));
	good("honeynet: net\nnetworks: {n0: {v4: 192.0.2.0/24}}\nhoneypots: {h0: {image: i, address: 192.0.2.9}}\n", m);
	struct honeypot proto = m->honeypots[0];
	struct network net = m->nets[0];
	memset(m->honeypots, 0, sizeof(m->honeypots));
	m->nhoneypots = m->nnets = 0;
	unsigned first = rnd(seed, NETS), count = 1 + rnd(seed, NETS);
	for (unsigned i = 0; i < count; i++) {
		unsigned n = (first + i) % NETS;
		struct network *to = &m->nets[m->nnets++];
		*to = net;
		to->name[1] = (char)('0' + n);
		to->v4.b[2] = to->router4.b[2] = (uint8_t)(2 + n);
	}
	unsigned turn = rnd(seed, POOL);
	for (unsigned i = 0; i < POOL; i++) {
		unsigned k = (i + turn) % POOL;
		if (!rnd(seed, 3))
			continue;
		struct honeypot *h = &m->honeypots[m->nhoneypots++];
		*h = proto;
		h->name[1] = (char)('0' + k);
		h->net = rnd(seed, 4) ? 0 : rnd(seed, m->nnets);
		h->addrs[0].b[2] = m->nets[h->net].v4.b[2];
		h->addrs[0].b[3] = (uint8_t)(10 + 10 * k + (rnd(seed, 5) == 0));
		snprintf(h->image, sizeof(h->image), "image%u", rnd(seed, 5) == 0);
		snprintf(h->hostname, sizeof(h->hostname), "h%u%s", k, rnd(seed, 5) ? "" : ".example.com");
		mac_auto("net", h->name, h->mac);
		h->memory = (uint64_t)(64 + 64 * (rnd(seed, 5) == 0)) << 20;
		random_policy(seed, &h->policy);
		h->introspection.mode = rnd(seed, 5) ? INTROSPECTION_AUTO : INTROSPECTION_OFF;
		h->introspection.on_tamper = rnd(seed, 5) ? ON_TAMPER_FREEZE : ON_TAMPER_REPORT;
	}
	if (!rnd(seed, 3))
		m->evidence.max_bytes = 1ull << 31;
	assert_int_equal(model_check(m, NULL), 0);
}

/* Steps of one phase may happen in any order. */
static void shuffle(uint64_t *seed, struct plan *p)
{
	for (unsigned i = 0; i < p->n;) {
		unsigned end = i;
		while (end < p->n && p->steps[end].phase == p->steps[i].phase)
			end++;
		for (unsigned k = end - 1; k > i; k--) {
			unsigned other = i + rnd(seed, k - i + 1);
			struct step s = p->steps[k];
			p->steps[k] = p->steps[other];
			p->steps[other] = s;
		}
		i = end;
	}
}

static void world_is(const struct world *w, const struct model *m)
{
	struct world should;
	build_up(&should, m);
	assert_memory_equal(w, &should, sizeof(should));
}

static struct model from, to;
static struct plan plan;

static void try_plan(uint64_t *seed)
{
	struct world w;
	assert_int_equal(plan_make(running, wanted, &plan, NULL), 0);
	shuffle(seed, &plan);
	for (unsigned done = 0; done <= plan.n; done++) {
		build_up(&w, running);
		for (unsigned i = 0; i < done; i++)
			act(&w, plan.steps[i].op, &plan.steps[i], false);
		if (done == plan.n)
			world_is(&w, wanted);
		for (unsigned i = done; i-- > 0;)
			act(&w, plan.steps[i].undo, &plan.steps[i], true);
		w.evidence = running ? w.evidence : 0; /* nothing to go back to */
		world_is(&w, running);
	}
}

static void any_change_is_carried_out_and_undone(void **state)
{
	(void)state;
	uint64_t seed = 11;
	for (int round = 0; round < 2000; round++) {
		random_model(&seed, &from);
		random_model(&seed, &to);
		running = rnd(&seed, 8) ? &from : NULL;
		wanted = &to;
		try_plan(&seed);
	}
}

static void nothing_to_do(void **state)
{
	(void)state;
	uint64_t seed = 5;
	random_model(&seed, &from);
	to = from;
	/* Places in the file are no difference, nor is the order of honeypots. */
	to.nets[0].mark.line = 99;
	to.honeypots[0].mark.line = to.honeypots[0].image_mark.col = 77;
	struct honeypot h = to.honeypots[0];
	to.honeypots[0] = to.honeypots[1];
	to.honeypots[1] = h;
	assert_int_equal(plan_make(&from, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 0);
}

static void only(unsigned op, const char *name)
{
	assert_int_equal(plan_make(&from, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 1);
	assert_int_equal(plan.steps[0].op, op);
	assert_int_equal(plan.steps[0].undo, op);
	assert_int_equal(plan.steps[0].phase, 0);
	assert_string_equal(plan.steps[0].name, name);
}

static void only_restart(void)
{
	assert_int_equal(plan_make(&from, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 2);
	assert_int_equal(plan.steps[0].op, STEP_MACHINE_STOP);
	assert_int_equal(plan.steps[1].op, STEP_MACHINE_START);
	assert_string_equal(plan.steps[1].name, from.honeypots[1].name);
}

static void small_changes_are_small(void **state)
{
	(void)state;
	uint64_t seed = 5;
	random_model(&seed, &from);
	to = from;
	to.honeypots[0].policy.inbound_deny ^= 1;
	only(STEP_POLICY, "");
	to = from;
	to.honeypots[1].policy.honeypot.bytes = 12345;
	to.honeypots[1].policy.honeypot.seconds = 60;
	only(STEP_POLICY, "");
	to = from;
	to.honeypots[0].introspection.on_tamper ^= 1;
	only(STEP_POLICY, "");
	to = from;
	to.evidence.max_age = 3600;
	only(STEP_EVIDENCE, "");
	to = from;
	to.honeypots[1].memory += 1 << 20;
	only_restart();
	to = from;
	to.honeypots[1].introspection.mode = INTROSPECTION_PROBES;
	only_restart();
}

static void from_nothing(void **state)
{
	(void)state;
	static const uint8_t order[] = { STEP_EVIDENCE, STEP_NETWORK_ADD, STEP_PORT_ADD,
					 STEP_POLICY,   STEP_DISK_ADD,    STEP_MACHINE_START };
	uint64_t seed = 5;
	random_model(&seed, &to);
	assert_int_equal(plan_make(NULL, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 2 + to.nnets + 3 * to.nhoneypots);
	for (unsigned i = 0; i < plan.n; i++)
		assert_int_equal(plan.steps[i].op, order[plan.steps[i].phase]);
	assert_string_equal(step_name(plan.steps[plan.n - 1].op), "start machine");
	assert_string_equal(step_name(STEP_OP_COUNT), "?");
}

static void impossible(void)
{
	struct err e = { 0 };
	plan.n = 4711;
	assert_int_equal(plan_make(&from, &to, &plan, &e), -EBUSY);
	assert_non_null(strstr(e.text, "skep down"));
	assert_int_equal(plan.n, 4711);
}

static void some_changes_need_a_stop(void **state)
{
	(void)state;
	uint64_t seed = 5;
	random_model(&seed, &from);
	to = from;
	to.name[0] = 'x';
	impossible();
	to = from;
	to.uplink = UPLINK_LAB;
	impossible();
	to = from;
	to.nlab = 1;
	to.lab[0] = (struct addr){ 4, 24, { 203, 0, 113 } };
	impossible();
	to = from;
	to.nets[0].v4.plen = 25;
	impossible();
	to = from;
	to.nets[0].router4.b[3] = 254;
	impossible();
}

/* The largest possible change fits. */
static void everything_at_once(void **state)
{
	(void)state;
	static char text[MODEL_HONEYPOTS * 80 + 400];
	for (int round = 0; round < 2; round++) {
		size_t n = (size_t)snprintf(text, sizeof(text), "honeynet: big\nnetworks: {");
		for (int i = 0; i < MODEL_NETS; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "n%d: {v4: 10.%d.0.0/16}, ", round * 16 + i,
					      round * 16 + i);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "}\nhoneypots:\n");
		for (int i = 0; i < MODEL_HONEYPOTS; i++)
			n += (size_t)snprintf(text + n, sizeof(text) - n,
					      "  h%d: {image: i, network: n%d, address: 10.%d.1.%d}\n",
					      i + round * MODEL_HONEYPOTS, round * 16, round * 16, i);
		good(text, round ? &to : &from);
	}
	assert_int_equal(plan_make(&from, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 6 * MODEL_HONEYPOTS + 2 * MODEL_NETS + 2);
	assert_true(plan.n <= PLAN_STEPS);
	for (int i = 0; i < MODEL_HONEYPOTS; i++) {
		/* The same honeypots in the other network: all six steps for each. */
		memcpy(to.honeypots[i].name, from.honeypots[i].name, NAME_CAP);
	}
	assert_int_equal(plan_make(&from, &to, &plan, NULL), 0);
	assert_int_equal(plan.n, 6 * MODEL_HONEYPOTS + 2 * MODEL_NETS + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_change_is_carried_out_and_undone),
		cmocka_unit_test(nothing_to_do),
		cmocka_unit_test(small_changes_are_small),
		cmocka_unit_test(from_nothing),
		cmocka_unit_test(some_changes_need_a_stop),
		cmocka_unit_test(everything_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
