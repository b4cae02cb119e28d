/* SPDX-License-Identifier: ISC */
/*
 * Ports of kind PACKET: an AF_PACKET socket on an interface that only we use.
 *
 * Theory of operation. The kernel writes frames into a ring that is mapped here
 * (TPACKET_V2, Documentation/networking/packet_mmap.rst); a batch of them is
 * judged where they lie, and given back after that. Its entries hold frames of
 * an ordinary MTU; a longer one is in the socket's queue as well
 * (PACKET_COPY_THRESH) and is read from there. TPACKET_V3 is cheaper to read,
 * but hands frames over by blocks and a timer: about a millisecond that an
 * intruder would measure.
 *
 * Frames that leave are collected while a batch is judged, and sent by one
 * system call at its end, straight from where they were received.
 *
 * The kernel takes 802.1Q tags out of the frame: they are put back, or a tagged
 * frame would look untagged. PACKET_RESERVE makes the room for that.
 */
#include "proc/gateway/port.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RING_FRAMES = 4096, RING_ROOM = 2048, RING_BLOCK = 64 << 10, RESERVE = 16 };
#define SOCKET_BYTES (4 << 20)

static int option(struct port *p, int name, const void *v, socklen_t n, const char *what, struct err *e)
{
	if (setsockopt(p->fd, SOL_PACKET, name, v, n) < 0)
		return err_sys(e, -errno, "port %s: %s", p->conf.name, what);
	return 0;
}

static int packet_open(struct port *p, struct err *e)
{
	static const struct tpacket_req req = { .tp_block_size = RING_BLOCK,
						.tp_block_nr = RING_FRAMES / (RING_BLOCK / RING_ROOM),
						.tp_frame_size = RING_ROOM,
						.tp_frame_nr = RING_FRAMES };
	int one = 1, size = SOCKET_BYTES, version = TPACKET_V2, reserve = RESERVE;
	int r = option(p, PACKET_IGNORE_OUTGOING, &one, sizeof(one), "not an AF_PACKET socket", e);
	if (!r)
		r = option(p, PACKET_VERSION, &version, sizeof(version), "cannot set the ring's version", e);
	if (!r)
		r = option(p, PACKET_RESERVE, &reserve, sizeof(reserve), "cannot keep room for tags", e);
	if (!r)
		r = option(p, PACKET_COPY_THRESH, &one, sizeof(one), "cannot have long frames queued", e);
	if (!r)
		r = option(p, PACKET_RX_RING, &req, sizeof(req), "cannot make the ring of received frames", e);
	if (r)
		return r;
	size_t bytes = (size_t)req.tp_block_size * req.tp_block_nr;
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->fd, 0);
	if (map == MAP_FAILED)
		return err_sys(e, -errno, "port %s: cannot map the ring of received frames", p->conf.name);
	p->ring_rx = (struct packet_ring){ .map = map, .size = bytes, .frames = RING_FRAMES };
	setsockopt(p->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	p->max_frame = 65535 + ETH_HEAD;
	return 0;
}

static struct tpacket2_hdr *entry(const struct packet_ring *r, uint32_t i)
{
	return (struct tpacket2_hdr *)(void *)(r->map + (size_t)(i % r->frames) * RING_ROOM);
}

/* Puts the tag back in front of the EtherType, into the room before the frame. */
static uint8_t *retag(uint8_t *b, size_t *n, const struct tpacket2_hdr *h)
{
	if (!(h->tp_status & TP_STATUS_VLAN_VALID) || *n < 12)
		return b;
	uint16_t tpid = h->tp_status & TP_STATUS_VLAN_TPID_VALID ? h->tp_vlan_tpid : ETH_P_8021Q;
	memmove(b - 4, b, 12);
	b -= 4;
	b[12] = (uint8_t)(tpid >> 8);
	b[13] = (uint8_t)tpid;
	b[14] = (uint8_t)(h->tp_vlan_tci >> 8);
	b[15] = (uint8_t)h->tp_vlan_tci;
	*n += 4;
	return b;
}

static void take(struct port *p, struct rx *rx, const struct tpacket2_hdr *h)
{
	uint8_t *b = (uint8_t *)(uintptr_t)h + h->tp_mac;
	size_t have = h->tp_snaplen, wire = h->tp_len;
	if (h->tp_status & TP_STATUS_COPY) {
		ssize_t n = recv(p->fd, rx_buffer(rx, rx->n), RX_ROOM - RX_HEADROOM, MSG_DONTWAIT | MSG_TRUNC);
		if (n >= 0) {
			b = rx_buffer(rx, rx->n);
			wire = (size_t)n;
			have = wire < RX_ROOM - RX_HEADROOM ? wire : RX_ROOM - RX_HEADROOM;
		}
	}
	size_t was = have;
#ifndef MUTANT_PACKET_UNTAGGED
	b = retag(b, &have, h);
#endif
	rx_put(rx, b, have, wire + (have - was));
	rx->frame[rx->n - 1].unsummed = h->tp_status & TP_STATUS_CSUMNOTREADY;
}

static void packet_recv(struct port *p, struct rx *rx, uint32_t events)
{
	struct packet_ring *r = &p->ring_rx;
	(void)events;
	while (rx->n < RX_BATCH) {
		struct tpacket2_hdr *h = entry(r, r->next + r->taken);
		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			break;
		take(p, rx, h);
		r->taken++;
	}
	if (rx->n)
		return;
	/* Nothing there: an error then. The interface may only be down for now. */
	struct sockaddr_ll sa = { .sll_ifindex = 0 };
	int code = 0;
	socklen_t n = sizeof(code), len = sizeof(sa);
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &n) < 0)
		code = errno;
	rx->hangup = code == EBADF || (code && !getsockname(p->fd, (struct sockaddr *)&sa, &len) && sa.sll_ifindex < 0);
}

static void packet_release(struct port *p)
{
	struct packet_ring *r = &p->ring_rx;
	for (; r->taken; r->taken--, r->next++)
		__atomic_store_n(&entry(r, r->next)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static unsigned packet_flush(struct port *p)
{
	struct mmsghdr m[TX_BATCH];
	struct iovec iov[TX_BATCH];
	unsigned n = p->nqueued, sent = 0, lost = 0;
	for (unsigned i = 0; i < n; i++) {
		iov[i] = (struct iovec){ (void *)(uintptr_t)p->queued[i].p, p->queued[i].n };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	p->nqueued = 0;
	while (sent < n) {
		int r = sendmmsg(p->fd, m + sent, n - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (r > 0) {
			sent += (unsigned)r;
		} else if (r == 0 || errno != EINTR) {
			/* This one cannot be sent; those behind it may. */
			sent++;
			lost++;
		}
	}
	return lost;
}

static int packet_queue(struct port *p, struct slice bytes)
{
	p->queued[p->nqueued++] = bytes;
	return 0;
}

static int packet_send(struct port *p, struct slice bytes)
{
	ssize_t n;
	do
		n = send(p->fd, bytes.p, bytes.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

static void packet_close(struct port *p)
{
	if (p->ring_rx.map)
		munmap(p->ring_rx.map, p->ring_rx.size);
	p->ring_rx = (struct packet_ring){ 0 };
}

const struct port_ops port_packet = { "packet",     packet_open,  packet_recv,    packet_send,
				      packet_queue, packet_flush, packet_release, packet_close };
