/* SPDX-License-Identifier: ISC */
/*
 * The place of a network's sinkhole: a network namespace of its own that holds one
 * interface, whose other end is a port fd for the gateway, and in which every
 * address is this machine.
 *
 * Theory of operation. What comes in by the interface is looked up in a routing
 * table that knows one route, "everything is local"; what goes out is looked up in
 * the main table, which knows one too, "everything is behind the interface". So
 * the services play any destination, honeypots' own addresses included, and answer
 * whoever called. The sockets are transparent (IP_TRANSPARENT), or the kernel
 * would not answer from an address that no interface has. The interface speaks no
 * ARP and no ND: a frame goes to its own MAC, and the gateway knows better.
 * Answers look as if they had come some hops.
 *
 * There is no other interface and no route to one: whoever owns the process that
 * serves the sockets is still behind the gateway.
 */
#include "base/log.h"
#include "base/text.h"
#include "proc/priv/hub.h"
#include "proc/priv/netlink.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NAME "eth0"
#define TABLE_IN 100
#define TABLE_MAIN 254
#define HUB_INDEX 1300u /* of the veth ends here: see UP_INDEX in lab.c */

static int enter(int ns, struct err *e)
{
	return setns(ns, CLONE_NEWNET) < 0 ? err_sys(e, -errno, "cannot enter a network namespace") : 0;
}

static int our_ns(struct err *e)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys(e, -errno, "cannot open /proc/self/ns/net") : fd;
}

static void hub_name(uint32_t net, char out[IFNAMSIZ])
{
	snprintf(out, IFNAMSIZ, "sink%u", net);
}

/* Of a host as far away as most are. */
static void look_distant(const uint8_t mac[6])
{
	char ttl[8];
	snprintf(ttl, sizeof(ttl), "%u", 52u + mac[5] % 9u);
	lab_sysctl("ipv4/ip_default_ttl", ttl);
	lab_sysctl("ipv6/conf/all/hop_limit", ttl);
	lab_sysctl("ipv6/conf/default/hop_limit", ttl);
}

/* In the new namespace, before it has the interface. */
static void settings(const uint8_t mac[6])
{
	static const char *const set[][2] = {
		{ "ipv4/ip_forward", "0" },
		{ "ipv4/conf/all/rp_filter", "0" },
		{ "ipv4/conf/default/rp_filter", "0" },
		{ "ipv4/conf/default/accept_local", "1" },
		{ "ipv4/conf/all/accept_redirects", "0" },
		{ "ipv4/conf/default/accept_redirects", "0" },
		{ "ipv4/conf/all/send_redirects", "0" },
		{ "ipv4/conf/default/send_redirects", "0" },
		{ "ipv4/ip_unprivileged_port_start", "0" },
		{ "ipv6/conf/all/forwarding", "0" },
		{ "ipv6/conf/default/disable_ipv6", "0" },
		{ "ipv6/conf/default/addr_gen_mode", "1" },
		{ "ipv6/conf/default/accept_ra", "0" },
		{ "ipv6/conf/default/autoconf", "0" },
		{ "ipv6/conf/default/accept_dad", "0" },
		{ "ipv6/conf/default/dad_transmits", "0" },
		{ "ipv6/conf/default/router_solicitations", "0" },
	};
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		lab_sysctl(set[i][0], set[i][1]);
	look_distant(mac);
}

/* In the namespace: the interface is there. */
static int furnish(int nl, int sk, const uint8_t mac[6], bool tap, struct err *e)
{
	unsigned lo = nl_index(sk, "lo"), index = nl_index(sk, NAME);
	int r = 0;
	if (tap && (r = nl_link_mac(nl, index, mac)) < 0)
		return err_sys(e, r, "cannot set the MAC of the sinkhole");
	if (!tap && (r = nl_offloads_off(sk, NAME)) < 0)
		return err_sys(e, r, "cannot switch off the offloads of the sinkhole");
	if ((r = nl_link_up(nl, lo)) < 0)
		return err_sys(e, r, "cannot switch on the loopback of the sinkhole");
	if ((r = hub_wake(sk, NAME, e)) < 0)
		return r;
	for (uint8_t family = 4; family <= 6; family += 2) {
		r = nl_rule_in(nl, family, NAME, TABLE_IN);
		if (!r)
			r = nl_route_all(nl, family, true, lo, TABLE_IN);
		if (!r)
			r = nl_route_all(nl, family, false, index, TABLE_MAIN);
		if (r < 0 && family == 6) {
			log_warn("the sinkhole has no IPv6: %s", strerror(-r));
			return 0;
		}
		if (r < 0)
			return err_sys(e, r, "cannot set the routes of the sinkhole");
	}
	return 0;
}

/* The hub's end of a veth pair, where there is no TAP. */
static int make_veth(uint32_t net, const uint8_t mac[6], int ns, struct err *e)
{
	char up[IFNAMSIZ];
	hub_name(net, up);
	return hub_veth(up, HUB_INDEX + net, NAME, mac, ns, e);
}

/* Makes namespace and interface; returns the port. This process is back in `hub`
 * afterwards. */
static int make(struct sink *s, uint32_t net, const uint8_t mac[6], int hub, uint32_t *kind, struct err *e)
{
#ifndef MUTANT_SINK_LEAKS
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, -errno, "cannot make the network namespace of the sinkhole");
#endif
	int port = -1, nl = -1, sk = -1, r = s->ns = our_ns(e);
	if (r >= 0) {
		settings(mac);
		port = lab_open_tap(NAME);
		*kind = port >= 0 ? PORT_TAP : PORT_PACKET;
		r = port >= 0 ? 0 : enter(hub, e);
	}
	if (r >= 0 && port < 0 && (r = port = make_veth(net, mac, s->ns, e)) >= 0)
		r = enter(s->ns, e);
	if (r >= 0 && (r = nl = nl_open(e)) >= 0) {
		sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		r = sk < 0 ? err_sys(e, -errno, "cannot make a socket") : furnish(nl, sk, mac, *kind == PORT_TAP, e);
	}
	if (nl >= 0)
		close(nl);
	if (sk >= 0)
		close(sk);
	if (r < 0 && port >= 0)
		close(port);
	int back = enter(hub, r < 0 ? NULL : e);
	return r < 0 ? r : back < 0 ? back : port;
}

int verb_sink(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_sink *v = MSG_BODY_AS(m, priv_sink);
	uint32_t kind = 0;
	if (v->net >= MODEL_NETS || (v->mac[0] & 1))
		return err_set(e, -ERANGE, "sinkhole: network %u, or no unicast MAC", v->net);
	struct sink *s = &p->sinks[v->net];
	if (s->up)
		return err_set(e, -EEXIST, "network %u has a sinkhole already", v->net);
	int hub = our_ns(e);
	if (hub < 0)
		return hub;
	*s = (struct sink){ .up = true, .ns = -1 };
	int port = make(s, v->net, v->mac, hub, &kind, e), ns = -1;
	if (port >= 0 && (ns = fcntl(s->ns, F_DUPFD_CLOEXEC, 0)) < 0) {
		close(port);
		port = err_sys(e, -errno, "cannot copy an fd");
	}
	close(hub);
	if (port < 0) {
		sink_end(p, v->net);
		return port;
	}
	r->done.kind = kind;
	r->fds[r->nfds++] = port;
	r->fds[r->nfds++] = ns;
	return 0;
}

void sink_end(struct priv *p, uint32_t net)
{
	struct sink *s = &p->sinks[net];
	char up[IFNAMSIZ];
	if (!s->up)
		return;
	spawn_kill(&p->sinkholes[net]);
	hub_name(net, up);
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), nl = nl_open(NULL);
	unsigned index = sk < 0 ? 0 : nl_index(sk, up);
	if (index && nl >= 0)
		nl_link_del(nl, index);
	if (sk >= 0)
		close(sk);
	if (nl >= 0)
		close(nl);
	if (s->ns >= 0)
		close(s->ns);
	*s = (struct sink){ .ns = -1 };
}

int verb_sink_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_sink *v = MSG_BODY_AS(m, priv_sink);
	(void)r;
	if (v->net >= MODEL_NETS || !p->sinks[v->net].up)
		return err_set(e, -ENOENT, "network %u has no sinkhole", v->net);
	sink_end(p, v->net);
	return 0;
}

/* ---- sockets ------------------------------------------------------------------ */

static int service(int family, int type, uint16_t port, struct err *e)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	int on = 1, off = 0, fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool is6 = family == AF_INET6;
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a socket of the sinkhole");
	int r = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r |= setsockopt(fd, is6 ? SOL_IPV6 : SOL_IP, is6 ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, sizeof(on));
	if (is6)
		r |= setsockopt(fd, SOL_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (type == SOCK_DGRAM)
		r |= setsockopt(fd, is6 ? SOL_IPV6 : SOL_IP, is6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof(on));
	if (!r)
		r = is6 ? bind(fd, (struct sockaddr *)&six, sizeof(six))
			: bind(fd, (struct sockaddr *)&four, sizeof(four));
	if (!r && type == SOCK_STREAM)
		r = listen(fd, 256);
	if (!r)
		return fd;
	r = err_sys(e, -errno, "cannot make the sinkhole's socket of port %u", port);
	close(fd);
	return r;
}

int sink_sockets(struct priv *p, uint32_t net, int fds[SINK_SERVICES], struct err *e)
{
	static const struct {
		uint16_t port;
		int type;
	} services[SINK_SERVICES] = { { 25, SOCK_STREAM }, { 80, SOCK_STREAM }, { 9, SOCK_STREAM }, { 9, SOCK_DGRAM } };
	int hub = our_ns(e), r, n = 0;
	if (hub < 0)
		return hub;
	if ((r = enter(p->sinks[net].ns, e)) < 0) {
		close(hub);
		return r;
	}
	/* One socket for both families, where the kernel knows IPv6. */
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0), family = probe < 0 ? AF_INET : AF_INET6;
	if (probe >= 0)
		close(probe);
	for (; n < SINK_SERVICES && r >= 0; n++)
		r = fds[n] = service(family, services[n].type, services[n].port, e);
	int back = enter(hub, r < 0 ? NULL : e);
	close(hub);
	if (r >= 0 && back == 0)
		return 0;
	for (int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r < 0 ? r : back;
}
