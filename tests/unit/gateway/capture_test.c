/* SPDX-License-Identifier: ISC */
/* Invariants 1 to 6 at the whole walk. The world checks 1, 2, 4 at every frame;
 * here are the ways in which they could be got round. */
#include "tests.h"

#include "proc/gateway/capture.h"

static struct world *w;

static int set_up(void **state)
{
	(void)state;
	w = world_empty(NULL);
	static const char *const addrs[] = { "192.0.2.10/24", "2001:db8::10/64", NULL };
	static const char *const addrs1[] = { "192.0.2.11/24", NULL };
	world_port(w, WORLD_UPLINK, 0, "uplink", NULL, NULL, RING_MIN);
	world_port(w, 0, 0, "pot0", world_mac(0), addrs, RING_MIN);
	world_port(w, 1, 0, "pot1", world_mac(1), addrs1, RING_MIN);
	world_policy(w, 2, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	world_free(w);
	return 0;
}

/* Fills a port's ring with frames that are dropped. */
static void fill(uint16_t port)
{
	w->lax = true;
	for (int i = 0; i < 100; i++)
		world_send(w, port, &(struct craft){ OUT, .smac = "52:54:00:00:00:77", .proto = 17, .payload = 1400 });
}

static void full_means_drop(void **state)
{
	(void)state;
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	assert_forwarded(w, REASON_INBOUND);
	fill(0);
	uint64_t lost = w->g->ports[0].stats.lost;
	assert_true(lost > 0);
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000, .payload = 1400);
	assert_dropped(w, REASON_EVIDENCE_FULL);
	assert_int_equal(w->g->ports[0].stats.lost, lost + 1);
	/* the first reason wins */
	FROM_POT(OUT, .proto = 17, .cut = 20);
	assert_dropped(w, REASON_MALFORMED);
	FROM_POT(OUT, .proto = 17, .smac = "52:54:00:00:00:77", .payload = 1400);
	assert_dropped(w, REASON_SPOOFED_MAC);
	/* one honeypot cannot starve the others */
	FROM_UP(IN, .proto = 17, .dmac = world_mac(1), .dst = "192.0.2.11", .sport = 4000, .dport = 53);
	assert_forwarded(w, REASON_INBOUND);
	world_send(
	    w, 1,
	    &(struct craft){ OUT, .smac = world_mac(1), .src = "192.0.2.11", .proto = 17, .sport = 53, .dport = 4000 });
	assert_forwarded(w, REASON_REPLY);
	/* evidence catches up: the loss is told, and it goes on */
	lost = w->g->ports[0].stats.lost;
	world_read(w);
	w->lax = false;
	FROM_POT(OUT, .proto = 17, .sport = 53, .dport = 4000, .payload = 1400);
	assert_forwarded(w, REASON_REPLY);
	world_read(w);
	assert_int_equal(w->noted, lost);
	assert_int_equal(w->g->ports[0].lost_frames, 0);
}

static void stopped_means_drop(void **state)
{
	(void)state;
	w->lax = true;
	ring_stop(&w->ports[WORLD_UPLINK].ring, -5);
	FROM_UP(IN, .proto = 17, .sport = 4000, .dport = 53);
	assert_dropped(w, REASON_EVIDENCE_DOWN);
	FROM_UP(IN, .proto = 17, .cut = 20);
	assert_dropped(w, REASON_MALFORMED);
}

/* Whatever comes, it is recorded with its verdict: the world checks it. */
static void every_frame_is_recorded(void **state)
{
	(void)state;
	uint8_t junk[2000];
	srand(11);
	for (int i = 0; i < 20000; i++) {
		size_t n = (size_t)rand() % (i % 100 ? 120 : sizeof(junk));
		for (size_t k = 0; k < n; k++)
			junk[k] = (uint8_t)rand();
		if (n > 14 && i % 2) { /* something that gets further */
			memcpy(junk, "\x02\0\0\0\0\x01\x52\x54\0\0\0\x10", 12);
			memcpy(junk + 12, i % 4 == 1 ? "\x08\0" : "\x86\xdd", 2);
			junk[14] = i % 4 == 1 ? 0x45 : 0x60;
		}
		world_frame(w, i % 3 ? 0 : WORLD_UPLINK, junk, n);
	}
	world_read(w);
	assert_int_equal(w->captured, 20000);
	struct gw_port_stats *a = &w->g->ports[0].stats, *b = &w->g->ports[WORLD_UPLINK].stats;
	assert_int_equal(a->frames_in + b->frames_in, 20000);
	assert_int_equal(a->forwarded + a->dropped + b->forwarded + b->dropped, 20000);
	assert_int_equal(a->lost + b->lost, 0);
}

static void sizes(void **state)
{
	(void)state;
	static uint8_t big[70000];
	world_frame(w, 0, big, 0);
	assert_dropped(w, REASON_MALFORMED);
	for (size_t n = 1; n < 100; n++) {
		world_frame(w, 0, big, n);
		assert_int_equal(w->verdict, VERDICT_DROP);
	}
	/* larger than what the ring holds: recorded as lost, dropped */
	w->lax = true;
	world_frame(w, 0, big, sizeof(big));
	assert_int_equal(w->verdict, VERDICT_DROP);
	/* cut off on receipt: recorded as far as it is there, dropped */
	size_t n = craft(&(struct craft){ IN, .proto = 17, .dport = 9, .payload = 100 }, big);
	w->bytes = big;
	w->n = n;
	w->in = WORLD_UPLINK;
	uint8_t verdict;
	assert_int_equal(gateway_frame(w->g, &w->g->ports[WORLD_UPLINK], slice_of(big, n), 90000, w->now, &verdict),
			 REASON_TOO_LONG);
	assert_int_equal(verdict, VERDICT_DROP);
}

static void policy_swap_is_all_or_nothing(void **state)
{
	(void)state;
	struct err e;
	struct gw_policy_entry in[3] = { { .port = 0 }, { .port = 1 }, { .port = 1 } };
	struct policies *p = &w->g->policies;
	in[0].policy.outbound[LIMIT_CLASS_UDP] = (struct limit){ 5, 60 };
	assert_int_equal(policies_swap(p, NULL, in, 2, 7, &e), 0);
	const struct policy_set *was = p->now;
	struct policy_set copy = *was;
	in[0].policy.inbound_deny = 1;
	assert_int_equal(policies_swap(p, NULL, in, 3, 8, &e), -EINVAL); /* twice the same port */
	assert_non_null(strstr(e.text, "two policies"));
	assert_ptr_equal(p->now, was);
	assert_memory_equal(p->now, &copy, sizeof(copy));
	in[1].policy.outbound[LIMIT_CLASS_TCP] = (struct limit){ 5, 0 };
	assert_int_equal(policies_swap(p, NULL, in, 2, 8, &e), -EINVAL);
	assert_memory_equal(p->now, &copy, sizeof(copy));
	FROM_POT(OUT, .proto = 17, .dport = 53);
	assert_forwarded(w, REASON_OUTBOUND); /* the old one holds */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(full_means_drop),
		T(stopped_means_drop),
		T(every_frame_is_recorded),
		T(sizes),
		T(policy_swap_is_all_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
