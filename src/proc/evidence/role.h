/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_EVIDENCE_ROLE_H
#define SKEP_PROC_EVIDENCE_ROLE_H

#include "base/ev.h"
#include "base/json.h"
#include "proc/evidence/eve_intro.h"
#include "proc/evidence/store.h"
#include "proto/msg.h"
#include "proto/proto.h"
#include "proto/ring.h"

/*
 * The state of the evidence process, shared by its files: evidence.c (messages
 * and the loop), drain.c (rings), output.c (streams), stats.c.
 */
struct counts {
	uint64_t frames, bytes;
	uint64_t lost_frames, lost_bytes;
	uint64_t made, made_bytes; /* frames that the gateway made itself and sent here; not in the others */
	uint64_t by[VERDICT_COUNT][REASON_COUNT];
};

struct evidence;

struct port {
	struct evidence *owner;
	struct ev_ring conf;
	struct ring_reader ring;
	int wakefd;
	struct ev_source wake;
	bool open;     /* the ring is mapped */
	bool broken;   /* and nothing of it can be believed any more */
	uint64_t seq;  /* of the last entry; 0 = none yet */
	uint64_t gaps; /* entries that never came */
	uint32_t file; /* generation of the packets file in which `ifindex` is valid */
	uint32_t ifindex;
	uint64_t file_frames, file_lost;
	struct counts counts;
	bool changed; /* since the last stats event */
	uint64_t lost_told, gaps_told;
	/* Names of rules by their numbers, as this ring told them last; NULL: none yet. */
	char (*rules)[RULE_NAME_CAP]; /* [POOL_RULES] */
};

/* "" if it is none, or its name was never told. */
const char *port_rule(const struct port *p, uint16_t rule);

struct console {
	struct console *next;
	char honeypot[NAME_CAP];
	struct stream *out, *times, *input;
};

/* What happens inside of one honeypot; more than one introspect process may
 * tell it, one after the other. */
struct sessions {
	struct sessions *next;
	char honeypot[NAME_CAP];
	struct stream *stream;
	struct eve_talks talks;
};

/* Of records: a machine's handler, or its introspect process. */
struct source {
	struct source *next;
	struct evidence *owner;
	struct chan chan;
	struct ev_source ev;
	char honeypot[NAME_CAP];
	uint64_t seq; /* of the last record of an introspect process */
};

/* An answer that waits until what it acknowledges is on the disk. */
struct reply {
	uint64_t req, ticket;
};
#define REPLIES 64

struct evidence {
	struct ev ev;
	struct chan super;
	struct ev_source super_ev;
	struct ev_timer drain_timer, commit_timer, stats_timer;
	int dirfd;
	bool configured, stopping;
	int stopped; /* 0, or the negative errno with which writing stopped */
	struct ev_conf conf;
	uint64_t rotate_bytes, rotate_age;
	char sensor[65], hardware[65], os[200], app[48];
	struct eve eve;
	struct store store;
	struct stream *packets, *events;
	uint32_t packets_file; /* generation: counts the files of this process */
	uint32_t packets_ifs;  /* interfaces in the open one */
	uint64_t packets_frames;
	uint64_t now; /* realtime of this turn: files age by our clock, not by the gateway's */
	struct port *ports[PORTS_MAX];
	struct console *consoles;
	struct sessions *sessions;
	struct source *sources;
	struct sink_talks *sink_talks; /* NULL until one is played */
	struct stream *bodies;         /* what sinkholes keep; NULL until there is some */
	uint64_t sink_hour;
	unsigned sink_files; /* since then */
	struct reply replies[REPLIES];
	unsigned nreplies;
	uint64_t frames, flows, events_written, started;
	unsigned notes_told;
	bool stats_pending;
	char *scratch; /* for one event */
	struct msg msg;
};
#define SCRATCH (256u << 10)

/* output.c: what goes where, rotation. All 0 or the store's error. */
int output_open(struct evidence *e, uint64_t now);
int output_frame(struct evidence *e, struct port *p, const struct ring_entry *h, const struct ring_frame *f,
		 const uint8_t *data);
int output_flow(struct evidence *e, const struct port *p, const struct ring_entry *h, const struct ring_flow *f);
int output_port(struct evidence *e, struct port *p); /* its interface block */
int output_console(struct evidence *e, const char *honeypot, const struct ev_console *c, const uint8_t *p, size_t n,
		   uint64_t now);
/* n records of an introspect process; *seq is that of its last one. -EPROTO: some
 * of it is broken; what stands before that is kept. */
int output_intro(struct evidence *e, const char *honeypot, uint64_t *seq, uint32_t n, struct slice body);
/* output_sink.c: remembers whose conversation a sinkhole plays; and one record of a
 * sinkhole, with the memfd of what it keeps (-1: none). -EPROTO: it is broken. */
void sink_frame(struct evidence *e, const struct port *p, const struct ring_frame *f, struct slice bytes);
int output_sink(struct evidence *e, const struct source *s, struct slice body, int fd);
/* Begins a line in e->scratch; output_event appends it to the event stream. */
struct json output_json(struct evidence *e);
int output_event(struct evidence *e, const struct json *j, uint64_t now);
int output_note(struct evidence *e, const char *eventid, const char *honeypot, const char *message, uint64_t now);
/* Tells in events what recovery and the limits did. */
int output_notes(struct evidence *e, uint64_t now);
int output_age(struct evidence *e, uint64_t now); /* rotates files that are too old */
int output_close(struct evidence *e, uint64_t now);

/* drain.c */
int drain_add(struct evidence *e, const struct ev_ring *conf, int ringfd, int wakefd, struct err *err);
/* Reads the port's ring to its end and unmaps it. */
int drain_del(struct evidence *e, uint16_t port);
/* One pass over all rings. *more: a budget ran out before a ring was empty. */
int drain_pass(struct evidence *e, bool *more, bool *any);
/* Everything that is in the rings now. */
int drain_all(struct evidence *e);
bool drain_sleep(struct evidence *e); /* false: there is more to read */
void drain_awake(struct evidence *e);
void drain_stop(struct evidence *e, int code);

/* stats.c */
int stats_write(struct evidence *e, uint64_t now);

/* evidence.c */
void evidence_tell(struct evidence *e, int status, const char *text);

#endif
