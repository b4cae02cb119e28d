/* SPDX-License-Identifier: ISC */
#include "cli/proc_table.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- the table -------------------------------------------------------------- */

static unsigned slot_of(const struct proc_table *t, uint32_t pid)
{
	unsigned i = (pid * 0x9e3779b1u) & (t->nslots - 1);
	while (t->slots[i] >= 0 && t->p[t->slots[i]].pid != pid)
		i = (i + 1) & (t->nslots - 1);
	return i;
}

static bool grow(struct proc_table *t)
{
	unsigned cap = t->cap ? 2 * t->cap : 256;
	if (cap > 1u << 26)
		return false;
	struct proc *p = realloc(t->p, cap * sizeof(*p));
	if (!p)
		return false;
	t->p = p;
	int *slots = malloc(4ul * cap * sizeof(*slots));
	if (!slots)
		return false;
	free(t->slots);
	t->slots = slots;
	t->nslots = 4 * cap;
	t->cap = cap;
	memset(slots, 0xff, t->nslots * sizeof(*slots));
	for (unsigned i = 0; i < t->n; i++)
		t->slots[slot_of(t, t->p[i].pid)] = (int)i;
	return true;
}

static int find(const struct proc_table *t, uint32_t pid)
{
	int i = t->nslots ? t->slots[slot_of(t, pid)] : -1;
	return i;
}

static int add(struct proc_table *t, uint32_t pid, int parent, const struct intro_rec *h)
{
	if (t->n == t->cap && !grow(t)) {
		t->oom = true;
		return -1;
	}
	int i = (int)t->n++;
	struct proc *p = &t->p[i];
	*p = (struct proc){ .pid = pid,
			    .uid = h->uid,
			    .tty = h->tty,
			    .session = h->session,
			    .start = h->time,
			    .parent = parent,
			    .child = -1,
			    .last_child = -1,
			    .sibling = -1 };
	t->slots[slot_of(t, pid)] = i;
	if (parent >= 0) {
		struct proc *q = &t->p[parent];
		if (q->last_child >= 0)
			t->p[q->last_child].sibling = i;
		else
			q->child = i;
		q->last_child = i;
	}
	return i;
}

/* The live process of the record; made if nobody told of its fork. */
static int current(struct proc_table *t, const struct intro_rec *h)
{
	int i = find(t, h->pid);
	if (i >= 0 && !t->p[i].end)
		return i;
	int parent = find(t, h->ppid);
	if (parent >= 0 && t->p[parent].end)
		parent = -1;
	i = add(t, h->pid, h->ppid == h->pid ? -1 : parent, h);
	if (i >= 0 && !t->p[i].argv) {
		char text[sizeof(h->comm) * 4 + 8] = "(";
		size_t n = text_safe(text + 1, sizeof(text) - 3, h->comm, strnlen(h->comm, sizeof(h->comm)), false);
		memcpy(text + 1 + n, ")", 2);
		t->p[i].argv = strdup(text);
	}
	return i;
}

static void note(struct proc_table *t, int i, const struct intro_rec *h, const char *text)
{
	struct proc_note *n = calloc(1, sizeof(*n));
	if (!n || !(n->text = strdup(text))) {
		free(n);
		t->oom = true;
		return;
	}
	n->time = h->time;
	n->kind = h->kind;
	struct proc *p = &t->p[i];
	if (p->last_note)
		p->last_note->next = n;
	else
		p->notes = n;
	p->last_note = n;
}

void proc_table_free(struct proc_table *t)
{
	for (unsigned i = 0; i < t->n; i++) {
		free(t->p[i].argv);
		for (struct proc_note *n = t->p[i].notes, *next; n; n = next) {
			next = n->next;
			free(n->text);
			free(n);
		}
	}
	free(t->p);
	free(t->slots);
	exec_join_free(&t->join);
	*t = (struct proc_table){ 0 };
}

/* ---- records ---------------------------------------------------------------- */

static const char *proto_name(unsigned proto)
{
	return proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "?";
}

static void safe(char *buf, size_t cap, struct slice s)
{
	text_safe(buf, cap, s.p, s.n, false);
}

bool proc_note_text(char *buf, size_t cap, const struct skt_rec *r)
{
	char a[900], b[900];
	struct slice s, to;
	struct hook_socket sock;
	uint32_t op, mode, cred[4];
	if (skt_text_of(r, &s)) {
		safe(a, sizeof(a), s);
		const char *what = r->h.kind == INTRO_MODULE   ? "loads module "
				   : r->h.kind == INTRO_TAMPER ? "attacks the hooks: "
							       : "$ ";
		snprintf(buf, cap, "%s%s%s", what, a,
			 r->h.kind == INTRO_COMMAND && (r->h.flags & INTRO_F_NOECHO) ? "   (not echoed)" : "");
		return true;
	}
	if (skt_socket(r, &sock)) {
		char local[SESSION_ENDPOINT], peer[SESSION_ENDPOINT];
		session_endpoint(local, sock.family, sock.local, sock.local_port);
		session_endpoint(peer, sock.family, sock.peer, sock.peer_port);
		if (sock.op == HOOK_LISTEN)
			snprintf(buf, cap, "%s listen %s", proto_name(sock.proto), local);
		else
			snprintf(buf, cap, "%s %s %s %s", proto_name(sock.proto), local,
				 sock.op == HOOK_CONNECT ? "->" : "<-", peer);
		return true;
	}
	if (skt_file(r, &op, &mode, &s, &to)) {
		safe(a, sizeof(a), s);
		safe(b, sizeof(b), to);
		if (op == INTRO_RENAME)
			snprintf(buf, cap, "%s %s to %s", session_file_op(op), a, b);
		else if (op == INTRO_CHMOD)
			snprintf(buf, cap, "%s %04o %s", session_file_op(op), mode & 07777, a);
		else
			snprintf(buf, cap, "%s %s", session_file_op(op), a);
		return true;
	}
	if (skt_cred(r, cred)) {
		snprintf(buf, cap, "uid %u -> %u, effective %u -> %u", cred[0], cred[1], cred[2], cred[3]);
		return true;
	}
	return false;
}

static void on_exec(struct proc_table *t, const struct skt_rec *r)
{
	struct intro_rec h;
	struct skt_exec x;
	bool cut;
	char text[1024], line[1100];
	if (!exec_join_add(&t->join, r, &h, &x, &cut))
		return;
	int i = current(t, &h);
	if (i < 0)
		return;
	exec_text(text, sizeof(text), &x);
	if (x.ret) {
		snprintf(line, sizeof(line), "could not execute: %s", text);
		note(t, i, &h, line);
		return;
	}
	struct proc *p = &t->p[i];
	/* A program that executes another one in its place. */
	if (p->execed) {
		snprintf(line, sizeof(line), "exec %s", text);
		note(t, i, &h, line);
	}
	free(p->argv);
	p->argv = strdup(text);
	p->execed = true;
	p->uid = h.uid;
	p->tty = h.tty ? h.tty : p->tty;
	if (h.session)
		p->session = h.session;
}

void proc_table_add(struct proc_table *t, const struct skt_rec *r)
{
	char text[2000];
	uint32_t v;
	if (r->h.kind == INTRO_EXEC) {
		on_exec(t, r);
		return;
	}
	if (r->h.kind == INTRO_FORK && skt_u32(r, &v)) {
		int parent = current(t, &r->h);
		if (parent < 0 || v == r->h.pid)
			return;
		int child = add(t, v, parent, &r->h);
		if (child >= 0 && t->p[parent].argv)
			t->p[child].argv = strdup(t->p[parent].argv);
		return;
	}
	if (r->h.kind == INTRO_EXIT && skt_u32(r, &v)) {
		int i = current(t, &r->h);
		if (i >= 0) {
			t->p[i].end = r->h.time;
			t->p[i].code = v;
		}
		return;
	}
	if (!r->h.pid || !proc_note_text(text, sizeof(text), r))
		return;
	int i = current(t, &r->h);
	if (i < 0)
		return;
	if (r->h.session)
		t->p[i].session = r->h.session;
	note(t, i, &r->h, text);
}
