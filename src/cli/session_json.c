/* SPDX-License-Identifier: ISC */
#include "cli/session_json.h"

#include <arpa/inet.h>
#include <string.h>

json_t *session_json_time(uint64_t ns)
{
	char t[CMD_TIME_TEXT];
	return ns ? cmd_string(cmd_time_text(t, ns, 6)) : json_null();
}

json_t *session_json_slice(struct slice s)
{
	return cmd_string_n(s.n ? (const char *)s.p : "", s.n);
}

json_t *session_json_endpoint(unsigned family, const uint8_t *addr, uint16_t port)
{
	char a[INET6_ADDRSTRLEN] = "?";
	json_t *o = json_object();
	inet_ntop(family == 6 ? AF_INET6 : AF_INET, addr, a, sizeof(a));
	json_object_set_new(o, "ip", cmd_string(a));
	json_object_set_new(o, "port", json_integer(port));
	return o;
}

static json_t *count(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *logins(const struct session *s)
{
	json_t *list = json_array();
	for (unsigned i = 0; i < s->nlogins; i++) {
		const struct session_login *l = &s->logins[i];
		json_t *o = json_object();
		json_object_set_new(o, "time", session_json_time(l->time));
		json_object_set_new(o, "outcome", cmd_string(session_outcome(l->outcome)));
		json_object_set_new(o, "how", cmd_string(session_auth(l->how)));
		json_object_set_new(o, "user", cmd_string(l->user));
		json_object_set_new(o, l->how == INTRO_AUTH_KEY ? "key" : "password", cmd_string(l->password));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *terminals(const struct session *s)
{
	char name[24];
	json_t *list = json_array();
	for (unsigned i = 0; i < s->nttys; i++) {
		const struct session_tty *t = &s->ttys[i];
		json_t *o = json_object();
		json_object_set_new(o, "name", cmd_string(session_tty_name(name, t->tty)));
		json_object_set_new(o, "rows", json_integer(t->last_rows));
		json_object_set_new(o, "cols", json_integer(t->last_cols));
		json_object_set_new(o, "in_bytes", count(t->in));
		json_object_set_new(o, "out_bytes", count(t->out));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *session_json(const struct session *s, const struct place *where)
{
	char id[SESSION_ID_TEXT];
	json_t *o = json_object();
	json_object_set_new(o, "id", cmd_string(session_id_text(id, s->id)));
	json_object_set_new(o, "honeynet", cmd_string(where->net));
	json_object_set_new(o, "honeypot", cmd_string(s->honeypot));
	json_object_set_new(o, "start", session_json_time(s->start));
	json_object_set_new(o, "end", session_json_time(s->end));
	json_object_set_new(o, "over", json_boolean(s->over));
	json_object_set_new(o, "duration", json_real((double)(session_until(s) - s->start) / 1e9));
	json_object_set_new(o, "service", s->known ? cmd_string(session_service(s->who.service)) : json_null());
	if (s->known && s->who.proto) {
		json_object_set_new(o, "from", session_json_endpoint(s->who.family, s->who.peer, s->who.peer_port));
		json_object_set_new(o, "to", session_json_endpoint(s->who.family, s->who.local, s->who.local_port));
		json_object_set_new(o, "proto",
				    cmd_string(s->who.proto == IPPROTO_TCP   ? "TCP"
					       : s->who.proto == IPPROTO_UDP ? "UDP"
									     : "?"));
	} else {
		json_object_set_new(o, "from", json_null());
		json_object_set_new(o, "to", json_null());
	}
	json_object_set_new(o, "user", *s->user ? cmd_string(s->user) : json_null());
	json_object_set_new(o, "parent",
			    s->known && s->who.parent ? cmd_string(session_id_text(id, s->who.parent)) : json_null());
	json_object_set_new(o, "logins", logins(s));
	json_object_set_new(o, "logins_tried", count(s->ntried));
	json_object_set_new(o, "commands", count(s->commands));
	json_object_set_new(o, "execs", count(s->execs));
	json_object_set_new(o, "files", count(s->files));
	json_object_set_new(o, "sockets", count(s->sockets));
	json_object_set_new(o, "in_bytes", count(s->in));
	json_object_set_new(o, "out_bytes", count(s->out));
	json_object_set_new(o, "terminals", terminals(s));
	json_object_set_new(o, "lost_records", count(s->lost));
	json_object_set_new(o, "tampered", json_boolean(s->tampered));
	json_object_set_new(o, "flow_id", s->flow_id ? count(s->flow_id) : json_null());
	json_object_set_new(o, "community_id", *s->community_id ? cmd_string(s->community_id) : json_null());
	return o;
}
