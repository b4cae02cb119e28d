/* SPDX-License-Identifier: ISC */
/*
 * The judge's process (judge.h). The cli starts it with a socket at fd 3 and
 * tells it ports, policies and captures; then it goes where the gateway goes
 * (isolate_role) before it reads the first byte of a capture.
 *
 * System calls after that: read lseek (captures), sendmsg poll (rows to the
 * cli), clock_gettime where it is no vDSO call, exit_group.
 */
#include "proc/gateway/judge.h"

#include "base/log.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLI_MS 600000 /* a cli that prints to a pager may be slow */
#define TICK (100 * EV_MS)
#define TICKS_CLOSE 10u          /* ticks in full after a frame; then each step is twice as long */
#define DRAIN_ALL 256u           /* frames */
#define AFTERWARDS (60 * EV_SEC) /* what waits at the end has so long to leave */

static void *map(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* ---- rows ------------------------------------------------------------------ */

static int flush_rows(struct judge *j, struct err *e)
{
	if (!j->rows_type)
		return 0;
	int r = msg_send_wait(&j->cli, j->rows_type, 0, j->rows, j->rows_len, NULL, 0, CLI_MS);
	j->rows_type = 0;
	return r < 0 ? err_sys(e, r, "cannot send results") : 0;
}

int judge_row(struct judge *j, uint32_t type, const void *row, size_t n, struct err *e)
{
	const struct proto_rule *rule = proto_rule(type);
	if (j->rows_type && (j->rows_type != type || j->rows_len + n > rule->max)) {
		int r = flush_rows(j, e);
		if (r < 0)
			return r;
	}
	if (!j->rows_type) {
		*j->rows = (struct judge_rows){ 0 };
		j->rows_len = sizeof(*j->rows);
		j->rows_type = type;
	}
	memcpy((uint8_t *)j->rows + j->rows_len, row, n);
	j->rows_len += n;
	j->rows->n++;
	return 0;
}

/* ---- what the cli says before ---------------------------------------------- */

static void *sinks[JUDGE_SIDES][2];

static int add_port(struct judge *j, const struct gw_port *conf, struct err *e)
{
	for (unsigned s = 0; s < JUDGE_SIDES; s++) {
		struct judge_side *side = &j->side[s];
		int fd = ring_create(JUDGE_RING, e);
		if (fd < 0)
			return fd;
		int r = gateway_port_add(side->g, conf, &port_memory, -1, fd, -1, e);
		if (!r)
			r = ring_reader_open(&side->ring[conf->port], fd, e);
		close(fd);
		if (r < 0)
			return r;
		struct port *p = gateway_port(side->g, conf->port);
		p->sink = judge_sink;
		p->sink_arg = sinks[s];
	}
	return 0;
}

static int add_policy(struct judge *j, const struct msg *m, struct err *e)
{
	const struct judge_policy *b = MSG_BODY_AS(m, judge_policy);
	if (m->nfds != 1 || b->side >= JUDGE_SIDES || b->side > j->sides)
		return err_set(e, -EPROTO, "a policy needs its memfd and a side");
	int r = policies_load(&j->side[b->side].g->policies, m->fds[0], b->n, 1, e);
	if (!r && b->side == j->sides)
		j->sides++;
	return r;
}

static int add_file(struct judge *j, struct msg *m, struct err *e)
{
	struct stat st;
	if (m->nfds != 1 || j->files == JUDGE_FILES)
		return err_set(e, -E2BIG, "more than %u captures", JUDGE_FILES);
	if (fstat(m->fds[0], &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "a capture that is no regular file");
	struct judge_input *in = &j->in[j->files];
	if (!(in->window = map(JUDGE_WINDOW)))
		return err_sys(e, -errno, "cannot map a window on a capture");
	in->fd = msg_take_fd(m, 0);
	j->files++;
	return 0;
}

static int set_up(struct judge *j, struct err *e)
{
	struct msg *m = &j->msg;
	for (;;) {
		int r = msg_recv_wait(&j->cli, m, CLI_MS, e);
		if (r <= 0)
			return r ? r : err_set(e, -ETIMEDOUT, "the cli says nothing");
		switch (m->type) {
		case MSG_JUDGE_PORT:
			r = add_port(j, MSG_BODY_AS(m, gw_port), e);
			break;
		case MSG_JUDGE_POLICY:
			r = add_policy(j, m, e);
			break;
		case MSG_JUDGE_FILE:
			r = add_file(j, m, e);
			break;
		case MSG_JUDGE_RUN:
			j->flags = MSG_BODY_AS(m, judge_run)->flags;
			return j->sides ? 0 : err_set(e, -EPROTO, "there is no policy");
		}
		msg_close_fds(m);
		if (r < 0)
			return r;
	}
}

/* ---- time ------------------------------------------------------------------- */

static uint64_t monotonic(const struct judge *j, uint64_t time)
{
	(void)j;
#ifdef MUTANT_JUDGE_WALL_CLOCK
	return ev_monotonic();
#else
	return time + JUDGE_BEGIN;
#endif
}

/* What waits for its turn leaves when that has come. */
static int release(struct judge *j, unsigned side, uint64_t now, struct err *e)
{
	struct gateway *g = j->side[side].g;
	int r = 0;
	for (uint64_t before = 0; !r && g->shaper.next > before && g->shaper.next <= now;) {
		before = g->shaper.next;
		shape_release(g, before);
		r = judge_drain(j, side, NULL, e);
	}
	return r;
}

static int tick(struct judge *j, uint64_t time, struct err *e)
{
	int r = 0;
	for (unsigned s = 0; s < j->sides && !r; s++) {
		struct gateway *g = j->side[s].g;
		uint32_t before;
		r = release(j, s, monotonic(j, time), e);
		if (r)
			break;
		do {
			before = g->flows.count;
			gateway_tick(g, monotonic(j, time));
			r = judge_drain(j, s, NULL, e);
		} while (!r && before != g->flows.count);
	}
	j->ticked = time;
	return r;
}

/* The ticks that the gateway would have had until then. Long silences are passed
 * over in longer and longer steps: nothing is new in them. */
static int pass(struct judge *j, uint64_t until, struct err *e)
{
	uint64_t step = TICK;
	int r = 0;
	if (!j->ticked)
		j->ticked = until;
	for (unsigned n = 0; !r && until - j->ticked >= TICK; n++) {
		if (n >= TICKS_CLOSE)
			step *= 2;
		if (step > until - j->ticked)
			step = until - j->ticked;
		r = tick(j, j->ticked + step, e);
	}
	for (unsigned s = 0; s < j->sides && !r; s++)
		r = release(j, s, monotonic(j, until), e);
	return r;
}

/* ---- the captures ------------------------------------------------------------ */

static int advance(struct judge *j, uint32_t i, struct err *e)
{
	struct judge_input *in = &j->in[i];
	int r = pcap_reader_next(&in->reader, &in->rec, e);
	in->have = r == 1;
	if (r == 0)
		j->end.cut_files += in->reader.cut;
	if (r < 0)
		j->end.file = i + 1;
	return r < 0 ? r : 0;
}

/* The one with the oldest record; NULL: all have ended. */
static struct judge_input *oldest(struct judge *j)
{
	struct judge_input *best = NULL;
	for (uint32_t i = 0; i < j->files; i++)
		if (j->in[i].have && (!best || j->in[i].rec.time < best->rec.time))
			best = &j->in[i];
	return best;
}

static void packet_row(struct judge *j, const struct port *in, uint32_t wirelen, const uint8_t verdict[],
		       const uint8_t reason[], struct judge_packet *out)
{
	*out = (struct judge_packet){ .number = j->end.packets,
				      .time = j->now,
				      .wirelen = wirelen,
				      .port = in->conf.port,
				      .out_port = j->side[0].out_port,
				      .rule = { RULE_NONE, RULE_NONE } };
	struct frame f = j->decoded;
	bool icmp = f.icmp_kind != ICMP_KIND_NONE;
	out->ethertype = f.ethertype;
	out->family = f.l3 == L3_ARP ? 0 : f.t.family;
	out->proto = f.t.proto;
	out->tcp_flags = f.tcp_flags;
	out->sport = icmp ? f.icmp_type : f.t.sport;
	out->dport = icmp ? f.icmp_code : f.t.dport;
	memcpy(out->saddr, f.l3 == L3_ARP ? f.arp.spa : f.t.saddr, f.l3 == L3_ARP ? 4 : 16);
	memcpy(out->daddr, f.l3 == L3_ARP ? f.arp.tpa : f.t.daddr, f.l3 == L3_ARP ? 4 : 16);
	for (unsigned k = 0; k < j->sides; k++) {
		out->verdict[k] = verdict[k];
		out->reason[k] = reason[k];
		out->rule[k] = j->side[k].rule;
	}
}

static int judge_one(struct judge *j, struct judge_input *in, struct err *e)
{
	const struct pcap_record *rec = &in->rec;
	uint8_t verdict[JUDGE_SIDES] = { 0 }, reason[JUDGE_SIDES] = { 0 };
	struct slice bytes;
	uint32_t wirelen;
	j->end.packets++;
	j->end.bytes += rec->wirelen;
	uint64_t time = rec->time;
	j->end.untimed += !rec->timed;
	if (!rec->timed || time < j->now) {
		j->end.reordered += rec->timed && j->end.packets > 1;
		time = j->now;
	}
	j->now = time;
	if (j->end.packets == 1)
		j->end.first = time;
	j->end.last = time;
	struct port *p = judge_place(j, in, rec, &bytes, &wirelen, &j->decoded);
	if (!p)
		return 0;
	int r = pass(j, time, e);
	j->port_frames[p->conf.port]++;
	j->frame = bytes;
	judge_find(j, p);
	for (unsigned s = 0; s < j->sides && !r; s++) {
		struct judge_side *side = &j->side[s];
		if (!judge_possible(j, s)) {
			judge_impossible(j, s);
			verdict[s] = VERDICT_DROP;
			reason[s] = REASON_NO_FLOW;
			continue;
		}
		reason[s] = gateway_frame(side->g, gateway_port(side->g, p->conf.port), bytes, wirelen,
					  monotonic(j, time), &verdict[s]);
		r = judge_drain(j, s, gateway_port(side->g, p->conf.port), e);
		if (!r && j->end.packets % DRAIN_ALL == 0) {
			struct judge_conv *current = side->current;
			uint16_t rule = side->rule, out = side->out_port;
			r = judge_drain(j, s, NULL, e);
			side->current = current, side->rule = rule, side->out_port = out;
		}
	}
	j->end.by_verdict[verdict[0]][verdict[1]] += j->sides > 1;
	j->end.differ += j->sides > 1 && verdict[0] != verdict[1];
	if (!r && (j->flags & JUDGE_RUN_PACKETS)) {
		struct judge_packet row;
		packet_row(j, p, wirelen, verdict, reason, &row);
		r = judge_row(j, MSG_JUDGE_PACKETS, &row, sizeof(row), e);
	}
	return r;
}

static int judge_all(struct judge *j, struct err *e)
{
	int r = judge_learn(j, e);
	for (uint32_t i = 0; i < j->files && !r; i++) {
		struct judge_input *in = &j->in[i];
		if ((r = pcap_reader_open(&in->reader, in->fd, in->window, JUDGE_WINDOW, e)) < 0) {
			j->end.file = i + 1;
			return r;
		}
		r = advance(j, i, e);
	}
	for (struct judge_input *in; !r && (in = oldest(j));) {
		r = judge_one(j, in, e);
		if (!r)
			r = advance(j, (uint32_t)(in - j->in), e);
	}
	for (unsigned i = 0; i < AFTERWARDS / TICK && !r; i++)
		r = tick(j, j->ticked + TICK, e);
	return r;
}

/* ---- the results --------------------------------------------------------------- */

static int tell(struct judge *j, struct err *e)
{
	int r = 0;
	for (uint32_t i = 1; i <= j->nconvs && !r; i++) {
		for (unsigned s = 0; s < j->sides; s++) {
			struct judge_fate *f = &j->convs[i].c.fate[s];
			if (f->verdict == VERDICT_COUNT) { /* its beginner said nothing that was judged */
				f->verdict = VERDICT_DROP;
				f->reason = REASON_NO_FLOW;
			}
		}
		r = judge_row(j, MSG_JUDGE_CONVERSATIONS, &j->convs[i].c, sizeof(j->convs[i].c), e);
	}
	for (unsigned s = 0; s < j->sides; s++)
		for (uint16_t k = 0; k < POOL_RULES && !r; k++) {
			struct judge_rule row = { .side = s,
						  .rule = k,
						  .packets = j->side[s].rule_packets[k],
						  .conversations = j->side[s].rule_convs[k] };
			if (row.packets)
				r = judge_row(j, MSG_JUDGE_RULES, &row, sizeof(row), e);
		}
	for (unsigned i = 0; i < PORTS_MAX && !r; i++) {
		const struct port *p = gateway_port(j->side[0].g, i);
		struct judge_port row = { .port = (uint16_t)i, .frames = j->port_frames[i] };
		if (!p)
			continue;
		memcpy(row.mac, p->conf.mac, 6);
		row.learned = i < MODEL_HONEYPOTS && j->learn[i].seen && !j->learn[i].own && !j->end.relinked;
		r = judge_row(j, MSG_JUDGE_PORTS, &row, sizeof(row), e);
	}
	return r ? r : flush_rows(j, e);
}

static int finish(struct judge *j, int status, const struct err *e)
{
	j->end.status = status;
	j->end.sides = j->sides;
	if (status)
		snprintf(j->end.text, sizeof(j->end.text), "%s", e->text);
	int r = msg_send_wait(&j->cli, MSG_JUDGE_END, 0, &j->end, sizeof(j->end), NULL, 0, CLI_MS);
	return status || r < 0;
}

static int make(struct judge **out, struct err *e)
{
	static const uint8_t key[16] = "skep policy test"; /* results are the same each time */
	struct gateway_opts o = { .hash_key = key };
	struct judge *j = map(sizeof(*j));
	if (!j)
		return err_sys(e, -errno, "cannot map the judge's memory");
	j->cli = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_JUDGE, .peer = ROLE_CLI, .state = STATE_INIT };
	*out = j;
	j->room = map(RX_ROOM);
	j->copy = map(RX_ROOM);
	j->rows = map(MSG_BODY);
	if (!j->room || !j->copy || !j->rows)
		return err_sys(e, -errno, "cannot map the judge's memory");
	for (unsigned s = 0; s < JUDGE_SIDES; s++) {
		sinks[s][0] = j;
		sinks[s][1] = &j->side[s];
		j->side[s].g = gateway_new(&o, e);
		if (!j->side[s].g)
			return e->code ? e->code : -ENOMEM;
		j->side[s].g->wall = -(uint64_t)JUDGE_BEGIN;
	}
	return judge_account_init(j, e);
}

int judge_main(int argc, char **argv)
{
	struct judge *j = NULL;
	struct err e = { 0 };
	(void)argc;
	(void)argv;
	log_init("judge", LOG_L_ERROR);
	signal(SIGPIPE, SIG_IGN);
	int r = make(&j, &e);
	if (!r)
		r = set_up(j, &e);
	if (!r) {
		struct isolate_opts o = { .dirfd = -1 };
		r = isolate_role(ROLE_JUDGE, &o, &e);
	}
	if (!r) {
		j->cli.state = STATE_RUN;
		r = judge_all(j, &e);
		if (!r)
			r = tell(j, &e);
	}
	if (!j) {
		log_error("%s", e.text);
		return 1;
	}
	return finish(j, r, &e);
}
