/* SPDX-License-Identifier: ISC */
#ifndef SKEP_CLI_SESSION_TABLE_H
#define SKEP_CLI_SESSION_TABLE_H

#include "cli/read_skt.h"

#include <netinet/in.h>

/*
 * What the records of session files say about each session, summed up. Feed it
 * every record of a honeypot in order; it needs no other.
 */
#define SESSION_ID_TEXT 13
#define SESSION_USER 64
#define SESSION_ENDPOINT (INET6_ADDRSTRLEN + 10)
#define SESSION_TTYS 16
#define SESSION_LOGINS 64 /* kept of each session; the count goes on */

struct session_tty {
	uint32_t tty;
	uint16_t rows, cols;           /* the first that was told; 0 = never */
	uint16_t last_rows, last_cols; /* the last */
	uint64_t in, out;              /* bytes */
};
struct session_login {
	uint64_t time;
	uint32_t outcome, how;
	char user[SESSION_USER], password[128]; /* cut; may hold any byte but 0 */
};

struct session {
	uint64_t id;
	char honeypot[NAME_CAP];
	uint64_t start, end;  /* ns; end 0 = it goes on, or nobody saw its end */
	uint64_t first, last; /* times of its records */
	bool over;            /* nothing more comes: its end was seen, or the machine began anew */
	bool known;           /* INTRO_SESSION was there: `who` is valid */
	struct intro_session who;
	char user[SESSION_USER]; /* "" = not known yet */
	uint64_t in, out;        /* bytes of its terminals */
	uint64_t commands, execs, files, sockets, ntried, tampered;
	uint64_t lost; /* records that were lost while it lived; whose they were nobody knows */
	unsigned nlogins, nttys;
	struct session_login *logins;
	struct session_tty ttys[SESSION_TTYS];
	/* Joined from the flow events; 0 and "" = no flow found (yet). */
	uint64_t flow_id;
	char community_id[40];
};

struct session_table {
	struct session *s;
	unsigned n, cap;
	uint32_t *slots; /* open addressing: index + 1 */
	unsigned nslots;
	uint64_t lost, tampered; /* of the honeypots, sessions or not */
	bool oom;
};
/* Sums up r; returns its session, NULL if it belongs to none (or memory ran out: t->oom).
 * The pointer holds until the next call. */
struct session *session_add(struct session_table *t, const char *honeypot, const struct skt_rec *r);
struct session *session_find(struct session_table *t, uint64_t id);
/* Joins with the flow events of an evidence directory by addresses, ports, protocol and time. */
int session_join(struct session_table *t, const struct evidence_dir *dir, struct err *e);
/* By start. Pointers and session_find are of no use afterwards. */
void session_sort(struct session_table *t);
void session_table_free(struct session_table *t);

/* ---- as text. Texts of the intruder are copied as they are: make them safe. */

const char *session_id_text(char buf[SESSION_ID_TEXT], uint64_t id);
/* 12 hex digits, or fewer: then *mask has the digits that count. */
bool session_id_parse(const char *s, uint64_t *id, uint64_t *mask);
/* "198.51.100.10:45400", "[2001:db8::1]:22", "console" without a network. */
const char *session_peer(char buf[SESSION_ENDPOINT], const struct session *s);
const char *session_local(char buf[SESSION_ENDPOINT], const struct session *s);
const char *session_endpoint(char buf[SESSION_ENDPOINT], unsigned family, const uint8_t *addr, uint16_t port);
/* "pts/0", "ttyS0", "tty0". */
const char *session_tty_name(char buf[24], uint32_t tty);
const char *session_service(unsigned service); /* "ssh", ... */
const char *session_outcome(uint32_t outcome); /* "failed", ... */
const char *session_auth(uint32_t how);        /* "password", ... */
const char *session_file_op(uint32_t op);      /* "write", ... */
const char *session_socket_op(unsigned op);    /* "connect", ... */
/* When it was over, or the last that was heard of it; duration up to then. */
uint64_t session_until(const struct session *s);
struct session_tty *session_tty(struct session *s, uint32_t tty); /* NULL if it has none such */
/* The terminal to show: the first that wrote something, NULL if none did. */
const struct session_tty *session_main_tty(const struct session *s);

#endif
