/* SPDX-License-Identifier: ISC */
#ifndef SKEP_PROTO_SINK_H
#define SKEP_PROTO_SINK_H

#include <stdint.h>

/*
 * What a sinkhole received: sinkhole -> evidence (MSG_EV_SINK). The head, then
 * `ntexts` texts: u8 field (enum sink_field), u8 zero, u16 length, bytes. Native
 * byte order: both sides run on the same machine. What was sent in bulk (a mail,
 * an upload, the bytes of an unknown protocol) comes as a memfd with the message.
 */
#define SINK_TEXTS_MAX 16384u
#define SINK_TEXTS 64u
#define SINK_BODY_MAX (256u << 10) /* bytes of one mail or upload that are kept */

enum sink_service { SINK_SVC_SMTP, SINK_SVC_HTTP, SINK_SVC_TCP, SINK_SVC_UDP, SINK_SVC_COUNT };

enum sink_record {
	SINK_REC_MAIL,    /* one message, or an attempt at one that never was finished */
	SINK_REC_LOGIN,   /* SMTP AUTH: user and password */
	SINK_REC_REQUEST, /* one HTTP request and its body */
	SINK_REC_STREAM,  /* a connection of the generic service, or a datagram */
	SINK_REC_END,     /* a connection is over: sums */
	SINK_REC_COUNT
};

enum sink_field {
	SINK_F_HELO,
	SINK_F_MAIL_FROM,
	SINK_F_RCPT_TO,
	SINK_F_SUBJECT,
	SINK_F_FROM,
	SINK_F_TO,
	SINK_F_QUEUE_ID,
	SINK_F_USER,
	SINK_F_PASSWORD,
	SINK_F_METHOD,
	SINK_F_HOST,
	SINK_F_URL,
	SINK_F_PROTOCOL,
	SINK_F_USER_AGENT,
	SINK_F_REFERER,
	SINK_F_CONTENT_TYPE,
	SINK_F_SAMPLE, /* the first bytes of a stream */
	SINK_F_COUNT
};

#define SINK_CUT 1u /* the body was longer than what is kept */
#define SINK_UNFINISHED 2u

struct ev_sink {
	uint64_t time, start;         /* ns, realtime: of the record, of the connection */
	uint64_t session;             /* 48 bits, shown as 12 hex digits; unique */
	uint64_t bytes_in, bytes_out; /* of the connection until now */
	uint64_t body;                /* bytes that came; the memfd holds `kept` of them */
	uint64_t lost;                /* records of this sinkhole that evidence did not take before this one */
	uint32_t kept;
	uint32_t recipients; /* that were named; texts hold the first ones */
	uint16_t record;     /* enum sink_record */
	uint16_t status;     /* the answer's code, 0 = none */
	uint8_t service, family, proto, flags;
	uint16_t src_port, dst_port; /* dst_port: of the service, not what the honeypot asked for */
	uint16_t ntexts, requests;   /* requests or mails of the connection until now */
	uint8_t src[16], dst[16];
	uint8_t sha256[32], blake2b[32]; /* of the whole body; zero without one */
};

#endif
