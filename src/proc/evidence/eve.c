/* SPDX-License-Identifier: ISC */
#include "proc/evidence/eve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17, IP_ICMP6 = 58, IP_SCTP = 132 };

static EVP_MD *sha1;
static EVP_MD_CTX *sha1_ctx;

int eve_init(struct err *e)
{
	char id[COMMUNITY_ID];
	static const uint8_t zero[16];
	if (!sha1)
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!sha1_ctx)
		sha1_ctx = EVP_MD_CTX_new();
	if (!sha1 || !sha1_ctx || !community_id(id, 4, zero, zero, 0, 0, IP_TCP))
		return err_set(e, -ENOSYS, "libcrypto offers no SHA-1, which community ids need");
	return 0;
}

/* ICMP types that are answered by another type: both directions get one id. */
static int counterpart(unsigned family, unsigned type)
{
	static const uint8_t v4[][2] = { { 8, 0 }, { 13, 14 }, { 15, 16 }, { 10, 9 }, { 17, 18 } };
	static const uint8_t v6[][2] = { { 128, 129 }, { 133, 134 }, { 135, 136 },
					 { 130, 131 }, { 139, 140 }, { 144, 145 } };
	const uint8_t(*t)[2] = family == 4 ? v4 : v6;
	size_t n = family == 4 ? sizeof(v4) / 2 : sizeof(v6) / 2;
	for (size_t i = 0; i < n; i++) {
		if (t[i][0] == type)
			return t[i][1];
		if (t[i][1] == type)
			return t[i][0];
	}
	return -1;
}

bool community_id(char out[COMMUNITY_ID], unsigned family, const uint8_t *src, const uint8_t *dst, uint16_t sport,
		  uint16_t dport, uint8_t proto)
{
	size_t alen = family == 4 ? 4 : 16, n = 0;
	uint8_t b[40], digest[EVP_MAX_MD_SIZE];
	bool icmp = (family == 4 && proto == IP_ICMP) || (family == 6 && proto == IP_ICMP6);
	bool ports = icmp || proto == IP_TCP || proto == IP_UDP || proto == IP_SCTP, one_way = false;
	if (family != 4 && family != 6)
		return false;
	if (icmp) {
		int other = counterpart(family, sport);
		if (other >= 0)
			dport = (uint16_t)other;
		else
			one_way = true;
	}
	int order = memcmp(src, dst, alen);
	if (!one_way && (order > 0 || (order == 0 && ports && sport > dport))) {
		const uint8_t *a = src;
		uint16_t p = sport;
		src = dst;
		dst = a;
		sport = dport;
		dport = p;
	}
	b[n++] = 0; /* seed */
	b[n++] = 0;
	memcpy(b + n, src, alen);
	n += alen;
	memcpy(b + n, dst, alen);
	n += alen;
	b[n++] = proto;
	b[n++] = 0;
	if (ports) {
		b[n++] = (uint8_t)(sport >> 8);
		b[n++] = (uint8_t)sport;
		b[n++] = (uint8_t)(dport >> 8);
		b[n++] = (uint8_t)dport;
	}
	unsigned len = 0;
	if (!sha1_ctx || EVP_DigestInit_ex2(sha1_ctx, sha1, NULL) != 1 || EVP_DigestUpdate(sha1_ctx, b, n) != 1 ||
	    EVP_DigestFinal_ex(sha1_ctx, digest, &len) != 1 || len != 20)
		return false;
	out[0] = '1';
	out[1] = ':';
	sodium_bin2base64(out + 2, COMMUNITY_ID - 2, digest, len, sodium_base64_VARIANT_ORIGINAL);
	return true;
}

void eve_begin(const struct eve *v, struct json *j, const char *type, uint64_t now)
{
	json_obj(j, NULL);
	json_time(j, "timestamp", now);
	json_str(j, "event_type", type);
	json_str(j, "honeynet", v->honeynet);
	json_str(j, "sensor", v->sensor);
}

void eve_end(struct json *j)
{
	while (j->depth)
		json_end(j);
	j->some = 0;
	json_newline(j);
}

void eve_evidence(const struct eve *v, struct json *j, const char *eventid, const char *message, uint64_t now)
{
	eve_begin(v, j, "evidence", now);
	json_obj(j, "evidence");
	json_str(j, "eventid", eventid);
	json_str(j, "message", message);
}

void eve_event(const struct eve *v, struct json *j, const struct ev_event *ev, const char *source, uint64_t now)
{
	eve_begin(v, j, ev->type, ev->time ? ev->time : now);
	json_obj(j, ev->type);
	json_str(j, "eventid", ev->eventid);
	if (ev->honeypot[0])
		json_str(j, "honeypot", ev->honeypot);
	json_str(j, "message", ev->message);
	json_str(j, "source", source);
	if (ev->request) {
		/* Text: JSON readers lose 64-bit numbers beyond 2^53. */
		char request[24];
		snprintf(request, sizeof(request), "%016llx", (unsigned long long)ev->request);
		json_str(j, "request", request);
		json_u64(j, "uid", ev->uid);
	}
	eve_end(j);
}

/* The names that Suricata writes. */
static void proto_text(char out[16], unsigned proto)
{
	static const struct {
		uint8_t number;
		const char *name;
	} names[] = { { 1, "ICMP" },  { 2, "IGMP" },   { 6, "TCP" },   { 17, "UDP" },       { 41, "IPv6" },
		      { 47, "GRE" },  { 50, "ESP" },   { 51, "AH" },   { 58, "IPv6-ICMP" }, { 89, "OSPFIGP" },
		      { 103, "PIM" }, { 112, "VRRP" }, { 132, "SCTP" } };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].number == proto) {
			snprintf(out, 16, "%s", names[i].name);
			return;
		}
	}
	snprintf(out, 16, "%03u", proto & 255);
}

void eve_proto(struct json *j, unsigned proto)
{
	char t[16];
	proto_text(t, proto);
	json_str(j, "proto", t);
}

void eve_address(struct json *j, const char *key, unsigned family, const uint8_t *b)
{
	char t[INET6_ADDRSTRLEN] = "";
	if (inet_ntop(family == 6 ? AF_INET6 : AF_INET, b, t, sizeof(t)))
		json_str(j, key, t);
}

static void tcp_object(struct json *j, const struct ring_flow *f)
{
	static const char *const bits[] = { "fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr" };
	char t[4];
	unsigned all = (unsigned)f->tcp_flags_ts | f->tcp_flags_tc;
	json_obj(j, "tcp");
	snprintf(t, sizeof(t), "%02x", all & 255);
	json_str(j, "tcp_flags", t);
	snprintf(t, sizeof(t), "%02x", f->tcp_flags_ts);
	json_str(j, "tcp_flags_ts", t);
	snprintf(t, sizeof(t), "%02x", f->tcp_flags_tc);
	json_str(j, "tcp_flags_tc", t);
	for (unsigned i = 0; i < 8; i++)
		if (all & 1u << i)
			json_bool(j, bits[i], true);
	json_end(j);
}

static void skep_object(const struct eve *v, struct json *j, const struct ring_flow *f, const char *rule)
{
	static const char *const ends[FLOW_END_COUNT] = { "timeout", "closed", "shutdown", "evicted", "denied" };
	const char *src = v->port_name(v->arg, f->src_slot), *dst = v->port_name(v->arg, f->dst_slot);
	bool from = f->src_slot < MODEL_HONEYPOTS, to = f->dst_slot < MODEL_HONEYPOTS;
	const char *mine = from ? src : to ? dst : NULL;
	const char *net = v->port_network(v->arg, from ? f->src_slot : f->dst_slot);
	json_obj(j, "skep");
	if (mine)
		json_str(j, "honeypot", mine);
	if (from && to && dst)
		json_str(j, "dest_honeypot", dst);
	if (net)
		json_str(j, "network", net);
	/* A destination port is not known for what was refused at its first frame. */
	json_str(j, "direction", from ? (to ? "lateral" : "outbound") : to ? "inbound" : "unknown");
	json_str(j, "verdict", verdict_name(f->verdict));
	json_str(j, "reason", reason_name(f->reason));
	if (rule[0])
		json_str(j, "rule", rule);
	const char *player = f->player == RING_NO_PORT ? NULL : v->port_name(v->arg, f->player);
	if (player) {
		json_str(j, "player", player);
		if (f->player_dport) {
			json_u64(j, "player_src_port", f->player_sport);
			json_u64(j, "player_dest_port", f->player_dport);
		}
	}
	json_u64(j, "dropped_toserver", f->dropped_toserver);
	json_u64(j, "dropped_toclient", f->dropped_toclient);
	json_str(j, "end", f->end < FLOW_END_COUNT ? ends[f->end] : "?");
	json_end(j);
}

void eve_flow(const struct eve *v, struct json *j, const struct ring_flow *f, const char *rule, uint64_t now)
{
	static const char *const states[FLOW_STATE_COUNT] = { "new", "established", "closed" };
	/* In Suricata's words: a closed conversation leaves the table by timeout. */
	static const char *const reasons[FLOW_END_COUNT] = { "timeout", "timeout", "shutdown", "forced", "forced" };
	char cid[COMMUNITY_ID];
	bool icmp = f->proto == IP_ICMP || f->proto == IP_ICMP6;
	json_obj(j, NULL);
	json_time(j, "timestamp", now);
	json_u64(j, "flow_id", f->id);
	json_str(j, "event_type", "flow");
	eve_address(j, "src_ip", f->family, f->src);
	if (!icmp)
		json_u64(j, "src_port", f->src_port);
	eve_address(j, "dest_ip", f->family, f->dst);
	if (!icmp)
		json_u64(j, "dest_port", f->dst_port);
	eve_proto(j, f->proto);
	if (icmp) {
		json_u64(j, "icmp_type", f->src_port);
		json_u64(j, "icmp_code", f->dst_port);
	}
	json_str(j, "honeynet", v->honeynet);
	json_str(j, "sensor", v->sensor);
	json_obj(j, "flow");
	json_u64(j, "pkts_toserver", f->pkts_toserver);
	json_u64(j, "pkts_toclient", f->pkts_toclient);
	json_u64(j, "bytes_toserver", f->bytes_toserver);
	json_u64(j, "bytes_toclient", f->bytes_toclient);
	json_time(j, "start", f->start);
	json_time(j, "end", f->last);
	json_u64(j, "age", f->last > f->start ? (f->last - f->start) / 1000000000u : 0);
	json_str(j, "state", f->state < FLOW_STATE_COUNT ? states[f->state] : "?");
	json_str(j, "reason", f->end < FLOW_END_COUNT ? reasons[f->end] : "unknown");
	json_bool(j, "alerted", false);
	json_end(j);
	if (community_id(cid, f->family, f->src, f->dst, f->src_port, f->dst_port, f->proto))
		json_str(j, "community_id", cid);
	if (f->proto == IP_TCP)
		tcp_object(j, f);
	skep_object(v, j, f, rule);
	eve_end(j);
}
