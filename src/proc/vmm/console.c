/* SPDX-License-Identifier: ISC */
#include "proc/vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void pump(struct console *c);
static void on_guest(void *arg, uint32_t events, uint64_t now);

/* ---- evidence ----------------------------------------------------------- */

static int record(struct console *c, uint32_t dir, uint64_t time, const uint8_t *p, size_t n)
{
	struct {
		struct ev_console head;
		uint8_t bytes[CONSOLE_CHUNK];
	} m;
	m.head = (struct ev_console){ .time = time, .slot = c->slot, .dir = dir };
	memcpy(m.bytes, p, n);
	return msg_send(c->record, MSG_EV_CONSOLE, 0, &m, sizeof(m.head) + n, NULL, 0);
}

static void drop_guest(struct console *c)
{
	if (c->guest < 0)
		return;
	ev_del(c->ev, &c->guest_src);
	close(c->guest);
	c->guest = -1;
}

static void evidence_gone(struct console *c, int why)
{
	struct err e;
	if (c->stopped)
		return;
	c->stopped = true;
	ev_del(c->ev, &c->record_src);
	if (c->guest_src.live)
		ev_del(c->ev, &c->guest_src);
	err_sys(&e, why, "evidence takes no console output any more");
	c->gone(c->arg, &e);
}

/* Sends one record; true once evidence has it. */
static bool recorded(struct console *c, uint32_t dir, uint64_t time, const uint8_t *p, size_t n)
{
	if (c->stopped)
		return false;
	int r = record(c, dir, time, p, n);
	if (r == 0)
		return true;
	if (r == -EAGAIN)
		c->blocked = true;
	else
		evidence_gone(c, r);
	return false;
}

/* ---- operators ---------------------------------------------------------- */

static void notice(struct operator_end *o, const char *text)
{
	o->notice_len = (size_t)snprintf(o->notice, sizeof(o->notice), "\r\n[skep: %s]\r\n", text);
	if (o->notice_len >= sizeof(o->notice))
		o->notice_len = sizeof(o->notice) - 1;
	o->notice_at = 0;
}

static void let_go(struct console *c, struct operator_end *o)
{
	ev_del(c->ev, &o->src);
	close(o->fd);
	o->fd = -1;
	if (c->typer == (int)(o - c->ops))
		c->typer = -1;
}

static size_t give(struct operator_end *o, const uint8_t *p, size_t n, bool *dead)
{
	ssize_t k = send(o->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	*dead = k < 0 && errno != EAGAIN && errno != EINTR;
	return k > 0 ? (size_t)k : 0;
}

/* Gives o what its socket takes; true when it has everything. */
static bool show(struct console *c, struct operator_end *o)
{
	bool dead = false;
	for (;;) {
		uint64_t oldest = c->total > CONSOLE_RING ? c->total - CONSOLE_RING : 0;
		if (o->pos < oldest) {
			o->pos = oldest;
			notice(o, "output left out, this terminal was too slow");
		}
		const uint8_t *p = (const uint8_t *)o->notice + o->notice_at;
		size_t n = o->notice_len - o->notice_at;
		bool ours = n > 0;
		if (!ours) {
			size_t at = (size_t)(o->pos % CONSOLE_RING);
			p = c->ring + at;
			n = CONSOLE_RING - at;
			if (n > c->total - o->pos)
				n = (size_t)(c->total - o->pos);
		}
		if (!n)
			break;
		size_t k = give(o, p, n, &dead);
		if (ours)
			o->notice_at += k;
		else
			o->pos += k;
		if (dead) {
			let_go(c, o);
			return true;
		}
		if (k < n)
			return false;
	}
	return true;
}

static void on_operator(void *arg, uint32_t events, uint64_t now);

static void watch(struct console *c, struct operator_end *o, bool has_all)
{
	if (o->fd < 0)
		return;
	/* The one who types is read only as fast as the guest and evidence take it. */
	bool read = c->typer != (int)(o - c->ops) || !c->in_len;
	uint32_t want = (read ? EPOLLIN : 0u) | (has_all ? 0u : EPOLLOUT);
	if (o->src.live)
		ev_mod(c->ev, &o->src, want);
	else if (read) /* was parked */
		ev_add(c->ev, &o->src, o->fd, want, on_operator, o);
}

static void show_all(struct console *c)
{
	for (int i = 0; i < CONSOLE_OPERATORS; i++)
		if (c->ops[i].fd >= 0)
			watch(c, &c->ops[i], show(c, &c->ops[i]));
}

static void keys(struct console *c, struct operator_end *o)
{
	uint8_t buf[CONSOLE_INPUT];
	bool types = c->typer == (int)(o - c->ops);
	if (types && c->in_len)
		return;
	ssize_t n = recv(o->fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		let_go(c, o);
		return;
	}
	if (types) {
		memcpy(c->in, buf, (size_t)n);
		c->in_len = (size_t)n;
		c->in_at = 0;
		c->in_recorded = false;
		c->in_time = ev_realtime();
	} else if (!o->told) {
		o->told = true;
		notice(o, o->readonly ? "read only, your keys go nowhere"
				      : "another operator types, your keys go nowhere: attach with --take");
	}
}

static void on_operator(void *arg, uint32_t events, uint64_t now)
{
	struct operator_end *o = arg;
	struct console *c = o->hub;
	(void)now;
	/* Hung up with keys still on their way: parked, or epoll would spin. */
	if (events & (EPOLLHUP | EPOLLERR) && c->in_len && c->typer == (int)(o - c->ops))
		ev_del(c->ev, &o->src);
	else if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		keys(c, o);
	if (o->fd >= 0)
		watch(c, o, show(c, o));
	pump(c);
}

/* ---- the guest ---------------------------------------------------------- */

static void put_ring(struct console *c, const uint8_t *p, size_t n)
{
	while (n) {
		size_t at = (size_t)(c->total % CONSOLE_RING), k = CONSOLE_RING - at;
		if (k > n)
			k = n;
		memcpy(c->ring + at, p, k);
		c->total += k;
		p += k;
		n -= k;
	}
}

static void guest_closed(struct console *c)
{
	struct err e = { 0 };
	drop_guest(c);
	show_all(c);
	for (int i = 0; i < CONSOLE_OPERATORS; i++)
		if (c->ops[i].fd >= 0)
			let_go(c, &c->ops[i]);
	c->gone(c->arg, &e);
}

/* One chunk. false: nothing there. */
static bool read_guest(struct console *c)
{
	ssize_t n = recv(c->guest, c->out, sizeof(c->out), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		guest_closed(c);
		return false;
	}
	c->out_len = (size_t)n;
	c->out_time = ev_realtime();
#ifdef MUTANT_CONSOLE_SHOW_BEFORE_RECORD
	put_ring(c, c->out, c->out_len);
#endif
	return true;
}

static void settle_output(struct console *c)
{
	if (!c->out_len || !recorded(c, 0, c->out_time, c->out, c->out_len))
		return;
#ifndef MUTANT_CONSOLE_SHOW_BEFORE_RECORD
	put_ring(c, c->out, c->out_len);
#endif
	c->out_len = 0;
}

static void settle_input(struct console *c)
{
	if (!c->in_len)
		return;
	if (!c->in_recorded) {
#ifndef MUTANT_CONSOLE_INPUT_UNRECORDED
		if (!recorded(c, 1, c->in_time, c->in, c->in_len))
			return;
#endif
		c->in_recorded = true;
	}
	if (c->guest < 0) {
		c->in_len = 0;
		return;
	}
	ssize_t n = send(c->guest, c->in + c->in_at, c->in_len - c->in_at, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		c->in_at += (size_t)n;
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		c->in_at = c->in_len; /* reading will find out that it is gone */
	if (c->in_at == c->in_len)
		c->in_len = 0;
}

/* Moves on whatever can move, then says to epoll what is waited for. */
static void pump(struct console *c)
{
	bool was = c->in_len > 0;
	c->blocked = false;
	settle_output(c);
	settle_input(c);
	show_all(c);
	if (was && !c->in_len && c->typer >= 0)
		watch(c, &c->ops[c->typer], show(c, &c->ops[c->typer]));
	if (c->stopped)
		return;
	ev_mod(c->ev, &c->record_src, c->blocked ? EPOLLOUT : 0u);
	if (c->guest < 0)
		return;
	bool waiting = c->in_len && c->in_recorded;
	if (c->guest_src.live)
		ev_mod(c->ev, &c->guest_src, (c->out_len ? 0u : EPOLLIN) | (waiting ? EPOLLOUT : 0u));
	else if (!c->out_len) /* was parked */
		ev_add(c->ev, &c->guest_src, c->guest, EPOLLIN, on_guest, c);
}

static void on_guest(void *arg, uint32_t events, uint64_t now)
{
	struct console *c = arg;
	(void)now;
	/* Hung up while a chunk waits for evidence: parked, or epoll would spin. */
	if (c->out_len && events & (EPOLLHUP | EPOLLERR))
		ev_del(c->ev, &c->guest_src);
	if (!c->out_len && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		read_guest(c);
	pump(c);
}

static void on_record(void *arg, uint32_t events, uint64_t now)
{
	struct console *c = arg;
	(void)now;
	if (events & (EPOLLHUP | EPOLLERR)) {
		evidence_gone(c, -EPIPE);
		return;
	}
	pump(c);
}

/* ---- life --------------------------------------------------------------- */

void console_init(struct console *c, struct ev *ev, struct chan *rec, uint32_t slot, console_gone_fn gone, void *arg)
{
	memset(c, 0, sizeof(*c));
	c->ev = ev;
	c->record = rec;
	c->slot = slot;
	c->gone = gone;
	c->arg = arg;
	c->guest = -1;
	c->typer = -1;
	for (int i = 0; i < CONSOLE_OPERATORS; i++)
		c->ops[i].fd = -1;
}

int console_start(struct console *c, int guest, struct err *e)
{
	int r = 0;
	if (c->guest >= 0)
		r = -EALREADY;
	if (!r && !c->record_src.live)
		r = ev_add(c->ev, &c->record_src, c->record->fd, 0, on_record, c);
	if (!r)
		r = ev_add(c->ev, &c->guest_src, guest, EPOLLIN, on_guest, c);
	if (r < 0) {
		close(guest);
		return err_sys(e, r, "cannot watch the console");
	}
	c->guest = guest;
	return 0;
}

int console_attach(struct console *c, int fd, uint32_t flags, struct err *e)
{
	struct operator_end *o = NULL;
	int r = 0;
	if (c->guest < 0) {
		r = err_set(e, -ENOTCONN, "the machine has no console now");
		goto fail;
	}
	for (int i = 0; i < CONSOLE_OPERATORS && !o; i++)
		if (c->ops[i].fd < 0)
			o = &c->ops[i];
	if (!o) {
		r = err_set(e, -EUSERS, "%d operators are attached to this console already", CONSOLE_OPERATORS);
		goto fail;
	}
	memset(o, 0, sizeof(*o));
	o->hub = c;
	o->fd = -1;
	r = ev_add(c->ev, &o->src, fd, EPOLLIN, on_operator, o);
	if (r < 0) {
		err_sys(e, r, "cannot watch the operator's terminal");
		goto fail;
	}
	o->fd = fd;
	o->readonly = flags & CONSOLE_READONLY;
	o->pos = c->total > CONSOLE_RING ? c->total - CONSOLE_RING : 0;
	if (!o->readonly && c->typer >= 0 && flags & CONSOLE_TAKE) {
		struct operator_end *was = &c->ops[c->typer];
		was->told = true;
		notice(was, "another operator took the keyboard");
		c->typer = -1;
	}
	if (!o->readonly && c->typer < 0)
		c->typer = (int)(o - c->ops);
	pump(c);
	return 0;
fail:
	close(fd);
	return r;
}

void console_finish(struct console *c, int timeout_ms)
{
	for (unsigned got = 0; c->guest >= 0 && !c->stopped && got < CONSOLE_RING; got += CONSOLE_CHUNK) {
		if (!c->out_len && !read_guest(c))
			break;
		struct ev_console head = { .time = c->out_time, .slot = c->slot };
		uint8_t m[sizeof(head) + CONSOLE_CHUNK];
		memcpy(m, &head, sizeof(head));
		memcpy(m + sizeof(head), c->out, c->out_len);
		if (msg_send_wait(c->record, MSG_EV_CONSOLE, 0, m, sizeof(head) + c->out_len, NULL, 0, timeout_ms) < 0)
			break;
		put_ring(c, c->out, c->out_len);
		c->out_len = 0;
	}
	show_all(c);
	for (int i = 0; i < CONSOLE_OPERATORS; i++)
		if (c->ops[i].fd >= 0)
			let_go(c, &c->ops[i]);
	if (!c->stopped)
		ev_del(c->ev, &c->record_src);
	drop_guest(c);
}
