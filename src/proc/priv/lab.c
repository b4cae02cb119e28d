/* SPDX-License-Identifier: ISC */
/*
 * The lab: the outside world of a honeynet whose uplink is the lab, as one
 * network namespace in which a person or a script plays the intruder.
 *
 * Theory of operation. For each network the lab holds an interface ethN with
 * the addresses of the network's routers; the other side of the interface is a
 * port fd for the gateway, and nothing else leads out. With /dev/net/tun ethN
 * is a TAP and the port is its fd. Where that cannot be opened, ethN is one
 * end of a veth pair; the other end is in our own network namespace (the hub),
 * where an AF_PACKET socket is bound to it and no protocol runs on it.
 *
 * The prefixes that the lab plays are local routes: every address in them is
 * this machine ("AnyIP"), so that the intruder may use any as source, and
 * honeypots may call any. The first host address of each stands on lo, and is
 * what connections to honeypots come from unless the intruder binds another.
 * ARP and ND announce the router's address all the same, as a router would.
 *
 * There are no frames of the kernel's own making that an ordinary router would
 * not send: no router solicitation, no duplicate address detection; and none
 * with half a checksum, since the port stands for a wire.
 */
#include "base/log.h"
#include "base/text.h"
#include "proc/priv/netlink.h"
#include "proc/priv/state.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT_BUFFER (2 << 20)
/* Ends of veth pairs in the hub. If both ends of a pair had the same index in
 * their namespaces, which is likely otherwise, the kernel (net/core/link_watch.c)
 * would take up to a second to notice that they are connected. */
#define UP_INDEX 1000u

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

/* /proc/sys/net is that of the namespace that the writer is in. */
void lab_sysctl(const char *path, const char *value)
{
	char full[160];
	snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	int fd = open(full, O_WRONLY | O_CLOEXEC);
	int r = fd < 0 || write(fd, value, strlen(value)) < 0 ? errno : 0;
	if (fd >= 0)
		close(fd);
	/* ENOENT: a kernel without IPv6, or an older one. */
	if (r && r != ENOENT)
		log_warn("lab: cannot set %s to %s: %s", full, value, strerror(r));
}

static void sysctls_lab(void)
{
	/* Not all begin at their defaults: a new namespace copies the IPv4
	 * ones of the host. */
	static const char *const set[][2] = {
		{ "ipv4/ip_forward", "0" },
		{ "ipv4/conf/all/rp_filter", "0" },
		{ "ipv4/conf/default/rp_filter", "0" },
		{ "ipv4/conf/all/arp_announce", "2" },
		{ "ipv4/conf/default/arp_announce", "2" },
		{ "ipv4/conf/all/accept_redirects", "0" },
		{ "ipv4/conf/default/accept_redirects", "0" },
		{ "ipv4/ip_nonlocal_bind", "1" },
		{ "ipv4/ip_unprivileged_port_start", "0" },
		{ "ipv6/conf/all/forwarding", "0" },
		{ "ipv6/ip_nonlocal_bind", "1" },
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
}

static void sysctls_hub(void)
{
	lab_sysctl("ipv4/ip_forward", "0");
	lab_sysctl("ipv6/conf/all/disable_ipv6", "1");
	lab_sysctl("ipv6/conf/default/disable_ipv6", "1");
}

static int enter(int ns, struct err *e)
{
	return setns(ns, CLONE_NEWNET) < 0 ? err_sys(e, -errno, "cannot enter a network namespace") : 0;
}

static int open_socket(struct err *e)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? err_sys(e, -errno, "cannot make a socket") : fd;
}

static int made(int r, struct err *e, const char *what)
{
	return r < 0 ? err_sys(e, r, "cannot %s of the lab", what) : 0;
}

static int make_ns(struct lab *l, struct err *e)
{
	int r;
	l->hub = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (l->hub < 0)
		return err_sys(e, -errno, "cannot open /proc/self/ns/net");
	if ((r = l->hub_nl = nl_open(e)) < 0 || (r = l->hub_sk = open_socket(e)) < 0)
		return r;
	sysctls_hub();
	if (unshare(CLONE_NEWNET) < 0)
		return err_sys(e, -errno, "cannot make the network namespace of the lab");
	l->ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (l->ns < 0)
		r = err_sys(e, -errno, "cannot open /proc/self/ns/net");
	else if ((r = l->nl = nl_open(e)) >= 0 && (r = l->sk = open_socket(e)) >= 0) {
		sysctls_lab();
		l->lo = nl_index(l->sk, "lo");
		r = made(nl_link_up(l->nl, l->lo), e, "switch on the loopback");
	}
	int back = enter(l->hub, r < 0 ? NULL : e);
	return r < 0 ? r : back;
}

void lab_close(struct lab *l)
{
	int *fds[] = { &l->ns, &l->hub, &l->nl, &l->hub_nl, &l->sk, &l->hub_sk };
	/* Interfaces go with their namespace, but somebody may still be in it. */
	for (uint32_t i = 0; i < MODEL_NETS; i++) {
		char name[IFNAMSIZ];
		snprintf(name, sizeof(name), "eth%u", i);
		if (l->nets[i].up)
			nl_link_del(l->nl, nl_index(l->sk, name));
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	memset(l->nets, 0, sizeof(l->nets));
	l->nprefixes = 0;
	l->made = false;
}

/* -1 with errno if there is no TAP to be had: the caller takes a veth pair. */
int lab_open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	text_copy(r.ifr_name, IFNAMSIZ, name);
	if (ioctl(fd, TUNSETIFF, &r) < 0 || ioctl(fd, TUNSETOFFLOAD, 0) < 0) {
		int was = errno;
		close(fd);
		errno = was;
		return -1;
	}
	return fd;
}

int lab_open_packet(int sk, const char *name, struct err *e)
{
	unsigned index = nl_index(sk, name);
	struct sockaddr_ll sa = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)index };
	struct packet_mreq mr = { .mr_ifindex = (int)index, .mr_type = PACKET_MR_PROMISC };
	int on = 1, size = PORT_BUFFER;
	/* Protocol 0: nothing comes in before it is bound. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a packet socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int r = err_sys(e, -errno, "cannot bind a packet socket to the lab's interface");
		close(fd);
		return r;
	}
	return fd;
}

static int make_veth(struct lab *l, uint32_t net, const char *name, const char *up, const uint8_t mac[6], struct err *e)
{
	int r = nl_veth(l->hub_nl, up, UP_INDEX + net, name, mac, l->ns);
	if (r < 0)
		return err_sys(e, r, "cannot make the interface %s of the lab", name);
#ifndef MUTANT_PRIV_OFFLOAD
	if ((r = nl_offloads_off(l->sk, name)) < 0 || (r = nl_offloads_off(l->hub_sk, up)) < 0)
		return err_sys(e, r, "cannot switch off the offloads of %s", name);
#endif
	if ((r = nl_link_up(l->hub_nl, nl_index(l->hub_sk, up))) < 0)
		return err_sys(e, r, "cannot switch on %s", up);
	return lab_open_packet(l->hub_sk, up, e);
}

/* Makes ethN (still down) and returns its port. */
static int make_port(struct priv *p, uint32_t net, uint32_t *kind, struct err *e)
{
	struct lab *l = &p->lab;
	char name[IFNAMSIZ], up[IFNAMSIZ];
	uint8_t mac[6];
	snprintf(name, sizeof(name), "eth%u", net);
	snprintf(up, sizeof(up), "up%u", net);
	mac_auto(p->name, name, mac);
	int r = enter(l->ns, e);
	if (r < 0)
		return r;
	int fd = lab_open_tap(name), why = errno;
	r = enter(l->hub, e);
	if (fd < 0 && r == 0) {
		log_info("lab: no TAP (%s): a veth pair serves", strerror(why));
		*kind = PORT_PACKET;
		return make_veth(l, net, name, up, mac, e);
	}
	if (r == 0)
		r = made(nl_link_mac(l->nl, nl_index(l->sk, name), mac), e, "set the MAC");
	if (r < 0) {
		close(fd);
		return r;
	}
	*kind = PORT_TAP;
	return fd;
}

/* The modified EUI-64 of the interface, as routers have (RFC 4291, appendix A). */
static struct addr link_local(const struct priv *p, const char *name)
{
	uint8_t m[6];
	mac_auto(p->name, name, m);
	return (
	    struct addr){ .family = 6,
			  .plen = 64,
			  .b = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] } };
}

/* The address that stands for a prefix: its first host. Family 0 if that is no
 * address that a host may have. */
static struct addr first_host(const struct addr *prefix)
{
	struct addr a = *prefix;
	unsigned bits = a.family == 4 ? 32 : 128;
	if (a.plen < bits - 1)
		a.b[bits / 8 - 1] |= 1;
	a.plen = (uint8_t)bits;
	return addr_special(&a) ? (struct addr){ 0 } : a;
}

static int add_prefix(struct lab *l, const struct addr *prefix, struct err *e)
{
	struct lab_prefix *x = NULL;
	for (unsigned i = 0; i < l->nprefixes; i++)
		if (addr_equal(&l->prefixes[i].addr, prefix) && l->prefixes[i].addr.plen == prefix->plen)
			x = &l->prefixes[i];
	if (x) {
		x->users++;
		return 0;
	}
	struct addr host = first_host(prefix);
	int r = nl_route_local(l->nl, true, l->lo, prefix);
	if (r == 0 && host.family && (r = nl_addr(l->nl, true, l->lo, &host)) == -EEXIST)
		r = 0;
	if (r < 0) {
		char text[ADDR_TEXT];
		return err_sys(e, r, "cannot give %s to the lab", addr_text(prefix, text));
	}
	l->prefixes[l->nprefixes++] = (struct lab_prefix){ .addr = *prefix, .users = 1 };
	return 0;
}

static void del_prefix(struct lab *l, const struct addr *prefix)
{
	for (unsigned i = 0; i < l->nprefixes; i++) {
		struct lab_prefix *x = &l->prefixes[i];
		if (!addr_equal(&x->addr, prefix) || x->addr.plen != prefix->plen || --x->users)
			continue;
		struct addr host = first_host(prefix);
		nl_route_local(l->nl, false, l->lo, prefix);
		if (host.family)
			nl_addr(l->nl, false, l->lo, &host);
		*x = l->prefixes[--l->nprefixes];
		return;
	}
}

/* What connections into the network come from, or NULL. */
static const struct addr *source_for(const struct priv_lab *v, const struct addr *router, struct addr *buf)
{
	for (uint32_t i = 0; i < v->nlab; i++) {
		struct addr net = addr_net(router);
		*buf = first_host(&v->lab[i]);
		if (buf->family == net.family && !addr_in(&net, buf))
			return buf;
	}
	return NULL;
}

static int configure(struct priv *p, const struct priv_lab *v, struct err *e)
{
	struct lab *l = &p->lab;
	struct lab_net *n = &l->nets[v->net];
	char name[IFNAMSIZ], path[80];
	bool six = false;
	snprintf(name, sizeof(name), "eth%u", v->net);
	unsigned index = nl_index(l->sk, name);
	for (uint32_t i = 0; i < v->nrouters; i++)
		six |= v->routers[i].family == 6;
	if (!six) {
		int r = enter(l->ns, e);
		snprintf(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", name);
		if (r == 0)
			lab_sysctl(path, "1");
		if (r < 0 || (r = enter(l->hub, e)) < 0)
			return r;
	}
	int r = made(nl_link_up(l->nl, index), e, "switch on an interface");
	if (r == 0)
		r = made(nl_wait_running(l->sk, name), e, "connect an interface");
	if (r < 0)
		return r;
	for (; n->nlab < v->nlab; n->nlab++) {
		if ((r = add_prefix(l, &v->lab[n->nlab], e)) < 0)
			return r;
		n->lab[n->nlab] = v->lab[n->nlab];
	}
	if (six) {
		struct addr ll = link_local(p, name);
		if ((r = nl_addr(l->nl, true, index, &ll)) < 0 || (r = nl_route_link(l->nl, index, &ll, NULL)) < 0)
			return err_sys(e, r, "cannot give a link-local address to %s", name);
	}
	for (uint32_t i = 0; i < v->nrouters; i++) {
		const struct addr *a = &v->routers[i];
		struct addr buf;
		if ((r = nl_addr(l->nl, true, index, a)) < 0 ||
		    (r = nl_route_link(l->nl, index, a, source_for(v, a, &buf))) < 0) {
			char text[ADDR_TEXT];
			return err_sys(e, r, "cannot give %s to %s of the lab", addr_text(a, text), name);
		}
	}
	return 0;
}

static int remove_net(struct lab *l, uint32_t net)
{
	struct lab_net *n = &l->nets[net];
	char name[IFNAMSIZ];
	snprintf(name, sizeof(name), "eth%u", net);
	unsigned index = nl_index(l->sk, name);
	int r = index ? nl_link_del(l->nl, index) : 0;
	while (n->nlab)
		del_prefix(l, &n->lab[--n->nlab]);
	n->up = false;
	return r;
}

static bool addr_sane(const struct addr *a)
{
	return (a->family == 4 && a->plen <= 32) || (a->family == 6 && a->plen <= 128);
}

static int check(const struct priv *p, const struct priv_lab *v, struct err *e)
{
	if (v->net >= MODEL_NETS || v->nrouters > 2 || v->nlab > MODEL_LAB_ADDRS)
		return err_set(e, -ERANGE, "lab: network %u, %u routers, %u prefixes", v->net, v->nrouters, v->nlab);
	for (uint32_t i = 0; i < v->nrouters; i++)
		if (!addr_sane(&v->routers[i]) || v->routers[i].plen < 8 || addr_special(&v->routers[i]))
			return err_set(e, -EINVAL, "lab: router %u has no address that a host may have", i);
	for (uint32_t i = 0; i < v->nlab; i++)
		if (!addr_sane(&v->lab[i]) || addr_host_bits(&v->lab[i]))
			return err_set(e, -EINVAL, "lab: prefix %u is none", i);
	if (p->lab.nets[v->net].up)
		return err_set(e, -EEXIST, "lab: network %u is there already", v->net);
	return 0;
}

int verb_lab(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_lab *v = MSG_BODY_AS(m, priv_lab);
	struct lab *l = &p->lab;
	uint32_t kind = 0;
	int x = check(p, v, e);
	if (x < 0)
		return x;
	if (!l->made) {
		if ((x = make_ns(l, e)) < 0) {
			lab_close(l);
			return x;
		}
		l->made = true;
	}
	int port = make_port(p, v->net, &kind, e);
	x = port < 0 ? port : configure(p, v, e);
	if (x < 0) {
		if (port >= 0)
			close(port);
		remove_net(l, v->net);
		return x;
	}
	l->nets[v->net].up = true;
	r->done.kind = kind;
	r->fds[0] = port;
	r->nfds = 1;
	return 0;
}

int verb_lab_del(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_lab *v = MSG_BODY_AS(m, priv_lab);
	(void)r;
	if (v->net >= MODEL_NETS || !p->lab.nets[v->net].up)
		return err_set(e, -ENOENT, "lab: no network %u", v->net);
	int x = remove_net(&p->lab, v->net);
	return x < 0 ? err_sys(e, x, "cannot remove the lab's interface of network %u", v->net) : 0;
}

int verb_lab_fds(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	bool engine = MSG_BODY_AS(m, cmd_lab)->place == LAB_PLACE_ENGINE;
	if (engine && p->engine_ns < 0)
		return err_set(e, -ENOENT,
			       "there is no pair of interfaces for an appliance: the file has no engine: interfaces");
	if (!engine && !p->lab.made)
		return err_set(e, -ENOENT, "this honeynet has no lab");
	if (!p->root) {
		int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_sys(e, -errno, "cannot open /proc/self/ns/user");
		r->fds[r->nfds++] = fd;
		r->done.kind |= LAB_FD_USER;
	}
	int fd = fcntl(engine ? p->engine_ns : p->lab.ns, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, -errno, "cannot copy an fd"); /* the reply's fds are closed by the caller */
	r->fds[r->nfds++] = fd;
	r->done.kind |= LAB_FD_NET;
	return 0;
}
