/* SPDX-License-Identifier: ISC */
#include "model/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static unsigned bits_of(const struct addr *a)
{
	return a->family == 4 ? 32 : 128;
}

/* Decimal, without sign, blanks or leading zeros; at most 128. */
static bool parse_plen(const char *s, unsigned max, uint8_t *out)
{
	unsigned v = 0;
	size_t n = strlen(s);
	if (!n || n > 3 || (s[0] == '0' && n > 1))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (unsigned)(*s - '0');
	}
	if (v > max)
		return false;
	*out = (uint8_t)v;
	return true;
}

bool addr_parse(const char *s, int want_prefix, struct addr *out)
{
	char host[INET6_ADDRSTRLEN];
	struct addr a = { 0 };
	const char *slash = strchr(s, '/');
	size_t n = slash ? (size_t)(slash - s) : strlen(s);
	if (n >= sizeof(host) || (slash && want_prefix == 0) || (!slash && want_prefix == 1))
		return false;
	memcpy(host, s, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, a.b) == 1)
		a.family = 4;
	else if (inet_pton(AF_INET6, host, a.b) == 1)
		a.family = 6;
	else
		return false;
	a.plen = (uint8_t)bits_of(&a);
	if (slash && !parse_plen(slash + 1, bits_of(&a), &a.plen))
		return false;
	*out = a;
	return true;
}

const char *addr_text(const struct addr *a, char buf[ADDR_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";
	if (a->family != 4 && a->family != 6) {
		snprintf(buf, ADDR_TEXT, "none");
		return buf;
	}
	inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, host, sizeof(host));
	if (a->plen == bits_of(a))
		snprintf(buf, ADDR_TEXT, "%s", host);
	else
		snprintf(buf, ADDR_TEXT, "%s/%u", host, a->plen);
	return buf;
}

/* Are the first n bits the same? n is at most 128 here: a longer plen from
 * another process counts as 128. */
static bool same_bits(const uint8_t *x, const uint8_t *y, unsigned n)
{
	if (n > 128)
		n = 128;
	unsigned whole = n / 8, rest = n % 8;
	if (memcmp(x, y, whole))
		return false;
	return !rest || !((x[whole] ^ y[whole]) >> (8 - rest));
}

bool addr_in(const struct addr *net, const struct addr *a)
{
	return net->family && net->family == a->family && same_bits(net->b, a->b, net->plen);
}

bool addr_overlap(const struct addr *x, const struct addr *y)
{
	return x->family && x->family == y->family && same_bits(x->b, y->b, x->plen < y->plen ? x->plen : y->plen);
}

bool addr_equal(const struct addr *x, const struct addr *y)
{
	return x->family == y->family && !memcmp(x->b, y->b, sizeof(x->b));
}

struct addr addr_net(const struct addr *a)
{
	struct addr net = *a;
	for (unsigned i = 0; i < sizeof(net.b); i++) {
		unsigned first = i * 8;
		if (first >= net.plen)
			net.b[i] = 0;
		else if (net.plen - first < 8)
			net.b[i] &= (uint8_t)(0xff00u >> (net.plen - first));
	}
	return net;
}

struct addr addr_last(const struct addr *net)
{
	struct addr last = *net;
	for (unsigned i = 0; i < bits_of(net) / 8; i++) {
		unsigned first = i * 8;
		if (first >= net->plen)
			last.b[i] = 0xff;
		else if (net->plen - first < 8)
			last.b[i] |= (uint8_t)(0xffu >> (net->plen - first));
	}
	return last;
}

bool addr_host_bits(const struct addr *net)
{
	struct addr clean = addr_net(net);
	return memcmp(clean.b, net->b, sizeof(clean.b)) != 0;
}

const char *addr_special(const struct addr *a)
{
	static const struct {
		struct addr net;
		const char *what;
	} table[] = {
		/* IANA's special-purpose registries, RFC 6890, RFC 1112, RFC 4291: what no host may own. */
		{ { 4, 8, { 0 } }, "\"this network\", 0.0.0.0/8" }, { { 4, 8, { 127 } }, "loopback" },
		{ { 4, 16, { 169, 254 } }, "link-local" },          { { 4, 4, { 224 } }, "multicast" },
		{ { 4, 4, { 240 } }, "reserved, 240.0.0.0/4" },     { { 6, 8, { 0 } }, "reserved, ::/8" },
		{ { 6, 10, { 0xfe, 0x80 } }, "link-local" },        { { 6, 8, { 0xff } }, "multicast" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (addr_overlap(&table[i].net, a))
			return table[i].what;
	return NULL;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool mac_parse(const char *s, uint8_t out[6])
{
	uint8_t mac[6];
	if (strlen(s) != MAC_TEXT - 1)
		return false;
	for (int i = 0; i < 6; i++) {
		int hi = hex(s[3 * i]), lo = hex(s[3 * i + 1]);
		char sep = s[3 * i + 2];
		/* One separator throughout, as in IEEE 802's two notations. */
		if (hi < 0 || lo < 0 || (i < 5 && ((sep != ':' && sep != '-') || sep != s[2])))
			return false;
		mac[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(out, mac, sizeof(mac));
	return true;
}

const char *mac_text(const uint8_t mac[6], char buf[MAC_TEXT])
{
	snprintf(buf, MAC_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	return buf;
}

/* FNV-1a (draft-eastlake-fnv), with a final mix since its high bits are weak on short input. */
static uint64_t hash(uint64_t h, const char *s)
{
	for (;; s++) {
		h = (h ^ (uint8_t)*s) * 0x100000001b3ull;
		if (!*s)
			break;
	}
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdull;
	return h ^ h >> 33;
}

void mac_auto(const char *honeynet, const char *honeypot, uint8_t out[6])
{
	/* Prefixes of server makers, from the IEEE registry (MA-L). */
	static const uint8_t vendors[][3] = {
		{ 0xd4, 0xbe, 0xd9 }, { 0xb8, 0xca, 0x3a }, { 0x18, 0x66, 0xda }, /* Dell */
		{ 0x3c, 0xd9, 0x2b }, { 0x94, 0x57, 0xa5 }, { 0x48, 0xdf, 0x37 }, /* HP, HPE */
		{ 0x00, 0x25, 0x90 }, { 0x0c, 0xc4, 0x7a }, { 0xac, 0x1f, 0x6b }, /* Supermicro */
		{ 0x00, 0x1b, 0x21 }, { 0xa0, 0x36, 0x9f }, { 0x90, 0xe2, 0xba }, /* Intel */
	};
	/* One vendor for a honeynet, as if the machines were bought together. */
	uint64_t h = hash(0xcbf29ce484222325ull, honeynet);
	const uint8_t *v = vendors[h % (sizeof(vendors) / sizeof(vendors[0]))];
	h = hash(h, honeypot);
	const uint8_t mac[6] = { v[0], v[1], v[2], (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)h };
	memcpy(out, mac, sizeof(mac));
}
