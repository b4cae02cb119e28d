/* SPDX-License-Identifier: ISC */
/*
 * Captures come from elsewhere: their MACs may be others than the file's, be
 * missing (raw IP, cooked), or be a router's for all hosts behind it. A frame of
 * our own evidence says the port by the name of its interface. Others come in
 * where their source MAC belongs; where MACs cannot tell honeypots apart, where
 * their source address belongs, and they get MACs as if they were on the wire
 * of the honeynet.
 */
#include "proc/gateway/judge.h"

#include "proc/gateway/checksum.h"
#include "proc/gateway/decode.h"

#include <errno.h>
#include <unistd.h>

static const uint8_t outside[6] = { 0x02, 0, 0, 0, 0, 0x01 };

static struct gateway *core(struct judge *j)
{
	return j->side[0].g;
}

/* The sender of an IP packet or an ARP frame, as a family and an address. */
static uint8_t sender(const struct frame *f, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (f->l3 == L3_ARP) {
		memcpy(addr, f->arp.spa, 4);
		return 4;
	}
	memcpy(addr, f->t.saddr, 16);
	return f->t.family;
}

static uint8_t receiver(const struct frame *f, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (f->l3 == L3_ARP) {
		memcpy(addr, f->arp.tpa, 4);
		return 4;
	}
	memcpy(addr, f->t.daddr, 16);
	return f->t.family;
}

/* ---- learning --------------------------------------------------------------- */

static struct port *by_mac(struct judge *j, const uint8_t mac[6])
{
	struct gateway *g = core(j);
	for (uint16_t net = 0; net < MODEL_NETS; net++) {
		struct port *p = g->net_count[net] ? gateway_by_mac(g, net, mac) : NULL;
		if (p)
			return p;
	}
	return NULL;
}

static void learn_from(struct judge *j, const struct pcap_record *rec, unsigned *missing)
{
	struct frame f = { .bytes = rec->bytes, .wirelen = rec->wirelen };
	uint8_t addr[16];
	if (rec->link != PCAP_LINK_ETHERNET)
		return;
	decode(&f);
	struct port *p = by_mac(j, f.src);
	if (p && !j->learn[p->conf.port].own) {
		*missing -= !j->learn[p->conf.port].seen;
		j->learn[p->conf.port].own = j->learn[p->conf.port].seen = true;
	}
	p = gateway_by_addr(core(j), -1, sender(&f, addr), addr);
	if (p && !j->learn[p->conf.port].seen && !(f.src[0] & 1)) {
		(*missing)--;
		j->learn[p->conf.port].seen = true;
		memcpy(j->learn[p->conf.port].mac, f.src, 6);
	}
	if (f.l3 == L3_ARP || (f.dst[0] & 1))
		return;
	p = gateway_by_addr(core(j), -1, receiver(&f, addr), addr);
	if (p && !j->learn[p->conf.port].seen && !j->learn[p->conf.port].spoken_to) {
		j->learn[p->conf.port].spoken_to = true;
		memcpy(j->learn[p->conf.port].mac, f.dst, 6);
	}
}

static void use_macs(struct judge *j)
{
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++)
		j->learn[i].seen |= j->learn[i].spoken_to;
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++) {
		const struct judge_learn *l = &j->learn[i];
		const struct port *p = gateway_port(core(j), i);
		if (!p || !l->seen || l->own)
			continue;
		/* Two with one MAC are behind a router. */
		const struct port *other = by_mac(j, l->mac);
		j->end.relinked |= other && other != p;
		for (uint16_t k = 0; k < i; k++)
			j->end.relinked |= j->learn[k].seen && !j->learn[k].own && !memcmp(j->learn[k].mac, l->mac, 6);
	}
	for (uint16_t i = 0; i < MODEL_HONEYPOTS && !j->end.relinked; i++)
		if (j->learn[i].seen && !j->learn[i].own)
			for (unsigned s = 0; s < j->sides; s++)
				gateway_port_mac(j->side[s].g, i, j->learn[i].mac);
}

int judge_learn(struct judge *j, struct err *e)
{
	unsigned missing = 0;
	if (!(j->flags & JUDGE_RUN_LEARN))
		return 0;
	for (uint16_t i = 0; i < MODEL_HONEYPOTS; i++)
		missing += gateway_port(core(j), i) != NULL;
	for (uint32_t i = 0; i < j->files && missing; i++) {
		struct judge_input *in = &j->in[i];
		int got = pcap_reader_open(&in->reader, in->fd, in->window, JUDGE_WINDOW, e);
		while (!got && missing && (got = pcap_reader_next(&in->reader, &in->rec, e)) == 1) {
			learn_from(j, &in->rec, &missing);
			got = 0;
		}
		if (lseek(in->fd, 0, SEEK_SET) < 0)
			return err_sys(e, -errno, "cannot go back to the beginning");
		/* What is damaged is told when its place comes. */
	}
	use_macs(j);
	return 0;
}

/* ---- the frame's bytes ------------------------------------------------------ */

/* A copy that may be changed. */
static uint8_t *own(struct judge *j, struct slice *bytes)
{
	if (bytes->p != j->copy) {
		memcpy(j->copy, bytes->p, bytes->n);
		bytes->p = j->copy;
	}
	return j->copy;
}

static void mac_of(struct judge *j, uint8_t family, const uint8_t addr[16], uint8_t mac[6])
{
	const struct port *p = gateway_by_addr(core(j), -1, family, addr);
	memcpy(mac, p ? p->conf.mac : outside, 6);
}

static void relink(struct judge *j, const struct frame *f, bool made, struct slice *bytes)
{
	uint8_t addr[16], family;
	if (bytes->n < ETH_HEAD || (!f->t.family && f->l3 != L3_ARP))
		return;
	uint8_t *b = own(j, bytes);
	family = sender(f, addr);
	mac_of(j, family, addr, b + 6);
	family = receiver(f, addr);
	bool group = family == 4 ? addr[0] >= 224 : addr[0] == 0xff;
	if (f->l3 == L3_ARP && f->arp.op == 1)
		memset(b, 0xff, 6);
	else if (made && group && family == 6)
		memcpy(b, (uint8_t[6]){ 0x33, 0x33, addr[12], addr[13], addr[14], addr[15] }, 6);
	else if (made && group && addr[0] < 240)
		memcpy(b, (uint8_t[6]){ 1, 0, 0x5e, addr[1] & 0x7f, addr[2], addr[3] }, 6);
	else if (made && group)
		memset(b, 0xff, 6);
	else if (made || !(b[0] & 1))
		mac_of(j, family, addr, b);
	if (f->l3 == L3_ARP && bytes->n >= ETH_HEAD + 14)
		memcpy(b + ETH_HEAD + 8, b + 6, 6);
}

/*
 * A capture on the sender's own computer shows TCP and UDP before the network
 * card has filled in the checksum: there is the pseudo header's sum alone
 * (Linux, CHECKSUM_PARTIAL). On the wire it was right.
 */
static void mend(struct judge *j, const struct frame *f, struct slice *bytes)
{
	bool tcp = f->t.proto == PROTO_TCP;
	size_t at = tcp ? 16 : 6;
	if (!f->has_l4 || f->fragment || (!tcp && f->t.proto != PROTO_UDP) || f->l4.n < at + 2)
		return;
	uint16_t have = (uint16_t)(f->l4.p[at] << 8 | f->l4.p[at + 1]);
	uint32_t pseudo = checksum_pseudo(&f->t, (uint32_t)f->l4.n);
	/* One of many is right and looks like it. */
	if (have != checksum_fold(pseudo) || checksum_fold(checksum_add(pseudo, f->l4.p, f->l4.n)) == 0xffff)
		return;
	/* Half of the sum stands in the field already. */
	uint16_t sum = (uint16_t)~checksum_fold(checksum_add(0, f->l4.p, f->l4.n));
	size_t place = (size_t)(f->l4.p - bytes->p) + at;
	uint8_t *b = own(j, bytes);
	if (!sum && !tcp)
		sum = 0xffff;
	b[place] = (uint8_t)(sum >> 8);
	b[place + 1] = (uint8_t)sum;
	j->end.mended++;
}

/* ---- where it came in ------------------------------------------------------- */

static struct port *by_name(struct judge *j, const char *name)
{
	struct gateway *g = core(j);
	if (!name[0])
		return NULL;
	for (unsigned i = 0; i < PORTS_MAX; i++)
		if (g->ports[i].used && (port_is_honeypot(&g->ports[i]) || port_is_uplink(&g->ports[i])) &&
		    !strcmp(g->ports[i].conf.name, name))
			return &g->ports[i];
	return NULL;
}

static struct port *uplink_for(struct judge *j, const struct frame *f)
{
	struct gateway *g = core(j);
	uint8_t addr[16];
	struct port *to = by_mac(j, f->dst);
	if (!to)
		to = gateway_by_addr(g, -1, receiver(f, addr), addr);
	if (to)
		return gateway_uplink(g, to->conf.net);
	uint8_t family = sender(f, addr);
	for (uint16_t i = 0; family && i < MODEL_HONEYPOTS; i++)
		if (g->ports[i].used && port_on_link(&g->ports[i], family, addr))
			return gateway_uplink(g, g->ports[i].conf.net);
	for (uint16_t net = 0; net < MODEL_NETS; net++)
		if (gateway_uplink(g, net))
			return gateway_uplink(g, net);
	return NULL;
}

struct port *judge_place(struct judge *j, const struct judge_input *in, const struct pcap_record *rec,
			 struct slice *bytes, uint32_t *wirelen, struct frame *decoded)
{
	bool made, links = j->end.relinked != 0;
	uint8_t addr[16];
	if (!pcap_ethernet(rec, j->room, RX_ROOM - RX_HEADROOM, bytes, wirelen, &made)) {
		j->end.foreign++;
		return NULL;
	}
	/* As a port's receive cuts what no frame can be. */
	*bytes = slice_head(*bytes, RX_ROOM - RX_HEADROOM);
	j->end.made += made;
	struct port *p = by_name(j, in->reader.ifaces[rec->iface].name);
	if (p && rec->dir == PCAP_DIR_OUT) {
		j->end.made_out++;
		return NULL;
	}
	*decoded = (struct frame){ .bytes = *bytes, .wirelen = *wirelen };
	decode(decoded);
#ifdef MUTANT_JUDGE_OTHER_CODE
	links = true;
#endif
	if (!p && !links && !made)
		p = by_mac(j, decoded->src);
	else if (!p)
		p = gateway_by_addr(core(j), -1, sender(decoded, addr), addr);
	if (!(j->flags & JUDGE_RUN_AS_CAPTURED))
		mend(j, decoded, bytes);
	if (!p)
		p = uplink_for(j, decoded);
	if (links || made)
		relink(j, decoded, made, bytes);
	if (bytes->n < *wirelen) {
		j->end.cut++;
		j->end.cut_of_honeypots += p && port_is_honeypot(p);
	}
	return p;
}
