/* SPDX-License-Identifier: ISC */
#include "proc/introspect/track.h"

#include <stdlib.h>
#include <string.h>

#define SWEEP_NS 60000000000ull

/* ---- sessions of processes ------------------------------------------------- */

uint64_t track_id(struct track *t, struct ref session)
{
	struct session *s = sessions_get(&t->sessions, session);
	return s ? s->id : 0;
}

struct ref track_session_ref(struct track *t)
{
	struct ref r = t->p ? t->p->session : t->dead;
	return sessions_get(&t->sessions, r) ? r : (struct ref){ 0, 0 };
}

struct session *track_session(struct track *t)
{
	struct session *s = sessions_get(&t->sessions, track_session_ref(t));
	if (s)
		s->last = t->f->time;
	return s;
}

bool track_own_program(const struct proc *p, const struct conn *c)
{
	if (p->tgid && (p->tgid == c->taker || (p->tgid == c->listener && !c->handed)))
		return true;
	if (!strcmp(p->exe, c->exe))
		return true;
	/* It executes itself anew (-R), or a part of itself. */
	return !strncmp(path_base(p->exe), "sshd", 4) && !strncmp(c->service, "sshd", 4);
}

void track_join(struct track *t, struct proc *p, struct ref session)
{
	struct ref old = p->session;
	bool served = p->serving;
	if (ref_same(old, session))
		return;
	struct conn *c = conns_get(&t->conns, p->conn);
	p->session = session;
	p->serving = c && ref_same(c->session, session) && track_own_program(p, c);
	procs_touch(&t->procs, p);
	sessions_join(&t->sessions, session, p->serving);
	sessions_leave(&t->sessions, old, served, false, t->f);
}

static enum intro_service service_of(const struct conn *c)
{
	if (!strncmp(c->service, "sshd", 4) || !strncmp(c->service, "dropbear", 8) || c->sock.local_port == 22)
		return INTRO_SVC_SSH;
	if (strstr(c->service, "telnetd") || c->sock.local_port == 23)
		return INTRO_SVC_TELNET;
	return INTRO_SVC_OTHER;
}

/* The session of this machine from which the connection came, if any. */
static uint64_t came_from(const struct track *t, const struct hook_socket *s)
{
	for (unsigned i = 0; i < CONNECTS_MAX; i++) {
		const struct hook_socket *k = &t->connect[i].sock;
		if (k->family && k->family == s->family && k->proto == s->proto && k->local_port == s->peer_port &&
		    k->peer_port == s->local_port && !memcmp(k->local, s->peer, 16) && !memcmp(k->peer, s->local, 16))
			return t->connect[i].session;
	}
	return 0;
}

struct ref track_connection(struct track *t, struct proc *p)
{
	struct ref which = p->conn;
	struct conn *c = conns_get(&t->conns, which);
	if (!c) {
		/* Accepted, and no child took it: it serves by itself. */
		c = conns_get(&t->conns, p->accepted);
		if (!c || c->handed)
			return (struct ref){ 0, 0 };
		which = p->accepted;
		conns_hold(&t->conns, which);
		conns_drop(&t->conns, &p->conn);
		p->conn = which;
	}
	if (ref_set(c->session))
		return sessions_get(&t->sessions, c->session) ? c->session : (struct ref){ 0, 0 };
	uint64_t parent = track_id(t, p->session);
	if (!parent)
		parent = came_from(t, &c->sock);
	c->session = sessions_begin(&t->sessions, t->f, c, service_of(c), parent);
	for (uint32_t i = 1; i < PROCS_MAX; i++)
		if (t->procs.at[i].tgid && ref_same(t->procs.at[i].conn, which))
			track_join(t, &t->procs.at[i], c->session);
	return c->session;
}

struct ref track_orphan(struct track *t, struct proc *p, enum intro_service service)
{
	struct ref r = sessions_begin(&t->sessions, t->f, NULL, service, 0);
	if (p)
		track_join(t, p, r);
	return r;
}

/* ---- processes -------------------------------------------------------------- */

static void on_gone(void *arg, struct proc *p, bool evicted)
{
	struct track *t = arg;
	struct exec_job *j = execs_find(&t->execs, p->exec);
	if (j)
		execs_free(&t->execs, j);
	if (p->monitor)
		login_forget(&t->login, p->tgid);
	conns_drop(&t->conns, &p->conn);
	conns_drop(&t->conns, &p->accepted);
	sessions_leave(&t->sessions, p->session, p->serving, evicted, t->f);
}

/* May p's next child take over what p accepted? */
static struct conn *handed_over(struct track *t, const struct proc *p)
{
	/* What a server accepts inside its session is a forwarded port. */
	struct conn *c = p->serving ? NULL : conns_get(&t->conns, p->accepted);
	if (c && c->handed && p->listener && procs_find(&t->procs, c->taker))
		return NULL;
	return c;
}

/* forked: the fork itself was seen, so that it is the same program. */
static void inherit(struct track *t, struct proc *child, struct proc *parent, bool forked)
{
	struct conn *c = handed_over(t, parent);
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	if (forked)
		memcpy(child->exe, parent->exe, sizeof(child->exe));
	child->tty = parent->tty;
	child->uid = parent->uid;
	child->conn = c ? parent->accepted : parent->conn;
	conns_hold(&t->conns, child->conn);
	if (c && !c->handed) {
		c->handed = true;
		c->taker = child->tgid;
	}
	/* What serves a connection that has a session is of that session. */
	struct conn *mine = conns_get(&t->conns, child->conn);
	struct ref s = mine && sessions_get(&t->sessions, mine->session) ? mine->session : parent->session;
	if (sessions_get(&t->sessions, s))
		track_join(t, child, s);
}

static struct proc *first_seen(struct track *t, const struct fact *f)
{
	struct proc *p = procs_add(&t->procs, f->tgid, f->ppid);
	struct proc *parent = f->ppid != f->tgid ? procs_find(&t->procs, f->ppid) : NULL;
	if (parent)
		inherit(t, p, parent, false);
	return p;
}

static struct proc *who(struct track *t, const struct fact *f)
{
	t->dead = (struct ref){ 0, 0 };
	if (!f->tgid || f->type >= HOOK_TYPE_COUNT)
		return NULL;
	struct proc *p = procs_find(&t->procs, f->tgid);
	bool leader = f->tid == f->tgid && f->task;
	if (!p) {
		if (procs_dead(&t->procs, f, &t->dead))
			return NULL;
		p = first_seen(t, f);
	}
#ifndef MUTANT_SESSION_PID_REUSE
	if (leader && p->task && p->task != f->task && p->exec != f->task)
		p = first_seen(t, f); /* its predecessor's exit was lost */
#endif
	if (leader)
		p->task = f->task;
	p->tty = f->tty;
	p->uid = f->uid;
	memcpy(p->comm, f->comm, sizeof(p->comm) - 1);
	procs_touch(&t->procs, p);
	if (!sessions_get(&t->sessions, p->session)) {
		struct tty *x = ttys_find(&t->ttys, f->tty);
		if (x && sessions_get(&t->sessions, x->session))
			track_join(t, p, x->session);
	}
	return p;
}

/* ---- facts ------------------------------------------------------------------ */

static void begin(struct track *t, enum intro_kind kind)
{
	struct session *s = track_session(t);
	emit_begin(&t->emit, kind, t->f, s ? s->id : 0);
}

static void on_fork(struct track *t)
{
	const struct fact *f = t->f;
	if (f->fork.tgid == f->tgid || !f->fork.tgid)
		return; /* a thread */
	begin(t, INTRO_FORK);
	emit_u32(&t->emit, f->fork.tgid);
	emit_end(&t->emit, 0);
	if (!t->p)
		return;
	struct proc *child = procs_add(&t->procs, f->fork.tgid, f->tgid);
	if (t->p->tgid == f->tgid)
		inherit(t, child, t->p, true);
}

static void on_exits(struct track *t)
{
	if (!t->f->exit.whole || !t->p)
		return;
	begin(t, INTRO_EXIT);
	emit_u32(&t->emit, t->f->exit.code);
	emit_end(&t->emit, 0);
	procs_exit(&t->procs, t->p);
	t->p = NULL;
}

static void file(struct track *t, enum intro_file_op op)
{
	const struct fact *f = t->f;
	begin(t, INTRO_FILE);
	emit_u32(&t->emit, op);
	emit_u32(&t->emit, op == INTRO_UNLINK || op == INTRO_RMDIR ? 0 : f->file.num);
	emit_text(&t->emit, f->file.path.s, f->file.path.n);
	if (op == INTRO_RENAME)
		emit_text(&t->emit, f->file.to.s, f->file.to.n);
	else
		emit_text(&t->emit, "", 0);
	emit_end(&t->emit, (f->flags & HOOK_F_CUT ? INTRO_F_CUT : 0) | (f->flags & HOOK_F_FAULT ? INTRO_F_FAULT : 0));
}

static void on_accept(struct track *t)
{
	const struct fact *f = t->f;
	struct proc *p = t->p;
	if (!p || f->ret < 0)
		return;
	conns_drop(&t->conns, &p->accepted);
	p->accepted = conns_add(&t->conns, &f->sock, f->time);
	struct conn *c = conns_get(&t->conns, p->accepted);
	c->listener = p->tgid;
	memcpy(c->service, p->comm, sizeof(c->service));
	memcpy(c->exe, p->exe, sizeof(c->exe));
}

static void on_socket(struct track *t)
{
	const struct hook_socket *s = &t->f->sock;
	begin(t, INTRO_SOCKET);
	emit_put(&t->emit, s, sizeof(*s));
	emit_end(&t->emit, 0);
	if (s->op == HOOK_ACCEPT) {
		on_accept(t);
	} else if (s->op == HOOK_LISTEN && t->p) {
		t->p->listener = true;
	} else if (s->op == HOOK_CONNECT && track_session(t)) {
		t->connect[t->connect_at].sock = *s;
		t->connect[t->connect_at].session = track_session(t)->id;
		t->connect_at = (t->connect_at + 1) % CONNECTS_MAX;
	}
}

static void on_cred(struct track *t)
{
	begin(t, INTRO_CRED);
	emit_u32(&t->emit, t->f->cred.old_uid);
	emit_u32(&t->emit, t->f->cred.new_uid);
	emit_u32(&t->emit, t->f->cred.old_euid);
	emit_u32(&t->emit, t->f->cred.new_euid);
	emit_end(&t->emit, 0);
}

static void on_module(struct track *t)
{
	begin(t, INTRO_MODULE);
	emit_text(&t->emit, t->f->module.s, t->f->module.n);
	emit_end(&t->emit, 0);
}

static void on_exec(struct track *t)
{
	const struct fact *f = t->f;
	if (f->type == HOOK_EXEC_TRY) {
		execs_try(&t->execs, f);
		if (t->p)
			t->p->exec = f->task;
	} else if (f->type == HOOK_EXEC_MORE) {
		execs_more(&t->execs, f);
	} else {
		track_exec_done(t);
	}
}

static void loss(struct track *t)
{
	const struct fact *f = t->f;
	t->lost += f->loss.records;
	login_init(&t->login);
#ifndef MUTANT_INTRO_LOSS_SILENT
	struct intro_loss x = { .records = f->loss.records, .bytes = f->loss.bytes };
	emit_begin(&t->emit, INTRO_LOSS, f, 0);
	emit_put(&t->emit, &x, sizeof(x));
	emit_end(&t->emit, 0);
#endif
}

static void source(struct track *t)
{
	struct intro_source x = {
		.way = (uint32_t)t->way, .format = INTRO_FORMAT, .sites = t->placed, .absent = t->absent
	};
	t->told = true;
	emit_begin(&t->emit, INTRO_SOURCE, t->f, 0);
	emit_put(&t->emit, &x, sizeof(x));
	emit_text(&t->emit, "", 0);
	emit_end(&t->emit, 0);
}

static void forget_guest(struct track *t)
{
	execs_clear(&t->execs);
	sessions_end_all(&t->sessions, t->f);
	procs_init(&t->procs, on_gone, t);
	conns_init(&t->conns);
	login_init(&t->login);
	ttys_init(&t->ttys);
	memset(t->connect, 0, sizeof(t->connect));
}

/* The guest's kernel began: nothing of an earlier one lives. */
static void on_hello(struct track *t)
{
	t->placed = t->f->hello.placed;
	t->absent = t->f->hello.absent;
	t->hello = true;
	if (t->facts > 1)
		forget_guest(t);
	source(t);
}

static void dispatch(struct track *t)
{
	switch (t->f->type) {
	case FACT_LOSS:
	case FACT_MALFORMED:
		loss(t);
		break;
	case HOOK_TTY:
		track_tty(t);
		break;
	case HOOK_WINSIZE:
		track_winsize(t);
		break;
	case HOOK_EXEC_TRY:
	case HOOK_EXEC_MORE:
	case HOOK_EXEC_DONE:
		on_exec(t);
		break;
	case HOOK_FORK:
		on_fork(t);
		break;
	case HOOK_EXIT:
		on_exits(t);
		break;
	case HOOK_OPEN:
		file(t, t->f->file.mode & HOOK_OPEN_CREATED ? INTRO_CREATE : INTRO_WRITE);
		break;
	case HOOK_RENAME:
		file(t, INTRO_RENAME);
		break;
	case HOOK_UNLINK:
		file(t, t->f->file.num ? INTRO_RMDIR : INTRO_UNLINK);
		break;
	case HOOK_CHMOD:
		file(t, INTRO_CHMOD);
		break;
	case HOOK_SOCKET:
		on_socket(t);
		break;
	case HOOK_MODULE:
		on_module(t);
		break;
	case HOOK_CRED:
		on_cred(t);
		break;
	case HOOK_AUTH:
		track_auth(t);
		break;
	}
}

void track_fact(struct track *t, const struct fact *f)
{
	t->f = f;
	t->facts++;
	t->p = NULL;
	if (f->type == HOOK_HELLO) {
		on_hello(t);
		t->f = NULL;
		return;
	}
	if (!t->told)
		source(t);
	t->p = who(t, f);
	dispatch(t);
	if (f->time > t->swept + SWEEP_NS || f->time < t->swept) {
		t->swept = f->time;
		sessions_expire(&t->sessions, f, f->time > IDLE_NS ? f->time - IDLE_NS : 0);
	}
	t->f = NULL;
	t->p = NULL;
}

/* ---- begin and end ---------------------------------------------------------- */

struct track *track_new(enum intro_way way, uint64_t seed, emit_fn fn, void *arg)
{
	struct track *t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->way = way;
	emit_init(&t->emit, fn, arg);
	sessions_init(&t->sessions, &t->emit, seed, track_tty_flush, t);
	procs_init(&t->procs, on_gone, t);
	conns_init(&t->conns);
	execs_init(&t->execs);
	login_init(&t->login);
	ttys_init(&t->ttys);
	return t;
}

void track_free(struct track *t)
{
	if (!t)
		return;
	execs_clear(&t->execs);
	free(t);
}

void track_end(struct track *t, uint64_t time)
{
	struct fact f = { .type = FACT_TYPE_COUNT, .time = time };
	t->f = &f;
	forget_guest(t);
	t->f = NULL;
}

void track_tamper(struct track *t, uint64_t time, const char *what)
{
	struct fact f = { .type = FACT_TYPE_COUNT, .time = time };
	t->f = &f;
	if (!t->told)
		source(t);
	emit_begin(&t->emit, INTRO_TAMPER, &f, 0);
	emit_text(&t->emit, what, strlen(what));
	emit_end(&t->emit, 0);
	t->f = NULL;
}

uint64_t track_evictions(const struct track *t)
{
	return t->sessions.evicted + t->procs.evicted + t->conns.evicted + t->execs.evicted + t->login.evicted +
	       t->ttys.evicted;
}
