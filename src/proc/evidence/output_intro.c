/* SPDX-License-Identifier: ISC */
/* What introspect processes send: every record as it came, in sessions/, and an
 * event for those that an operator looks for. */
#include "proc/evidence/role.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sessions *sessions_for(struct evidence *e, const char *honeypot)
{
	for (struct sessions *c = e->sessions; c; c = c->next)
		if (!strcmp(c->honeypot, honeypot))
			return c;
	struct sessions *c = calloc(1, sizeof(*c));
	char base[64];
	if (!c) {
		store_fail(&e->store, -ENOMEM, "make room for the sessions of", honeypot);
		return NULL;
	}
	snprintf(c->honeypot, sizeof(c->honeypot), "%s", honeypot);
	snprintf(base, sizeof(base), "sessions/%s", honeypot);
	c->stream = store_stream(&e->store, base, ".skt", true, 0, intro_whole);
	c->next = e->sessions;
	e->sessions = c;
	return c;
}

static int append(struct evidence *e, struct sessions *c, struct slice records)
{
	struct stream *st = c->stream;
	if (!st)
		return e->store.failed;
	if (stream_size(st) && stream_size(st) + records.n > e->rotate_bytes && store_rotate(&e->store, st, e->now) < 0)
		return e->store.failed;
	if (!st->seg) {
		struct {
			struct intro_rec rec;
			struct intro_file file;
		} head = { .rec = { .len = sizeof(head), .kind = INTRO_NONE, .time = e->now },
			   .file = { .format = INTRO_FORMAT } };
		_Static_assert(sizeof(head) % 8 == 0, "no padding");
		memcpy(head.file.magic, INTRO_FILE_MAGIC, sizeof(head.file.magic));
		snprintf(head.file.honeynet, sizeof(head.file.honeynet), "%s", e->conf.honeynet);
		snprintf(head.file.honeypot, sizeof(head.file.honeypot), "%s", c->honeypot);
		if (store_begin(&e->store, st, e->now) < 0 || store_append(&e->store, st, &head, sizeof(head)) < 0)
			return e->store.failed;
	}
	return store_append(&e->store, st, records.p, records.n);
}

/* The events of n records that were checked. */
static int tell(struct evidence *e, struct sessions *c, struct slice s)
{
	struct intro_rec r;
	struct intro_body b;
	while (intro_take(&s, &r, &b) > 0) {
		struct json j = output_json(e);
		if (eve_intro(&e->eve, &j, &c->talks, c->honeypot, &r, &b, e->now) && output_event(e, &j, e->now) < 0)
			return e->store.failed;
	}
	return 0;
}

static void tell_gap(struct evidence *e, const char *honeypot, uint64_t missing)
{
	char text[120];
	snprintf(text, sizeof(text), "%llu records are missing in the numbering of the introspect process",
		 (unsigned long long)missing);
	output_note(e, "skep.evidence.gap", honeypot, text, e->now);
}

int output_intro(struct evidence *e, const char *honeypot, uint64_t *seq, uint32_t n, struct slice body)
{
	struct sessions *c = sessions_for(e, honeypot);
	struct slice left = body;
	struct intro_rec r;
	struct intro_body b;
	uint64_t missing = 0;
	uint32_t got = 0;
	int x;
	if (!c)
		return e->store.failed;
	size_t good_n = 0;
	while ((x = intro_take(&left, &r, &b)) > 0) {
		if (r.seq <= *seq) {
			x = -EBADMSG;
			break;
		}
		missing += r.seq - *seq - 1;
		*seq = r.seq;
		good_n = body.n - left.n;
		got++;
	}
	struct slice good = slice_head(body, good_n);
	if (good.n && (append(e, c, good) < 0 || tell(e, c, good) < 0))
		return e->store.failed;
	if (missing)
		tell_gap(e, honeypot, missing);
	if (e->store.failed)
		return e->store.failed;
	return x < 0 || got != n ? -EPROTO : 0;
}
