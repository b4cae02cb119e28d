/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_GATEWAY_JUDGE_H
#define SKEP_PROC_GATEWAY_JUDGE_H

#include "pcap/pcap.h"
#include "proc/gateway/gateway.h"
#include "proto/msg.h"

/*
 * The judge: the very same gateway over captures, in their own time, with no
 * network.
 *
 * Theory of operation. Ports are of the kind memory, and each has its ring, as
 * always; what evidence would read out of it is read here, after each frame.
 * The rings say how each frame was judged and why; what reached a port's send
 * is what would have left. With two policies there are two gateways, and every
 * frame goes through both. `now` is the time in the capture, which never goes
 * back, and the wall clock is the same one.
 *
 * What both sides of the wire said is in a capture already: it goes on after the
 * policy has cut a conversation short. What answers a conversation of which
 * nothing got through would never have been: it is not given to the gateway, or
 * the answer to a refused question would look like a conversation of its own,
 * and is counted as drop, no-flow. What the side that began says further is
 * judged as it stands. A conversation counts by the mildest verdict that its
 * beginner met, with the reason and the rule of the first frame that met it.
 */
#define JUDGE_WINDOW (4u << 20) /* of each file */
#define JUDGE_RING (1u << 20)
#define JUDGE_CONVERSATIONS_MAX (2u << 20)
#define JUDGE_BEGIN EV_SEC /* monotonic time of the first instant that a capture can have */

struct judge_conv {
	struct flow_key key;
	uint32_t chain, hash;
	uint8_t a_began, fins, over, both;
	uint8_t through; /* bit of a side: something of its beginner got through */
	uint16_t last_rule[JUDGE_SIDES];
	struct judge_conversation c;
};

/* What was sent while a frame was judged. */
#define JUDGE_SENT (2u * PORTS_MAX)
struct judge_sent {
	uint16_t port;
	uint32_t n;
	bool same; /* the frame as it came */
	struct tuple t;
	struct flow_key key;
};

struct judge_side {
	struct gateway *g;
	struct ring_reader ring[PORTS_MAX];
	struct judge_conv *current; /* of the frame that was judged last; NULL between frames */
	uint16_t rule, out_port;    /* the same */
	unsigned nsent;
	struct judge_sent sent[JUDGE_SENT];
	uint64_t rule_packets[POOL_RULES], rule_convs[POOL_RULES];
};

struct judge_input {
	int fd;
	bool have;
	struct pcap_reader reader;
	struct pcap_record rec;
	uint8_t *window;
};

struct judge_learn {
	bool own, seen; /* its configured MAC; an address of it under `mac` */
	bool spoken_to; /* at `mac`, but it has not spoken itself */
	uint8_t mac[6];
};

/* About 6 MiB. */
struct judge {
	struct chan cli;
	uint32_t flags, sides, files;
	struct judge_side side[JUDGE_SIDES];
	struct judge_input in[JUDGE_FILES];
	struct judge_learn learn[MODEL_HONEYPOTS];
	struct pcap_record now_rec;
	/* that is judged now */
	struct slice frame;
	struct frame decoded;
	struct judge_conv *conv;
	unsigned dir; /* 0: from the side that began conv */
	uint64_t now; /* realtime, clamped */
	uint64_t ticked;
	uint8_t *room, *copy; /* RX_ROOM each */
	struct judge_conv *convs;
	uint32_t *buckets;
	uint32_t nconvs;
	struct {
		uint8_t saddr[16], daddr[16];
		uint32_t id, conv;
	} frags[4096]; /* the first fragments seen last */
	uint64_t port_frames[PORTS_MAX];
	struct judge_end end;
	/* rows on their way to the cli */
	struct judge_rows *rows;
	size_t rows_len;
	uint32_t rows_type;
	struct msg msg;
};

/* judge_place.c: where a frame comes in, and as which bytes. */

/* Reads the captures once for the MACs of the honeypots, if asked to. */
int judge_learn(struct judge *j, struct err *e);
/* NULL: not to be judged (and counted why). *bytes and *wirelen are what came in. */
struct port *judge_place(struct judge *j, const struct judge_input *in, const struct pcap_record *rec,
			 struct slice *bytes, uint32_t *wirelen, struct frame *decoded);

/* judge_account.c: who talked with whom, and what became of it. */

int judge_account_init(struct judge *j, struct err *e);
/* Finds or begins the conversation of j->decoded. */
void judge_find(struct judge *j, const struct port *in);
/* Could the frame have been, on that side? */
bool judge_possible(const struct judge *j, unsigned side);
/* Counts it as what could not. */
void judge_impossible(struct judge *j, unsigned side);
/* For the sink of memory ports: notes what was sent. */
void judge_sink(void *side, struct port *p, struct slice bytes);
/* Reads the rings of one side: after each frame (in: where it came in), and after
 * ticks (in NULL: all). */
int judge_drain(struct judge *j, unsigned side, struct port *in, struct err *e);

/* judge.c: sends rows to the cli. */
int judge_row(struct judge *j, uint32_t type, const void *row, size_t n, struct err *e);

#endif
