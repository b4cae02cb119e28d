/* SPDX-License-Identifier: ISC OR GPL-2.0-only */
/* Sockets. Part of probe.bpf.c. */

#define TCP 6
#define UDP 17

INLINE void put_addr(u8 *to, u64 sk, u16 v4, u16 v6, int is6)
{
	if (is6)
		bpf_probe_read_user(to, 16, (void *)(sk + v6));
	else
		bpf_probe_read_user(to, 4, (void *)(sk + v4));
}
INLINE int is_mapped(const u8 *a)
{
	const u32 *w = (const u32 *)a;
	return !w[0] && !w[1] && w[2] == 0xffff0000u;
}

INLINE void socket_done(u64 task, u64 sk, u8 op, u8 proto, s32 ret, u32 site)
{
	struct rec *r = begin(task, HOOK_SOCKET);
	u16 family = MEMBER16(sk, SK_FAMILY);
	if (!r || (family != 2 && family != 10))
		return;
	struct hook_socket s;
	__builtin_memset(&s, 0, sizeof(s));
	s.op = op;
	s.proto = proto;
	s.family = family == 2 ? 4 : 6;
	s.local_port = MEMBER16(sk, SK_NUM);
	s.peer_port = op == HOOK_LISTEN ? 0 : __builtin_bswap16(MEMBER16(sk, SK_DPORT));
	put_addr(s.local, sk, OFF(SK_RCV_SADDR), OFF(SK_V6_RCV_SADDR), family == 10);
	if (op != HOOK_LISTEN)
		put_addr(s.peer, sk, OFF(SK_DADDR), OFF(SK_V6_DADDR), family == 10);
	if (family == 10 && is_mapped(op == HOOK_LISTEN ? s.local : s.peer)) {
		s.family = 4;
		__builtin_memset(s.local, 0, 16);
		__builtin_memset(s.peer, 0, 16);
		put_addr(s.local, sk, OFF(SK_RCV_SADDR), 0, 0);
		if (op != HOOK_LISTEN)
			put_addr(s.peer, sk, OFF(SK_DADDR), 0, 0);
	}
	r->h.ret = ret;
	__builtin_memcpy(r->data, &s, sizeof(s));
	end(r, sizeof(s), site);
}
/* A call whose first argument is the sk: begun, and returned. */
INLINE void sk_begun(struct regs *ctx, u32 site)
{
	remember3(guest_current(ctx), site, ctx->di, 0, 0);
}
INLINE void sk_returned(struct regs *ctx, u32 site, u32 op)
{
	u64 task = guest_current(ctx);
	struct pending *p = recall(task, site);
	if (p) {
		socket_done(task, p->a, op, TCP, ctx->ax, site);
		forget(task, site);
	}
}
SEC("uprobe") int e_TCP_CONNECT(struct regs *ctx)
{
	sk_begun(ctx, HOOK_SITE_TCP_CONNECT);
	return 0;
}
SEC("uprobe") int r_TCP_CONNECT(struct regs *ctx)
{
	sk_returned(ctx, HOOK_SITE_TCP_CONNECT, HOOK_CONNECT);
	return 0;
}
/* (struct socket, ...): raw and ping sockets too */
SEC("uprobe") int e_UDP_CONNECT(struct regs *ctx)
{
	/* An address of no family takes the connection back. */
	if ((u32)ctx->dx >= 2 && get16(ctx->si))
		remember3(guest_current(ctx), HOOK_SITE_UDP_CONNECT, MEMBER64(ctx->di, SOCKET_SK), 0, 0);
	return 0;
}
SEC("uprobe") int r_UDP_CONNECT(struct regs *ctx)
{
	u64 task = guest_current(ctx);
	struct pending_key k = { task, HOOK_SITE_UDP_CONNECT };
	struct pending *p = bpf_map_lookup_elem(&pendings, &k);
	if (!p)
		return 0;
	if ((MEMBER16(p->a, SK_PROTOCOL) & 0xff) == UDP && !(u32)ctx->ax)
		socket_done(task, p->a, HOOK_CONNECT, UDP, 0, HOOK_SITE_UDP_CONNECT);
	forget(task, HOOK_SITE_UDP_CONNECT);
	return 0;
}
/* returns the new sk or NULL */
SEC("uprobe") int r_ACCEPT(struct regs *ctx)
{
	if (ctx->ax && !IS_ERR(ctx->ax))
		socket_done(guest_current(ctx), ctx->ax, HOOK_ACCEPT, TCP, 0, HOOK_SITE_ACCEPT);
	return 0;
}
SEC("uprobe") int e_LISTEN(struct regs *ctx)
{
	sk_begun(ctx, HOOK_SITE_LISTEN);
	return 0;
}
SEC("uprobe") int r_LISTEN(struct regs *ctx)
{
	sk_returned(ctx, HOOK_SITE_LISTEN, HOOK_LISTEN);
	return 0;
}

#define AUTH_MAX 1024u
/* (skb, skip, bytes, state): what sshd's two halves tell each other */
SEC("uprobe") int e_UNIX_READ(struct regs *ctx)
{
	u64 task = guest_current(ctx), skb = ctx->di;
	u32 comm = HAVE(TASK_COMM) ? get32(task + OFF(TASK_COMM)) : 0, n = ctx->dx;
	if (comm != 0x64687373u || !n || n > AUTH_MAX) /* "sshd" */
		return 0;
	/* skb->data_len stands behind skb->len: none of it in other pages. */
	u32 len = MEMBER32(skb, SKB_LEN), elsewhere = get32(skb + OFF(SKB_LEN) + 4);
	u64 from = (u64)MEMBER32(skb, SKB_UNIX_CONSUMED) + (u32)ctx->si;
	struct rec *r = begin(task, HOOK_AUTH);
	if (!r || elsewhere || from + n > len)
		return 0;
	r->h.ret = n;
	put_bytes(r, 0, MEMBER64(skb, SKB_DATA) + from, n);
	end(r, n, HOOK_SITE_UNIX_READ);
	return 0;
}
