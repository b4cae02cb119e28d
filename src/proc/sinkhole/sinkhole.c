/* SPDX-License-Identifier: ISC */
/*
 * The sinkhole of one network: it plays every destination that a policy sends to
 * it, and keeps what it is told.
 *
 * Theory of operation. priv has made a network namespace in which every address
 * is this machine, and in it the listening sockets (fds 5..8: SMTP, HTTP, TCP and
 * UDP of the generic service); the other side of its one interface is a port of
 * the gateway. This process gets the sockets only: it is put into an empty
 * network namespace of its own besides, and may not make another socket. So
 * whoever takes it over reaches the honeypots that already speak to it, through
 * the gateway, and nobody else.
 *
 * Sessions come from a table of fixed size, of which one honeypot gets a part;
 * further connections are closed at once. Each has its buffers in memory mapped
 * at start. Records go to evidence as they are made; while it does not take them,
 * everything waits a little, then they are counted as lost, which the next
 * record says.
 */
#include "proc/sinkhole/sinkhole.h"

#include "base/log.h"
#include "proc/sinkhole/session.h"
#include "proto/msg.h"
#include "sandbox/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define FD_SERVICE (ROLE_FD_FIRST + 1)
#define CONNS 256u
#define CONNS_OF_ONE 64u
#define IN_MAX 8192u
#define LINGER (5 * EV_SEC) /* for what is still to be sent */
#define DATAGRAMS 20u       /* records of datagrams a second */
#define WAIT_MS 2000

struct conn {
	bool used;
	int fd;
	struct ev_source src;
	uint64_t closing_since;
	size_t nin;
	uint8_t in[IN_MAX];
	struct session s;
};

static struct sinkhole {
	struct ev ev;
	struct chan super, evidence;
	struct ev_source super_src, listen_src[SINK_SVC_COUNT];
	struct ev_timer tick;
	struct conn *conns; /* [CONNS] */
	uint8_t *bodies;    /* [CONNS][SINK_BODY_MAX] */
	uint64_t id_seed, ids;
	uint64_t lost;
	bool slow;
	uint64_t second;
	unsigned datagrams;
	int status;
} x;

static struct msg in;

/* ---- records ----------------------------------------------------------------- */

static int memfd_of(const struct body *b)
{
	int fd = memfd_create("sink", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t have = 0;
	while (fd >= 0 && have < b->n) {
		ssize_t n = write(fd, b->kept + have, b->n - have);
		if (n <= 0) {
			close(fd);
			return -1;
		}
		have += (size_t)n;
	}
	if (fd >= 0)
		fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
	return fd;
}

static void on_record(void *arg, const struct ev_sink *head, const struct texts *texts, const struct body *body)
{
	static uint8_t buf[sizeof(*head) + SINK_TEXTS_MAX];
	struct ev_sink h = *head;
	int fd = body->n ? memfd_of(body) : -1;
	(void)arg;
	if (fd < 0)
		h.kept = 0;
	h.lost = x.lost;
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), texts->b, texts->n);
	int r =
	    msg_send_wait(&x.evidence, MSG_EV_SINK, 0, buf, sizeof(h) + texts->n, &fd, fd >= 0, x.slow ? 0 : WAIT_MS);
	if (r < 0)
		x.lost++;
	else
		x.lost = 0;
	x.slow = r == -EAGAIN || r == -ETIMEDOUT;
	if (fd >= 0)
		close(fd);
	if (r == -EPIPE)
		x.ev.quit = true;
}

/* ---- connections -------------------------------------------------------------- */

static void take_address(const struct sockaddr_storage *sa, uint8_t addr[16], uint16_t *port, uint8_t *family)
{
	memset(addr, 0, 16);
	if (sa->ss_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)sa;
		memcpy(addr, &a->sin_addr, 4);
		*port = ntohs(a->sin_port);
		*family = 4;
		return;
	}
	const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)sa;
	*port = ntohs(a->sin6_port);
	if (IN6_IS_ADDR_V4MAPPED(&a->sin6_addr)) {
		memcpy(addr, a->sin6_addr.s6_addr + 12, 4);
		*family = 4;
	} else {
		memcpy(addr, &a->sin6_addr, 16);
		*family = 6;
	}
}

static uint64_t next_id(void)
{
	const uint64_t a[2] = { x.id_seed, ++x.ids };
	uint64_t id = 0;
	uint8_t h[16];
	crypto_generichash(h, sizeof(h), (const uint8_t *)a, sizeof(a), NULL, 0);
	memcpy(&id, h, 6);
	return id;
}

static void drop(struct conn *c)
{
	session_end(&c->s);
	ev_del(&x.ev, &c->src);
	close(c->fd);
	madvise(c->s.body.kept, SINK_BODY_MAX, MADV_DONTNEED);
	c->used = false;
}

static bool flush(struct conn *c)
{
	struct session *s = &c->s;
	while (s->nout) {
		ssize_t n = send(c->fd, s->out, s->nout, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		s->nout -= (uint32_t)n;
		memmove(s->out, s->out + n, s->nout);
	}
	return true;
}

static void watch(struct conn *c)
{
	bool room = !c->s.closing && c->nin < IN_MAX;
	ev_mod(&x.ev, &c->src, (room ? EPOLLIN : 0u) | (c->s.nout ? EPOLLOUT : 0u));
}

/* Feeds and sends until nothing moves. False: it is over. */
static bool work(struct conn *c)
{
	for (;;) {
		struct slice rest = slice_of(c->in, c->nin);
		session_input(&c->s, &rest);
		bool moved = rest.n != c->nin;
		memmove(c->in, rest.p, rest.n);
		c->nin = rest.n;
		if (!flush(c))
			return false;
		if (c->s.closing || !c->nin || !moved)
			break;
	}
	if (!c->s.closing)
		return true;
	if (!c->closing_since)
		c->closing_since = c->s.mono;
	return c->s.nout != 0;
}

static void on_conn(void *arg, uint32_t events, uint64_t now)
{
	struct conn *c = arg;
	c->s.mono = now;
	c->s.now = ev_realtime();
	if (events & EPOLLIN && c->nin < IN_MAX) {
		ssize_t n = recv(c->fd, c->in + c->nin, IN_MAX - c->nin, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			drop(c);
			return;
		}
		if (n > 0)
			c->nin += (size_t)n;
	} else if (events & (EPOLLERR | EPOLLHUP)) {
		drop(c);
		return;
	}
	if (!work(c))
		drop(c);
	else
		watch(c);
}

static struct conn *take(const uint8_t src[16])
{
	struct conn *c = NULL;
	unsigned of_one = 0;
	for (unsigned i = 0; i < CONNS; i++) {
		if (!x.conns[i].used)
			c = c ? c : &x.conns[i];
		else if (!memcmp(x.conns[i].s.src, src, 16))
			of_one++;
	}
	return of_one < CONNS_OF_ONE ? c : NULL;
}

static void begin(struct conn *c, int fd, const struct session *who, uint64_t now)
{
	uint8_t *kept = x.bodies + (size_t)(c - x.conns) * SINK_BODY_MAX;
	c->used = true;
	c->fd = fd;
	c->nin = 0;
	c->closing_since = 0;
	c->s = *who;
	c->s.body.kept = kept;
	c->s.record = on_record;
	c->s.id = next_id();
	c->s.start = c->s.now = ev_realtime();
	c->s.born = c->s.last = c->s.mono = now;
	session_begin(&c->s);
}

static void on_listen(void *arg, uint32_t events, uint64_t now)
{
	static struct session who;
	struct ev_source *src = arg;
	struct sockaddr_storage peer, own;
	(void)events;
	for (int i = 0; i < 16; i++) {
		socklen_t np = sizeof(peer), no = sizeof(own);
		int fd = accept4(src->fd, (struct sockaddr *)&peer, &np, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		memset(&who, 0, sizeof(who));
		who.service = (uint8_t)(src - x.listen_src);
		who.proto = IPPROTO_TCP;
		struct conn *c = NULL;
		if (getsockname(fd, (struct sockaddr *)&own, &no) == 0) {
			take_address(&own, who.dst, &who.dst_port, &who.family);
			take_address(&peer, who.src, &who.src_port, &who.family);
			c = take(who.src);
		}
		if (!c) {
			close(fd);
			continue;
		}
		begin(c, fd, &who, now);
		if (ev_add(&x.ev, &c->src, fd, EPOLLIN, on_conn, c) < 0 || !work(c))
			drop(c);
		else
			watch(c);
	}
}

/* A datagram is a conversation of its own: recorded, not answered. */
static void on_datagram(void *arg, uint32_t events, uint64_t now)
{
	static uint8_t buf[65536], kept[SINK_BODY_MAX];
	static struct session s;
	struct ev_source *src = arg;
	(void)events;
	for (int i = 0; i < 64; i++) {
		struct sockaddr_storage peer;
		char control[256];
		struct iovec iov = { buf, sizeof(buf) };
		struct msghdr m = { .msg_name = &peer,
				    .msg_namelen = sizeof(peer),
				    .msg_iov = &iov,
				    .msg_iovlen = 1,
				    .msg_control = control,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(src->fd, &m, MSG_DONTWAIT);
		if (n < 0)
			return;
		if (now / EV_SEC != x.second) {
			x.second = now / EV_SEC;
			x.datagrams = 0;
		}
		if (++x.datagrams > DATAGRAMS) {
			x.lost++;
			continue;
		}
		memset(&s, 0, sizeof(s));
		s.service = SINK_SVC_UDP;
		s.proto = IPPROTO_UDP;
		take_address(&peer, s.src, &s.src_port, &s.family);
		s.dst_port = 9;
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
			if (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_PKTINFO) {
				const struct in6_pktinfo *p = (const struct in6_pktinfo *)(const void *)CMSG_DATA(h);
				bool mapped = IN6_IS_ADDR_V4MAPPED(&p->ipi6_addr);
				memcpy(s.dst, p->ipi6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
			} else if (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_PKTINFO) {
				const struct in_pktinfo *p = (const struct in_pktinfo *)(const void *)CMSG_DATA(h);
				memcpy(s.dst, &p->ipi_addr, 4);
			}
		}
		s.body.kept = kept;
		s.record = on_record;
		s.id = next_id();
		s.start = s.now = ev_realtime();
		s.born = s.last = s.mono = now;
		session_begin(&s);
		struct slice bytes = slice_of(buf, (size_t)n);
		session_input(&s, &bytes);
		s.ops->end(&s);
	}
}

static void on_tick(void *arg, uint64_t now)
{
	(void)arg;
	for (unsigned i = 0; i < CONNS; i++) {
		struct conn *c = &x.conns[i];
		if (!c->used)
			continue;
		c->s.mono = now;
		c->s.now = ev_realtime();
		session_tick(&c->s);
		if ((c->closing_since && now - c->closing_since > LINGER) || !work(c))
			drop(c);
		else
			watch(c);
	}
	ev_timer_set(&x.ev, &x.tick, now + EV_SEC, on_tick, NULL);
}

/* ---- super -------------------------------------------------------------------- */

static void end_all(void)
{
	for (unsigned i = 0; i < CONNS; i++) {
		if (!x.conns[i].used)
			continue;
		x.conns[i].s.now = ev_realtime();
		drop(&x.conns[i]);
	}
}

static void on_super(void *arg, uint32_t events, uint64_t now)
{
	struct err e = { 0 };
	(void)arg, (void)events, (void)now;
	int r = msg_recv(&x.super, &in, &e);
	if (r == 0)
		return;
	end_all();
	if (r > 0 && in.type == MSG_SINK_QUIT) {
		struct done d = { 0 };
		msg_send_wait(&x.super, MSG_SINK_DONE, in.req, &d, sizeof(d), NULL, 0, 1000);
	} else if (r != -EPIPE) {
		log_error("%s", r < 0 ? e.text : "unexpected message");
		x.status = 1;
	}
	x.ev.quit = true;
}

static int set_up(struct err *e)
{
	int r = ev_init(&x.ev, NULL);
	if (r < 0)
		return err_sys(e, r, "cannot make an event loop");
	x.super = (struct chan){ .fd = ROLE_FD_CONTROL, .self = ROLE_SINKHOLE, .peer = ROLE_SUPER, .state = STATE_RUN };
	x.evidence =
	    (struct chan){ .fd = ROLE_FD_FIRST, .self = ROLE_SINKHOLE, .peer = ROLE_EVIDENCE, .state = STATE_RUN };
	size_t conns = CONNS * sizeof(struct conn), bodies = (size_t)CONNS * SINK_BODY_MAX;
	x.conns = mmap(NULL, conns, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	x.bodies = mmap(NULL, bodies, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (x.conns == MAP_FAILED || x.bodies == MAP_FAILED)
		return err_sys(e, -errno, "cannot map the memory of sessions");
	if (sodium_init() < 0 || getrandom(&x.id_seed, sizeof(x.id_seed), 0) != sizeof(x.id_seed))
		return err_set(e, -ENOSYS, "no random numbers");
	for (int i = 0; i < SINK_SVC_COUNT; i++) {
		int fd = FD_SERVICE + i, fl = fcntl(fd, F_GETFL);
		if (fl < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, fl | O_NONBLOCK) < 0)
			return err_sys(e, -errno, "fd %d is no socket of a service", fd);
		r = ev_add(&x.ev, &x.listen_src[i], fd, EPOLLIN, i == SINK_SVC_UDP ? on_datagram : on_listen,
			   &x.listen_src[i]);
		if (r < 0)
			return err_sys(e, r, "cannot listen");
	}
	r = ev_add(&x.ev, &x.super_src, x.super.fd, EPOLLIN, on_super, NULL);
	return r < 0 ? err_sys(e, r, "cannot watch super") : 0;
}

int sinkhole_main(int argc, char **argv)
{
	struct err e = { 0 };
	(void)argc;
	(void)argv;
	log_init("sinkhole", LOG_L_INFO);
	signal(SIGPIPE, SIG_IGN);
	int r = set_up(&e);
	if (!r)
		r = isolate_role(ROLE_SINKHOLE, &(struct isolate_opts){ .dirfd = -1 }, &e);
	if (r < 0) {
		log_error("%s", e.text);
		return 1;
	}
	ev_timer_set(&x.ev, &x.tick, ev_monotonic() + EV_SEC, on_tick, NULL);
	r = ev_run(&x.ev);
	if (r < 0)
		log_error("the event loop failed: %s", strerror(-r));
	return r < 0 ? 1 : x.status;
}
