/* SPDX-License-Identifier: ISC */
#include "proc/priv/netlink.h"

#include "base/text.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Formats: rtnetlink(7); <linux/rtnetlink.h>, <linux/if_link.h>. */
struct req {
	struct nlmsghdr h;
	uint8_t data[1024];
};

int nl_open(struct err *e)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0)
		return err_sys(e, -errno, "cannot make a netlink socket");
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		int r = err_sys(e, -errno, "cannot bind a netlink socket");
		close(fd);
		return r;
	}
	return fd;
}

/* All requests are built from fixed-size parts: they always fit. */
static void *append(struct req *q, const void *data, size_t n)
{
	size_t at = NLMSG_ALIGN(q->h.nlmsg_len);
	void *p = (uint8_t *)q + at;
	if (at + NLMSG_ALIGN(n) > sizeof(*q))
		abort();
	memset(p, 0, NLMSG_ALIGN(n));
	if (data)
		memcpy(p, data, n);
	q->h.nlmsg_len = (uint32_t)(at + NLMSG_ALIGN(n));
	return p;
}

static void start(struct req *q, uint16_t type, uint16_t flags, const void *body, size_t n)
{
	q->h = (struct nlmsghdr){ .nlmsg_len = NLMSG_HDRLEN,
				  .nlmsg_type = type,
				  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags };
	append(q, body, n);
}

static void put(struct req *q, uint16_t type, const void *data, size_t n)
{
	struct rtattr a = { .rta_len = (uint16_t)RTA_LENGTH(n), .rta_type = type };
	append(q, &a, sizeof(a));
	append(q, data, n);
}

static void put_text(struct req *q, uint16_t type, const char *text)
{
	put(q, type, text, strlen(text) + 1);
}

static void put_u32(struct req *q, uint16_t type, uint32_t v)
{
	put(q, type, &v, sizeof(v));
}

static struct rtattr *nest(struct req *q, uint16_t type)
{
	struct rtattr a = { .rta_len = sizeof(a), .rta_type = type };
	return append(q, &a, sizeof(a));
}

static void nest_end(struct req *q, struct rtattr *a)
{
	a->rta_len = (uint16_t)((uint8_t *)q + q->h.nlmsg_len - (uint8_t *)a);
}

static int talk(int fd, struct req *q)
{
	static uint32_t seq;
	union {
		struct nlmsghdr h;
		uint8_t b[8192];
	} in;
	q->h.nlmsg_seq = ++seq;
	if (send(fd, q, q->h.nlmsg_len, 0) < 0)
		return -errno;
	for (;;) {
		ssize_t n = recv(fd, &in, sizeof(in), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if ((size_t)n < NLMSG_LENGTH(sizeof(struct nlmsgerr)) || in.h.nlmsg_seq != seq)
			continue;
		if (in.h.nlmsg_type == NLMSG_ERROR)
			return ((struct nlmsgerr *)NLMSG_DATA(&in.h))->error;
	}
}

int nl_link_up(int fd, unsigned index)
{
	struct req q;
	struct ifinfomsg i = { .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	start(&q, RTM_NEWLINK, 0, &i, sizeof(i));
	return talk(fd, &q);
}

int nl_link_del(int fd, unsigned index)
{
	struct req q;
	struct ifinfomsg i = { .ifi_index = (int)index };
	start(&q, RTM_DELLINK, 0, &i, sizeof(i));
	return talk(fd, &q);
}

int nl_link_mac(int fd, unsigned index, const uint8_t mac[6])
{
	struct req q;
	struct ifinfomsg i = { .ifi_index = (int)index };
	start(&q, RTM_NEWLINK, 0, &i, sizeof(i));
	put(&q, IFLA_ADDRESS, mac, 6);
	return talk(fd, &q);
}

int nl_veth(int fd, const char *name, unsigned index, const char *peer, const uint8_t mac[6], int peer_ns)
{
	struct req q;
	struct ifinfomsg i = { .ifi_index = (int)index };
	start(&q, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &i, sizeof(i));
	i.ifi_index = 0;
	put_text(&q, IFLA_IFNAME, name);
	struct rtattr *info = nest(&q, IFLA_LINKINFO);
	put_text(&q, IFLA_INFO_KIND, "veth");
	struct rtattr *data = nest(&q, IFLA_INFO_DATA), *other = nest(&q, VETH_INFO_PEER);
	append(&q, &i, sizeof(i));
	put_text(&q, IFLA_IFNAME, peer);
	put(&q, IFLA_ADDRESS, mac, 6);
	put_u32(&q, IFLA_NET_NS_FD, (uint32_t)peer_ns);
	nest_end(&q, other);
	nest_end(&q, data);
	nest_end(&q, info);
	return talk(fd, &q);
}

static uint8_t family(const struct addr *a)
{
	return a->family == 4 ? AF_INET : AF_INET6;
}

static size_t addr_size(const struct addr *a)
{
	return a->family == 4 ? 4 : 16;
}

int nl_addr(int fd, bool add, unsigned index, const struct addr *a)
{
	struct req q;
	struct ifaddrmsg m = { .ifa_family = family(a), .ifa_prefixlen = a->plen, .ifa_index = index };
	start(&q, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_EXCL : 0, &m, sizeof(m));
	put(&q, IFA_LOCAL, a->b, addr_size(a));
	put(&q, IFA_ADDRESS, a->b, addr_size(a));
	put_u32(&q, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE | IFA_F_PERMANENT);
	if (a->family == 4 && add && a->plen < 31) {
		struct addr b = addr_last(a);
		put(&q, IFA_BROADCAST, b.b, 4);
	}
	return talk(fd, &q);
}

static int route(int fd, uint16_t type, uint16_t flags, struct rtmsg m, unsigned index, const struct addr *prefix,
		 const struct addr *source)
{
	struct req q;
	struct addr net = addr_net(prefix);
	m.rtm_family = family(prefix);
	m.rtm_dst_len = prefix->plen;
	m.rtm_table = RT_TABLE_MAIN;
	m.rtm_protocol = RTPROT_STATIC;
	start(&q, type, flags, &m, sizeof(m));
	put(&q, RTA_DST, net.b, addr_size(prefix));
	put_u32(&q, RTA_OIF, index);
	if (source)
		put(&q, RTA_PREFSRC, source->b, addr_size(source));
	return talk(fd, &q);
}

int nl_route_link(int fd, unsigned index, const struct addr *prefix, const struct addr *source)
{
	struct rtmsg m = { .rtm_type = RTN_UNICAST, .rtm_scope = RT_SCOPE_LINK };
	return route(fd, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, m, index, prefix, source);
}

int nl_route_local(int fd, bool add, unsigned lo, const struct addr *prefix)
{
	struct rtmsg m = { .rtm_type = RTN_LOCAL, .rtm_scope = RT_SCOPE_HOST };
	return route(fd, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, m, lo, prefix,
		     NULL);
}

int nl_route_all(int fd, uint8_t af, bool local, unsigned index, uint8_t table)
{
	struct req q;
	struct rtmsg m = { .rtm_family = af == 4 ? AF_INET : AF_INET6,
			   .rtm_table = table,
			   .rtm_protocol = RTPROT_STATIC,
			   .rtm_type = local ? RTN_LOCAL : RTN_UNICAST,
			   .rtm_scope = local ? RT_SCOPE_HOST : RT_SCOPE_LINK };
	start(&q, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &m, sizeof(m));
	put_u32(&q, RTA_OIF, index);
	return talk(fd, &q);
}

int nl_rule_in(int fd, uint8_t af, const char *name, uint8_t table)
{
	struct req q;
	struct fib_rule_hdr h = { .family = af == 4 ? AF_INET : AF_INET6, .table = table, .action = FR_ACT_TO_TBL };
	start(&q, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, &h, sizeof(h));
	put_text(&q, FRA_IIFNAME, name);
	return talk(fd, &q);
}

unsigned nl_index(int sk, const char *name)
{
	struct ifreq r = { 0 };
	text_copy(r.ifr_name, IFNAMSIZ, name);
	return ioctl(sk, SIOCGIFINDEX, &r) < 0 ? 0 : (unsigned)r.ifr_ifindex;
}

int nl_wait_running(int sk, const char *name)
{
	struct ifreq r = { 0 };
	text_copy(r.ifr_name, IFNAMSIZ, name);
	for (int i = 0; i < 500; i++) {
		if (ioctl(sk, SIOCGIFFLAGS, &r) < 0)
			return -errno;
		if (r.ifr_flags & IFF_RUNNING)
			return 0;
		usleep(1000);
	}
	return -ETIMEDOUT;
}

static int ethtool(int sk, const char *name, void *cmd)
{
	struct ifreq r = { 0 };
	text_copy(r.ifr_name, IFNAMSIZ, name);
	r.ifr_data = cmd;
	return ioctl(sk, SIOCETHTOOL, &r) < 0 ? -errno : 0;
}

static bool feature_unwanted(const char *name)
{
	return !strncmp(name, "tx-", 3) || !strncmp(name, "rx-gro", 6) || !strncmp(name, "rx-vlan", 7) ||
	       !strncmp(name, "rx-udp-gro", 10) || !strncmp(name, "rx-lro", 6);
}

/* By the kernel's own names of its features (net/ethtool/common.c): their
 * numbers are not fixed. */
int nl_offloads_off(int sk, const char *name)
{
	enum { MAX = 256 };
	struct {
		struct ethtool_sset_info h;
		uint32_t count;
	} info = { .h = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	static struct {
		struct ethtool_gstrings h;
		char text[MAX][ETH_GSTRING_LEN];
	} strings;
	struct {
		struct ethtool_sfeatures h;
		struct ethtool_set_features_block b[MAX / 32];
	} set = { .h.cmd = ETHTOOL_SFEATURES };
	int r = ethtool(sk, name, &info);
	if (r < 0)
		return r;
	if (!info.h.sset_mask || info.count > MAX)
		return -EOPNOTSUPP;
	strings.h =
	    (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = info.count };
	if ((r = ethtool(sk, name, &strings)) < 0)
		return r;
	set.h.size = (info.count + 31) / 32;
	for (uint32_t i = 0; i < info.count; i++) {
		strings.text[i][ETH_GSTRING_LEN - 1] = 0;
		if (feature_unwanted(strings.text[i]))
			set.b[i / 32].valid |= 1u << i % 32;
	}
	return ethtool(sk, name, &set);
}
