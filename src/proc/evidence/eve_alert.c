/* SPDX-License-Identifier: ISC */
/* Alerts of the inline engine, as Suricata writes them (eve.json `alert`), with the
 * flow and the community id of the conversation in our own records. */
#include "proc/evidence/eve.h"

#include <string.h>

void eve_alert(const struct eve *v, struct json *j, uint16_t port, const struct ring_alert *a, uint64_t now)
{
	char cid[COMMUNITY_ID];
	const char *pot = port < MODEL_HONEYPOTS ? v->port_name(v->arg, port) : NULL;
	const char *net = port < MODEL_HONEYPOTS ? v->port_network(v->arg, port) : NULL;
	bool icmp = a->proto == 1 || a->proto == 58;
	json_obj(j, NULL);
	json_time(j, "timestamp", a->time ? a->time : now);
	if (a->flow)
		json_u64(j, "flow_id", a->flow);
	json_str(j, "event_type", "alert");
	eve_address(j, "src_ip", a->family, a->src);
	if (!icmp)
		json_u64(j, "src_port", a->src_port);
	eve_address(j, "dest_ip", a->family, a->dst);
	if (!icmp)
		json_u64(j, "dest_port", a->dst_port);
	eve_proto(j, a->proto);
	json_str(j, "honeynet", v->honeynet);
	json_str(j, "sensor", v->sensor);
	if (!icmp && community_id(cid, a->family, a->src, a->dst, a->src_port, a->dst_port, a->proto))
		json_str(j, "community_id", cid);
	json_obj(j, "alert");
	json_str(j, "action", a->blocked ? "blocked" : "allowed");
	json_u64(j, "gid", a->gid);
	json_u64(j, "signature_id", a->signature);
	json_u64(j, "rev", a->rev);
	json_bytes(j, "signature", a->text, strlen(a->text));
	json_bytes(j, "category", a->category, strlen(a->category));
	json_u64(j, "severity", a->severity);
	json_end(j);
	json_obj(j, "skep");
	if (pot)
		json_str(j, "honeypot", pot);
	if (net)
		json_str(j, "network", net);
	json_end(j);
	eve_end(j);
}
