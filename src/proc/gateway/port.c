/* SPDX-License-Identifier: ISC */
/*
 * The kinds of ports.
 *
 * SEQPACKET: one frame a message; the other end is a VMM that an intruder may
 * own. It is read with recvmmsg() without room for control data, so that file
 * descriptors that it sends are thrown away by the kernel. A read of 0 bytes is
 * either an empty message or the end; the hang-up event tells.
 *
 * TAP: one frame a read. PACKET: port_packet.c.
 */
#include "proc/gateway/port.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif
#define SOCKET_BYTES (4 << 20)

bool port_owns_addr(const struct port *p, uint8_t family, const uint8_t addr[16])
{
	size_t n = family == 4 ? 4 : 16;
	for (uint32_t i = 0; i < p->conf.naddrs; i++)
		if (p->conf.addrs[i].family == family && !memcmp(p->conf.addrs[i].b, addr, n))
			return true;
	return family == 6 && p->lladdr.family && !memcmp(p->lladdr.b, addr, 16);
}

bool port_on_link(const struct port *p, uint8_t family, const uint8_t addr[16])
{
	if (family == 6 && addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80)
		return true;
	for (uint32_t i = 0; i < p->conf.naddrs; i++) {
		const struct addr *a = &p->conf.addrs[i];
		if (a->family != family)
			continue;
		unsigned whole = a->plen / 8, rest = a->plen % 8;
		if (memcmp(a->b, addr, whole))
			continue;
		if (!rest || !((a->b[whole] ^ addr[whole]) >> (8 - rest)))
			return true;
	}
	return false;
}

static int socket_send(struct port *p, struct slice bytes)
{
	ssize_t n;
	do
		n = send(p->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- SEQPACKET ----------------------------------------------------------- */

static int seqpacket_open(struct port *p, struct err *e)
{
	int type = 0, zero = 0, size = SOCKET_BYTES;
	socklen_t len = sizeof(type);
	if (getsockopt(p->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return err_set(e, -EINVAL, "port %s: not a SEQPACKET socket", p->conf.name);
	setsockopt(p->fd, SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof(zero)); /* where the kernel has it */
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->max_frame = 65535 + ETH_HEAD;
	return 0;
}

/* A socket that hung up may still hold frames (see lib/proto/msg.c, msg_recv):
 * only an empty queue is the end. */
static bool gone(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };
	uint8_t byte;
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) &&
	       recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

static void seqpacket_recv(struct port *p, struct rx *rx, uint32_t events)
{
	(void)events; /* the socket itself says whether it has ended */
	struct mmsghdr m[RX_BATCH];
	struct iovec iov[RX_BATCH];
	for (unsigned i = 0; i < RX_BATCH; i++) {
		iov[i] = (struct iovec){ rx_buffer(rx, i), RX_ROOM - RX_HEADROOM };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	int n = recvmmsg(p->fd, m, RX_BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
	if (n < 0) {
		rx->hangup = errno != EAGAIN && errno != EINTR && errno != ENOBUFS && errno != ENOMEM;
		return;
	}
	for (int i = 0; i < n; i++) {
		size_t wire = m[i].msg_len, room = iov[i].iov_len;
		if (wire == 0 && gone(p->fd)) {
			rx->hangup = true;
			return;
		}
		rx_put(rx, iov[i].iov_base, wire < room ? wire : room, wire);
	}
}

/* ---- TAP ----------------------------------------------------------------- */

static int tap_open(struct port *p, struct err *e)
{
	(void)e;
	p->max_frame = 65535 + ETH_HEAD;
	return 0;
}

static void tap_recv(struct port *p, struct rx *rx, uint32_t events)
{
	(void)events;
	while (rx->n < RX_BATCH) {
		uint8_t *b = rx_buffer(rx, rx->n);
		ssize_t n = read(p->fd, b, RX_ROOM - RX_HEADROOM);
		if (n < 0) {
			/* EIO: the interface is down for now. */
			rx->hangup = errno == EBADFD || errno == EBADF;
			return;
		}
		if (n == 0)
			return;
		rx_put(rx, b, (size_t)n, (size_t)n);
	}
}

static int tap_send(struct port *p, struct slice bytes)
{
	ssize_t n;
	do
		n = write(p->fd, bytes.p, bytes.n);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* ---- memory -------------------------------------------------------------- */

static int memory_open(struct port *p, struct err *e)
{
	(void)e;
	p->max_frame = 65535 + ETH_HEAD;
	return 0;
}

static void memory_recv(struct port *p, struct rx *rx, uint32_t events)
{
	(void)p;
	(void)rx;
	(void)events;
}

static int memory_send(struct port *p, struct slice bytes)
{
	if (p->sink)
		p->sink(p->sink_arg, p, bytes);
	return 0;
}

const struct port_ops port_memory = { "memory", .open = memory_open, .recv = memory_recv, .send = memory_send };

static const struct port_ops seqpacket = { "seqpacket", .open = seqpacket_open, .recv = seqpacket_recv,
					   .send = socket_send };
static const struct port_ops tap = { "tap", .open = tap_open, .recv = tap_recv, .send = tap_send };

static const struct port_ops *const kinds[PORT_KIND_COUNT] = {
	[PORT_SEQPACKET] = &seqpacket,
	[PORT_TAP] = &tap,
	[PORT_PACKET] = &port_packet,
};

const struct port_ops *port_ops_of(unsigned kind)
{
	return kind < PORT_KIND_COUNT ? kinds[kind] : NULL;
}
