/* SPDX-License-Identifier: ISC */
/*
 * Parts of the comparison of ways to build a gateway; arms.py puts them together.
 *
 *   arms_bench send IFACE SMAC DMAC SIZE COUNT RATE  UDP frames, RATE a second (0: as fast as it goes);
 *                                                   prints how many, and its own CPU-ns
 *   arms_bench nfqueue                               accepts what queue 0 holds, until SIGTERM
 *   arms_bench gateway SKEP DIR OUTER INNER          the real gateway between two interfaces, its frames
 *                                                   written to DIR by the real evidence process; prints
 *                                                   their pids, ends both when stdin ends
 */
#include "evproc.h"
#include "gwproc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RING (16u << 20)
enum { BATCH = 32 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;
	if (clock_gettime(id, &t) < 0)
		die("clock_gettime");
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		die(name);
	return fd;
}

/* ---- the load ------------------------------------------------------------ */

static int send_frames(char **a)
{
	static uint8_t frames[BATCH][2048];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	unsigned size = (unsigned)atoi(a[3]);
	uint64_t count = strtoull(a[4], NULL, 10), rate = strtoull(a[5], NULL, 10), sent = 0;
	int one = 1, none = 0, fd = packet_socket(a[0]);
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	/* It only sends. */
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(a[0]) };
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &none, sizeof(none)) < 0)
		die(a[0]);
	for (unsigned i = 0; i < BATCH; i++) {
		struct craft c = { .smac = a[1],
				   .dmac = a[2],
				   .src = "203.0.113.5",
				   .dst = "192.0.2.10",
				   .proto = 17,
				   .sport = (uint16_t)(4000 + i),
				   .dport = 5000,
				   .payload = size - 42 };
		size_t n = craft(&c, frames[i]);
		if (n != size)
			return 1;
		iov[i] = (struct iovec){ frames[i], n };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i], .msg_iovlen = 1 } };
	}
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID), began = clock_ns(CLOCK_MONOTONIC), pause = 0;
	while (sent < count) {
		int n = sendmmsg(fd, m, BATCH, 0);
		if (n < 0 && errno != ENOBUFS && errno != EAGAIN)
			die("sendmmsg");
		sent += n > 0 ? (uint64_t)n : 0;
		if (!rate)
			continue;
		/* Waiting is not what the frames cost. */
		uint64_t at = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
		while (clock_ns(CLOCK_MONOTONIC) - began < sent * 1000000000u / rate)
			;
		pause += clock_ns(CLOCK_PROCESS_CPUTIME_ID) - at;
	}
	printf("%llu %llu\n", (unsigned long long)sent,
	       (unsigned long long)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu - pause));
	return 0;
}

/* ---- NFQUEUE: linux/netfilter/nfnetlink_queue.h -------------------------- */

struct request {
	struct nlmsghdr h;
	struct nfgenmsg g;
	uint8_t attr[64];
};

static void attribute(struct request *r, uint16_t type, const void *p, uint16_t n)
{
	struct nlattr a = { .nla_len = (uint16_t)(NLA_HDRLEN + n), .nla_type = type };
	uint8_t *at = (uint8_t *)r + r->h.nlmsg_len;
	memcpy(at, &a, sizeof(a));
	memcpy(at + NLA_HDRLEN, p, n);
	r->h.nlmsg_len += NLA_ALIGN(a.nla_len);
}

static struct request request(unsigned what)
{
	return (struct request){ .h = { .nlmsg_len = NLMSG_LENGTH(sizeof(struct nfgenmsg)),
					.nlmsg_type = (uint16_t)(NFNL_SUBSYS_QUEUE << 8 | what),
					.nlmsg_flags = NLM_F_REQUEST } };
}

static void tell(int fd, const struct request *r)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	if (sendto(fd, r, r->h.nlmsg_len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("netlink");
}

static _Noreturn void nfqueue(void)
{
	static uint8_t buf[1 << 17];
	int size = 8 << 20, fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct nfqnl_msg_config_cmd bind_queue = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params params = { .copy_range = htonl(65535), .copy_mode = NFQNL_COPY_PACKET };
	uint32_t len = htonl(8192);
	struct request r = request(NFQNL_MSG_CONFIG);
	if (fd < 0)
		die("netlink");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	attribute(&r, NFQA_CFG_CMD, &bind_queue, sizeof(bind_queue));
	tell(fd, &r);
	r = request(NFQNL_MSG_CONFIG);
	attribute(&r, NFQA_CFG_PARAMS, &params, sizeof(params));
	attribute(&r, NFQA_CFG_QUEUE_MAXLEN, &len, sizeof(len));
	tell(fd, &r);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		for (struct nlmsghdr *h = (void *)buf; n > 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
			struct nlattr *a = (void *)((uint8_t *)NLMSG_DATA(h) + sizeof(struct nfgenmsg));
			if (h->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
			    a->nla_type != NFQA_PACKET_HDR)
				continue;
			struct nfqnl_msg_packet_hdr *p = (void *)((uint8_t *)a + NLA_HDRLEN);
			struct nfqnl_msg_verdict_hdr v = { .verdict = htonl(NF_ACCEPT), .id = p->packet_id };
			r = request(NFQNL_MSG_VERDICT);
			attribute(&r, NFQA_VERDICT_HDR, &v, sizeof(v));
			tell(fd, &r);
		}
	}
}

/* ---- the real processes -------------------------------------------------- */

static struct evproc ev;

static void port(struct gwproc *x, uint16_t id, const char *interface)
{
	struct gw_port conf = gwproc_conf(id, PORT_PACKET);
	struct ev_ring r = { .port = id, .uplink = id >= MODEL_HONEYPOTS, .network = "dmz" };
	int ring = ring_create(RING, NULL), wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	snprintf(r.name, sizeof(r.name), "%s", interface);
	evproc_ask(&ev, MSG_EV_RING, &r, sizeof(r), (int[]){ ring, wake }, 2);
	if (gwproc_command(x, MSG_GW_PORT, &conf, sizeof(conf), (int[]){ packet_socket(interface), ring, wake }, 3) < 0)
		die(interface);
}

static int gateway(const char *skep, const char *dir, const char *outer, const char *inner)
{
	struct gwproc x;
	struct gw_policy_entry policy = { .port = 0 };
	char byte;
	uint32_t zero = 0;
	int status, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		die(dir);
	evproc_start(&ev, skep, dirfd);
	struct ev_conf c = { .honeynet = "bench", .version = SKEP_VERSION, .conf = { .rotate_bytes = 1 << 30 } };
	evproc_ask(&ev, MSG_EV_CONF, &c, sizeof(c), NULL, 0);
	gwproc_start(&x, skep);
	port(&x, WORLD_UPLINK, outer);
	port(&x, 0, inner);
	if (gwproc_policy(&x, &policy, 1) < 0)
		die("policy");
	printf("%d %d\n", x.pid, ev.pid);
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	gwproc_command(&x, MSG_GW_STATS, &zero, sizeof(zero), NULL, 0);
	kill(x.pid, SIGKILL);
	gwproc_wait(&x);
	evproc_ask(&ev, MSG_EV_QUIT, &zero, sizeof(zero), NULL, 0);
	waitpid(ev.pid, &status, 0);
	return status ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "send") && argc == 8)
		return send_frames(argv + 2);
	if (!strcmp(what, "nfqueue") && argc == 2)
		nfqueue();
	if (!strcmp(what, "gateway") && argc == 6)
		return gateway(argv[2], argv[3], argv[4], argv[5]);
	fprintf(stderr, "usage: see the head of arms_bench.c\n");
	return 2;
}
