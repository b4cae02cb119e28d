/* SPDX-License-Identifier: ISC */
/*
 * The selected events as a STIX 2.1 bundle. An event becomes what it shows, as
 * cyber-observable objects, and an observed-data object about them; what the
 * observables have no property for (whether a password was right, what was typed)
 * becomes a note. Who tried to log in from elsewhere had no business here: the
 * address becomes an indicator of anomalous activity, with a sighting at each
 * honeypot. Nothing says "malicious" or names an actor: no one here knows.
 */
#include "cli/export.h"
#include "cli/read_eve.h"
#include "cli/stix.h"

#include "base/ev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCES = 1 << 16 };

/* An address that tried to log in to a honeypot. */
struct source {
	char ip[INET6_ADDRSTRLEN], honeypot[NAME_CAP];
	uint64_t first, last, count;
};

struct bundle {
	struct stix s;
	char by[STIX_ID];
	uint64_t begun; /* the oldest event's time */
	struct source *sources;
	unsigned nsources;
	uint32_t *slots;   /* open addressing, 2 * SOURCES: index + 1 */
	uint64_t left_out; /* sources beyond SOURCES */
};

static json_t *refs_new(const char *id)
{
	json_t *a = json_array();
	if (*id)
		json_array_append_new(a, json_string(id));
	return a;
}

static void refs_add(json_t *a, const char *id)
{
	if (*id)
		json_array_append_new(a, json_string(id));
}

/* ---- observables ------------------------------------------------------------- */

static void on_address(struct bundle *b, char out[STIX_ID], const char *ip)
{
	static const char *const keys[] = { "value", NULL };
	uint8_t bytes[16];
	char text[INET6_ADDRSTRLEN];
	int family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	out[0] = '\0';
	if (inet_pton(family, ip, bytes) != 1 || !inet_ntop(family, bytes, text, sizeof(text)))
		return;
	stix_observable(&b->s, out, family == AF_INET6 ? "ipv6-addr" : "ipv4-addr", keys,
			json_pack("{s:s}", "value", text));
}

static json_t *protocols(json_t *v, const char *service)
{
	char name[32];
	size_t n = 0;
	json_t *a = refs_new(strchr(eve_str(v, "src_ip", NULL), ':') ? "ipv6" : "ipv4");
	for (const char *p = eve_str(v, "proto", NULL); *p && n + 1 < sizeof(name); p++)
		name[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	name[n] = '\0';
	/* A number is no name: protocols without one are written so. */
	if (strspn(name, "0123456789") != n)
		refs_add(a, name);
	if (!strcmp(service, "ssh") || !strcmp(service, "telnet"))
		refs_add(a, service);
	return a;
}

static void hex(json_t *o, const char *key, uint64_t v)
{
	char t[8];
	snprintf(t, sizeof(t), "%02x", (unsigned)v & 255);
	json_object_set_new(o, key, json_string(t));
}

/* Between the addresses of v. end 0: not over. Ids of it and its ends are added to refs. */
static void on_traffic(struct bundle *b, char out[STIX_ID], json_t *refs, json_t *v, uint64_t start, uint64_t end,
		       const char *service)
{
	static const char *const keys[] = { "start",    "end",       "src_ref",    "dst_ref", "src_port",
					    "dst_port", "protocols", "extensions", NULL };
	char src[STIX_ID], dst[STIX_ID];
	json_t *o = json_object();
	out[0] = '\0';
	on_address(b, src, eve_str(v, "src_ip", NULL));
	on_address(b, dst, eve_str(v, "dest_ip", NULL));
	if (!*src && !*dst) {
		json_decref(o);
		return;
	}
	json_object_set_new(o, "start", stix_time(start));
	/* The standard wants an end to be later than the start. */
	if (end / 1000 > start / 1000) {
		json_object_set_new(o, "end", stix_time(end));
		json_object_set_new(o, "is_active", json_false());
	}
	if (*src)
		json_object_set_new(o, "src_ref", json_string(src));
	if (*dst)
		json_object_set_new(o, "dst_ref", json_string(dst));
	if (json_object_get(v, "src_port"))
		json_object_set_new(o, "src_port", json_integer((json_int_t)(eve_num(v, "src_port", NULL) & 65535)));
	if (json_object_get(v, "dest_port"))
		json_object_set_new(o, "dst_port", json_integer((json_int_t)(eve_num(v, "dest_port", NULL) & 65535)));
	json_object_set_new(o, "protocols", protocols(v, service));
	if (json_object_get(v, "icmp_type")) {
		json_t *x = json_object();
		hex(x, "icmp_type_hex", eve_num(v, "icmp_type", NULL));
		hex(x, "icmp_code_hex", eve_num(v, "icmp_code", NULL));
		json_object_set_new(o, "extensions", json_pack("{s:o}", "icmp-ext", x));
	}
	if (json_object_get(v, "flow")) {
		json_object_set_new(o, "src_packets", json_integer((json_int_t)eve_num(v, "flow", "pkts_toserver")));
		json_object_set_new(o, "dst_packets", json_integer((json_int_t)eve_num(v, "flow", "pkts_toclient")));
		json_object_set_new(o, "src_byte_count",
				    json_integer((json_int_t)eve_num(v, "flow", "bytes_toserver")));
		json_object_set_new(o, "dst_byte_count",
				    json_integer((json_int_t)eve_num(v, "flow", "bytes_toclient")));
	}
	stix_observable(&b->s, out, "network-traffic", keys, o);
	refs_add(refs, out);
	refs_add(refs, src);
	refs_add(refs, dst);
}

/* A file and its directory, of an absolute path. */
static void on_path(struct bundle *b, char out[STIX_ID], json_t *refs, const char *path)
{
	static const char *const file_keys[] = { "hashes", "name", "parent_directory_ref", "extensions", NULL };
	static const char *const dir_keys[] = { "path", NULL };
	char dir[STIX_ID] = "";
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	out[0] = '\0';
	if (!*name)
		return;
	json_t *o = json_pack("{s:s}", "name", name);
	if (slash) {
		size_t n = slash == path ? 1 : (size_t)(slash - path);
		stix_observable(&b->s, dir, "directory", dir_keys, json_pack("{s:s%}", "path", path, n));
		json_object_set_new(o, "parent_directory_ref", json_string(dir));
	}
	stix_observable(&b->s, out, "file", file_keys, o);
	refs_add(refs, out);
	refs_add(refs, dir);
}

static void on_user(struct bundle *b, char out[STIX_ID], json_t *refs, const char *key, const char *value)
{
	static const char *const keys[] = { "account_type", "user_id", "account_login", NULL };
	stix_observable(&b->s, out, "user-account", keys, json_pack("{s:s,s:s}", "account_type", "unix", key, value));
	refs_add(refs, out);
}

/* ---- other objects ------------------------------------------------------------ */

static void identity(struct bundle *b, char out[STIX_ID], const char *name, const char *honeynet, const char *text)
{
	stix_own_id(out, "identity", "%s|%s|%llu", honeynet, name, (unsigned long long)b->begun);
	if (stix_written(&b->s, out))
		return;
	stix_object(&b->s, out, "identity", b->begun,
		    json_pack("{s:s,s:s,s:s}", "name", name, "description", text, "identity_class", "system"));
}

static void honeypot(struct bundle *b, char out[STIX_ID], const char *name, const char *honeynet)
{
	identity(b, out, name, honeynet, "A honeypot: nobody has business there.");
}

/* An observation of refs, which it takes. Its id is made from the line. */
static void observed(struct bundle *b, char out[STIX_ID], struct slice line, json_t *refs, uint64_t first,
		     uint64_t last, uint64_t number)
{
	stix_own_id_of(out, "observed-data", line);
	if (!json_array_size(refs)) {
		json_decref(refs);
		out[0] = '\0';
		return;
	}
	number = number < 1 ? 1 : number > 999999999 ? 999999999 : number;
	stix_object(&b->s, out, "observed-data", last,
		    json_pack("{s:o,s:o,s:I,s:o}", "first_observed", stix_time(first), "last_observed", stix_time(last),
			      "number_observed", (json_int_t)number, "object_refs", refs));
}

static void note(struct bundle *b, struct slice line, const char *abstract, const char *content, uint64_t time,
		 const char *about)
{
	char id[STIX_ID];
	stix_own_id_of(id, "note", line);
	if (*about && *content)
		stix_object(&b->s, id, "note", time,
			    json_pack("{s:s,s:s,s:o}", "abstract", abstract, "content", content, "object_refs",
				      refs_new(about)));
}

static uint32_t *source_slot(struct bundle *b, const char *ip, const char *hp)
{
	uint32_t h = 2166136261u;
	for (const char *p = ip; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (const char *p = hp; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (;; h++) {
		uint32_t *s = &b->slots[h & (2 * SOURCES - 1)];
		if (!*s || (!strcmp(b->sources[*s - 1].ip, ip) && !strcmp(b->sources[*s - 1].honeypot, hp)))
			return s;
	}
}

static void tried(struct bundle *b, const char *ip, const char *hp, uint64_t time)
{
	if (!b->slots) {
		b->slots = calloc(2 * SOURCES, sizeof(*b->slots));
		b->sources = calloc(SOURCES, sizeof(*b->sources));
	}
	if (!b->slots || !b->sources || strlen(ip) >= INET6_ADDRSTRLEN || strlen(hp) >= NAME_CAP) {
		b->left_out++;
		return;
	}
	uint32_t *slot = source_slot(b, ip, hp);
	if (!*slot && b->nsources == SOURCES) {
		b->left_out++;
		return;
	}
	if (!*slot) {
		struct source *s = &b->sources[b->nsources++];
		*slot = b->nsources;
		s->first = time;
		snprintf(s->ip, sizeof(s->ip), "%s", ip);
		snprintf(s->honeypot, sizeof(s->honeypot), "%s", hp);
	}
	b->sources[*slot - 1].last = time;
	b->sources[*slot - 1].count++;
}

/* ---- events -------------------------------------------------------------------- */

static void flow(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	char id[STIX_ID], seen[STIX_ID];
	uint64_t start = eve_time(eve_str(v, "flow", "start")), end = eve_time(eve_str(v, "flow", "end"));
	json_t *refs = json_array();
	start = start ? start : time;
	end = end < start ? start : end;
	on_traffic(b, id, refs, v, start, end, "");
	/* Equal attempts that were refused are one event. */
	bool denied = !strcmp(eve_str(v, "skep", "end"), "denied");
	observed(b, seen, line, refs, start, end, denied ? eve_num(v, "skep", "dropped_toserver") : 1);
}

static void session(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	char id[STIX_ID], user[STIX_ID], seen[STIX_ID];
	const char *name = eve_str(v, "session", "username");
	uint64_t start = eve_time(eve_str(v, "session", "start"));
	json_t *refs = json_array();
	/* How it ended is told by the flow. */
	if (strcmp(eve_str(v, "session", "eventid"), "skep.session.connect") != 0) {
		json_decref(refs);
		return;
	}
	start = start && start < time ? start : time;
	on_traffic(b, id, refs, v, start, 0, eve_str(v, "session", "service"));
	if (*name)
		on_user(b, user, refs, "account_login", name);
	observed(b, seen, line, refs, start, time, 1);
}

static void login(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	char user[STIX_ID], src[STIX_ID], seen[STIX_ID], text[700];
	const char *ip = eve_str(v, "src_ip", NULL);
	json_t *refs = json_array();
	on_user(b, user, refs, "account_login", eve_str(v, "login", "username"));
	on_address(b, src, ip);
	refs_add(refs, src);
	observed(b, seen, line, refs, time, time, 1);
	export_message(text, sizeof(text), v);
	note(b, line, "login attempt", text, time, seen);
	if (*src)
		tried(b, ip, eve_str(v, "login", "honeypot"), time);
}

static void process(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	static char words[1 << 15];
	char id[STIX_ID], file[STIX_ID], user[STIX_ID], uid[24], seen[STIX_ID];
	json_t *p = json_object_get(v, "process"), *o, *refs;
	if (strcmp(eve_str(v, "process", "eventid"), "skep.process.exec") != 0 ||
	    json_integer_value(json_object_get(p, "result")) != 0)
		return;
	refs = json_array();
	stix_own_id_of(id, "process", line);
	o = json_pack("{s:I,s:o}", "pid", (json_int_t)eve_num(v, "process", "pid"), "created_time", stix_time(time));
	if (*eve_str(v, "process", "cwd"))
		json_object_set_new(o, "cwd", json_string(eve_str(v, "process", "cwd")));
	export_words(words, sizeof(words), json_object_get(p, "argv"));
	json_object_set_new(o, "command_line", json_string(*words ? words : eve_str(v, "process", "path")));
	refs_add(refs, id);
	on_path(b, file, refs, eve_str(v, "process", "path"));
	if (*file)
		json_object_set_new(o, "image_ref", json_string(file));
	snprintf(uid, sizeof(uid), "%llu", (unsigned long long)eve_num(v, "process", "uid"));
	on_user(b, user, refs, "user_id", uid);
	if (*user)
		json_object_set_new(o, "creator_user_ref", json_string(user));
	stix_observable_own(&b->s, id, "process", o);
	observed(b, seen, line, refs, time, time, 1);
}

static void file(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	char id[STIX_ID], seen[STIX_ID], text[700];
	json_t *refs = json_array();
	on_path(b, id, refs, eve_str(v, "file", "path"));
	on_path(b, id, refs, eve_str(v, "file", "to"));
	observed(b, seen, line, refs, time, time, 1);
	export_message(text, sizeof(text), v);
	note(b, line, "file changed", text, time, seen);
}

static void connection(struct bundle *b, struct slice line, json_t *v, uint64_t time)
{
	char id[STIX_ID], seen[STIX_ID];
	json_t *refs = json_array();
	if (strcmp(eve_str(v, "connection", "eventid"), "skep.connection.listen") != 0)
		on_traffic(b, id, refs, v, time, 0, "");
	observed(b, seen, line, refs, time, time, 1);
}

static int on_event(struct export_run *x, void *arg, uint64_t time, struct slice line, json_t *v)
{
	struct bundle *b = arg;
	char id[STIX_ID], text[300];
	const char *type = eve_str(v, "event_type", NULL), *net = eve_str(v, "honeynet", NULL);
	const char *hp = eve_str(v, !strcmp(type, "flow") ? "skep" : type, "honeypot");
	if (!b->s.by) {
		snprintf(text, sizeof(text), "skep honeynet %s on %s", net, eve_str(v, "sensor", NULL));
		export_trim(text);
		stix_own_id(b->by, "identity", "%s|%llu", text, (unsigned long long)b->begun);
		b->s.by = b->by;
		stix_object(&b->s, b->by, "identity", b->begun,
			    json_pack("{s:s,s:s}", "name", text, "identity_class", "system"));
	}
	if (*hp)
		honeypot(b, id, hp, net);
	if (!strcmp(type, "flow"))
		flow(b, line, v, time);
	else if (!strcmp(type, "session"))
		session(b, line, v, time);
	else if (!strcmp(type, "login"))
		login(b, line, v, time);
	else if (!strcmp(type, "command"))
		note(b, line, "command in a session", eve_str(v, "command", "input"), time, *hp ? id : "");
	else if (!strcmp(type, "process"))
		process(b, line, v, time);
	else if (!strcmp(type, "file"))
		file(b, line, v, time);
	else if (!strcmp(type, "connection"))
		connection(b, line, v, time);
	if (b->s.oom)
		return err_set(&x->e, -ENOMEM, "out of memory");
	return b->s.full
		   ? err_set(&x->e, -E2BIG, "more than %u objects: choose less with --since and --until", STIX_OBJECTS)
		   : 0;
}

/* ---- the bundle ----------------------------------------------------------------- */

static int by_address(const void *a, const void *b)
{
	const struct source *x = a, *y = b;
	int c = strcmp(x->ip, y->ip);
	return c ? c : x->first < y->first ? -1 : x->first > y->first;
}

static void indicator(struct bundle *b, char id[STIX_ID], const struct source *s)
{
	char pattern[100], name[120];
	snprintf(pattern, sizeof(pattern), "[%s:value = '%s']", strchr(s->ip, ':') ? "ipv6-addr" : "ipv4-addr", s->ip);
	snprintf(name, sizeof(name), "%s tried to log in to a honeypot", s->ip);
	stix_own_id(id, "indicator", "%s|%s|%llu", b->by, s->ip, (unsigned long long)s->first);
	stix_object(&b->s, id, "indicator", s->first,
		    json_pack("{s:s,s:[s],s:s,s:s,s:o}", "name", name, "indicator_types", "anomalous-activity",
			      "pattern", pattern, "pattern_type", "stix", "valid_from", stix_time(s->first)));
}

static void sightings(struct bundle *b, const char *honeynet)
{
	char what[STIX_ID], where[STIX_ID], id[STIX_ID];
	if (b->nsources)
		qsort(b->sources, b->nsources, sizeof(*b->sources), by_address);
	for (unsigned i = 0; i < b->nsources; i++) {
		const struct source *s = &b->sources[i];
		if (!i || strcmp(s[-1].ip, s->ip) != 0)
			indicator(b, what, s);
		honeypot(b, where, s->honeypot, honeynet);
#ifdef MUTANT_STIX_DANGLING_REF
		stix_own_id(where, "identity", "%s", s->honeypot);
#endif
		stix_own_id(id, "sighting", "%s|%s|%llu|%llu|%llu", what, s->honeypot, (unsigned long long)s->first,
			    (unsigned long long)s->last, (unsigned long long)s->count);
		uint64_t count = s->count > 999999999 ? 999999999 : s->count;
		stix_object(&b->s, id, "sighting", s->last,
			    json_pack("{s:o,s:o,s:I,s:s,s:[s]}", "first_seen", stix_time(s->first), "last_seen",
				      stix_time(s->last), "count", (json_int_t)count, "sighting_of_ref", what,
				      "where_sighted_refs", where));
	}
}

struct first {
	uint64_t time;
	char honeynet[NAME_CAP];
};

static bool on_first(void *arg, struct slice line, bool begun)
{
	struct first *f = arg;
	(void)begun;
	json_t *v = json_loadb((const char *)line.p, line.n, JSON_ALLOW_NUL, NULL);
	f->time = eve_time(eve_str(v, "timestamp", NULL));
	snprintf(f->honeynet, sizeof(f->honeynet), "%s", eve_str(v, "honeynet", NULL));
	json_decref(v);
	return f->time == 0;
}

int export_stix(struct export_run *x)
{
	struct first f = { 0 };
	struct bundle b = { .s = { .out = x->out } };
	struct evidence_reader in = { .dir = &x->dir,
				      .folder = "events",
				      .ext = ".json",
				      .frame = eve_line,
				      .fn = on_first,
				      .arg = &f,
				      .fd = -1 };
	int r = evidence_read(&in, &x->e);
	evidence_reader_free(&in);
	x->what = "STIX objects";
	b.begun = f.time;
	if (r >= 0)
		r = export_events(x, on_event, &b);
	if (r == 0) {
		sightings(&b, f.honeynet);
		r = b.s.oom ? err_set(&x->e, -ENOMEM, "out of memory") : 0;
	}
	if (r == 0 && b.left_out)
		r = err_set(&x->e, -E2BIG, "more than %u sources of logins: choose less with --since and --until",
			    SOURCES);
	if (r == 0 && !b.s.count)
		r = err_set(&x->e, -ENODATA, "nothing recorded that matches: a STIX bundle holds at least one object");
	stix_end(&b.s);
	x->count = b.s.count;
	free(b.sources);
	free(b.slots);
	stix_free(&b.s);
	return r;
}
