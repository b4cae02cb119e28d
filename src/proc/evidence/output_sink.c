/* SPDX-License-Identifier: ISC */
/*
 * What sinkholes received: bodies in sinkhole/, an event for each record.
 *
 * A sinkhole sees a conversation as the gateway has translated it: another port,
 * perhaps another source port. The frames tell what it was: one that the gateway
 * sent to a sinkhole names its flow, and so does the honeypot's own of that flow.
 * The last few thousand of both are remembered here; what has fallen out is told
 * as the sinkhole saw it, without a flow.
 */
#include "proc/evidence/role.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TALKS 4096u         /* a power of two */
#define FILES_AN_HOUR 2000u /* of bodies; more are hashed and told, not kept */
#define HOUR (3600 * EV_SEC)

enum { IP_TCP = 6, IP_UDP = 17 };

struct tuple {
	uint8_t family, proto;
	uint16_t sport, dport;
	uint8_t src[16], dst[16];
};

struct sink_talks {
	struct {
		uint64_t flow;
		uint16_t port; /* the honeypot's */
		struct tuple t;
	} own[TALKS]; /* by flow */
	struct {
		uint64_t flow;
		struct tuple t;
	} played[TALKS]; /* by tuple */
};

/* ---- which flow it was --------------------------------------------------------- */

static bool read_tuple(struct slice s, struct tuple *t)
{
	struct slice head;
	uint16_t type;
	*t = (struct tuple){ 0 };
	if (!slice_skip(&s, 12) || !slice_be16(&s, &type) || !s.n)
		return false;
	if (type == 0x0800) {
		size_t len = (s.p[0] & 15u) * 4;
		if (len < 20 || !slice_take(&s, len, &head))
			return false;
		t->family = 4;
		t->proto = head.p[9];
		memcpy(t->src, head.p + 12, 4);
		memcpy(t->dst, head.p + 16, 4);
	} else if (type == 0x86dd) {
		if (!slice_take(&s, 40, &head))
			return false;
		t->family = 6;
		t->proto = head.p[6];
		memcpy(t->src, head.p + 8, 16);
		memcpy(t->dst, head.p + 24, 16);
	} else {
		return false;
	}
	return (t->proto == IP_TCP || t->proto == IP_UDP) && slice_be16(&s, &t->sport) && slice_be16(&s, &t->dport);
}

static size_t slot_of(const struct tuple *t)
{
	uint64_t h = 1469598103934665603u;
	const uint8_t *p = (const uint8_t *)t;
	for (size_t i = 0; i < sizeof(*t); i++)
		h = (h ^ p[i]) * 1099511628211u;
	return (h ^ h >> 32) & (TALKS - 1);
}

void sink_frame(struct evidence *e, const struct port *p, const struct ring_frame *f, struct slice bytes)
{
	struct sink_talks *k = e->sink_talks;
	struct tuple t;
	uint16_t id = p->conf.port;
	bool own = f->dir == FRAME_IN && f->verdict == VERDICT_SINKHOLE && id < MODEL_HONEYPOTS;
	bool played = f->dir == FRAME_OUT && id >= PORT_SINK(0) && id < PORT_SINK(MODEL_NETS);
	if (!f->flow || (!own && !played) || (own && k && k->own[f->flow & (TALKS - 1)].flow == f->flow) ||
	    !read_tuple(bytes, &t))
		return;
	if (!k && !(k = e->sink_talks = calloc(1, sizeof(*k))))
		return;
	if (own) {
		k->own[f->flow & (TALKS - 1)].flow = f->flow;
		k->own[f->flow & (TALKS - 1)].port = id;
		k->own[f->flow & (TALKS - 1)].t = t;
	} else {
		k->played[slot_of(&t)].flow = f->flow;
		k->played[slot_of(&t)].t = t;
	}
}

struct joined {
	uint64_t flow;
	struct tuple t;
	const char *honeypot, *network;
};

static bool find(const struct evidence *e, const struct tuple *t, struct joined *out)
{
	const struct sink_talks *k = e->sink_talks;
	if (!k || memcmp(&k->played[slot_of(t)].t, t, sizeof(*t)) != 0)
		return false;
	uint64_t flow = k->played[slot_of(t)].flow;
	size_t i = flow & (TALKS - 1);
	if (k->own[i].flow != flow)
		return false;
	out->flow = flow;
	out->t = k->own[i].t;
	const struct port *p = e->ports[k->own[i].port];
	out->honeypot = p ? p->conf.name : NULL;
	return true;
}

static void join(struct evidence *e, const struct source *s, const struct ev_sink *h, struct joined *out)
{
	struct tuple t = { h->family, h->proto, h->src_port, h->dst_port, { 0 }, { 0 } };
	bool more, any;
	memcpy(t.src, h->src, sizeof(t.src));
	memcpy(t.dst, h->dst, sizeof(t.dst));
	*out = (struct joined){ .t = t };
	/* Its frames may still be in the rings. */
	if (!find(e, &t, out) && drain_pass(e, &more, &any) == 0)
		find(e, &t, out);
	for (unsigned i = 0; i < PORTS_MAX; i++) {
		const struct port *p = e->ports[i];
		if (!p)
			continue;
		if (!strcmp(p->conf.name, s->honeypot))
			out->network = p->conf.network;
		for (unsigned a = 0; i < MODEL_HONEYPOTS && !out->honeypot && a < p->conf.naddrs && a < MODEL_ADDRS;
		     a++)
			if (p->conf.addrs[a].family == h->family && !memcmp(p->conf.addrs[a].b, h->src, 16))
				out->honeypot = p->conf.name;
	}
}

/* ---- what it holds ---------------------------------------------------------------- */

static bool next_text(struct slice *s, uint8_t *field, struct slice *text)
{
	uint8_t zero;
	uint16_t n;
	return slice_u8(s, field) && *field < SINK_F_COUNT && slice_u8(s, &zero) && !zero && slice_get(s, &n, 2) &&
	       slice_take(s, n, text);
}

static bool head_ok(const struct ev_sink *h, struct slice texts)
{
	struct slice text;
	uint8_t field;
#ifdef MUTANT_SINK_UNCHECKED
	return h->record < SINK_REC_COUNT && h->service < SINK_SVC_COUNT && h->kept <= SINK_BODY_MAX;
#endif
	if (h->record >= SINK_REC_COUNT || h->service >= SINK_SVC_COUNT || (h->family != 4 && h->family != 6) ||
	    (h->proto != IP_TCP && h->proto != IP_UDP) || h->ntexts > SINK_TEXTS || h->kept > SINK_BODY_MAX ||
	    h->kept > h->body)
		return false;
	for (unsigned i = 0; i < h->ntexts; i++)
		if (!next_text(&texts, &field, &text))
			return false;
	return texts.n == 0;
}

static struct slice text_of(struct slice texts, enum sink_field want, unsigned n)
{
	struct slice text;
	uint8_t field;
	while (next_text(&texts, &field, &text))
		if (field == want && n-- == 0)
			return text;
	return (struct slice){ NULL, 0 };
}

static void put(struct json *j, const char *key, struct slice texts, enum sink_field f)
{
	struct slice t = text_of(texts, f, 0);
	if (t.p)
		json_bytes(j, key, t.p, t.n);
}

static void address(struct json *j, const char *key, struct slice t)
{
	char text[400];
	size_t n = t.n < sizeof(text) - 2 ? t.n : sizeof(text) - 2;
	text[0] = '<';
	memcpy(text + 1, t.p, n);
	text[n + 1] = '>';
	json_bytes(j, key, text, n + 2);
}

/* ---- bodies ------------------------------------------------------------------------- */

static int keep(struct evidence *e, const struct ev_sink *h, int fd, char name[STORE_NAME])
{
	static uint8_t buf[SINK_BODY_MAX];
	struct stat st;
	enum { SEALED = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW };
	int seals = fcntl(fd, F_GET_SEALS);
	name[0] = 0;
	if (seals < 0 || (seals & SEALED) != SEALED || fstat(fd, &st) < 0 || st.st_size != (off_t)h->kept ||
	    pread(fd, buf, h->kept, 0) != (ssize_t)h->kept)
		return -EPROTO;
	if (e->now - e->sink_hour > HOUR) {
		e->sink_hour = e->now;
		e->sink_files = 0;
	}
	if (e->sink_files >= FILES_AN_HOUR)
		return 0;
	e->sink_files++;
	if (!e->bodies && !(e->bodies = store_stream(&e->store, "sinkhole", ".bin", false, 0, NULL)))
		return e->store.failed;
	if (store_begin(&e->store, e->bodies, e->now) < 0)
		return e->store.failed;
	memcpy(name, e->bodies->seg->name, STORE_NAME);
	if (store_append(&e->store, e->bodies, buf, h->kept) < 0)
		return e->store.failed;
	return store_rotate(&e->store, e->bodies, e->now);
}

/* ---- events --------------------------------------------------------------------------- */

static void smtp_object(struct json *j, const struct ev_sink *h, struct slice texts)
{
	struct slice t;
	json_obj(j, "smtp");
	put(j, "helo", texts, SINK_F_HELO);
	if ((t = text_of(texts, SINK_F_MAIL_FROM, 0)).p)
		address(j, "mail_from", t);
	if (text_of(texts, SINK_F_RCPT_TO, 0).p) {
		json_arr(j, "rcpt_to");
		for (unsigned i = 0; (t = text_of(texts, SINK_F_RCPT_TO, i)).p; i++)
			address(j, NULL, t);
		json_end(j);
	}
	json_end(j);
	if (h->record != SINK_REC_MAIL || !h->body)
		return;
	json_obj(j, "email");
	json_str(j, "status", h->flags & SINK_UNFINISHED ? "BODY_STARTED" : "PARSE_DONE");
	put(j, "from", texts, SINK_F_FROM);
	if ((t = text_of(texts, SINK_F_TO, 0)).p) {
		json_arr(j, "to");
		json_bytes(j, NULL, t.p, t.n);
		json_end(j);
	}
	put(j, "subject", texts, SINK_F_SUBJECT);
	json_end(j);
}

static void http_object(struct json *j, const struct ev_sink *h, struct slice texts)
{
	json_obj(j, "http");
	put(j, "hostname", texts, SINK_F_HOST);
	put(j, "url", texts, SINK_F_URL);
	put(j, "http_user_agent", texts, SINK_F_USER_AGENT);
	put(j, "http_content_type", texts, SINK_F_CONTENT_TYPE);
	put(j, "http_refer", texts, SINK_F_REFERER);
	put(j, "http_method", texts, SINK_F_METHOD);
	put(j, "protocol", texts, SINK_F_PROTOCOL);
	json_u64(j, "status", h->status);
	json_u64(j, "length", h->body);
	json_end(j);
}

static const char *const services[SINK_SVC_COUNT] = { "smtp", "http", "tcp", "udp" };

static void sinkhole_object(struct json *j, const struct ev_sink *h, struct slice texts)
{
	json_obj(j, "sinkhole");
	json_str(j, "service", services[h->service]);
	put(j, "sample", texts, SINK_F_SAMPLE);
	json_end(j);
}

static void skep_object(struct json *j, const struct joined *who, const struct ev_sink *h, struct slice texts,
			const char *file)
{
	static const char *const records[SINK_REC_COUNT] = { "mail", "login", "request", "stream", "end" };
	char session[16];
	json_obj(j, "skep");
	if (who->honeypot)
		json_str(j, "honeypot", who->honeypot);
	if (who->network)
		json_str(j, "network", who->network);
	json_str(j, "direction", "outbound");
	json_str(j, "verdict", verdict_name(VERDICT_SINKHOLE));
	json_str(j, "sinkhole", services[h->service]);
	json_str(j, "record", records[h->record]);
	snprintf(session, sizeof(session), "%012llx", (unsigned long long)(h->session & 0xffffffffffffull));
	json_str(j, "session", session);
	json_time(j, "start", h->start);
	json_u64(j, "bytes_toserver", h->bytes_in);
	json_u64(j, "bytes_toclient", h->bytes_out);
	if (h->requests)
		json_u64(j, "requests", h->requests);
	if (h->status)
		json_u64(j, "status", h->status);
	if (h->recipients)
		json_u64(j, "recipients", h->recipients);
	if (h->flags & SINK_UNFINISHED)
		json_bool(j, "unfinished", true);
	put(j, "queue_id", texts, SINK_F_QUEUE_ID);
	put(j, "user", texts, SINK_F_USER);
	put(j, "password", texts, SINK_F_PASSWORD);
	put(j, "sample", texts, SINK_F_SAMPLE);
	if (h->body) {
		json_obj(j, "body");
		json_u64(j, "size", h->body);
		json_u64(j, "kept", file[0] ? h->kept : 0);
		json_hex(j, "sha256", h->sha256, sizeof(h->sha256));
		json_hex(j, "blake2b", h->blake2b, sizeof(h->blake2b));
		if (file[0])
			json_str(j, "file", file);
		json_end(j);
	}
	if (h->lost)
		json_u64(j, "lost", h->lost);
	json_end(j);
}

static const char *event_type(const struct ev_sink *h)
{
	switch (h->record) {
	case SINK_REC_MAIL:
	case SINK_REC_LOGIN:
		return "smtp";
	case SINK_REC_REQUEST:
		return "http";
	default:
		return "sinkhole";
	}
}

static int tell(struct evidence *e, const struct joined *who, const struct ev_sink *h, struct slice texts,
		const char *file)
{
	struct json j = output_json(e);
	const struct tuple *t = &who->t;
	char cid[COMMUNITY_ID];
	const char *type = event_type(h);
	json_obj(&j, NULL);
	json_time(&j, "timestamp", h->time);
	if (who->flow)
		json_u64(&j, "flow_id", who->flow);
	json_str(&j, "event_type", type);
	eve_address(&j, "src_ip", t->family, t->src);
	json_u64(&j, "src_port", t->sport);
	eve_address(&j, "dest_ip", t->family, t->dst);
	json_u64(&j, "dest_port", t->dport);
	eve_proto(&j, t->proto);
	json_str(&j, "honeynet", e->conf.honeynet);
	json_str(&j, "sensor", e->sensor);
	if (community_id(cid, t->family, t->src, t->dst, t->sport, t->dport, t->proto))
		json_str(&j, "community_id", cid);
	if (!strcmp(type, "smtp"))
		smtp_object(&j, h, texts);
	else if (!strcmp(type, "http"))
		http_object(&j, h, texts);
	else
		sinkhole_object(&j, h, texts);
	skep_object(&j, who, h, texts, file);
	eve_end(&j);
	return output_event(e, &j, e->now);
}

int output_sink(struct evidence *e, const struct source *s, struct slice body, int fd)
{
	struct ev_sink h;
	struct joined who;
	char file[STORE_NAME] = "";
	if (!slice_get(&body, &h, sizeof(h)) || (fd >= 0) != (h.kept > 0))
		return -EPROTO;
	if (!head_ok(&h, body))
		return -EPROTO;
	int r = fd >= 0 ? keep(e, &h, fd, file) : 0;
	if (r < 0)
		return r;
	join(e, s, &h, &who);
	return e->store.failed ? e->store.failed : tell(e, &who, &h, body, file);
}
