/* SPDX-License-Identifier: ISC */
/*
 * What a guest says becomes sessions. The input is any number of records {type,
 * flags, tgid, tid, ppid, uid, terminal (kind << 4 | index), task, comm (of a
 * list), data bytes (16 bit, big endian), data}, small numbers so that they meet
 * each other; each goes through the reader of records and on. Every record that
 * comes out is checked (guest.c), and at the end nothing may be left.
 */
#include "guest.h"
#include "proc/introspect/decode.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct guest g;

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void say(const uint8_t head[9], struct slice body)
{
	static const char comms[8][16] = { "sshd", "bash", "in.telnetd", "login", "su", "inetd", "kworker", "nc" };
	static struct fact_buf buf;
	static uint8_t rec[sizeof(struct hook_rec) + HOOK_DATA_MAX];
	struct hook_rec r = { .type = head[0],
			      .flags = head[1] & 7,
			      .tgid = head[2],
			      .tid = head[3] ? head[3] : head[2],
			      .ppid = head[4],
			      .uid = head[5],
			      .euid = head[5],
			      .tty = head[6] >> 4 ? HOOK_TTY_ID((head[6] >> 4) % 4, head[6] & 15) : 0,
			      .ret = head[1] & 8 ? -2 : 0,
			      .gtime = g.time,
			      .task = head[7] ? head[7] : head[2] + 1000u };
	struct fact f;
	memcpy(r.comm, comms[head[8] & 7], sizeof(r.comm));
	g.time += head[1] >> 4 ? 1000u << (head[1] >> 4) : 1000;
	if (head[0] == FACT_LOSS || head[0] == FACT_MALFORMED) {
		f = guest_fact(&g, head[0], NULL);
		f.loss.records = head[1];
		guest_say(&g, &f);
		return;
	}
	if (body.n > HOOK_DATA_MAX)
		return;
	memcpy(rec, &r, sizeof(r));
	if (body.n)
		memcpy(rec + sizeof(r), body.p, body.n);
	if (decode_record(rec, sizeof(r) + body.n, 1, g.time, &buf, &f))
		guest_say(&g, &f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of(data, size), body;
	uint8_t head[9];
	uint16_t n;
	if (!g.track) {
		guest_new(&g);
		g.keep = false;
	}
	guest_hello(&g);
	while (slice_get(&s, head, sizeof(head)) && slice_be16(&s, &n) && slice_take(&s, n < s.n ? n : s.n, &body))
		say(head, body);
	track_end(g.track, g.time);
	must(!g.track->sessions.live && !g.track->procs.live && !g.track->conns.live && !g.track->execs.total);
	return 0;
}
