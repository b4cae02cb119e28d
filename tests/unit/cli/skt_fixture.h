/* SPDX-License-Identifier: ISC */
#ifndef SKEP_TESTS_SKT_FIXTURE_H
#define SKEP_TESTS_SKT_FIXTURE_H

#include "proto/hook.h"
#include "proto/intro.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Writes the records of session files, as evidence would. */
#define T0 1795428441000000000ull /* 2026-11-23T10:07:21Z */
#define MS 1000000ull
#define PTS0 HOOK_TTY_ID(HOOK_TTY_PTY, 0)
#define PTS1 HOOK_TTY_ID(HOOK_TTY_PTY, 1)

struct skt_writer {
	FILE *f;
	char honeypot[32];
	uint64_t seq, time; /* time: of the next record; rises by 1 ms */
	uint64_t session;
	uint32_t pid, ppid, uid, tty;
	uint16_t flags;
	const char *comm;
};
/* Makes STATE/nets/NET/evidence/sessions and HONEYPOT.skt (number 0) or .NNNNNN.skt. */
void skt_open(struct skt_writer *w, const char *net, const char *honeypot, unsigned number);
void skt_close(struct skt_writer *w);
void skt_path(char *buf, size_t cap, const char *net, const char *file);
void skt_put(struct skt_writer *w, unsigned kind, const void *body, size_t n);

void skt_begin(struct skt_writer *w, uint64_t id, const char *peer, uint16_t port, const char *user);
void skt_finish(struct skt_writer *w);
void skt_io(struct skt_writer *w, unsigned dir, const void *p, size_t n);
void skt_out(struct skt_writer *w, const char *text);
void skt_in(struct skt_writer *w, const char *text);
void skt_size(struct skt_writer *w, uint16_t rows, uint16_t cols);
void skt_try(struct skt_writer *w, unsigned outcome, const char *user, const char *password);
void skt_typed(struct skt_writer *w, const char *text);
/* args: "ls\0-la\0", with its length. */
void skt_run(struct skt_writer *w, int ret, const char *path, const char *args, size_t n, unsigned argc);
void skt_fork(struct skt_writer *w, uint32_t child);
void skt_exit(struct skt_writer *w, uint32_t code);
void skt_touch(struct skt_writer *w, unsigned op, const char *path, const char *to);
void skt_sock(struct skt_writer *w, unsigned op, const char *peer, uint16_t port);

/* STATE/nets/NET/evidence/events/000001.json with a flow of that 5-tuple. */
void skt_flow(const char *net, const char *peer, uint16_t port, uint64_t id);

#endif
