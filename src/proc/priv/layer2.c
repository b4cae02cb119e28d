/* SPDX-License-Identifier: ISC */
/*
 * The second layer of data control, in the kernel: what may come out of the
 * gateway's uplink port, whatever the gateway does - also one that an intruder
 * owns, and none at all.
 *
 * Theory of operation. The lab's interface ethN is the only way out of the port.
 * An nft chain of the family netdev, in the lab's network namespace, at ethN's
 * ingress, lets pass only what has a MAC of one of the network's honeypots and an
 * address that belongs to that MAC; no tags, no link protocols, no DHCP server,
 * no router advertisement, no redirect; and no more new TCP connections than all
 * policies together allow, with slack for retransmissions. The rules are made from
 * typed values and loaded by nft(8) in one transaction; they go with the interface.
 * The gateway has no right over them: it is in no user namespace that owns it.
 *
 * A packet socket on ethN itself (tcpdump in the lab) sees frames before this
 * chain does: the kernel hands them to such sockets first.
 */
#include "base/log.h"
#include "proc/priv/state.h"
#include "sandbox/caps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const programs[] = { "/usr/sbin/nft", "/sbin/nft" };
static const struct layer2_pot *pots;

struct text {
	FILE *f;
	bool some;
};

static void element(struct text *t, const uint8_t mac[6], const struct addr *a)
{
	char m[MAC_TEXT], ip[ADDR_TEXT];
	fprintf(t->f, "%s%s", t->some ? ", " : "", mac_text(mac, m));
	if (a) {
		struct addr one = *a;
		one.plen = a->family == 4 ? 32 : 128;
		fprintf(t->f, " . %s", addr_text(&one, ip));
	}
	t->some = true;
}

/* A set with its elements; an empty one has no elements at all. */
static void set(FILE *f, const char *name, const char *type, uint32_t n, int family)
{
	struct text t = { .f = f };
	fprintf(f, "	set %s { type %s;", name, type);
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *m = pots[i].mac;
		struct addr ll = { .family = 6,
				   .plen = 128,
				   .b = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4],
					  m[5] } };
		for (uint32_t k = 0; family && k < pots[i].naddrs; k++) {
			if (pots[i].addrs[k].family != family)
				continue;
			fputs(t.some ? "" : " elements = { ", f);
			element(&t, m, &pots[i].addrs[k]);
		}
		if (!family || family == 6) {
			fputs(t.some ? "" : " elements = { ", f);
			element(&t, m, family ? &ll : NULL);
		}
	}
	fprintf(f, "%s }\n", t.some ? " }" : "");
}

static void rules(FILE *f, const struct priv_layer2 *v)
{
	char dev[16];
	snprintf(dev, sizeof(dev), "eth%u", v->net);
	fprintf(f, "table netdev skep%u { }\ndelete table netdev skep%u\ntable netdev skep%u {\n", v->net, v->net,
		v->net);
	set(f, "macs", "ether_addr", v->n, 0);
	set(f, "pots4", "ether_addr . ipv4_addr", v->n, 4);
	set(f, "pots6", "ether_addr . ipv6_addr", v->n, 6);
	fprintf(f,
		"	chain from_gateway {\n"
		"		type filter hook ingress device \"%s\" priority -500; policy drop;\n"
		"		ether type { 8021q, 8021ad } counter drop\n"
		"		ether saddr != @macs counter drop\n"
		"		ether saddr . arp saddr ip @pots4 arp saddr ether @macs accept\n"
		"		arp saddr ip 0.0.0.0 arp saddr ether @macs accept\n"
		"		ether type ip udp sport 67 counter drop\n"
		"		icmp type redirect counter drop\n"
		"		ether type ip6 udp sport 547 counter drop\n"
		"		icmpv6 type { nd-router-advert, nd-redirect } counter drop\n",
		dev);
	if (v->tcp_hour)
		fprintf(
		    f,
		    "		ether type ip tcp flags & (syn | ack) == syn limit rate over %u/hour burst %u packets "
		    "counter drop\n"
		    "		ether type ip6 tcp flags & (syn | ack) == syn limit rate over %u/hour burst %u packets "
		    "counter drop\n",
		    v->tcp_hour, v->tcp_hour, v->tcp_hour, v->tcp_hour);
	fprintf(f, "		ether saddr . ip saddr @pots4 accept\n"
		   "		ip saddr 0.0.0.0 udp sport 68 udp dport 67 accept\n"
		   "		ether saddr . ip6 saddr @pots6 accept\n"
		   "		ip6 saddr :: icmpv6 type { nd-neighbor-solicit, 143 } accept\n"
		   "		counter drop\n"
		   "	}\n}\n");
}

/* In a child: nft in the lab's namespace, with the one capability that it needs. */
__attribute__((noreturn)) static void child(const char *nft, int ns, int in, int out)
{
	struct err e;
	char *const argv[] = { (char *)"nft", (char *)"-f", (char *)"-", NULL };
	char *const env[] = { NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (setns(ns, CLONE_NEWNET) < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0 ||
	    close_range(3, ~0u, 0) < 0 || caps_only(1ull << CAP_NET_ADMIN, &e) < 0)
		_exit(126);
	alarm(10);
	execve(nft, argv, env);
	_exit(127);
}

static int load(struct priv *p, const char *nft, int script, struct err *e)
{
	char said[256] = "";
	int fds[2], status = 0;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, -errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		child(nft, p->lab.ns, script, fds[1]);
	close(fds[1]);
	ssize_t n = pid > 0 ? read(fds[0], said, sizeof(said) - 1) : 0;
	said[n > 0 ? n : 0] = 0;
	said[strcspn(said, "\n")] = 0;
	close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, -EIO, "nft refuses the rules of the kernel's layer (wait status %#x): %s",
			       (unsigned)status, said[0] ? said : "no word");
	return 0;
}

static int check_pots(const struct priv_layer2 *v, struct err *e)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (pots[i].naddrs > MODEL_ADDRS || (pots[i].mac[0] & 1))
			return err_set(e, -EINVAL, "honeypot %u of the kernel's layer is none", i);
		for (uint32_t k = 0; k < pots[i].naddrs; k++)
			if (pots[i].addrs[k].family != 4 && pots[i].addrs[k].family != 6)
				return err_set(e, -EINVAL, "honeypot %u of the kernel's layer has a bad address", i);
	}
	return 0;
}

int verb_layer2(struct priv *p, struct msg *m, struct verb_reply *r, struct err *e)
{
	const struct priv_layer2 *v = MSG_BODY_AS(m, priv_layer2);
	static struct layer2_pot room[MODEL_HONEYPOTS];
	const char *nft = NULL;
	(void)r;
	if (v->net >= MODEL_NETS || v->n > MODEL_HONEYPOTS || m->nfds != 1)
		return err_set(e, -EINVAL, "kernel's layer: network %u, %u honeypots", v->net, v->n);
	if (!p->lab.made || !p->lab.nets[v->net].up)
		return err_set(e, -ENOENT, "kernel's layer: there is no network %u", v->net);
	if (pread(m->fds[0], room, v->n * sizeof(room[0]), 0) != (ssize_t)(v->n * sizeof(room[0])))
		return err_set(e, -EINVAL, "kernel's layer: the list of honeypots is too short");
	pots = room;
	int x = check_pots(v, e);
	if (x < 0)
		return x;
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && !nft; i++)
		nft = access(programs[i], X_OK) == 0 ? programs[i] : NULL;
	if (!nft)
		return err_set(e, -ENOENT, "there is no nft: install nftables for the kernel's layer of data control");
	int script = memfd_create("nft", MFD_CLOEXEC);
	FILE *f = script < 0 ? NULL : fdopen(dup(script), "w");
	if (!f) {
		x = err_sys(e, -errno, "cannot make a memfd");
		if (script >= 0)
			close(script);
		return x;
	}
	rules(f, v);
	x = fclose(f) ? err_sys(e, -EIO, "cannot write rules") : 0;
	lseek(script, 0, SEEK_SET);
#ifndef MUTANT_LAYER2_OPEN
	if (!x)
		x = load(p, nft, script, e);
#else
	(void)load;
#endif
	close(script);
	return x;
}
