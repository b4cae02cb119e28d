/* SPDX-License-Identifier: ISC */
/* DNS as the gateway read it, in Suricata's fields (eve.json `dns`, version 2):
 * an event for each question and each answer, src being the side that asks. */
#include "proc/evidence/eve.h"

#include <stdio.h>

static const char *type_text(char out[16], unsigned type)
{
	static const struct {
		uint16_t number;
		const char *name;
	} names[] = { { 1, "A" },     { 2, "NS" },      { 5, "CNAME" }, { 6, "SOA" },    { 10, "NULL" },
		      { 12, "PTR" },  { 15, "MX" },     { 16, "TXT" },  { 25, "KEY" },   { 28, "AAAA" },
		      { 33, "SRV" },  { 35, "NAPTR" },  { 41, "OPT" },  { 43, "DS" },    { 46, "RRSIG" },
		      { 47, "NSEC" }, { 48, "DNSKEY" }, { 64, "SVCB" }, { 65, "HTTPS" }, { 255, "ANY" },
		      { 257, "CAA" } };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == type)
			return names[i].name;
	snprintf(out, 16, "TYPE%u", type);
	return out;
}

static const char *rcode_text(char out[16], unsigned rcode)
{
	static const char *const names[] = { "NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
					     "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE" };
	if (rcode < sizeof(names) / sizeof(names[0]))
		return names[rcode];
	snprintf(out, 16, "%u", rcode);
	return out;
}

static void grouped(struct json *j, const struct ring_dns *d, unsigned family, const char *key)
{
	bool any = false;
	for (unsigned i = 0; i < d->nanswers; i++) {
		if (d->answers[i].family != family)
			continue;
		if (!any)
			json_arr(j, key);
		any = true;
		eve_address(j, NULL, family, d->answers[i].addr);
	}
	if (any)
		json_end(j);
}

static void answer_object(struct json *j, const struct ring_dns *d, const char *name, size_t n)
{
	char flags[8], t[16];
	snprintf(flags, sizeof(flags), "%04x", d->flags);
	json_str(j, "flags", flags);
	json_bool(j, "qr", (d->flags & 0x8000) != 0);
	if (d->flags & 0x0400)
		json_bool(j, "aa", true);
	if (d->flags & 0x0200)
		json_bool(j, "tc", true);
	if (d->flags & 0x0100)
		json_bool(j, "rd", true);
	if (d->flags & 0x0080)
		json_bool(j, "ra", true);
	json_str(j, "rcode", rcode_text(t, d->rcode));
	if (!d->nanswers)
		return;
	json_arr(j, "answers");
	for (unsigned i = 0; i < d->nanswers; i++) {
		json_obj(j, NULL);
		/* Of the question: what aliases lie between is in the packet. */
		json_bytes(j, "rrname", name, n);
		json_str(j, "rrtype", d->answers[i].family == 4 ? "A" : "AAAA");
		json_u64(j, "ttl", d->answers[i].ttl);
		eve_address(j, "rdata", d->answers[i].family, d->answers[i].addr);
		json_end(j);
	}
	json_end(j);
	json_obj(j, "grouped");
	grouped(j, d, 4, "A");
	grouped(j, d, 6, "AAAA");
	json_end(j);
}

void eve_dns(const struct eve *v, struct json *j, uint16_t port, const struct ring_dns *d, const char *name, size_t n,
	     uint64_t now)
{
	char cid[COMMUNITY_ID], t[16];
	const uint8_t *asker = d->answer ? d->dst : d->src, *server = d->answer ? d->src : d->dst;
	uint16_t sport = d->answer ? d->dst_port : d->src_port, dport = d->answer ? d->src_port : d->dst_port;
	const char *pot = v->port_name(v->arg, port), *net = v->port_network(v->arg, port);
	json_obj(j, NULL);
	json_time(j, "timestamp", now);
	if (d->flow)
		json_u64(j, "flow_id", d->flow);
	json_str(j, "event_type", "dns");
	eve_address(j, "src_ip", d->family, asker);
	json_u64(j, "src_port", sport);
	eve_address(j, "dest_ip", d->family, server);
	json_u64(j, "dest_port", dport);
	json_str(j, "proto", "UDP");
	json_str(j, "honeynet", v->honeynet);
	json_str(j, "sensor", v->sensor);
	if (community_id(cid, d->family, asker, server, sport, dport, 17))
		json_str(j, "community_id", cid);
	json_obj(j, "dns");
	json_u64(j, "version", 2);
	json_str(j, "type", d->answer ? "answer" : "query");
	json_u64(j, "id", d->id);
	json_bytes(j, "rrname", name, n);
	json_str(j, "rrtype", type_text(t, d->qtype));
	if (d->answer)
		answer_object(j, d, name, n);
	json_end(j);
	json_obj(j, "skep");
	if (pot)
		json_str(j, "honeypot", pot);
	if (net)
		json_str(j, "network", net);
	json_str(j, "verdict", verdict_name(d->verdict));
	json_str(j, "reason", reason_name(d->reason));
	json_u64(j, "size", d->size);
	json_bool(j, "resolver", d->moved != 0);
	json_end(j);
	eve_end(j);
}
