/* SPDX-License-Identifier: ISC */
/*
 * Sockets: connections that the guest begins and accepts, ports that it listens
 * on, and what sshd's privileged half is told by the other.
 */
#include "shim/out.h"
#include "shim/wrap.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

static bool is_mapped(const uint8_t a[16])
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
	return !memcmp(a, prefix, sizeof(prefix));
}

static bool read_sock(struct hook_socket *h, word sk)
{
	uint16_t family = load_u16(FIELD(sk, SK_FAMILY)), dport = load_u16(FIELD(sk, SK_DPORT));
	h->local_port = load_u16(FIELD(sk, SK_NUM));
	h->peer_port = (uint16_t)(dport << 8 | dport >> 8);
	h->family = 4;
	if (family == AF_INET6) {
		if (!known(HOOK_OFF_SK_V6_DADDR) || !known(HOOK_OFF_SK_V6_RCV_SADDR))
			return false;
		memcpy(h->local, (const void *)FIELD(sk, SK_V6_RCV_SADDR), 16);
		memcpy(h->peer, (const void *)FIELD(sk, SK_V6_DADDR), 16);
		if (!is_mapped(h->local) && !is_mapped(h->peer)) {
			h->family = 6;
			return true;
		}
		memset(h->local, 0, 16);
		memset(h->peer, 0, 16);
	} else if (family != AF_INET) {
		return false;
	}
	memcpy(h->local, (const void *)FIELD(sk, SK_RCV_SADDR), 4);
	memcpy(h->peer, (const void *)FIELD(sk, SK_DADDR), 4);
	return true;
}

static void tell_sock(enum hook_socket_op op, uint8_t proto, word sk, word ret)
{
	struct hook_socket h = { .op = (uint8_t)op, .proto = proto };
	struct out o;
	if (read_sock(&h, sk) && out_begin(&o, HOOK_SOCKET, sizeof(h), sizeof(h))) {
		o.rec->ret = (int32_t)ret;
		memcpy(o.data, &h, sizeof(h));
		out_end(&o, sizeof(h));
	}
}

/* (sk): both ends are decided, the SYN is about to leave. */
WRAP(TCP_CONNECT)
{
	word ret = CALL_ORIG(TCP_CONNECT, a, b, c, d);
	tell_sock(HOOK_CONNECT, IPPROTO_TCP, a, ret);
	return ret;
}

/* (socket, address, length, flags): of UDP, ping and raw sockets. An address of
 * no family takes the connection back. */
WRAP(UDP_CONNECT)
{
	word sk = load_word(FIELD(a, SOCKET_SK));
	bool udp = sk && (uint8_t)load_u16(FIELD(sk, SK_PROTOCOL)) == IPPROTO_UDP;
	bool undo = (uint32_t)c < 2 || load_u16(b) == AF_UNSPEC;
	word ret = CALL_ORIG(UDP_CONNECT, a, b, c, d);
	if (udp && !undo && !(int32_t)ret)
		tell_sock(HOOK_CONNECT, IPPROTO_UDP, sk, ret);
	return ret;
}

/* Returns the new connection's sk. */
WRAP(ACCEPT)
{
	word ret = CALL_ORIG(ACCEPT, a, b, c, d);
	if (ret && !is_error(ret))
		tell_sock(HOOK_ACCEPT, IPPROTO_TCP, ret, 0);
	return ret;
}

WRAP(LISTEN)
{
	word ret = CALL_ORIG(LISTEN, a, b, c, d);
	tell_sock(HOOK_LISTEN, IPPROTO_TCP, a, ret);
	return ret;
}

/* (buffer, skip, bytes, state) */
WRAP(UNIX_READ)
{
	enum { MOST = 1024 };
	word ret = CALL_ORIG(UNIX_READ, a, b, c, d);
	int32_t n = (int32_t)ret;
	if (n <= 0 || n > MOST || memcmp((const void *)FIELD(current_task(), TASK_COMM), "sshd", 4))
		return ret;
	/* skb->data_len stands behind skb->len: none of it in other pages. */
	uint32_t len = load_u32(FIELD(a, SKB_LEN)), elsewhere = load_u32(FIELD(a, SKB_LEN) + 4);
	uint64_t from = (uint64_t)load_u32(FIELD(a, SKB_UNIX_CONSUMED)) + (uint32_t)b;
	struct out o;
	if (elsewhere || from + (uint32_t)n > len || !out_begin(&o, HOOK_AUTH, (size_t)n, (size_t)n))
		return ret;
	o.rec->ret = n;
	memcpy(o.data, (const void *)(load_word(FIELD(a, SKB_DATA)) + from), (size_t)n);
	out_end(&o, (size_t)n);
	return ret;
}
