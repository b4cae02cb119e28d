/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROC_SINKHOLE_SESSION_H
#define SKEP_PROC_SINKHOLE_SESSION_H

#include "base/ev.h"
#include "base/slice.h"
#include "proto/sink.h"

#include <sodium.h>
#include <stdbool.h>

/*
 * One conversation with a honeypot, as its service sees it: bytes in, bytes out,
 * and records of what was said. No sockets here, so that tests and the fuzzer
 * drive the very state machines that the process runs.
 *
 * Everything that grows is bounded by its field's size: a line that is too long
 * is refused as such a server would, of a body the first SINK_BODY_MAX bytes are
 * kept and all are counted and hashed.
 */
#define SINK_LINE_MAX 4096u /* of a command or header line */
#define SINK_OUT_MAX 16384u /* what waits to be sent */
#define SINK_OUT_ROOM 4096u /* no answer to one line is longer */
#define SINK_TEXT_MAX 2048u /* of one text */
#define SINK_REQUESTS 1000u /* requests or mails of one connection */
#define SINK_LIFE (1800 * EV_SEC)

struct texts {
	uint16_t n, count;
	uint8_t b[SINK_TEXTS_MAX];
};

struct body {
	uint8_t *kept; /* [SINK_BODY_MAX], the owner's */
	uint32_t n;
	uint64_t total;
	bool open; /* hashing has begun */
	crypto_hash_sha256_state sha256;
	crypto_generichash_state blake2b;
};

struct session;
struct sink_service_ops {
	const char *name;
	uint64_t idle; /* ns without a byte after which it ends */
	void (*begin)(struct session *s);
	/* Takes at least one byte off the front, as long as there is room for an
	 * answer. */
	void (*input)(struct session *s, struct slice *in);
	void (*tick)(struct session *s); /* about once a second; may be NULL */
	void (*end)(struct session *s);  /* the peer is gone, or time is up */
};

struct smtp {
	bool hello, mail, data, line_begin, dot, dot_cr;
	uint8_t auth; /* 0 none; LOGIN: 1 waits for the user, 2 for the password; 3 PLAIN */
	bool authed;
	uint16_t errors;
	uint32_t recipients;
	char helo[256], user[256];
	char queue_id[16];
};

struct http {
	uint8_t state;
	bool head, close, old; /* HEAD; ends after the answer; HTTP/1.0 */
	bool chunked, expect, has_length;
	uint16_t status;
	uint32_t header_bytes;
	uint64_t left; /* of the body, or of the chunk */
	char method[16];
	char path[256]; /* what the answer depends on; longer ones are cut */
};

struct raw {
	bool spoke; /* we have said something */
	uint16_t lines, answers;
	bool text, irc;
	char nick[64];
	uint32_t nsample;
	uint8_t sample[512];
};

struct session {
	const struct sink_service_ops *ops;
	uint8_t service, family, proto;
	uint16_t src_port, dst_port;
	uint8_t src[16], dst[16];
	uint64_t id;
	uint64_t start;      /* realtime */
	uint64_t now;        /* realtime, of this turn */
	uint64_t mono;       /* monotonic, of this turn */
	uint64_t born, last; /* monotonic */
	uint64_t bytes_in, bytes_out;
	uint16_t requests;
	bool closing;  /* nothing more is read; ends when all is sent */
	uint32_t seed; /* of the destination: which server it seems to be */

	uint16_t nline;
	bool line_over;
	uint8_t line[SINK_LINE_MAX];
	uint32_t nout;
	uint8_t out[SINK_OUT_MAX];

	struct texts texts;
	struct body body;
	union {
		struct smtp smtp;
		struct http http;
		struct raw raw;
	};

	void (*record)(void *arg, const struct ev_sink *head, const struct texts *texts, const struct body *body);
	void *arg;
};

extern const struct sink_service_ops sink_smtp, sink_http, sink_raw;

/* The owner has set service, tuple, times, id, body.kept, record and arg. */
void session_begin(struct session *s);
/* Feeds bytes until all are taken, the session closes, or no answer would fit:
 * then the rest stays in *in. */
void session_input(struct session *s, struct slice *in);
/* Time has passed. Ends it when it was idle too long. */
void session_tick(struct session *s);
/* The end, however it came: unfinished things and the sums are recorded. */
void session_end(struct session *s);

static inline bool session_has_room(const struct session *s)
{
	return SINK_OUT_MAX - s->nout >= SINK_OUT_ROOM;
}

/* ---- for the services ------------------------------------------------------ */

/* Appends to what is sent; what does not fit is left out (session_input sees that it fits). */
void session_put(struct session *s, const void *p, size_t n);
void session_say(struct session *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum line { LINE_NONE, LINE_WHOLE, LINE_LONG };
/* Takes bytes up to the end of a line into s->line; LINE_WHOLE: there is one, its
 * CR and LF left out, in *line (valid until the next call). LINE_LONG: it had
 * more than SINK_LINE_MAX bytes, and *line is what fitted. */
enum line session_line(struct session *s, struct slice *in, struct slice *line);

void texts_add(struct texts *t, enum sink_field f, struct slice text);
void texts_str(struct texts *t, enum sink_field f, const char *text);

void body_add(struct body *b, struct slice bytes);
void body_reset(struct body *b);

/* Sends a record of what texts and body hold, and empties both. */
void session_record(struct session *s, enum sink_record what, uint16_t status, uint8_t flags, uint32_t recipients);

/* What the destination calls itself: a name that tells its address, as hosters
 * give; at most 80 bytes. */
void session_hostname(const struct session *s, char out[80]);
/* A number that is the same for this destination each time. */
uint32_t session_pick(const struct session *s, uint32_t of);

/* Case-insensitive: does the text begin with this word? *rest: what stands behind
 * it and white space. */
bool slice_word(struct slice text, const char *word, struct slice *rest);
bool slice_same(struct slice text, const char *word);
struct slice slice_trim(struct slice s);
/* Copies at most cap - 1 bytes and ends them; bytes that no name has become '?'. */
void slice_text(char *out, size_t cap, struct slice s);

#endif
