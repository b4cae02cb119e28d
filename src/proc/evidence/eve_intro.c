/* SPDX-License-Identifier: ISC */
/* Events of what happens inside of honeypots. Each kind of record has a function
 * that fills the object named like its event_type. */
#include "proc/evidence/eve_intro.h"

#include <stdio.h>
#include <sys/wait.h>

struct line {
	const struct eve *v;
	struct json *j;
	struct eve_talks *talks;
	const char *honeypot;
	const struct intro_rec *r;
	const struct intro_body *b;
	uint64_t now;
};

static struct eve_talk *talk(struct eve_talks *t, uint64_t id)
{
	for (unsigned i = 0; id && i < EVE_TALKS; i++)
		if (t->table[i].id == id)
			return &t->table[i];
	return NULL;
}

/* Addresses of one conversation, from who began it to whom. */
static void conversation(struct json *j, unsigned proto, unsigned family, const uint8_t *src, uint16_t sport,
			 const uint8_t *dst, uint16_t dport)
{
	char cid[COMMUNITY_ID];
	if (src) {
		eve_address(j, "src_ip", family, src);
		json_u64(j, "src_port", sport);
	}
	if (dst) {
		eve_address(j, "dest_ip", family, dst);
		json_u64(j, "dest_port", dport);
	}
	eve_proto(j, proto);
	if (src && dst && community_id(cid, family, src, dst, sport, dport, (uint8_t)proto))
		json_str(j, "community_id", cid);
}

static void hex_id(struct json *j, const char *key, uint64_t id)
{
	char t[16];
	snprintf(t, sizeof(t), "%012llx", (unsigned long long)(id & 0xffffffffffffull));
	json_str(j, key, t);
}

static void put_text(struct json *j, const char *key, struct slice s)
{
	json_bytes(j, key, s.p, s.n);
}

/* Opens the line and the object of its type. */
static void begin(struct line *l, const char *type, const char *eventid, bool addresses)
{
	const struct intro_rec *r = l->r;
	const struct eve_talk *t = addresses ? talk(l->talks, r->session) : NULL;
	eve_begin(l->v, l->j, type, r->time ? r->time : l->now);
	if (t && t->s.proto)
		conversation(l->j, t->s.proto, t->s.family, t->s.peer, t->s.peer_port, t->s.local, t->s.local_port);
	json_obj(l->j, type);
	json_str(l->j, "eventid", eventid);
	json_str(l->j, "honeypot", l->honeypot);
	if (r->session)
		hex_id(l->j, "session", r->session);
}

static void tty(struct json *j, uint32_t id)
{
	static const char *const kinds[] = { "", "pts/", "ttyS", "tty" };
	char t[24];
	if (!id || HOOK_TTY_KIND(id) > HOOK_TTY_CONSOLE)
		return;
	snprintf(t, sizeof(t), "%s%u", kinds[HOOK_TTY_KIND(id)], HOOK_TTY_INDEX(id));
	json_str(j, "tty", t);
}

static void process(struct line *l)
{
	const struct intro_rec *r = l->r;
	json_u64(l->j, "pid", r->pid);
	json_u64(l->j, "ppid", r->ppid);
	json_u64(l->j, "uid", r->uid);
	json_bytes(l->j, "comm", r->comm, strnlen(r->comm, sizeof(r->comm)));
	tty(l->j, r->tty);
	if (r->gtime)
		json_time(l->j, "guest_time", r->gtime);
	if (r->flags & INTRO_F_CUT)
		json_bool(l->j, "cut", true);
	if (r->flags & INTRO_F_FAULT)
		json_bool(l->j, "unreadable", true);
}

/* ---- sessions ------------------------------------------------------------ */

static void on_session(struct line *l)
{
	static const char *const services[] = { "other", "ssh", "telnet", "console" };
	const struct intro_session *s = &l->b->session;
	struct eve_talk *t = talk(l->talks, l->r->session);
	bool first = !t;
	if (first) {
		t = &l->talks->table[l->talks->next++ % EVE_TALKS];
		t->id = l->r->session;
	}
	t->s = *s;
	begin(l, "session", first ? "skep.session.connect" : "skep.session.update", true);
	json_str(l->j, "service", services[s->service]);
	if (l->b->text[0].n)
		put_text(l->j, "username", l->b->text[0]);
	json_time(l->j, "start", s->start);
	if (s->parent)
		hex_id(l->j, "parent", s->parent);
	process(l);
}

static void on_end(struct line *l)
{
	const struct intro_end *x = &l->b->end;
	begin(l, "session", "skep.session.closed", true);
	json_time(l->j, "start", x->start);
	json_time(l->j, "end", x->end);
	json_u64(l->j, "duration_ms", x->end > x->start ? (x->end - x->start) / 1000000 : 0);
	json_u64(l->j, "in_bytes", x->in_bytes);
	json_u64(l->j, "out_bytes", x->out_bytes);
	json_u64(l->j, "commands", x->commands);
	json_u64(l->j, "execs", x->execs);
}

static void on_login(struct line *l)
{
	static const char *const ids[] = { "skep.login.failed", "skep.login.success", "skep.login.attempt" };
	static const char *const ways[] = { "password", "publickey", "terminal" };
	begin(l, "login", ids[l->b->n[0]], true);
	json_str(l->j, "method", ways[l->b->n[1]]);
	put_text(l->j, "username", l->b->text[0]);
	put_text(l->j, l->b->n[1] == INTRO_AUTH_KEY ? "key" : "password", l->b->text[1]);
	process(l);
}

static void on_command(struct line *l)
{
	begin(l, "command", "skep.command.input", true);
	put_text(l->j, "input", l->b->text[0]);
	if (l->r->flags & INTRO_F_EDITED)
		json_bool(l->j, "edited", true);
	if (l->r->flags & INTRO_F_NOECHO)
		json_bool(l->j, "noecho", true);
	process(l);
}

/* ---- processes ----------------------------------------------------------- */

static void on_exec(struct line *l)
{
	struct slice s = l->b->rest;
	begin(l, "process", "skep.process.exec", true);
	put_text(l->j, "path", l->b->text[0]);
	put_text(l->j, "cwd", l->b->text[1]);
	json_arr(l->j, "argv");
	while (s.n) {
		const uint8_t *end = memchr(s.p, 0, s.n);
		struct slice arg = slice_head(s, end ? (size_t)(end - s.p) : s.n);
		slice_skip(&s, arg.n + (end ? 1 : 0));
		put_text(l->j, NULL, arg);
	}
	json_end(l->j);
	json_u64(l->j, "argc", l->b->n[1]);
	json_i64(l->j, "result", (int32_t)l->b->n[0]);
	if (l->r->flags & INTRO_F_MORE)
		json_bool(l->j, "more", true); /* arguments, in sessions/ */
	process(l);
}

static void on_exit(struct line *l)
{
	int st = (int)l->b->n[0];
	begin(l, "process", "skep.process.exit", false);
	if (WIFSIGNALED(st))
		json_u64(l->j, "signal", (unsigned)WTERMSIG(st));
	else
		json_u64(l->j, "status", (unsigned)WEXITSTATUS(st));
	process(l);
}

static void on_cred(struct line *l)
{
	const uint32_t *n = l->b->n;
	begin(l, "process", "skep.process.setuid", true);
	json_u64(l->j, "old_uid", n[0]);
	json_u64(l->j, "new_uid", n[1]);
	json_u64(l->j, "old_euid", n[2]);
	json_u64(l->j, "new_euid", n[3]);
	process(l);
}

static void on_module(struct line *l)
{
	begin(l, "module", "skep.module.load", true);
	put_text(l->j, "name", l->b->text[0]);
	process(l);
}

/* ---- files and sockets --------------------------------------------------- */

static void on_file(struct line *l)
{
	static const char *const ids[INTRO_FILE_OPS] = { "skep.file.write",  "skep.file.create", "skep.file.rename",
							 "skep.file.unlink", "skep.file.rmdir",  "skep.file.chmod" };
	char mode[16];
	uint32_t op = l->b->n[0];
	begin(l, "file", ids[op], true);
	put_text(l->j, "path", l->b->text[0]);
	if (l->b->text[1].n)
		put_text(l->j, "to", l->b->text[1]);
	snprintf(mode, sizeof(mode), op == INTRO_CHMOD ? "%04o" : "%#o", l->b->n[1]);
	if (op == INTRO_CHMOD)
		json_str(l->j, "mode", mode);
	else if (op == INTRO_WRITE || op == INTRO_CREATE)
		json_str(l->j, "flags", mode);
	process(l);
}

static void on_socket(struct line *l)
{
	static const char *const ids[] = { "skep.connection.connect", "skep.connection.accept",
					   "skep.connection.listen" };
	const struct hook_socket *s = &l->b->socket;
	bool out = s->op == HOOK_CONNECT;
	eve_begin(l->v, l->j, "connection", l->r->time ? l->r->time : l->now);
	if (s->op == HOOK_LISTEN)
		conversation(l->j, s->proto, s->family, NULL, 0, s->local, s->local_port);
	else if (out)
		conversation(l->j, s->proto, s->family, s->local, s->local_port, s->peer, s->peer_port);
	else
		conversation(l->j, s->proto, s->family, s->peer, s->peer_port, s->local, s->local_port);
	json_obj(l->j, "connection");
	json_str(l->j, "eventid", ids[s->op]);
	json_str(l->j, "honeypot", l->honeypot);
	if (l->r->session)
		hex_id(l->j, "session", l->r->session);
	process(l);
}

/* ---- introspection itself ------------------------------------------------ */

static void bitmap(struct json *j, const char *key, uint64_t v)
{
	char t[24];
	snprintf(t, sizeof(t), "%016llx", (unsigned long long)v);
	json_str(j, key, t);
}

static void on_source(struct line *l)
{
	static const char *const ways[INTRO_WAY_COUNT] = { "hooks", "probes" };
	begin(l, "introspection", "skep.introspection.source", false);
	json_str(l->j, "way", ways[l->b->source.way]);
	bitmap(l->j, "sites", l->b->source.sites);
	bitmap(l->j, "absent", l->b->source.absent);
	put_text(l->j, "message", l->b->text[0]);
}

static void on_loss(struct line *l)
{
	begin(l, "introspection", "skep.introspection.loss", false);
	json_u64(l->j, "records", l->b->loss.records);
	json_u64(l->j, "bytes", l->b->loss.bytes);
}

static void on_tamper(struct line *l)
{
	begin(l, "introspection", "skep.introspection.tamper", false);
	put_text(l->j, "message", l->b->text[0]);
}

bool eve_intro(const struct eve *v, struct json *j, struct eve_talks *t, const char *honeypot,
	       const struct intro_rec *r, const struct intro_body *b, uint64_t now)
{
	static void (*const on[INTRO_KIND_COUNT])(struct line *) = {
		[INTRO_SOURCE] = on_source,   [INTRO_LOSS] = on_loss,     [INTRO_TAMPER] = on_tamper,
		[INTRO_SESSION] = on_session, [INTRO_END] = on_end,       [INTRO_LOGIN] = on_login,
		[INTRO_COMMAND] = on_command, [INTRO_EXEC] = on_exec,     [INTRO_EXIT] = on_exit,
		[INTRO_FILE] = on_file,       [INTRO_SOCKET] = on_socket, [INTRO_MODULE] = on_module,
		[INTRO_CRED] = on_cred,
	};
	struct line l = { v, j, t, honeypot, r, b, now };
	/* The rest of an exec's arguments is not another exec. */
	if (r->kind >= INTRO_KIND_COUNT || !on[r->kind] || (r->flags & INTRO_F_CONT))
		return false;
	on[r->kind](&l);
	eve_end(j);
	return true;
}
